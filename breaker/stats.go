package breaker

import "time"

// Stats is what a breaker has seen. State, Mode, the gauges of the state and
// Opened are one consistent snapshot. The other counters, which only grow, and
// the windows are read one after the other, and may be ahead by calls that end
// meanwhile.
//
// Successes are not counted: a healthy call writes nothing.
type Stats struct {
	Name  string `json:"name"`  // of the breaker
	State string `json:"state"` // as State.String has it
	Mode  string `json:"mode"`  // as Mode.String has it

	Failures      uint64 `json:"failures"`       // calls that failed, timed out, panicked or exited
	Ignored       uint64 `json:"ignored"`        // calls without a verdict
	Refused       uint64 `json:"refused"`        // calls refused
	ShadowRefused uint64 `json:"shadow_refused"` // calls that Shadow mode let pass
	Opened        uint64 `json:"opened"`         // transitions to Open

	ConsecutiveFailures int `json:"consecutive_failures"` // while closed
	Probes              int `json:"probes"`               // in flight, while half-open
	ProbeSuccesses      int `json:"probe_successes"`      // while half-open

	CountCalls     int `json:"count_calls"`     // results in the count window
	CountFailures  int `json:"count_failures"`  // failures among them
	WindowCalls    int `json:"window_calls"`    // results in the time window
	WindowFailures int `json:"window_failures"` // failures among them
	WindowSlow     int `json:"window_slow"`     // slow ones among them
	InFlight       int `json:"in_flight"`       // calls running, counted with SlowInFlight only
	SlowInFlight   int `json:"slow_in_flight"`  // slow ones among them

	OpenFor    time.Duration `json:"open_for_ns"`    // the open time drawn, while open
	RetryAfter time.Duration `json:"retry_after_ns"` // what is left of it
}

// Stats returns what the breaker has seen. Like State it moves the breaker on
// if its time has come.
func (b *Breaker) Stats() Stats {
	b.mu.Lock()
	now := b.now()
	b.advanceLocked(now)
	w := b.load()
	s := Stats{
		Name:          b.name,
		State:         w.state().String(),
		Mode:          w.mode().String(),
		Failures:      b.failures.Load(),
		Ignored:       b.ignored.Load(),
		Refused:       b.refused.Load(),
		ShadowRefused: b.shadowRefused.Load(),
		Opened:        b.opened,
	}
	switch w.state() {
	case Closed:
		s.ConsecutiveFailures = int(w.a())
		if win := b.win.Load(); win != nil {
			win.stats(now, &s)
		}
	case Open:
		refusal := b.refusal.Load()
		s.OpenFor, s.RetryAfter = refusal.openFor, refusal.RetryAfter()
	case HalfOpen:
		s.Probes, s.ProbeSuccesses = int(w.a()), int(w.b())
	}
	b.mu.Unlock()
	b.deliver()
	return s
}
