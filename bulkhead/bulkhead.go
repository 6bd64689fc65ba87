package bulkhead

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of the Config fields that are left zero.
const (
	defaultLimit      = 10
	defaultMaxWaiting = 1024
)

// Config describes a Bulkhead. The zero Config is usable: ten slots, and at
// most 1024 callers waiting for one in the order in which they came.
type Config struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Limit is how many slots there are: the total weight of the calls that
	// may run at one time. Zero means 10. With Adaptive it is the limit to
	// start from. The largest is math.MaxInt32, so weigh large things in
	// larger units (kilobytes instead of bytes).
	Limit int

	// MaxWaiting is how many callers may wait at one time; the next one is
	// refused with a *FullError. Zero means 1024: a queue without a bound
	// turns a dependency that hangs into a process without memory.
	MaxWaiting int

	// MaxWait is how long one caller may wait before it is refused with a
	// *FullError. Zero means as long as its ctx allows.
	MaxWait time.Duration

	// NoWait refuses at once when there is no free slot, instead of waiting
	// for one. MaxWaiting, MaxWait and LIFOAfter must then be zero.
	NoWait bool

	// IgnoreDeadline lets a caller wait although its ctx will expire before
	// the turn it can expect. The default is to refuse it at once, because
	// to let it wait is to do work for a caller that has left.
	IgnoreDeadline bool

	// LIFOAfter turns the queue around under overload: once callers have been
	// waiting without a break for this long, the newest goes first (and, when
	// MaxWaiting is reached, the oldest is refused in favour of the newest),
	// until the queue has been empty once. Zero means first in, first out,
	// always.
	LIFOAfter time.Duration

	// Adaptive lets the limit follow the latency of the calls. The zero value
	// keeps the limit as it is set.
	Adaptive Adaptive

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// Bulkhead bounds how many calls run at one time. It is safe for use by many
// goroutines. Make one with New or MustNew, one for each resource that is to
// be kept apart from the others.
type Bulkhead struct {
	// The first cache line: all that a call touches, even one that waits.

	// slots is the whole state that an uncontended call touches. Its value is
	//
	//	free slots - debts - reason × (1 if somebody waits + 1 if watching + 1 if closed)
	//
	// so if it is at least n, then n slots can be taken without asking anybody.
	// Free is below zero after Resize has shrunk the limit under the calls that
	// run. Everybody adds a released weight. A taken weight is subtracted by a
	// compare-and-swap from a value that was at least as large; or, if it is
	// one, without looking, and is a debt of the caller if it was not there
	// (see takeOne). The rest (reasons, limit changes, the slots given to
	// waiters, settled debts) is written with mu held.
	slots atomic.Int64

	mu       sync.Mutex // guards all down to changes; never held over a wait or a user's function
	queue    queue
	limit    int
	most     int // no more slots are in use: the limit, or what it was before it shrank
	closed   bool
	watching bool // somebody was refused, the next release is to be measured
	telling  bool // a goroutine is delivering changes

	// Lines that are touched when something is measured.
	busySince time.Duration // since when the queue has not been empty; kept if LIFOAfter is set
	turns     turns
	counts    *counts         // nil until there is something to count
	drainers  []chan struct{} // closed when the last slot of a closed bulkhead comes back
	changes   []LimitChange   // for OnLimitChange, not yet delivered

	tries atomic.Uint64 // refusals by TryAcquire; written by whoever is refused

	// Set by New and, but for busy in hint, never written again.
	heaviest int // the largest weight, whatever the limit: Adaptive.Min, or the largest limit

	// hint is 0 where a caller may take a slot by subtraction, else a set of
	// the bits below. It is away from the word, since it is read before the
	// word and seldom written. Its writer has mu locked, and it is right
	// whenever mu is free, but only speed depends on busy.
	hint atomic.Uint32

	timed    bool // a release has to know how long the slot was held
	cfg      Config
	base     time.Time // times are durations since base: half the cost of time.Now
	adaptive *adaptive // nil if the limit is fixed; what it points to is guarded by mu

	// Objects of this size begin at a cache line, which those of the next
	// smaller size class do not. TestBulkheadBytes watches over it.
	_ [16]byte
}

// The bits of Bulkhead.hint.
const (
	watched = 1 << iota // an admission has to read the clock or call a hook; set by New
	busy                // the word has a reason in it
)

// New returns a Bulkhead as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field.
func New(cfg Config) (*Bulkhead, error) {
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	if cfg.MaxWaiting == 0 && !cfg.NoWait {
		cfg.MaxWaiting = defaultMaxWaiting
	}
	cfg.Adaptive = cfg.Adaptive.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	b := &Bulkhead{
		cfg:   cfg,
		base:  time.Now(),
		limit: cfg.Limit,
		most:  cfg.Limit,
		timed: cfg.Adaptive.on() || cfg.Hooks.OnReleased != nil,

		heaviest: math.MaxInt32,
	}
	if cfg.Adaptive.on() {
		b.heaviest = cfg.Adaptive.Min
		b.adaptive = &adaptive{cfg: &b.cfg.Adaptive, limit: float64(cfg.Limit)}
	}
	if b.timed || cfg.Hooks.OnAcquired != nil {
		b.hint.Store(watched)
	}
	b.slots.Store(int64(cfg.Limit))
	return b, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Bulkhead {
	b, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return b
}

// check reports the first field that makes no sense. Defaults are filled in.
func (c Config) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("bulkhead: Config.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Limit < 0 || c.Limit > math.MaxInt32:
		return bad("Limit", c.Limit, "0 to 2147483647")
	case c.MaxWaiting < 0:
		return bad("MaxWaiting", c.MaxWaiting, "≥ 0")
	case c.MaxWait < 0:
		return bad("MaxWait", c.MaxWait, "≥ 0")
	case c.LIFOAfter < 0:
		return bad("LIFOAfter", c.LIFOAfter, "≥ 0")
	case c.NoWait && c.MaxWaiting != 0:
		return bad("MaxWaiting", c.MaxWaiting, "0 with NoWait")
	case c.NoWait && c.MaxWait != 0:
		return bad("MaxWait", c.MaxWait, "0 with NoWait")
	case c.NoWait && c.LIFOAfter != 0:
		return bad("LIFOAfter", c.LIFOAfter, "0 with NoWait")
	}
	return c.Adaptive.check(c.Limit, bad)
}

// Do runs fn with one slot taken, waiting for the slot if need be, and gives
// the slot back when fn returns, panics or calls runtime.Goexit. It returns
// fn's error as it is.
//
// If no slot was had, fn is not called, nothing has changed, and the error is
// a *FullError (matches ErrFull), ErrClosed, or the error of ctx (which also
// matches context.Cause). A ctx that is done before the call is an error even
// when slots are free. Do does not allocate unless it waits or is refused.
func (b *Bulkhead) Do(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("bulkhead: fn is nil")
	}
	if ctx.Err() == nil && b.hint.Load() == 0 && b.takeOne() { // acquire, written out for speed
		defer b.release(1)
		return fn(ctx)
	}
	start, err := b.acquire(ctx, 1)
	if err != nil {
		return err
	}
	returned := false
	defer func() { b.finish(1, start, err, returned) }()
	err = fn(ctx)
	returned = true
	return err
}

// DoValue is Do for a function that also returns a value. When fn is not
// called the value is the zero value of T.
func DoValue[T any](ctx context.Context, b *Bulkhead, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		panic("bulkhead: fn is nil")
	}
	if ctx.Err() == nil && b.hint.Load() == 0 && b.takeOne() { // acquire, written out for speed
		defer b.release(1)
		return fn(ctx)
	}
	start, err := b.acquire(ctx, 1)
	if err != nil {
		return v, err
	}
	returned := false
	defer func() { b.finish(1, start, err, returned) }()
	v, err = fn(ctx)
	returned = true
	return v, err
}

// Wrap returns a function that runs fn through DoValue, for nesting with other
// guards.
func Wrap[T any](b *Bulkhead, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if fn == nil {
		panic("bulkhead: fn is nil")
	}
	return func(ctx context.Context) (T, error) { return DoValue(ctx, b, fn) }
}

// Acquire takes one slot, waiting for it if need be. On success the caller
// owns the permit and must release it, best by defer. On failure nothing is
// held and the error is as for Do.
func (b *Bulkhead) Acquire(ctx context.Context) (Permit, error) {
	return b.AcquireN(ctx, 1)
}

// AcquireN is Acquire for n slots at once, all or none. While a heavy caller
// waits, those behind it wait too, even if they would fit: otherwise a stream
// of light ones would starve it. An n below 1, or above the limit (with
// Adaptive: above its Min, so that no adjustment can strand a waiter), is a
// *WeightError at once.
func (b *Bulkhead) AcquireN(ctx context.Context, n int) (Permit, error) {
	if n == 1 {
		if ctx.Err() == nil && b.hint.Load() == 0 && b.takeOne() { // as in Do
			return Permit{b: b, n: 1}, nil
		}
	} else if n > 1 && ctx.Err() == nil && !b.observed() && b.take(n) {
		return Permit{b: b, n: n}, nil
	}
	start, err := b.acquire(ctx, n)
	if err != nil {
		return Permit{}, err
	}
	return Permit{b: b, n: n, start: start}, nil
}

// TryAcquire takes one slot if one is free and nobody waits for it. It never
// waits. If it reports false, nothing is held. One who waits is also a caller
// in this moment inside Acquire or Do who found no slot: one that comes back
// now is kept for him.
func (b *Bulkhead) TryAcquire() (Permit, bool) {
	return b.TryAcquireN(1)
}

// TryAcquireN is TryAcquire for n slots at once, all or none. It reports false
// for an n that AcquireN would refuse with a *WeightError.
func (b *Bulkhead) TryAcquireN(n int) (Permit, bool) {
	if n < 1 || n > b.heaviest || (!b.take(n) && !b.takeSlow(n)) {
		b.tries.Add(1)
		b.tellRefused(n, ErrFull)
		return Permit{}, false
	}
	var start time.Duration
	if b.observed() {
		start = b.admitted(n, 0)
	}
	return Permit{b: b, n: n, start: start}, true
}

// Resize sets the limit. Growing wakes the waiters that now fit. Shrinking
// takes nothing from anybody: calls that run go on, and new ones are admitted
// when enough of them have ended. A waiter whose weight the new limit can
// never hold is refused with a *WeightError, since it would block the queue
// for ever.
//
// With Adaptive, limit must be within Min and Max, and the algorithm goes on
// from there. A limit out of range is an error and changes nothing, as does
// ErrClosed after Close or Drain.
func (b *Bulkhead) Resize(limit int) error {
	least, most := 1, math.MaxInt32
	if b.adaptive != nil {
		least, most = b.cfg.Adaptive.Min, b.cfg.Adaptive.Max
	}
	if limit < least || limit > most {
		return fmt.Errorf("bulkhead: Resize to %d, want %d to %d", limit, least, most)
	}
	b.mu.Lock()
	if b.closed {
		b.unlock()
		return ErrClosed
	}
	if b.adaptive != nil {
		b.adaptive.limit = float64(limit)
	}
	b.resizeLocked(limit)
	b.unlock()
	b.tellLimit()
	return nil
}

// Drain refuses new callers with ErrClosed from now on and waits until those
// who already wait have had their turn and every slot has come back. It
// returns nil then. When ctx is done first, the callers still waiting are
// refused with ErrClosed, the calls still running are left alone, and the
// error says how many of both there were and matches the error of ctx and its
// cause. Drain may be called again, and by many.
func (b *Bulkhead) Drain(ctx context.Context) error {
	b.mu.Lock()
	b.closeLocked()
	if b.idleLocked() {
		b.unlock()
		return nil
	}
	// A channel for each call, as one kept in the Bulkhead could be met from
	// two synctest bubbles.
	idle := make(chan struct{})
	b.drainers = append(b.drainers, idle)
	b.unlock()

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}

	b.mu.Lock()
	for i, d := range b.drainers {
		if d == idle {
			b.drainers = append(b.drainers[:i], b.drainers[i+1:]...)
			break
		}
	}
	waiting, inUse := b.queue.len, b.inUseLocked()
	b.refuseAllLocked()
	b.unlock()
	if inUse == 0 {
		return nil // it became idle in the same moment
	}
	return fmt.Errorf("bulkhead: %sdrain left %d in use and refused %d waiting: %w",
		prefix(b.cfg.Name), inUse, waiting, ctxError(ctx))
}

// Close refuses new callers and those who wait with ErrClosed, and returns at
// once. Calls that run go on, and their release is still safe. Close is
// idempotent and always returns nil.
func (b *Bulkhead) Close() error {
	b.mu.Lock()
	b.closeLocked()
	b.refuseAllLocked()
	b.unlock()
	return nil
}

// observed reports whether an admission has to read the clock or call a hook.
func (b *Bulkhead) observed() bool { return b.hint.Load()&watched != 0 }

// now is the time since b was made.
func (b *Bulkhead) now() time.Duration { return time.Since(b.base) }
