package pool_test

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

	"github.com/bedplate/bedplate/pool"
)

var errCause = errors.New("cause")

// entries are the ways into a pool that take a ctx and wait. Each gives back
// what it took.
var entries = map[string]func(context.Context, *pool.Pool[*res]) error{
	"Acquire": func(ctx context.Context, p *pool.Pool[*res]) error {
		l, err := p.Acquire(ctx)
		if err == nil {
			return l.Release()
		}
		return err
	},
	"With": func(ctx context.Context, p *pool.Pool[*res]) error {
		return p.With(ctx, func(context.Context, *res) error { return nil })
	},
	"Use": func(ctx context.Context, p *pool.Pool[*res]) error {
		_, err := pool.Use(ctx, p, func(context.Context, *res) (int, error) { return 0, nil })
		return err
	},
	"Health": func(ctx context.Context, p *pool.Pool[*res]) error { return p.Health(ctx) },
}

// Done before the call: an error although resources are idle, fn is not called,
// and nothing is created.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, w := newPool(t, pool.Config[*res]{})
	for _, enter := range entries {
		require.Equal(t, context.Canceled, enter(ctx, p))
	}
	require.Equal(t, context.Canceled, p.Warm(ctx, 2))
	require.Equal(t, pool.Stats{Max: 10}, p.Stats())
	require.Zero(t, w.get(most))

	require.NoError(t, mustAcquire(t, p).Release())
	fail := func(context.Context, *res) (int, error) { t.Error("called"); return 0, nil }
	require.Equal(t, context.Canceled, p.With(ctx, func(ctx context.Context, v *res) error { _, err := fail(ctx, v); return err }))
	_, err := pool.Use(ctx, p, fail)
	require.Equal(t, context.Canceled, err)
	require.EqualValues(t, 1, p.Stats().Acquired)
}

// Done while waiting: prompt return, the place in line is gone, no resource is
// lost.
func TestContractDoneWhileWaiting(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPool(t, pool.Config[*res]{Max: 1})
				l := mustAcquire(t, p)
				ctx, cancel := context.WithCancel(t.Context())
				var err error
				go func() { err = enter(ctx, p) }()
				synctest.Wait()
				require.Equal(t, 1, p.Stats().Waiting)
				start := time.Now()
				cancel()
				synctest.Wait()
				require.Equal(t, context.Canceled, err)
				require.Zero(t, time.Since(start))
				require.Zero(t, p.Stats().Waiting)
				require.NoError(t, l.Release())
				require.NoError(t, enter(t.Context(), p))
			})
		})
	}
	t.Run("Warm", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, w := newPool(t, pool.Config[*res]{})
			w.createTime = time.Second
			ctx, cancel := context.WithCancel(t.Context())
			var err error
			go func() { err = p.Warm(ctx, 3) }()
			synctest.Wait()
			cancel()
			synctest.Wait()
			require.Equal(t, context.Canceled, err)
			time.Sleep(time.Minute)
			requireGauges(t, p, "total 2: 0 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		})
	})
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
// A deadline that passes while waiting is explained; it matches all the same.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPool(t, pool.Config[*res]{Max: 1})
				l := mustAcquire(t, p)
				ctx, cancel := context.WithCancelCause(t.Context())
				var err error
				go func() { err = enter(ctx, p) }()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				err = enter(ctx, p)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				late, stop := context.WithTimeoutCause(t.Context(), time.Second, errCause)
				defer stop()
				err = enter(late, p)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, errCause)
				var ae *pool.AcquireError
				require.ErrorAs(t, err, &ae)
				require.Equal(t, time.Second, ae.Waited)
				require.NoError(t, l.Release())
			})
		})
	}
}

type key struct{}

// fn's ctx is the caller's or derives from it.
func TestContractFnContextDerives(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		p, _ := newPool(t, pool.Config[*res]{RefuseNested: refuse})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		require.NoError(t, p.With(ctx, func(ctx context.Context, _ *res) error {
			require.Equal(t, "v", ctx.Value(key{}))
			return nil
		}))
		_, err := pool.Use(ctx, p, func(ctx context.Context, _ *res) (int, error) {
			require.Equal(t, "v", ctx.Value(key{}))
			cancel()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			return 0, nil
		})
		require.NoError(t, err)
	}
}

// Cancelling one caller leaves the others alone, and what was begun for it.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1})
		w.createTime = time.Second
		first, second := call(t, p), call(t, p)
		first.cancel() // for whom the creation was begun
		synctest.Wait()
		require.Equal(t, context.Canceled, first.err())
		require.False(t, second.settled())
		time.Sleep(time.Second)
		synctest.Wait()
		require.True(t, second.holds(1))
		require.NoError(t, second.lease().Release())
		require.EqualValues(t, 1, p.Stats().Created)
	})
}

// fn's error comes back as it is, also if it is one of the pool's own.
func TestContractFnErrorUnwrapped(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{IsBroken: func(error) bool { return true }})
	for _, want := range []error{errCause, pool.ErrClosed, context.Canceled} {
		require.Equal(t, want, p.With(t.Context(), func(context.Context, *res) error { return want }))
		v, err := pool.Use(t.Context(), p, func(context.Context, *res) (int, error) { return 3, want })
		require.Equal(t, want, err)
		require.Equal(t, 3, v)
	}
	require.Zero(t, p.Stats().InUse)
}

func explode(context.Context, *res) error { panic(errCause) }

// A panic or Goexit in fn passes through untouched and the room comes back; so
// it does with everything that may observe the call switched on.
func TestContractPanicAndGoexit(t *testing.T) {
	configs := map[string]pool.Config[*res]{
		"plain": {Max: 1},
		"observed": {
			Max: 1, LeakAfter: time.Hour, ReclaimLeaked: true, RefuseNested: true,
			Hooks: pool.Hooks{OnAcquired: func(pool.Acquired) {}, OnReleased: func(pool.Released) {}},
		},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			p, _ := newPool(t, cfg)
			func() {
				defer func() {
					require.Equal(t, errCause, recover())
					// The stack still has the frame that panicked: nothing
					// recovered and panicked again on the way.
					require.Contains(t, string(debug.Stack()), "pool_test.explode")
				}()
				_ = p.With(t.Context(), explode)
			}()
			require.Zero(t, p.Stats().InUse)

			var wg sync.WaitGroup
			wg.Go(func() {
				_, _ = pool.Use(t.Context(), p, func(context.Context, *res) (int, error) {
					runtime.Goexit()
					return 0, nil
				})
			})
			wg.Go(func() {
				l, err := p.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				defer l.Release()
				runtime.Goexit()
			})
			wg.Wait()
			require.Zero(t, p.Stats().InUse)
			require.NoError(t, p.With(t.Context(), func(context.Context, *res) error { return nil }))
		})
	}
}

// Close may be called again, and by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{})
	require.NoError(t, p.Warm(t.Context(), 4))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, p.Close())
	require.NoError(t, p.Drain(t.Context()))
	require.Zero(t, p.Stats().Total)
}

// After Close and after Drain every way in answers ErrClosed, and nothing is
// called.
func TestContractClosedRefuses(t *testing.T) {
	closed, _ := newPool(t, pool.Config[*res]{MinIdle: 1})
	drained, w := newPool(t, pool.Config[*res]{})
	require.NoError(t, closed.Warm(t.Context(), 2))
	require.NoError(t, closed.Close())
	require.NoError(t, drained.Drain(t.Context()))
	for _, p := range []*pool.Pool[*res]{closed, drained} {
		for name, enter := range entries {
			require.Equal(t, pool.ErrClosed, enter(t.Context(), p), name)
		}
		_, ok := p.TryAcquire()
		require.False(t, ok)
		require.Equal(t, pool.ErrClosed, p.Resize(3, 1))
		require.Equal(t, pool.ErrClosed, p.Warm(t.Context(), 1))
		p.Reset()
		require.Zero(t, p.Evict(func(*res) bool { return true }))
		require.Empty(t, p.Holders())
		require.Zero(t, p.Stats().Total)
	}
	require.Zero(t, w.get(most))
}

// At its deadline Drain gives up, refuses those who wait, names those who hold,
// and matches the ctx; their resources are destroyed when they come back.
func TestContractDrainDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Name: "db", Max: 2})
		a := call(t, p)
		time.Sleep(2 * time.Second)
		b := call(t, p)
		waiter := call(t, p)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		err := p.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCause)
		require.EqualError(t, err, "pool: db: drain left 2 in use and refused 1 waiting, #1 held 3s, #2 held 1s: context deadline exceeded: cause")
		synctest.Wait()
		require.Equal(t, pool.ErrClosed, waiter.err())
		require.Equal(t, 2, p.Stats().InUse)
		require.NoError(t, a.lease().Release())
		require.NoError(t, b.lease().Discard())
		require.Equal(t, 2, w.get(destroyed), "on the goroutine that releases, so nothing is left behind")
		require.NoError(t, p.Drain(t.Context()))

		// With nothing left to wait for, a done ctx is no failure.
		require.NoError(t, p.Drain(ctx))
	})
}
