package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// SingleConfig describes a Single. The zero SingleConfig is usable: 100 events
// in any minute.
type SingleConfig struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Limits are the rules, all of which hold. None means
	// Per(100, time.Minute).
	Limits []Limit

	// MaxWait lets Do wait that long for its permit. Zero means not at all.
	// Wait is bounded by its ctx alone.
	MaxWait time.Duration

	// MaxWaiting is how many may wait, reservations included; the next is
	// refused. Zero means 128.
	MaxWaiting int

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// Single limits how often one thing happens, without keys. It is safe for use
// by many goroutines. Make one with NewSingle or MustNewSingle.
type Single struct {
	// arrival is the state of a lone GCRA rule while nobody waits: its
	// theoretical arrival time, changed by whoever takes permits, by
	// compare-and-swap. It is away while the state is in s instead, and for
	// good if there are other rules; that is written with mu held.
	arrival atomic.Int64

	// until is a time before which there is no permit, so that a flood of
	// refusals takes no lock. Written with mu held.
	until atomic.Int64

	// limited counts refusals without the lock; written by whoever is refused.
	limited atomic.Uint64

	mu      sync.Mutex // guards the following; never held over a wait or a user's function
	s       state
	counts  counts
	changes uint64 // how often arrival was found changed

	plan *Plan
	free bool // a lone GCRA rule: arrival is in use
	told bool // there are hooks
	base time.Time
	cfg  SingleConfig
}

// away is no arrival time.
const away = -1

// NewSingle returns a Single as described by cfg. It fails if a field has a
// value that makes no sense, and the error names the field.
func NewSingle(cfg SingleConfig) (*Single, error) {
	plan, err := common(&cfg.Limits, cfg.MaxWait, &cfg.MaxWaiting)
	if err != nil {
		return nil, err
	}
	r := &plan.rules[0]
	l := &Single{
		plan: plan,
		free: len(plan.rules) == 1 && r.gcra && !r.shadow && r.limit > 0,
		told: cfg.Hooks.OnLimited != nil || cfg.Hooks.OnShadowed != nil,
		base: time.Now(),
		cfg:  cfg,
	}
	l.s.equip(plan, plan)
	if !l.free {
		l.arrival.Store(away)
	}
	return l, nil
}

// MustNewSingle is NewSingle for package variables: it panics where NewSingle
// returns an error.
func MustNewSingle(cfg SingleConfig) *Single {
	l, err := NewSingle(cfg)
	if err != nil {
		panic(err.Error())
	}
	return l
}

// Allow takes one permit and reports whether it got it. It does not allocate,
// but for the ring of events as it grows to its full size. A refusal takes
// nothing.
func (l *Single) Allow() bool {
	now := l.clock()
	if l.told {
		return l.take(1, now).Allowed
	}
	if l.free {
		if ok, done := l.allowFree(now); done {
			return ok
		}
		return l.take(1, now).Allowed
	}
	if now < l.until.Load() {
		l.limited.Add(1)
		return false
	}
	if !l.plan.simple {
		return l.take(1, now).Allowed
	}
	l.mu.Lock()
	if l.s.waiting() {
		l.mu.Unlock()
		return l.take(1, now).Allowed
	}
	ok := l.s.allowOne(l.plan, now)
	if !ok {
		l.counts.limited++
		g := l.s.ring(l.plan, 0)
		l.until.Store(g.leaves(0))
	}
	l.mu.Unlock()
	return ok
}

// allowFree takes one permit without the lock. It is not done if somebody
// waits.
func (l *Single) allowFree(now int64) (ok, done bool) {
	r := &l.plan.rules[0]
	most := now + r.interval*int64(r.limit-1) // the latest arrival time that lets one in
	for {
		tat := l.arrival.Load()
		switch {
		case tat == away:
			return false, false
		case tat > most:
			l.limited.Add(1)
			return false, true
		case l.arrival.CompareAndSwap(tat, max(tat, now)+r.interval):
			return true, true
		}
	}
}

// AllowAt is Allow for something that happens at now, for batches and for
// replaying the past. Time does not go back: a now before the last event
// counts as the time of that. So no order of calls creates permits.
func (l *Single) AllowAt(now time.Time) bool { return l.take(1, instant(l.base, now)).Allowed }

// Take takes n permits, all or none, and says how things stand. A refusal
// takes nothing. With n zero it is Peek for no permit. A negative n panics.
func (l *Single) Take(n int) Decision { return l.take(n, l.clock()) }

// TakeAt is Take for something that happens at now; see AllowAt.
func (l *Single) TakeAt(n int, now time.Time) Decision { return l.take(n, instant(l.base, now)) }

func (l *Single) take(n int, now int64) (d Decision) {
	notNegative(n)
	if l.plan.denies >= 0 {
		d = l.plan.denial()
		l.limited.Add(1)
	} else if d = l.takeFree(n, now); d.Limit == 0 {
		s, p, _ := l.enter(now)
		d = s.take(p, n, now)
		l.count(&d)
		l.exit()
	}
	l.tell(n, &d)
	return d
}

// takeFree is take without the lock. Its decision is the zero Decision if that
// could not be.
func (l *Single) takeFree(n int, now int64) (d Decision) {
	for {
		tat := l.arrival.Load()
		if tat == away {
			return Decision{}
		}
		var s state // as it would be; it lives for this call only
		g := s.ring(l.plan, 0)
		g.setArrival(tat)
		var ms readings
		if d = s.decide(l.plan, n, now, 0, &ms); !d.Allowed {
			l.limited.Add(1)
			return d
		}
		next := max(tat, now) + g.r.interval*int64(n)
		if n == 0 || l.arrival.CompareAndSwap(tat, next) {
			d.Remaining -= n
			d.ResetAfter = time.Duration(next - now)
			return d
		}
	}
}

// TakeAtMost takes as many permits as there are, up to n, and returns how many
// that was. If there was none, the Decision says when the next one comes.
func (l *Single) TakeAtMost(n int) (int, Decision) {
	notNegative(n)
	now := l.clock()
	if l.plan.denies >= 0 {
		return 0, l.take(n, now)
	}
	s, p, _ := l.enter(now)
	got := s.spare(p, n, now)
	d := s.take(p, max(got, min(n, 1)), now)
	l.count(&d)
	l.exit()
	l.tell(n, &d)
	return got, d
}

// Peek says what Take of one permit would answer, and takes nothing.
func (l *Single) Peek() Decision {
	if l.plan.denies >= 0 {
		return l.plan.denial()
	}
	now := l.clock()
	s, p, _ := l.enter(now)
	defer l.exit()
	return s.peek(p, 1, now)
}

// Refund gives back n permits, the newest first, as for a request that turned
// out to cost nothing. Those that have left the window by now, or were never
// taken, cannot be given back.
func (l *Single) Refund(n int) {
	notNegative(n)
	now := l.clock()
	if s, p, _ := l.enter(now); s != nil {
		s.refund(p, n, now)
		l.exit()
	}
}

// Reset forgets all events. Those who wait move up.
func (l *Single) Reset() {
	now := l.clock()
	if s, p, _ := l.enter(now); s != nil {
		s.forget(p, now)
		l.exit()
	}
}

// Wait takes one permit and waits for it if need be, in the order of arrival.
// On failure nothing was taken, and the error is that of ctx (which also
// matches context.Cause) or a *LimitedError, which matches ErrLimited: if the
// permit will not come before the ctx's deadline the caller is told at once,
// and so it is if MaxWaiting others wait. A ctx that is done before the call
// is an error even if there are permits.
func (l *Single) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// WaitN is Wait for n permits, all or none. While it waits for many, those
// behind it wait too, even if theirs were there.
func (l *Single) WaitN(ctx context.Context, n int) error {
	notNegative(n)
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return l.await(ctx, n, unbounded)
}

// await takes n permits, waiting up to longest.
func (l *Single) await(ctx context.Context, n int, longest time.Duration) error {
	now := l.clock()
	if s, p, _ := l.enter(now); s != nil {
		if d := s.take(p, n, now); d.Allowed {
			l.count(&d)
			l.exit()
			l.tell(n, &d)
			return nil
		}
		l.exit()
	}
	return await(ctx, l, n, longest)
}

// Reserve takes n permits at the earliest time at which the limits allow it,
// which Reservation.Delay tells. Those who come later are served later, so a
// reservation that will not be used should be cancelled. On failure, because
// there never will be such a time or MaxWaiting others wait, nothing is taken,
// and the error is a *LimitedError.
func (l *Single) Reserve(n int) (Reservation, error) { return reserve(l, n) }

// Do runs fn if there is a permit, for which it waits up to
// SingleConfig.MaxWait. It returns fn's error as it is. The permit is taken
// whatever becomes of fn; Refund gives it back. If there is none, fn is not
// called, and the error is as for Wait.
func (l *Single) Do(ctx context.Context, fn func(context.Context) error) error {
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	if err := l.admit(ctx); err != nil {
		return err
	}
	return fn(ctx)
}

// DoValue is Single.Do for a function that also returns a value. When fn is
// not called the value is the zero value of T.
func DoValue[T any](ctx context.Context, l *Single, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	if err := l.admit(ctx); err != nil {
		return v, err
	}
	return fn(ctx)
}

// Wrap returns a function that runs fn through DoValue, for nesting with other
// guards.
func Wrap[T any](l *Single, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	return func(ctx context.Context) (T, error) { return DoValue(ctx, l, fn) }
}

// admit takes the permit of a call.
func (l *Single) admit(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if l.cfg.MaxWait > 0 {
		return l.await(ctx, 1, l.cfg.MaxWait)
	}
	if d := l.Take(1); !d.Allowed {
		return &LimitedError{Name: l.cfg.Name, Reason: Exceeded, Permits: 1, Decision: d}
	}
	return nil
}

// Stats returns a snapshot. It takes the lock for a moment.
func (l *Single) Stats() Stats {
	out := Stats{Name: l.cfg.Name, Limited: l.limited.Load()}
	now := l.clock()
	if s, p, _ := l.enter(now); s != nil {
		out.Waiting = s.pending(p, now)
		out.add(&l.counts)
		l.exit()
	}
	out.Keys, out.Allowed = 1, 0
	return out
}

// A Single is the site of its own state.

func (l *Single) enter(now int64) (*state, *Plan, Decision) {
	if l.plan.denies >= 0 {
		return nil, l.plan, l.plan.denial()
	}
	l.mu.Lock()
	l.until.Store(0) // what is done under the lock may bring permits back
	if l.free {
		g := l.s.ring(l.plan, 0)
		if tat := l.arrival.Swap(away); tat != away && tat != g.arrival() {
			g.setArrival(tat)
			l.s.newest = max(l.s.newest, now) // others have had permits since
			l.changes++
		}
	}
	return &l.s, l.plan, Decision{}
}

func (l *Single) exit() {
	if l.free && !l.s.waiting() {
		g := l.s.ring(l.plan, 0)
		l.arrival.Store(g.arrival())
	}
	l.mu.Unlock()
}

func (l *Single) count(d *Decision) {
	if l.plan.denies >= 0 {
		l.limited.Add(1)
		return
	}
	l.counts.count(d)
}

func (l *Single) mark() uint64     { return l.changes }
func (l *Single) outside() bool    { return false }
func (l *Single) clock() int64     { return epoch + int64(time.Since(l.base)) }
func (l *Single) common() settings { return settings{l.cfg.Name, l.cfg.MaxWaiting} }

func (l *Single) tell(n int, d *Decision) {
	if l.told {
		l.cfg.Hooks.tell(l.cfg.Name, nil, n, d)
	}
}
