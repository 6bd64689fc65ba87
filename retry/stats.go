package retry

import "sync/atomic"

// Stats are the counters of a [Retrier]. Each is exact, but they are read one
// after the other: together they are not a snapshot of one moment. A first
// attempt that succeeds is not counted, because counting would cost it more
// than all else that Do does; nor is a retry under Config.NoDelay.
type Stats struct {
	// Name is Config.Name.
	Name string `json:"name"`
	// Retries that were decided, after which an attempt followed unless the
	// context ended first.
	Retries uint64 `json:"retries"`
	// Recovered calls: those that succeeded in a retry.
	Recovered uint64 `json:"recovered"`
	// GaveUp counts calls that returned an *Error.
	GaveUp uint64 `json:"gave_up"`
	// OverBudget counts those that did because of the Budget.
	OverBudget uint64 `json:"over_budget"`
	// Suppressed calls: those that made one attempt, because an outer Retrier
	// was retrying.
	Suppressed uint64 `json:"suppressed"`
}

// counters are those of Stats.
type counters struct {
	// Written by the goroutines of the calls, each with a plain addition.
	retries, recovered, gaveUp, overBudget, suppressed atomic.Uint64
}

// Stats returns the counters.
func (r *Retrier) Stats() Stats {
	return Stats{
		Name:       r.cfg.Name,
		Retries:    r.counts.retries.Load(),
		Recovered:  r.counts.recovered.Load(),
		GaveUp:     r.counts.gaveUp.Load(),
		OverBudget: r.counts.overBudget.Load(),
		Suppressed: r.counts.suppressed.Load(),
	}
}
