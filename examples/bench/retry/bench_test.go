// Package retrybench compares package retry with its peers on the same work: a
// call that succeeds at once, and one that succeeds in its third attempt with
// no delay in between. Each peer is used as its own documentation says; what it
// allows to be shared between calls is made once and shared.
package retrybench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/Rican7/retry/strategy"
	"github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/stretchr/testify/require"

	rican7 "github.com/Rican7/retry"
	codegroove "github.com/codeGROOVE-dev/retry"
	sethvargo "github.com/sethvargo/go-retry"

	bedplate "github.com/bedplate/bedplate/retry"
)

// maxAttempts is the limit of every row.
const maxAttempts = 4

var (
	errTry = errors.New("try again")
	bg     = context.Background()
)

// work fails until the number of its attempts is a multiple of succeedAt.
type work struct{ succeedAt, attempts int }

//go:noinline
func (w *work) try() error {
	w.attempts++
	if w.attempts%w.succeedAt != 0 {
		return errTry
	}
	return nil
}

func (w *work) value() (int, error) { return w.attempts, w.try() }

// row is one way to call work with retries. Each goroutine has its own work
// and makes its call of what new has made, which they share.
type row struct {
	peer string
	new  func() func(*work) (call func() error)
}

var rows = []row{
	{"bedplate", func() func(*work) func() error {
		r := bedplate.MustNew(bedplate.Config{MaxAttempts: maxAttempts, NoDelay: true})
		return func(w *work) func() error {
			fn := func(context.Context) error { return w.try() }
			return func() error { return r.Do(bg, fn) }
		}
	}},
	{"eapache", func() func(*work) func() error {
		r := retrier.New(retrier.ConstantBackoff(maxAttempts-1, 0), nil)
		return func(w *work) func() error {
			fn := func(context.Context) error { return w.try() }
			return func() error { return r.RunCtx(bg, fn) }
		}
	}},
	{"rican7", func() func(*work) func() error {
		limit := strategy.Limit(maxAttempts)
		return func(w *work) func() error {
			fn := func(uint) error { return w.try() }
			return func() error { return rican7.Retry(fn, limit) }
		}
	}},
	{"avast", func() func(*work) func() error {
		r := retry.New(retry.Attempts(maxAttempts), retry.Delay(0), retry.DelayType(retry.FixedDelay), retry.LastErrorOnly(true))
		return func(w *work) func() error {
			fn := w.try
			return func() error { return r.Do(fn) }
		}
	}},
	{"cenkalti", func() func(*work) func() error {
		return func(w *work) func() error {
			fn := func() (struct{}, error) { return struct{}{}, w.try() }
			return func() error {
				_, err := backoff.Retry(bg, fn, backoff.WithBackOff(&backoff.ZeroBackOff{}), backoff.WithMaxTries(maxAttempts))
				return err
			}
		}
	}},
	{"sethvargo", func() func(*work) func() error {
		return func(w *work) func() error {
			fn := func(context.Context) error { return sethvargo.RetryableError(w.try()) }
			return func() error { return sethvargo.Do(bg, sethvargoBackoff(), fn) }
		}
	}},
	{"codegroove", func() func(*work) func() error {
		return func(w *work) func() error {
			fn := w.try
			return func() error {
				return codegroove.Do(fn, codegroove.Attempts(maxAttempts), codegroove.Delay(0),
					codegroove.DelayType(codegroove.FixedDelay), codegroove.LastErrorOnly(true))
			}
		}
	}},
	{"failsafe", func() func(*work) func() error {
		ex := failsafe.With(retrypolicy.NewBuilder[any]().WithMaxAttempts(maxAttempts).Build())
		return func(w *work) func() error {
			fn := w.try
			return func() error { return ex.Run(fn) }
		}
	}},
	{"floor-loop", func() func(*work) func() error {
		return func(w *work) func() error {
			return func() (err error) {
				for range maxAttempts {
					if err = w.try(); err == nil {
						break
					}
				}
				return err
			}
		}
	}},
}

// sethvargoBackoff makes a backoff of zero. It holds the state of one call.
func sethvargoBackoff() sethvargo.Backoff {
	return sethvargo.WithMaxRetries(maxAttempts-1, sethvargo.BackoffFunc(func() (time.Duration, bool) { return 0, false }))
}

var valueRows = []row{
	{"bedplate", func() func(*work) func() error {
		r := bedplate.MustNew(bedplate.Config{MaxAttempts: maxAttempts, NoDelay: true})
		return func(w *work) func() error {
			fn := func(context.Context) (int, error) { return w.value() }
			return func() error { _, err := bedplate.DoValue(bg, r, fn); return err }
		}
	}},
	{"avast", func() func(*work) func() error {
		r := retry.NewWithData[int](retry.Attempts(maxAttempts), retry.Delay(0), retry.DelayType(retry.FixedDelay), retry.LastErrorOnly(true))
		return func(w *work) func() error {
			fn := w.value
			return func() error { _, err := r.Do(fn); return err }
		}
	}},
	{"cenkalti", func() func(*work) func() error {
		return func(w *work) func() error {
			fn := w.value
			return func() error {
				_, err := backoff.Retry(bg, fn, backoff.WithBackOff(&backoff.ZeroBackOff{}), backoff.WithMaxTries(maxAttempts))
				return err
			}
		}
	}},
	{"sethvargo", func() func(*work) func() error {
		return func(w *work) func() error {
			fn := func(context.Context) (int, error) {
				v, err := w.value()
				return v, sethvargo.RetryableError(err)
			}
			return func() error { _, err := sethvargo.DoValue(bg, sethvargoBackoff(), fn); return err }
		}
	}},
	{"failsafe", func() func(*work) func() error {
		ex := failsafe.With(retrypolicy.NewBuilder[int]().WithMaxAttempts(maxAttempts).Build())
		return func(w *work) func() error {
			fn := w.value
			return func() error { _, err := ex.Get(fn); return err }
		}
	}},
}

// budgetRows have a budget that neither row spends.
var budgetRows = []row{
	{"bedplate", func() func(*work) func() error {
		r := bedplate.MustNew(bedplate.Config{MaxAttempts: maxAttempts, NoDelay: true,
			Budget: bedplate.MustNewBudget(bedplate.BudgetConfig{MaxTokens: 1000, Ratio: 10})})
		return func(w *work) func() error {
			fn := func(context.Context) error { return w.try() }
			return func() error { return r.Do(bg, fn) }
		}
	}},
	{"avast", func() func(*work) func() error {
		r := retry.New(retry.Attempts(maxAttempts), retry.Delay(0), retry.DelayType(retry.FixedDelay), retry.LastErrorOnly(true),
			retry.WithFixedTokenBucketThrottle(retry.FixedTokenBucketThrottleConfig{MaxCapacity: 1000}))
		return func(w *work) func() error {
			fn := w.try
			return func() error { return r.Do(fn) }
		}
	}},
}

func serial(b *testing.B, rows []row, succeedAt int) {
	for _, row := range rows {
		b.Run("peer="+row.peer, func(b *testing.B) {
			call := row.new()(&work{succeedAt: succeedAt})
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func parallel(b *testing.B, rows []row, succeedAt int) {
	for _, row := range rows {
		b.Run("peer="+row.peer, func(b *testing.B) {
			shared := row.new()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				call := shared(&work{succeedAt: succeedAt})
				for pb.Next() {
					if err := call(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkRetryFirst(b *testing.B)               { serial(b, rows, 1) }
func BenchmarkRetryFirstParallel(b *testing.B)       { parallel(b, rows, 1) }
func BenchmarkRetryThird(b *testing.B)               { serial(b, rows, 3) }
func BenchmarkRetryThirdParallel(b *testing.B)       { parallel(b, rows, 3) }
func BenchmarkRetryValueFirst(b *testing.B)          { serial(b, valueRows, 1) }
func BenchmarkRetryValueFirstParallel(b *testing.B)  { parallel(b, valueRows, 1) }
func BenchmarkRetryValueThird(b *testing.B)          { serial(b, valueRows, 3) }
func BenchmarkRetryValueThirdParallel(b *testing.B)  { parallel(b, valueRows, 3) }
func BenchmarkRetryBudgetFirst(b *testing.B)         { serial(b, budgetRows, 1) }
func BenchmarkRetryBudgetFirstParallel(b *testing.B) { parallel(b, budgetRows, 1) }

func TestRowsDoTheSameWork(t *testing.T) {
	for name, table := range map[string][]row{"plain": rows, "value": valueRows, "budget": budgetRows} {
		for _, row := range table {
			t.Run(name+"/"+row.peer, func(t *testing.T) {
				shared := row.new()
				for succeedAt := 1; succeedAt <= maxAttempts; succeedAt++ {
					w := &work{succeedAt: succeedAt}
					call := shared(w)
					for n := 1; n <= 5; n++ {
						require.NoError(t, call())
						require.Equal(t, n*succeedAt, w.attempts)
					}
				}
				w := &work{succeedAt: 1 << 30}
				require.Error(t, shared(w)())
				require.Equal(t, maxAttempts, w.attempts)
			})
		}
	}
}
