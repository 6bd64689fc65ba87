package composition_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// kind is what becomes of a call.
type kind int

const (
	fine kind = iota
	failing
	permanent
	hinting
	slow
	breaking
	panicking
	exiting
	cancelledBefore
	cancelledWaiting
	cancelledInside
	late
)

// call is one call of the plan, and what was seen of it.
type call struct {
	id    uint64
	kind  kind
	fails int32         // how many runs of fn fail
	takes time.Duration // if slow
	why   error         // the cause of its end, if it has one of its own
	boom  *bomb         // what it panics with

	// cancel ends the ctx of the caller.
	cancel context.CancelCauseFunc

	attempts, decided int     // of the retry, which is on one goroutine
	last              *tagged // the error of the last attempt
	runs              atomic.Int32
}

// bomb is what fn panics with; whoever recovers it must find the same.
type bomb struct{ id uint64 }

// fault is fn's own error.
type fault struct {
	call   *call
	broken bool
	after  time.Duration
}

func (f *fault) Error() string             { return fmt.Sprintf("fault of call %d", f.call.id) }
func (f *fault) RetryAfter() time.Duration { return f.after }

// cause is why a call was cancelled.
type cause struct{ id uint64 }

func (c *cause) Error() string { return fmt.Sprintf("call %d is not wanted any more", c.id) }

// tagged is the error of one attempt, so that the hook of the retry, which is
// told errors alone, knows whose it is.
type tagged struct {
	call *call
	err  error
}

func (t *tagged) Error() string { return t.err.Error() }
func (t *tagged) Unwrap() error { return t.err }

// draw is the same number for the same call and question, whoever asks.
func draw(seed, id, question uint64) uint64 {
	x := seed*0x9e3779b97f4a7c15 + id*0xbf58476d1ce4e5b9 + question*0x94d049bb133111eb
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// plan draws a call. unit is how long slow things take, about.
func plan(seed, id uint64, unit time.Duration) *call {
	c := &call{id: id}
	d := draw(seed, id, 0) % 1000
	switch {
	case d < 800:
		c.kind = fine
	case d < 860:
		c.kind, c.fails = failing, int32(1+draw(seed, id, 1)%5)
	case d < 880:
		c.kind, c.fails = permanent, 100
	case d < 890:
		c.kind, c.fails = hinting, 1
	case d < 905:
		c.kind = slow
	case d < 920:
		c.kind, c.fails = breaking, 1
	case d < 930:
		c.kind = panicking
	case d < 940:
		c.kind = exiting
	case d < 955:
		c.kind = cancelledBefore
	case d < 970:
		c.kind = cancelledWaiting
	case d < 985:
		c.kind = cancelledInside
	default:
		c.kind = late
	}
	if id/500%20 == 9 && c.kind == fine && draw(seed, id, 2)%10 != 0 {
		c.kind, c.fails = failing, 100 // bad weather: the dependency is down
	}
	c.takes = unit/4 + time.Duration(draw(seed, id, 3)%uint64(unit))
	c.boom = &bomb{id}
	return c
}

// ends makes the ctx of a caller. end must be called.
func (c *call) ends(ctx context.Context, seed uint64) (_ context.Context, end func()) {
	own := draw(seed, c.id, 4)%2 == 0
	switch c.kind {
	case cancelledBefore, cancelledWaiting, cancelledInside:
		if own {
			c.why = &cause{c.id}
		}
		ctx, cancel := context.WithCancelCause(ctx)
		c.cancel = cancel
		if c.kind == cancelledBefore {
			cancel(c.why)
		}
		if c.kind == cancelledWaiting {
			t := time.AfterFunc(c.takes/2, func() { cancel(c.why) })
			return ctx, func() { t.Stop(); cancel(nil) }
		}
		return ctx, func() { cancel(nil) }
	case late:
		if own {
			c.why = &cause{c.id}
		}
		ctx, cancel := context.WithTimeoutCause(ctx, c.takes, c.why)
		return ctx, cancel
	}
	return ctx, func() {}
}
