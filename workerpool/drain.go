package workerpool

import "context"

// Drain refuses new tasks with ErrClosed from now on, as well as those whose
// callers wait for room, and waits until every task that was accepted has
// ended. What tasks of the pool bring under their own ctx until then is
// accepted, as it is a part of them. Drain returns nil when all is done and the
// workers are gone.
//
// When ctx is done first, the tasks that still wait are dropped, their outcome
// matches ErrClosed, and the contexts of those that run are cancelled with the
// cause ErrClosed. Drain does not wait for these, and returns a *DrainError
// that says how many there were of both and matches the error of ctx. Drain
// may be called again, and by many. It ends a Pause.
func (p *Pool) Drain(ctx context.Context) error {
	p.mu.Lock()
	if p.phase == open {
		p.phase = draining
		p.leaving.Store(true)
		p.paused = false
		p.refuseCallersLocked(false)
	}
	drained := p.drained
	p.unlock()

	select {
	case <-drained:
		p.gone()
		return nil
	case <-ctx.Done():
	}
	dropped := p.abort()
	p.mu.Lock()
	left := p.pendingLocked()
	p.unlock()
	if dropped == 0 && left == 0 {
		p.gone()
		return nil // it was done in the same moment
	}
	return &DrainError{Name: p.cfg.Name, Dropped: dropped, Running: left, Err: ctxError(ctx)}
}

// Close refuses new tasks, drops those that wait, as at the deadline of Drain,
// cancels the contexts of those that run, and waits for these. It returns when
// the goroutines of the pool are gone. Called within a task it would wait for
// itself. Close is idempotent and always returns nil.
func (p *Pool) Close() error {
	p.abort()
	p.gone()
	return nil
}

// gone waits until the workers have left.
func (p *Pool) gone() {
	if p.stop != nil {
		p.stop(ErrClosed)
	}
	p.goroutines.Wait()
}

// abort closes the pool now, and returns how many jobs it has dropped.
func (p *Pool) abort() int {
	p.mu.Lock()
	p.leaving.Store(true)
	p.aborted.Store(true)
	p.paused = false
	p.refuseCallersLocked(true)
	jobs := p.gatedLocked()
	for j := p.oldestLocked(); j != nil; j = p.oldestLocked() {
		jobs = append(jobs, j)
	}
	p.dropped[Closed] += uint64(len(jobs))
	scopes := p.scopes
	p.scopes = make(map[*job]*scope)
	p.closeLocked()
	p.unlock()

	if p.stop != nil {
		p.stop(ErrClosed)
	}
	for _, s := range scopes {
		s.cancel(ErrClosed)
	}
	for _, j := range jobs {
		p.settleDropped(j, Closed, p.droppedError(Closed))
	}
	return len(jobs)
}

// leaveLocked takes the steps to the end that can be taken.
func (p *Pool) leaveLocked() {
	if p.queuedLocked() > 0 || p.pendingLocked() > 0 || p.telling > 0 {
		return
	}
	if p.phase == draining {
		p.closeLocked()
	}
	if !p.done {
		p.done = true
		close(p.drained)
	}
}

// closeLocked lets the workers leave: the idle ones now, the others when they
// find no job.
func (p *Pool) closeLocked() {
	p.phase = closed
	p.dismissLocked(len(p.idle))
	p.stopLocked(&p.sweep)
	p.stopLocked(&p.age)
}

// pendingLocked is the number of jobs that were accepted and have not ended.
func (p *Pool) pendingLocked() int {
	done := p.ran + p.outside.Load() + p.queue.functions()
	for w := range p.workers {
		done += w.ran.Load()
	}
	for _, n := range p.dropped {
		done += n
	}
	return int(p.accepted - done)
}
