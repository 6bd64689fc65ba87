package ratelimit

import "slices"

// ticket is a place in the future of a key. Its events count from the time at
// on; until then they are in the queue and nowhere else, so that a ticket that
// is given up leaves no trace, and those behind it move up.
type ticket struct {
	at       int64         // when its turn is; never until it was scheduled
	n        int           // permits
	wake     chan struct{} // told that at is earlier now; nil for a Reservation, whose time stays
	mark     uint64        // of the site when the permits were taken
	shadowed bool          // a shadow rule would have refused
}

// join adds a ticket to the queue. The request fits within the limits.
func (s *state) join(p *Plan, tk *ticket, now int64) {
	tk.at = never
	r := s.needRare()
	r.queue = append(r.queue, tk)
	s.schedule(p, max(now, s.newest))
}

// turn returns when a ticket for n permits would have its turn.
func (s *state) turn(p *Plan, n int, t int64) int64 {
	for i := range p.rules {
		if r := &p.rules[i]; !r.shadow && n > r.limit {
			return never
		}
	}
	tk := &ticket{at: never, n: n}
	s.more.rare.queue = append(s.more.rare.queue, tk)
	s.schedule(p, t)
	s.more.rare.queue = s.more.rare.queue[:len(s.more.rare.queue)-1]
	return tk.at
}

// leave removes a ticket whose turn has not come and reports whether there was
// one. Those behind it move up.
func (s *state) leave(p *Plan, tk *ticket, now int64) bool {
	if !s.waiting() {
		return false
	}
	s.settle(p, now)
	i := slices.Index(s.more.rare.queue, tk)
	if i < 0 {
		return false
	}
	s.more.rare.queue = slices.Delete(s.more.rare.queue, i, i+1)
	s.schedule(p, max(now, s.newest))
	return true
}

// settle counts the tickets whose turn has come as events.
func (s *state) settle(p *Plan, now int64) {
	q := s.more.rare.queue
	due := 0
	for due < len(q) && q[due].at <= now {
		s.commit(p, q[due].n, max(q[due].at, s.newest), nil)
		due++
	}
	if due == len(q) {
		s.more.rare.queue = nil
		return
	}
	s.more.rare.queue = slices.Delete(q, 0, due)
}

// schedule gives each ticket its turn, in their order: the earliest time, from
// t on, at which all enforced rules admit it after those before it. A turn can
// only become earlier. It takes time in proportion to queue and rings.
func (s *state) schedule(p *Plan, t int64) {
	var buf [4]forecast
	rules := buf[:0]
	for i := range p.rules {
		if !p.rules[i].shadow {
			rules = append(rules, s.forecast(p, i, t))
		}
	}
	for _, tk := range s.more.rare.queue {
		if tk.at == never || tk.wake != nil {
			at := t
			for i := range rules {
				at = rules[i].earliest(tk.n, at, s.more.rare.queue)
			}
			if at < tk.at {
				tk.at = at
				if tk.wake != nil {
					select {
					case tk.wake <- struct{}{}:
					default: // it has been told and will look at the last word
					}
				}
			}
		}
		t = tk.at
		for i := range rules {
			rules[i].add(tk.n, t)
		}
	}
}

// forecast is how one rule will stand when the tickets of a queue have had
// their turns, one after the other.
type forecast struct {
	g    ring
	next int   // the oldest that counts: an entry of the ring, then a ticket
	used int   // events that count
	tat  int64 // GCRA: the theoretical arrival time
}

func (s *state) forecast(p *Plan, i int, t int64) forecast {
	f := forecast{g: s.ring(p, i)}
	if f.g.r.gcra {
		f.tat = f.g.arrival()
		return f
	}
	entries, events := f.g.gone(t)
	f.next, f.used = entries, int(f.g.c.used)-events
	return f
}

// earliest returns when n more events fit, from t on, and forgets the events
// that are gone by then.
func (f *forecast) earliest(n int, t int64, queue []*ticket) int64 {
	r := f.g.r
	if r.gcra {
		return max(t, f.tat+r.interval*int64(n-r.limit))
	}
	for f.used+n > r.limit {
		if i := f.next - int(f.g.c.n); i < 0 {
			t = max(t, f.g.leaves(f.next))
			f.used -= f.g.count(f.next)
		} else {
			t = max(t, r.leaves(r.tick(queue[i].at)))
			f.used -= queue[i].n
		}
		f.next++
	}
	return t
}

// add counts n events at t.
func (f *forecast) add(n int, t int64) {
	if f.g.r.gcra {
		f.tat = max(f.tat, t) + f.g.r.interval*int64(n)
		return
	}
	f.used += n
}
