package retry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

var (
	errTry   = errors.New("try again")
	errFatal = errors.New("fatal")
)

// failing returns a function that fails the first n times with errTry, and the
// counter of its calls.
func failing(n int) (fn func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error {
		*calls++
		if *calls <= n {
			return errTry
		}
		return nil
	}, calls
}

// refusal is an error that says when to come back, as those of other packages.
type refusal time.Duration

func (r refusal) Error() string             { return "refused for " + time.Duration(r).String() }
func (r refusal) RetryAfter() time.Duration { return time.Duration(r) }

func TestRetrierDoCallsOnceWhenTheFirstAttemptSucceeds(t *testing.T) {
	r := retry.MustNew(retry.Config{})
	fn, calls := failing(0)
	require.NoError(t, r.Do(t.Context(), fn))
	require.Equal(t, 1, *calls)
	require.Zero(t, r.Stats())
}

func TestRetrierDoRetriesUntilSuccess(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true})
	fn, calls := failing(3)
	require.NoError(t, r.Do(t.Context(), fn))
	require.Equal(t, 4, *calls)
}

func TestMaxAttemptsCountsTheFirstAttempt(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 50} {
		r := retry.MustNew(retry.Config{MaxAttempts: n, NoDelay: true})
		fn, calls := failing(math.MaxInt)
		err := r.Do(t.Context(), fn)
		require.Equal(t, n, *calls)
		require.ErrorIs(t, err, retry.ErrExhausted)
		require.ErrorIs(t, err, errTry)
		var e *retry.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, n, e.Attempts)
	}
}

func TestUnlimitedAttemptsGoOnUntilSuccess(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: retry.Unlimited, NoDelay: true})
	fn, calls := failing(10_000)
	require.NoError(t, r.Do(t.Context(), fn))
	require.Equal(t, 10_001, *calls)
}

func TestNewNamesTheFieldThatIsOutOfBounds(t *testing.T) {
	for want, cfg := range map[string]retry.Config{
		"retry: Config.MaxAttempts is -1, want ≥ 0":                                                  {MaxAttempts: -1},
		"retry: Config.BaseDelay is -1s, want ≥ 0":                                                   {BaseDelay: -time.Second},
		"retry: Config.MaxDelay is -1s, want ≥ 0":                                                    {MaxDelay: -time.Second},
		"retry: Config.MaxElapsed is -1s, want ≥ 0":                                                  {MaxElapsed: -time.Second},
		"retry: Config.AttemptTimeout is -1s, want ≥ 0":                                              {AttemptTimeout: -time.Second},
		"retry: Config.MaxRetryAfter is -1s, want ≥ 0":                                               {MaxRetryAfter: -time.Second},
		"retry: Config.Jitter is 9, want one of the constants":                                       {Jitter: 9},
		"retry: Config.Jitter is -1, want one of the constants":                                      {Jitter: -1},
		"retry: Config.MaxDelay is 1s, want ≥ BaseDelay, which is 2s":                                {BaseDelay: 2 * time.Second, MaxDelay: time.Second},
		"retry: Config.MaxDelay is 1ms, want ≥ BaseDelay, which is 100ms by default":                 {MaxDelay: time.Millisecond},
		"retry: Config.NoDelay is true, want Backoff, Jitter, BaseDelay and MaxDelay zero with it":   {NoDelay: true, BaseDelay: time.Second},
		"retry: Config.Backoff is set, want nil with DecorrelatedJitter, which replaces the Backoff": {Backoff: retry.Constant, Jitter: retry.DecorrelatedJitter},
	} {
		_, err := retry.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { retry.MustNew(cfg) })
	}
	r, err := retry.New(retry.Config{BaseDelay: time.Hour})
	require.NoError(t, err, "a BaseDelay above the default MaxDelay raises it")
	require.NotNil(t, r)
}

func TestNilFunctionsPanicAtOnce(t *testing.T) {
	r := retry.MustNew(retry.Config{})
	const want = "retry: fn is nil"
	require.PanicsWithValue(t, want, func() { _ = r.Do(t.Context(), nil) })
	require.PanicsWithValue(t, want, func() { _, _ = retry.DoValue[int](t.Context(), r, nil) })
	require.PanicsWithValue(t, want, func() { retry.Wrap[int](r, nil) })
	require.PanicsWithValue(t, want, func() { _, _ = retry.DoUntil(t.Context(), r, nil, func(int) bool { return true }) })
	require.PanicsWithValue(t, "retry: accept is nil", func() {
		_, _ = retry.DoUntil(t.Context(), r, func(context.Context) (int, error) { return 0, nil }, nil)
	})
}

func TestDoValueReturnsTheValueOfTheLastAttempt(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, NoDelay: true})
	n := 0
	v, err := retry.DoValue(t.Context(), r, func(context.Context) (int, error) {
		n++
		if n == 2 {
			return n, nil
		}
		return n, errTry
	})
	require.NoError(t, err)
	require.Equal(t, 2, v)

	n = 10
	v, err = retry.DoValue(t.Context(), r, func(context.Context) (int, error) { n++; return n, errTry })
	require.ErrorIs(t, err, retry.ErrExhausted)
	require.Equal(t, 13, v)
}

func TestWrapKeepsTheSignature(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true})
	n := 0
	get := retry.Wrap(r, retry.Wrap(r, func(context.Context) (string, error) {
		if n++; n < 3 {
			return "", errTry
		}
		return "value", nil
	}))
	v, err := get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "value", v)
}

func TestDoUntilRetriesUntilTheResultIsAccepted(t *testing.T) {
	// If must not be asked about a result: accept has already answered.
	r := retry.MustNew(retry.Config{NoDelay: true, If: func(error) bool { return false }})
	n := 0
	count := func(context.Context) (int, error) { n++; return n, nil }
	v, err := retry.DoUntil(t.Context(), r, count, func(v int) bool { return v == 3 })
	require.NoError(t, err)
	require.Equal(t, 3, v)

	v, err = retry.DoUntil(t.Context(), r, count, func(int) bool { return false })
	require.ErrorIs(t, err, retry.ErrUnaccepted)
	require.ErrorIs(t, err, retry.ErrExhausted)
	require.Equal(t, 7, v, "the last value comes with the error")

	n = 0
	_, err = retry.DoUntil(t.Context(), r, func(context.Context) (int, error) { n++; return 0, errFatal },
		func(int) bool { t.Error("accept called for a failed attempt"); return true })
	require.Equal(t, errFatal, err)
	require.Equal(t, 1, n)
}

func TestPermanentErrorIsNotRetriedAndKeepsItsWrapping(t *testing.T) {
	marked := retry.Permanent(errFatal)
	wrapped := fmt.Errorf("row 7: %w", marked)
	joined := errors.Join(errTry, marked)
	for _, permanent := range []error{marked, wrapped, joined} {
		for _, at := range []int{1, 2, 4} { // first, middle and last attempt
			r := retry.MustNew(retry.Config{MaxAttempts: 4, NoDelay: true})
			calls := 0
			err := r.Do(t.Context(), func(context.Context) error {
				if calls++; calls == at {
					return permanent
				}
				return errTry
			})
			require.Equal(t, at, calls)
			require.True(t, err == permanent, "attempt %d: the error must come back as fn returned it", at)
			require.ErrorIs(t, err, errFatal)
		}
	}
	require.EqualError(t, wrapped, "row 7: fatal")
	require.NoError(t, retry.Permanent(nil))
}

func TestPermanentHoldsForOuterRetriers(t *testing.T) {
	outer, inner := retry.MustNew(retry.Config{NoDelay: true}), retry.MustNew(retry.Config{NoDelay: true})
	calls := 0
	err := outer.Do(t.Context(), func(ctx context.Context) error {
		return inner.Do(ctx, func(context.Context) error { calls++; return retry.Permanent(errFatal) })
	})
	require.ErrorIs(t, err, errFatal)
	require.Equal(t, 1, calls)
}

func TestIfDecidesWhichErrorsAreRetried(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true, If: func(err error) bool { return errors.Is(err, errTry) }})
	calls := 0
	err := r.Do(t.Context(), func(context.Context) error {
		if calls++; calls < 3 {
			return fmt.Errorf("attempt %d: %w", calls, errTry)
		}
		return errFatal
	})
	require.Equal(t, errFatal, err, "the error comes back as fn returned it")
	require.Equal(t, 3, calls)
}

func TestErrorHoldsTheErrorsOfAllAttempts(t *testing.T) {
	r := retry.MustNew(retry.Config{Name: "billing", MaxAttempts: 3, NoDelay: true})
	all := []error{errors.New("first"), fmt.Errorf("second: %w", errFatal), errors.New("third")}
	n := 0
	err := r.Do(t.Context(), func(context.Context) error { n++; return all[n-1] })
	require.EqualError(t, err, "retry: billing: attempts exhausted after 3 attempts, last error: third")
	var e *retry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "billing", e.Name)
	require.Equal(t, all, e.Errors())
	require.Equal(t, all[2], e.Last())
	require.Equal(t, []error{all[2], retry.ErrExhausted, all[1], all[0]}, e.Unwrap())
	for _, want := range append(all, errFatal) {
		require.ErrorIs(t, err, want)
	}
	e.Errors()[0] = nil
	require.Equal(t, all, e.Errors(), "Errors returns a copy")
}

func TestErrorKeepsTheLatestEightErrors(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 20, NoDelay: true})
	n := 0
	err := r.Do(t.Context(), func(context.Context) error { n++; return fmt.Errorf("attempt %d", n) })
	var e *retry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 20, e.Attempts)
	require.Len(t, e.Errors(), 8)
	for i, err := range e.Errors() {
		require.EqualError(t, err, fmt.Sprintf("attempt %d", 13+i))
	}
}

func TestErrorTextWithoutNameAndWithOneAttempt(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 1})
	err := r.Do(t.Context(), func(context.Context) error { return errTry })
	require.EqualError(t, err, "retry: attempts exhausted after 1 attempt, last error: try again")
}

func TestErrorMadeByHandCanBeUsed(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &retry.Error{Reason: retry.ErrBudget})
	require.ErrorIs(t, err, retry.ErrBudget)
	require.EqualError(t, err, "wrapped: retry: budget spent after 0 attempts, last error: <nil>")
	require.Empty(t, new(retry.Error).Errors())
	require.NotErrorIs(t, new(retry.Error), retry.ErrBudget)
}

func TestConfigMayBeChangedAfterNew(t *testing.T) {
	cfg := retry.Config{MaxAttempts: 3, NoDelay: true}
	r := retry.MustNew(cfg)
	cfg.MaxAttempts = 1
	fn, calls := failing(2)
	require.NoError(t, r.Do(t.Context(), fn))
	require.Equal(t, 3, *calls)
}

func TestRecoveredPanicsCostNoBudget(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	r := retry.MustNew(retry.Config{NoDelay: true, Budget: budget})
	for range 20 {
		require.Panics(t, func() { _ = r.Do(t.Context(), func(context.Context) error { panic("handler") }) })
	}
	require.Equal(t, 10.0, budget.Tokens())
	fn, _ := failing(1)
	require.NoError(t, r.Do(t.Context(), fn), "retries go on")
}

func TestEventsOfConcurrentCallsAreTheirOwn(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string][]int)
	r := retry.MustNew(retry.Config{MaxAttempts: 4, NoDelay: true, Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
		mu.Lock()
		defer mu.Unlock()
		seen[e.Err.Error()] = append(seen[e.Err.Error()], e.Attempt)
	}}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_ = r.Do(context.Background(), func(context.Context) error { return fmt.Errorf("call %d", i) })
		})
	}
	wg.Wait()
	require.Len(t, seen, 8)
	for _, attempts := range seen {
		require.Equal(t, []int{1, 2, 3}, attempts)
	}
}

func TestZeroDelayArmsNoTimer(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 10, BaseDelay: 1, Backoff: func(int, time.Duration) time.Duration { return 0 }})
	n := 0
	allocs := testing.AllocsPerRun(100, func() {
		_ = r.Do(context.Background(), func(context.Context) error {
			if n++; n%6 != 0 {
				return errTry
			}
			return nil
		})
	})
	require.Equal(t, 5.0, allocs, "a context for each of five retries, and no timer")
}

func TestDoneContextStopsRetriesWithoutDelay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := retry.MustNew(retry.Config{MaxAttempts: retry.Unlimited, NoDelay: true})
	calls := 0
	err := r.Do(ctx, func(context.Context) error {
		if calls++; calls == 3 {
			cancel()
		}
		return errTry
	})
	require.Equal(t, 3, calls)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errTry)
}

func TestNegativeRetryAfterMeansDoNotRetry(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true})
	calls := 0
	want := fmt.Errorf("wrapped: %w", refusal(-1))
	err := r.Do(t.Context(), func(context.Context) error { calls++; return want })
	require.True(t, err == want)
	require.Equal(t, 1, calls)
}

func TestRetryAfterAboveTheLimitGivesUpAtOnce(t *testing.T) {
	r := retry.MustNew(retry.Config{})
	calls := 0
	err := r.Do(t.Context(), func(context.Context) error { calls++; return refusal(484_289 * time.Hour) })
	require.Equal(t, 1, calls)
	require.ErrorIs(t, err, retry.ErrRetryAfter)
	require.ErrorIs(t, err, refusal(484_289*time.Hour))
}

func TestOnRetrySeesEachRetryInOrder(t *testing.T) {
	var events []retry.RetryEvent
	r := retry.MustNew(retry.Config{Name: "x", MaxAttempts: 3, NoDelay: true,
		Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) { events = append(events, e) }}})
	fn, _ := failing(math.MaxInt)
	require.Error(t, r.Do(t.Context(), fn))
	require.Equal(t, []retry.RetryEvent{{Name: "x", Attempt: 1, Err: errTry}, {Name: "x", Attempt: 2, Err: errTry}}, events)
}

func TestCancellationInOnRetryStopsTheNextAttempt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := retry.MustNew(retry.Config{NoDelay: true, Hooks: retry.Hooks{OnRetry: func(retry.RetryEvent) { cancel() }}})
	fn, calls := failing(math.MaxInt)
	err := r.Do(ctx, fn)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errTry)
	require.Equal(t, 1, *calls)
}

func TestPanickingHookLeavesTheRetrierUsable(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true, Hooks: retry.Hooks{OnRetry: func(retry.RetryEvent) { panic("hook") }}})
	fn, calls := failing(1)
	require.PanicsWithValue(t, "hook", func() { _ = r.Do(t.Context(), fn) })
	require.NoError(t, r.Do(t.Context(), fn))
	require.Equal(t, 2, *calls)
}

func TestOneRetrierServesManyCallsWithoutSharingTheirState(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 5, NoDelay: true})
	var wg sync.WaitGroup
	var bad atomic.Int32
	for range 8 {
		wg.Go(func() {
			for range 500 {
				fn, calls := failing(4)
				if err := r.Do(context.Background(), fn); err != nil || *calls != 5 {
					bad.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, bad.Load())
}

func TestStatsCountWhatRetriesDid(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: 1, Jitter: retry.NoJitter})
	fn, _ := failing(1)
	require.NoError(t, r.Do(t.Context(), fn))
	fn, _ = failing(math.MaxInt)
	require.Error(t, r.Do(t.Context(), fn))
	require.Equal(t, retry.Stats{Retries: 3, Recovered: 1, GaveUp: 1}, r.Stats())
	quick := retry.MustNew(retry.Config{NoDelay: true})
	fn, _ = failing(1)
	require.NoError(t, quick.Do(t.Context(), fn))
	require.Zero(t, quick.Stats(), "without delay, counting would cost more than the retry")
	data, err := json.Marshal(r.Stats())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"","retries":3,"recovered":1,"gave_up":1,"over_budget":0,"suppressed":0}`, string(data))
}

func TestRetriesAllocateNothingWithoutDelay(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true})
	budgeted := retry.MustNew(retry.Config{NoDelay: true, Budget: retry.MustNewBudget(retry.BudgetConfig{Ratio: 10})})
	ctx := context.Background()
	n := 0
	third := func(context.Context) error {
		if n++; n%3 != 0 {
			return errTry
		}
		return nil
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = r.Do(ctx, third) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = budgeted.Do(ctx, third) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = retry.DoValue(ctx, r, func(ctx context.Context) (int, error) { return 1, third(ctx) })
	}))
}

func TestFirstSuccessAllocatesNothing(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxElapsed: time.Hour, Budget: retry.MustNewBudget(retry.BudgetConfig{})})
	ctx := context.Background()
	ok := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = r.Do(ctx, ok) }))
	wrapped := retry.Wrap(r, func(context.Context) (int, error) { return 1, nil })
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = wrapped(ctx) }))
}
