package workerpool

import "time"

// The queue of the normal priority is Pool.queue. Once there are jobs of
// another priority, they are in queues beside it, and jobs are taken with the
// lock alone, from the queue whose first job is due first: it is due at the
// time of its coming, less a head start of Ageing for each step of priority.
// So a job is passed by those only that came within its head start.

// addLane makes the queue of a priority other than the normal one.
func (p *Pool) addLane(priority Priority) {
	p.mu.Lock()
	defer p.unlock()
	if !p.timely {
		p.timely, p.timelySince = true, p.now()
	}
	if i := laneIndex(priority); p.lanes[i] == nil {
		p.lanes[i] = new(queue)
		p.lanes[i].init()
	}
}

func laneIndex(priority Priority) int {
	if priority == Low {
		return 0
	}
	return 1
}

// laneLocked is the queue that j belongs to.
func (p *Pool) laneLocked(j *job) *queue {
	if j.x == nil || j.x.lane == Normal {
		return &p.queue
	}
	return p.lanes[laneIndex(j.x.lane)]
}

// lanedLocked is the number of jobs in the queues beside the normal one.
func (p *Pool) lanedLocked() int {
	if !p.timely {
		return 0
	}
	n := 0
	for _, q := range p.lanes {
		if q != nil {
			n += q.len()
		}
	}
	return n
}

// eachLane calls f with the queues in use, the highest priority first.
func (p *Pool) eachLaneLocked(f func(Priority, *queue)) {
	for priority := High; priority >= Low; priority-- {
		if priority == Normal {
			f(Normal, &p.queue)
		} else if q := p.lanes[laneIndex(priority)]; q != nil {
			f(priority, q)
		}
	}
}

// pickLocked takes the entry whose turn it is, its job claimed, and reports
// false if there is none or none may start.
func (p *Pool) pickLocked(w *worker) (entry, bool) {
	for !p.paused {
		var e entry
		var ok bool
		if p.strictLocked() {
			e, ok = p.firstDueLocked()
			p.queue.show(w, p.queue.first())
		} else {
			p.queue.show(w, p.queue.offer())
			e, ok = w.chunk.take(0)
		}
		if j := e.job(); j == nil || j.claim() {
			return e, ok
		}
	}
	return entry{}, false
}

// firstDueLocked takes the entry that is due first.
func (p *Pool) firstDueLocked() (entry, bool) {
	p.queue.seize()
	var best *queue
	var earliest time.Duration
	p.eachLaneLocked(func(priority Priority, q *queue) {
		if e := q.front(); e != nil {
			due := max(e.stamp(), p.timelySince) - time.Duration(priority)*p.cfg.Ageing
			if best == nil || due < earliest {
				best, earliest = q, due
			}
		}
	})
	if best == nil {
		return entry{}, false
	}
	return best.takeFirst()
}

// stamp is when e came; one without a stamp came before timelySince.
func (e *entry) stamp() time.Duration {
	if j := e.job(); j != nil {
		return j.stamp
	}
	return 0
}

// oldestLocked takes the job, claimed, that has waited longest of those with
// the lowest priority, out of the queues; nil if none waits there.
func (p *Pool) oldestLocked() *job {
	p.queue.seize()
	for {
		var last *queue
		p.eachLaneLocked(func(_ Priority, q *queue) {
			if q.front() != nil {
				last = q
			}
		})
		if last == nil {
			return nil
		}
		e, _ := last.takeFirst()
		j := e.job()
		if j == nil {
			return p.jobOf(e)
		}
		if j.claim() {
			if j.x != nil && j.x.gate != nil {
				p.leaveGateLocked(j.x.gate)
			}
			return j
		}
	}
}
