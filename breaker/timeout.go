package breaker

import (
	"context"
	"runtime"
	"sync/atomic"
)

// doTimed is doCounted with a call timeout.
func doTimed[T any](ctx context.Context, b *Breaker, r *rules, fn func(context.Context) (T, error),
	judge func(context.Context, T, error) Outcome) (v T, err error) {
	g, err := b.admit(r)
	if err != nil {
		return v, err
	}
	timeout := &TimeoutError{Name: b.name, After: r.callTimeout}
	callCtx, cancel := context.WithTimeoutCause(ctx, r.callTimeout, timeout)
	run := func() (v T, o Outcome, err error) {
		v, err = fn(callCtx)
		// The cause says which came first, the timeout or the caller.
		if context.Cause(callCtx) == timeout {
			return v, Failure, err
		}
		return v, verdict(ctx, r, v, err, judge), err
	}
	if r.detach {
		return doDetached(ctx, callCtx, cancel, b, g, timeout, run)
	}
	defer cancel()
	judged := false
	defer func() {
		if !judged { // a panic or Goexit
			b.settle(g, Failure, nil)
		}
	}()
	v, o, err := run()
	judged = true
	b.settle(g, o, err)
	return v, err
}

// doDetached runs a call on a goroutine of its own and waits for it no longer
// than callCtx lasts. Whichever comes first, the end or the waiter's leaving,
// wins the race for parted and thereby decides who counts the call: the waiter
// if it is still there or leaves at the timeout, else the call itself. The
// call holds its place in flight to its end in any case.
func doDetached[T any](ctx, callCtx context.Context, cancel context.CancelFunc, b *Breaker, g grant,
	timeout *TimeoutError, run func() (T, Outcome, error)) (T, error) {
	type result struct {
		v       T
		err     error
		outcome Outcome
		exited  bool
	}
	results := make(chan result, 1)
	var parted atomic.Bool
	go func() {
		res := result{outcome: Failure, exited: true}
		defer cancel() // last: the waiter must not take it for the caller's
		defer func() {
			if g.flight != nil {
				g.flight.leave(g.start)
			}
			if !parted.Swap(true) {
				results <- res
			} else if context.Cause(callCtx) != timeout {
				b.count(g, res.outcome, res.err)
			}
		}()
		v, o, err := run()
		res = result{v: v, err: err, outcome: o}
	}()
	var res result
	select {
	case res = <-results:
	case <-callCtx.Done():
		if !parted.Swap(true) {
			if context.Cause(callCtx) != timeout {
				return res.v, ctxError(ctx)
			}
			b.count(g, Failure, timeout)
			return res.v, timeout
		}
		res = <-results
	}
	b.count(g, res.outcome, res.err)
	if res.exited {
		runtime.Goexit()
	}
	return res.v, res.err
}
