package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// scale is how much a stress test does: less where each step is slower.
func scale(n int) int {
	if raceEnabled || testing.Short() {
		return n / 5
	}
	return n
}

// requireWhole shows that after a storm nothing is lost: every resource is where
// Stats says, all of them can be had at once, and there never were too many.
func requireWhole(t *testing.T, p *pool.Pool[*res], w *world, limit int) {
	t.Helper()
	w.set(func(w *world) { w.createErr, w.fails, w.createTime, w.checkTime, w.destroyTime = nil, 0, 0, 0, 0 })
	require.NoError(t, p.Resize(limit, 0))
	p.Reset()
	leases := make([]pool.Lease[*res], limit)
	var wg sync.WaitGroup
	for i := range leases {
		wg.Go(func() {
			var err error
			if leases[i], err = p.Acquire(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := p.Stats()
	require.Equal(t, limit, s.InUse)
	require.Zero(t, s.Waiting)
	for _, l := range leases {
		l.Value().use(t, nil)
		require.NoError(t, l.Release())
	}
	require.LessOrEqual(t, w.get(most), limit, "more than Max at one time")
	require.NoError(t, p.Close())
	require.Zero(t, p.Stats().Total)
	require.Zero(t, w.get(now), "resources that the pool has lost")
}

// Callers that leave at every moment there is: while they wait, while they are
// granted, during creations and checks that fail, with closings that take time.
func TestStressCancellationStorm(t *testing.T) {
	const limit = 4
	p, w := newPool(t, pool.Config[*res]{
		Max: limit, CheckAfter: 1, Backoff: time.Microsecond, MaxBackoff: 100 * time.Microsecond, KeepAlive: time.Millisecond,
		IsBroken: func(err error) bool { return err == errBroken },
	})
	w.createTime, w.checkTime, w.destroyTime = 50*time.Microsecond, 5*time.Microsecond, 20*time.Microsecond
	var served atomic.Int64
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range scale(1000) {
				ctx, cancel := context.WithCancel(context.Background())
				switch rng.IntN(4) {
				case 0:
					cancel()
					ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rng.IntN(200))*time.Microsecond)
				case 1:
					go cancel()
				}
				err := p.With(ctx, func(_ context.Context, r *res) error {
					served.Add(1)
					r.use(t, func() { runtime.Gosched() })
					switch rng.IntN(20) {
					case 0:
						return errBroken
					case 1:
						r.broken.Store(true)
					}
					return nil
				})
				cancel()
				switch {
				case err == nil, err == errBroken, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
				default:
					t.Errorf("unexpected: %v", err)
				}
				if rng.IntN(50) == 0 {
					w.set(func(w *world) { w.fails = 0 })
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, served.Load())
	requireWhole(t, p, w, limit)
}

// Everything at once.
func TestStressEverything(t *testing.T) {
	const limit = 8
	p, w := newPool(t, pool.Config[*res]{
		Max: limit, MinIdle: 1, CheckAfter: 100 * time.Microsecond, IdleTimeout: time.Millisecond, MaxLifetime: 5 * time.Millisecond,
		LifetimeJitter: 1, Backoff: time.Microsecond, MaxBackoff: 100 * time.Microsecond, LeakAfter: time.Millisecond,
		AcquireTimeout: 2 * time.Second,
	})
	w.createTime, w.destroyTime = 30*time.Microsecond, 10*time.Microsecond
	act := func(rng *rand.Rand) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(2000))*time.Microsecond)
		defer cancel()
		switch rng.IntN(16) {
		case 0:
			if l, ok := p.TryAcquire(); ok {
				l.Value().use(t, nil)
				_ = l.Release()
				_ = l.Discard()
			}
		case 1:
			_ = p.Resize(1+rng.IntN(limit), 0)
		case 2:
			p.Reset()
		case 3:
			p.Evict(func(r *res) bool { r.use(t, nil); return rng.IntN(2) == 0 })
		case 4:
			_ = p.Health(ctx)
		case 5:
			_ = p.Warm(ctx, 1)
		case 6:
			p.Stats()
			p.Holders()
		case 7:
			w.set(func(w *world) { w.fails = rng.IntN(3) })
		case 8:
			if l, err := p.Acquire(ctx); err == nil {
				if err := w.detach(l); err != nil {
					t.Error(err)
				}
			}
		default:
			l, err := p.Acquire(ctx)
			if err != nil {
				return
			}
			l.Value().use(t, func() { runtime.Gosched() })
			if rng.IntN(4) == 0 {
				go func() { _ = l.Discard() }() // whichever comes first
			}
			if err := l.Release(); err != nil && err != pool.ErrReleased {
				t.Error(err)
			}
		}
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			for range scale(1500) {
				act(rng)
			}
		})
	}
	wg.Wait()
	requireWhole(t, p, w, limit)
}

// Many pools are closed and drained while everybody is at them.
func TestStressCloseUnderLoad(t *testing.T) {
	for i := range scale(100) {
		w := &world{t: t, createTime: 20 * time.Microsecond, destroyTime: 10 * time.Microsecond}
		p := pool.MustNew(w.config(pool.Config[*res]{Max: 3, MinIdle: 1, CheckAfter: 1}))
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				for {
					switch err := p.With(context.Background(), func(_ context.Context, r *res) error {
						r.use(t, func() { runtime.Gosched() })
						return nil
					}); {
					case err == pool.ErrClosed:
						return
					case err != nil:
						t.Error(err)
						return
					}
				}
			})
		}
		for p.Stats().Acquired < 50 {
			runtime.Gosched()
		}
		if i%2 == 0 {
			require.NoError(t, p.Drain(t.Context()))
		} else {
			require.NoError(t, p.Close())
		}
		wg.Wait()
		require.Zero(t, p.Stats().Total)
		require.Zero(t, w.get(now))
	}
}

// Callers come, time out and go in great numbers while a few resources are
// handed on: those who still want them get them.
func TestStressTimeoutStorm(t *testing.T) {
	p, w := newPool(t, pool.Config[*res]{Max: 2})
	stop := make(chan struct{})
	var storm, workers sync.WaitGroup
	for range 8 {
		storm.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						if l, err := p.Acquire(ctx); err == nil {
							_ = l.Release()
						}
					})
				}
				wg.Wait()
				cancel()
			}
		})
	}
	for range 4 {
		workers.Go(func() {
			for range scale(500) {
				if err := p.With(context.Background(), func(_ context.Context, r *res) error { r.use(t, nil); return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	storm.Wait()
	requireWhole(t, p, w, 2)
}
