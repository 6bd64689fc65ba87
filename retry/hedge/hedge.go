package hedge

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// The defaults that a zero field of [Config] stands for.
const (
	defaultQuantile    = 0.95
	defaultMinDelay    = time.Millisecond
	defaultMaxAttempts = 2
	defaultRatio       = 0.1
)

// Config says when a [Hedger] starts an extra attempt. The zero Config is
// sound: one extra attempt for a call that is slower than 95 % of the calls
// before it, and for at most a tenth of the calls.
type Config struct {
	// Name appears in events. Empty is allowed.
	Name string

	// Delay is how long an attempt may go unanswered before an extra one
	// starts. With a Quantile it serves until enough calls were measured.
	// 0 means that the Quantile alone decides, and that there are no extra
	// attempts until then.
	Delay time.Duration

	// Quantile makes the delay the given quantile of the latencies measured,
	// of which the older ones fade: 0.95 hedges the slowest twentieth of the
	// calls. It must be less than 1. 0 means the fixed Delay, or 0.95 if there
	// is none.
	Quantile float64

	// MinDelay is the least delay that a Quantile may give. 0 means 1 ms.
	MinDelay time.Duration

	// MaxAttempts is the number of attempts of a call in all, the first one
	// included. 1 makes no extra attempts. 0 means 2.
	MaxAttempts int

	// Detached is for functions that do not return when their context ends.
	// The call then returns with the first success, or when its context is
	// done, and what still runs is left to end by itself. It costs a goroutine
	// for each attempt. false means that all attempts have returned when the
	// call does.
	Detached bool

	// Ratio is how many extra attempts there may be for one successful call,
	// in the long run; ten may be saved up. It must be zero with a Budget.
	// 0 means 0.1.
	Ratio float64

	// Budget bounds the extra attempts in place of Ratio. A *retry.Budget is
	// one, so that extra attempts and retries can be bounded together. nil
	// means Ratio.
	Budget Budget

	// Discard is given the value of an attempt that succeeded too late, to
	// release what it holds. It may be called after the call has returned if
	// Detached. nil means that the value is closed if it is an io.Closer.
	Discard func(value any)

	// Hooks are called on events. All are optional.
	Hooks Hooks
}

// A Hedger makes calls and starts an extra attempt of those that take unusually
// long. Any number of goroutines may share one.
type Hedger struct {
	cfg      Config     // with the defaults filled in; never written after New
	measured *latencies // nil with a fixed delay

	// Written by the goroutines of the calls, each with a plain addition.
	calls, hedges, wins, overBudget, discarded atomic.Uint64
	abandoned                                  atomic.Int64
}

// New returns a Hedger. On failure it returns an error that names the field
// that is out of its bounds.
func New(cfg Config) (*Hedger, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.fill()
	h := &Hedger{cfg: cfg}
	if cfg.Quantile > 0 {
		h.measured = &latencies{quantile: cfg.Quantile}
	}
	return h, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Hedger {
	h, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return h
}

// Do is [DoValue] for functions without a value.
func (h *Hedger) Do(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("hedge: fn is nil")
	}
	_, err := DoValue(ctx, h, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	})
	return err
}

// DoValue calls fn, and calls it again at the same time if it has not returned
// after the delay. fn must be safe to run twice at once, and whatever it does
// must be safe to be done twice.
//
// On success it returns the value of the attempt that succeeded first; the
// context of the others then ends with the cause [ErrLost]. If every attempt
// fails, it returns what the first attempt returned, unwrapped. An error is no
// reason for an extra attempt; that is the business of a retry. If ctx is done
// before the call, fn is not called.
//
// The contexts of the attempts end with the call, so fn must not return
// something that still needs its own.
//
// DoValue panics if fn is nil. A panic or Goexit of the first attempt passes
// through, after the other attempts have returned. A panic of an extra
// attempt, or of any if Detached, ends the program, as in any goroutine.
func DoValue[T any](ctx context.Context, h *Hedger, fn func(context.Context) (T, error)) (T, error) {
	if fn == nil {
		panic("hedge: fn is nil")
	}
	if ctx.Err() != nil {
		var zero T
		return zero, ctxErr(ctx)
	}
	h.calls.Add(1)
	c := &call[T]{h: h, fn: fn, delay: h.delay()}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	var v T
	var err error
	if h.cfg.Detached {
		v, err = c.detached(ctx)
	} else {
		v, err = c.cooperative(ctx)
	}
	if err == nil {
		h.cfg.Budget.Deposit()
	}
	return v, err
}

// Wrap returns fn hedged by h, with the same signature, so that guards nest.
func Wrap[T any](h *Hedger, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if fn == nil {
		panic("hedge: fn is nil")
	}
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, h, fn)
	}
}

// delay returns the delay before an extra attempt, 0 if there is to be none.
func (h *Hedger) delay() time.Duration {
	if h.cfg.MaxAttempts == 1 {
		return 0
	}
	if h.measured != nil {
		if d := h.measured.current(); d > 0 {
			return max(d, h.cfg.MinDelay)
		}
	}
	return h.cfg.Delay
}

func (c *Config) check() error {
	switch {
	case c.Delay < 0:
		return fmt.Errorf("hedge: Config.Delay is %v, want ≥ 0", c.Delay)
	case !(c.Quantile >= 0 && c.Quantile < 1):
		return fmt.Errorf("hedge: Config.Quantile is %v, want 0 to below 1", c.Quantile)
	case c.MinDelay < 0:
		return fmt.Errorf("hedge: Config.MinDelay is %v, want ≥ 0", c.MinDelay)
	case c.MaxAttempts < 0:
		return fmt.Errorf("hedge: Config.MaxAttempts is %d, want ≥ 0", c.MaxAttempts)
	case !(c.Ratio >= 0 && c.Ratio <= maxSaved):
		return fmt.Errorf("hedge: Config.Ratio is %v, want 0 to %d", c.Ratio, maxSaved)
	case c.Ratio != 0 && c.Budget != nil:
		return fmt.Errorf("hedge: Config.Ratio is %v, want 0 with a Budget", c.Ratio)
	}
	return nil
}

func (c *Config) fill() {
	if c.Quantile == 0 && c.Delay == 0 {
		c.Quantile = defaultQuantile
	}
	if c.MinDelay == 0 {
		c.MinDelay = defaultMinDelay
	}
	if c.MaxAttempts == 0 {
		c.MaxAttempts = defaultMaxAttempts
	}
	if c.Ratio == 0 {
		c.Ratio = defaultRatio
	}
	if c.Budget == nil {
		c.Budget = newAllowance(c.Ratio)
	}
	if c.Discard == nil {
		c.Discard = closeValue
	}
}
