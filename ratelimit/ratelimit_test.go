package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

func limiter(t *testing.T, limits ...ratelimit.Limit) *ratelimit.Limiter[string] {
	t.Helper()
	l, err := ratelimit.New(ratelimit.Config[string]{Limits: limits})
	require.NoError(t, err)
	return l
}

func TestAllowAdmitsTheLimitAndRefusesTheNext(t *testing.T) {
	l := limiter(t, ratelimit.Per(3, time.Hour))
	for range 3 {
		require.True(t, l.Allow("a"))
	}
	require.False(t, l.Allow("a"))
	require.True(t, l.Allow("b"), "keys are apart")
	require.Equal(t, ratelimit.Stats{Keys: 2, Allowed: 4, Limited: 1}, l.Stats())
}

func TestTheZeroConfigIsAHundredPerMinute(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[int]{})
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{})
	for i := range 101 {
		require.Equal(t, i < 100, l.Allow(1))
		require.Equal(t, i < 100, s.Allow())
	}
	d := l.Peek(1)
	require.Equal(t, 100, d.Limit)
	require.Equal(t, time.Minute, d.Window)
}

func TestWindowIsHalfOpenAtItsEnd(t *testing.T) {
	for _, window := range []time.Duration{1, 1000, time.Second} {
		for late, want := range map[time.Duration]bool{-1: false, 0: true, 1: true} {
			l := limiter(t, ratelimit.Per(1, window))
			start := time.Now()
			require.True(t, l.AllowAt("a", start))
			require.Equal(t, want, l.AllowAt("a", start.Add(window+late)), "%v %+d ns", window, late)
		}
	}
}

// The times at which a counter of fixed windows, a pair of counters, or a token
// bucket lets 199 or 200 through.
func TestNoBurstAcrossABoundaryPassesTheLimit(t *testing.T) {
	for _, limit := range []int{100, 1000} {
		l := limiter(t, ratelimit.Per(limit, time.Minute))
		start := time.Now()
		var admitted []time.Duration
		for phase := time.Duration(0); phase < 5*time.Minute; phase += 59 * time.Second / 7 {
			for range limit {
				if l.AllowAt("a", start.Add(phase)) {
					admitted = append(admitted, phase)
				}
			}
		}
		require.LessOrEqual(t, worst(admitted, time.Minute), limit)
		require.GreaterOrEqual(t, len(admitted), 4*limit, "and those it may admit, it does")
	}
}

func TestRefusalsDoNotConsume(t *testing.T) {
	l := limiter(t, ratelimit.Per(2, time.Second), ratelimit.Rate(2, time.Second, 2))
	start := time.Now()
	require.True(t, l.TakeAt("a", 2, start).Allowed)
	for i := range 1000 {
		require.False(t, l.AllowAt("a", start.Add(time.Duration(i)*900*time.Microsecond/2)))
	}
	require.True(t, l.TakeAt("a", 2, start.Add(time.Second)).Allowed, "a client that floods recovers as any other")
}

func TestDecisionCarriesExactFigures(t *testing.T) {
	l := limiter(t, ratelimit.Limit{Name: "burst", N: 3, Window: time.Second})
	at := time.Now()
	require.Equal(t, ratelimit.Decision{
		Allowed: true, Rule: "burst", Limit: 3, Window: time.Second, Remaining: 2, ResetAfter: time.Second,
	}, l.TakeAt("a", 1, at))
	at = at.Add(400 * time.Millisecond)
	require.Equal(t, ratelimit.Decision{
		Allowed: true, Rule: "burst", Limit: 3, Window: time.Second, Remaining: 0, ResetAfter: time.Second,
	}, l.TakeAt("a", 2, at))
	at = at.Add(100 * time.Millisecond)
	require.Equal(t, ratelimit.Decision{
		Rule: "burst", Limit: 3, Window: time.Second, RetryAfter: 500 * time.Millisecond, ResetAfter: 900 * time.Millisecond,
	}, l.TakeAt("a", 1, at))
	require.Equal(t, 900*time.Millisecond, l.TakeAt("a", 2, at).RetryAfter)
	require.Equal(t, ratelimit.Never, l.TakeAt("a", 4, at).RetryAfter)
}

func TestSeveralRulesHoldAllOrNothing(t *testing.T) {
	l := limiter(t,
		ratelimit.Limit{Name: "second", N: 2, Window: time.Second},
		ratelimit.Limit{Name: "minute", N: 3, Window: time.Minute},
		ratelimit.Limit{Name: "even", N: 60, Window: time.Minute, Algorithm: ratelimit.GCRA, Burst: 50},
	)
	at := time.Now()
	require.Equal(t, "second", l.TakeAt("a", 1, at).Rule)
	require.True(t, l.AllowAt("a", at))
	for range 10 {
		d := l.TakeAt("a", 1, at)
		require.Equal(t, "second", d.Rule)
		require.Equal(t, time.Second, d.RetryAfter)
	}
	at = at.Add(time.Second)
	d := l.TakeAt("a", 1, at)
	require.True(t, d.Allowed, "what one rule refused has not counted in the other")
	require.Equal(t, "minute", d.Rule)
	require.Equal(t, 1, d.Index)
	d = l.TakeAt("a", 1, at)
	require.Equal(t, "minute", d.Rule, "the one that holds longest binds")
	require.Equal(t, 59*time.Second, d.RetryAfter.Round(time.Microsecond))
	require.Equal(t, ratelimit.Never, l.TakeAt("a", 4, at).RetryAfter, "more than one of them ever admits")
}

func TestATimeBeforeTheLastEventMakesNoPermits(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			l := limiter(t, limit)
			s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{limit}})
			start := time.Now()
			admitted := 0
			for i := range 100 {
				at := start
				if i%2 == 1 {
					at = start.Add(-time.Duration(i) * time.Hour)
				}
				if l.AllowAt("a", at) {
					admitted++
				}
				if s.AllowAt(at) {
					admitted++
				}
			}
			require.LessOrEqual(t, admitted, 4)
			require.True(t, l.AllowAt("a", start.Add(time.Second)), "and does not block beyond the window")
			require.True(t, s.AllowAt(start.Add(time.Second)))
		})
	}
}

func TestTimesAtTheEndsOfTheClockAreHarmless(t *testing.T) {
	ends := []time.Time{{}, time.Unix(0, 0), time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0), time.Now(), time.Unix(1<<40, 0)}
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			for _, first := range ends {
				for _, second := range ends {
					l := limiter(t, limit)
					require.True(t, l.TakeAt("a", 2, first).Allowed)
					d := l.TakeAt("a", 1, second)
					require.GreaterOrEqual(t, d.RetryAfter, time.Duration(0))
					require.GreaterOrEqual(t, d.ResetAfter, time.Duration(0))
					if !second.After(first) {
						require.False(t, d.Allowed)
					}
				}
			}
		})
	}
}

func TestALimitOfZeroDeniesAndKeepsNothing(t *testing.T) {
	l := limiter(t, ratelimit.Per(5, time.Second), ratelimit.Limit{Name: "none"})
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{{Name: "none"}}})
	for i := range 10 {
		require.False(t, l.Allow(fmt.Sprint(i)))
		require.False(t, s.Allow())
	}
	d := l.Take("a", 1)
	require.Equal(t, ratelimit.Decision{Rule: "none", Index: 1, Window: time.Minute, RetryAfter: ratelimit.Never}, d)
	require.Equal(t, ratelimit.Never, s.Peek().RetryAfter)
	got, _ := s.TakeAtMost(3)
	require.Zero(t, got)
	got, _ = l.TakeAtMost("a", 3)
	require.Zero(t, got)
	require.Equal(t, ratelimit.Stats{Limited: 12}, l.Stats())
	require.ErrorIs(t, l.Wait(t.Context(), "a"), ratelimit.ErrLimited)
	require.ErrorIs(t, s.Wait(t.Context()), ratelimit.ErrLimited)
	require.ErrorIs(t, s.Do(t.Context(), nothing), ratelimit.ErrLimited)
	require.EqualValues(t, 13, s.Stats().Limited)
	s.Refund(1)
	s.Reset()
	l.Refund("a", 1)
	l.Reset("a")
}

func TestMoreThanTheLimitAtOnceIsNeverAdmitted(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			l := limiter(t, limit)
			require.Equal(t, ratelimit.Never, l.Take("a", 3).RetryAfter)
			require.Zero(t, l.Stats().Keys, "a refusal leaves no state")
			err := l.WaitN(t.Context(), "a", 3)
			require.ErrorIs(t, err, ratelimit.ErrTooLarge)
			require.ErrorIs(t, err, ratelimit.ErrLimited)
			_, err = l.Reserve("a", 3)
			require.ErrorIs(t, err, ratelimit.ErrTooLarge)
			require.True(t, l.Take("a", 2).Allowed)
		})
	}
}

func TestTakeOfNothingIsAlwaysAllowedAndKeepsNothing(t *testing.T) {
	l := limiter(t, ratelimit.Per(1, time.Second))
	require.True(t, l.Take("a", 0).Allowed)
	require.Zero(t, l.Stats().Keys)
	require.True(t, l.Allow("a"))
	require.True(t, l.Take("a", 0).Allowed)
	require.PanicsWithValue(t, "ratelimit: n is -1, want ≥ 0", func() { l.Take("a", -1) })
	require.PanicsWithValue(t, "ratelimit: n is -2, want ≥ 0", func() { l.Refund("a", -2) })
	got, d := l.TakeAtMost("a", 0)
	require.Zero(t, got)
	require.True(t, d.Allowed)
}

func TestTakeAtMostTakesWhatThereIs(t *testing.T) {
	l := limiter(t, ratelimit.Per(10, time.Hour), ratelimit.Rate(4, time.Hour, 4))
	got, d := l.TakeAtMost("a", 3)
	require.Equal(t, 3, got)
	require.Equal(t, 1, d.Remaining)
	got, d = l.TakeAtMost("a", 3)
	require.Equal(t, 1, got)
	require.True(t, d.Allowed)
	got, d = l.TakeAtMost("a", 3)
	require.Zero(t, got)
	require.False(t, d.Allowed)
	require.Positive(t, d.RetryAfter)
	require.Equal(t, 6, limiter(t, ratelimit.Per(10, time.Hour)).Take("b", 4).Remaining)

	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Rate(4, time.Hour, 4)}})
	for _, want := range []int{3, 1, 0} {
		got, _ = s.TakeAtMost(3)
		require.Equal(t, want, got)
	}
}

func TestPeekTakesNothing(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			p := newPair(0, limit)
			for range 10 {
				require.Equal(t, 2, p.keyed.Peek("k").Remaining)
				require.Equal(t, 2, p.single.Peek().Remaining)
			}
			require.Zero(t, p.keyed.Stats().Keys)
			p.exhaust()
			require.False(t, p.keyed.Peek("k").Allowed)
			require.Positive(t, p.single.Peek().RetryAfter)
		})
	}
}

func TestRefundAndResetGiveBack(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(300, time.Hour), "exact": {N: 300, Window: time.Hour, Exact: true},
		"few": ratelimit.Per(9, time.Hour), "gcra": ratelimit.Rate(9, time.Hour, 9),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(0, limit, ratelimit.Per(1000, time.Hour))
			p.exhaust()
			p.keyed.Refund("k", 2)
			p.single.Refund(2)
			require.Equal(t, 2, p.keyed.Peek("k").Remaining)
			require.Equal(t, 2, p.single.Peek().Remaining)
			p.exhaust()
			require.Zero(t, p.keyed.Peek("k").Remaining)
			p.keyed.Refund("k", 5000)
			p.single.Refund(5000)
			require.Equal(t, limit.N, p.keyed.Peek("k").Remaining, "no more than was taken")
			require.Equal(t, limit.N, p.single.Peek().Remaining)
			p.exhaust()
			p.keyed.Reset("k")
			p.single.Reset()
			require.Equal(t, limit.N, p.keyed.Peek("k").Remaining)
			require.Equal(t, limit.N, p.single.Peek().Remaining)
			p.keyed.Refund("unknown", 1)
			p.keyed.Reset("unknown")
			require.Zero(t, p.keyed.Stats().Keys)
		})
	}
}

func TestPlanForGivesKeysTheirOwnLimits(t *testing.T) {
	gold, asked := ratelimit.MustNewPlan(ratelimit.Per(5, time.Hour), ratelimit.Per(50, 24*time.Hour)), 0
	l := ratelimit.MustNew(ratelimit.Config[string]{
		Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)},
		PlanFor: func(key string) *ratelimit.Plan {
			asked++
			switch {
			case strings.HasPrefix(key, "gold"):
				return gold
			case key == "ops":
				return ratelimit.Unlimited()
			case key == "banned":
				return ratelimit.MustNewPlan(ratelimit.Per(0, time.Hour))
			}
			return nil
		},
	})
	for i := range 7 {
		require.Equal(t, i < 5, l.Allow("gold-1"))
		require.Equal(t, i < 1, l.Allow("other"))
		require.True(t, l.Allow("ops"))
		require.False(t, l.Allow("banned"))
	}
	require.Equal(t, 2+7+7, asked, "once for a key with state")
	require.Equal(t, 2, l.Stats().Keys, "neither the allowed nor the banned take memory")
	require.Equal(t, ratelimit.Decision{Allowed: true, Unlimited: true}, l.Peek("ops"))
	require.NoError(t, l.Wait(t.Context(), "ops"))
	r, err := l.Reserve("ops", 1000)
	require.NoError(t, err)
	require.Zero(t, r.Delay())
	require.Equal(t, []ratelimit.Limit{ratelimit.Per(5, time.Hour), ratelimit.Per(50, 24*time.Hour)}, gold.Limits())
}

func TestAShadowRuleReportsAndRefusesNothing(t *testing.T) {
	var told []ratelimit.Shadowed
	l := ratelimit.MustNew(ratelimit.Config[string]{
		Name:   "api",
		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Hour), {Name: "new", N: 2, Window: time.Hour, Shadow: true}},
		Hooks:  ratelimit.Hooks{OnShadowed: func(e ratelimit.Shadowed) { told = append(told, e) }},
	})
	for i := range 5 {
		d := l.Take("a", 1)
		require.True(t, d.Allowed)
		require.Equal(t, i >= 2, d.Shadowed)
		require.Equal(t, 4-i, d.Remaining, "the shadow does not bind")
	}
	require.False(t, l.Allow("a"))
	require.Len(t, told, 3)
	require.Equal(t, "new", told[0].Decision.ShadowRule)
	require.Equal(t, "api", told[0].Name)
	require.Equal(t, "a", told[0].Key)
	require.EqualValues(t, 3, l.Stats().Shadowed)

	alone := limiter(t, ratelimit.Limit{N: 1, Shadow: true})
	require.False(t, alone.Take("a", 1).Shadowed)
	d := alone.Take("a", 1)
	require.True(t, d.Allowed && d.Shadowed && d.Unlimited)
}

func TestHooksAreCalledOutsideTheLock(t *testing.T) {
	var told []ratelimit.Limited
	var l *ratelimit.Limiter[string]
	l = ratelimit.MustNew(ratelimit.Config[string]{
		Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)},
		Hooks: ratelimit.Hooks{OnLimited: func(e ratelimit.Limited) {
			told = append(told, e)
			require.False(t, l.Peek("a").Allowed, "it may call back")
		}},
	})
	require.True(t, l.Allow("a"))
	require.False(t, l.Allow("a"))
	require.Error(t, l.Do(t.Context(), "a", nothing))
	require.Len(t, told, 2)
	require.Equal(t, 1, told[0].Permits)
	require.Positive(t, told[0].Decision.RetryAfter)

	count := 0
	s := ratelimit.MustNewSingle(ratelimit.SingleConfig{
		Limits: []ratelimit.Limit{ratelimit.Rate(1, time.Hour, 1)},
		Hooks:  ratelimit.Hooks{OnLimited: func(e ratelimit.Limited) { require.Nil(t, e.Key); count++ }},
	})
	require.True(t, s.Allow())
	require.False(t, s.Allow())
	require.False(t, s.Take(1).Allowed)
	require.Equal(t, 2, count)
}

func TestEmptyAndZeroKeysAreKeys(t *testing.T) {
	l := limiter(t, ratelimit.Per(1, time.Hour))
	require.True(t, l.Allow(""))
	require.False(t, l.Allow(""))
	n := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)}})
	require.True(t, n.Allow(0))
	require.False(t, n.Allow(0))
}

func TestKeysThatAreNotEqualToThemselvesLeakNothingAndShareOneBudget(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[float64]{Limits: []ratelimit.Limit{ratelimit.Per(3, time.Hour)}})
	admitted := 0
	for range 10_000 {
		if l.Allow(math.NaN()) {
			admitted++
		}
	}
	require.Equal(t, 3, admitted)
	require.Zero(t, l.Stats().Keys)
	require.True(t, l.Peek(math.NaN()).Overflow)
	require.True(t, l.Allow(0))
	require.False(t, l.Take(math.Copysign(0, -1), 3).Allowed, "-0 is 0")
}

func TestAKeyThatCannotBeHashedPanicsAndLeavesTheLimiterUsable(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[any]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)}})
	for range 3 {
		require.Panics(t, func() { l.Allow([]int{1}) })
		require.Panics(t, func() { l.Take([1]any{[]int{1}}, 1) })
		require.Panics(t, func() { _ = l.Wait(t.Context(), map[int]int{}) })
	}
	require.True(t, l.Allow("a"))
	require.False(t, l.Allow("a"))
	require.True(t, l.Allow(nil))
	require.Equal(t, 2, l.Stats().Keys)
}

func TestAFullLimiterNeverForgetsAnExhaustedKey(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Hour)}, MaxKeys: 10})
	require.True(t, l.Take(0, 2).Allowed)
	admitted := 0
	for i := range 1000 {
		if l.Allow(i + 1) {
			admitted++
		}
		require.False(t, l.Allow(0), "an attacker with many keys gets no fresh budget")
		require.LessOrEqual(t, l.Stats().Keys, 10)
	}
	require.Equal(t, 9+2, admitted, "nine places, and one budget for all others")
	d := l.Take(5000, 1)
	require.True(t, d.Overflow)
	require.False(t, d.Allowed)
	require.EqualValues(t, 992, l.Stats().Overflowed)
}

func TestAKeyThatGetsAPlaceLaterStartsWithWhatItMayHaveTaken(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(3, time.Minute), "stepped": ratelimit.Per(300, time.Minute), "gcra": ratelimit.Rate(3, time.Minute, 3),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, sleep func(time.Duration)) {
				l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{limit}, MaxKeys: 1})
				require.True(t, l.Allow("first"))
				sleep(30 * time.Second)
				d := l.Take("attacker", limit.N)
				require.True(t, d.Allowed && d.Overflow)
				sleep(31 * time.Second) // the first key is idle now
				got, d := l.TakeAtMost("attacker", limit.N)
				require.False(t, d.Overflow)
				if name != "gcra" {
					require.Zero(t, got, "more than the limit in one window")
				} else {
					require.LessOrEqual(t, got, 2)
				}
				sleep(time.Minute)
				require.True(t, l.Take("attacker", limit.N-got).Allowed)
			})
		})
	}
}

func TestOverflowMayDenyOrAllow(t *testing.T) {
	for overflow, want := range map[ratelimit.Overflow]bool{ratelimit.OverflowDeny: false, ratelimit.OverflowAllow: true} {
		l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Hour)}, MaxKeys: 1, Overflow: overflow})
		require.True(t, l.Allow(1))
		for range 5 {
			d := l.Take(2, 1)
			require.Equal(t, want, d.Allowed)
			require.True(t, d.Overflow)
			require.Equal(t, !want, d.RetryAfter >= time.Hour)
		}
		require.EqualValues(t, 5, l.Stats().Overflowed)
		require.Equal(t, want, l.Wait(t.Context(), 3) == nil)
	}
}

func TestNewRefusesBadValuesAndNamesThem(t *testing.T) {
	for want, limit := range map[string]ratelimit.Limit{
		"ratelimit: Limit.N is -1, want 0 to 2147483647":                                      {N: -1},
		"ratelimit: Limit.Window is -1ns, want ≥ 0 and at most ten years":                     {N: 1, Window: -1},
		"ratelimit: Limit.Window is 2562047h47m16.854775807s, want ≥ 0 and at most ten years": {N: 1, Window: math.MaxInt64},
		"ratelimit: Limit.Algorithm is Algorithm(7), want SlidingWindow or GCRA":              {N: 1, Algorithm: 7},
		"ratelimit: Limit.Burst is 2, want 0 for a sliding window":                            {N: 1, Burst: 2},
		"ratelimit: Limit.Burst is -2, want 0 to 2147483647":                                  {N: 1, Burst: -2, Algorithm: ratelimit.GCRA},
		"ratelimit: Limit.Exact is true, want false for GCRA":                                 {N: 1, Exact: true, Algorithm: ratelimit.GCRA},
		"ratelimit: Limit.N is 32769, want at most 32768 with Exact":                          {N: 32769, Exact: true},
		"ratelimit: Limit.N is 11, want at most one a nanosecond":                             {N: 11, Window: 10, Algorithm: ratelimit.GCRA},
		"ratelimit: Limit.Burst is 100000, want what the rate makes good in ten years":        {N: 1, Window: 24 * time.Hour, Burst: 100_000, Algorithm: ratelimit.GCRA},
	} {
		_, err := ratelimit.New(ratelimit.Config[int]{Limits: []ratelimit.Limit{limit}})
		require.EqualError(t, err, want)
		_, err = ratelimit.NewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{limit}})
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { ratelimit.MustNewPlan(limit) })
	}
	for want, cfg := range map[string]ratelimit.Config[int]{
		"ratelimit: Config.MaxKeys is -1, want ≥ 0":                                                     {MaxKeys: -1},
		"ratelimit: Config.MaxWait is -1ns, want ≥ 0":                                                   {MaxWait: -1},
		"ratelimit: Config.MaxWaiting is -1, want ≥ 0":                                                  {MaxWaiting: -1},
		"ratelimit: Config.Overflow is Overflow(9), want OverflowShared, OverflowDeny or OverflowAllow": {Overflow: 9},
	} {
		require.PanicsWithValue(t, want, func() { ratelimit.MustNew(cfg) })
	}
	require.PanicsWithValue(t, "ratelimit: Config.MaxWait is -1ns, want ≥ 0", func() {
		ratelimit.MustNewSingle(ratelimit.SingleConfig{MaxWait: -1})
	})
	_, err := ratelimit.NewPlan()
	require.EqualError(t, err, "ratelimit: NewPlan has 0 limits, want ≥ 1 (use Unlimited for none)")
}

func TestNilFunctionsPanicAtOnce(t *testing.T) {
	p := newPair(0)
	for _, f := range []func(){
		func() { _ = p.keyed.Do(t.Context(), "k", nil) },
		func() { _ = p.single.Do(t.Context(), nil) },
		func() { _, _ = ratelimit.DoKey[string, int](t.Context(), p.keyed, "k", nil) },
		func() { _, _ = ratelimit.DoValue[int](t.Context(), p.single, nil) },
		func() { ratelimit.Wrap[int](p.single, nil) },
		func() { ratelimit.WrapKey[string, int](p.keyed, keyOf, nil) },
	} {
		require.PanicsWithValue(t, "ratelimit: fn is nil", f)
	}
	require.PanicsWithValue(t, "ratelimit: keyOf is nil", func() { ratelimit.WrapKey(p.keyed, nil, zero) })
}

func TestErrorsSayWhoWhichRuleAndWhen(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[string]{Name: "api", Limits: []ratelimit.Limit{{Name: "login", N: 1, Window: time.Hour}}})
	require.NoError(t, l.Do(t.Context(), "a", nothing))
	err := l.Do(t.Context(), "a", func(context.Context) error { t.Error("called"); return nil })
	var limited *ratelimit.LimitedError
	require.ErrorAs(t, err, &limited)
	require.ErrorIs(t, err, ratelimit.ErrLimited)
	require.NotErrorIs(t, err, ratelimit.ErrTooLarge)
	require.Equal(t, limited.Decision.RetryAfter, limited.RetryAfter())
	require.Equal(t, ratelimit.Exceeded, limited.Reason)
	require.Regexp(t, `^ratelimit: api: limit exceeded, 1 per 1h0m0s of login, retry in \S+$`, err.Error())
	require.Equal(t, "ratelimit: queue full, 1 per 1s", (&ratelimit.LimitedError{
		Reason: ratelimit.QueueFull, Decision: ratelimit.Decision{Limit: 1, Window: time.Second},
	}).Error())

	require.Equal(t, "turn too late", ratelimit.TurnTooLate.String())
	require.Equal(t, "more than the limit at once", ratelimit.TooLarge.String())
	require.Equal(t, "Reason(9)", ratelimit.Reason(9).String())
	require.Equal(t, "sliding window GCRA", fmt.Sprint(ratelimit.SlidingWindow, " ", ratelimit.GCRA))
	require.Equal(t, "shared deny allow", fmt.Sprint(ratelimit.OverflowShared, " ", ratelimit.OverflowDeny, " ", ratelimit.OverflowAllow))
	require.NotErrorIs(t, err, errCause)
}

// Many goroutines, the real clock: what is admitted never passes the limit in
// a window, and the limit is used up.
func TestPermitsAreConservedUnderContention(t *testing.T) {
	for name, limit := range map[string]ratelimit.Limit{
		"window": ratelimit.Per(100, time.Hour), "stepped": ratelimit.Per(5000, time.Hour), "gcra": ratelimit.Rate(100, time.Hour, 100),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(0, limit)
			var keyed, single atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 2000 {
						if p.keyed.Allow("k") {
							keyed.Add(1)
						}
						if p.single.Take(1).Allowed {
							single.Add(1)
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, limit.N, keyed.Load())
			require.EqualValues(t, limit.N, single.Load())
		})
	}
}

func TestAllocationPromises(t *testing.T) {
	limits := map[string][]ratelimit.Limit{
		"window":  {ratelimit.Per(200, time.Millisecond)},
		"stepped": {ratelimit.Per(1000, time.Millisecond)},
		"gcra":    {ratelimit.Rate(1000, time.Millisecond, 10)},
		"two":     {ratelimit.Per(200, time.Millisecond), ratelimit.Per(100, time.Hour)},
	}
	for name, ls := range limits {
		t.Run(name, func(t *testing.T) {
			p := newPair(0, ls...)
			type compound struct {
				tenant string
				route  int
			}
			c := ratelimit.MustNew(ratelimit.Config[compound]{Limits: ls})
			for range 3000 { // the rings have grown
				p.keyed.Allow("k")
				p.single.Allow()
				c.Allow(compound{"t", 1})
			}
			for what, f := range map[string]func(){
				"Allow":           func() { p.keyed.Allow("k") },
				"Allow, compound": func() { c.Allow(compound{"t", 1}) },
				"Take":            func() { p.keyed.Take("k", 2) },
				"TakeAtMost":      func() { p.keyed.TakeAtMost("k", 2) },
				"Peek":            func() { p.keyed.Peek("k") },
				"Refund":          func() { p.keyed.Refund("k", 1) },
				"Single.Allow":    func() { p.single.Allow() },
				"Single.Take":     func() { p.single.Take(2) },
				"Single.Peek":     func() { p.single.Peek() },
			} {
				require.Zero(t, testing.AllocsPerRun(200, f), what)
			}
		})
	}
}

func TestStatsAreReadyForJSON(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[int]{Name: "api"})
	l.Allow(1)
	text, err := json.Marshal(l.Stats())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"api","keys":1,"waiting":0,"allowed":1,"limited":0,"shadowed":0,"overflowed":0,"forgotten":0}`, string(text))
}

func TestManyKeysComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, sleep func(time.Duration)) {
		l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Second)}})
		for round := range 3 {
			for i := range 3000 {
				require.True(t, l.Allow(fmt.Sprint(i)), "round %d", round)
				require.True(t, l.Allow(fmt.Sprint(i)))
				require.False(t, l.Allow(fmt.Sprint(i)))
			}
			require.InDelta(t, 3000, l.Stats().Keys, 1)
			sleep(time.Second + 1)
			for range 5000 { // a further window of traffic
				l.Peek("x")
				l.Allow("y")
				sleep(time.Millisecond)
			}
			require.LessOrEqual(t, l.Stats().Keys, 3000)
		}
	})
}
