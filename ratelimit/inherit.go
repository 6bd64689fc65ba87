package ratelimit

// inherit gives a state that was just made what the keys without a place have
// taken from their shared budget: it may have been this key that took it.
func (l *Limiter[K]) inherit(s *state, p *Plan, now int64) {
	if l.spill.end.Load() <= now {
		return
	}
	l.spill.mu.Lock()
	defer l.spill.mu.Unlock()
	s.copyFrom(p, &l.spill.state, l.plan, now)
}

// copyFrom counts in s, which is empty, the events that are in from and not
// gone at now.
func (s *state) copyFrom(p *Plan, from *state, fromPlan *Plan, now int64) {
	t := max(now, from.newest)
	s.newest = t
	for i := range p.rules {
		j := i
		if p != fromPlan {
			j = fromPlan.like(&p.rules[i])
		}
		src := from.ring(fromPlan, j)
		if src.r.gcra {
			level := max(src.arrival()-t, 0)
			s.pour(p, i, int((level+src.r.interval-1)/max(src.r.interval, 1)), t)
			continue
		}
		first, _ := src.gone(t)
		for e := first; e < int(src.c.n); e++ {
			// No event was after newest, though its stamp may be.
			s.pour(p, i, src.count(e), min(src.leaves(e)-src.r.window, t))
		}
	}
}

// pour counts n events in rule i at a time not after newest and not before
// those poured already. Of too many the newest stay.
func (s *state) pour(p *Plan, i, n int, at int64) {
	g := s.ring(p, i)
	n = min(n, g.r.limit)
	if n == 0 {
		return
	}
	if g.r.gcra {
		full := at + g.r.interval*int64(g.r.limit)
		g.setArrival(min(max(g.arrival(), at)+g.r.interval*int64(n), full))
		return
	}
	g.ref = g.r.tick(at)
	for int(g.c.used)+n > g.r.limit {
		g.drop(1, g.count(0))
	}
	s.put(&g, i, n)
}

// like returns the rule of p that knows most of what r asks for: the one with
// the shortest window that is not shorter than r's, else the longest.
func (p *Plan) like(r *rule) int {
	best := 0
	for i := range p.rules {
		w, b := p.rules[i].window, p.rules[best].window
		if w >= r.window && (b < r.window || w < b) || b < r.window && w > b {
			best = i
		}
	}
	return best
}

// forget drops all events of s and lets those who wait move up.
func (s *state) forget(p *Plan, now int64) {
	if s.waiting() {
		s.settle(p, now)
	}
	s.c, s.in = cell{}, [inline]uint32{}
	if s.more != nil {
		s.more.ring = nil
		if s.more.rare != nil {
			clear(s.more.rare.rest)
		}
	}
	if s.waiting() {
		s.schedule(p, max(now, s.newest))
	}
}
