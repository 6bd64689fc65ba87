package workerpool

import (
	"context"
	"runtime"
	"time"
)

// submit brings e into the pool, or returns why not; then it never runs.
func (p *Pool) submit(ctx context.Context, e entry, overflow Overflow) error {
	if ctx.Err() != nil || !enter(ctx) {
		return ctxError(ctx)
	}
	p.mu.Lock()
	if p.phase == open && p.callers.len == 0 && p.hasRoomLocked() {
		p.acceptLocked(e)
		if p.waking || p.busy >= p.max { // nobody to call
			p.mu.Unlock()
		} else {
			p.unlock()
		}
		if e.fn == nil {
			p.watchGated(e.job())
		}
		return nil
	}
	p.mu.Unlock()
	j := e.job()
	if j == nil {
		j = &job{parent: ctx, do: goFunc(e.fn), pool: p}
	}
	err := p.submitSlowly(ctx, j, overflow)
	if err == nil {
		p.watchGated(j)
	} else if j.state() == waiting { // neither accepted nor dropped
		leave(ctx)
	}
	return err
}

// submitSlowly is submit for a pool that is full or leaving.
func (p *Pool) submitSlowly(ctx context.Context, j *job, overflow Overflow) error {
	host := p.within(ctx)
	if overflow == Block {
		runtime.Gosched() // there may be room before a place in line is worth its price
	}
	p.watchQueued()
	p.mu.Lock()
	switch {
	case p.phase == closed || p.phase == draining && host == nil:
		p.mu.Unlock()
		return ErrClosed
	case p.callers.len == 0 && p.hasRoomLocked():
		p.acceptLocked(entryOf(j))
		p.unlock()
		return nil
	}
	switch overflow {
	case DropOldest:
		if old := p.oldestLocked(); old != nil {
			p.dropped[Overflowed]++
			p.acceptLocked(entryOf(j))
			p.unlock()
			p.settleDropped(old, Overflowed, p.droppedError(Overflowed))
			return nil
		}
	case CallerRuns:
		if j.x == nil || j.x.gate == nil {
			p.accepted++
			j.claim()
			p.unlock()
			var w *worker
			if host != nil {
				w = host.w
			}
			p.execute(w, j)
			return nil
		}
		return p.waitForRoom(ctx, j, host)
	case Block:
		return p.waitForRoom(ctx, j, host)
	}
	err := p.fullErrorLocked()
	p.unlock()
	p.refused.Add(1)
	return err
}

// hasRoomLocked reports whether a task may be accepted: fewer wait than the
// queue holds and than there are workers to take one at once.
func (p *Pool) hasRoomLocked() bool {
	if p.queue.lenAtMost()+p.lanedLocked()+p.gated < p.room {
		return true
	}
	free := p.coming
	if !p.paused {
		free += max(0, p.max-p.busy)
	}
	return p.queuedLocked()-free < p.room
}

// readyLocked is the number of jobs that a worker could take.
func (p *Pool) readyLocked() int { return p.queue.len() + p.lanedLocked() }

// queuedLocked is the number of jobs that wait.
func (p *Pool) queuedLocked() int { return p.readyLocked() + p.gated }

// acceptLocked puts e into its queue, or at its gate.
func (p *Pool) acceptLocked(e entry) {
	p.accepted++
	p.untilDue--
	j := e.job()
	if p.untilDue > 0 && !p.timely && (j == nil || j.x == nil) {
		p.queue.put(e)
		return
	}
	if j == nil {
		j = &job{parent: e.ctx, do: goFunc(e.fn), pool: p}
	}
	p.acceptJobLocked(j)
}

// acceptJobLocked does it for a job of which more is to be known.
func (p *Pool) acceptJobLocked(j *job) {
	if p.untilDue == 0 {
		p.sampleLocked()
		j.extra().sampled = true
		j.stamp = p.now()
	} else if p.timely {
		j.stamp = p.now()
	}
	if j.x == nil || j.x.gate == nil || p.enterGateLocked(j) {
		p.enqueueLocked(j)
	}
}

// enqueueLocked puts a job that may run into its queue.
func (p *Pool) enqueueLocked(j *job) {
	p.laneLocked(j).put(entryOf(j))
	if p.cfg.MaxQueueAge > 0 && !p.age.armed && p.phase != closed {
		p.startLocked(&p.age, max(0, j.stamp+p.cfg.MaxQueueAge-p.now()), p.dropAged)
	}
}

// caller waits for room to bring a job.
type caller struct {
	job        *job
	settled    chan struct{} // closed when it does not wait any more
	err        error         // why the job was not accepted; written before that
	inside     bool          // it is a task of the pool
	prev, next *caller
}

// line is a list of callers in the order of their arrival.
type line struct {
	first, last *caller
	len         int
}

func (l *line) add(c *caller) {
	if c.prev = l.last; c.prev == nil {
		l.first = c
	} else {
		c.prev.next = c
	}
	l.last = c
	l.len++
}

func (l *line) remove(c *caller) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	l.len--
}

// waitForRoom is called with p.mu held and releases it. The caller is in line
// before anybody can make room unseen.
func (p *Pool) waitForRoom(ctx context.Context, j *job, host *job) error {
	c := &caller{job: j, settled: make(chan struct{}), inside: host != nil}
	p.callers.add(c)
	if host != nil {
		p.lendLocked(host)
	}
	p.unlock()
	if host != nil {
		defer p.reclaim(host)
	}
	select {
	case <-c.settled:
	case <-ctx.Done():
		p.mu.Lock()
		select {
		case <-c.settled: // in the same moment
			p.mu.Unlock()
		default:
			p.callers.remove(c)
			p.unlock()
			return ctxError(ctx)
		}
	}
	if c.err == nil && ctx.Err() != nil && p.cancel(j, ContextDone, ctxError(ctx)) {
		return ctxError(ctx)
	}
	return c.err
}

// admitLocked accepts the jobs of callers for whom there is room.
//
// When every task that runs waits for another, and none can start, then the
// queue is full of tasks that wait for their key or sub-limit, and those inside
// which there are callers must go on first. Their jobs are accepted beyond the
// bound, until one can start.
func (p *Pool) admitLocked() {
	for p.callers.len > 0 {
		c := p.callers.first
		if !p.hasRoomLocked() {
			if p.busy > 0 || p.paused || p.readyLocked() > 0 {
				return
			}
			if c = p.callers.firstInside(); c == nil {
				return
			}
		}
		p.callers.remove(c)
		p.acceptLocked(entryOf(c.job))
		close(c.settled)
	}
}

// firstInside is the first caller that is a task of the pool.
func (l *line) firstInside() *caller {
	c := l.first
	for c != nil && !c.inside {
		c = c.next
	}
	return c
}

// refuseCallersLocked sends those away who wait for room, or only those that
// are no tasks of the pool.
func (p *Pool) refuseCallersLocked(all bool) {
	for c := p.callers.first; c != nil; {
		next := c.next
		if all || !c.inside {
			p.callers.remove(c)
			c.err = ErrClosed
			close(c.settled)
		}
		c = next
	}
}

// fullErrorLocked describes a full pool.
func (p *Pool) fullErrorLocked() error {
	e := &FullError{Name: p.cfg.Name, Queued: p.queuedLocked(), Queue: p.room}
	if n := p.runs.count.Load(); n > 0 {
		e.Expected = time.Duration(p.runs.sum.Load()/n) * time.Duration(e.Queued+1) / time.Duration(p.max)
	}
	return e
}
