package ratelimit_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

func single(t *testing.T, limits ...ratelimit.Limit) *ratelimit.Single {
	t.Helper()
	s, err := ratelimit.NewSingle(ratelimit.SingleConfig{Limits: limits})
	require.NoError(t, err)
	return s
}

// A refused Single remembers until when there is nothing, to refuse without a
// lock. Whatever brings permits back must make it forget.
func TestSingleForgetsThatItWasExhausted(t *testing.T) {
	for what, f := range map[string]func(*ratelimit.Single){
		"Refund": func(s *ratelimit.Single) { s.Refund(1) },
		"Reset":  func(s *ratelimit.Single) { s.Reset() },
		"time":   func(*ratelimit.Single) { <-time.After(time.Second) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := single(t, ratelimit.Per(2, time.Second))
				for range 2 {
					require.True(t, s.Allow())
				}
				for range 5 {
					require.False(t, s.Allow())
				}
				f(s)
				require.True(t, s.Allow())
				require.EqualValues(t, 5, s.Stats().Limited)
			})
		})
	}
}

func TestSingleForgetsThatItWasExhaustedWhenAReservationIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := single(t, ratelimit.Per(2, time.Second))
		require.True(t, s.Allow())
		r, err := s.Reserve(1)
		require.NoError(t, err)
		require.Zero(t, r.Delay())
		require.False(t, s.Allow())
		require.False(t, s.Allow())
		require.True(t, r.Cancel())
		require.True(t, s.Allow())
		require.False(t, s.Allow())
	})
}

// A Single of one GCRA rule changes between a word without a lock and a state
// under it, and back when nobody waits.
func TestSingleGCRAKeepsItsStateAcrossItsForms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := single(t, ratelimit.Rate(10, time.Second, 5))
		interval := 100 * time.Millisecond
		require.True(t, s.Allow())
		require.Equal(t, 4, s.Peek().Remaining)
		require.True(t, s.Allow())
		require.Equal(t, 3, s.Peek().Remaining)
		require.Equal(t, 2, s.Take(1).Remaining)
		s.Refund(1)
		require.Equal(t, 2, s.Take(1).Remaining)
		got, _ := s.TakeAtMost(7)
		require.Equal(t, 2, got)
		require.False(t, s.Allow())
		require.Equal(t, interval, s.Take(1).RetryAfter)

		r, err := s.Reserve(1)
		require.NoError(t, err)
		require.Equal(t, interval, r.Delay())
		require.False(t, s.Allow(), "under the lock, behind the reservation")
		require.Equal(t, 2*interval, s.Take(1).RetryAfter)
		require.Equal(t, 1, s.Stats().Waiting)
		time.Sleep(interval)
		require.False(t, s.Allow(), "the reserved permit is not for others")
		require.Zero(t, s.Stats().Waiting)
		time.Sleep(interval)
		require.True(t, s.Allow())
		require.False(t, s.Allow())

		require.Equal(t, 5*interval, s.Peek().ResetAfter)
		time.Sleep(5 * interval)
		require.Equal(t, 5, s.Peek().Remaining)
	})
}

// A reservation that needed no waiting can be cancelled only while it is the
// last, also if what came later took no lock.
func TestSingleReservationIsNotCancelledBehindALockFreePermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := single(t, ratelimit.Rate(10, time.Second, 5))
		r, err := s.Reserve(2)
		require.NoError(t, err)
		require.True(t, s.Allow())
		require.False(t, r.Cancel())
		require.Equal(t, 2, s.Peek().Remaining)

		r, err = s.Reserve(2)
		require.NoError(t, err)
		require.True(t, r.Cancel())
		require.Equal(t, 2, s.Peek().Remaining)
	})
}

func TestSingleWaitsBehindThoseWhoWait(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := single(t, limit)
				require.True(t, s.Take(2).Allowed)
				start := time.Now()
				var mu sync.Mutex
				var order []int
				for i := range 3 {
					go func() {
						if err := s.WaitN(t.Context(), 2); err != nil {
							t.Error(err)
						}
						mu.Lock()
						defer mu.Unlock()
						order = append(order, i)
					}()
					synctest.Wait()
				}
				require.False(t, s.Allow())
				require.Equal(t, 4*time.Second, s.Take(2).RetryAfter)
				for s.Stats().Waiting > 0 {
					require.False(t, s.Take(1).Allowed)
					time.Sleep(time.Second)
					synctest.Wait()
				}
				synctest.Wait()
				require.Equal(t, []int{0, 1, 2}, order)
				require.Equal(t, 3*time.Second, time.Since(start))
			})
		})
	}
}

// Of several rules the decision names the one that binds: of those that refuse
// the one that does so longest, else the one with the least left.
func TestTheDecisionNamesTheRuleThatBinds(t *testing.T) {
	named := func(name string, l ratelimit.Limit) ratelimit.Limit {
		l.Name = name
		return l
	}
	second := named("second", ratelimit.Per(3, time.Second))
	minute := named("minute", ratelimit.Per(5, time.Minute))
	even := named("even", ratelimit.Rate(60, time.Minute, 4))
	for _, c := range []struct {
		what   string
		limits []ratelimit.Limit
		taken  int
		rule   string
		left   int
	}{
		{"least left", []ratelimit.Limit{second, minute}, 1, "second", 2},
		{"least left, other order", []ratelimit.Limit{minute, second}, 1, "second", 2},
		{"first of equals", []ratelimit.Limit{named("a", second), named("b", second)}, 1, "a", 2},
		{"refusing", []ratelimit.Limit{minute, second}, 3, "second", 0},
		{"bucket", []ratelimit.Limit{minute, even}, 2, "even", 2},
		{"bucket refusing", []ratelimit.Limit{minute, even}, 4, "even", 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := single(t, c.limits...)
				require.True(t, s.Take(c.taken).Allowed)
				d := s.Peek()
				require.Equal(t, c.rule, d.Rule)
				require.Equal(t, c.left, d.Remaining)
				require.Equal(t, c.left > 0, d.Allowed)
				require.Equal(t, c.rule, c.limits[d.Index].Name)
			})
		})
	}
}

// A key without a place cannot queue either: it is served at once or refused.
func TestOutsideKeysDoNotQueue(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[int]{
		Limits: []ratelimit.Limit{ratelimit.Per(1, time.Hour)}, MaxKeys: 1, MaxWait: 2 * time.Hour,
	})
	require.True(t, l.Allow(1))
	require.NoError(t, l.Wait(t.Context(), 2), "the shared budget has one")
	err := l.Wait(t.Context(), 3)
	var limited *ratelimit.LimitedError
	require.ErrorAs(t, err, &limited)
	require.Equal(t, ratelimit.Exceeded, limited.Reason)
	require.True(t, limited.Decision.Overflow)
	require.ErrorIs(t, l.Do(t.Context(), 4, nothing), ratelimit.ErrLimited)
	_, err = l.Reserve(5, 1)
	require.ErrorIs(t, err, ratelimit.ErrLimited)
	require.Zero(t, l.Stats().Waiting)
}

// The plan that a limiter gives out is the user's own, and says what it holds.
func TestPlansSayTheirLimits(t *testing.T) {
	p := ratelimit.MustNewPlan(
		ratelimit.Limit{Name: "a", N: 5},
		ratelimit.Limit{Name: "b", N: 7, Window: time.Second, Algorithm: ratelimit.GCRA},
		ratelimit.Limit{Name: "c", N: 1000, Window: time.Hour, Exact: true, Shadow: true},
	)
	require.Equal(t, []ratelimit.Limit{
		{Name: "a", N: 5, Window: time.Minute},
		{Name: "b", N: 7, Window: time.Second, Algorithm: ratelimit.GCRA, Burst: 7},
		{Name: "c", N: 1000, Window: time.Hour, Exact: true, Shadow: true},
	}, p.Limits())
	p.Limits()[0].N = 9
	require.Equal(t, 5, p.Limits()[0].N, "the caller has a copy")
	require.Empty(t, ratelimit.Unlimited().Limits())
}

// An exact ring above 256 events does not count in steps.
func TestExactIsExactAboveTheRingOfSteps(t *testing.T) {
	const limit = 1000
	stepped := limiter(t, ratelimit.Per(limit, 255*time.Second))
	exact := limiter(t, ratelimit.Limit{N: limit, Window: 255 * time.Second, Exact: true})
	start := time.Now()
	for i := range limit {
		at := start.Add(time.Duration(i) * time.Millisecond)
		require.True(t, stepped.AllowAt("a", at))
		require.True(t, exact.AllowAt("a", at))
	}
	last := start.Add(limit * time.Millisecond)
	require.InDelta(t, 254.0, exact.TakeAt("a", 1, last).RetryAfter.Seconds(), 1e-6)
	d := stepped.TakeAt("a", 1, last).RetryAfter.Seconds()
	require.GreaterOrEqual(t, d, 254.0)
	require.LessOrEqual(t, d, 255.0)
}
