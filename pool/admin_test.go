package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

func TestWarmFillsAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Name: "db", Max: 8})
		w.createTime = time.Second
		require.NoError(t, p.Warm(t.Context(), 0))
		require.NoError(t, p.Warm(t.Context(), 5))
		require.Equal(t, 5, p.Stats().Idle)
		require.NoError(t, p.Warm(t.Context(), 5))
		require.EqualValues(t, 5, p.Stats().Created)
		require.EqualError(t, p.Warm(t.Context(), 9), "pool: Warm of 9, want 0 to 8")
		require.EqualError(t, p.Warm(t.Context(), -1), "pool: Warm of -1, want 0 to 8")

		w.set(func(w *world) { w.createErr = errDown })
		err := p.Warm(t.Context(), 8)
		require.ErrorIs(t, err, errDown)
		require.EqualError(t, err, "pool: db: warm: 5 of 8 ready: connection refused")
		time.Sleep(time.Minute)
		require.Equal(t, 5, p.Stats().Total)
	})
}

// Those in use count, and two calls of Warm do not add up.
func TestWarmTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 8})
		l := mustAcquire(t, p)
		w.set(func(w *world) { w.createTime = time.Second })
		var answers atomic.Int32
		for _, n := range []int{4, 2, 3} {
			go func() {
				if p.Warm(context.Background(), n) == nil {
					answers.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, answers.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 3, answers.Load())
		require.Equal(t, 4, p.Stats().Total)
		require.NoError(t, l.Release())
	})
}

func TestResizeGrowsAndShrinksUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2})
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		c, d := call(t, p), call(t, p)
		require.NoError(t, p.Resize(4, 0))
		synctest.Wait()
		require.True(t, c.settled() && d.settled())
		require.NoError(t, p.Resize(1, 0))
		require.Equal(t, 4, p.Stats().InUse, "nothing is taken from anybody")
		e := call(t, p)
		require.NoError(t, a.Release())
		require.NoError(t, b.Release())
		require.NoError(t, c.lease().Release())
		requireGauges(t, p, "total 1: 1 in use, 0 idle, 0 checking, 0 creating, 0 closing; 1 waiting")
		require.NoError(t, d.lease().Release())
		synctest.Wait()
		require.True(t, e.settled())
		require.NoError(t, e.lease().Release())
		require.EqualValues(t, 3, p.Stats().DestroyedSurplus)

		require.NoError(t, p.Resize(6, 3))
		requireGauges(t, p, "total 3: 0 in use, 3 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.NoError(t, p.Resize(2, 1))
		requireGauges(t, p, "total 2: 0 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.Equal(t, 4, w.get(most))

		require.EqualError(t, p.Resize(0, 0), "pool: Resize to a Max of 0, want 1 to 2147483647")
		require.EqualError(t, p.Resize(3, 4), "pool: Resize to a MinIdle of 4, want 0 to Max, which is 3")
		require.EqualError(t, p.Resize(3, -1), "pool: Resize to a MinIdle of -1, want 0 to Max, which is 3")
		require.Equal(t, 2, p.Stats().Max)
	})
}

// Reset replaces everything there is, wherever it is.
func TestResetReplacesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 4, CheckAfter: time.Second})
		require.NoError(t, p.Warm(t.Context(), 3))
		time.Sleep(time.Minute)
		held := mustAcquire(t, p)
		w.set(func(w *world) { w.checkTime, w.createTime = 4*time.Second, 4*time.Second })
		a, b, c := call(t, p), call(t, p), call(t, p)
		requireGauges(t, p, "total 4: 1 in use, 0 idle, 2 checking, 1 creating, 0 closing; 3 waiting")
		p.Reset()
		require.NoError(t, held.Release())
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, c := range []*caller{a, b, c} {
			require.NoError(t, c.err())
			require.Greater(t, c.lease().Value().id, 4, "made after the Reset")
			require.NoError(t, c.lease().Release())
		}
		require.EqualValues(t, 4, p.Stats().DestroyedOutdated)
		p.Reset()
		synctest.Wait()
		require.Zero(t, p.Stats().Total)
	})
}

// A Reset tries again at once: what was down may be another server now.
func TestResetForgetsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Backoff: time.Hour})
		w.fails = 1
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, errDown)
		_, err = p.Acquire(t.Context())
		require.ErrorIs(t, err, errDown)
		p.Reset()
		require.NoError(t, mustAcquire(t, p).Release())
	})
}

// Evict sees idle ones alone, one at a time, and the others stay to be had.
func TestEvictSeesIdleOnesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 5})
		require.NoError(t, p.Warm(t.Context(), 5))
		held := mustAcquire(t, p)
		var seen []int
		n := p.Evict(func(v *res) bool {
			require.Zero(t, v.users.Load())
			seen = append(seen, v.id)
			l, ok := p.TryAcquire()
			require.True(t, ok, "the pool is not locked, and not empty")
			require.NotSame(t, v, l.Value())
			require.NoError(t, l.Release())
			return len(seen) == 2 || v == held.Value()
		})
		require.Equal(t, 1, n)
		require.Len(t, seen, 4)
		require.NotContains(t, seen, held.Value().id)
		requireGauges(t, p, "total 4: 1 in use, 3 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.EqualValues(t, 1, p.Stats().DestroyedEvicted)
		require.Panics(t, func() { p.Evict(func(*res) bool { panic("boom") }) })
		require.Equal(t, 3, p.Stats().Idle, "and none is lost")
		require.NoError(t, held.Release())
	})
}

func TestHealthProvesAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, CheckAfter: time.Hour})
		require.NoError(t, p.Health(t.Context()))
		require.Equal(t, 1, w.get(checks), "although it is fresh")
		require.Equal(t, 1, p.Stats().Idle)
		w.made[0].broken.Store(true)
		require.Equal(t, errBroken, p.Health(t.Context()))
		require.NoError(t, p.Health(t.Context()), "the broken one is gone")

		// A caller that leaves does not break off the check.
		w.set(func(w *world) { w.checkTime = 2 * time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, p.Health(ctx))
		require.Equal(t, 1, p.Stats().InUse)
		time.Sleep(time.Second)
		requireGauges(t, p, "total 1: 0 in use, 1 idle, 0 checking, 0 creating, 0 closing; 0 waiting")

		l := mustAcquire(t, p)
		require.ErrorIs(t, p.Health(t.Context()), pool.ErrTimeout, "nothing comes back")
		require.NoError(t, l.Release())

		bare := pool.MustNew(pool.Config[int]{Create: number})
		require.NoError(t, bare.Health(t.Context()))
		require.NoError(t, bare.Close())
	})
}
