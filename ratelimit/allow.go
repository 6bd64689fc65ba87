package ratelimit

// Allow asks for less than Take, and most keys have one rule and no queue. What
// follows is take for these, with all else left out.

// allowOne is take of one permit for a plan that is simple, without a queue.
func (s *state) allowOne(p *Plan, now int64) bool {
	r, t := &p.rules[0], max(now, s.newest)
	switch {
	case r.gcra:
		return s.allowGCRA(r, t)
	case !r.wide:
		return s.allowExact(r, now)
	}
	g := s.ring(p, 0)
	if g.c.n > 0 {
		if g.leaves(0) <= t {
			g.drop(g.gone(t))
		} else if int(g.c.used) >= g.r.limit {
			s.refuse(g.leaves(0))
			return false
		}
	}
	g.ref = g.r.tick(t)
	if int(g.c.n) == g.slots() {
		s.grow(&g, 0, int(g.c.n)+1)
	}
	g.put(1)
	s.newest = t
	return true
}

// stale is by how many ticks the oldest entry of an exact ring may have left the
// window before an event drops it although there is room. A window is 2³⁰ ticks
// at most, and no longer passes between two events of a key without a reset, so
// no entry is ever older than 2.5 windows: the low halves of ticks tell.
const stale = 1 << 29

// allowExact is allowOne under an exact window. It drops what is gone only when
// it needs the room, or else the permit: then all of it, which a search finds,
// so most events are a stamp in the next place and nothing else.
func (s *state) allowExact(r *rule, now int64) bool {
	t, c, w := max(now, s.newest), &s.c, s.in[:]
	if s.more != nil && s.more.ring != nil {
		w = s.more.ring
	}
	if s.newest+r.window+r.unit <= t {
		*c = cell{} // all is gone
	}
	gone := uint32((t - r.window) >> (r.shift & 63)) // the last tick that no longer counts
	if n := int(c.n); n >= len(w) || n >= r.limit || int32(gone-w[int(c.head)&(len(w)-1)]) >= stale {
		g := s.ring1(r)
		g.drop(g.gone(t))
		if int(c.n) >= r.limit {
			s.refuse(g.leaves(0))
			return false
		}
		if int(c.n) == len(w) {
			s.grow(&g, 0, int(c.n)+1)
			w = g.w
		}
	}
	w[int(c.head+c.n)&(len(w)-1)] = uint32((t + r.unit - 1) >> (r.shift & 63))
	c.n++
	c.used++
	s.newest = t
	return true
}

// ring1 is the view of the first rule, which is an exact window.
func (s *state) ring1(r *rule) ring {
	g := ring{r: r, c: &s.c, w: s.in[:], ref: r.tick(s.newest)}
	if s.more != nil && s.more.ring != nil {
		g.w = s.more.ring
	}
	return g
}

// allowGCRA is allowOne under a GCRA rule at t, which is not before newest.
func (s *state) allowGCRA(r *rule, t int64) bool {
	g := ring{w: s.in[:]}
	tat := max(g.arrival(), t)
	if tat-t > r.interval*int64(r.limit-1) {
		return false
	}
	g.setArrival(tat + r.interval)
	s.newest = t
	return true
}

// refusing tells whether one permit is refused at now for certain, and needs
// nothing but the slot for it: the inline words of a key with a ring of its own
// hold the time at which the oldest event leaves, if a refusal has left it
// there. Only a refund can bring a permit earlier.
func (s *state) refusing(now int64) bool {
	return s.c.n > inline && max(now, s.newest) < int64(uint64(s.in[1])<<32|uint64(s.in[0]))
}

// refuse makes refusing true until then, if the inline words are free for it.
func (s *state) refuse(until int64) {
	if s.c.n > inline {
		s.in[0], s.in[1] = uint32(until), uint32(uint64(until)>>32)
	}
}
