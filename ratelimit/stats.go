package ratelimit

import "sync/atomic"

// counts are the counters of a shard, guarded by its lock.
type counts struct {
	allowed, limited, shadowed, overflowed, forgotten uint64
}

// count takes note of a decision.
func (c *counts) count(d *Decision) {
	switch {
	case d.Allowed:
		c.allowed++
	default:
		c.limited++
	}
	if d.Shadowed && d.Allowed {
		c.shadowed++
	}
	if d.Overflow {
		c.overflowed++
	}
}

// atomicCounts are counters without a lock; written by whoever gets a decision
// that needed no state.
type atomicCounts struct {
	allowed, limited, overflowed atomic.Uint64 // by everybody
}

func (c *atomicCounts) count(d *Decision) {
	if d.Allowed {
		c.allowed.Add(1)
	} else {
		c.limited.Add(1)
	}
	if d.Overflow {
		c.overflowed.Add(1)
	}
}

// Stats is a snapshot of a Limiter or a Single. It is consistent for each
// shard, not for a Limiter as a whole. Publish it with expvar.Func.
type Stats struct {
	Name    string `json:"name"`    // Config.Name
	Keys    int    `json:"keys"`    // that have state now
	Waiting int    `json:"waiting"` // callers in Wait, and reservations whose time has not come

	// Allowed counts requests that got their permits, not permits. A Single
	// does not count them: it would cost as much as the decision does.
	Allowed uint64 `json:"allowed"`

	Limited    uint64 `json:"limited"`    // requests that were refused
	Shadowed   uint64 `json:"shadowed"`   // admitted, but a shadow rule would have refused
	Overflowed uint64 `json:"overflowed"` // made for want of a place under MaxKeys
	Forgotten  uint64 `json:"forgotten"`  // idle keys whose state was dropped
}

// Stats returns a snapshot. It takes the lock of each shard in turn, and looks
// at each key for those who wait.
func (l *Limiter[K]) Stats() Stats {
	total := Stats{Name: l.cfg.Name}
	now := l.now()
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		total.Keys += sh.n
		total.add(&sh.counts)
		for i := range sh.n {
			s := &sh.slot(i).state
			total.Waiting += s.pending(s.plan(l.plan), now)
		}
		sh.mu.Unlock()
	}
	l.spill.mu.Lock()
	total.add(&l.spill.counts)
	l.spill.mu.Unlock()
	total.Allowed += l.stateless.allowed.Load()
	total.Limited += l.stateless.limited.Load()
	total.Overflowed += l.stateless.overflowed.Load()
	return total
}

// add adds the counters of a part to s.
func (s *Stats) add(c *counts) {
	s.Allowed += c.allowed
	s.Limited += c.limited
	s.Shadowed += c.shadowed
	s.Overflowed += c.overflowed
	s.Forgotten += c.forgotten
}

// pending returns how many tickets have their turn still to come.
func (s *state) pending(p *Plan, now int64) int {
	if !s.waiting() {
		return 0
	}
	s.settle(p, now)
	return len(s.more.rare.queue)
}
