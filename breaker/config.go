package breaker

import (
	"context"
	"fmt"
	"time"
)

// Config says when a breaker trips and how it recovers. The zero value is
// sound: it opens after 5 consecutive failures for about a minute, then closes
// after 2 successful probes, sent one at a time.
type Config struct {
	// Name appears in errors and events.
	Name string

	// ConsecutiveFailures trips after that many failures in a row. Zero
	// means 5 if no other rule is set, and no such rule otherwise. At most
	// 65535.
	ConsecutiveFailures int

	// CountFailures trips when that many of the last CountWindow results are
	// failures and at least CountMinCalls results are in. Zero CountWindow
	// means no such rule; zero CountFailures means half of CountWindow,
	// rounded up; zero CountMinCalls means CountFailures. At most 1<<20.
	CountWindow   int
	CountFailures int
	CountMinCalls int

	// FailureRate trips when that share of the results of the last Window
	// are failures and there are at least MinCalls of them. Zero means no
	// such rule, 1 means all of them. Zero Window means 10 seconds, zero
	// MinCalls means 20; both serve SlowRate as well. The window slides in
	// tenths.
	FailureRate float64
	Window      time.Duration
	MinCalls    int

	// SlowCall is the duration from which a call is slow. Zero means that no
	// call is. When set, a probe that succeeds slowly re-opens.
	//
	// SlowRate trips when that share of the results of the last Window were
	// slow, whether or not they failed. Zero means no such rule.
	//
	// SlowInFlight trips when that many calls are slow already and still
	// running, so that a dependency that hangs is found out before the first
	// of its calls returns. Zero means no such rule. A call is found slow
	// between 1 and 1.125 times SlowCall, at the next call of Do, Allow,
	// State or Stats.
	SlowCall     time.Duration
	SlowRate     float64
	SlowInFlight int

	// OpenFor is how long the breaker stays open. Zero means 60 seconds. It
	// is spread by ±10 %, so that a fleet does not probe in step, unless
	// NoJitter is set.
	//
	// MaxOpenFor lets the time double each time a probe fails, up to this
	// cap, which holds with the jitter added. Zero means that it does not
	// grow.
	//
	// Where the error that opens the breaker has a positive RetryAfter()
	// time.Duration, that time takes the place of both, capped by
	// MaxOpenFor, or by 10 times OpenFor where that is zero.
	OpenFor    time.Duration
	MaxOpenFor time.Duration
	NoJitter   bool

	// Probes is how many calls may be in flight at once while half-open.
	// Zero means 1. At most 65535.
	Probes int

	// SuccessThreshold is how many probes must succeed, none failing in
	// between, before the breaker closes. Zero means 2. At most 65535.
	SuccessThreshold int

	// ProbeTimeout is the lease of a probe: one that has not ended by then
	// counts as failed, and what it returns later counts for nothing. Zero
	// means OpenFor.
	ProbeTimeout time.Duration

	// CallTimeout cancels the context of fn with a *TimeoutError and counts
	// the call as failed, whatever it returns. Do still waits for fn. Zero
	// means no timeout. Allow knows no call and ignores it.
	CallTimeout time.Duration

	// Detach makes Do return when the call timeout or the caller's context
	// ends, and leave fn to finish on its own goroutine. Its permit is held
	// until then. It needs CallTimeout. A panic in a detached fn ends the
	// program, as in any goroutine.
	Detach bool

	// Classify judges the errors of calls that did not time out; a call
	// without an error is a Success. Zero means DefaultClassify. Whatever is
	// neither Success nor Ignored is a Failure.
	Classify func(ctx context.Context, err error) Outcome

	// Mode is the mode a new breaker starts in. Reconfigure leaves the mode
	// as it is; SetMode changes it.
	Mode Mode

	// Hooks are told what happens.
	Hooks Hooks
}

const (
	maxCountWindow = 1 << 20
	maxCalls       = 1e9
	maxTime        = float64(10 * 365 * 24 * time.Hour) // ten times it still fits
	defaultOpenFor = 60 * time.Second
)

// rules is a Config with the defaults filled in, narrowed to what a breaker
// needs afterwards. It never changes, so that all breakers of a group share
// one.
type rules struct {
	window, slowCall, openFor, maxOpenFor time.Duration
	probeTimeout, callTimeout             time.Duration
	failureRate, slowRate                 float64
	classify                              func(context.Context, error) Outcome
	onStateChange                         func(StateChange)
	countWindow, countFailures            int32
	countMinCalls, minCalls               int32
	slowInFlight                          int32
	limits                                limits
	detach, noJitter                      bool
	windowed                              bool // whether closed calls must be recorded
	quick                                 bool // whether they need neither the clock as they begin nor a timer
}

// timed reports whether there is a rule over a time window.
func (r *rules) timed() bool { return r.failureRate > 0 || r.slowRate > 0 }

// compile checks cfg and fills in the defaults.
func (cfg *Config) compile() (*rules, error) {
	for _, f := range []struct {
		name  string
		value float64
		max   float64
		is    any
	}{
		{"ConsecutiveFailures", float64(cfg.ConsecutiveFailures), maxCount, cfg.ConsecutiveFailures},
		{"CountWindow", float64(cfg.CountWindow), maxCountWindow, cfg.CountWindow},
		{"CountFailures", float64(cfg.CountFailures), float64(cfg.CountWindow), cfg.CountFailures},
		{"CountMinCalls", float64(cfg.CountMinCalls), float64(cfg.CountWindow), cfg.CountMinCalls},
		{"FailureRate", cfg.FailureRate, 1, cfg.FailureRate},
		{"Window", float64(cfg.Window), maxTime, cfg.Window},
		{"MinCalls", float64(cfg.MinCalls), maxCalls, cfg.MinCalls},
		{"SlowCall", float64(cfg.SlowCall), maxTime, cfg.SlowCall},
		{"SlowRate", cfg.SlowRate, 1, cfg.SlowRate},
		{"SlowInFlight", float64(cfg.SlowInFlight), maxCalls, cfg.SlowInFlight},
		{"OpenFor", float64(cfg.OpenFor), maxTime, cfg.OpenFor},
		{"MaxOpenFor", float64(cfg.MaxOpenFor), maxTime, cfg.MaxOpenFor},
		{"Probes", float64(cfg.Probes), maxCount, cfg.Probes},
		{"SuccessThreshold", float64(cfg.SuccessThreshold), maxCount, cfg.SuccessThreshold},
		{"ProbeTimeout", float64(cfg.ProbeTimeout), maxTime, cfg.ProbeTimeout},
		{"CallTimeout", float64(cfg.CallTimeout), maxTime, cfg.CallTimeout},
	} {
		if !(f.value >= 0) { // NaN as well
			return nil, fmt.Errorf("breaker: Config.%s is %v, want ≥ 0", f.name, f.is)
		}
		if f.value > f.max {
			return nil, fmt.Errorf("breaker: Config.%s is %v, want ≤ %v", f.name, f.is, bound(f.max, f.is))
		}
	}
	openFor := or(cfg.OpenFor, defaultOpenFor)
	switch {
	case cfg.Window > 0 && cfg.Window < windowCells:
		return nil, fmt.Errorf("breaker: Config.Window is %v, want ≥ %v", cfg.Window, time.Duration(windowCells))
	case cfg.Window > 0 && cfg.FailureRate == 0 && cfg.SlowRate == 0:
		return nil, fmt.Errorf("breaker: Config.FailureRate is 0, want > 0 with Window")
	case cfg.SlowCall > 0 && cfg.SlowCall < flightCells:
		return nil, fmt.Errorf("breaker: Config.SlowCall is %v, want ≥ %v", cfg.SlowCall, time.Duration(flightCells))
	case cfg.SlowCall == 0 && (cfg.SlowRate > 0 || cfg.SlowInFlight > 0):
		return nil, fmt.Errorf("breaker: Config.SlowCall is 0, want > 0 with SlowRate or SlowInFlight")
	case cfg.MaxOpenFor > 0 && cfg.MaxOpenFor < openFor:
		return nil, fmt.Errorf("breaker: Config.MaxOpenFor is %v, want ≥ OpenFor, which is %v", cfg.MaxOpenFor, openFor)
	case cfg.Detach && cfg.CallTimeout == 0:
		return nil, fmt.Errorf("breaker: Config.CallTimeout is 0, want > 0 with Detach")
	case cfg.Mode > Shadow:
		return nil, fmt.Errorf("breaker: Config.Mode is %d, want ≤ %d", cfg.Mode, Shadow)
	}
	r := &rules{
		window:        or(cfg.Window, 10*time.Second),
		slowCall:      cfg.SlowCall,
		openFor:       openFor,
		maxOpenFor:    cfg.MaxOpenFor,
		probeTimeout:  or(cfg.ProbeTimeout, openFor),
		callTimeout:   cfg.CallTimeout,
		failureRate:   cfg.FailureRate,
		slowRate:      cfg.SlowRate,
		classify:      cfg.Classify,
		onStateChange: cfg.Hooks.OnStateChange,
		countWindow:   int32(cfg.CountWindow),
		countFailures: int32(or(cfg.CountFailures, (cfg.CountWindow+1)/2)),
		minCalls:      int32(or(cfg.MinCalls, 20)),
		slowInFlight:  int32(cfg.SlowInFlight),
		limits: limits{
			failures:  uint16(cfg.ConsecutiveFailures),
			probes:    uint16(or(cfg.Probes, 1)),
			successes: uint16(or(cfg.SuccessThreshold, 2)),
		},
		detach:   cfg.Detach,
		noJitter: cfg.NoJitter,
	}
	r.windowed = r.countWindow > 0 || r.timed() || r.slowInFlight > 0
	r.quick = r.slowCall == 0 && r.callTimeout == 0
	r.countMinCalls = int32(or(cfg.CountMinCalls, int(r.countFailures)))
	if cfg.ConsecutiveFailures == 0 && !r.windowed {
		r.limits.failures = 5
	}
	return r, nil
}

// recompile is compile for what goes by name already.
func (cfg *Config) recompile(name string) (*rules, error) {
	if cfg.Name != name {
		return nil, fmt.Errorf("breaker: Config.Name is %q, want %q, as it was", cfg.Name, name)
	}
	return cfg.compile()
}

// or returns v, or the default where v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// bound returns most in the type of the field it bounds.
func bound(most float64, field any) any {
	if _, isTime := field.(time.Duration); isTime {
		return time.Duration(most)
	}
	return int(most)
}
