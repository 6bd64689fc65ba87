package memwatch_test

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

var errCause = errors.New("cause")

func count(w *memwatch.Watcher) (n int) {
	for range w.Samples() {
		n++
	}
	return n
}

// Done before the call: nothing is sampled, collected or called.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := memwatch.MustNew(memwatch.Config{Hooks: memwatch.Hooks{
		OnChange: func(memwatch.Change) { t.Error("called") },
	}})
	require.Equal(t, context.Canceled, w.Run(ctx))
	require.Zero(t, count(w))
	before := w.Snapshot().Cycle
	r, err := w.Confirm(ctx)
	require.Equal(t, context.Canceled, err)
	require.Equal(t, memwatch.Report{}, r)
	require.Equal(t, before, w.Snapshot().Cycle, "no collection was forced")
}

// Done while waiting: Run returns at once, not at the next interval.
func TestContractDoneWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{Interval: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		go func() { err = w.Run(ctx) }()
		synctest.Wait()
		start := time.Now()
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, err)
		require.Zero(t, time.Since(start))
		require.Equal(t, 1, count(w))
	})
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		var err error
		go func() { err = w.Run(ctx) }()
		synctest.Wait()
		cancel(errCause)
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)

		err = w.Run(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
		_, err = w.Confirm(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)

		late, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		require.Equal(t, context.DeadlineExceeded, w.Run(late))
	})
}

// No function of the user gets a context here; the hook runs on Run's own
// goroutine, where its caller's context is known.
func TestContractFnContextDerives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := memwatch.MustNew(memwatch.Config{Hooks: memwatch.Hooks{
			OnChange: func(memwatch.Change) { cancel(errCause) }, // the hook may end the Run it is called by
		}})
		require.ErrorIs(t, w.Run(ctx), errCause)
	})
}

// Cancelling one caller leaves the others alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := memwatch.MustNew(memwatch.Config{}), memwatch.MustNew(memwatch.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		rest, stop := context.WithCancel(t.Context())
		go func() { _ = w.Run(ctx) }()
		go func() { _ = other.Run(rest) }()
		synctest.Wait()
		cancel()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, count(w))
		require.Equal(t, 61, count(other))
		stop()
		synctest.Wait()
	})
}

// Run's own refusal comes back as it is.
func TestContractFnErrorUnwrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = w.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, memwatch.ErrRunning, w.Run(t.Context()))
		cancel()
		synctest.Wait()
	})
}

func explode(memwatch.Change) { panic(errCause) }

// A panic in a hook passes through Run untouched, and Run can be called again.
func TestContractPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{Hooks: memwatch.Hooks{OnChange: explode}})
		func() {
			defer func() {
				require.Equal(t, errCause, recover())
				require.Contains(t, string(debug.Stack()), "memwatch_test.explode")
			}()
			_ = w.Run(t.Context())
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
	})
}

// All methods at once, with Runs that begin and end.
func TestStormOfCallersAndCancellations(t *testing.T) {
	w := memwatch.MustNew(memwatch.Config{Interval: time.Millisecond})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i+1)*3*time.Millisecond)
				if err := w.Run(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, memwatch.ErrRunning) {
					t.Errorf("Run: %v", err)
				}
				cancel()
			}
		})
		wg.Go(func() {
			for range 5 {
				_ = w.Snapshot()
				_ = w.Analyze().String()
				_ = w.Pressure().String()
				_ = w.Stats()
				count(w)
				if _, err := w.Confirm(context.Background()); err != nil {
					t.Errorf("Confirm: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
