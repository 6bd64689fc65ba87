package retry

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Unlimited as [Config.MaxAttempts] sets no limit: only success, an error
// that is not to be retried, the context, MaxElapsed or the Budget end a call.
const Unlimited = math.MaxInt

// The defaults that a zero field of [Config] stands for.
const (
	defaultMaxAttempts   = 4
	defaultBaseDelay     = 100 * time.Millisecond
	defaultMaxDelay      = 10 * time.Second
	defaultMaxRetryAfter = time.Minute
)

// Config says how a [Retrier] retries. The zero Config is sound: at most four
// attempts, exponential delays from 100 ms to 10 s with full jitter.
type Config struct {
	// Name appears in errors and events. Empty is allowed.
	Name string

	// MaxAttempts is the number of attempts in all, the first one included:
	// 4 is one attempt and up to three retries. 0 means 4; [Unlimited] sets
	// no limit.
	MaxAttempts int

	// BaseDelay is the delay that Backoff grows from. 0 means 100 ms. For
	// retries without any delay see NoDelay.
	BaseDelay time.Duration

	// MaxDelay caps every computed delay, whatever the jitter draws. It must
	// not be less than BaseDelay. 0 means 10 s, or BaseDelay if that is more.
	MaxDelay time.Duration

	// Backoff computes the delay that Jitter then spreads. nil means
	// [Exponential].
	Backoff Backoff

	// Jitter spreads the delays so that clients that failed together do not
	// come back together. 0 means [FullJitter].
	Jitter Jitter

	// NoDelay makes retries follow at once, unless the error itself asks for a
	// delay. It is meant for conflicts in memory and optimistic locks, where a
	// retry costs nanoseconds and must cost no more: such a Retrier makes no
	// timer and no context, so it neither marks its attempts ([FromContext])
	// nor heeds the marks of an outer retry, and [Stats] does not count its
	// retries. Backoff, Jitter, BaseDelay and MaxDelay must then be zero.
	NoDelay bool

	// MaxElapsed limits a call from its start to the start of its last
	// attempt. A delay that would pass it is not begun. 0 means no limit.
	MaxElapsed time.Duration

	// AttemptTimeout limits each attempt by a context with that timeout, whose
	// cause is [ErrAttemptTimeout]. An attempt that fails so is retried. The
	// context ends with the attempt, so fn must not return something that
	// still needs it (a *sql.Rows; for HTTP see package retryhttp). 0 means no
	// limit.
	AttemptTimeout time.Duration

	// MaxRetryAfter is the longest delay an error may ask for by its method
	// RetryAfter() time.Duration. A call told to wait longer gives up at once.
	// 0 means 1 minute.
	MaxRetryAfter time.Duration

	// If reports whether an error is worth another attempt. It is not asked
	// about errors marked by [Permanent], nor once the caller's context is
	// done. nil means that every error is.
	If func(error) bool

	// Budget limits retries in proportion to successes. It may be shared by
	// any number of Retriers. nil means no limit.
	Budget *Budget

	// Nested makes this Retrier retry even when it runs inside a retry of
	// another one. Without it such a call makes a single attempt, because the
	// outer retry is already trying again.
	Nested bool

	// Hooks are called on events. All are optional.
	Hooks Hooks
}

// A Retrier calls functions until they succeed, as its [Config] says. It is
// immutable but for its counters; any number of goroutines may share one.
type Retrier struct {
	cfg   Config // with the defaults filled in; never written after New
	timed bool   // MaxElapsed or AttemptTimeout is set; never written after New
	bare  bool   // nothing but MaxAttempts and the context bounds a NoDelay; never written after New

	// counts lives apart, so that counting never takes the cache line of cfg
	// from the callers that only read it.
	counts *counters
}

// New returns a Retrier. On failure it returns an error that names the field
// that is out of its bounds.
func New(cfg Config) (*Retrier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.fill()
	timed := cfg.MaxElapsed > 0 || cfg.AttemptTimeout > 0
	return &Retrier{
		cfg:    cfg,
		timed:  timed,
		bare:   cfg.NoDelay && !timed && cfg.If == nil && cfg.Budget == nil && cfg.Hooks.OnRetry == nil,
		counts: new(counters),
	}, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Retrier {
	r, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return r
}

// Do calls fn until it succeeds.
//
// On success it returns nil. When an attempt fails with an error that is not
// to be retried, it returns that error exactly as fn returned it, be it the
// first attempt or the last. When it wanted another attempt and could not make
// it, it returns an [*Error], which matches the errors of the attempts and the
// reason: [ErrExhausted], [ErrElapsed], [ErrBudget], [ErrRetryAfter] or the
// error of ctx. If ctx is done before the first attempt, fn is not called.
//
// Do never begins a delay that would end after the deadline of ctx; it gives up
// at once, and the error then matches [context.DeadlineExceeded] although ctx
// is not yet done.
//
// A first attempt that succeeds allocates nothing and reads no clock. Do panics
// if fn is nil. A panic or Goexit of fn passes through and is not retried.
func (r *Retrier) Do(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("retry: fn is nil")
	}
	if ctx.Err() != nil {
		return ctxErr(ctx)
	}
	if r.timed {
		return r.again(ctx, fn, nil)
	}
	err := fn(ctx)
	if err != nil {
		return r.again(ctx, fn, err)
	}
	if r.cfg.Budget != nil {
		r.cfg.Budget.Deposit()
	}
	return nil
}

// DoValue is [Retrier.Do] for functions that also return a value. It returns
// the value of the last attempt made, with the error that Do would return.
func DoValue[T any](ctx context.Context, r *Retrier, fn func(context.Context) (T, error)) (T, error) {
	if fn == nil {
		panic("retry: fn is nil")
	}
	if r.timed || ctx.Err() != nil {
		var zero T
		return againValue(ctx, r, fn, zero, nil)
	}
	v, err := fn(ctx)
	if err != nil {
		return againValue(ctx, r, fn, v, err)
	}
	if r.cfg.Budget != nil {
		r.cfg.Budget.Deposit()
	}
	return v, nil
}

// againValue is DoValue from its first failure on, or from its start if err is
// nil. It is a function of its own because v is shared with a closure here.
func againValue[T any](ctx context.Context, r *Retrier, fn func(context.Context) (T, error), v T, err error) (T, error) {
	each := func(ctx context.Context) (err error) {
		v, err = fn(ctx)
		return err
	}
	if err == nil {
		err = r.Do(ctx, each)
	} else {
		err = r.again(ctx, each, err)
	}
	return v, err
}

// DoUntil is [DoValue] for results that can be wrong without an error, as in
// polling: an attempt whose value accept refuses has failed with
// [ErrUnaccepted], is retried whatever Config.If says, and counts in the budget
// like any failure. The last value comes back even with an error.
func DoUntil[T any](ctx context.Context, r *Retrier, fn func(context.Context) (T, error), accept func(T) bool) (T, error) {
	if fn == nil {
		panic("retry: fn is nil")
	}
	if accept == nil {
		panic("retry: accept is nil")
	}
	return DoValue(ctx, r, func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		if err == nil && !accept(v) {
			err = ErrUnaccepted
		}
		return v, err
	})
}

// Wrap returns fn retried by r, with the same signature, so that guards nest:
// retry.Wrap(r, breaker.Wrap(b, fetch)).
func Wrap[T any](r *Retrier, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if fn == nil {
		panic("retry: fn is nil")
	}
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, r, fn)
	}
}

// again is Do from its first failure on, which is err. It is a function of its
// own so that the state of a retry costs nothing where there is none. If err is
// nil, the first attempt is still to be made.
func (r *Retrier) again(ctx context.Context, fn func(context.Context) error, err error) error {
	var s run
	if err == nil {
		s.begin(r)
		if err = r.attempt(ctx, fn); err == nil {
			r.succeeded(1)
			return nil
		}
	}
	for {
		if r.bare && s.attempts < r.cfg.MaxAttempts-1 && ctx.Err() == nil && plain(err) {
			// What failed would decide, without the questions that this
			// Retrier does not ask.
			s.keep(err)
		} else {
			delay, final := s.failed(ctx, r, err)
			if final != nil {
				return final
			}
			if delay > 0 {
				if err := s.wait(ctx, delay); err != nil {
					return s.giveUp(r, err)
				}
			}
		}
		if err = r.attempt(s.mark(ctx, r), fn); err == nil {
			r.succeeded(s.attempts + 1)
			return nil
		}
	}
}

// attempt calls fn once, within AttemptTimeout.
func (r *Retrier) attempt(ctx context.Context, fn func(context.Context) error) error {
	if !r.timed {
		return fn(ctx)
	}
	return r.attemptTimed(ctx, fn)
}

func (r *Retrier) attemptTimed(ctx context.Context, fn func(context.Context) error) error {
	if r.cfg.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.cfg.AttemptTimeout, ErrAttemptTimeout)
		defer cancel()
	}
	return fn(ctx)
}

// succeeded books a success in the given attempt.
func (r *Retrier) succeeded(attempt int) {
	if r.cfg.Budget != nil {
		r.cfg.Budget.Deposit()
	}
	if attempt > 1 && !r.cfg.NoDelay {
		r.counts.recovered.Add(1)
	}
}

func (c *Config) check() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"BaseDelay", c.BaseDelay},
		{"MaxDelay", c.MaxDelay},
		{"MaxElapsed", c.MaxElapsed},
		{"AttemptTimeout", c.AttemptTimeout},
		{"MaxRetryAfter", c.MaxRetryAfter},
	} {
		if d.value < 0 {
			return fmt.Errorf("retry: Config.%s is %v, want ≥ 0", d.field, d.value)
		}
	}
	switch {
	case c.MaxAttempts < 0:
		return fmt.Errorf("retry: Config.MaxAttempts is %d, want ≥ 0", c.MaxAttempts)
	case c.Jitter < FullJitter || c.Jitter > NoJitter:
		return fmt.Errorf("retry: Config.Jitter is %d, want one of the constants", c.Jitter)
	case c.MaxDelay > 0 && c.MaxDelay < c.BaseDelay:
		return fmt.Errorf("retry: Config.MaxDelay is %v, want ≥ BaseDelay, which is %v", c.MaxDelay, c.BaseDelay)
	case c.MaxDelay > 0 && c.BaseDelay == 0 && c.MaxDelay < defaultBaseDelay:
		return fmt.Errorf("retry: Config.MaxDelay is %v, want ≥ BaseDelay, which is %v by default", c.MaxDelay, defaultBaseDelay)
	case c.Jitter == DecorrelatedJitter && c.Backoff != nil:
		return fmt.Errorf("retry: Config.Backoff is set, want nil with DecorrelatedJitter, which replaces the Backoff")
	case c.NoDelay && (c.Backoff != nil || c.Jitter != 0 || c.BaseDelay != 0 || c.MaxDelay != 0):
		return fmt.Errorf("retry: Config.NoDelay is true, want Backoff, Jitter, BaseDelay and MaxDelay zero with it")
	}
	return nil
}

func (c *Config) fill() {
	if c.MaxAttempts == 0 {
		c.MaxAttempts = defaultMaxAttempts
	}
	if c.BaseDelay == 0 {
		c.BaseDelay = defaultBaseDelay
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = max(defaultMaxDelay, c.BaseDelay)
	}
	if c.MaxRetryAfter == 0 {
		c.MaxRetryAfter = defaultMaxRetryAfter
	}
	if c.Backoff == nil {
		c.Backoff = Exponential
	}
}
