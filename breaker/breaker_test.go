package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

func fail(context.Context) error    { return errDown }
func succeed(context.Context) error { return nil }

// tripped returns an open breaker, which one failure opened.
func tripped(cfg breaker.Config) *breaker.Breaker {
	cfg.ConsecutiveFailures = 1
	b := breaker.MustNew(cfg)
	_ = b.Do(bg, fail)
	return b
}

func TestBreakerDoReturnsErrOpenWhileOpen(t *testing.T) {
	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 2, OpenFor: time.Hour, NoJitter: true})
	require.ErrorIs(t, b.Do(bg, fail), errDown)
	require.Equal(t, breaker.Closed, b.State())
	require.ErrorIs(t, b.Do(bg, fail), errDown)
	require.Equal(t, breaker.Open, b.State())

	err := b.Do(bg, unreachable(t))
	require.ErrorIs(t, err, breaker.ErrOpen)
	var open *breaker.OpenError
	require.ErrorAs(t, err, &open)
	require.Equal(t, "orders", open.Name)
	require.Equal(t, breaker.Open, open.State)
	require.Equal(t, breaker.RuleConsecutiveFailures, open.Rule)
	require.InDelta(t, time.Hour, open.RetryAfter(), float64(time.Minute))
	require.Regexp(t, `^breaker: orders: open, retry after (59m[\d.]+s|1h0m0s)$`, err.Error())

	_, err = breaker.DoValue(bg, b, func(context.Context) (int, error) { return 0, nil })
	require.ErrorIs(t, err, breaker.ErrOpen)
	_, err = b.Allow()
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.EqualValues(t, 3, b.Stats().Refused)
}

func TestBreakerGuardsCallsOfEveryType(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	n, err := breaker.DoValue(bg, b, func(context.Context) (int, error) { return 7, nil })
	require.NoError(t, err)
	require.Equal(t, 7, n)
	text := breaker.Wrap(b, func(context.Context) (string, error) { return "seven", nil })
	s, err := text(bg)
	require.NoError(t, err)
	require.Equal(t, "seven", s)
}

func TestBreakerSuccessEndsARowOfFailures(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 3})
	for range 10 {
		_, _ = b.Do(bg, fail), b.Do(bg, fail)
		require.NoError(t, b.Do(bg, succeed))
	}
	require.Equal(t, breaker.Closed, b.State())
}

func TestBreakerZeroConfigOpensAfterFiveFailures(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	for range 4 {
		_ = b.Do(bg, fail)
	}
	require.Equal(t, breaker.Closed, b.State())
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State())
	require.InDelta(t, time.Minute, b.Stats().OpenFor, float64(6*time.Second))
}

func TestBreakerOtherRulesReplaceTheDefaultRule(t *testing.T) {
	b := breaker.MustNew(breaker.Config{CountWindow: 100, CountFailures: 50})
	for range 49 {
		_ = b.Do(bg, fail)
	}
	require.Equal(t, breaker.Closed, b.State())
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State())
}

func TestBreakerCountWindowSeesFailuresThatSuccessesHide(t *testing.T) {
	var got breaker.StateChange
	b := breaker.MustNew(breaker.Config{CountWindow: 10, CountFailures: 8, CountMinCalls: 10,
		Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) { got = c }}})
	for i := range 10 {
		if i == 4 {
			require.NoError(t, b.Do(bg, succeed))
		} else {
			require.Equal(t, errDown, b.Do(bg, fail), "call %d", i)
		}
	}
	require.Equal(t, breaker.Open, b.State())
	require.Equal(t, breaker.RuleCountWindow, got.Rule)
}

func TestBreakerCountWindowWaitsForItsMinimumOfCalls(t *testing.T) {
	b := breaker.MustNew(breaker.Config{CountWindow: 10, CountFailures: 2, CountMinCalls: 5})
	for range 4 {
		_ = b.Do(bg, fail)
	}
	require.Equal(t, breaker.Closed, b.State())
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State())
}

func TestBreakerSeveralRulesWatchAtOnceAndTheEventNamesTheOne(t *testing.T) {
	for _, test := range []struct {
		rule    breaker.Rule
		pattern string
	}{
		{breaker.RuleConsecutiveFailures, "ffff"},
		{breaker.RuleCountWindow, "fsffsffsff"},
		{breaker.RuleFailureRate, "sfsfsfsfsfsf"},
	} {
		var got []breaker.Rule
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 4, CountWindow: 10, CountFailures: 7,
			FailureRate: 0.5, MinCalls: 12,
			Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) { got = append(got, c.Rule) }}})
		for _, c := range test.pattern {
			require.Equal(t, breaker.Closed, b.State())
			_ = b.Do(bg, map[rune]func(context.Context) error{'f': fail, 's': succeed}[c])
		}
		require.Equal(t, []breaker.Rule{test.rule}, got)
	}
}

func TestBreakerCancelledCallersDoNotOpenIt(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	for range 6 {
		ctx, cancel := context.WithCancel(bg)
		err := b.Do(ctx, func(ctx context.Context) error {
			cancel()
			return fmt.Errorf("query: %w", ctx.Err())
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, breaker.Closed, b.State())
	require.EqualValues(t, 6, b.Stats().Ignored)
}

func TestBreakerTimeoutOfTheDependencyIsAFailure(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	_ = b.Do(bg, func(context.Context) error { return context.DeadlineExceeded })
	require.Equal(t, breaker.Open, b.State(), "the caller was still waiting")
}

func TestBreakerClassifyJudgesErrors(t *testing.T) {
	errNotFound, errBusy := errors.New("not found"), errors.New("busy")
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2,
		Classify: func(ctx context.Context, err error) breaker.Outcome {
			switch {
			case errors.Is(err, errNotFound):
				return breaker.Success
			case errors.Is(err, errBusy):
				return breaker.Ignored
			}
			return breaker.DefaultClassify(ctx, err)
		}})
	do := func(err error) { require.Equal(t, err, b.Do(bg, func(context.Context) error { return err })) }
	do(errDown)
	do(errBusy)
	require.Equal(t, 1, b.Stats().ConsecutiveFailures, "ignored: neither counted nor forgiven")
	do(errNotFound)
	require.Equal(t, 0, b.Stats().ConsecutiveFailures)
	do(errDown)
	do(errDown)
	require.Equal(t, breaker.Open, b.State())
	require.Equal(t, breaker.Success, breaker.DefaultClassify(canceled(), nil))
	require.Equal(t, breaker.Ignored, breaker.DefaultClassify(canceled(), errDown))
}

func TestBreakerClassifyThatPanicsCountsAsFailure(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1,
		Classify: func(context.Context, error) breaker.Outcome { panic("classify") }})
	value, _ := recovered(func() { _ = b.Do(bg, fail) })
	require.Equal(t, "classify", value)
	require.Equal(t, breaker.Open, b.State())
}

func TestBreakerDoJudgedSeesFailuresWithoutAnError(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	judge := func(_ context.Context, status int, err error) breaker.Outcome {
		if err != nil || status >= 500 {
			return breaker.Failure
		}
		return breaker.Success
	}
	get := func(status int) (int, error) {
		return breaker.DoJudged(bg, b, func(context.Context) (int, error) { return status, nil }, judge)
	}
	status, err := get(404)
	require.NoError(t, err)
	require.Equal(t, 404, status)
	require.Equal(t, breaker.Closed, b.State())
	status, err = get(503)
	require.NoError(t, err, "the result comes back as it is")
	require.Equal(t, 503, status)
	require.Equal(t, breaker.Open, b.State())
}

func TestBreakerPermitEndsOnce(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 3})
	p, err := b.Allow()
	require.NoError(t, err)
	p.Record(breaker.Failure, nil)
	p.Record(breaker.Failure, nil)
	p.Done(bg, errDown)
	require.Equal(t, 1, b.Stats().ConsecutiveFailures)
	var zero breaker.Permit
	zero.Record(breaker.Failure, nil)
	zero.Done(bg, nil)
}

func TestBreakerPermitDoneClassifies(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2})
	for _, end := range []struct {
		ctx  context.Context
		err  error
		want int
	}{{bg, errDown, 1}, {canceled(), errDown, 1}, {bg, nil, 0}} {
		p, err := b.Allow()
		require.NoError(t, err)
		p.Done(end.ctx, end.err)
		require.Equal(t, end.want, b.Stats().ConsecutiveFailures)
	}
}

func TestBreakerLateResultsOfAnEarlierStateCountForNothing(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, SuccessThreshold: 1})
	allow := func() *breaker.Permit {
		p, err := b.Allow()
		require.NoError(t, err)
		return &p
	}
	lateFailure, lateSuccess := allow(), allow()
	_ = b.Do(bg, fail)
	b.SetMode(breaker.ForceClosed)
	b.SetMode(breaker.Auto)
	lateFailure.Record(breaker.Failure, nil)
	require.Equal(t, breaker.Closed, b.State(), "a failure from before the outage")

	b.SetMode(breaker.Auto)
	_ = b.Do(bg, fail)
	lateSuccess.Record(breaker.Success, nil)
	require.Equal(t, breaker.Open, b.State(), "a success from before the outage")
}

func TestBreakerNotifiesOncePerTransition(t *testing.T) {
	var got []string
	b := breaker.MustNew(breaker.Config{Name: "x", ConsecutiveFailures: 2, Hooks: breaker.Hooks{
		OnStateChange: func(c breaker.StateChange) {
			got = append(got, fmt.Sprint(c.Name, " ", c.From, " ", c.To, " ", c.Rule, " ", c.Err))
		}}})
	var late []*breaker.Permit
	for range 5 {
		p, err := b.Allow()
		require.NoError(t, err)
		late = append(late, &p)
	}
	for _, p := range late {
		p.Record(breaker.Failure, errDown)
	}
	b.Reset()
	b.Reset()
	require.Equal(t, []string{
		"x closed open consecutive failures down",
		"x open closed reset <nil>",
	}, got)
}

func TestBreakerHookThatPanicsReachesItsCallerAndLosesNothing(t *testing.T) {
	var got []breaker.State
	var b *breaker.Breaker
	b = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, Hooks: breaker.Hooks{
		OnStateChange: func(c breaker.StateChange) {
			got = append(got, c.To)
			if len(got) == 1 {
				b.Reset() // due while this hook runs
				panic("hook")
			}
		}}})
	value, _ := recovered(func() { _ = b.Do(bg, fail) })
	require.Equal(t, "hook", value)
	require.Equal(t, []breaker.State{breaker.Open, breaker.Closed}, got)
	require.EqualValues(t, 1, b.Stats().Failures, "counted once, though the hook's panic passed through Do")
	require.Equal(t, errDown, b.Do(bg, fail), "the breaker works on")
	require.Equal(t, []breaker.State{breaker.Open, breaker.Closed, breaker.Open}, got)
}

func TestBreakerHookMayUseTheBreaker(t *testing.T) {
	var b *breaker.Breaker
	var states []breaker.State
	b = breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, Hooks: breaker.Hooks{
		OnStateChange: func(c breaker.StateChange) {
			states = append(states, c.To, b.State())
			_ = b.Stats()
			if c.To == breaker.Open {
				b.Reset()
			}
			_ = b.Do(bg, succeed)
		}}})
	_ = b.Do(bg, fail)
	require.Equal(t, []breaker.State{breaker.Open, breaker.Open, breaker.Closed, breaker.Closed}, states)
}

func TestBreakerHooksComeInOrderUnderConcurrency(t *testing.T) {
	last, changes := breaker.Closed, 0
	running := atomic.Int32{}
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OpenFor: 1, SuccessThreshold: 1, Hooks: breaker.Hooks{
		// Not synchronized: the race detector sees two that overlap.
		OnStateChange: func(c breaker.StateChange) {
			if running.Add(1) != 1 || c.From != last {
				panic("hooks overlap or are out of order")
			}
			last, changes = c.To, changes+1
			running.Add(-1)
		}}})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 3000 {
				switch (i + g) % 7 {
				case 0:
					_ = b.Do(bg, fail)
				case 1:
					_ = b.Stats()
				case 2:
					if i%100 == 2 {
						b.Reset()
					}
				default:
					_ = b.Do(bg, succeed)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, b.State(), last)
	require.Greater(t, changes, 2)
}

func TestBreakerSurvivesAStormOfEverything(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 3, CountWindow: 20, FailureRate: 0.9, MinCalls: 5,
		SlowCall: time.Millisecond, SlowRate: 0.9, SlowInFlight: 50,
		OpenFor: 10 * time.Microsecond, SuccessThreshold: 2, Probes: 2})
	var wg sync.WaitGroup
	var probing atomic.Int32
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				ctx, cancel := context.WithCancel(bg)
				switch (i*7 + g) % 11 {
				case 0, 1, 2, 3:
					_ = b.Do(ctx, fail)
				case 4:
					_ = b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
				case 5:
					recovered(func() { _ = b.Do(ctx, func(context.Context) error { panic(1) }) })
				case 6:
					if p, err := b.Allow(); err == nil {
						runtime.Gosched()
						p.Done(ctx, nil)
					}
				case 7:
					_ = b.Reconfigure(breaker.Config{ConsecutiveFailures: 2 + i%3, CountWindow: 10 * (i % 3),
						OpenFor: 10 * time.Microsecond, SuccessThreshold: 2, Probes: 2})
				case 8:
					if b.Stats().Probes > 2 {
						probing.Add(1)
					}
				default:
					_ = b.Do(ctx, succeed)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.Zero(t, probing.Load(), "more probes than allowed")
	b.Reset()
	s := b.Stats()
	require.Zero(t, s.Probes)
	require.Zero(t, s.InFlight)
	require.NoError(t, b.Do(bg, succeed))
}

// nosy is an error that looks at the breaker it is given to.
type nosy struct{ b *breaker.Breaker }

func (nosy) Error() string { return "nosy" }
func (n nosy) RetryAfter() time.Duration {
	_ = n.b.Stats()
	return time.Hour
}

func TestBreakerAsksAnErrorForItsTimeOutsideAllLocks(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, NoJitter: true})
	err := nosy{b}
	require.Equal(t, err, b.Do(bg, func(context.Context) error { return err }))
	require.Equal(t, 10*time.Minute, b.Stats().OpenFor, "ten times OpenFor at most")
}

func TestBreakerForceOpenRefusesUntilTheModeChanges(t *testing.T) {
	b := breaker.MustNew(breaker.Config{Name: "x", Mode: breaker.ForceOpen})
	for range 2 {
		require.Equal(t, breaker.Open, b.State())
		err := b.Do(bg, unreachable(t))
		require.EqualError(t, err, "breaker: x: open, forced")
		var open *breaker.OpenError
		require.ErrorAs(t, err, &open)
		require.Zero(t, open.RetryAfter())
		b.Reset()
		require.Equal(t, breaker.Open, b.State(), "Reset does not overrule an operator")
		b.SetMode(breaker.ForceOpen)
	}
	b.SetMode(breaker.Auto)
	require.NoError(t, b.Do(bg, succeed))
	b.SetMode(breaker.ForceOpen)
	require.Equal(t, breaker.ForceOpen, b.Mode())
	require.ErrorIs(t, b.Do(bg, succeed), breaker.ErrOpen)
	require.PanicsWithValue(t, "breaker: mode is 9, want ≤ 3", func() { b.SetMode(9) })
}

func TestBreakerForceClosedAdmitsAndCountsNothing(t *testing.T) {
	b := tripped(breaker.Config{CountWindow: 4})
	b.SetMode(breaker.ForceClosed)
	for range 10 {
		require.Equal(t, errDown, b.Do(bg, fail))
	}
	require.Equal(t, breaker.Closed, b.State())
	require.NoError(t, b.Do(bg, succeed))
	s := b.Stats()
	require.Zero(t, s.ConsecutiveFailures+s.CountCalls)
	b.SetMode(breaker.Auto)
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State())
}

func TestBreakerShadowDecidesButRefusesNothing(t *testing.T) {
	var got []breaker.StateChange
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2, OpenFor: time.Hour, Mode: breaker.Shadow, Hooks: breaker.Hooks{
		OnStateChange: func(c breaker.StateChange) { got = append(got, c) }}})
	for range 5 {
		require.Equal(t, errDown, b.Do(bg, fail))
	}
	require.Equal(t, breaker.Open, b.State())
	require.Len(t, got, 1)
	require.True(t, got[0].Shadow)
	s := b.Stats()
	require.EqualValues(t, 3, s.ShadowRefused)
	require.Zero(t, s.Refused)
	b.SetMode(breaker.Auto)
	require.ErrorIs(t, b.Do(bg, fail), breaker.ErrOpen, "enforced from where it stood")
	require.Len(t, got, 1)
}

func TestBreakerReconfigureTakesEffectAtOnceAndKeepsWhatItCan(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 5, CountWindow: 10, CountFailures: 9})
	_, _, _ = b.Do(bg, fail), b.Do(bg, fail), b.Do(bg, succeed)
	_ = b.Do(bg, fail)
	require.NoError(t, b.Reconfigure(breaker.Config{ConsecutiveFailures: 5, CountWindow: 10, CountFailures: 4, CountMinCalls: 4}))
	s := b.Stats()
	require.Equal(t, 1, s.ConsecutiveFailures)
	require.Equal(t, 4, s.CountCalls)
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State(), "4 of 5 now suffice")

	b.Reset()
	_ = b.Do(bg, fail)
	require.NoError(t, b.Reconfigure(breaker.Config{ConsecutiveFailures: 2, CountWindow: 20}))
	require.Equal(t, 0, b.Stats().CountCalls, "another length begins anew")
	require.EqualError(t, b.Reconfigure(breaker.Config{Probes: -1}), "breaker: Config.Probes is -1, want ≥ 0")
	require.EqualError(t, b.Reconfigure(breaker.Config{Name: "y"}), `breaker: Config.Name is "y", want "", as it was`)
	_ = b.Do(bg, fail)
	require.Equal(t, breaker.Open, b.State(), "a failed Reconfigure changes nothing")
}

func TestBreakerReconfigureWhileACallRunsJudgesItByTheNewRules(t *testing.T) {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 5})
	p, err := b.Allow()
	require.NoError(t, err)
	require.NoError(t, b.Reconfigure(breaker.Config{SlowCall: 8, SlowRate: 0.1, MinCalls: 1}))
	p.Record(breaker.Success, nil)
	s := b.Stats()
	require.Equal(t, 1, s.WindowCalls)
	require.Zero(t, s.WindowSlow, "nobody looked when it began")
}

func TestNewRefusesBadValuesAndNamesThem(t *testing.T) {
	for want, cfg := range map[string]breaker.Config{
		"ConsecutiveFailures is -1, want ≥ 0":                   {ConsecutiveFailures: -1},
		"ConsecutiveFailures is 65536, want ≤ 65535":            {ConsecutiveFailures: 65536},
		"CountWindow is 2000000, want ≤ 1048576":                {CountWindow: 2_000_000},
		"CountFailures is 3, want ≤ 2":                          {CountWindow: 2, CountFailures: 3},
		"CountFailures is 3, want ≤ 0":                          {CountFailures: 3},
		"CountMinCalls is 5, want ≤ 4":                          {CountWindow: 4, CountMinCalls: 5},
		"FailureRate is 1.5, want ≤ 1":                          {FailureRate: 1.5},
		"FailureRate is NaN, want ≥ 0":                          {FailureRate: math.NaN()},
		"FailureRate is 0, want > 0 with Window":                {Window: time.Second},
		"Window is 9ns, want ≥ 10ns":                            {FailureRate: 1, Window: 9},
		"MinCalls is -2, want ≥ 0":                              {MinCalls: -2},
		"SlowCall is 7ns, want ≥ 8ns":                           {SlowCall: 7},
		"SlowCall is 0, want > 0 with SlowRate or SlowInFlight": {SlowInFlight: 1},
		"SlowRate is -0.5, want ≥ 0":                            {SlowRate: -0.5},
		"SlowInFlight is -1, want ≥ 0":                          {SlowInFlight: -1},
		"OpenFor is -1s, want ≥ 0":                              {OpenFor: -time.Second},
		"OpenFor is 876000h0m0s, want ≤ 87600h0m0s":             {OpenFor: 876000 * time.Hour},
		"MaxOpenFor is 1s, want ≥ OpenFor, which is 1m0s":       {MaxOpenFor: time.Second},
		"Probes is 70000, want ≤ 65535":                         {Probes: 70000},
		"SuccessThreshold is -1, want ≥ 0":                      {SuccessThreshold: -1},
		"ProbeTimeout is -1ns, want ≥ 0":                        {ProbeTimeout: -1},
		"CallTimeout is -1ns, want ≥ 0":                         {CallTimeout: -1},
		"CallTimeout is 0, want > 0 with Detach":                {Detach: true},
		"Mode is 4, want ≤ 3":                                   {Mode: 4},
	} {
		b, err := breaker.New(cfg)
		require.EqualError(t, err, "breaker: Config."+want)
		require.Nil(t, b)
		require.PanicsWithValue(t, err.Error(), func() { breaker.MustNew(cfg) })
	}
}

func TestNilFnPanicsAtOnce(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	require.PanicsWithValue(t, "breaker: fn is nil", func() { _ = b.Do(bg, nil) })
	require.PanicsWithValue(t, "breaker: fn is nil", func() { _, _ = breaker.DoValue[int](bg, b, nil) })
	require.PanicsWithValue(t, "breaker: fn is nil", func() { breaker.Wrap[int](b, nil) })
	require.Zero(t, b.Stats().Failures)
}

func TestStatsArePublishable(t *testing.T) {
	b := tripped(breaker.Config{Name: "orders", OpenFor: time.Hour, NoJitter: true})
	text, err := json.Marshal(b.Stats())
	require.NoError(t, err)
	require.Contains(t, string(text), `"name":"orders","state":"open","mode":"auto","failures":1`)
	require.Contains(t, string(text), `"opened":1`)
	require.Contains(t, string(text), `"open_for_ns":3600000000000`)
}

func TestHealthyAndRefusedCallsDoNotAllocate(t *testing.T) {
	healthy := map[string]breaker.Config{
		"consecutive": {},
		"count":       {CountWindow: 100},
		"time":        {FailureRate: 0.5},
		"slow":        {SlowCall: time.Second, SlowRate: 0.5, SlowInFlight: 5},
	}
	value := func(context.Context) (int, error) { return 1, nil }
	for name, cfg := range healthy {
		b := breaker.MustNew(cfg)
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = b.Do(bg, succeed) }), name)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = breaker.DoValue(bg, b, value) }), name)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			p, _ := b.Allow()
			p.Done(bg, nil)
		}), name)
	}
	b := tripped(breaker.Config{OpenFor: time.Hour})
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = b.Do(bg, succeed) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = breaker.DoValue(bg, b, value) }))
}

func TestIdleBreakersFitInFourHundredBytesEach(t *testing.T) {
	const n = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	breakers := make([]*breaker.Breaker, n)
	for i := range breakers {
		breakers[i] = breaker.MustNew(breaker.Config{Name: "host", CountWindow: 1000, FailureRate: 0.5,
			SlowCall: time.Second, SlowRate: 0.5, SlowInFlight: 10})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(breakers)
	bytes := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes for each idle breaker", bytes)
	require.LessOrEqual(t, bytes, 400.0)
}

func TestBreakerDetachedCallsThatEndInTimeAlwaysReturnTheirResult(t *testing.T) {
	b := breaker.MustNew(breaker.Config{CallTimeout: time.Hour, Detach: true, CountWindow: 10, CountFailures: 10})
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 5000 {
				v, err := breaker.DoValue(bg, b, func(context.Context) (int, error) { return i + 1, nil })
				if v != i+1 || err != nil {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, wrong.Load())
	require.Equal(t, 10, b.Stats().CountCalls)
}
