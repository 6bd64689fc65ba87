// Package chainbench compares retry ▸ breaker ▸ bulkhead around one call with
// the same chain made of the usual peers by hand, and with failsafe-go's. No
// chain has a timeout: context.WithTimeout would cost all of them the same and
// hide the rest.
package chainbench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	fsretry "github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/retry"
)

const (
	attempts = 3
	failures = 5
	limit    = 64
)

// A work is what is guarded, and what it looks like from outside when it is.
type work func(context.Context) (int, error)

func ours(fn work) work {
	r := retry.MustNew(retry.Config{MaxAttempts: attempts, NoDelay: true})
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: failures, OpenFor: time.Hour})
	bh := bulkhead.MustNew(bulkhead.Config{Limit: limit})
	return retry.Wrap(r, breaker.Wrap(b, bulkhead.Wrap(bh, fn)))
}

// byHand is what people write: a loop, a gobreaker and a semaphore.
func byHand(fn work) work {
	cb := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failures },
	})
	sem := semaphore.NewWeighted(limit)
	return func(ctx context.Context) (v int, err error) {
		for range attempts {
			if err = ctx.Err(); err != nil {
				return 0, err
			}
			v, err = cb.Execute(func() (int, error) {
				if err := sem.Acquire(ctx, 1); err != nil {
					return 0, err
				}
				defer sem.Release(1)
				return fn(ctx)
			})
			if err == nil {
				return v, nil
			}
		}
		return v, err
	}
}

func failsafes(fn work) work {
	ex := failsafe.With(
		fsretry.NewBuilder[int]().WithMaxAttempts(attempts).Build(),
		fsbreaker.NewBuilder[int]().WithFailureThreshold(failures).Build(),
		fsbulkhead.New[int](limit),
	)
	inner := func(e failsafe.Execution[int]) (int, error) { return fn(e.Context()) }
	return func(ctx context.Context) (int, error) {
		return ex.WithContext(ctx).GetWithExecution(inner)
	}
}

func bare(fn work) work { return fn }

var peers = []struct {
	name  string
	guard func(work) work
}{
	{"bedplate", ours},
	{"by-hand", byHand},
	{"failsafe", failsafes},
	{"floor-call", bare},
}

func one(context.Context) (int, error) { return 1, nil }

func BenchmarkChain(b *testing.B) {
	ctx := b.Context()
	for _, p := range peers {
		b.Run("peer="+p.name, func(b *testing.B) {
			call := p.guard(one)
			b.ReportAllocs()
			for b.Loop() {
				if v, err := call(ctx); v != 1 || err != nil {
					b.Fatal(v, err)
				}
			}
		})
	}
}

func BenchmarkChainParallel(b *testing.B) {
	ctx := b.Context()
	for _, p := range peers {
		b.Run("peer="+p.name, func(b *testing.B) {
			call := p.guard(one)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if v, err := call(ctx); v != 1 || err != nil {
						b.Error(v, err)
					}
				}
			})
		})
	}
}

// TestRowsDoTheSameWork: every guarded chain makes three attempts, stops after
// five failures in a row, and gives a success through.
func TestRowsDoTheSameWork(t *testing.T) {
	errDown := errors.New("down")
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			calls, failing := 0, false
			call := p.guard(func(context.Context) (int, error) {
				calls++
				if failing {
					return 0, errDown
				}
				return 1, nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			v, err := call(ctx)
			require.NoError(t, err)
			require.Equal(t, 1, v)
			require.Equal(t, 1, calls)
			if p.name == "floor-call" {
				return
			}
			calls, failing = 0, true
			for range 3 {
				_, err = call(ctx)
				require.Error(t, err)
			}
			require.Equal(t, failures, calls, "three attempts, then two, then the breaker is open")
		})
	}
}
