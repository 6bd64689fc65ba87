package ratelimit

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Overflow says what happens to a key that comes when MaxKeys others have
// state that still counts. It never costs one of these its state: to forget a
// key that is at its limit would give it a fresh budget.
type Overflow uint8

// The ways to treat a key without a place of its own.
const (
	// OverflowShared lets all of them share one budget, that of a single key.
	// One that gets a place later starts with what was taken from the shared
	// budget, since that may have been all its own. It is the default.
	OverflowShared Overflow = iota

	// OverflowDeny refuses them.
	OverflowDeny

	// OverflowAllow admits them without counting.
	OverflowAllow
)

// String returns the name of the rule.
func (o Overflow) String() string {
	switch o {
	case OverflowShared:
		return "shared"
	case OverflowDeny:
		return "deny"
	case OverflowAllow:
		return "allow"
	}
	return fmt.Sprintf("Overflow(%d)", uint8(o))
}

// Defaults of the Config fields that are left zero.
const (
	defaultLimit      = 100
	defaultMaxKeys    = 1_000_000
	defaultMaxWaiting = 128
)

// Config describes a Limiter. The zero Config is usable: each key may have 100
// events in any minute.
type Config[K comparable] struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Limits are the rules for each key, all of which hold. None means
	// Per(100, time.Minute).
	Limits []Limit

	// PlanFor returns other limits for some keys: Unlimited for those on an
	// allow-list, nil for those that Limits are meant for. It is called when
	// a key comes that has no state, outside all locks. Nil means that all
	// keys have the same. A key with state keeps its plan until it is idle or
	// Reset.
	PlanFor func(key K) *Plan

	// MaxKeys bounds how many keys have state. Zero means a million. It is
	// divided among the shards that the keys are hashed to, so one shard may
	// be full a few percent before all are.
	MaxKeys int

	// Overflow says how a key is treated for which there is no place. Zero
	// means OverflowShared.
	Overflow Overflow

	// MaxWait lets Do wait that long for its permit. Zero means not at all.
	// Wait is bounded by its ctx alone.
	MaxWait time.Duration

	// MaxWaiting is how many may wait for one key, reservations included; the
	// next is refused. Zero means 128.
	MaxWaiting int

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// Limiter limits how often something happens, for each key apart. It is safe
// for use by many goroutines. Make one with New or MustNew.
type Limiter[K comparable] struct {
	shards []shard[K]
	shift  uint8 // the upper bits of a hash choose the shard
	seed   maphash.Seed
	plan   *Plan // the default
	base   time.Time
	told   bool // there are hooks
	cfg    Config[K]

	stateless atomicCounts // of decisions that needed no state

	spill struct {
		mu     sync.Mutex // guards state and counts; may be taken with a shard's lock held
		state             // of all keys without a place, under the default plan
		counts counts     // of these

		// end is when nothing of state will count any more. Written with mu
		// held, read without.
		end atomic.Int64
	}
}

// New returns a Limiter as described by cfg. It fails if a field has a value
// that makes no sense, and the error names the field.
func New[K comparable](cfg Config[K]) (*Limiter[K], error) {
	plan, err := common(&cfg.Limits, cfg.MaxWait, &cfg.MaxWaiting)
	switch {
	case err != nil:
		return nil, err
	case cfg.MaxKeys < 0:
		return nil, fmt.Errorf("ratelimit: Config.MaxKeys is %d, want ≥ 0", cfg.MaxKeys)
	case cfg.Overflow > OverflowAllow:
		return nil, fmt.Errorf("ratelimit: Config.Overflow is %v, want OverflowShared, OverflowDeny or OverflowAllow", cfg.Overflow)
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = defaultMaxKeys
	}
	// So many shards that the lock of one is seldom wanted by two processors,
	// but none so small that its share of MaxKeys varies much with the hash.
	const least = 256
	shards := 1 << bits.Len(uint(4*runtime.GOMAXPROCS(0)-1))
	for shards > 1 && cfg.MaxKeys/shards < least {
		shards /= 2
	}
	l := &Limiter[K]{
		shards: make([]shard[K], shards),
		shift:  uint8(64 - bits.Len(uint(shards-1))),
		seed:   maphash.MakeSeed(),
		plan:   plan,
		base:   time.Now(),
		told:   cfg.Hooks.OnLimited != nil || cfg.Hooks.OnShadowed != nil,
		cfg:    cfg,
	}
	for i := range l.shards {
		l.shards[i].most = cfg.MaxKeys / shards
		l.shards[i].seed = l.seed
	}
	l.spill.equip(plan, plan)
	return l, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[K comparable](cfg Config[K]) *Limiter[K] {
	l, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return l
}

// common checks what Config and SingleConfig share and fills in its defaults.
func common(limits *[]Limit, maxWait time.Duration, maxWaiting *int) (*Plan, error) {
	switch {
	case maxWait < 0:
		return nil, fmt.Errorf("ratelimit: Config.MaxWait is %v, want ≥ 0", maxWait)
	case *maxWaiting < 0:
		return nil, fmt.Errorf("ratelimit: Config.MaxWaiting is %d, want ≥ 0", *maxWaiting)
	case *maxWaiting == 0:
		*maxWaiting = defaultMaxWaiting
	}
	if len(*limits) == 0 {
		*limits = []Limit{Per(defaultLimit, time.Minute)}
	}
	return NewPlan(*limits...)
}

// Allow takes one permit for key and reports whether it got it. Neither a
// permit nor a refusal allocates, but for a key that has had none of late, and
// when the ring of its events has to grow. A refusal takes nothing: a key that
// is tried all the time recovers as any other.
func (l *Limiter[K]) Allow(key K) bool {
	now := l.now()
	if l.told || key != key {
		return l.take(key, 1, now, true).Allowed
	}
	hash := maphash.Comparable(l.seed, key)
	sh := &l.shards[hash>>l.shift]
	sh.mu.Lock()
	sh.sweep(l.plan, now)
	if i := sh.find(uint32(hash), key); i >= 0 {
		s := &sh.slot(i).state
		if s.refusing(now) {
			sh.counts.limited++
			sh.mu.Unlock()
			return false
		}
		if p := s.plan(l.plan); p.simple && !s.waiting() {
			ok := s.allowOne(p, now)
			if ok {
				sh.counts.allowed++
			} else {
				sh.counts.limited++
			}
			sh.mu.Unlock()
			return ok
		}
	}
	sh.mu.Unlock()
	return l.take(key, 1, now, true).Allowed
}

// AllowAt is Allow for something that happens at now, for batches and for
// replaying the past. The time of a key does not go back: a now before its
// last event counts as the time of that. So no order of calls creates permits.
// A now in the future moves the key there: until the clock has caught up, its
// calls count as made then.
func (l *Limiter[K]) AllowAt(key K, now time.Time) bool {
	return l.take(key, 1, l.at(now), false).Allowed
}

// Take takes n permits for key, all or none, and says how the key stands. A
// refusal takes nothing. With n zero it is Peek for no permit. A negative n
// panics.
func (l *Limiter[K]) Take(key K, n int) Decision { return l.take(key, n, l.now(), true) }

// TakeAt is Take for something that happens at now; see AllowAt.
func (l *Limiter[K]) TakeAt(key K, n int, now time.Time) Decision {
	return l.take(key, n, l.at(now), false)
}

func (l *Limiter[K]) take(key K, n int, now int64, sweep bool) Decision {
	notNegative(n)
	st := l.sit(key, now, sweep)
	d := st.d
	if st.s == nil {
		l.stateless.count(&d)
	} else {
		d = st.s.take(st.p, n, now)
		d.Overflow = st.overflow
		st.counts.count(&d)
		if st.sh != nil && st.fresh && (!d.Allowed || n == 0) {
			st.sh.remove(st.sh.n - 1)
		}
		st.mu.Unlock()
	}
	l.tell(key, n, &d)
	return d
}

// TakeAtMost takes as many permits for key as there are, up to n, and returns
// how many that was. If there was none, the Decision says when the next one
// comes.
func (l *Limiter[K]) TakeAtMost(key K, n int) (int, Decision) {
	notNegative(n)
	now := l.now()
	st := l.sit(key, now, true)
	d, got := st.d, n
	if st.s == nil {
		l.stateless.count(&d)
	} else {
		got = st.s.spare(st.p, n, now)
		d = st.s.take(st.p, max(got, min(n, 1)), now)
		d.Overflow = st.overflow
		st.counts.count(&d)
		if st.sh != nil && st.fresh && (!d.Allowed || got == 0) {
			st.sh.remove(st.sh.n - 1)
		}
		st.mu.Unlock()
	}
	if !d.Allowed {
		got = 0
	}
	l.tell(key, n, &d)
	return got, d
}

// Peek says what Take of one permit would answer, and takes nothing.
func (l *Limiter[K]) Peek(key K) Decision {
	now := l.now()
	st := l.sit(key, now, false)
	if st.s == nil {
		return st.d
	}
	d := st.s.peek(st.p, 1, now)
	d.Overflow = st.overflow
	if st.fresh {
		st.sh.remove(st.sh.n - 1)
	}
	st.mu.Unlock()
	return d
}

// Refund gives back n permits of key, the newest first, as for a request that
// turned out to cost nothing. Those that have left the window by now, or were
// never taken, cannot be given back; of what has not been, nothing changes.
func (l *Limiter[K]) Refund(key K, n int) {
	notNegative(n)
	now := l.now()
	if st := l.sit(key, now, false); st.s != nil {
		st.s.refund(st.p, n, now)
		if st.fresh {
			st.sh.remove(st.sh.n - 1)
		}
		st.mu.Unlock()
	}
}

// Reset forgets all events of key, so that it has its full budget again. Those
// who wait for it move up.
func (l *Limiter[K]) Reset(key K) {
	now := l.now()
	st := l.sit(key, now, false)
	switch {
	case st.s == nil:
		return
	case st.overflow: // what the others took stays taken
	case st.s.waiting():
		st.s.forget(st.p, now)
	default:
		st.sh.remove(st.i)
	}
	st.mu.Unlock()
}

// seat is a state with the lock of it held, or, if s is nil, a decision that
// needs none.
type seat[K comparable] struct {
	s        *state
	p        *Plan
	mu       *sync.Mutex
	counts   *counts
	d        Decision
	sh       *shard[K]
	i        int  // number of the slot in sh
	fresh    bool // this call has made the slot, the last of sh
	overflow bool
}

// sit locks the state of key, and makes it if there is none. The caller
// unlocks mu, if there is a state.
func (l *Limiter[K]) sit(key K, now int64, sweep bool) (st seat[K]) {
	p := l.plan
	if key != key { // NaN, which nothing would ever find again
		if p = l.planOf(key); len(p.rules) == 0 {
			return seat[K]{d: Decision{Allowed: true, Unlimited: true}}
		}
		return l.sitOutside(p, 0) // and of what it takes, no key has to know
	}
	hash := maphash.Comparable(l.seed, key) // panics for a key that cannot be hashed, with nothing locked
	sh := &l.shards[hash>>l.shift]
	sh.mu.Lock()
	if sweep {
		sh.sweep(l.plan, now)
	}
	i := sh.find(uint32(hash), key)
	if i < 0 && l.cfg.PlanFor != nil {
		sh.mu.Unlock()
		p = l.planOf(key)
		sh.mu.Lock()
		i = sh.find(uint32(hash), key)
	}
	switch {
	case i >= 0:
		s := &sh.slot(i).state
		return seat[K]{s: s, p: s.plan(l.plan), mu: &sh.mu, counts: &sh.counts, sh: sh, i: i}
	case len(p.rules) == 0:
		st.d = Decision{Allowed: true, Unlimited: true}
	case p.denies >= 0:
		st.d = p.denial()
	case sh.n >= sh.most && !sh.reclaim(l.plan, l.now()):
		sh.mu.Unlock()
		return l.sitOutside(p, now)
	default:
		i = sh.add(uint32(hash), key)
		if !sweep {
			sh.wake() // its event may be an old one
		}
		s := &sh.slot(i).state
		s.equip(p, l.plan)
		l.inherit(s, p, now)
		return seat[K]{s: s, p: p, mu: &sh.mu, counts: &sh.counts, sh: sh, i: i, fresh: true}
	}
	sh.mu.Unlock()
	return st
}

// sitOutside is sit for a key that has no place of its own, with no lock held.
func (l *Limiter[K]) sitOutside(p *Plan, now int64) (st seat[K]) {
	l.spill.mu.Lock()
	switch {
	case p.denies >= 0:
		st.d = p.denial()
	case l.cfg.Overflow == OverflowDeny:
		st.d = p.denial()
		st.d.RetryAfter = time.Duration(p.horizon)
	case l.cfg.Overflow == OverflowAllow:
		st.d = Decision{Allowed: true, Unlimited: true}
	default:
		if now > 0 {
			l.spill.end.Store(max(l.spill.end.Load(), max(now, l.spill.newest)+l.plan.horizon))
		}
		return seat[K]{s: &l.spill.state, p: l.plan, mu: &l.spill.mu, counts: &l.spill.counts, overflow: true}
	}
	st.d.Overflow = true
	l.spill.mu.Unlock()
	return st
}

// planOf asks the user for the plan of key. No lock is held.
func (l *Limiter[K]) planOf(key K) *Plan {
	if l.cfg.PlanFor != nil {
		if p := l.cfg.PlanFor(key); p != nil {
			return p
		}
	}
	return l.plan
}

// denial is the decision of a plan with a limit of zero, or for a key without
// a place.
func (p *Plan) denial() Decision {
	r := &p.rules[max(p.denies, 0)]
	return Decision{Rule: r.name, Index: max(p.denies, 0), Limit: r.limit, Window: time.Duration(r.window), RetryAfter: Never}
}

// tell calls the hooks.
func (l *Limiter[K]) tell(key K, n int, d *Decision) {
	if l.told {
		l.cfg.Hooks.tell(l.cfg.Name, key, n, d)
	}
}

// now is the time on the limiter's clock.
func (l *Limiter[K]) now() int64 { return epoch + int64(time.Since(l.base)) }

// at is the time t on the limiter's clock.
func (l *Limiter[K]) at(t time.Time) int64 { return instant(l.base, t) }

// instant is the time t on a clock that began at base. What is too far off to
// be held, 73 years before or after, counts as just so far.
func instant(base, t time.Time) int64 {
	return epoch + int64(min(max(t.Sub(base), -epoch), epoch))
}

func notNegative(n int) {
	if n < 0 {
		panic(fmt.Sprintf("ratelimit: n is %d, want ≥ 0", n))
	}
}
