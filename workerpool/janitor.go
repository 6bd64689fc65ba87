package workerpool

import "time"

// timer calls a method of the pool once it is due, on a goroutine of which
// Close knows. It is armed only while there is something to wait for. Guarded
// by Pool.mu.
type timer struct {
	timer *time.Timer
	armed bool
}

// startLocked arms t to call f after d; f runs with the lock held and has to
// give it back.
func (p *Pool) startLocked(t *timer, d time.Duration, f func()) {
	t.armed = true
	p.goroutines.Add(1)
	t.timer = time.AfterFunc(d, func() {
		defer p.goroutines.Done()
		p.mu.Lock()
		t.armed = false
		f()
	})
}

func (p *Pool) stopLocked(t *timer) {
	if t.armed && t.timer.Stop() {
		t.armed = false
		p.goroutines.Done()
	}
}

// armSweepLocked arms the sweep if a worker is idle that need not be kept.
func (p *Pool) armSweepLocked() {
	if p.sweep.armed || p.phase != open || len(p.idle) == 0 || len(p.workers) <= p.cfg.Min {
		return
	}
	p.lowest = len(p.idle)
	p.startLocked(&p.sweep, p.cfg.IdleTimeout, p.sweepIdle)
}

// sweepIdle dismisses the workers that were idle for all of the last
// IdleTimeout. As the last to become idle is the first to be called, those are
// at the bottom, as many as there were idle at the least.
func (p *Pool) sweepIdle() {
	if p.phase == open {
		p.dismissLocked(min(p.lowest, len(p.workers)-p.cfg.Min))
		p.queue.shrink()
		p.armSweepLocked()
	}
	p.unlock()
}

// dropAged drops the jobs in the queues that are too old. The timer was armed
// for the first job that came while it was not, so it comes in time for all
// that waited for their turn alone.
func (p *Pool) dropAged() {
	var aged []*job
	p.queue.seize()
	now, wait, more := p.now(), p.cfg.MaxQueueAge, false
	p.eachLaneLocked(func(_ Priority, q *queue) {
		for e := q.front(); e != nil && now-e.stamp() >= p.cfg.MaxQueueAge; e = q.front() {
			j := e.job() // with a limit of age each has one
			if q.takeFirst(); !j.claim() {
				continue
			}
			p.dropped[TooOld]++
			if j.x != nil && j.x.gate != nil {
				p.leaveGateLocked(j.x.gate)
			}
			aged = append(aged, j)
		}
		if e := q.front(); e != nil {
			wait, more = min(wait, e.stamp()+p.cfg.MaxQueueAge-now), true
		}
	})
	if more && p.phase != closed {
		p.startLocked(&p.age, wait, p.dropAged)
	}
	p.unlock()
	for _, j := range aged {
		p.settleDropped(j, TooOld, p.droppedError(TooOld))
	}
}

// callMin starts the workers that are always kept.
func (p *Pool) callMin() {
	for range p.cfg.Min {
		p.mu.Lock()
		w := p.warmestLocked()
		w.coming = true
		p.coming++
		p.busy++
		p.mu.Unlock()
		w.rouse()
	}
}
