package breaker

// State is one of the three states of a breaker.
type State uint8

const (
	// Closed is the healthy state: every call is admitted.
	Closed State = iota
	// Open is the state after a rule tripped: every call is refused.
	Open
	// HalfOpen follows Open: a few calls, the probes, find out whether the
	// dependency is back.
	HalfOpen
)

// String returns "closed", "open" or "half-open".
func (s State) String() string {
	return nameOf(s, "closed", "open", "half-open")
}

// Mode says who decides: the rules, or an operator.
type Mode uint8

const (
	// Auto follows the rules and refuses calls when they say so.
	Auto Mode = iota
	// ForceOpen refuses every call, for as long as the mode lasts.
	ForceOpen
	// ForceClosed admits every call and counts none.
	ForceClosed
	// Shadow follows the rules, calls the hooks and counts the refusals it
	// would have made, but refuses nothing.
	Shadow
)

// String returns "auto", "force-open", "force-closed" or "shadow".
func (m Mode) String() string {
	return nameOf(m, "auto", "force-open", "force-closed", "shadow")
}

// Rule names what made a breaker change its state.
type Rule uint8

const (
	_ Rule = iota
	// RuleConsecutiveFailures trips on Config.ConsecutiveFailures.
	RuleConsecutiveFailures
	// RuleCountWindow trips on Config.CountFailures of Config.CountWindow.
	RuleCountWindow
	// RuleFailureRate trips on Config.FailureRate within Config.Window.
	RuleFailureRate
	// RuleSlowRate trips on Config.SlowRate within Config.Window.
	RuleSlowRate
	// RuleSlowInFlight trips on Config.SlowInFlight unfinished slow calls.
	RuleSlowInFlight
	// RuleProbeFailed re-opens: a probe failed.
	RuleProbeFailed
	// RuleProbeSlow re-opens: a probe succeeded, but took Config.SlowCall.
	RuleProbeSlow
	// RuleProbeExpired re-opens: a probe outlived Config.ProbeTimeout.
	RuleProbeExpired
	// RuleOpenElapsed half-opens: the open time is over.
	RuleOpenElapsed
	// RuleProbesSucceeded closes: Config.SuccessThreshold was reached.
	RuleProbesSucceeded
	// RuleReset closes: Reset was called.
	RuleReset
	// RuleMode opens or closes: SetMode was called.
	RuleMode
)

// String returns the rule in words, such as "consecutive failures".
func (r Rule) String() string {
	return nameOf(r, "none", "consecutive failures", "count window", "failure rate",
		"slow rate", "slow in flight", "probe failed", "probe slow", "probe expired",
		"open time elapsed", "probes succeeded", "reset", "mode")
}

func nameOf[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// word is the whole state machine in 64 bits, so that one atomic load admits
// a call:
//
//	generation 28 | mode 2 | state 2 | a 16 | b 16
//
// Closed: a is the number of consecutive failures. HalfOpen: a is the number
// of probes in flight, b the successes so far. Open: both are zero.
//
// The generation moves with every transition, so a result knows whether it
// still belongs. It wraps after 268 million transitions; only a call that
// outlived exactly that many would be taken for a fresh one.
type word uint64

const (
	aShift          = 16
	stateShift      = 32
	modeShift       = 34
	generationShift = 36

	maxCount = 1<<16 - 1 // what a and b can hold
)

func (w word) state() State       { return State(w >> stateShift & 3) }
func (w word) mode() Mode         { return Mode(w >> modeShift & 3) }
func (w word) generation() uint32 { return uint32(w >> generationShift) }
func (w word) a() uint16          { return uint16(w >> aShift) }
func (w word) b() uint16          { return uint16(w) }

// clean reports whether the breaker is closed without a failure to forget:
// then a success has nothing to write.
func (w word) clean() bool { return w&(1<<modeShift-1) == 0 }

// forced reports whether an operator, not the rules, decides.
func (w word) forced() bool { return w.mode() == ForceOpen || w.mode() == ForceClosed }

func (w word) with(a, b uint16) word {
	return w>>stateShift<<stateShift | word(a)<<aShift | word(b)
}

// enter begins a new generation in state s with all counts at zero.
func (w word) enter(m Mode, s State) word {
	return word(w.generation()+1)<<generationShift | word(m)<<modeShift | word(s)<<stateShift
}

// event is what can happen to the state machine.
type event uint8

const (
	evSuccess      event = iota // a counted call succeeded
	evFailure                   // a counted call failed
	evIgnored                   // a probe ended without a verdict
	evProbe                     // a probe asks for admission
	evProbeSlow                 // a probe succeeded, too slowly
	evProbeExpired              // a probe outlived its lease
	evElapsed                   // the open time is over
	evTripCount                 // a window rule tripped
	evTripFailureRate
	evTripSlowRate
	evTripSlowInFlight
	evReset
	evAuto // SetMode, in the order of Mode
	evForceOpen
	evForceClosed
	evShadow
)

// limits are the thresholds that the state machine knows of.
type limits struct {
	failures  uint16 // consecutive failures that open, 0 for never
	probes    uint16 // probes in flight at once
	successes uint16 // probe successes that close
}

// step is the state machine: pure, total, and the only place that computes a
// word. The rule is zero unless the generation moved.
func step(w word, e event, l limits) (word, Rule) {
	if e >= evAuto {
		return stepMode(w, Mode(e-evAuto))
	}
	if w.mode() == ForceOpen || w.mode() == ForceClosed && e != evReset {
		return w, 0
	}
	if e == evReset {
		return w.enter(w.mode(), Closed), RuleReset
	}
	open, half, closed := w.enter(w.mode(), Open), w.enter(w.mode(), HalfOpen), w.enter(w.mode(), Closed)
	switch w.state() {
	case Closed:
		switch e {
		case evSuccess:
			return w.with(0, 0), 0
		case evFailure:
			if l.failures == 0 {
				return w, 0
			}
			if failures := w.a() + 1; failures < l.failures {
				return w.with(failures, 0), 0
			}
			return open, RuleConsecutiveFailures
		case evTripCount:
			return open, RuleCountWindow
		case evTripFailureRate:
			return open, RuleFailureRate
		case evTripSlowRate:
			return open, RuleSlowRate
		case evTripSlowInFlight:
			return open, RuleSlowInFlight
		}
	case Open:
		if e == evElapsed {
			return half, RuleOpenElapsed
		}
	case HalfOpen:
		probes, successes := w.a(), w.b()
		if probes == 0 && e != evProbe {
			return w, 0 // no probe is out that could end
		}
		switch e {
		case evProbe:
			if probes < l.probes {
				return w.with(probes+1, successes), 0
			}
		case evIgnored:
			return w.with(probes-1, successes), 0
		case evSuccess:
			if successes+1 < l.successes {
				return w.with(probes-1, successes+1), 0
			}
			return closed, RuleProbesSucceeded
		case evFailure:
			return open, RuleProbeFailed
		case evProbeSlow:
			return open, RuleProbeSlow
		case evProbeExpired:
			return open, RuleProbeExpired
		}
	}
	return w, 0
}

// stepMode changes the mode. Between Auto and Shadow everything else stays,
// so a shadow breaker that is open refuses from the moment it is enforced.
// Every other change starts afresh: what was counted before an operator took
// over says nothing about after.
func stepMode(w word, m Mode) (word, Rule) {
	switch {
	case m == w.mode():
		return w, 0
	case m == ForceOpen:
		return w.enter(m, Open), RuleMode
	case m == ForceClosed || w.forced():
		return w.enter(m, Closed), RuleMode
	}
	return w&^(3<<modeShift) | word(m)<<modeShift, 0
}
