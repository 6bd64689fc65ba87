package workerpool

import (
	"context"
	"sync/atomic"
)

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

func (e *entry) full() bool { return e.ctx != nil }

// chunkLen is the number of slots of a chunk, a power of two.
const chunkLen = 128

// spares is how many chunks a queue keeps for later: those of the default queue.
const spares = 8

// chunk is a piece of a queue. Its slots are filled once, in their order, and
// emptied once.
//
// Takers take from it without a lock. What they may take has been offered: word
// has the number of the next slot to take and, from bit 16, that of the first
// slot that is not offered. A taker moves the former on by compare-and-swap, and
// then has the slot to itself. Whoever has Pool.mu moves the latter.
//
// From bit 32, word counts the functions that have run and were no jobs: each
// taker adds in the same step what it has run since it took last.
type chunk struct {
	word  atomic.Uint64 // written by takers and by who has Pool.mu
	users int           // workers that may take from it, or be about to; guarded by Pool.mu
	_     [48]byte      // takers do not disturb who fills slots
	slots [chunkLen]entry
}

const (
	oneTaken   = 1
	oneOffered = 1 << 16
	oneRun     = 1 << 32
)

func taken(word uint64) uint32   { return uint32(word) & 0xffff }
func offered(word uint64) uint32 { return uint32(word>>16) & 0xffff }
func run(word uint64) uint64     { return word >> 32 }

// take removes the oldest entry that is offered, and reports false if there is
// none. It adds what has run since the last take; if it reports false, it does
// not.
func (c *chunk) take(ran uint64) (e entry, ok bool) {
	for {
		word := c.word.Load()
		i := taken(word)
		if i == offered(word) {
			return entry{}, false
		}
		if c.word.CompareAndSwap(word, word+oneTaken+ran*oneRun) {
			e, c.slots[i] = c.slots[i], entry{}
			return e, true
		}
	}
}

// queue is a first-in-first-out list of chunks. All of it is guarded by Pool.mu;
// takers see nothing of it but the chunk that they were shown.
//
// What is in the first chunk may be offered to takers, and nothing else ever is.
// Nobody can tell when one will be taken then. Whoever needs to know seizes the queue:
// nothing is offered any more, until somebody offers again. All that is more
// than first in, first out is done in this way.
type queue struct {
	chunks []*chunk // those from gone on; the first is used up only if the queue is empty
	gone   int      // how many chunks are used up
	last   *chunk
	filled uint32   // slots of last that have been filled
	tail   uint32   // index of the next entry to come
	base   uint32   // index of the first slot of the first chunk
	seen   uint32   // a head of the past, to be spared the takers' cache line
	fresh  uint32   // eachFresh has seen what is below this index
	dead   int      // slots emptied by remove and not yet passed; none is ever offered
	ran    uint64   // functions that were no jobs, counted in chunks that are used up
	spare  []*chunk // used up, and no worker looks at them
}

func (q *queue) init() {
	q.last = new(chunk)
	q.chunks = []*chunk{q.last}
}

func (q *queue) first() *chunk { return q.chunks[q.gone] }

// head is the index of the next entry to take.
func (q *queue) head() uint32 { return q.base + taken(q.first().word.Load()) }

func (q *queue) slot(i uint32) *entry {
	i -= q.base
	return &q.chunks[q.gone+int(i/chunkLen)].slots[i%chunkLen]
}

// put appends e.
func (q *queue) put(e entry) {
	if q.filled == chunkLen {
		q.grow()
	}
	if e.fn == nil {
		e.job().seq = q.tail
	}
	q.last.slots[q.filled%chunkLen] = e
	q.filled++
	q.tail++
}

// grow appends a chunk.
func (q *queue) grow() {
	if n := len(q.spare) - 1; n >= 0 {
		q.last = q.spare[n]
		q.spare = q.spare[:n]
		q.last.word.Store(0)
	} else {
		q.last = new(chunk)
	}
	q.filled = 0
	q.chunks = append(q.chunks, q.last)
	q.pass()
}

// pass leaves first chunks behind that are used up.
func (q *queue) pass() {
	for q.gone+1 < len(q.chunks) {
		word := q.first().word.Load()
		if taken(word) < chunkLen {
			return
		}
		q.ran += run(word)
		q.keep(q.first())
		q.chunks[q.gone] = nil
		q.base += chunkLen
		if q.gone++; q.gone > len(q.chunks)/2 {
			n := copy(q.chunks, q.chunks[q.gone:])
			clear(q.chunks[n:])
			q.chunks, q.gone = q.chunks[:n], 0
		}
	}
}

// keep keeps a chunk that is used up for later, unless a worker looks at it: who
// has taken the last entry of it may not have read that yet.
func (q *queue) keep(c *chunk) {
	if c.users == 0 && len(q.spare) < spares {
		q.spare = append(q.spare, c)
	}
}

// show makes c the chunk that w takes from; nil takes w away from its chunk.
func (q *queue) show(w *worker, c *chunk) {
	if w.chunk == c {
		return
	}
	if c != nil {
		c.users++
	}
	if old := w.chunk; old != nil {
		if old.users--; taken(old.word.Load()) == chunkLen && old != q.first() {
			q.keep(old)
		}
	}
	w.chunk = c
}

// offer shows takers where they find all that is in the first chunk. There must
// be no empty slot in it.
func (q *queue) offer() *chunk {
	q.pass()
	c := q.first()
	if more := min(q.tail-q.base, chunkLen) - offered(c.word.Load()); more > 0 {
		c.word.Add(uint64(more) * oneOffered)
	}
	return c
}

// seize takes back what is offered.
func (q *queue) seize() {
	q.pass()
	c := q.first()
	for {
		word := c.word.Load()
		back := offered(word) - taken(word)
		if back == 0 || c.word.CompareAndSwap(word, word-uint64(back)*oneOffered) {
			return
		}
	}
}

// functions is how many functions have run that were no jobs.
func (q *queue) functions() uint64 { return q.ran + run(q.first().word.Load()) }

// len is the number of entries, or more: takers go on taking.
func (q *queue) len() int {
	q.seen = q.head()
	return q.lenAtMost()
}

// lenAtMost is an upper bound of len that costs no cache line of the takers.
func (q *queue) lenAtMost() int { return int(q.tail-q.seen) - q.dead }

// shrink gives back the memory of a burst.
func (q *queue) shrink() {
	q.spare = nil
	q.chunks, q.gone = append([]*chunk(nil), q.chunks[q.gone:]...), 0
}

// The methods below need the queue seized.

// front is the oldest entry, nil if there is none.
func (q *queue) front() *entry {
	for q.head() != q.tail {
		if s := q.slot(q.head()); s.full() {
			return s
		}
		q.dead--
		q.skip()
	}
	return nil
}

// skip moves the head on.
func (q *queue) skip() {
	q.first().word.Add(oneTaken + oneOffered)
	q.pass()
}

// takeFirst removes the oldest entry, and reports false if there is none.
func (q *queue) takeFirst() (e entry, ok bool) {
	s := q.front()
	if s == nil {
		return entry{}, false
	}
	e, *s = *s, entry{}
	q.skip()
	return e, true
}

// remove takes j out of the middle, if it is there. It leaves an empty slot,
// which a taker must not meet: nothing is offered until it is passed. At most
// half of all slots are empty, or a few.
func (q *queue) remove(j *job) {
	h := q.head()
	if j.seq-h >= q.tail-h || q.slot(j.seq).job() != j {
		return
	}
	*q.slot(j.seq) = entry{}
	if q.dead++; q.dead > chunkLen/2 && q.dead > int(q.tail-h)/2 {
		q.close()
	}
}

// close moves the entries together.
func (q *queue) close() {
	to, t := q.head(), q.tail
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
	q.tail = to
	q.dead = 0
	last := q.gone + int((to-q.base+chunkLen-1)/chunkLen)
	last = max(last, q.gone+1)
	clear(q.chunks[last:])
	q.chunks = q.chunks[:last]
	q.last = q.chunks[last-1]
	q.filled = to - q.base - uint32(last-1-q.gone)*chunkLen
}

// eachFresh calls f for the entries that came since eachFresh was called last,
// and after close perhaps for some again.
func (q *queue) eachFresh(f func(uint32, *entry)) {
	i, t := q.head(), q.tail
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
