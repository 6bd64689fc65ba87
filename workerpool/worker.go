package workerpool

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
)

// worker is a goroutine that takes jobs.
type worker struct {
	pool *Pool
	wake chan bool     // room for one: true to look for a job, false to leave
	ran  atomic.Uint64 // jobs that ended in its place; added to by who ran them

	// Guarded by Pool.mu.
	started bool
	coming  bool // it was called and has not looked for a job yet
	token   bool // it has the token, see next
	looked  bool // it has found nothing, and has the token to look a second time
	lent    int  // goroutines of its job that wait in a call of the pool

	// The goroutine's own.
	plain *job   // of the last function that was no job
	done  uint64 // functions that have run since it took the last one: one or none
	alone bool   // what it ran last was a function for which nobody waits
	chunk *chunk // where there was something to take when it looked last
	state any    // of a Stateful
}

// main runs jobs until the worker is told to leave. When a job ends the
// goroutine by runtime.Goexit, another goroutine takes over the worker.
func (w *worker) main() {
	left := false
	defer func() {
		if !left {
			go w.main()
			return
		}
		w.pool.goroutines.Done()
	}()
	p := w.pool
	if p.begin != nil && !p.begin(w) {
		left = true
		return
	}
	for e, ok := p.next(w); ok; e, ok = w.take() {
		j := e.job()
		if w.alone = j == nil; w.alone {
			j = w.jobOf(e)
		}
		if !p.unfit(j) {
			p.execute(w, j)
		}
	}
	if p.end != nil {
		p.end(w)
	}
	left = true
}

// take returns the next entry, its job claimed; the way of a worker that has
// just ended one. It reports false if the worker has to leave.
func (w *worker) take() (entry, bool) {
	for {
		e, ok := w.chunk.take(w.done)
		if !ok {
			return w.pool.next(w)
		}
		w.done = 0
		if j := e.job(); j == nil || j.claim() {
			return e, true
		}
	}
}

// jobOf makes a job of a function. One that ended without having been asked for
// more than its parent serves again while the parent is the same.
func (w *worker) jobOf(e entry) *job {
	j := w.plain
	if j == nil || j.parent != e.ctx {
		w.retire()
		j = w.pool.jobOf(e)
		if canCompare(e.ctx) {
			w.plain = j
		}
		return j
	}
	leave(j.parent) // of which j is a kid already
	j.do = goFunc(e.fn)
	return j
}

// retire ends a job that will not serve again.
func (w *worker) retire() {
	if j := w.plain; j != nil {
		w.plain = nil
		j.finish()
	}
}

// canCompare reports whether ctx can be told from others: it is a pointer, as
// nearly all contexts are, or what the context package itself gives.
func canCompare(ctx context.Context) bool {
	return reflect.TypeOf(ctx).Kind() == reflect.Pointer || ctx == context.Background()
}

// next waits for an entry, whose job it returns claimed, and reports false if
// the worker has to leave. It is the way of a worker that has found nothing to take.
//
// Before it goes to sleep, the worker lets other goroutines run once and looks
// again: a producer may have more by then, and is spared the waking. For as
// long as it is about to look it has the token (Pool.waking), like one that was
// woken, so that nobody else is woken meanwhile for the same jobs. It gives the
// token back in the critical section in which it looks.
func (p *Pool) next(w *worker) (entry, bool) {
	for {
		p.mu.Lock()
		p.ran += w.done
		w.done = 0
		p.lookLocked(w)
		if p.busy <= p.max {
			if e, ok := p.pickLocked(w); ok {
				w.looked = false
				p.unlock()
				return e, true
			}
			if w.alone && !w.looked && !p.waking && p.phase == open && !p.paused {
				w.looked, w.token, p.waking = true, true, true
				p.mu.Unlock()
				runtime.Gosched()
				continue
			}
		}
		w.looked = false
		p.busy--
		if p.phase == closed {
			p.forgetLocked(w)
			p.unlock()
			return entry{}, false
		}
		p.queue.show(w, nil)
		p.idle = append(p.idle, w)
		p.armSweepLocked()
		p.unlock()
		w.retire()
		if !<-w.wake {
			return entry{}, false
		}
	}
}

// lookLocked marks that w looks for a job now.
func (p *Pool) lookLocked(w *worker) {
	if w.token {
		w.token, p.waking = false, false
	}
	if w.coming {
		w.coming = false
		p.coming--
	}
}

// passToken lets others be called while w makes its state.
func (p *Pool) passToken(w *worker) {
	p.mu.Lock()
	if w.token {
		w.token, p.waking = false, false
	}
	p.unlock()
}

// resign ends a worker that has never looked for a job.
func (p *Pool) resign(w *worker) {
	p.mu.Lock()
	p.lookLocked(w)
	p.busy--
	p.forgetLocked(w)
	p.unlock()
}

// callLocked chooses a worker to look at the jobs that wait, and returns nil if
// there is no need or nobody. At most one is on its way; it calls the next one
// if there is more when it has taken its own.
//
// So while a job could run, either there is one on the way or all places are
// taken: whoever brings a job, or frees a place, calls.
func (p *Pool) callLocked() *worker {
	if p.waking || p.busy >= p.max || p.paused {
		return nil
	}
	if p.queue.lenAtMost()+p.lanedLocked() == 0 {
		return nil
	}
	ready := p.readyLocked()
	if ready == 0 || len(p.idle) == 0 && ready <= p.coming {
		return nil // those who are still making their state have enough to do
	}
	w := p.warmestLocked()
	w.token, p.waking = true, true
	w.coming = true
	p.coming++
	p.busy++
	return w
}

// warmestLocked returns the worker that has been idle for the shortest time,
// whose stack is warm, or a new one.
func (p *Pool) warmestLocked() *worker {
	if n := len(p.idle) - 1; n >= 0 {
		w := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		p.lowest = min(p.lowest, n)
		return w
	}
	w := &worker{pool: p, wake: make(chan bool, 1)}
	p.workers[w] = struct{}{}
	p.goroutines.Add(1)
	return w
}

// rouse starts or wakes a worker that was called; without the lock, as either
// takes longer than all that is done with it.
func (w *worker) rouse() {
	if !w.started {
		w.started = true // nobody else has the worker yet
		go w.main()
		return
	}
	w.wake <- true
}

// forgetLocked takes a worker that leaves out of the books.
func (p *Pool) forgetLocked(w *worker) {
	delete(p.workers, w)
	p.ran += w.ran.Load()
}

// dismissLocked makes the n workers leave that have been idle the longest.
func (p *Pool) dismissLocked(n int) {
	for _, w := range p.idle[:n] {
		p.forgetLocked(w)
		w.wake <- false
	}
	p.idle = slices.Delete(p.idle, 0, n)
	p.lowest = max(0, p.lowest-n)
}

// lend gives up the place of j's worker while a goroutine of j waits for
// something that other jobs may have to run for. Another worker may take the
// place, so that no number of waiting tasks can bring the pool to a stop.
//
// reclaim does not wait until the place is free again: a task that comes back
// may hold a mutex for which the one in its place is waiting. For a moment one
// more may run than there are places; the next worker to end a job goes to
// sleep instead of taking another.
func (p *Pool) lend(j *job) {
	p.mu.Lock()
	p.lendLocked(j)
	p.unlock()
}

func (p *Pool) lendLocked(j *job) {
	if j.w.lent++; j.w.lent == 1 {
		p.busy--
	}
}

func (p *Pool) reclaim(j *job) {
	p.mu.Lock()
	if j.w.lent--; j.w.lent == 0 {
		if p.busy++; p.busy > p.max {
			p.queue.seize() // who takes the next job has to come and see
		}
	}
	p.unlock()
}
