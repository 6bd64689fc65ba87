package memwatch

import (
	"slices"
	"time"
)

// held is what no collection can free: what is reachable, stacks, and the
// runtime's own.
func (s *Sample) held() uint64 { return s.Live + s.Stacks + s.Other }

// bounds lists the limits that a sample may meet, at most one of a kind, the
// one of which most is used first. configured is Config.Limit.
func (s *Sample) bounds(out []Bound, configured uint64, r *reading) []Bound {
	if s.Limit > 0 {
		out = append(out, Bound{Kind: GoLimit, Used: s.held(), Limit: s.Limit})
	}
	if configured > 0 {
		out = append(out, Bound{Kind: ConfigLimit, Used: s.held() + s.OffHeap, Limit: configured})
	}
	var tightest Bound
	for _, g := range r.groups {
		used := g.used
		if !g.known {
			used = s.Resident
		}
		b := Bound{Kind: CgroupLimit, Path: g.path, Used: s.lasting(used, g.limit), Limit: g.limit}
		if tightest.Kind == Unbounded || b.Share() > tightest.Share() {
			tightest = b
		}
	}
	if tightest.Kind != Unbounded {
		out = append(out, tightest)
	}
	if r.total > 0 && s.Resident > 0 {
		limit := min(s.Resident+r.available, r.total)
		out = append(out, Bound{Kind: SystemMemory, Used: s.lasting(s.Resident, limit), Limit: limit})
	}
	slices.SortStableFunc(out, func(a, b Bound) int {
		switch x, y := a.Share(), b.Share(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out
}

// lasting is the part of used, against a limit of others than Go, that the
// collector will not free in time. It frees garbage before GOMEMLIMIT is met;
// so if that comes first, even with all that is used beside Go, garbage is
// none of the problem. Otherwise the collector does not know, and it is.
func (s *Sample) lasting(used, limit uint64) uint64 {
	beside := used - min(used, s.Total)
	if s.Limit == 0 || s.Limit > limit || beside > limit-s.Limit {
		return used
	}
	garbage := s.Total - min(s.Total, s.held())
	return used - min(garbage, used-min(used, s.held())) // memory that was never touched is held and not used
}

// gauge makes pressure of readings. It keeps a level with hysteresis and what
// was used lately.
type gauge struct {
	cfg      PressureConfig
	ladder   ladder
	now      Pressure // Bounds is a part of room
	room     [kinds]Bound
	lately   [kinds]usedRing
	readings uint64
}

// step takes a sample and a reading. It reports whether the level has changed.
// It does not allocate.
func (g *gauge) step(s *Sample, configured uint64, r *reading) bool {
	g.readings++
	p := Pressure{Time: s.Time, Bounds: s.bounds(g.room[:0], configured, r), Stall: r.stall}
	for i := range p.Bounds {
		g.lately[p.Bounds[i].Kind].push(s.Time, p.Bounds[i].Used)
	}
	if len(p.Bounds) > 0 {
		p.Bound = p.Bounds[0]
		p.Kind, p.Headroom = p.Bound.Kind, p.Bound.Headroom()
		p.TimeToLimit = g.lately[p.Kind].until(p.Headroom)
	}
	share := p.Bound.Share()
	enter, stay := g.cfg.levels(share, r.stall)
	changed := g.ladder.step(s.Time, enter, stay)
	p.Level, p.Since = g.ladder.level, g.ladder.since
	if g.cfg.shareLevel(share) < p.Level && g.cfg.stallLevel(r.stall, stallMargin) >= p.Level {
		p.Kind = Stalling
	}
	g.now = p
	return changed
}

// pressure returns a copy of the last one.
func (g *gauge) pressure() Pressure {
	p := g.now
	p.Bounds = slices.Clone(p.Bounds)
	return p
}

const usedLen = 32

// usedRing has the newest values of what is used against a kind of limit.
type usedRing struct {
	at   [usedLen]time.Time
	used [usedLen]uint64
	n    int // values ever pushed
}

func (u *usedRing) push(at time.Time, used uint64) {
	u.at[u.n%usedLen], u.used[u.n%usedLen] = at, used
	u.n++
}

// until is how long headroom lasts at the rate of the values: that between the
// least of the oldest third and the least of the newest, as what is least is
// no garbage. It is 0 with fewer than eight, and does not allocate.
func (u *usedRing) until(headroom uint64) time.Duration {
	n := min(u.n, usedLen)
	if n < 8 || headroom == 0 {
		return 0
	}
	a, b := u.least(u.n-n, n/3), u.least(u.n-n/3, n/3)
	dt := u.at[b].Sub(u.at[a])
	growth := float64(u.used[b]) - float64(u.used[a])
	if dt <= 0 {
		return never
	}
	return max(until(float64(headroom), growth, dt), 1)
}

// least is the place of the first least of the n values from the given one on.
func (u *usedRing) least(from, n int) int {
	least := from % usedLen
	for i := from + 1; i < from+n; i++ {
		if u.used[i%usedLen] < u.used[least] {
			least = i % usedLen
		}
	}
	return least
}
