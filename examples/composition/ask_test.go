package composition_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
)

// ask makes a call through the retry and all below it, and judges what comes
// back. A panic or Goexit of fn goes through it untouched.
func (w *world) ask(ctx context.Context, c *call) (v uint64, err error) {
	w.asked.Add(1)
	returned := false
	defer func() {
		w.attempts.Add(uint64(c.attempts))
		if !returned {
			w.broke.Add(1)
		}
	}()
	v, err = retry.DoValue(ctx, w.retrier, func(ctx context.Context) (uint64, error) {
		c.attempts++
		v, err := w.attempt(ctx, c)
		if err != nil {
			c.last = &tagged{c, err}
			err = c.last
		}
		return v, err
	})
	returned = true
	if err == nil {
		w.judgeGood(c, v)
	} else {
		w.judgeBad(ctx, c, err)
	}
	return v, err
}

// attempt is one attempt of the retry. Some are hedged: not those that panic or
// exit, as that would end the process if the second of the two did.
func (w *world) attempt(ctx context.Context, c *call) (uint64, error) {
	if c.id%8 != 3 || c.kind == panicking || c.kind == exiting {
		return w.guards(context.WithValue(ctx, tripKey{}, &trip{call: c}))
	}
	w.hedged.Add(1)
	var began atomic.Bool
	v, err := hedge.DoValue(ctx, w.hedger, func(ctx context.Context) (uint64, error) {
		began.Store(true)
		return w.race(ctx, c)
	})
	switch {
	case err == nil:
		w.hedgedGood.Add(1)
	case !began.Load():
		w.hedgedEarly.Add(1)
		w.checkGone(ctx, err)
	case errors.Is(err, hedge.ErrLost):
		w.wrong("the loser of a hedge is the answer of call %d: %v", c.id, err)
	}
	return v, err
}

// race is one of the attempts of a hedge.
func (w *world) race(ctx context.Context, c *call) (uint64, error) {
	w.raced.Add(1)
	v, err := w.guards(context.WithValue(ctx, tripKey{}, &trip{call: c}))
	if err == nil {
		w.raceGood.Add(1)
	}
	return v, err
}

func (w *world) judgeGood(c *call, v uint64) {
	w.good.Add(1)
	if c.attempts > 1 {
		w.recovered.Add(1)
	}
	if v != c.id || c.runs.Load() == 0 || c.kind == permanent || c.kind == cancelledInside {
		w.wrong("call %d of kind %d succeeds with %d after %d runs", c.id, c.kind, v, c.runs.Load())
	}
	if c.decided != c.attempts-1 {
		w.wrong("call %d: %d attempts after %d retries", c.id, c.attempts, c.decided)
	}
}

func (w *world) judgeBad(ctx context.Context, c *call, err error) {
	w.bad.Add(1)
	gaveUp, wrapped := err.(*retry.Error)
	switch {
	case wrapped:
		w.gaveUp.Add(1)
		if gaveUp.Attempts != c.attempts || gaveUp.Last() != error(c.last) || !errors.Is(err, c.last.err) {
			w.wrong("call %d: %v after %d attempts, the last with %v", c.id, err, c.attempts, c.last)
		}
		switch gaveUp.Reason {
		case retry.ErrBudget:
			w.overBudget.Add(1)
		case retry.ErrExhausted:
			w.exhausted.Add(1)
			if c.attempts != 4 {
				w.wrong("call %d is exhausted after %d attempts", c.id, c.attempts)
			}
		case retry.ErrRetryAfter:
			if retryAfter(err) <= 20*w.unit {
				w.wrong("call %d is asked to wait for %v, and gives up for it", c.id, retryAfter(err))
			}
		default:
			if !errors.Is(gaveUp.Reason, context.DeadlineExceeded) && !errors.Is(gaveUp.Reason, context.Canceled) {
				w.wrong("call %d gives up for %v", c.id, gaveUp.Reason)
			}
		}
	case c.attempts == 0:
		w.early.Add(1)
		w.checkGone(ctx, err)
	case err != error(c.last):
		w.wrong("call %d: %v (%T) is not what its last attempt returned", c.id, err, err)
	}
	// A retry that was decided is made, unless the ctx ends during its delay.
	if cut := c.decided - (c.attempts - 1); c.attempts > 0 && cut != 0 && (cut != 1 || !wrapped || ctx.Err() == nil) {
		w.wrong("call %d: %d attempts after %d retries, with %v", c.id, c.attempts, c.decided, err)
	}
	w.judgeKinds(ctx, c, err)
}

// judgeKinds: what a caller is told is the fault of fn, a refusal, or the end of
// his own ctx, with its cause; and nothing of anybody else's.
func (w *world) judgeKinds(ctx context.Context, c *call, err error) {
	known := false
	if f, ok := errors.AsType[*fault](err); ok {
		known = true
		if f.call != c {
			w.wrong("call %d is told the fault of call %d", c.id, f.call.id)
		}
	}
	for _, refusal := range []error{breaker.ErrOpen, ratelimit.ErrLimited, bulkhead.ErrFull, pool.ErrTimeout, pool.ErrFull, pool.ErrDown} {
		if !errors.Is(err, refusal) {
			continue
		}
		known = true
		if retryAfter(err) < 0 {
			w.wrong("call %d: %v does not say when to come again", c.id, err)
		}
	}
	if errors.Is(err, context.Canceled) {
		known = true
		if ctx.Err() != context.Canceled || !errors.Is(err, context.Cause(ctx)) {
			w.wrong("call %d: %v for a ctx with %v, cause %v", c.id, err, ctx.Err(), context.Cause(ctx))
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		known = true
		// The ctx of a shared load is cancelled for the reason of the last who wanted it.
		if _, ok := ctx.Deadline(); !ok && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			w.wrong("call %d: %v without a deadline", c.id, err)
		}
	}
	if why, ok := errors.AsType[*cause](err); ok && why.id != c.id && context.Cause(ctx) != error(why) {
		w.wrong("call %d is told why call %d ended", c.id, why.id)
	}
	if !known {
		w.wrong("call %d: nobody knows %v (%T)", c.id, err, err)
	}
}

// runDirect makes a call on this goroutine, or on one of its own if it is to
// exit that, and takes its panic.
func (w *world) runDirect(ctx context.Context, c *call) {
	if c.kind == exiting {
		done := make(chan struct{})
		go func() { defer close(done); w.runHere(ctx, c) }()
		<-done
		return
	}
	w.runHere(ctx, c)
}

func (w *world) runHere(ctx context.Context, c *call) {
	if c.id%16 == 5 && !w.admit(ctx, c) {
		w.tell(c, false)
		return
	}
	ctx, end := c.ends(ctx, w.seed)
	defer end()
	returned := false
	ok := false
	defer func() {
		if !returned {
			w.checkBroken(c, recover())
		}
		w.tell(c, ok)
	}()
	_, err := w.ask(ctx, c)
	returned, ok = true, err == nil
}

// admit lets a caller show its token. Every fourth is forged.
func (w *world) admit(ctx context.Context, c *call) bool {
	w.tokens.Add(1)
	subject := strconv.FormatUint(c.id, 10)
	token, err := w.issuer.Sign(jwt.Registered{Subject: subject})
	if err != nil {
		w.wrong("call %d gets no token: %v", c.id, err)
		return false
	}
	forged := c.id%64 == 5
	if forged {
		other, _ := w.issuer.Sign(jwt.Registered{Subject: subject + "0"})
		token = token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
	}
	claims, err := w.verifier.Verify(ctx, token)
	switch {
	case forged && errors.Is(err, jwt.ErrSignature) && claims.Subject == "":
		w.forged.Add(1)
		return false
	case !forged && err == nil && claims.Subject == subject:
		w.admitted.Add(1)
		return true
	}
	w.wrong("call %d, forged %t: %v, %v", c.id, forged, claims, err)
	return false
}

// checkBroken: a call that has not returned did what it was to do, with its own
// value.
func (w *world) checkBroken(c *call, value any) {
	switch {
	case value == nil && c.kind == exiting && c.runs.Load() == 1:
	case value == any(c.boom) && c.kind == panicking && c.runs.Load() == 1:
	default:
		w.wrong("call %d of kind %d ends by %v after %d runs", c.id, c.kind, value, c.runs.Load())
	}
}

func (w *world) tell(c *call, ok bool) {
	w.emitted.Add(1)
	if !w.topic.Emit(outcome{c.id, ok}) {
		w.wrong("nobody has heard of call %d", c.id)
	}
}
