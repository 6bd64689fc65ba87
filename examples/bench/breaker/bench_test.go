// Package breakerbench compares bedplate's breaker with its peers, each used
// as its own documentation says, on the same calls with the same thresholds.
package breakerbench

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bedplate/bedplate/breaker"
	eapache "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"
)

const (
	threshold  = 5                // consecutive failures
	windowSize = 100              // results in the count window
	window     = 10 * time.Second // of the time window, in 10 buckets
	openFor    = time.Hour
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

// call is the guarded work: it costs next to nothing, so that what is measured
// is the guard.
type call func(context.Context) error

// row is one way to guard a call.
type row struct {
	peer string
	make func() func(call) error
}

func bedplate(cfg breaker.Config) func() func(call) error {
	return func() func(call) error {
		cfg.OpenFor = openFor
		b := breaker.MustNew(cfg)
		return func(fn call) error { return b.Do(bg, fn) }
	}
}

func bedplateAllow(cfg breaker.Config) func() func(call) error {
	return func() func(call) error {
		cfg.OpenFor = openFor
		b := breaker.MustNew(cfg)
		return func(fn call) error {
			p, err := b.Allow()
			if err != nil {
				return err
			}
			err = fn(bg)
			p.Done(bg, err)
			return err
		}
	}
}

// failsafeStandalone is failsafe-go's two-step form, its fastest.
func failsafeStandalone(build func(circuitbreaker.Builder[any]) circuitbreaker.Builder[any]) func() func(call) error {
	return func() func(call) error {
		cb := build(circuitbreaker.NewBuilder[any]().WithDelay(openFor)).Build()
		return func(fn call) error {
			if !cb.TryAcquirePermit() {
				return circuitbreaker.ErrOpen
			}
			err := fn(bg)
			if err != nil {
				cb.RecordError(err)
			} else {
				cb.RecordSuccess()
			}
			return err
		}
	}
}

func failsafeExecutor(build func(circuitbreaker.Builder[any]) circuitbreaker.Builder[any]) func() func(call) error {
	return func() func(call) error {
		cb := build(circuitbreaker.NewBuilder[any]().WithDelay(openFor)).Build()
		ex := failsafe.With(cb).WithContext(bg)
		return func(fn call) error {
			return ex.RunWithExecution(func(exec failsafe.Execution[any]) error { return fn(exec.Context()) })
		}
	}
}

func sony(st gobreaker.Settings) func() func(call) error {
	return func() func(call) error {
		st.Timeout = openFor
		cb := gobreaker.NewCircuitBreaker[struct{}](st)
		return func(fn call) error {
			_, err := cb.Execute(func() (struct{}, error) { return struct{}{}, fn(bg) })
			return err
		}
	}
}

func eapacheBreaker() func(call) error {
	b := eapache.New(threshold, 1, openFor)
	return func(fn call) error { return b.Run(func() error { return fn(bg) }) }
}

func rubyistBreaker() func(call) error {
	b := rubyist.NewConsecutiveBreaker(threshold)
	return func(fn call) error { return b.Call(func() error { return fn(bg) }, 0) }
}

// floorCall guards nothing.
func floorCall() func(call) error { return func(fn call) error { return fn(bg) } }

var consecutive = []row{
	{"bedplate", bedplate(breaker.Config{ConsecutiveFailures: threshold})},
	{"bedplate-allow", bedplateAllow(breaker.Config{ConsecutiveFailures: threshold})},
	{"failsafe", failsafeStandalone(func(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
		return b.WithFailureThreshold(threshold)
	})},
	{"failsafe-executor", failsafeExecutor(func(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
		return b.WithFailureThreshold(threshold)
	})},
	{"gobreaker", sony(gobreaker.Settings{ReadyToTrip: func(c gobreaker.Counts) bool {
		return c.ConsecutiveFailures >= threshold
	}})},
	{"eapache", eapacheBreaker},
	{"rubyist", rubyistBreaker},
}

var counted = []row{
	{"bedplate", bedplate(breaker.Config{CountWindow: windowSize, CountFailures: windowSize / 2})},
	{"failsafe", failsafeStandalone(func(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
		return b.WithFailureThresholdRatio(windowSize/2, windowSize)
	})},
}

var timed = []row{
	{"bedplate", bedplate(breaker.Config{FailureRate: 0.5, MinCalls: 20, Window: window})},
	{"failsafe", failsafeStandalone(func(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
		return b.WithFailureRateThreshold(0.5, 20, window)
	})},
	{"gobreaker", sony(gobreaker.Settings{
		Interval:     window,
		BucketPeriod: window / 10,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= 20 && float64(c.TotalFailures)/float64(c.Requests) >= 0.5
		},
	})},
}

func floored(rows []row) []row {
	return append(slices.Clip(rows), row{"floor-call", floorCall})
}

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errDown }

// trip makes a breaker of rows that open after threshold failures refuse.
func trip(do func(call) error) {
	for range 2 * threshold {
		_ = do(fail)
	}
}

func run(b *testing.B, rows []row, prepare func(func(call) error)) {
	for _, r := range rows {
		b.Run("peer="+r.peer, func(b *testing.B) {
			do := r.make()
			prepare(do)
			b.ReportAllocs()
			for b.Loop() {
				_ = do(succeed)
			}
		})
	}
}

func runParallel(b *testing.B, rows []row, prepare func(func(call) error)) {
	for _, r := range rows {
		b.Run("peer="+r.peer, func(b *testing.B) {
			do := r.make()
			prepare(do)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = do(succeed)
				}
			})
		})
	}
}

func asMade(func(call) error) {}

func BenchmarkBreakerClosed(b *testing.B)              { run(b, floored(consecutive), asMade) }
func BenchmarkBreakerClosedParallel(b *testing.B)      { runParallel(b, floored(consecutive), asMade) }
func BenchmarkBreakerCountWindow(b *testing.B)         { run(b, floored(counted), asMade) }
func BenchmarkBreakerCountWindowParallel(b *testing.B) { runParallel(b, floored(counted), asMade) }
func BenchmarkBreakerTimeWindow(b *testing.B)          { run(b, floored(timed), asMade) }
func BenchmarkBreakerTimeWindowParallel(b *testing.B)  { runParallel(b, floored(timed), asMade) }
func BenchmarkBreakerOpen(b *testing.B)                { run(b, consecutive, trip) }
func BenchmarkBreakerOpenParallel(b *testing.B)        { runParallel(b, consecutive, trip) }

// TestRowsDoTheSameWork holds every row to the same story: healthy calls run,
// each once, an error comes back, and after enough failures calls are refused
// without running.
func TestRowsDoTheSameWork(t *testing.T) {
	for table, rows := range map[string][]row{"consecutive": consecutive, "counted": counted, "timed": timed} {
		for _, r := range rows {
			t.Run(table+"/peer="+r.peer, func(t *testing.T) {
				do, ran := r.make(), 0
				for range windowSize / 10 {
					require.NoError(t, do(func(context.Context) error { ran++; return nil }))
				}
				require.Equal(t, windowSize/10, ran)
				require.ErrorIs(t, do(fail), errDown)
				failures := threshold - 1
				if table != "consecutive" {
					failures = windowSize
				}
				for range failures {
					_ = do(fail)
				}
				ran = 0
				require.Error(t, do(func(context.Context) error { ran++; return nil }))
				require.Zero(t, ran, "an open breaker called")
			})
		}
	}
}
