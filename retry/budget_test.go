package retry_test

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

func TestNewBudgetNamesTheFieldThatIsOutOfBounds(t *testing.T) {
	for want, cfg := range map[string]retry.BudgetConfig{
		"retry: BudgetConfig.MaxTokens is -1, want 0 to 1000000":      {MaxTokens: -1},
		"retry: BudgetConfig.MaxTokens is 1000001, want 0 to 1000000": {MaxTokens: 1_000_001},
		"retry: BudgetConfig.Ratio is -1, want 0.001 to MaxTokens":    {Ratio: -1},
		"retry: BudgetConfig.Ratio is 11, want 0.001 to MaxTokens":    {Ratio: 11},
		"retry: BudgetConfig.Ratio is NaN, want 0.001 to MaxTokens":   {Ratio: math.NaN()},
	} {
		_, err := retry.NewBudget(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { retry.MustNewBudget(cfg) })
	}
}

func TestBudgetAllowsRetriesAboveHalfABucket(t *testing.T) {
	b := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 10, Ratio: 0.5})
	for i := range 4 {
		require.True(t, b.Withdraw(), "failure %d", i)
	}
	require.False(t, b.Withdraw())
	require.Equal(t, 5.0, b.Tokens())
	b.Deposit()
	require.Equal(t, 5.5, b.Tokens())
	for range 20 {
		require.False(t, b.Withdraw())
	}
	require.Zero(t, b.Tokens(), "the bucket does not go below empty")
	for range 100 {
		b.Deposit()
	}
	require.Equal(t, 10.0, b.Tokens(), "nor above full")
}

func TestDepositDoesNotOverfillTheBucket(t *testing.T) {
	b := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 10, Ratio: 3})
	b.Withdraw()
	b.Deposit()
	require.Equal(t, 10.0, b.Tokens())
}

func TestBudgetIsSharedAndNeverFailsAFirstAttempt(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	a := retry.MustNew(retry.Config{NoDelay: true, MaxAttempts: 100, Budget: budget})
	b := retry.MustNew(retry.Config{NoDelay: true, MaxAttempts: 100, Budget: budget})
	fn, calls := failing(math.MaxInt)
	err := a.Do(t.Context(), fn)
	require.Equal(t, 5, *calls)
	require.ErrorIs(t, err, retry.ErrBudget)
	require.ErrorIs(t, err, errTry, "the attempt's own error is not lost")
	require.Equal(t, retry.Stats{GaveUp: 1, OverBudget: 1}, a.Stats())

	for range 10 {
		fn, calls := failing(math.MaxInt)
		require.ErrorIs(t, b.Do(t.Context(), fn), retry.ErrBudget)
		require.Equal(t, 1, *calls)
	}
	fn, _ = failing(0)
	require.NoError(t, b.Do(t.Context(), fn), "an empty bucket does not hold back a call")
	require.InDelta(t, 0.1, budget.Tokens(), 0.0001)
}

func TestErrorsThatAreNotRetriedTakeNothingFromTheBudget(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	r := retry.MustNew(retry.Config{Budget: budget})
	for range 10 {
		_ = r.Do(t.Context(), func(context.Context) error { return retry.Permanent(errFatal) })
	}
	require.Equal(t, 10.0, budget.Tokens())
}

func TestBudgetLosesNoTokenToConcurrency(t *testing.T) {
	b := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1_000_000, Ratio: 1})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10_000 {
				b.Withdraw()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 960_000.0, b.Tokens())
	for range 4 {
		wg.Go(func() {
			for range 5_000 {
				b.Deposit()
			}
		})
		wg.Go(func() {
			for range 5_000 {
				b.Withdraw()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 960_000.0, b.Tokens())
}
