package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

// model is a breaker that keeps everything in lists and counts by looking.
type model struct {
	cfg       breaker.Config
	now       int64
	state     breaker.State
	mode      breaker.Mode
	gen       int
	row       int // failures in a row
	successes int
	opened    int64
	openFor   int64
	reopens   int
	results   []modelResult     // of this generation
	calls     map[int]modelCall // in flight, of all generations
	events    []string
}

type modelResult struct {
	at           int64
	failed, slow bool
}

type modelCall struct {
	gen   int
	start int64
	probe bool
}

func (m *model) become(s breaker.State, rule breaker.Rule, at int64) {
	if m.state != s {
		m.events = append(m.events, fmt.Sprintf("%v→%v: %v", m.state, s, rule))
	}
	if s == breaker.Open && m.state == breaker.HalfOpen {
		m.reopens++
	}
	if s == breaker.Closed {
		m.reopens = 0
	}
	m.openFor = int64(m.cfg.OpenFor)
	for range m.reopens {
		m.openFor = max(m.openFor, min(2*m.openFor, int64(m.cfg.MaxOpenFor)))
	}
	m.state, m.opened, m.row, m.successes, m.results = s, at, 0, 0, nil
	m.gen++
}

func (m *model) forced() bool { return m.mode == breaker.ForceOpen || m.mode == breaker.ForceClosed }

func slice(at, width int64) int64 { return int64((uint64(at) ^ 1<<63) / uint64(width)) }

// advance makes the transitions due by the clock.
func (m *model) advance() {
	for !m.forced() {
		switch m.state {
		case breaker.Closed:
			slow := 0
			for _, c := range m.calls {
				// Slow at the latest when nine eighths of SlowCall are over,
				// never before SlowCall is: the test steps by whole eighths.
				if c.gen == m.gen && m.now-c.start > int64(m.cfg.SlowCall) {
					slow++
				}
			}
			if m.cfg.SlowInFlight == 0 || slow < m.cfg.SlowInFlight {
				return
			}
			m.become(breaker.Open, breaker.RuleSlowInFlight, m.now)
		case breaker.Open:
			if m.now-m.opened < m.openFor {
				return
			}
			m.become(breaker.HalfOpen, breaker.RuleOpenElapsed, m.now)
		case breaker.HalfOpen:
			first, found := int64(0), false
			for _, c := range m.calls {
				if c.gen == m.gen && c.probe && (!found || c.start < first) {
					first, found = c.start, true
				}
			}
			if !found || m.now-first < int64(m.cfg.ProbeTimeout) {
				return
			}
			m.become(breaker.Open, breaker.RuleProbeExpired, first+int64(m.cfg.ProbeTimeout))
		}
	}
}

func (m *model) allow(id int) bool {
	m.advance()
	probes := 0
	for _, c := range m.calls {
		if c.gen == m.gen && c.probe {
			probes++
		}
	}
	probe := m.state == breaker.HalfOpen && probes < m.cfg.Probes
	if m.state != breaker.Closed && !probe && m.mode != breaker.Shadow {
		return false
	}
	m.calls[id] = modelCall{m.gen, m.now, probe}
	return true
}

func (m *model) end(id int, o breaker.Outcome) {
	if c := m.calls[id]; c.probe && c.gen == m.gen {
		m.advance()
	}
	c := m.calls[id]
	delete(m.calls, id)
	slow := m.cfg.SlowCall > 0 && m.now-c.start >= int64(m.cfg.SlowCall)
	switch {
	case c.gen != m.gen || m.forced() || o == breaker.Ignored:
	case c.probe && o == breaker.Failure:
		m.become(breaker.Open, breaker.RuleProbeFailed, m.now)
	case c.probe && slow:
		m.become(breaker.Open, breaker.RuleProbeSlow, m.now)
	case c.probe:
		if m.successes++; m.successes == m.cfg.SuccessThreshold {
			m.become(breaker.Closed, breaker.RuleProbesSucceeded, m.now)
		}
	case m.state == breaker.Closed:
		m.results = append(m.results, modelResult{m.now, o == breaker.Failure, slow})
		if rule := m.rule(o == breaker.Failure, slow); rule != 0 {
			m.become(breaker.Open, rule, m.now)
		}
	}
}

// rule returns what the last result trips.
func (m *model) rule(failed, slow bool) breaker.Rule {
	if m.row++; !failed {
		m.row = 0
	}
	if m.cfg.ConsecutiveFailures > 0 && m.row >= m.cfg.ConsecutiveFailures {
		return breaker.RuleConsecutiveFailures
	}
	last := m.results[max(0, len(m.results)-m.cfg.CountWindow):]
	if failed && m.cfg.CountWindow > 0 && len(last) >= m.cfg.CountMinCalls {
		if n, _ := tally(last); n >= m.cfg.CountFailures {
			return breaker.RuleCountWindow
		}
	}
	width := int64(m.cfg.Window / 10)
	var within []modelResult
	for _, r := range m.results {
		if width > 0 && slice(r.at, width) > slice(m.now, width)-10 {
			within = append(within, r)
		}
	}
	failures, slows := tally(within)
	if calls := float64(len(within)); calls == 0 || len(within) < m.cfg.MinCalls {
		return 0
	} else if failed && m.cfg.FailureRate > 0 && float64(failures)/calls >= m.cfg.FailureRate {
		return breaker.RuleFailureRate
	} else if slow && m.cfg.SlowRate > 0 && float64(slows)/calls >= m.cfg.SlowRate {
		return breaker.RuleSlowRate
	}
	return 0
}

func tally(rs []modelResult) (failures, slows int) {
	for _, r := range rs {
		if r.failed {
			failures++
		}
		if r.slow {
			slows++
		}
	}
	return failures, slows
}

func (m *model) setMode(to breaker.Mode) {
	was, from := m.forced(), m.mode
	m.mode = to
	switch {
	case from == to:
	case to == breaker.ForceOpen:
		m.become(breaker.Open, breaker.RuleMode, m.now)
	case to == breaker.ForceClosed || was:
		m.become(breaker.Closed, breaker.RuleMode, m.now)
	}
}

// modelConfigs are picked from by the first byte of a run.
var modelConfigs = []breaker.Config{
	{ConsecutiveFailures: 2},
	{ConsecutiveFailures: 3, Probes: 3, SuccessThreshold: 3, MaxOpenFor: 300 * time.Second},
	{CountWindow: 5, CountFailures: 3, CountMinCalls: 4},
	{FailureRate: 0.5, MinCalls: 4, Window: 80 * time.Second},
	{SlowCall: 8 * time.Second, SlowRate: 0.5, MinCalls: 3, Window: 80 * time.Second},
	{SlowCall: 8 * time.Second, SlowInFlight: 2, Probes: 2},
	{ConsecutiveFailures: 4, CountWindow: 6, CountFailures: 4, CountMinCalls: 5, FailureRate: 0.75, SlowRate: 0.5,
		MinCalls: 6, Window: 80 * time.Second, SlowCall: 8 * time.Second, SlowInFlight: 3, Probes: 2, SuccessThreshold: 2},
}

// modelErrors are judged by their place.
var modelErrors = [...]error{nil, errors.New("failed"), errors.New("ignored")}

// runModel reads ops as operations, applies each to a breaker and to the
// model, and compares what can be seen.
func runModel(t *testing.T, ops []byte) {
	if len(ops) == 0 {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := modelConfigs[int(ops[0])%len(modelConfigs)]
		cfg.OpenFor, cfg.ProbeTimeout, cfg.NoJitter = 30*time.Second, 20*time.Second, true
		cfg.Probes, cfg.SuccessThreshold = max(cfg.Probes, 1), max(cfg.SuccessThreshold, 1)
		cfg.Classify = func(_ context.Context, err error) breaker.Outcome {
			return breaker.Outcome(slices.Index(modelErrors[:], err))
		}
		var events []string
		cfg.Hooks.OnStateChange = func(c breaker.StateChange) {
			events = append(events, fmt.Sprintf("%v→%v: %v", c.From, c.To, c.Rule))
		}
		b := breaker.MustNew(cfg)
		m := &model{cfg: cfg, calls: map[int]modelCall{}}
		permits := map[int]*breaker.Permit{}
		var ids []int
		begin := time.Now()
		for i, op := range ops[1:] {
			arg := int(op >> 4)
			switch op & 15 {
			case 0, 1, 2, 3:
				p, err := b.Allow()
				require.Equal(t, m.allow(i), err == nil, "op %d: Allow", i)
				if err == nil {
					permits[i] = &p
					ids = append(ids, i)
				}
			case 4, 5, 6, 7, 8, 9, 10:
				if len(ids) == 0 {
					continue
				}
				at := arg % len(ids)
				id := ids[at]
				ids = append(ids[:at], ids[at+1:]...)
				o := []breaker.Outcome{0, 0, 0, 1, 1, 1, 2}[op&15-4]
				permits[id].Record(o, nil)
				permits[id].Record(breaker.Failure, nil) // must be harmless
				m.end(id, o)
			case 11:
				o := breaker.Outcome(arg % 3)
				admitted := m.allow(i)
				do := func(context.Context) error { return modelErrors[o] }
				if arg < 8 {
					require.Equal(t, admitted, !errors.Is(b.Do(bg, do), breaker.ErrOpen), "op %d: Do", i)
				} else {
					_, err := breaker.DoValue(bg, b, func(ctx context.Context) (int, error) { return i, do(ctx) })
					require.Equal(t, admitted, !errors.Is(err, breaker.ErrOpen), "op %d: DoValue", i)
				}
				if admitted {
					m.end(i, o)
				}
			case 12, 13:
				time.Sleep(time.Duration(arg) * time.Second)
				m.now = int64(time.Since(begin))
			case 14:
				if arg == 0 {
					b.Reset()
					if m.mode != breaker.ForceOpen {
						m.become(breaker.Closed, breaker.RuleReset, m.now)
					}
				} else if arg < 5 {
					b.SetMode(breaker.Mode(arg - 1))
					m.setMode(breaker.Mode(arg - 1))
				}
			case 15:
				m.advance()
				require.Equal(t, m.state, b.State(), "op %d: State", i)
			}
		}
		m.advance()
		require.Equal(t, m.state, b.State())
		require.Equal(t, m.events, events)
	})
}

func TestBreakerEqualsTheModelOnRandomRuns(t *testing.T) {
	runs := 3000
	if testing.Short() {
		runs = 300
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		ops := make([]byte, 1+rng.IntN(200))
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		ops[0] = byte(seed)
		runModel(t, ops)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
