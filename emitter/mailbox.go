package emitter

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// batch is how many events a listener takes at once. Where events in the queue
// may still be dropped it takes one, so that those are the oldest indeed.
const batch = 64

// linger is how often the goroutine of a listener yields before it looks for
// more events.
const linger = 1

// shutMark in mailbox.left says that nothing is delivered any more.
const shutMark = math.MinInt32

// large is the length of array that an empty queue does not keep.
const large = 1024

// mailbox is the queue of an asynchronous listener, and what empties it. That is
// a goroutine that exists only while there are events, or the reader of Events.
//
// Invariants, whenever mu is free: queued ≤ size, unless size was lifted by
// Unbounded; if there are events in ring then busy; if somebody is at the gate
// then queued = size, or whoever empties the queue is about to see waiting.
type mailbox[T any] struct {
	core *core
	sub  *Sub
	who  func() string // the name of the listener
	wake func()        // begins to empty the queue; called with mu held, so it only starts or signals
	end  func()        // ends the ctx of the listener

	size     int
	overflow Overflow
	take     int // events to take at once

	waiting atomic.Int32  // length of gate; written with mu held
	reader  atomic.Uint64 // the goroutine that empties the queue if size may block it; written by it

	mu     sync.Mutex // guards all below; never held over a wait or a function of the user
	ring   ring[T]
	gate   []*entrant[T] // blocked emits, the first first
	busy   bool          // somebody empties the queue
	ended  bool          // no event is accepted
	hand   []T           // the events that were taken, nil after shut
	counts struct{ delivered, dropped uint64 }
	slow   slowness

	// left is written for each event by the goroutine that empties the queue, so
	// it is kept away from what an emit touches.
	_    [64]byte
	left atomic.Int64 // events taken that the listener has not begun, or shutMark; see begin
	_    [56]byte
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
	m := &mailbox[T]{core: c, sub: s, who: who, size: cfg.Queue, overflow: cfg.Overflow, take: batch, end: func() {}}
	switch cfg.Overflow {
	case Unbounded:
		m.size = math.MaxInt
	case DropOldest, Latest:
		m.take = 1
	}
	m.slow = slowness{after: c.config().SlowAfter, site: callSite()}
	s.more.box = m
	return m
}

// push puts v into the queue, or does what the policy says when it is full. It
// is the function of the node, and runs in the goroutine that emits.
func (m *mailbox[T]) push(ctx context.Context, v T) error {
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return nil
	}
	if len(m.gate) == 0 && (m.ring.n < m.size-batch || m.queuedLocked() < m.size) {
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
	for len(m.gate) > 0 && (m.ended || m.queuedLocked() < m.size) {
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

// fetch takes events for the listener into its hand. If there are none, it has
// let go of the mailbox when fetch returns nil.
func (m *mailbox[T]) fetch() []T {
	m.mu.Lock()
	m.counts.delivered += uint64(len(m.hand))
	m.hand = m.hand[:0]
	for len(m.hand) < m.take && m.ring.n > 0 {
		m.hand = append(m.hand, m.ring.get())
	}
	hand := m.hand
	m.slow.relieved(m.ring.n+len(hand), m.size)
	if len(hand) > 0 {
		if m.take > 1 {
			m.left.Store(int64(len(hand)))
		}
		m.mu.Unlock()
		return hand
	}
	if len(m.ring.buf) > large {
		m.ring = ring[T]{}
	}
	m.busy = false
	m.mu.Unlock()
	m.sub.returned()
	return nil
}

// begin is called before the listener gets one of the events in its hand, with
// how many are left there after it. It reports whether it is to get it: the
// compare-and-swap fails if shut came first, which has then counted the event
// as dropped. One that was taken alone has begun when it was taken.
func (m *mailbox[T]) begin(left int) bool {
	if m.take == 1 {
		return true
	}
	if !m.left.CompareAndSwap(int64(left)+1, int64(left)) {
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
	call := func(v T) error { return fn(ctx, v) }
	var work func()
	work = func() {
		returned := false
		defer func() {
			if !returned {
				go work() // the listener has called Goexit: the rest is for another goroutine
			}
		}()
		m.work(call)
		returned = true
	}
	m.wake = func() { go work() }
}

// work empties the queue. Before it looks whether there is more it lets others
// run for a moment: to start anew costs more, and so does to fight with those
// who emit for every single event.
func (m *mailbox[T]) work(call func(T) error) {
	if m.overflow == Block {
		m.reader.Store(goroutine())
		defer m.reader.Store(0)
	}
	for {
		hand := m.fetch()
		if hand == nil {
			return
		}
		for at := 0; at < len(hand); {
			at = m.span(call, hand, at)
		}
		for range linger {
			runtime.Gosched()
		}
	}
}

// span gives the listener the events in hand from the one at index at on, up to
// the first at which it panics, and returns the index of the one after it.
func (m *mailbox[T]) span(call func(T) error, hand []T, at int) (next int) {
	returned := false
	out := outcome{}
	defer func() {
		if returned {
			return
		}
		next = at + 1
		told := false
		defer func() {
			if !told { // Goexit, by the listener or by a hook that heard of its panic
				m.putBack(next)
			}
		}()
		if r := recover(); r != nil {
			m.core.panicked(m.who, r, &out)
			told = true
		}
	}()
	var none T
	for ; at < len(hand) && m.begin(len(hand)-at-1); at++ {
		v := hand[at]
		hand[at] = none
		if err := call(v); err != nil && err != ErrStop {
			m.core.failed(m.who, err, &out)
		}
	}
	returned = true
	return len(hand)
}

// putBack puts what is left in the hand back to the front of the queue.
func (m *mailbox[T]) putBack(from int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hand == nil {
		return
	}
	rest := m.hand[from:]
	for _, v := range slices.Backward(rest) {
		m.ring.unget(v)
	}
	clear(rest)
	m.hand = m.hand[:from]
	m.left.Store(0)
}

// shut implements box.
func (m *mailbox[T]) shut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	left := max(0, int(m.left.Swap(shutMark)))
	m.counts.dropped += uint64(m.ring.n + left)
	m.counts.delivered += uint64(len(m.hand) - left)
	m.hand = nil
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
	s.Delivered += uint64(len(m.hand) - max(0, int(m.left.Load())))
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

// unget puts v before the others.
func (r *ring[T]) unget(v T) {
	r.grow()
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = v
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
