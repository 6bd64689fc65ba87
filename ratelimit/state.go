package ratelimit

import (
	"math"
	"time"
)

// state is all that is kept for one key, under the lock that holds the key.
// All its times are ns on the limiter's clock, which begins at epoch.
type state struct {
	newest int64 // time of the last event; time does not go back behind it
	more   *more // nil while the key is under the default plan, of one rule, and the inline words suffice
	in     [inline]uint32
	c      cell
}

// more is what a key of many events needs: one cache line, in which the ring is
// as long as it is short.
type more struct {
	few  [8]uint32
	ring []uint32 // words of the first rule, once the inline ones are too few: few, or an array of their own
	rare *rare
}

// rare is what only few keys need.
type rare struct {
	plan  *Plan   // nil means the default
	rest  []extra // the rules but the first
	queue []*ticket
}

// extra is the cell of a rule that is not the first.
type extra struct {
	c  cell
	in [inline]uint32
	w  []uint32 // once the inline ones are too few
}

const (
	epoch = 1 << 61 // the clock at the making of a limiter, so that earlier times are positive too
	never = math.MaxInt64
)

// ring returns the view of rule i.
func (s *state) ring(p *Plan, i int) ring {
	g := ring{r: &p.rules[i], c: &s.c, w: s.in[:]}
	if !g.r.gcra {
		g.ref = g.r.tick(s.newest)
	}
	switch {
	case i > 0:
		x := &s.more.rare.rest[i-1]
		g.c, g.w = &x.c, x.in[:]
		if x.w != nil {
			g.w = x.w
		}
	case s.more != nil && s.more.ring != nil:
		g.w = s.more.ring
	}
	return g
}

// grow gives g, the ring of rule i, room for that many entries.
func (s *state) grow(g *ring, i, entries int) {
	if i > 0 {
		g.move(make([]uint32, g.size(entries)))
		s.more.rare.rest[i-1].w = g.w
		return
	}
	if s.more == nil {
		s.more = &more{}
	}
	if size := g.size(entries); size > len(s.more.few) {
		g.move(make([]uint32, size))
	} else {
		g.move(s.more.few[:])
	}
	s.more.ring, s.in = g.w, [inline]uint32{}
}

// equip readies a state for a plan that is not the default, or has several
// rules.
func (s *state) equip(p, byDefault *Plan) {
	if p == byDefault && len(p.rules) == 1 {
		return
	}
	r := s.needRare()
	r.rest = make([]extra, len(p.rules)-1)
	if p != byDefault {
		r.plan = p
	}
}

// plan returns the plan of the key.
func (s *state) plan(byDefault *Plan) *Plan {
	if s.more != nil && s.more.rare != nil && s.more.rare.plan != nil {
		return s.more.rare.plan
	}
	return byDefault
}

// needRare returns what only few keys have, and makes it if there is none.
func (s *state) needRare() *rare {
	if s.more == nil {
		s.more = &more{}
	}
	if s.more.rare == nil {
		s.more.rare = &rare{}
	}
	return s.more.rare
}

// waiting tells whether somebody has a place in the future.
func (s *state) waiting() bool {
	return s.more != nil && s.more.rare != nil && len(s.more.rare.queue) > 0
}

// end returns when nothing that s holds will count any more.
func (s *state) end(p *Plan) int64 {
	last := s.newest
	if s.waiting() {
		last = max(last, s.more.rare.queue[len(s.more.rare.queue)-1].at)
	}
	return last + p.horizon
}

// reading is what one rule has to say about a request.
type reading struct {
	wait            int64 // ns until it fits; 0 if it does
	left            int   // permits that remain before it
	reset           int64 // ns until nothing of the rule is left
	entries, events int   // gone from its ring
}

// read asks the rule of g for n permits at t, which is not before ref.
func (g *ring) read(n int, t int64) (m reading) {
	r := g.r
	if r.gcra {
		return g.readGCRA(n, t)
	}
	m.entries, m.events = g.gone(t)
	m.left = r.limit - (int(g.c.used) - m.events)
	if last := int(g.c.n) - 1; last >= m.entries {
		m.reset = g.leaves(last) - t
	}
	switch need := n - m.left; {
	case n > r.limit:
		m.wait = never
	case need <= 0:
	case r.wide:
		i := m.entries
		for need -= g.count(i); need > 0; need -= g.count(i) {
			i++
		}
		m.wait = g.leaves(i) - t
	default:
		m.wait = g.leaves(m.entries+need-1) - t
	}
	return m
}

// readGCRA is read for the generic cell rate algorithm (ITU-T I.371), in its
// form as a virtual schedule.
func (g *ring) readGCRA(n int, t int64) (m reading) {
	r := g.r
	if r.limit == 0 {
		return reading{wait: never}
	}
	m.reset = max(g.arrival()-t, 0)
	m.left = int((r.interval*int64(r.limit) - m.reset) / r.interval)
	switch {
	case n > r.limit:
		m.wait = never
	case n > m.left:
		m.wait = m.reset + r.interval*int64(n-r.limit)
	}
	return m
}

// readings are what the first rules of a plan had to say, for the commit that
// follows.
type readings [4]reading

// decide answers a request for n permits at now and changes nothing but ms.
// Nobody may be waiting, or waiting is until when.
func (s *state) decide(p *Plan, n int, now int64, waiting int64, ms *readings) (d Decision) {
	t := max(now, s.newest)
	d.Allowed, d.Index = true, -1
	var longest, reset int64
	for i := range p.rules {
		g := s.ring(p, i)
		m := g.read(n, t)
		if i < len(ms) {
			ms[i] = m
		}
		if g.r.shadow {
			if m.wait > 0 && !d.Shadowed {
				d.Shadowed, d.ShadowRule = true, g.r.name
			}
			continue
		}
		if d.Index < 0 || m.wait > longest || longest == 0 && m.left < d.Remaining {
			d.Index, d.Rule, d.Limit, d.Window = i, g.r.name, g.r.limit, time.Duration(g.r.window)
			longest, d.Remaining, reset = m.wait, m.left, m.reset
		}
	}
	if d.Index < 0 {
		d.Index, d.Unlimited = 0, true
		return d
	}
	if waiting > t && longest != never {
		longest, d.Remaining = max(longest, waiting-t), 0
	}
	late := t - now
	d.ResetAfter = time.Duration(reset)
	if reset > 0 {
		d.ResetAfter += time.Duration(late)
	}
	if longest > 0 {
		d.Allowed = false
		d.RetryAfter = Never
		if longest < never-late {
			d.RetryAfter = time.Duration(longest + late)
		}
	}
	return d
}

// peek answers what take would, and takes nothing.
func (s *state) peek(p *Plan, n int, now int64) Decision {
	var ms readings
	return s.look(p, n, now, &ms)
}

// look is peek with readings.
func (s *state) look(p *Plan, n int, now int64, ms *readings) Decision {
	turn := int64(0)
	if s.waiting() {
		s.settle(p, now)
		if s.waiting() {
			turn = s.turn(p, n, max(now, s.newest))
		}
	}
	return s.decide(p, n, now, turn, ms)
}

// take takes n permits at now, or none.
func (s *state) take(p *Plan, n int, now int64) Decision {
	var ms readings
	d := s.look(p, n, now, &ms)
	if !d.Allowed || n == 0 {
		return d
	}
	t := max(now, s.newest)
	s.commit(p, n, t, &ms)
	if !d.Unlimited {
		d.Remaining -= n
		d.ResetAfter = time.Duration(s.lasts(p, d.Index) - now)
	}
	return d
}

// lasts returns when nothing of rule i is left, which has just counted an
// event.
func (s *state) lasts(p *Plan, i int) int64 {
	r := &p.rules[i]
	if r.gcra {
		g := s.ring(p, i)
		return g.arrival()
	}
	return r.leaves(r.tick(s.newest))
}

// commit counts n events at t, which is not before newest, in all rules that
// they fit: in every one that is enforced, which the caller knows, and in the
// shadows that would have admitted them. If there are readings they are those
// of n and t.
func (s *state) commit(p *Plan, n int, t int64, ms *readings) {
	for i := range p.rules {
		g := s.ring(p, i)
		var m reading
		if ms != nil && i < len(ms) {
			m = ms[i]
		} else {
			m = g.read(n, t)
		}
		switch {
		case m.wait > 0:
			continue
		case g.r.gcra:
			g.setArrival(t + m.reset + g.r.interval*int64(n))
			continue
		}
		g.drop(m.entries, m.events)
		g.ref = g.r.tick(t)
		s.put(&g, i, n)
	}
	s.newest = t
}

// put enters n events into g, the ring of rule i, at g.ref. It grows the ring if
// it must.
func (s *state) put(g *ring, i, n int) {
	room := int(g.c.n) + n
	if g.r.wide {
		room = int(g.c.n) + 1
	}
	if room > g.slots() {
		s.grow(g, i, room)
	}
	g.put(n)
}

// spare returns how many permits could be taken at once at now, up to n.
func (s *state) spare(p *Plan, n int, now int64) int {
	if s.waiting() {
		s.settle(p, now)
		if s.waiting() {
			return 0
		}
	}
	t := max(now, s.newest)
	for i := range p.rules {
		if g := s.ring(p, i); !g.r.shadow {
			m := g.read(0, t)
			n = min(n, m.left)
		}
	}
	return n
}

// refund takes back the n newest events at now from each rule.
func (s *state) refund(p *Plan, n int, now int64) {
	if s.waiting() {
		s.settle(p, now)
	}
	t := max(now, s.newest)
	s.refuse(0)
	for i := range p.rules {
		g := s.ring(p, i)
		if g.r.gcra {
			back := min(g.r.interval*int64(min(n, g.r.limit)), max(g.arrival()-t, 0))
			g.setArrival(g.arrival() - back)
			continue
		}
		// Those that no longer count are not there to be given back.
		if entries, events := g.gone(t); entries > 0 {
			n := min(n, int(g.c.used)-events)
			g.take(n)
			continue
		}
		g.take(n)
	}
	if s.waiting() {
		s.schedule(p, t)
	}
}
