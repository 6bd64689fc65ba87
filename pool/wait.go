package pool

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// A waiter is a caller that waits for a resource. It stops waiting once, in the
// way that fate says, and whoever moves fate from waiting decides which. An answer
// is given with mu held, and puts exactly one token into ready. A waiter whose
// ctx is done leaves without waiting for mu; it stays in the queue until somebody
// who has mu takes it out, which is itself if mu is free.
//
// So nobody who leaves is in the way of those who hand on: in a storm of
// timeouts thousands leave at the same time, and would stand in line for mu
// before the one who releases.
type waiter[T any] struct {
	fate       atomic.Uint32 // set to waiting by its owner, and moved on once by either side
	queued     bool          // guarded by Pool.mu, as are prev and next
	prev, next *waiter[T]
	done       <-chan struct{} // of the caller's ctx
	ready      chan struct{}   // holds one token; sent by whoever has moved fate to answered, so it has room
	since      time.Duration   // when it began to wait
	seq        uint64          // lastID then: attempts up to it began before
	lease      Lease[T]        // the answer, written before the token is sent
	err        error           // or this
	cause      error           // what Create returned, if err is ErrDown
}

// The fates of a waiter.
const (
	waiting  = iota
	answered // there is, or will be at once, a token
	left     // and counted in Pool.dead while it is in the queue
	passed   // it was found to be leaving, and is out of the queue
)

// queue is a list of waiters, oldest first, linked through the waiters so that
// one in the middle leaves at no cost.
type queue[T any] struct {
	first, last *waiter[T]
	len         int
}

func (q *queue[T]) push(w *waiter[T]) {
	if q.len == 0 {
		q.first = w
	} else {
		w.prev, q.last.next = q.last, w
	}
	q.last = w
	q.len++
	w.queued = true
}

func (q *queue[T]) remove(w *waiter[T]) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
}

// enqueueLocked puts w, whose since is set, at the end of the line. The janitor looks after its
// AcquireTimeout: as all have the same, those at the head time out first, and
// one timer does for the whole line.
func (p *Pool[T]) enqueueLocked(w *waiter[T]) {
	w.seq = p.lastID
	p.queue.push(w)
	p.pokeLocked(after(w.since, p.cfg.AcquireTimeout))
}

// newWaiter returns one for a caller whose ctx is done with done.
func (p *Pool[T]) newWaiter(done <-chan struct{}) *waiter[T] {
	w := p.waiters.Get().(*waiter[T])
	w.done = done
	w.fate.Store(waiting)
	return w
}

// await waits for an answer to w or for ctx.
func (p *Pool[T]) await(ctx context.Context, w *waiter[T]) (Lease[T], error) {
	since := w.since
	select {
	case <-w.ready:
	case <-w.done:
		if w.fate.CompareAndSwap(waiting, left) {
			p.dead.Add(1)
			return Lease[T]{}, p.leave(ctx, w, since)
		}
		if w.fate.Load() == passed {
			p.recycle(w)
			return Lease[T]{}, p.leave(ctx, nil, since)
		}
		<-w.ready
	}
	l, err, cause := w.lease, w.err, w.cause
	p.recycle(w)
	waited := max(time.Since(p.base)-since, 0)
	if ctx.Err() != nil {
		// Done wins even over an answer: someone who cancels a caller and then
		// releases a resource may rely on not seeing it taken by the cancelled.
		if l.s != nil {
			l.putBack()
		}
		return Lease[T]{}, p.refuse(ctxError(ctx), nil, waited)
	}
	if err != nil {
		return Lease[T]{}, p.refuse(err, cause, waited)
	}
	p.waits.observe(waited)
	return p.deliver(l, waited), nil
}

// leave is the rest of a wait that ended with ctx. w is nil if it is out of the
// queue already. If mu is taken, the janitor is told that there is something to
// clear away, and the error says what the pool was doing a moment ago.
func (p *Pool[T]) leave(ctx context.Context, w *waiter[T], since time.Duration) error {
	err := ctxError(ctx)
	e := new(AcquireError)
	if !p.mu.TryLock() {
		if !p.untidy.Swap(true) {
			select {
			case p.wake <- struct{}{}: // made before w came into the queue
			default:
			}
		}
		if r, ok := p.refuseFree(err, since); ok {
			return p.tell(r)
		}
		return p.refuse(err, nil, max(time.Since(p.base)-since, 0))
	}
	p.admitLocked() // w may be among them
	p.readLocked()
	r := p.refusalLocked(e, err, nil, max(p.now-since, 0))
	if w != nil && w.queued {
		p.queue.remove(w)
		p.dead.Add(-1)
		p.recycle(w)
	}
	if p.queue.len > 0 {
		p.unlockQuiet() // nothing has come for anybody
	} else {
		p.unlock()
	}
	return p.tell(r)
}

// recycle keeps w for another caller.
func (p *Pool[T]) recycle(w *waiter[T]) {
	w.lease, w.err, w.cause, w.done = Lease[T]{}, nil, nil, nil
	p.waiters.Put(w)
}

// takeLocked takes w out of the queue and reports whether it is the caller's to
// answer. One that has left is its own no more, and is not used again.
func (p *Pool[T]) takeLocked(w *waiter[T]) bool {
	p.queue.remove(w)
	return p.claimLocked(w)
}

// claimLocked is takeLocked for a waiter that is not in the queue.
func (p *Pool[T]) claimLocked(w *waiter[T]) bool {
	if w.fate.CompareAndSwap(waiting, answered) {
		return true
	}
	p.dead.Add(-1)
	return false
}

// grantLocked hands s to the first waiter that is still there, and reports
// whether there was one. Those whose ctx is done are on their way out, and are
// passed over: in a storm of timeouts each of them would hold s for as long as
// it takes to be scheduled.
func (p *Pool[T]) grantLocked(s *slot[T]) bool {
	for p.queue.len > 0 {
		w := p.queue.first
		select {
		case <-w.done:
			p.queue.remove(w) // first: it is its owner's once it has passed
			if !w.fate.CompareAndSwap(waiting, passed) {
				p.dead.Add(-1)
			}
			continue
		default:
		}
		if p.takeLocked(w) {
			w.lease = p.leaseLocked(s)
			w.ready <- struct{}{}
			return true
		}
	}
	return false
}

// answerLocked takes w out of the queue with err.
func (p *Pool[T]) answerLocked(w *waiter[T], err, cause error) {
	p.queue.remove(w)
	p.replyLocked(w, err, cause)
}

// replyLocked is answerLocked for a waiter that is not in the queue.
func (p *Pool[T]) replyLocked(w *waiter[T], err, cause error) {
	if p.claimLocked(w) {
		w.err, w.cause = err, cause
		w.ready <- struct{}{}
	}
}

// answerAllLocked does so with all that wait.
func (p *Pool[T]) answerAllLocked(err error) {
	for p.queue.len > 0 {
		p.answerLocked(p.queue.first, err, nil)
	}
}

// waitingLocked is how many wait.
func (p *Pool[T]) waitingLocked() int { return max(p.queue.len-int(p.dead.Load()), 0) }

// clearLocked takes those out of the queue that have left, if they are many of
// it: then each costs a constant number of steps. If some are left over, the
// janitor comes again by itself, and nobody has to tell it.
func (p *Pool[T]) clearLocked() {
	if 4*int(p.dead.Load()) > p.queue.len {
		for w := p.queue.first; w != nil; {
			next := w.next
			if w.fate.Load() == left {
				p.takeLocked(w)
			}
			w = next
		}
	}
	p.untidy.Store(false)
	if p.dead.Load() > 0 {
		p.untidy.Store(true)
	}
}

// timeOutLocked answers those who have waited for too long, but not so many
// that mu would be held for long; the janitor comes again.
func (p *Pool[T]) timeOutLocked() {
	for range 256 {
		w := p.queue.first
		if w == nil || p.now < after(w.since, p.cfg.AcquireTimeout) {
			return
		}
		p.answerLocked(w, ErrTimeout, nil)
	}
}

// refusal is an error on its way to a caller.
type refusal struct {
	err    error
	detail *AcquireError // as err, if that has details
	oldest *trace        // of the holder that detail is to name
}

// refuse makes the error of a caller that gets no resource, counts it and tells
// the hook. cause is what Create returned, if the caller is refused for that.
func (p *Pool[T]) refuse(why, cause error, waited time.Duration) error {
	e := new(AcquireError)
	p.mu.Lock()
	p.readLocked()
	r := p.refusalLocked(e, why, cause, waited)
	p.unlockQuiet()
	return p.tell(r)
}

// refusalLocked is the part of refuse that needs the lock. Who was cancelled
// knows why, and who meets a closed pool needs no details.
func (p *Pool[T]) refusalLocked(e *AcquireError, why, cause error, waited time.Duration) refusal {
	switch {
	case why == ErrClosed:
		return refusal{err: why}
	case why == ErrFull, why == ErrDown, why == ErrNested:
		p.counts.refused++
	case why == ErrTimeout, errors.Is(why, context.DeadlineExceeded):
		p.timedOut.Add(1)
	default:
		p.cancelled.Add(1)
		return refusal{err: why}
	}
	*e = AcquireError{
		Name: p.cfg.Name, Err: why, Waited: waited, InUse: p.inUse, Creating: p.creating, Closing: p.closing,
		Max: p.max, Waiting: p.waitingLocked(), CreateErr: p.createErr,
	}
	if cause != nil {
		e.CreateErr = cause
		e.Retry = max(p.retryAt-p.now, 0)
	}
	r := refusal{err: e, detail: e}
	if s := p.oldestLocked(); s != nil {
		e.OldestHold = max(p.now-s.since, 0)
		r.oldest = s.trace
	}
	if last := p.last.Load(); last == nil || p.now-last.at >= freshness {
		p.last.Store(&seen{at: p.now, detail: *e, oldest: r.oldest})
	}
	return r
}

// seen is what a refusal has found, for those who leave and do not get mu.
type seen struct {
	at     time.Duration
	detail AcquireError
	oldest *trace
}

const (
	freshness = 10 * time.Millisecond // a newer one is not replaced
	staleness = time.Second           // an older one is not used
)

// refuseFree is refuse without the lock, for a caller whose ctx is done. It
// reports false if nothing is known to put into its error.
func (p *Pool[T]) refuseFree(why error, since time.Duration) (r refusal, ok bool) {
	if !errors.Is(why, context.DeadlineExceeded) {
		p.cancelled.Add(1)
		return refusal{err: why}, true
	}
	last, now := p.last.Load(), time.Since(p.base)
	if last == nil || now-last.at >= staleness {
		return refusal{}, false
	}
	p.timedOut.Add(1)
	e := last.detail
	e.Err, e.Waited, e.Retry = why, max(now-since, 0), 0
	if e.InUse > 0 {
		e.OldestHold += max(now-last.at, 0)
	}
	return refusal{err: &e, detail: &e, oldest: last.oldest}, true
}

// tell is the rest of refuse.
func (p *Pool[T]) tell(r refusal) error {
	if r.detail == nil {
		return r.err
	}
	r.detail.OldestHolder = r.oldest.caller()
	if hook := p.cfg.Hooks.OnRefused; hook != nil {
		hook(Refused{Name: p.cfg.Name, Err: r.err})
	}
	return r.err
}
