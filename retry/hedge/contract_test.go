package hedge_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

var errShutdown = errors.New("shutting down")

func TestContractDoneBeforeCall(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errShutdown)
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		err := h.Do(ctx, func(context.Context) error { t.Error("fn called"); return nil })
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errShutdown)
		require.Equal(t, hedge.Stats{Delay: time.Second}, h.Stats())
	})
}

// The caller waits for attempts in other goroutines: for any of them if
// detached, else for extra ones after the first has failed.
func TestContractDoneWhileWaiting(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		begin := time.Now()
		var n atomic.Int32
		err := h.Do(ctx, func(ctx context.Context) error {
			if n.Add(1) == 1 {
				pause(2 * time.Second)
				return errTry
			}
			if detached {
				pause(time.Hour)
				return nil
			}
			return sleep(ctx, time.Hour)
		})
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errTry, "the real error before is not lost")
		pause(2 * time.Hour)
		require.Equal(t, 0, h.Stats().Abandoned)
		require.NoError(t, h.Do(t.Context(), func(context.Context) error { return nil }))
	})
}

func TestContractErrorMatchesErrAndCause(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errShutdown)
		defer cancel()
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		err := h.Do(ctx, func(ctx context.Context) error { return sleep(ctx, time.Hour) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errShutdown)
		synctest.Wait()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := hedge.MustNew(hedge.Config{}).Do(ctx, func(context.Context) error { return nil })
	require.True(t, err == context.Canceled, "without a cause it is the context's error")
}

func TestContractFnContextDerives(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		time.AfterFunc(3*time.Second, cancel)
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		var n atomic.Int32
		values := make(chan any, 2)
		err := h.Do(ctx, func(ctx context.Context) error {
			n.Add(1)
			values <- ctx.Value(key{})
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, []any{"value", "value"}, []any{<-values, <-values})
		synctest.Wait()
	})
}

// Callers share the Hedger and its budget.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		ctx, cancel := context.WithCancel(t.Context())
		slow := func(ctx context.Context) error { return sleep(ctx, 5*time.Second) }
		cancelled, other := make(chan error, 1), make(chan error, 1)
		go func() { cancelled <- h.Do(ctx, slow) }()
		go func() { other <- h.Do(t.Context(), slow) }()
		pause(2 * time.Second)
		cancel()
		require.ErrorIs(t, <-cancelled, context.Canceled)
		require.NoError(t, <-other)
		synctest.Wait()
	})
}

func TestContractFnErrorUnwrapped(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		for _, takes := range []time.Duration{0, 2 * time.Second} { // without and with an extra attempt
			err := h.Do(t.Context(), func(ctx context.Context) error {
				pause(takes)
				return errTry
			})
			require.True(t, err == errTry)
		}
		// Nor is it wrapped if the context ended meanwhile: no wait was cut short.
		ctx, cancel := context.WithCancel(t.Context())
		err := h.Do(ctx, func(context.Context) error {
			if !detached {
				cancel()
			}
			return errTry
		})
		cancel()
		require.True(t, err == errTry)
		synctest.Wait()
	})
}

func TestContractPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second})
		var running, n atomic.Int32
		explode := func(end func()) func(context.Context) error {
			n.Store(0)
			return func(ctx context.Context) error {
				running.Add(1)
				defer running.Add(-1)
				if n.Add(1) == 1 {
					pause(3 * time.Second)
					end()
				}
				<-ctx.Done()
				return ctx.Err()
			}
		}
		require.PanicsWithValue(t, "boom", func() { _ = h.Do(t.Context(), explode(func() { panic("boom") })) })
		require.Zero(t, running.Load(), "the extra attempt has returned")

		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = h.Do(context.Background(), explode(runtime.Goexit))
			t.Error("Goexit did not pass through")
		}()
		<-done
		require.Zero(t, running.Load())
	})

	// In other goroutines a Goexit is a failed attempt.
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: true})
		err := h.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		require.Equal(t, hedge.ErrGoexit, err)

		h = hedge.MustNew(hedge.Config{Delay: time.Second})
		var n atomic.Int32
		err = h.Do(t.Context(), func(context.Context) error {
			if n.Add(1) == 2 {
				runtime.Goexit()
			}
			pause(2 * time.Second)
			return nil
		})
		require.NoError(t, err)
	})
}
