package workerpool

// gate lets at most limit of its jobs through at one time. One that was let
// through is in a queue or runs; the others wait here in the order in which
// they were accepted. A key of GoKey is a gate with limit one, and a sub-limit
// is a gate that its View keeps. All is guarded by Pool.mu.
type gate struct {
	limit       int
	inside      int // jobs let through that have not ended
	first, last *job
	keyed       bool
	key         any
}

// enterGateLocked lets j through, and otherwise leaves it waiting and reports
// false.
func (p *Pool) enterGateLocked(j *job) bool {
	g := j.x.gate
	if g.keyed {
		if known := p.keys[g.key]; known != nil {
			g = known
			j.x.gate = g
		} else {
			p.keys[g.key] = g
		}
	}
	if g.inside < g.limit {
		g.inside++
		return true
	}
	j.x.gated = true
	if j.x.prev = g.last; g.last == nil {
		g.first = j
		p.gates[g] = struct{}{}
	} else {
		g.last.x.next = j
	}
	g.last = j
	p.gated++
	return false
}

// quitGateLocked takes j away that waits at its gate.
func (p *Pool) quitGateLocked(j *job) {
	g, x := j.x.gate, j.x
	if x.prev == nil {
		g.first = x.next
	} else {
		x.prev.x.next = x.next
	}
	if x.next == nil {
		g.last = x.prev
	} else {
		x.next.x.prev = x.prev
	}
	x.prev, x.next, x.gated = nil, nil, false
	p.gated--
	if g.first == nil {
		delete(p.gates, g)
	}
}

// leaveGateLocked lets the next job through in place of one that has ended. It
// goes to the end of its queue.
func (p *Pool) leaveGateLocked(g *gate) {
	if j := g.first; j != nil {
		p.quitGateLocked(j)
		p.enqueueLocked(j)
		return
	}
	if g.inside--; g.inside == 0 && g.keyed {
		delete(p.keys, g.key)
	}
}

func (p *Pool) leaveGate(g *gate) {
	p.mu.Lock()
	p.leaveGateLocked(g)
	p.unlock()
}

// gatedLocked takes away, claimed, all jobs that wait at gates.
func (p *Pool) gatedLocked() []*job {
	var jobs []*job
	for g := range p.gates {
		for j := g.first; j != nil; {
			next := j.x.next
			if j.claim() {
				p.quitGateLocked(j)
				jobs = append(jobs, j)
			}
			j = next
		}
	}
	return jobs
}
