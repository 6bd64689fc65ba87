package bulkhead

import (
	"context"
	"errors"
	"math"
	"time"
)

// Adaptive lets the limit of a Bulkhead follow the latency of its calls, as
// congestion control in TCP follows the round-trip time. It is on if Max is
// set. It costs two readings of the clock and a mutex for each call.
//
// With a Target it is AIMD (additive increase, multiplicative decrease: Chiu
// and Jain 1989; RFC 5681): the limit grows by one in each window whose mean
// latency is at most Target, and shrinks by a tenth in each other.
//
// Without a Target it is Gradient2 of Netflix's concurrency-limits: the limit
// is scaled by the ratio of the long-term latency to that of the window, with
// half as much again tolerated and the square root of the limit as head room.
// What is normal is learned, so a latency that gets worse slowly, over
// minutes, becomes normal; if you know what is too slow, say it in Target.
//
// In both, a window in which a call reported overload shrinks the limit by a
// tenth, and a window in which less than half of the limit was in use changes
// nothing upwards, since it proves nothing.
type Adaptive struct {
	// Min and Max bound the limit, and Config.Limit must lie between them.
	// Zero Max turns the adaptive limit off; zero Min means 1. No weight above
	// Min is admitted.
	Min, Max int

	// Target is the mean latency above which the limit shrinks. Zero means
	// that the long-term latency decides.
	Target time.Duration

	// Window is how often the limit may change. A window lasts until it has
	// seen ten calls at least, or one that reported overload. Zero means
	// 100 ms.
	Window time.Duration

	// Overload reports whether the error of a call means that the resource has
	// too much to do. Nil means errors.Is(err, context.DeadlineExceeded).
	// The latency of any other failure is left out: failures can be fast. It
	// is called outside all locks.
	Overload func(error) bool
}

const (
	defaultWindow = 100 * time.Millisecond
	windowCalls   = 10  // fewer calls make no mean
	backoff       = 0.9 // what an overload leaves of the limit
	tolerance     = 1.5 // how much slower than usual is still usual
	smoothing     = 0.2 // the share of each new value in the limit
	warmUp        = 10  // windows whose plain mean starts the long-term latency
	longWindows   = 600 // windows over which it is averaged afterwards
)

func (a Adaptive) on() bool { return a.Max != 0 }

func (a Adaptive) withDefaults() Adaptive {
	if !a.on() {
		return a
	}
	if a.Min == 0 {
		a.Min = 1
	}
	if a.Window == 0 {
		a.Window = defaultWindow
	}
	if a.Overload == nil {
		a.Overload = func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	}
	return a
}

func (a Adaptive) check(limit int, bad func(field string, value any, want string) error) error {
	switch {
	case a.Max < 0 || a.Max > math.MaxInt32:
		return bad("Adaptive.Max", a.Max, "0 to 2147483647")
	case a.Min < 0:
		return bad("Adaptive.Min", a.Min, "≥ 0")
	case a.Target < 0:
		return bad("Adaptive.Target", a.Target, "≥ 0")
	case a.Window < 0:
		return bad("Adaptive.Window", a.Window, "≥ 0")
	case !a.on() && (a.Min != 0 || a.Target != 0 || a.Window != 0 || a.Overload != nil):
		return bad("Adaptive.Max", a.Max, "≥ 1 when other fields of Adaptive are set")
	case a.on() && (limit < a.Min || limit > a.Max):
		return bad("Limit", limit, "Adaptive.Min to Adaptive.Max")
	}
	return nil
}

// verdict is what a finished call says about the limit.
type verdict int

const (
	ignored    verdict = iota // nothing: it failed, panicked or exited
	good                      // its latency counts
	overloaded                // the limit is too high
)

// adaptive is the state of an adaptive limit, guarded by Bulkhead.mu.
type adaptive struct {
	cfg   *Adaptive
	limit float64 // the limit before rounding down
	long  float64 // long-term latency in nanoseconds
	rolls int     // windows in long, up to warmUp

	// The window that is open.
	began time.Duration
	calls int
	sum   time.Duration
	most  int // the most slots in use when a call ended
	over  bool
}

// sample takes note of a call that ended now after held, with inUse slots in
// use, its own included. It returns the limit if the window is complete.
func (a *adaptive) sample(now, held time.Duration, inUse int, v verdict) (limit int, ok bool) {
	if v == ignored || held > longestTurn {
		return 0, false
	}
	if (a.calls == 0 && !a.over) || now < a.began {
		a.began = now
	}
	a.most = max(a.most, inUse)
	if v == overloaded {
		a.over = true
	} else {
		a.calls++
		a.sum += held
	}
	if now-a.began < a.cfg.Window || (a.calls < windowCalls && !a.over) {
		return 0, false
	}
	a.limit = min(max(a.next(), float64(a.cfg.Min)), float64(a.cfg.Max))
	a.calls, a.sum, a.most, a.over = 0, 0, 0, false
	return int(a.limit), true
}

// next returns the limit that follows from the window.
func (a *adaptive) next() float64 {
	if a.over {
		return a.limit * backoff
	}
	short := max(float64(a.sum)/float64(a.calls), 1)
	used := float64(a.most) >= a.limit/2
	if target := float64(a.cfg.Target); target > 0 {
		switch {
		case short > target:
			return a.limit * backoff
		case used:
			return a.limit + 1
		}
		return a.limit
	}

	if a.rolls < warmUp {
		a.rolls++
		a.long += (short - a.long) / float64(a.rolls)
	} else {
		a.long += (short - a.long) * 2 / (longWindows + 1)
	}
	if a.long > 2*short {
		a.long *= 0.95 // after a long overload, back to normal sooner
	}
	if !used {
		return a.limit
	}
	gradient := min(max(tolerance*a.long/short, 0.5), 1)
	target := a.limit*gradient + math.Sqrt(a.limit)
	return a.limit + (target-a.limit)*smoothing
}
