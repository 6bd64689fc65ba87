package workerpool

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Unbounded is the Config.Queue of a pool that accepts tasks for as long as
// there is memory.
const Unbounded = math.MaxInt

// Defaults of the Config fields that are left zero.
const (
	defaultQueue       = 1024
	defaultIdleTimeout = time.Minute
	defaultAgeing      = time.Second
	defaultSampleEvery = 64
)

// Overflow says what becomes of a task that finds the queue full.
type Overflow int

// The policies of Config.Overflow.
const (
	// Block lets the caller wait for room, in the order of arrival, until its
	// ctx is done. Within a task of the pool the place of that task is lent to
	// another meanwhile, so that the pool cannot come to a stop.
	Block Overflow = iota

	// Reject returns a *FullError at once.
	Reject

	// CallerRuns runs the task in the call, which returns when the task has
	// ended. It slows down whoever brings too much. Such tasks run beside the
	// Max. A task with a key or a sub-limit is kept in order: it blocks.
	CallerRuns

	// DropOldest drops the task that has waited longest, of the lowest
	// priority that waits, in favour of the new one. If only tasks wait that
	// wait for their key or sub-limit, the new one is refused as by Reject.
	DropOldest

	overflows = iota
)

// Config describes a Pool. The zero Config is usable: one worker for each
// processor, and a queue of 1024 tasks before callers wait.
type Config struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Max is how many tasks run at one time. Zero means GOMAXPROCS at the time
	// of New, which suits work for the processor; work that waits for a
	// network wants more. A task that waits for another task of the pool is
	// not counted while it does.
	Max int

	// Min is how many workers are started by New and kept when there is no
	// work. Zero keeps none for longer than IdleTimeout.
	Min int

	// IdleTimeout is how long a worker may be without work before it ends,
	// exact to twice the time. Zero means one minute.
	IdleTimeout time.Duration

	// Queue is how many tasks may wait beyond those for which there is a free
	// worker. Zero means 1024; see Unbounded and NoQueue.
	Queue int

	// NoQueue accepts only as many tasks as there are free workers. Queue must
	// then be zero.
	NoQueue bool

	// Overflow says what becomes of a task that finds the queue full. Zero is
	// Block.
	Overflow Overflow

	// MaxQueueAge drops tasks that have waited for so long, because whoever
	// wanted them has probably given up. It makes each task read the clock.
	// One that waits for its key or sub-limit is dropped when its turn comes.
	// Zero lets tasks wait for as long as their ctx allows.
	MaxQueueAge time.Duration

	// Ageing keeps priorities from starving anybody: a task goes before those
	// of the next higher priority that came more than Ageing after it. Zero
	// means one second.
	Ageing time.Duration

	// SampleEvery is of how many tasks, on average, the times are measured for
	// the histograms of Stats; which ones is left to chance. Zero means one in
	// 64, which costs a task about 2 ns. One measures all, at three readings
	// of the clock each; math.MaxInt measures none.
	SampleEvery int

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// The phases of a pool. It goes from one to the next and may skip draining.
const (
	open     = iota
	draining // only what running tasks bring is accepted
	closed   // nothing is accepted, and workers without a job leave
)

// Pool runs tasks on a bounded number of goroutines. It is safe for use by
// many goroutines. Make one with New or MustNew, and Close or Drain it.
type Pool struct {
	queue queue // of the normal priority

	mu     sync.Mutex // guards all down to dropped; never held over a wait, a user's function or a context's method
	max    int        // as set last
	busy   int        // places taken: workers that look for a job or run one, less those lent
	coming int        // workers that were called and have not looked yet; in busy
	phase  int
	paused bool
	waking bool // a worker has the token: it is about to look for a job
	timely bool // jobs are stamped: there are priorities, or a limit of age

	timelySince time.Duration // since when; what came before counts as having come then

	accepted uint64 // tasks, in all
	untilDue int    // tasks until the next is sampled
	chance   uint64 // state of the generator behind that

	idle    []*worker // the last one has been idle for the shortest time
	lowest  int       // how many at the bottom of idle have been there since the sweep was armed
	workers map[*worker]struct{}
	ran     uint64               // jobs that ended in the place of workers that have left
	lanes   [2]*queue            // low and high priority; nil until used
	gated   int                  // jobs that wait at gates, not in queues
	gates   map[*gate]struct{}   // where they do
	keys    map[any]*gate        // those of GoKey that are in use
	callers line                 // those who wait for room
	scopes  map[*job]*scope      // of jobs that asked for Done, to be cancelled by Close
	watches map[*job]func() bool // ends the watch over a waiting job's ctx
	sweep   timer
	age     timer
	done    bool // drained is closed
	dropped [reasons]uint64
	telling int // drops of which not everybody has been told

	refused  atomic.Uint64 // tasks; added to by who is refused
	outside  atomic.Uint64 // jobs that ended in no worker's place; added to by who ran them
	panics   atomic.Uint64 // added to by who recovered one
	failures atomic.Uint64 // of init; added to by the worker
	watching atomic.Int32  // length of watches, written with mu held, to spare takers a lock
	aborted  atomic.Bool   // contexts of jobs are done; set once, with mu held
	leaving  atomic.Bool   // phase is not open; set once, with mu held

	waits histogram
	runs  histogram

	goroutines sync.WaitGroup // workers and timers
	listeners  sync.Pool      // those of Futures that serve again

	// Set by New and never written again.
	cfg   Config
	room  int // tasks that may wait
	base  time.Time
	begin func(*worker) bool      // makes the state of a Stateful; false if the worker has to leave
	end   func(*worker)           // ends that state
	stop  context.CancelCauseFunc // ends what begin waits for; nil without begin

	drained chan struct{} // closed when the pool has left and the last job has ended
	view    View
}

// New returns a Pool as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field. It starts
// Config.Min goroutines, by default none.
func New(cfg Config) (*Pool, error) { return newPool(cfg, nil, nil) }

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Pool {
	p, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return p
}

func newPool(cfg Config, begin func(*worker) bool, end func(*worker)) (*Pool, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	orElse(&cfg.Max, runtime.GOMAXPROCS(0))
	orElse(&cfg.SampleEvery, defaultSampleEvery)
	orElse(&cfg.IdleTimeout, defaultIdleTimeout)
	orElse(&cfg.Ageing, defaultAgeing)
	if !cfg.NoQueue {
		orElse(&cfg.Queue, defaultQueue)
	}
	if cfg.Min > cfg.Max {
		return nil, fmt.Errorf("workerpool: Config.Min is %d, want at most Max, which is %d", cfg.Min, cfg.Max)
	}
	p := &Pool{
		cfg:     cfg,
		max:     cfg.Max,
		room:    cfg.Queue,
		base:    time.Now(),
		timely:  cfg.MaxQueueAge > 0,
		chance:  uint64(time.Now().UnixNano()) | 1,
		workers: make(map[*worker]struct{}),
		scopes:  make(map[*job]*scope),
		watches: make(map[*job]func() bool),
		keys:    make(map[any]*gate),
		gates:   make(map[*gate]struct{}),
		drained: make(chan struct{}),
		begin:   begin,
		end:     end,
	}
	p.view.pool = p
	p.listeners.New = func() any { return &listener{signal: make(chan struct{}, 1)} }
	p.queue.init()
	p.sampleLocked()
	p.callMin()
	return p, nil
}

func orElse[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// check reports the first field that makes no sense.
func (c Config) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("workerpool: Config.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Max < 0 || c.Max > math.MaxInt32:
		return bad("Max", c.Max, "0 to 2147483647")
	case c.Min < 0:
		return bad("Min", c.Min, "≥ 0")
	case c.IdleTimeout < 0:
		return bad("IdleTimeout", c.IdleTimeout, "≥ 0")
	case c.Queue < 0:
		return bad("Queue", c.Queue, "≥ 0")
	case c.NoQueue && c.Queue != 0:
		return bad("Queue", c.Queue, "0 with NoQueue")
	case c.Overflow < 0 || c.Overflow >= overflows:
		return bad("Overflow", int(c.Overflow), "Block, Reject, CallerRuns or DropOldest")
	case c.NoQueue && c.Overflow == DropOldest:
		return bad("Overflow", "DropOldest", "another with NoQueue")
	case c.MaxQueueAge < 0:
		return bad("MaxQueueAge", c.MaxQueueAge, "≥ 0")
	case c.Ageing < 0:
		return bad("Ageing", c.Ageing, "≥ 0")
	case c.SampleEvery < 0:
		return bad("SampleEvery", c.SampleEvery, "≥ 0")
	}
	return nil
}

// Go runs fn on a worker, and returns as soon as the task is accepted. If the
// queue is full, it does what Config.Overflow says.
//
// The ctx that fn gets derives from ctx. It ends when the pool is closed, and
// when fn has returned and the tasks have ended that were brought with it. If
// ctx is done before fn has begun, fn never runs. Of a task that
// was accepted nobody learns how it ended; if fn panics, see Hooks.OnPanic.
//
// If Go returns an error, fn never runs. The error is that of ctx (it also
// matches context.Cause), a *FullError (matches ErrFull), ErrClosed, or a
// *DroppedError. Go costs one allocation.
func (p *Pool) Go(ctx context.Context, fn func(context.Context)) error {
	return p.view.Go(ctx, fn)
}

// TryGo is Go that never waits and runs nothing itself. It reports false if
// the task was not accepted.
func (p *Pool) TryGo(ctx context.Context, fn func(context.Context)) bool {
	return p.view.TryGo(ctx, fn)
}

// GoKey is Go for tasks that may not overtake or meet one another: those with
// equal keys run one at a time, in the order in which they were accepted.
// Others run beside them. The key must be comparable. A task that waits for
// its key takes room in the queue but no worker.
func (p *Pool) GoKey(ctx context.Context, key any, fn func(context.Context)) error {
	return p.view.GoKey(ctx, key, fn)
}

// Group returns a Group whose tasks run in the pool, each under a context that
// derives from ctx.
func (p *Pool) Group(ctx context.Context) *Group { return p.view.Group(ctx) }

// WithPriority returns a View that brings tasks with priority.
func (p *Pool) WithPriority(priority Priority) *View { return p.view.WithPriority(priority) }

// Limit returns a View of whose tasks at most n run at one time, as a share of
// the pool for one client or one purpose. It panics if n is below 1.
func (p *Pool) Limit(n int) *View { return p.view.Limit(n) }

// Resize sets how many tasks run at one time. Growing starts tasks that wait.
// Shrinking stops nobody: no task is started until there are fewer than limit.
// A limit below 1 is an error and changes nothing, as does ErrClosed.
func (p *Pool) Resize(limit int) error {
	if limit < 1 || limit > math.MaxInt32 {
		return fmt.Errorf("workerpool: Resize to %d, want 1 to 2147483647", limit)
	}
	p.mu.Lock()
	defer p.unlock()
	if p.phase == closed {
		return ErrClosed
	}
	p.max = limit
	p.dismissLocked(min(len(p.idle), max(0, len(p.workers)-limit)))
	return nil
}

// Pause keeps tasks from starting until Resume. Those that run go on, and so
// does what they start by waiting for it. Tasks are accepted as before.
func (p *Pool) Pause() { p.setPaused(true) }

// Resume ends a Pause.
func (p *Pool) Resume() { p.setPaused(false) }

func (p *Pool) setPaused(paused bool) {
	p.mu.Lock()
	p.paused = paused && p.phase != closed
	p.unlock()
}

// strictLocked reports whether a worker has to come to the lock for each entry:
// because whoever takes one has to let a caller in, because none may be taken,
// or because the next one to take is not just the first.
func (p *Pool) strictLocked() bool {
	return p.paused || p.busy > p.max || p.callers.len > 0 || p.queue.dead > 0 || p.lanedLocked() > 0
}

// now is the time since p was made, and never zero.
func (p *Pool) now() time.Duration { return time.Since(p.base) + 1 }

// unlock ends a critical section in which something has changed: it lets in
// callers for whom there is room now, calls a worker if a job could run, and
// lets takers do without the lock unless they have to come and see.
func (p *Pool) unlock() {
	p.admitLocked()
	w := p.callLocked()
	if p.phase != open {
		p.leaveLocked()
	}
	if p.strictLocked() {
		p.queue.seize()
	}
	p.mu.Unlock()
	if w != nil {
		w.rouse()
	}
}
