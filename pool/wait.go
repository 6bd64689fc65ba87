package pool

import (
	"context"
	"errors"
	"time"
)

// A waiter is a caller that waits for a resource. It is in the queue until
// somebody takes it out, with mu held: itself when its ctx is done, or another
// who has an answer. In the second case, and in no other, exactly one token is
// in ready, so a waiter that finds itself out of the queue takes it and may be
// used again.
type waiter[T any] struct {
	queued     bool // guarded by Pool.mu, as are prev, next and until
	prev, next *waiter[T]
	done       <-chan struct{} // of the caller's ctx
	ready      chan struct{}   // holds one token; sent under Pool.mu, so it has room
	since      time.Duration   // when it began to wait
	seq        uint64          // lastID then: attempts up to it began before
	lease      Lease[T]        // the answer, written before the token is sent
	err        error           // or this; neither if its ctx was found done
	cause      error           // what Create returned, if err is ErrDown
}

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

// enqueueLocked puts w at the end of the line. The janitor looks after its
// AcquireTimeout: as all have the same, those at the head time out first, and
// one timer does for the whole line.
func (p *Pool[T]) enqueueLocked(w *waiter[T]) {
	p.readLocked()
	w.since = p.now
	w.seq = p.lastID
	p.queue.push(w)
	p.pokeLocked(after(w.since, p.cfg.AcquireTimeout))
}

// await waits for an answer to w or for ctx.
func (p *Pool[T]) await(ctx context.Context, w *waiter[T]) (Lease[T], error) {
	select {
	case <-w.ready:
	case <-w.done:
		if err, left := p.leave(ctx, w); left {
			return Lease[T]{}, err
		}
		<-w.ready
	}
	l, err, cause, since := w.lease, w.err, w.cause, w.since
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

// leave takes w, whose ctx is done, out of the queue and reports whether it was
// still there. It takes the lock once, as there may be very many who leave.
func (p *Pool[T]) leave(ctx context.Context, w *waiter[T]) (err error, left bool) { //nolint:revive // the error is that of the caller, not of leave
	err = ctxError(ctx)
	p.mu.Lock()
	if !w.queued {
		p.mu.Unlock()
		return nil, false
	}
	p.queue.remove(w)
	p.readLocked()
	r := p.refusalLocked(err, nil, p.now-w.since)
	if p.queue.len > 0 {
		p.mu.Unlock() // nothing has come for anybody
	} else {
		p.unlock()
	}
	p.recycle(w)
	return p.tell(r), true
}

// recycle keeps w for another caller.
func (p *Pool[T]) recycle(w *waiter[T]) {
	w.lease, w.err, w.cause, w.done = Lease[T]{}, nil, nil, nil
	p.waiters.Put(w)
}

// grantLocked hands s to the first waiter that is still there, and reports
// whether there was one. Those whose ctx is done are on their way out, and are
// passed over: in a storm of timeouts each of them would hold s for as long as
// it takes to be scheduled.
func (p *Pool[T]) grantLocked(s *slot[T]) bool {
	for p.queue.len > 0 {
		w := p.queue.first
		p.queue.remove(w)
		select {
		case <-w.done:
			w.ready <- struct{}{}
		default:
			w.lease = p.leaseLocked(s)
			w.ready <- struct{}{}
			return true
		}
	}
	return false
}

// answerLocked takes w out of the queue with err.
func (p *Pool[T]) answerLocked(w *waiter[T], err error) {
	p.queue.remove(w)
	w.err = err
	w.ready <- struct{}{}
}

// answerAllLocked does so with all that wait.
func (p *Pool[T]) answerAllLocked(err error) {
	for p.queue.len > 0 {
		p.answerLocked(p.queue.first, err)
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
		p.answerLocked(w, ErrTimeout)
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
	p.mu.Lock()
	p.readLocked()
	r := p.refusalLocked(why, cause, waited)
	p.mu.Unlock()
	return p.tell(r)
}

// refusalLocked is the part of refuse that needs the lock. Who was cancelled
// knows why, and who meets a closed pool needs no details.
func (p *Pool[T]) refusalLocked(why, cause error, waited time.Duration) refusal {
	switch {
	case why == ErrClosed:
		return refusal{err: why}
	case why == ErrFull, why == ErrDown, why == ErrNested:
		p.counts.refused++
	case why == ErrTimeout, errors.Is(why, context.DeadlineExceeded):
		p.counts.timedOut++
	default:
		p.counts.cancelled++
		return refusal{err: why}
	}
	e := &AcquireError{
		Name: p.cfg.Name, Err: why, Waited: waited, InUse: p.inUse, Creating: p.creating, Closing: p.closing,
		Max: p.max, Waiting: p.queue.len, CreateErr: p.createErr,
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
	return r
}

// tell is the rest of refuse.
func (p *Pool[T]) tell(r refusal) error {
	if r.detail == nil {
		return r.err
	}
	r.detail.OldestHolder = r.oldest.caller()
	if hook := p.cfg.Hooks.OnRefused; hook != nil {
		hook(r.err)
	}
	return r.err
}
