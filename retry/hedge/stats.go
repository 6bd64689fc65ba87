package hedge

import "time"

// Stats are the counters and gauges of a [Hedger]. Each is exact, but they are
// read one after the other: together they are not a snapshot of one moment.
type Stats struct {
	// Name is Config.Name.
	Name string `json:"name"`
	// Calls made.
	Calls uint64 `json:"calls"`
	// Hedges are the extra attempts made.
	Hedges uint64 `json:"hedges"`
	// Wins are the calls that an extra attempt answered.
	Wins uint64 `json:"wins"`
	// OverBudget are the extra attempts that the budget did not allow.
	OverBudget uint64 `json:"over_budget"`
	// Discarded are the successes that came too late.
	Discarded uint64 `json:"discarded"`
	// Abandoned is how many attempts run now whose call has returned. It is
	// always 0 unless Config.Detached.
	Abandoned int `json:"abandoned"`
	// Delay is the present delay before an extra attempt, in nanoseconds; 0
	// while there is none because too few calls were measured.
	Delay time.Duration `json:"delay_ns"`
}

// Stats returns the counters and gauges.
func (h *Hedger) Stats() Stats {
	return Stats{
		Name:       h.cfg.Name,
		Calls:      h.calls.Load(),
		Hedges:     h.hedges.Load(),
		Wins:       h.wins.Load(),
		OverBudget: h.overBudget.Load(),
		Discarded:  h.discarded.Load(),
		Abandoned:  int(h.abandoned.Load()),
		Delay:      h.delay(),
	}
}
