// Package retrybench compares retry with its peers on the same work: a call
// that succeeds at once, and one that succeeds in its third attempt with no
// delay in between.
package retrybench

import (
	"context"
	"errors"
	"testing"
	"time"

	ricanretry "github.com/Rican7/retry"
	"github.com/Rican7/retry/strategy"
	avast "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v5"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	sethvargo "github.com/sethvargo/go-retry"

	"github.com/bedplate/bedplate/retry"
)

var errTry = errors.New("try again")

// work fails until its attempt number reaches succeedAt. It is what every row
// calls, whatever shape the peer gives to its functions.
type work struct {
	succeedAt int
	attempts  int // since the last reset
}

//go:noinline
func (w *work) try() error {
	w.attempts++
	if w.attempts%w.succeedAt != 0 {
		return errTry
	}
	return nil
}

// A row makes one call with retries and returns its error. Each goroutine gets
// its own work; what the peer allows to be shared is shared.
type row struct {
	name string
	make func() func(w *work) func() error
}

var ctx = context.Background()

// maxAttempts is the limit of every row.
const maxAttempts = 4

var rows = []row{
	{"bedplate", func() func(*work) func() error {
		r := retry.MustNew(retry.Config{MaxAttempts: maxAttempts, NoDelay: true})
		return func(w *work) func() error {
			return func() error {
				return r.Do(ctx, func(context.Context) error { return w.try() })
			}
		}
	}},
	{"bedplate-value", func() func(*work) func() error {
		r := retry.MustNew(retry.Config{MaxAttempts: maxAttempts, NoDelay: true})
		return func(w *work) func() error {
			return func() error {
				_, err := retry.DoValue(ctx, r, func(context.Context) (int, error) { return 1, w.try() })
				return err
			}
		}
	}},
	{"bedplate-budget", func() func(*work) func() error {
		r := retry.MustNew(retry.Config{MaxAttempts: maxAttempts, NoDelay: true,
			// Large enough for a row in which two attempts of three fail.
			Budget: retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1000, Ratio: 10})})
		return func(w *work) func() error {
			return func() error {
				return r.Do(ctx, func(context.Context) error { return w.try() })
			}
		}
	}},
	{"eapache", func() func(*work) func() error {
		r := retrier.New(retrier.ConstantBackoff(maxAttempts-1, 0), nil)
		return func(w *work) func() error {
			return func() error {
				return r.RunCtx(ctx, func(context.Context) error { return w.try() })
			}
		}
	}},
	{"rican7", func() func(*work) func() error {
		limit := strategy.Limit(maxAttempts)
		return func(w *work) func() error {
			return func() error {
				return ricanretry.Retry(func(uint) error { return w.try() }, limit)
			}
		}
	}},
	{"avast", func() func(*work) func() error {
		r := avast.New(avast.Attempts(maxAttempts), avast.Delay(0), avast.MaxJitter(0),
			avast.DelayType(avast.FixedDelay), avast.LastErrorOnly(true))
		return func(w *work) func() error {
			return func() error { return r.Do(w.try) }
		}
	}},
	{"cenkalti", func() func(*work) func() error {
		return func(w *work) func() error {
			return func() error {
				_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, w.try() },
					backoff.WithBackOff(&backoff.ZeroBackOff{}), backoff.WithMaxTries(maxAttempts))
				return err
			}
		}
	}},
	{"sethvargo", func() func(*work) func() error {
		return func(w *work) func() error {
			return func() error {
				// Its backoffs hold the state of one call; 1 ns is its smallest.
				b := sethvargo.WithMaxRetries(maxAttempts-1, sethvargo.BackoffFunc(func() (time.Duration, bool) { return 0, false }))
				return sethvargo.Do(ctx, b, func(context.Context) error { return sethvargo.RetryableError(w.try()) })
			}
		}
	}},
	{"failsafe", func() func(*work) func() error {
		ex := failsafe.With[any](retrypolicy.NewBuilder[any]().WithMaxAttempts(maxAttempts).Build())
		return func(w *work) func() error {
			return func() error { return ex.Run(w.try) }
		}
	}},
	{"floor-loop", func() func(*work) func() error {
		return func(w *work) func() error {
			return func() error {
				var err error
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

func bench(b *testing.B, succeedAt int) {
	for _, row := range rows {
		b.Run("peer="+row.name, func(b *testing.B) {
			call := row.make()(&work{succeedAt: succeedAt})
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchParallel(b *testing.B, succeedAt int) {
	for _, row := range rows {
		b.Run("peer="+row.name, func(b *testing.B) {
			shared := row.make()
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

func BenchmarkRetryFirst(b *testing.B)         { bench(b, 1) }
func BenchmarkRetryFirstParallel(b *testing.B) { benchParallel(b, 1) }
func BenchmarkRetryThird(b *testing.B)         { bench(b, 3) }
func BenchmarkRetryThirdParallel(b *testing.B) { benchParallel(b, 3) }
