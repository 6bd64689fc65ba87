package breaker

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive is the state machine again, with a field for everything and no bits.
type naive struct {
	mode                        Mode
	state                       State
	failures, probes, successes int
}

// next applies e and returns the rule of a new generation, or 0.
func (n *naive) next(e event, l limits) (rule Rule) {
	become := func(s State, r Rule) { *n, rule = naive{mode: n.mode, state: s}, r }
	forced := n.mode == ForceOpen || n.mode == ForceClosed
	setMode := func(m Mode) {
		old := n.mode
		if old == m {
			return
		}
		n.mode = m
		if m == ForceOpen {
			become(Open, RuleMode)
		} else if m == ForceClosed || forced {
			become(Closed, RuleMode)
		}
	}
	switch e {
	case evAuto:
		setMode(Auto)
		return rule
	case evForceOpen:
		setMode(ForceOpen)
		return rule
	case evForceClosed:
		setMode(ForceClosed)
		return rule
	case evShadow:
		setMode(Shadow)
		return rule
	case evReset:
		if n.mode != ForceOpen {
			become(Closed, RuleReset)
		}
		return rule
	}
	if forced {
		return 0
	}
	if n.state == Closed {
		if e == evSuccess {
			n.failures = 0
		}
		if e == evFailure && l.failures > 0 {
			if n.failures++; n.failures >= int(l.failures) {
				become(Open, RuleConsecutiveFailures)
			}
		}
		trips := map[event]Rule{evTripCount: RuleCountWindow, evTripFailureRate: RuleFailureRate,
			evTripSlowRate: RuleSlowRate, evTripSlowInFlight: RuleSlowInFlight}
		if r := trips[e]; r != 0 {
			become(Open, r)
		}
		return rule
	}
	if n.state == Open {
		if e == evElapsed {
			become(HalfOpen, RuleOpenElapsed)
		}
		return rule
	}
	if e == evProbe {
		if n.probes < int(l.probes) {
			n.probes++
		}
		return 0
	}
	if n.probes == 0 {
		return 0
	}
	switch e {
	case evIgnored:
		n.probes--
	case evSuccess:
		n.probes--
		if n.successes++; n.successes >= int(l.successes) {
			become(Closed, RuleProbesSucceeded)
		}
	case evFailure:
		become(Open, RuleProbeFailed)
	case evProbeSlow:
		become(Open, RuleProbeSlow)
	case evProbeExpired:
		become(Open, RuleProbeExpired)
	}
	return rule
}

func (w word) naive() naive {
	n := naive{mode: w.mode(), state: w.state()}
	switch n.state {
	case Closed:
		n.failures = int(w.a())
	case HalfOpen:
		n.probes, n.successes = int(w.a()), int(w.b())
	}
	return n
}

func TestStepEqualsTheNaiveMachineInEveryReachableState(t *testing.T) {
	for failures := range uint16(4) {
		for probes := uint16(1); probes <= 3; probes++ {
			for successes := uint16(1); successes <= 4; successes++ {
				l := limits{failures, probes, successes}
				t.Run(fmt.Sprint(l), func(t *testing.T) { explore(t, l) })
			}
		}
	}
}

// explore visits every word that can be reached, but for the generation, and
// applies every event to it.
func explore(t *testing.T, l limits) {
	const sameGeneration = word(1)<<generationShift - 1
	seen := map[word]bool{0: true}
	for queue := []word{0}; len(queue) > 0; queue = queue[1:] {
		w := queue[0]
		for e := evSuccess; e <= evShadow; e++ {
			next, rule := step(w, e, l)
			want := w.naive()
			wantRule := want.next(e, l)
			require.Equal(t, want, next.naive(), "%+v after event %d", w.naive(), e)
			require.Equal(t, wantRule, rule, "%+v after event %d", w.naive(), e)
			require.Equal(t, rule != 0, next.generation() != w.generation(), "a rule moves the generation, and nothing else does")
			require.LessOrEqual(t, next.naive().probes, int(l.probes))
			if next &= sameGeneration; !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	require.Greater(t, len(seen), 4)
}

func TestWordGenerationWrapsWithoutTouchingTheRest(t *testing.T) {
	last := word(1<<28-1) << generationShift
	next, rule := step(last, evTripCount, limits{})
	require.Equal(t, RuleCountWindow, rule)
	require.Equal(t, word(Open)<<stateShift, next)
}

func TestNamesOfUnknownValuesAreUnknown(t *testing.T) {
	require.Equal(t, "unknown", State(3).String())
	require.Equal(t, "unknown", Mode(4).String())
	require.Equal(t, "unknown", Rule(99).String())
	require.Equal(t, "unknown", Outcome(9).String())
	require.Equal(t, "mode", RuleMode.String())
	require.Equal(t, "shadow", Shadow.String())
	require.Equal(t, "half-open", HalfOpen.String())
	require.Equal(t, "ignored", Ignored.String())
}
