package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bedplate/bedplate/retry"
)

func BenchmarkDo(b *testing.B) {
	for _, row := range []struct {
		name string
		cfg  retry.Config
	}{
		{"plain", retry.Config{NoDelay: true}},
		{"budget", retry.Config{NoDelay: true, Budget: retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1000, Ratio: 10})}},
		{"marked", retry.Config{BaseDelay: 1, Backoff: func(int, time.Duration) time.Duration { return 0 }}},
	} {
		for _, attempts := range []int{1, 3} {
			b.Run(fmt.Sprintf("config=%s/attempts=%d", row.name, attempts), func(b *testing.B) {
				r, ctx, n := retry.MustNew(row.cfg), context.Background(), 0
				fn := func(context.Context) error {
					if n++; n%attempts != 0 {
						return errTry
					}
					return nil
				}
				b.ReportAllocs()
				for b.Loop() {
					_ = r.Do(ctx, fn)
				}
			})
		}
	}
}

// The kinds of errors differ in what it takes to know that they are retryable.
func BenchmarkDoExhausted(b *testing.B) {
	for name, err := range map[string]error{
		"plain": errTry, "wrapped": fmt.Errorf("x: %w", errTry), "joined": errors.Join(errTry, errFatal),
	} {
		b.Run("error="+name, func(b *testing.B) {
			r, ctx := retry.MustNew(retry.Config{MaxAttempts: 3, NoDelay: true}), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Do(ctx, func(context.Context) error { return err })
			}
		})
	}
}

func BenchmarkAttempts(b *testing.B) {
	r, ctx := retry.MustNew(retry.Config{NoDelay: true}), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		for a := range r.Attempts(ctx, nil) {
			if a.Number() == 3 {
				a.Done(nil)
			} else {
				a.Done(errTry)
			}
		}
	}
}

func BenchmarkBudgetDeposit(b *testing.B) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Deposit()
		}
	})
}
