package pool

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// never is a time that does not come. Times are durations since Pool.base.
const never = time.Duration(math.MaxInt64)

// longAgo is before everything, and far enough from the end of the range to add
// any duration to.
const longAgo = time.Duration(math.MinInt64)

// Pool hands out resources of type T, each to one caller at a time. It is safe
// for use by many goroutines. Make one with New or MustNew, and Close it.
type Pool[T any] struct {
	// mu guards everything below down to cfg. It is the only lock, it is never
	// held over a wait, and no function of the user is called with it held.
	mu sync.Mutex

	// fast says that nothing stands in the way of the short paths of Acquire
	// and Release: nobody waits, the pool is open and not beyond Max, the coarse
	// clock goes, and no Config asks for more. unlock keeps it so.
	// It is written with mu held; Acquire looks at it before it takes mu as well.
	fast atomic.Bool

	// crowded says that the line is long, so that callers who find mu taken come
	// by the inbox. It is written by unlock.
	crowded atomic.Bool

	// now is the coarse clock: the real one as of the last look at it. While the
	// pool is busy the janitor sets it every tick; while dormant is set nobody
	// does, and whoever needs it looks himself.
	now     time.Duration
	dormant bool

	idle     idleList[T]
	acquired uint64 // leases given, ever
	inUse    int    // slots that are leased

	// nextSweep is not later than the first time at which something happens to
	// an idle or leased slot for its age. wakeAt is when the janitor will look
	// next.
	nextSweep time.Duration
	wakeAt    time.Duration

	max, minIdle int
	all          []*slot[T] // every resource, in whatever state
	queue        queue[T]
	aging        int // idle slots whose lifetime is about to end
	creating     int
	checking     int
	closing      int

	// Creation: see create.go.
	window      int
	failures    int           // in a row
	createErr   error         // of the last attempt, nil after a success
	retryAt     time.Duration // no attempt before
	wanted      bool          // somebody was refused since the last attempt
	warming     []*warming
	lastID      uint64
	lastTick    time.Duration
	lastSeen    uint64 // acquired as of lastTick
	janitorRuns bool
	wake        chan struct{} // tells the janitor that wakeAt has moved; made with it
	lost        []dropped[T]  // leases that the garbage collector has found

	oldest    *slot[T] // leased longest, if its gen is still oldestGen
	oldestGen uint64

	counts     counts
	draining   bool // no new callers
	closed     bool // no waiters either, and nothing that comes back is kept
	running    int  // goroutines of the pool
	drainers   []chan struct{}
	closers    []chan struct{}
	destroyErr []error // of the Destroys since closed

	// Set by New and never written again.
	cfg        Config[T]
	base       time.Time
	tick       time.Duration
	idleSpan   time.Duration // the shorter of IdleTimeout and KeepAlive
	checkAfter time.Duration // as in cfg, never without a Check
	exact      bool          // each acquire reads the real clock
	eager      bool          // nothing in cfg keeps the pool off the short paths
	waiters    sync.Pool     // of *waiter[T]; of one Pool, which lives in one bubble
	waits      atomicHistogram

	// Written without mu as well.
	inbox               inbox[T]             // by callers that come in a storm: see arrive.go
	dead                atomic.Int64         // waiters in the queue that have left; by those who do, and who take them out
	untidy              atomic.Bool          // the janitor will look for them; set by the first of them, cleared by it
	timedOut, cancelled atomic.Uint64        // callers; by themselves
	last                atomic.Pointer[seen] // by whoever makes an AcquireError under mu
}

// New returns a Pool as described by cfg, without any resources: the first
// ones are created by the first Acquire, or by Warm. It starts no goroutine. It
// fails if a field of cfg has a value that makes no sense, and the error names
// the field.
func New[T any](cfg Config[T]) (*Pool[T], error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Pool[T]{
		cfg:       cfg,
		base:      time.Now(),
		max:       cfg.Max,
		minIdle:   cfg.MinIdle,
		window:    cfg.CreateWindow,
		nextSweep: never,
		wakeAt:    never,
		dormant:   true,
		idleSpan:  cfg.IdleTimeout,
		exact:     cfg.LeakAfter > 0 || cfg.Hooks.OnReleased != nil,
		eager:     cfg.Reset == nil && cfg.Hooks.OnAcquired == nil && !cfg.ReclaimLeaked && !cfg.RefuseNested,
	}
	p.tick = maxTick
	for _, d := range []time.Duration{cfg.CheckAfter, cfg.IdleTimeout, cfg.KeepAlive, cfg.MaxLifetime} {
		if d > 0 {
			p.tick = max(min(p.tick, d/8), time.Millisecond)
		}
	}
	p.checkAfter = never
	if cfg.Check != nil {
		p.checkAfter = cfg.CheckAfter
	}
	if cfg.KeepAlive > 0 {
		p.idleSpan = min(p.idleSpan, cfg.KeepAlive)
	}
	p.eager = p.eager && !p.exact
	p.waiters.New = func() any { return &waiter[T]{ready: make(chan struct{}, 1)} }
	return p, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[T any](cfg Config[T]) *Pool[T] {
	p, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return p
}

// Acquire returns a resource for the caller alone, which must release it, best
// by defer. It takes the idle one that was used last; if there is none, it
// waits in line for whichever comes first, one that is released or one that is
// created. What was begun for a caller that leaves is kept for others.
//
// On failure nothing is held. The error is ErrClosed; or that of ctx if it was
// done before the call, or was cancelled while the caller waited; or an
// *AcquireError, which also matches the error of a ctx whose deadline passed.
//
// With an idle resource Acquire takes one lock, does not allocate and does not
// read the clock. Waiting costs two readings.
func (p *Pool[T]) Acquire(ctx context.Context) (Lease[T], error) {
	if ctx.Err() == nil && p.fast.Load() {
		p.mu.Lock()
		if s := p.idle.top; p.fast.Load() && s != nil && p.now < s.until {
			p.idle.remove(s)
			l := p.leaseLocked(s)
			if p.idle.len >= p.minIdle {
				p.unlockQuiet()
			} else {
				p.unlock()
			}
			return l, nil
		}
		p.unlockQuiet()
	}
	return p.acquireSlow(ctx)
}

// TryAcquire takes an idle resource if there is one that can be handed out at
// once and nobody waits for it. It never waits. If it reports false nothing is
// held, but the check or the creation for which it would have had to wait was
// begun.
func (p *Pool[T]) TryAcquire() (Lease[T], bool) {
	p.mu.Lock()
	if !p.draining && p.queue.len == 0 {
		p.lookLocked()
		if s := p.takeIdleLocked(); s != nil {
			l := p.leaseLocked(s)
			p.unlock()
			return p.deliver(l, 0), true
		}
		if p.checking+p.creating == 0 {
			if s := p.idle.top; s != nil {
				p.startCheckLocked(s)
			} else if p.roomLocked() && p.now >= p.retryAt {
				p.startCreateLocked()
			}
		}
	}
	p.counts.refused++
	p.unlock()
	return Lease[T]{}, false
}

// With calls fn with a resource, and releases it when fn returns, panics or
// calls runtime.Goexit. It returns fn's error as it is. The resource is
// destroyed instead if fn panics, or if Config.IsBroken says so of its error. If no
// resource was had, fn is not called and the error is as for Acquire. fn's ctx
// is ctx, or derives from it.
//
// fn may Release, Discard or Detach nothing: that is for those who Acquire.
func (p *Pool[T]) With(ctx context.Context, fn func(ctx context.Context, v T) error) error {
	if fn == nil {
		panic("pool: fn is nil")
	}
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	how := leaseUnfit // until fn has returned
	defer func() { l.giveBack(how) }()
	err = fn(p.nest(ctx), l.s.value)
	how = p.after(err)
	return err
}

// Use is With for a function that also returns a value. When fn is not called
// the value is the zero value of R.
func Use[T, R any](ctx context.Context, p *Pool[T], fn func(ctx context.Context, v T) (R, error)) (r R, err error) {
	if fn == nil {
		panic("pool: fn is nil")
	}
	l, err := p.Acquire(ctx)
	if err != nil {
		return r, err
	}
	how := leaseUnfit // until fn has returned
	defer func() { l.giveBack(how) }()
	r, err = fn(p.nest(ctx), l.s.value)
	how = p.after(err)
	return r, err
}

// after is how the lease of With ends after fn has returned err.
func (p *Pool[T]) after(err error) ending {
	if err != nil && p.cfg.IsBroken != nil && p.cfg.IsBroken(err) {
		return leaseBroken
	}
	return leaseReleased
}

// nestKey marks the ctx of those who hold a resource of the pool p.
type nestKey[T any] struct{ p *Pool[T] }

// nest returns a ctx that nested recognizes.
func (p *Pool[T]) nest(ctx context.Context) context.Context {
	if !p.cfg.RefuseNested {
		return ctx
	}
	return context.WithValue(ctx, nestKey[T]{p}, true)
}

func (p *Pool[T]) nested(ctx context.Context) bool {
	return p.cfg.RefuseNested && ctx.Value(nestKey[T]{p}) != nil
}

// acquireSlow is Acquire for all that the short path leaves out.
func (p *Pool[T]) acquireSlow(ctx context.Context) (Lease[T], error) {
	if ctx.Err() != nil {
		return Lease[T]{}, ctxError(ctx)
	}
	if p.nested(ctx) {
		return Lease[T]{}, p.refuse(ErrNested, nil, 0)
	}
	done := ctx.Done() // called before the lock is taken, as ctx may be anybody's
	var w *waiter[T]
	if p.crowded.Load() {
		w = p.newWaiter(done)
		if !p.mu.TryLock() {
			return p.arrive(ctx, w)
		}
		p.admitLocked() // they came first
	} else {
		p.mu.Lock()
	}
	p.lookLocked()
	if p.queue.len == 0 && !p.draining {
		if s := p.takeIdleLocked(); s != nil {
			l := p.leaseLocked(s)
			p.unlock()
			return p.deliver(l, 0), nil
		}
	}
	if why, cause := p.turnAwayLocked(); why != nil {
		p.unlock()
		if w != nil {
			p.recycle(w)
		}
		return Lease[T]{}, p.refuse(why, cause, 0)
	}
	if w == nil {
		w = p.newWaiter(done)
	}
	p.readLocked()
	w.since = p.now
	p.enqueueLocked(w)
	p.unlock()
	return p.await(ctx, w)
}

// turnAwayLocked returns why a caller that finds nothing idle is not let wait,
// and what Create has returned if it is for that; or nil.
func (p *Pool[T]) turnAwayLocked() (why, cause error) {
	switch {
	case p.draining:
		return ErrClosed, nil
	case p.downLocked():
		p.wanted = true
		return ErrDown, p.createErr
	case p.waitingLocked() >= p.cfg.MaxWaiting:
		return ErrFull, nil
	}
	return nil, nil
}

// leaseLocked gives s, which is in no list, to a caller.
func (p *Pool[T]) leaseLocked(s *slot[T]) Lease[T] {
	s.state = leased
	s.since = p.now
	p.inUse++
	p.acquired++
	return Lease[T]{s: s, gen: s.gen.Load()}
}

// settleLocked is what makes nobody wait in vain: it gives idle resources to
// those who wait, has stale ones checked for them, and starts as many creations
// as are wanted and allowed. It is called whenever a resource, room for one, or
// a caller has come.
func (p *Pool[T]) settleLocked() {
	for p.idle.len > 0 && p.waitingLocked() > 0 {
		if s := p.takeIdleLocked(); s != nil {
			if !p.grantLocked(s) {
				p.placeLocked(s) // they have all left
			}
			continue
		}
		if p.idle.len == 0 || p.checking >= p.waitingLocked() {
			break
		}
		p.startCheckLocked(p.idle.top)
	}
	for !p.closed && p.wantsLocked() && p.roomLocked() {
		if p.now < p.retryAt {
			p.pokeLocked(p.retryAt)
			break
		}
		p.startCreateLocked()
	}
	if p.draining && p.queue.len == 0 && p.inUse == 0 {
		for _, c := range p.drainers {
			close(c)
		}
		p.drainers = nil
	}
}

// busyRate is how many acquires within a tick make the janitor tick: fewer can
// read the clock themselves.
const busyRate = 16

// lookLocked brings the clock up to date if nobody else does.
func (p *Pool[T]) lookLocked() {
	if !p.dormant && !p.exact {
		return
	}
	p.readLocked()
	switch {
	case !p.dormant:
	case p.now-p.lastTick >= p.tick:
		p.lastTick, p.lastSeen = p.now, p.acquired
	case p.acquired-p.lastSeen >= busyRate:
		p.dormant = false
		p.lastTick, p.lastSeen = p.now, p.acquired
		p.pokeLocked(p.now + p.tick)
	}
}

// readLocked sets the coarse clock by the real one.
func (p *Pool[T]) readLocked() { p.now = max(p.now, time.Since(p.base)) }

// after is the time d after t, or never.
func after(t, d time.Duration) time.Duration {
	if t > 0 && d >= never-t {
		return never
	}
	return t + d
}
