package retry_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

// shared is used in several bubbles, which must not meet in it.
var shared = retry.MustNew(retry.Config{Budget: retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1000})})

func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			fn, calls := failing(2)
			require.NoError(t, shared.Do(t.Context(), fn))
			require.Equal(t, 3, *calls)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			time.AfterFunc(time.Microsecond, cancel)
			_ = shared.Do(ctx, func(context.Context) error { return errTry })
		})
	}
}

// gaps runs r on a function that always fails and returns the times between
// its attempts.
func gaps(t *testing.T, r *retry.Retrier) (all []time.Duration) {
	t.Helper()
	last := time.Now()
	first := true
	_ = r.Do(t.Context(), func(context.Context) error {
		if !first {
			all = append(all, time.Since(last))
		}
		first, last = false, time.Now()
		return errTry
	})
	return all
}

func TestBackoffsWaitAsTheirNamesSay(t *testing.T) {
	const s = time.Second
	for name, row := range map[string]struct {
		backoff retry.Backoff
		want    []time.Duration
	}{
		"default":     {nil, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}},
		"exponential": {retry.Exponential, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s}},
		"fibonacci":   {retry.Fibonacci, []time.Duration{s, 2 * s, 3 * s, 5 * s, 8 * s, 10 * s}},
		"constant":    {retry.Constant, []time.Duration{s, s, s, s, s, s}},
		"custom": {func(retry int, base time.Duration) time.Duration { return base * time.Duration(retry) },
			[]time.Duration{s, 2 * s, 3 * s, 4 * s, 5 * s, 6 * s}},
		"negative": {func(int, time.Duration) time.Duration { return -1 }, make([]time.Duration, 6)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := retry.MustNew(retry.Config{MaxAttempts: 7, BaseDelay: s, MaxDelay: 10 * s,
					Backoff: row.backoff, Jitter: retry.NoJitter})
				require.Equal(t, row.want, gaps(t, r))
				require.Equal(t, row.want, gaps(t, r), "a second call begins anew")
			})
		})
	}
}

func TestJitterSpreadsWithinItsBoundsAndAtTheCap(t *testing.T) {
	const base, limit = time.Second, 8 * time.Second
	for name, row := range map[string]struct {
		jitter retry.Jitter
		low    time.Duration // of a delay at the cap
		mean   time.Duration
	}{
		"full":         {retry.FullJitter, 0, limit / 2},
		"equal":        {retry.EqualJitter, limit / 2, limit * 3 / 4},
		"decorrelated": {retry.DecorrelatedJitter, base, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := retry.MustNew(retry.Config{MaxAttempts: 2000, BaseDelay: base, MaxDelay: limit, Jitter: row.jitter})
				all := gaps(t, r)[4:] // from there on the cap is reached
				distinct := make(map[time.Duration]bool)
				var sum time.Duration
				for _, d := range all {
					require.GreaterOrEqual(t, d, row.low)
					require.LessOrEqual(t, d, limit)
					distinct[d] = true
					sum += d
				}
				require.Greater(t, len(distinct), len(all)*9/10, "jitter must survive the cap")
				if row.mean > 0 {
					require.InEpsilon(t, row.mean, sum/time.Duration(len(all)), 0.1)
				}
			})
		})
	}
}

func TestFirstDelaysAreWithinBaseDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decorrelated := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Minute, Jitter: retry.DecorrelatedJitter})
		for range 200 {
			all := gaps(t, decorrelated)
			require.GreaterOrEqual(t, all[0], time.Second)
			require.LessOrEqual(t, all[0], 3*time.Second)
			require.GreaterOrEqual(t, all[1], time.Second)
			require.LessOrEqual(t, all[1], 3*all[0])
		}
		r := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: time.Second, MaxDelay: time.Minute})
		for range 200 {
			all := gaps(t, r)
			require.LessOrEqual(t, all[0], time.Second)
			require.LessOrEqual(t, all[1], 2*time.Second)
		}
	})
}

func TestBackoffsSaturate(t *testing.T) {
	for name, b := range map[string]retry.Backoff{"exponential": retry.Exponential, "fibonacci": retry.Fibonacci} {
		for _, base := range []time.Duration{1, time.Second, math.MaxInt64 / 2, math.MaxInt64} {
			prev := time.Duration(0)
			for n := 1; n < 200; n++ {
				d := b(n, base)
				require.GreaterOrEqual(t, d, prev, "%s(%d, %v)", name, n, base)
				prev = d
			}
			require.Equal(t, time.Duration(math.MaxInt64), b(math.MaxInt, base))
		}
		require.Zero(t, b(5, 0))
		require.Zero(t, b(5, -time.Second))
	}
}

func TestLongestDelaysDoNotOverflow(t *testing.T) {
	for _, jitter := range []retry.Jitter{retry.FullJitter, retry.EqualJitter, retry.DecorrelatedJitter, retry.NoJitter} {
		for _, base := range []time.Duration{math.MaxInt64 / 2, math.MaxInt64} {
			for range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				low := time.Duration(0)
				if jitter != retry.FullJitter {
					low = base / 2
				}
				r := retry.MustNew(retry.Config{BaseDelay: base, MaxDelay: math.MaxInt64, Jitter: jitter, MaxRetryAfter: math.MaxInt64,
					Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
						require.GreaterOrEqual(t, e.Delay, low)
						cancel()
					}}})
				fn, _ := failing(math.MaxInt)
				require.ErrorIs(t, r.Do(ctx, fn), context.Canceled)
				err := r.Do(t.Context(), func(context.Context) error { return retry.Permanent(refusal(math.MaxInt64)) })
				require.ErrorIs(t, err, refusal(math.MaxInt64))
			}
		}
	}
}

func TestDelayThatCannotFitTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r := retry.MustNew(retry.Config{Name: "db", BaseDelay: 10 * time.Second, Jitter: retry.NoJitter})
		begin := time.Now()
		fn, calls := failing(1)
		err := r.Do(ctx, fn)
		require.Zero(t, time.Since(begin), "it returns at once")
		require.NoError(t, ctx.Err())
		require.Equal(t, 1, *calls)
		require.ErrorIs(t, err, errTry)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "retry: db: context deadline exceeded after 1 attempt, last error: try again")
	})
}

func TestDelayThatEndsWithTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := retry.MustNew(retry.Config{BaseDelay: time.Second, Jitter: retry.NoJitter})
		begin := time.Now()
		fn, _ := failing(1)
		require.ErrorIs(t, r.Do(ctx, fn), context.DeadlineExceeded)
		require.Zero(t, time.Since(begin))
	})
}

func TestDelayThatFitsTheDeadlineIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+1)
		defer cancel()
		r := retry.MustNew(retry.Config{BaseDelay: time.Second, Jitter: retry.NoJitter})
		fn, _ := failing(1)
		require.NoError(t, r.Do(ctx, fn))
	})
}

func TestMaxElapsedBoundsTheStartOfTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := retry.MustNew(retry.Config{MaxAttempts: retry.Unlimited, MaxElapsed: 10 * time.Second,
			BaseDelay: 3 * time.Second, Backoff: retry.Constant, Jitter: retry.NoJitter})
		begin := time.Now()
		fn, calls := failing(math.MaxInt)
		err := r.Do(t.Context(), fn)
		require.Equal(t, 9*time.Second, time.Since(begin))
		require.Equal(t, 4, *calls)
		require.ErrorIs(t, err, retry.ErrElapsed)
		require.ErrorIs(t, err, errTry)
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 9*time.Second, e.Waited)
	})
}

func TestMaxElapsedHoldsWithoutDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := retry.MustNew(retry.Config{MaxAttempts: retry.Unlimited, NoDelay: true, MaxElapsed: 10 * time.Second})
		calls := 0
		err := r.Do(t.Context(), func(context.Context) error { calls++; time.Sleep(4 * time.Second); return errTry })
		require.ErrorIs(t, err, retry.ErrElapsed)
		require.Equal(t, 3, calls)
	})
}

func TestAttemptTimeoutEndsOneAttemptAndIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := retry.MustNew(retry.Config{AttemptTimeout: time.Second, BaseDelay: 1})
		calls := 0
		err := r.Do(t.Context(), func(ctx context.Context) error {
			if calls++; calls < 3 {
				<-ctx.Done()
				require.Equal(t, retry.ErrAttemptTimeout, context.Cause(ctx))
				return ctx.Err()
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 3, calls)
	})
}

func TestContextErrorThatIsNotTheCallersIsRetried(t *testing.T) {
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		r := retry.MustNew(retry.Config{NoDelay: true})
		calls := 0
		require.NoError(t, r.Do(t.Context(), func(context.Context) error {
			if calls++; calls == 1 {
				return err
			}
			return nil
		}))
	}
}

func TestCallersContextErrorIsNeverRetried(t *testing.T) {
	asked := false
	ctx, cancel := context.WithCancel(t.Context())
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	r := retry.MustNew(retry.Config{NoDelay: true, Budget: budget, If: func(error) bool { asked = true; return true }})
	calls := 0
	err := r.Do(ctx, func(context.Context) error {
		if calls++; calls == 2 {
			cancel()
			return context.Canceled
		}
		return errTry
	})
	require.Equal(t, 2, calls)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errTry, "the real error before is not lost")
	require.True(t, asked)
	require.Equal(t, 9.0, budget.Tokens(), "a cancelled attempt is nobody's failure")
}

func TestRetryAfterIsALowerBoundSpreadByTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: time.Second, MaxRetryAfter: 10*time.Second + 500*time.Millisecond})
		distinct := make(map[time.Duration]bool)
		for range 100 {
			var delay time.Duration
			last := time.Now()
			_ = r.Do(t.Context(), func(context.Context) error {
				delay, last = time.Since(last), time.Now()
				return errors.Join(errTry, refusal(10*time.Second))
			})
			require.GreaterOrEqual(t, delay, 10*time.Second, "never before the time asked for")
			require.LessOrEqual(t, delay, 10*time.Second+500*time.Millisecond, "never above the cap")
			distinct[delay] = true
		}
		require.Greater(t, len(distinct), 20)
	})
}

func TestRetryAfterIsObeyedWithNoDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := retry.MustNew(retry.Config{NoDelay: true})
		begin, calls := time.Now(), 0
		require.NoError(t, r.Do(t.Context(), func(context.Context) error {
			if calls++; calls < 3 {
				return refusal(7 * time.Second)
			}
			return nil
		}))
		require.Equal(t, 14*time.Second, time.Since(begin))
	})
}

func TestRetryAfterThatCannotFitTheDeadlineGivesUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err := retry.MustNew(retry.Config{}).Do(ctx, func(context.Context) error { return refusal(5 * time.Second) })
		require.Zero(t, time.Since(begin))
		require.ErrorIs(t, err, refusal(5*time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
