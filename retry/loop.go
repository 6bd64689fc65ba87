package retry

import (
	"context"
	"iter"
	"time"
)

// Attempts is the loop form of [Retrier.Do]. Each pass of the loop is an
// attempt, and its body reports the outcome by [Attempt.Done].
//
// When the loop ends by itself, final holds the error that Do would return,
// nil after a success; that includes a context that is done before the first
// pass, when the body never runs. A body that leaves the loop by break, return
// or panic ends the call, and final is left as it is. final may be nil. A pass
// that ends without Done counts as a failure.
func (r *Retrier) Attempts(ctx context.Context, final *error) iter.Seq[*Attempt] {
	return func(yield func(*Attempt) bool) {
		err, ended := r.loop(ctx, yield)
		if ended && final != nil {
			*final = err
		}
	}
}

// An Attempt is one pass of the loop form. It is valid until the pass ends.
type Attempt struct {
	r      *Retrier
	s      run
	number int

	//bedplate:allow ctx: an Attempt lives no longer than the loop, and the body needs this pass's context.
	caller, ctx context.Context

	// The outcome of this pass; reset for each.
	done  bool
	delay time.Duration // before the next attempt
	more  bool          // whether there is one
	final error         // otherwise
}

// Number returns the number of the attempt, 1 for the first.
func (a *Attempt) Number() int { return a.number }

// Context returns the context for this attempt. It ends with the pass if
// Config.AttemptTimeout is set.
func (a *Attempt) Context() context.Context { return a.ctx }

// Done reports the outcome of the attempt and returns whether another one will
// follow, after a delay, unless the context is done by then. A second call
// changes nothing and returns the same.
func (a *Attempt) Done(err error) (more bool) {
	if a.done {
		return a.more
	}
	a.done = true
	if err != nil {
		a.delay, a.final = a.s.failed(a.caller, a.r, err)
		a.more = a.final == nil
		return a.more
	}
	a.r.succeeded(a.number)
	return false
}

// loop yields attempts. ended is false if the body left the loop.
func (r *Retrier) loop(ctx context.Context, yield func(*Attempt) bool) (final error, ended bool) {
	if ctx.Err() != nil {
		return ctxErr(ctx), true
	}
	a := &Attempt{r: r, caller: ctx}
	a.s.begin(r)
	next := ctx
	for {
		if !a.pass(next, yield) {
			return nil, false
		}
		if !a.more {
			return a.final, true
		}
		if a.delay > 0 {
			if err := a.s.wait(ctx, a.delay); err != nil {
				return a.s.giveUp(r, err), true
			}
		}
		next = a.s.mark(ctx, r)
	}
}

// pass runs the loop's body once and returns whether it stayed in the loop.
func (a *Attempt) pass(ctx context.Context, yield func(*Attempt) bool) bool {
	if d := a.r.cfg.AttemptTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, ErrAttemptTimeout)
		defer cancel()
	}
	a.number++
	a.ctx, a.done, a.delay, a.more, a.final = ctx, false, 0, false, nil
	if !yield(a) {
		return false
	}
	a.Done(errNotDone) // does nothing if the body has said so itself
	return true
}
