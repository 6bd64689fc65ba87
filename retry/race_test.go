package retry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

func TestCancellationStormLosesNoCall(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1000, Ratio: 1})
	r := retry.MustNew(retry.Config{MaxAttempts: 5, BaseDelay: 20 * time.Microsecond, MaxDelay: 100 * time.Microsecond,
		AttemptTimeout: time.Second, Budget: budget})
	var ok, gaveUp, cancelled, other atomic.Uint64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				stop := time.AfterFunc(time.Duration(rand.IntN(200))*time.Microsecond, cancel)
				err := r.Do(ctx, func(context.Context) error {
					if rand.IntN(3) == 0 {
						return nil
					}
					return errTry
				})
				switch {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, context.Canceled):
					cancelled.Add(1)
				case errors.Is(err, retry.ErrExhausted), errors.Is(err, retry.ErrBudget):
					gaveUp.Add(1)
				default:
					other.Add(1)
				}
				stop.Stop()
				cancel()
			}
		})
	}
	wg.Wait()
	require.Zero(t, other.Load())
	require.Equal(t, uint64(1600), ok.Load()+gaveUp.Load()+cancelled.Load())
	require.LessOrEqual(t, budget.Tokens(), 1000.0)
}
