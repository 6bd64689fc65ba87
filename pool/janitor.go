package pool

import "time"

// maxTick is the longest time between two looks at the clock while the pool is
// busy.
const maxTick = 100 * time.Millisecond

// tidyEvery is how often the janitor looks at a line that callers have left
// without mu. In a storm each of them would else wake it, in the place of
// somebody who has just been given a resource.
const tidyEvery = 10 * time.Millisecond

// pokeLocked makes sure that the janitor looks at t, and starts it if it is the
// first to be asked for anything.
func (p *Pool[T]) pokeLocked(t time.Duration) {
	if t >= p.wakeAt || p.closed {
		return
	}
	p.wakeAt = t
	if !p.janitorRuns {
		p.janitorRuns = true
		p.wake = make(chan struct{}, 1)
		p.running++
		go p.janitor()
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it has been told, and has not looked yet
	}
}

// janitor does what is due for its time: it moves the clock of a busy pool, ends
// waits, and looks after what is idle or has been held for long. It is the only
// goroutine that stays, sleeps while nothing can become due, and ends with Close.
func (p *Pool[T]) janitor() {
	defer p.exit()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if p.closed {
			p.unlockQuiet()
			return
		}
		p.readLocked()
		p.rideLocked()
		p.clearLocked()
		p.timeOutLocked()
		leaks := p.reclaimLocked()
		if p.now >= p.nextSweep {
			leaks = append(leaks, p.sweepLocked()...)
		}
		p.wakeAt = p.dueLocked()
		sleep := p.wakeAt - p.now
		p.unlock()
		p.tellLeaks(leaks)

		if sleep < never/2 {
			timer.Reset(sleep)
		} else {
			timer.Stop() // a timer that is set keeps the time of a bubble going
		}
		select {
		case <-timer.C:
		case <-p.wake:
		}
	}
}

// rideLocked lets the clock rest when too little was asked of the pool since the
// last tick.
func (p *Pool[T]) rideLocked() {
	if p.dormant || p.now-p.lastTick < p.tick {
		return
	}
	if p.acquired-p.lastSeen < busyRate {
		p.dormant = true
	}
	p.lastTick, p.lastSeen = p.now, p.acquired
}

// dueLocked returns when the janitor has to look again.
func (p *Pool[T]) dueLocked() time.Duration {
	due := p.nextSweep
	if !p.dormant {
		due = min(due, after(p.lastTick, p.tick))
	}
	if w := p.queue.first; w != nil {
		due = min(due, after(w.since, p.cfg.AcquireTimeout))
	}
	if p.untidy.Load() {
		due = min(due, after(p.now, tidyEvery))
	}
	if p.cfg.ReclaimLeaked && p.inUse > 0 {
		due = min(due, after(p.now, reclaimEvery))
	}
	if p.now < p.retryAt && p.wantsLocked() {
		due = min(due, p.retryAt)
	}
	return due
}

// sweepLocked looks at every slot for what its age brings, and works out when
// the next thing will happen to one of them.
func (p *Pool[T]) sweepLocked() (leaks []leak) {
	// From the bottom up, the longest idle first, down to MinIdle.
	for p.idle.len > p.minIdle && p.now >= after(p.idle.bottom.used, p.cfg.IdleTimeout) {
		s := p.idle.bottom
		p.removeIdleLocked(s)
		p.destroyLocked(s, Idle)
	}
	next, left := never, p.idle.len
	for s := p.idle.bottom; s != nil; {
		s, left = p.sweepIdleLocked(s, left, &next), left-1
	}
	if p.cfg.LeakAfter > 0 {
		for _, s := range p.all {
			if s.state != leased || s.reported || s.trace == nil {
				continue
			}
			if at := after(s.since, p.cfg.LeakAfter); p.now < at {
				next = min(next, at)
				continue
			}
			s.reported = true
			p.counts.leaks++
			leaks = append(leaks, leak{held: p.heldByLocked(s)})
		}
	}
	p.nextSweep = next
	return leaks
}

// sweepIdleLocked looks at one idle slot, below which none is left to look at,
// and returns the one above it. above is how many there are from s to the top.
func (p *Pool[T]) sweepIdleLocked(s *slot[T], above int, next *time.Duration) *slot[T] {
	up := s.prev
	if p.now >= s.expire {
		p.removeIdleLocked(s)
		p.destroyLocked(s, Expired)
		return up
	}
	if p.now >= s.renew && !s.aging {
		// settleLocked sees that one ready resource will soon be missing.
		s.aging = true
		p.aging++
	}
	if s.aging {
		*next = min(*next, s.expire)
	} else {
		*next = min(*next, s.renew)
	}
	if above > p.minIdle {
		*next = min(*next, after(s.used, p.cfg.IdleTimeout))
	}
	if p.cfg.KeepAlive > 0 {
		at := after(max(s.seen, s.used), p.cfg.KeepAlive)
		if p.now >= at {
			s.kept = true
			p.startCheckLocked(s)
			return up
		}
		*next = min(*next, at)
	}
	return up
}
