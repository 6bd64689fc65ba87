package breaker

import "context"

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
// Config.ProbeTimeout; while the breaker is closed there is no place to hold,
// but Config.SlowInFlight goes on counting the call. The zero Permit is an
// ended one. A Permit must not be copied.
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
