package breaker

import "context"

// Outcome is the verdict on a call.
type Outcome uint8

const (
	// Success means that the dependency is well.
	Success Outcome = iota
	// Failure means that it is not.
	Failure
	// Ignored means that the call says nothing about it.
	Ignored
)

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string { return nameOf(o, "success", "failure", "ignored") }

// DefaultClassify returns Success for no error, Ignored for an error after ctx,
// the caller's, was done, and Failure otherwise. A timeout that the dependency
// reports while the caller still waits is therefore a failure.
func DefaultClassify(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case ctx.Err() != nil:
		return Ignored
	}
	return Failure
}

func (r *rules) judge(ctx context.Context, err error) Outcome {
	if r.classify == nil || err == nil {
		return DefaultClassify(ctx, err)
	}
	return r.classify(ctx, err)
}

// Permit is the right to one call. Ending it more than once is harmless: the
// first end counts. So the panic-safe form is
//
//	p, err := b.Allow()
//	if err != nil {
//		return err
//	}
//	defer p.Record(breaker.Failure, nil) // counts if nothing below does
//
// A permit that is never ended holds its place as a probe until
// Config.ProbeTimeout, and none while the breaker is closed. The zero Permit
// is an ended one. A Permit must not be copied.
type Permit struct {
	_     noCopy
	b     *Breaker // nil once ended
	grant grant
}

// Done ends the permit with the verdict of Config.Classify on err. ctx is the
// caller's.
func (p *Permit) Done(ctx context.Context, err error) {
	if err == nil {
		p.Record(Success, nil)
	} else if p.b != nil {
		p.Record(p.b.rules.Load().judge(ctx, err), err)
	}
}

// Record ends the permit with a verdict of the caller's. err may be nil; if the
// breaker opens it is in the event, and its RetryAfter sets the open time.
func (p *Permit) Record(o Outcome, err error) {
	b := p.b
	if b == nil {
		return
	}
	p.b = nil
	r, w := b.rules.Load(), p.grant.word
	if o == Success && w.clean() && b.load() == w && r.quick {
		if r.windowed {
			b.succeed(w)
		}
		return
	}
	b.settle(p.grant, o, err)
}

// noCopy makes vet report copies of what embeds it.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
