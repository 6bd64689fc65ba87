package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

var errCause = errors.New("shutting down")

func canceled() context.Context {
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errCause)
	return ctx
}

// A breaker never queues, so "nothing happens" means: no call, no probe taken,
// no rejection counted.
func TestContractDoneBeforeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
		_ = b.Do(bg, fail)
		before := b.Stats()
		for range 2 { // while open, and when the next call would be a probe
			require.ErrorIs(t, b.Do(canceled(), unreachable(t)), context.Canceled)
			_, err := breaker.DoValue(canceled(), b, func(context.Context) (int, error) {
				t.Error("called")
				return 0, nil
			})
			require.ErrorIs(t, err, context.Canceled)
			time.Sleep(2 * time.Minute)
		}
		after := b.Stats()
		require.Equal(t, before.Refused, after.Refused)
		require.Zero(t, after.Probes)
	})
}

// The breaker itself waits only with Detach, for a fn that does not return:
// the caller returns promptly, and the probe stays taken until fn ends.
func TestContractDoneWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, CallTimeout: time.Hour, Detach: true,
			OpenFor: time.Minute, NoJitter: true, ProbeTimeout: time.Hour})
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		hang := make(chan struct{})
		begin := time.Now()
		err := b.Do(ctx, func(context.Context) error { <-hang; return errDown })
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, 1, b.Stats().Probes)
		close(hang)
		synctest.Wait()
		require.Zero(t, b.Stats().Probes)
		require.Equal(t, breaker.HalfOpen, b.State(), "ignored: the caller left first")
	})
}

func TestContractErrorMatchesErrAndCause(t *testing.T) {
	b := breaker.MustNew(breaker.Config{})
	err := b.Do(canceled(), unreachable(t))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errCause)

	plain, cancel := context.WithCancel(bg)
	cancel()
	require.Equal(t, context.Canceled, b.Do(plain, unreachable(t)))
}

func TestContractFnContextDerives(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(bg, key{}, 7)
	for _, cfg := range []breaker.Config{{}, {CountWindow: 5}, {CallTimeout: time.Hour}, {CallTimeout: time.Hour, Detach: true}} {
		b := breaker.MustNew(cfg)
		require.NoError(t, b.Do(ctx, func(ctx context.Context) error {
			if ctx.Value(key{}) != 7 {
				return errors.New("the value is missing")
			}
			return nil
		}))
	}
}

func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{CallTimeout: time.Hour})
		ctx, cancel := context.WithCancel(bg)
		var wg sync.WaitGroup
		var other error
		wg.Go(func() {
			other = b.Do(bg, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Minute):
					return nil
				}
			})
		})
		wg.Go(func() {
			_ = b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		require.NoError(t, other)
	})
}

func TestContractFnErrorUnwrapped(t *testing.T) {
	for _, cfg := range []breaker.Config{{}, {FailureRate: 1}, {CallTimeout: time.Hour}, {CallTimeout: time.Hour, Detach: true}} {
		b := breaker.MustNew(cfg)
		require.True(t, b.Do(bg, fail) == errDown)
		v, err := breaker.DoValue(bg, b, func(context.Context) (int, error) { return 3, errDown })
		require.Equal(t, 3, v)
		require.True(t, err == errDown)
	}
}

func TestContractPanicAndGoexit(t *testing.T) {
	for name, cfg := range map[string]breaker.Config{
		"consecutive": {ConsecutiveFailures: 1},
		"windowed":    {CountWindow: 2, CountFailures: 1},
		"timed":       {ConsecutiveFailures: 1, CallTimeout: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := breaker.MustNew(cfg)
			value, stack := recovered(func() { _ = b.Do(bg, thrower) })
			require.Equal(t, errDown, value)
			require.Contains(t, stack, "breaker_test.thrower", "the stack still shows where it began")
			require.Equal(t, breaker.Open, b.State())

			b.Reset()
			value, _ = recovered(func() {
				_, _ = breaker.DoValue(bg, b, func(context.Context) (int, error) { panic(errDown) })
			})
			require.Equal(t, errDown, value)
			require.Equal(t, breaker.Open, b.State())

			b.Reset()
			exited := true
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil })
				exited = false
			}()
			<-done
			require.True(t, exited)
			require.Equal(t, breaker.Open, b.State())
			require.EqualValues(t, 3, b.Stats().Failures)
		})
	}
}

func thrower(context.Context) error { panic(errDown) }

func unreachable(t *testing.T) func(context.Context) error {
	return func(context.Context) error {
		t.Error("called")
		return nil
	}
}

// recovered runs f and returns what it panicked with, and the stack as it was.
func recovered(f func()) (value any, stack string) {
	defer func() {
		value = recover()
		buf := make([]byte, 1<<16)
		stack = string(buf[:runtime.Stack(buf, false)])
	}()
	f()
	return nil, ""
}
