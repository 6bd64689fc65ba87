package ratelimitredis

import "sync/atomic"

// Stats is a snapshot of a Store. Its counters are of requests, not of permits,
// and of this process.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Allowed  uint64 `json:"allowed"`  // that got their permits
	Limited  uint64 `json:"limited"`  // that were refused
	Shadowed uint64 `json:"shadowed"` // admitted, but a shadow rule would have refused
	Degraded uint64 `json:"degraded"` // decided without the server; counted above as well, but for errors
	Failed   uint64 `json:"failed"`   // calls of the server that had an error or no answer in time
	Denied   uint64 `json:"denied"`   // refusals repeated without asking the server
	Leased   uint64 `json:"leased"`   // permits given out from a lease
	Circuit  string `json:"circuit"`  // closed, open or half-open
}

// counters are written by whoever gets a decision.
type counters struct {
	allowed, limited, shadowed, degraded, failed, denied, leased atomic.Uint64 // by everybody
}

// Stats returns a snapshot.
func (s *Store) Stats() Stats {
	return Stats{
		Name:     s.cfg.Name,
		Allowed:  s.counts.allowed.Load(),
		Limited:  s.counts.limited.Load(),
		Shadowed: s.counts.shadowed.Load(),
		Degraded: s.counts.degraded.Load(),
		Failed:   s.counts.failed.Load(),
		Denied:   s.counts.denied.Load(),
		Leased:   s.counts.leased.Load(),
		Circuit:  s.circuit.State().String(),
	}
}
