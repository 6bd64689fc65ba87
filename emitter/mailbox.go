package emitter

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// patience and patienceFor are how often at most, and for about how long, a
// goroutine yields before it looks whether another has done its part.
const (
	patience    = 16
	patienceFor = 2 * time.Microsecond
)

// shutMark in mailbox.left says that nothing is delivered any more.
const shutMark = math.MinInt32

// large is the length of array that an empty queue does not keep.
const large = 1024

// mailbox is the queue of an asynchronous listener, and what empties it. That is
// a goroutine that exists only while there are events, or the reader of Events.
//
// Invariants, whenever mu is free: queued ≤ size, unless size was lifted by
// Unbounded; left ≤ bound; if there are events in ring then busy; if somebody is
// at the gate then queued = size, or whoever empties the queue is about to see
// waiting.
type mailbox[T any] struct {
	core *core
	sub  *Sub
	who  func() string // the name of the listener
	wake func()        // begins to empty the queue; called with mu held, so it only starts or signals
	end  func()        // ends the ctx of the listener

	size     int
	overflow Overflow
	single   bool // events are taken one at a time: those in the queue may still be dropped, the oldest first

	reader atomic.Uint64 // the goroutine that empties the queue if size may block it; written by it

	// The two groups below are each written for every event, by those who emit
	// and by the one who empties the queue, so they are kept apart.
	_ [64]byte

	mu     sync.Mutex // guards this group; never held over a wait or a function of the user
	ring   ring[T]
	bound  int           // left when it was last looked at, which has not grown since; see roomLocked
	ended  bool          // no event is accepted
	busy   bool          // somebody empties the queue
	gate   []*entrant[T] // blocked emits, the first first
	taken  int           // the events that were taken last, zero when they have been counted
	counts struct{ delivered, dropped uint64 }
	slow   slowness

	_ [64]byte

	left    atomic.Int64 // events taken that the listener has not begun, or shutMark; see begin
	waiting atomic.Int32 // length of gate; written with mu held
	hand    ring[T]      // the events that were taken; of the one who empties the queue alone

	_ [64]byte
}

// entrant is an emit that waits for room.
type entrant[T any] struct {
	v    T
	done chan struct{} // closed when v is in the queue, or never will be
	in   bool          // it has left the gate; guarded by mailbox.mu
}

// newMailbox makes the mailbox of s, whose name who tells. It cannot empty itself
// yet.
func newMailbox[T any](c *core, s *Sub, who func() string, cfg SubConfig) *mailbox[T] {
	m := &mailbox[T]{core: c, sub: s, who: who, size: cfg.Queue, overflow: cfg.Overflow, end: func() {}}
	switch cfg.Overflow {
	case Unbounded:
		m.size = math.MaxInt
	case DropOldest, Latest:
		m.single = true
	}
	m.slow = slowness{after: c.config().SlowAfter, site: callSite()}
	s.more.box = m
	return m
}

// offer puts v into the queue if there is nothing else to be done, and else
// leaves all of it to push. It calls no function of the user, and so cannot
// panic.
func (m *mailbox[T]) offer(v T) bool {
	m.mu.Lock()
	if m.ended || len(m.gate) > 0 || m.ring.n+m.bound >= m.size || m.overflow == Unbounded && m.ring.n >= large {
		m.mu.Unlock()
		return false
	}
	m.putLocked(v)
	m.mu.Unlock()
	return true
}

// push puts v into the queue, or does what the policy says when it is full. It
// is the function of the node, and runs in the goroutine that emits.
func (m *mailbox[T]) push(ctx context.Context, v T) error {
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return nil
	}
	if len(m.gate) == 0 && m.roomLocked() {
		m.putLocked(v)
		grown := m.overflow == Unbounded && m.slow.grown(m.ring.n)
		m.mu.Unlock()
		if grown {
			m.reportSlow("emitter: queue without a bound grows")
		}
		return nil
	}
	if m.overflow == Block {
		return m.block(ctx, v)
	}
	var err error
	m.counts.dropped++
	switch m.overflow {
	case DropOldest, Latest:
		m.ring.get()
		m.ring.put(v)
	case Fail:
		err = m.fullErrorLocked(false)
	}
	late := m.overflow != Latest && m.slow.full()
	m.mu.Unlock()
	if late {
		m.reportSlow("emitter: slow listener drops events")
	}
	return err
}

// queuedLocked is how many events wait.
func (m *mailbox[T]) queuedLocked() int { return m.ring.n + max(0, int(m.left.Load())) }

// roomLocked reports whether there is room for an event. It looks at left, which
// the listener's goroutine writes for each event, only if what it was before
// leaves a doubt.
func (m *mailbox[T]) roomLocked() bool {
	if m.ring.n+m.bound < m.size {
		return true
	}
	m.bound = max(0, int(m.left.Load()))
	return m.ring.n+m.bound < m.size
}

// putLocked puts v into the queue, for which there is room.
func (m *mailbox[T]) putLocked(v T) {
	m.ring.put(v)
	if !m.busy {
		m.busy = true
		m.sub.inflight.Add(1)
		m.wake()
	}
}

func (m *mailbox[T]) fullErrorLocked(self bool) error {
	return &FullError{Topic: m.core.topicName(), Listener: m.who(), Queue: m.queuedLocked(), Self: self}
}

// admitLocked lets in those at the gate for whom there is room, or who need not
// wait any more.
func (m *mailbox[T]) admitLocked() {
	for len(m.gate) > 0 && (m.ended || m.roomLocked()) {
		e := m.gate[0]
		m.gate[0] = nil
		m.gate = m.gate[1:]
		m.waiting.Store(int32(len(m.gate)))
		e.in = true
		if m.ended {
			m.counts.dropped++
		} else {
			m.putLocked(e.v)
		}
		close(e.done)
	}
	if len(m.gate) == 0 {
		m.gate = nil
	}
}

// fetch takes the events that wait into the hand, which is empty, and returns
// how many they are. If there are none, it has let go of the mailbox when it
// returns.
func (m *mailbox[T]) fetch() int {
	m.mu.Lock()
	m.counts.delivered += uint64(m.taken)
	m.taken = m.ring.n
	m.slow.relieved(m.ring.n, m.size)
	switch {
	case m.taken == 0:
		m.letGoLocked()
		return 0
	case m.single:
		m.taken = 1
		m.hand.put(m.ring.get())
	default:
		m.ring, m.hand = m.hand, m.ring
		m.bound = m.taken
		m.left.Store(int64(m.taken))
	}
	n := m.taken
	m.mu.Unlock()
	return n
}

// letGoLocked ends the work on an empty queue, and unlocks.
func (m *mailbox[T]) letGoLocked() {
	for _, r := range []*ring[T]{&m.ring, &m.hand} {
		if len(r.buf) > large {
			*r = ring[T]{}
		}
	}
	m.busy = false
	m.mu.Unlock()
	m.sub.returned()
}

// begin is called before the listener gets the first of the events in the hand,
// and reports whether it is to get it: the compare-and-swap fails if shut came
// first, which has then counted all of them as dropped, and they are forgotten.
// One that was taken alone has begun when it was taken.
func (m *mailbox[T]) begin() bool {
	if m.single {
		return true
	}
	n := int64(m.hand.n)
	if !m.left.CompareAndSwap(n, n-1) {
		m.hand = ring[T]{}
		return false
	}
	if m.waiting.Load() > 0 { // after left: a blocked emit looks at left after it has set waiting
		m.mu.Lock()
		m.admitLocked()
		m.mu.Unlock()
	}
	return true
}

// listener makes fn the listener, called in a goroutine of the mailbox.
func (m *mailbox[T]) listener(fn func(context.Context, T) error) {
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	var work func()
	work = func() {
		returned := false
		defer func() {
			if !returned {
				go work() // the listener has called Goexit: the rest is for another goroutine
			}
		}()
		m.work(ctx, fn)
		returned = true
	}
	m.wake = func() { go work() }
}

// work empties the queue.
func (m *mailbox[T]) work(ctx context.Context, fn func(context.Context, T) error) {
	if m.overflow == Block {
		m.reader.Store(goroutine())
		defer m.reader.Store(0)
	}
	for n := m.fetch(); n > 0; n = m.fetch() {
		for m.hand.n > 0 {
			m.span(ctx, fn)
		}
		// To start anew costs more than another look, and so does to fight with
		// those who emit for every single event of a stream: let some gather.
		if n > 1 {
			pause()
		} else {
			runtime.Gosched()
		}
	}
}

// pause lets others run for a moment. If they have run for longer than that, as
// they do on a single processor, once is enough.
func pause() {
	start := time.Now()
	for i := 0; i < patience && time.Since(start) < patienceFor; i++ {
		runtime.Gosched()
	}
}

// span gives the listener the events in the hand, up to the first at which it
// panics.
func (m *mailbox[T]) span(ctx context.Context, fn func(context.Context, T) error) {
	returned := false
	out := outcome{}
	defer func() {
		if returned {
			return
		}
		told := false
		defer func() {
			if !told { // Goexit, by the listener or by a hook that heard of its panic
				m.putBack()
			}
		}()
		if r := recover(); r != nil {
			m.core.panicked(m.who, r, &out)
			told = true
		}
	}()
	for m.hand.n > 0 && m.begin() {
		if err := fn(ctx, m.hand.get()); err != nil && err != ErrStop {
			m.core.failed(m.who, err, &out)
		}
	}
	returned = true
}

// putBack puts what is left in the hand back to the front of the queue.
func (m *mailbox[T]) putBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left.Load() == shutMark {
		m.hand = ring[T]{}
		return
	}
	m.taken -= m.hand.n
	m.left.Store(0)
	for m.ring.n > 0 {
		m.hand.put(m.ring.get())
	}
	m.ring, m.hand = m.hand, m.ring
}

// shut implements box.
func (m *mailbox[T]) shut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	left := max(0, int(m.left.Swap(shutMark)))
	m.counts.dropped += uint64(m.ring.n + left)
	m.counts.delivered += uint64(m.taken - left)
	m.taken = 0
	m.ring = ring[T]{}
	m.admitLocked()
}

// finish implements box.
func (m *mailbox[T]) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.admitLocked()
}

// cancel implements box.
func (m *mailbox[T]) cancel() { m.end() }

// stats implements box.
func (m *mailbox[T]) stats() SubStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := SubStats{Queued: m.queuedLocked(), Queue: m.size, Delivered: m.counts.delivered, Dropped: m.counts.dropped}
	s.Delivered += uint64(m.taken - max(0, int(m.left.Load())))
	if m.overflow == Unbounded {
		s.Queue = 0
	}
	return s
}

// ring is a queue in an array that grows as needed.
type ring[T any] struct {
	buf  []T // its length is zero or a power of two
	head int
	n    int
}

func (r *ring[T]) put(v T) {
	r.grow()
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = v
	r.n++
}

// get takes the oldest; there must be one.
func (r *ring[T]) get() T {
	var none T
	v := r.buf[r.head]
	r.buf[r.head] = none
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// grow makes room for one more.
func (r *ring[T]) grow() {
	if r.n < len(r.buf) {
		return
	}
	buf := make([]T, max(8, 2*len(r.buf)))
	for i := range r.n {
		buf[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
	}
	r.buf, r.head = buf, 0
}
