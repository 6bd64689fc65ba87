package bulkhead_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

var errCause = errors.New("cause")

// entries are the ways into a bulkhead that take a ctx. Each gives back what
// it took.
var entries = map[string]func(context.Context, *bulkhead.Bulkhead) error{
	"Acquire": func(ctx context.Context, b *bulkhead.Bulkhead) error {
		p, err := b.Acquire(ctx)
		p.Release()
		return err
	},
	"AcquireN": func(ctx context.Context, b *bulkhead.Bulkhead) error {
		p, err := b.AcquireN(ctx, 1)
		p.Release()
		return err
	},
	"Do": func(ctx context.Context, b *bulkhead.Bulkhead) error {
		return b.Do(ctx, func(context.Context) error { return nil })
	},
	"DoValue": func(ctx context.Context, b *bulkhead.Bulkhead) error {
		_, err := bulkhead.DoValue(ctx, b, func(context.Context) (int, error) { return 0, nil })
		return err
	},
	"Wrap": func(ctx context.Context, b *bulkhead.Bulkhead) error {
		_, err := bulkhead.Wrap(b, func(context.Context) (int, error) { return 0, nil })(ctx)
		return err
	},
}

// Done before the call: an error although slots are free, and fn is not called.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := bulkhead.MustNew(bulkhead.Config{})
	for name, enter := range entries {
		require.Equal(t, context.Canceled, enter(ctx, b), name)
	}
	fail := func(context.Context) (int, error) { t.Error("called"); return 0, nil }
	require.Error(t, b.Do(ctx, func(ctx context.Context) error { _, err := fail(ctx); return err }))
	_, err := bulkhead.DoValue(ctx, b, fail)
	require.Error(t, err)
	require.Equal(t, bulkhead.Stats{Limit: 10}, b.Stats())
}

// Done while waiting: prompt return, the place in the queue is gone, no slot is
// lost.
func TestContractDoneWhileWaiting(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
				p, _ := b.TryAcquire()
				ctx, cancel := context.WithCancel(t.Context())
				var err error
				go func() { err = enter(ctx, b) }()
				synctest.Wait()
				require.Equal(t, 1, b.Stats().Waiting)
				start := time.Now()
				cancel()
				synctest.Wait()
				require.Equal(t, context.Canceled, err)
				require.Zero(t, time.Since(start))
				require.Zero(t, b.Stats().Waiting)
				p.Release()
				requireIdle(t, b)
				require.NoError(t, enter(t.Context(), b))
			})
		})
	}
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
				p, _ := b.TryAcquire()
				defer p.Release()

				ctx, cancel := context.WithCancelCause(t.Context())
				var err error
				go func() { err = enter(ctx, b) }()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				err = enter(ctx, b)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				late, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				require.Equal(t, context.DeadlineExceeded, enter(late, b))
			})
		})
	}
}

type key struct{}

// fn's ctx is the caller's or derives from it.
func TestContractFnContextDerives(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	ctx := context.WithValue(t.Context(), key{}, "v")
	require.NoError(t, b.Do(ctx, func(ctx context.Context) error {
		require.Equal(t, "v", ctx.Value(key{}))
		return nil
	}))
	_, err := bulkhead.DoValue(ctx, b, func(ctx context.Context) (int, error) {
		require.Equal(t, "v", ctx.Value(key{}))
		return 0, nil
	})
	require.NoError(t, err)
}

// Cancelling one caller leaves those before and behind it alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		inside := make(chan struct{})
		var ctxErr, doErr error
		go func() {
			doErr = b.Do(t.Context(), func(ctx context.Context) error {
				<-inside
				ctxErr = ctx.Err()
				return nil
			})
		}()
		synctest.Wait()
		first, second := call(b, 1), call(b, 1)
		first.cancel()
		synctest.Wait()
		require.ErrorIs(t, first.err, context.Canceled)
		require.False(t, second.settled)
		close(inside)
		synctest.Wait()
		require.NoError(t, ctxErr)
		require.NoError(t, doErr)
		require.True(t, second.admitted())
		second.release()
	})
}

// fn's error comes back as it is, also if it is one of the bulkhead's own.
func TestContractFnErrorUnwrapped(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	for _, want := range []error{errCause, bulkhead.ErrClosed, context.Canceled} {
		require.Equal(t, want, b.Do(t.Context(), func(context.Context) error { return want }))
		v, err := bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) { return 3, want })
		require.Equal(t, want, err)
		require.Equal(t, 3, v)
	}
	requireIdle(t, b)
}

func explode(context.Context) error { panic(errCause) }

// A panic or Goexit in fn passes through untouched and the slot comes back; so
// it does with everything that may observe the call switched on.
func TestContractPanicAndGoexit(t *testing.T) {
	configs := map[string]bulkhead.Config{
		"plain": {Limit: 1, NoWait: true},
		"observed": {
			Limit: 1, NoWait: true, Adaptive: bulkhead.Adaptive{Max: 1},
			Hooks: bulkhead.Hooks{OnAcquired: func(bulkhead.Acquired) {}, OnReleased: func(bulkhead.Released) {}},
		},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			b := bulkhead.MustNew(cfg)
			func() {
				defer func() {
					require.Equal(t, errCause, recover())
					// The stack still has the frame that panicked: nothing
					// recovered and panicked again on the way.
					require.Contains(t, string(debug.Stack()), "bulkhead_test.explode")
				}()
				_ = b.Do(t.Context(), explode)
			}()
			requireIdle(t, b)

			var wg sync.WaitGroup
			wg.Go(func() {
				_, _ = bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) {
					runtime.Goexit()
					return 0, nil
				})
			})
			wg.Go(func() {
				p, err := b.Acquire(context.Background())
				if err != nil {
					return // the other one has the slot
				}
				defer p.Release()
				runtime.Goexit()
			})
			wg.Wait()
			requireIdle(t, b)
			require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
		})
	}
}

// Close may be called again, and by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := b.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, b.Close())
	require.NoError(t, b.Drain(t.Context()))
	requireIdle(t, b)
}

// After Close and after Drain every way in answers ErrClosed, and fn is not
// called.
func TestContractClosedRefuses(t *testing.T) {
	closed, drained := bulkhead.MustNew(bulkhead.Config{}), bulkhead.MustNew(bulkhead.Config{})
	require.NoError(t, closed.Close())
	require.NoError(t, drained.Drain(t.Context()))
	for _, b := range []*bulkhead.Bulkhead{closed, drained} {
		for name, enter := range entries {
			require.Equal(t, bulkhead.ErrClosed, enter(t.Context(), b), name)
		}
		_, ok := b.TryAcquire()
		require.False(t, ok)
		require.Equal(t, bulkhead.ErrClosed, b.Resize(3))
		require.Equal(t, bulkhead.ErrClosed, b.Do(t.Context(), func(context.Context) error {
			t.Error("called")
			return nil
		}))
	}
}

// At its deadline Drain gives up, refuses those who wait, says how many there
// were, and matches the ctx; the calls that run go on.
func TestContractDrainDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 2})
		a, c := call(b, 1), call(b, 1)
		waiter := call(b, 2)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		err := b.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCause)
		require.EqualError(t, err, "bulkhead: db: drain left 2 in use and refused 1 waiting: context deadline exceeded: cause")
		synctest.Wait()
		require.ErrorIs(t, waiter.err, bulkhead.ErrClosed)
		require.Equal(t, 2, b.Stats().InUse)
		a.release()
		c.release()
		require.NoError(t, b.Drain(t.Context()))

		// With nothing left to wait for, a done ctx is no failure.
		require.NoError(t, b.Drain(ctx))
	})
}
