package workerpool

import (
	"context"
	"sync"
	"sync/atomic"
)

// ahead is how many entries are fetched at once.
const ahead = 8

// minRing is the smallest number of slots of a ring, a power of two.
const minRing = 64

// entry is a task in a queue: a function and its ctx, or, without a function, a
// job, if more is to be known of it. As most tasks are functions that nobody
// asks for, this spares an allocation for each.
type entry struct {
	//bedplate:allow ctx: a queued task has to keep the context it will run under
	ctx context.Context // the *job itself if fn is nil
	fn  func(context.Context)
}

func entryOf(j *job) entry { return entry{ctx: j} }

// job is nil if e is a function.
func (e *entry) job() *job {
	if e.fn != nil || e.ctx == nil {
		return nil
	}
	return e.ctx.(*job)
}

// queue is a first-in-first-out ring with a lock for each end: entries are put
// in under Pool.mu and taken out under takers, so that who brings tasks and who
// runs them seldom meet. Pool.mu is locked before takers.
//
// Whoever has Pool.mu may seize the queue: until it is released, takers find
// nothing and go to Pool.mu themselves. All that is more than first in, first
// out is done in this way.
type queue struct {
	takers sync.Mutex // guards the fields down to next, and the slots below tail; who has seized the queue needs it not
	head   uint32     // index of the next entry to take
	nexts  uint32     // how many of the next entries are in next and not in their slots
	held   bool       // the queue is seized; written with Pool.mu held as well
	ran    uint64     // functions that have run and were no jobs

	// The last nexts of these are the first entries of the queue: they are
	// fetched together, as each visit to the slots takes the cache line away
	// from those who bring entries. None are here while the queue is seized.
	next [ahead]entry
	_    [64]byte

	tail  atomic.Uint32 // index of the next entry to come; written with Pool.mu held
	seen  uint32        // a head of the past, to be spared the takers' cache line; guarded by Pool.mu
	fresh uint32        // eachFresh has seen what is below this index; guarded by Pool.mu
	dead  int           // slots in [head, tail) emptied by remove, only while seized; guarded by Pool.mu
	slots []entry       // a power of two of them; replaced by who has seized the queue
}

func (q *queue) init() { q.slots = make([]entry, minRing) }

// take removes the oldest entry. It reports false if there is none, or if the
// queue is seized. It adds what has run since the last take.
func (q *queue) take(ran uint64) (e entry, ok bool) {
	q.takers.Lock()
	q.ran += ran
	if q.nexts > 0 || !q.held && q.fetch() {
		s := &q.next[ahead-q.nexts]
		e, *s, ok = *s, entry{}, true
		q.nexts--
		q.head++
	}
	q.takers.Unlock()
	return e, ok
}

// fetch moves the first entries from their slots to next, and reports whether
// there are any; under takers.
func (q *queue) fetch() bool {
	h := q.head
	n := min(ahead, q.tail.Load()-h)
	for i := range n {
		s := q.slot(h + i)
		q.next[ahead-n+i], *s = *s, entry{}
	}
	q.nexts = n
	return n > 0
}

// The methods below need Pool.mu, and those with held in their comment the
// queue seized as well.

// takeLocked is take with Pool.mu held.
func (q *queue) takeLocked() (e entry, ok bool) {
	if !q.held && q.lenAtMost() > 0 {
		if e, ok = q.take(0); !ok || q.lenAtMost() > 0 {
			q.look()
		}
	}
	return e, ok
}

// seize keeps takers away until release.
func (q *queue) seize() {
	if !q.held {
		q.hold(true)
	}
}

// release lets takers in again.
func (q *queue) release() {
	if q.held {
		q.hold(false)
	}
}

func (q *queue) hold(held bool) {
	q.takers.Lock()
	q.held = held
	for h := q.head; q.nexts > 0; h++ {
		s := &q.next[ahead-q.nexts]
		*q.slot(h), *s = *s, entry{}
		q.nexts--
	}
	q.takers.Unlock()
}

// functions is how many functions have run that were no jobs.
func (q *queue) functions() uint64 {
	q.takers.Lock()
	defer q.takers.Unlock()
	return q.ran
}

// put appends e.
func (q *queue) put(e entry) {
	t := q.tail.Load()
	if int(t-q.seen) >= len(q.slots) {
		if q.look(); int(t-q.seen) >= len(q.slots) {
			was := q.held
			q.seize()
			q.resize(2 * len(q.slots))
			if !was {
				q.release()
			}
		}
	}
	if e.fn == nil {
		e.job().seq = t
	}
	*q.slot(t) = e
	q.tail.Store(t + 1)
}

// len is the number of entries, or more: takers go on taking.
func (q *queue) len() int {
	q.look()
	return q.lenAtMost()
}

// look updates seen.
func (q *queue) look() {
	q.takers.Lock()
	q.seen = q.head
	q.takers.Unlock()
}

// lenAtMost is an upper bound of len that costs no cache line of the takers.
func (q *queue) lenAtMost() int { return int(q.tail.Load()-q.seen) - q.dead }

// front is the oldest entry, nil if there is none; held.
func (q *queue) front() *entry {
	for ; q.head != q.tail.Load(); q.head++ {
		if s := q.slot(q.head); s.full() {
			return s
		}
		q.dead--
	}
	return nil
}

// takeHeld is take for whoever has seized the queue.
func (q *queue) takeHeld() (e entry, ok bool) {
	s := q.front()
	if s == nil {
		return entry{}, false
	}
	e, *s = *s, entry{}
	q.head++
	return e, true
}

// remove takes j out of the middle, if it is there; held. It leaves an empty
// slot, which a taker must not meet: the queue stays seized until it is gone.
// At most half of all slots are empty, or a few.
func (q *queue) remove(j *job) {
	h, t := q.head, q.tail.Load()
	if j.seq-h >= t-h || q.slot(j.seq).job() != j {
		return
	}
	*q.slot(j.seq) = entry{}
	if q.dead++; q.dead > minRing/2 && q.dead > int(t-h)/2 {
		q.close()
	}
}

// close moves the entries together; held.
func (q *queue) close() {
	to, t := q.head, q.tail.Load()
	for i := to; i != t; i++ {
		if e := *q.slot(i); e.full() {
			*q.slot(i) = entry{}
			*q.slot(to) = e
			if j := e.job(); j != nil {
				j.seq = to
			}
			to++
		}
	}
	q.tail.Store(to)
	q.dead = 0
}

// eachFresh calls f for the entries that came since eachFresh was called last,
// and after close perhaps for some again; held.
func (q *queue) eachFresh(f func(uint32, *entry)) {
	i, t := q.head, q.tail.Load()
	if t-q.fresh < t-i {
		i = q.fresh
	}
	for ; i != t; i++ {
		if s := q.slot(i); s.full() {
			f(i, s)
		}
	}
	q.fresh = t
}

func (q *queue) slot(i uint32) *entry { return &q.slots[i&uint32(len(q.slots)-1)] }

func (e *entry) full() bool { return e.ctx != nil }

// shrink gives back the memory of a burst, if no entry is left of it.
func (q *queue) shrink() {
	if was := q.held; q.len() == 0 && len(q.slots) > minRing {
		q.seize()
		q.resize(minRing)
		if !was {
			q.release()
		}
	}
}

// resize moves the entries to n slots, which must hold them; held.
func (q *queue) resize(n int) {
	slots := make([]entry, n)
	for i := q.head; i != q.tail.Load(); i++ {
		slots[i&uint32(n-1)] = *q.slot(i)
	}
	q.slots = slots
}
