package breaker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker guards the calls to one dependency, whatever their result types. Its
// methods may be called by any number of goroutines. It owns no goroutine and
// no timer, and needs no closing.
type Breaker struct {
	// What every call reads comes first and is written by transitions only,
	// so that healthy calls on many processors share its cache line.

	word    atomic.Uint64             // a word; written under mu
	rules   atomic.Pointer[rules]     // written under mu by Reconfigure
	win     atomic.Pointer[windows]   // nil until needed; written under mu
	refusal atomic.Pointer[OpenError] // of this stay, nil while closed; written under mu
	base    time.Time                 // what now counts from
	due     atomic.Bool               // whether queue may hold something; written under mu

	name string

	failures      atomic.Uint64 // written by any call that ends
	ignored       atomic.Uint64 // likewise
	refused       atomic.Uint64 // written by any refusal
	shadowRefused atomic.Uint64 // likewise

	// mu guards the following, and all writes of word, rules, win, refusal
	// and due. No user code runs and nothing is waited for while it is held.
	mu         sync.Mutex
	opened     uint64         // transitions to Open
	reopens    uint           // of them, since the last time closed
	tickets    uint32         // the last lease given out
	leases     []lease        // of the probes in flight, oldest first
	queue      []queuedChange // transitions not yet delivered
	delivering bool           // whether a hook is running
}

// New returns a closed breaker, or one in cfg.Mode. It returns an error that
// names the field if cfg has a value out of bounds.
func New(cfg Config) (*Breaker, error) {
	r, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	return newBreaker(cfg.Name, cfg.Mode, r), nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Breaker {
	b, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return b
}

func newBreaker(name string, mode Mode, r *rules) *Breaker {
	b := &Breaker{name: name, base: time.Now()}
	b.rules.Store(r)
	start := word(mode) << modeShift
	if mode == ForceOpen {
		start |= word(Open) << stateShift
		b.refusal.Store(&OpenError{Name: name, State: Open, Rule: RuleMode})
	}
	b.word.Store(uint64(start))
	return b
}

// Do calls fn if the breaker admits it, and returns fn's error as it is. A
// context derived from ctx is passed on.
//
// If ctx is done already, Do returns an error matching ctx.Err() and its
// cause; if the breaker refuses, an *OpenError. In both cases fn is not called
// and nothing is counted, but the refusal.
//
// If fn panics or exits the goroutine, the call counts as failed and the panic
// goes on as if Do were not there.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("breaker: fn is nil")
	}
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	w, r := b.load(), b.rules.Load()
	if !w.clean() || !r.quick {
		if refusal := b.refuse(w); refusal != nil {
			return refusal
		}
		return b.doSlowly(ctx, r, fn)
	}
	// What follows is doCounted for a healthy breaker. It is spelled out here
	// and in DoValue because that halves the time of nearly all calls.
	c := quickCall{b, w}
	defer c.unwind()
	err := fn(ctx)
	if err == nil && b.load() == w {
		c.b = nil
		if r.windowed {
			b.succeed(w)
		}
		return nil
	}
	c.settle(ctx, r, err)
	return err
}

// DoValue is Do for a fn with a result, which it returns as it is.
func DoValue[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		panic("breaker: fn is nil")
	}
	if ctx.Err() != nil {
		return v, ctxError(ctx)
	}
	w, r := b.load(), b.rules.Load()
	if !w.clean() || !r.quick {
		if refusal := b.refuse(w); refusal != nil {
			return v, refusal
		}
		return doSlowly(ctx, b, r, fn, nil)
	}
	c := quickCall{b, w}
	defer c.unwind()
	v, err = fn(ctx)
	if err == nil && b.load() == w {
		c.b = nil
		if r.windowed {
			b.succeed(w)
		}
		return v, nil
	}
	c.settle(ctx, r, err)
	return v, err
}

// DoJudged is DoValue for results that can be failures without an error: judge
// takes the place of Config.Classify, and sees the value, and also calls
// without an error. A nil judge makes it DoValue. A panic in judge counts the
// call as failed.
func DoJudged[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error),
	judge func(context.Context, T, error) Outcome) (T, error) {
	if judge == nil {
		return DoValue(ctx, b, fn)
	}
	if fn == nil {
		panic("breaker: fn is nil")
	}
	if ctx.Err() != nil {
		var none T
		return none, ctxError(ctx)
	}
	return doSlowly(ctx, b, b.rules.Load(), fn, judge)
}

// Wrap returns fn guarded by b: each call of it is a DoValue.
func Wrap[T any](b *Breaker, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if fn == nil {
		panic("breaker: fn is nil")
	}
	return func(ctx context.Context) (T, error) { return DoValue(ctx, b, fn) }
}

// Allow is the first of two steps, for calls that do not fit in a function. On
// success it returns a permit, and the caller must end it when the call is
// over. On failure it returns an *OpenError.
func (b *Breaker) Allow() (Permit, error) {
	w, r := b.load(), b.rules.Load()
	if w.clean() && r.slowCall == 0 {
		return Permit{b: b, grant: grant{word: w}}, nil
	}
	g, err := b.admit(r)
	if err != nil {
		return Permit{}, err
	}
	return Permit{b: b, grant: g}, nil
}

// Name returns Config.Name, or the group's name and the key.
func (b *Breaker) Name() string { return b.name }

// State returns the state. If the open time of an idle breaker is over, or the
// lease of a probe, State makes the transition that the next call would have
// made, and so may run a hook: do not hold a lock that a hook takes.
func (b *Breaker) State() State {
	w := b.load()
	if w.clean() && b.rules.Load().slowInFlight == 0 {
		return Closed
	}
	b.mu.Lock()
	b.advanceLocked(b.now())
	w = b.load()
	b.mu.Unlock()
	b.deliver()
	return w.state()
}

// Mode returns the mode.
func (b *Breaker) Mode() Mode { return b.load().mode() }

// SetMode changes the mode. Between Auto and Shadow the state and all counts
// stay; every other change starts from Open for ForceOpen and from Closed
// otherwise, with all counts at zero, and calls in flight count for nothing.
// It panics if m is not a mode.
func (b *Breaker) SetMode(m Mode) {
	if m > Shadow {
		panic(fmt.Sprintf("breaker: mode is %d, want ≤ %d", m, Shadow))
	}
	b.apply(evAuto + event(m))
}

// Reset closes the breaker and forgets all counts; calls in flight count for
// nothing. The mode stays, and in ForceOpen so does the state.
func (b *Breaker) Reset() { b.apply(evReset) }

// Reconfigure replaces the configuration while calls are in flight. The state
// and the mode stay; so do the counts of windows that keep their length. An
// open time that has begun stays as it is. On failure it returns an error that
// names the field, and leaves the breaker unchanged; cfg.Name must be what it
// was.
func (b *Breaker) Reconfigure(cfg Config) error {
	r, err := cfg.recompile(b.name)
	if err != nil {
		return err
	}
	b.reconfigure(r)
	return nil
}

func (b *Breaker) reconfigure(r *rules) {
	b.mu.Lock()
	b.rules.Store(r)
	if old := b.win.Load(); old != nil {
		w := newWindows(r)
		w.adopt(old)
		b.win.Store(w)
	}
	b.mu.Unlock()
}

// holding reports whether to forget the breaker would let calls through that
// it refuses, or undo what an operator did. It runs no hook.
func (b *Breaker) holding() bool {
	w, refusal := b.load(), b.refusal.Load()
	return w.forced() || w.state() == Open && refusal != nil && refusal.RetryAfter() > 0
}

// now is the time in nanoseconds. Inside a test bubble it can be negative.
func (b *Breaker) now() int64 { return int64(time.Since(b.base)) }

func (b *Breaker) load() word { return word(b.word.Load()) }
