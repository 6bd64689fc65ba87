package workerpool

import "context"

// A job that waits is dropped by whoever claims it. It is out of its queue at
// once, and its room is free: that matters to those who wait for room.

// cancel drops j if it still waits, and reports whether it did.
func (p *Pool) cancel(j *job, reason Reason, err error) bool {
	if !j.claim() {
		return false
	}
	p.drop(j, reason, err)
	return true
}

// drop ends a claimed job that will never run. Drain waits until everybody has
// been told.
func (p *Pool) drop(j *job, reason Reason, err error) {
	p.mu.Lock()
	p.vacateLocked(j)
	p.dropped[reason]++
	p.telling++
	p.unlock()
	defer p.told() // also if the hook panics
	p.settleDropped(j, reason, err)
}

func (p *Pool) told() {
	p.mu.Lock()
	p.telling--
	p.unlock()
}

// vacateLocked takes a job that was claimed out of its queue, or away from its
// gate. If a worker took it out before, and then found it claimed, nothing is
// left to do but to let the next one through the gate.
func (p *Pool) vacateLocked(j *job) {
	if j.x != nil && j.x.gated {
		p.quitGateLocked(j)
		return
	}
	p.queue.seize()
	p.laneLocked(j).remove(j)
	if j.x != nil && j.x.gate != nil {
		p.leaveGateLocked(j.x.gate)
	}
}

// settleDropped tells everybody about a job that was dropped.
func (p *Pool) settleDropped(j *job, reason Reason, err error) {
	p.unwatch(j)
	j.finish()
	if hook := p.cfg.Hooks.OnDropped; hook != nil {
		hook(Dropped{Name: p.cfg.Name, Reason: reason, Err: err})
	}
	j.do.settle(j, err)
}

func (p *Pool) droppedError(reason Reason) error {
	return &DroppedError{Name: p.cfg.Name, Reason: reason}
}

// unfit looks at a claimed job in the moment in which it would run, and drops
// it if nobody wants it any more.
func (p *Pool) unfit(j *job) bool {
	p.unwatch(j)
	if j.parent.Err() != nil {
		p.drop(j, ContextDone, ctxError(j.parent))
		return true
	}
	if p.cfg.MaxQueueAge > 0 && p.now()-j.stamp >= p.cfg.MaxQueueAge {
		p.drop(j, TooOld, p.droppedError(TooOld))
		return true
	}
	return false
}

// watchQueued makes sure that waiting jobs whose ctx is done make room at once.
// It is called by those who find no room; while there is room nobody misses
// it. Each job is watched once, so that it costs each at most one AfterFunc.
func (p *Pool) watchQueued() {
	var fresh []*job
	p.mu.Lock()
	p.queue.seize()
	p.eachLaneLocked(func(_ Priority, q *queue) {
		q.eachFresh(func(i uint32, e *entry) {
			switch j := e.job(); {
			case j != nil:
				fresh = append(fresh, j)
			case e.ctx != context.Background():
				// It becomes a job, to be told from others.
				*e = entryOf(&job{parent: e.ctx, do: goFunc(e.fn), pool: p, seq: i})
				fresh = append(fresh, e.job())
			}
		})
	})
	p.unlock()
	for _, j := range fresh {
		p.watch(j)
	}
}

// watchGated does it for a job that may wait at a gate, from the beginning.
func (p *Pool) watchGated(j *job) {
	if j.x != nil && j.x.gate != nil {
		p.watch(j)
	}
}

// watch drops j as soon as its ctx is done, if it still waits then.
func (p *Pool) watch(j *job) {
	if j.parent.Done() == nil {
		return
	}
	if j.parent.Err() != nil {
		p.cancel(j, ContextDone, ctxError(j.parent))
		return
	}
	ctx := j.parent
	stop := context.AfterFunc(ctx, func() { p.cancel(j, ContextDone, ctxError(ctx)) })
	p.mu.Lock()
	if p.watches[j] != nil {
		p.mu.Unlock()
		stop() // two have found no room at once
		return
	}
	p.watches[j] = stop
	p.watching.Store(int32(len(p.watches)))
	p.mu.Unlock()
	if j.state() != waiting {
		p.unwatch(j)
	}
}

// unwatch ends the watch over a claimed job. It is called after the claim, and
// watch looks for a claim after it has told of the watch: one of them finds
// what the other did.
func (p *Pool) unwatch(j *job) {
	if p.watching.Load() == 0 {
		return
	}
	p.mu.Lock()
	stop := p.watches[j]
	delete(p.watches, j)
	p.watching.Store(int32(len(p.watches)))
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
}
