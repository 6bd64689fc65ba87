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
		p.mu.Lock()
		if w.queued {
			p.queue.remove(w)
			p.unlock()
		} else {
			p.mu.Unlock()
			<-w.ready
		}
	}
	l, err, cause, since := w.lease, w.err, w.cause, w.since
	w.lease, w.err, w.cause, w.done = Lease[T]{}, nil, nil, nil
	p.waiters.Put(w)

	waited := max(time.Since(p.base)-since, 0)
	if ctx.Err() != nil {
		// Done wins even over an answer: someone who cancels a caller and then
		// releases a resource may rely on not seeing it taken by the cancelled.
		if l.s != nil {
			l.putBack()
		}
		return Lease[T]{}, p.left(ctx, waited)
	}
	if err != nil {
		if err == ErrClosed {
			return Lease[T]{}, err
		}
		return Lease[T]{}, p.refuse(err, cause, waited)
	}
	p.waits.observe(waited)
	return p.deliver(l, waited), nil
}

// left is the error of a caller whose ctx was done while it waited. Who is
// cancelled knows why; a deadline needs an explanation.
func (p *Pool[T]) left(ctx context.Context, waited time.Duration) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return p.refuse(ctxError(ctx), nil, waited)
	}
	p.mu.Lock()
	p.counts.cancelled++
	p.mu.Unlock()
	return ctxError(ctx)
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

// refuse makes the error of a caller that gets no resource, counts it and tells
// the hook. cause is what Create returned, if the caller is refused for that.
func (p *Pool[T]) refuse(why, cause error, waited time.Duration) error {
	p.mu.Lock()
	p.readLocked()
	p.counts.refuse(why)
	e := &AcquireError{
		Name: p.cfg.Name, Err: why, Waited: waited, InUse: p.inUse, Creating: p.creating, Closing: p.closing,
		Max: p.max, Waiting: p.queue.len, CreateErr: p.createErr,
	}
	var tr *trace
	if s := p.oldestLocked(); s != nil {
		e.OldestHold = p.now - s.since
		tr = s.trace
	}
	if cause != nil {
		e.CreateErr = cause
		e.Retry = max(p.retryAt-p.now, 0)
	}
	p.mu.Unlock()
	e.OldestHolder = tr.caller()
	if hook := p.cfg.Hooks.OnRefused; hook != nil {
		hook(e)
	}
	return e
}
