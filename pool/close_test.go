package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/pool"
)

// Close tells all who wait at once, although nothing comes back.
func TestCloseWakesAllWaitersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2})
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		var callers []*caller
		for range 20 {
			callers = append(callers, call(t, p))
		}
		start := time.Now()
		require.NoError(t, p.Close())
		synctest.Wait()
		for _, c := range callers {
			require.Equal(t, pool.ErrClosed, c.err())
		}
		require.Zero(t, time.Since(start))
		require.Equal(t, 2, p.Stats().InUse)
		require.False(t, a.Value().ended.Load(), "one in use is left to its holder")
		a.Value().use(t, nil)
		require.NoError(t, a.Release())
		require.NoError(t, b.Release())
		require.Equal(t, 2, w.get(destroyed))
		require.Equal(t, pool.ErrReleased, a.Release())
		require.EqualValues(t, 2, p.Stats().DestroyedClosed)
	})
}

// Close ends creations and checks by their ctx, and returns when they have ended.
func TestCloseEndsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 3, CheckAfter: time.Second})
		require.NoError(t, p.Warm(t.Context(), 1))
		time.Sleep(time.Minute)
		w.set(func(w *world) { w.createTime, w.checkTime = 5*time.Second, 4*time.Second })
		a, b := call(t, p), call(t, p)
		var warm error
		go func() { warm = p.Warm(context.Background(), 3) }()
		requireGauges(t, p, "total 3: 0 in use, 0 idle, 1 checking, 2 creating, 0 closing; 2 waiting")
		start := time.Now()
		require.NoError(t, p.Close())
		require.Zero(t, time.Since(start))
		synctest.Wait()
		require.Equal(t, pool.ErrClosed, a.err())
		require.Equal(t, pool.ErrClosed, b.err())
		require.Equal(t, pool.ErrClosed, warm)
		require.Zero(t, p.Stats().Total)
	})
}

// Every resource is destroyed, whatever becomes of the others, all at the same
// time, and the errors are joined.
func TestCloseDestroysAllAndJoinsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, destroyErr: errBroken, destroyTime: time.Second}
		p := pool.MustNew(w.config(pool.Config[*res]{Name: "db"}))
		require.NoError(t, p.Warm(t.Context(), 3))
		start := time.Now()
		err := p.Close()
		require.Equal(t, time.Second, time.Since(start))
		require.ErrorIs(t, err, errBroken)
		require.EqualError(t, err, "pool: db: close: broken pipe\nbroken pipe\nbroken pipe")
		require.Equal(t, err, p.Close())
		require.Equal(t, 3, w.get(destroyed))
		require.EqualValues(t, 3, p.Stats().DestroyFailed)
	})
}

// A function that does not end cannot hang Close. It is named.
func TestCloseGivesUpOnWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p := pool.MustNew(pool.Config[int]{
			Create: number, Destroy: func(int) error { <-stuck; return nil }, CloseTimeout: 3 * time.Second,
		})
		require.NoError(t, p.Warm(t.Context(), 2))
		start := time.Now()
		require.EqualError(t, p.Close(), "pool: close: pool: 2 functions of the Config still run after 3s")
		require.Equal(t, 3*time.Second, time.Since(start))
		close(stuck)
		synctest.Wait()
		require.NoError(t, p.Close())
	})
}

// A resource that is being destroyed counts toward Max: the server counts it.
// It does so for CloseTimeout, and not for ever.
func TestCloseTimeoutFreesTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, CloseTimeout: 3 * time.Second})
		w.destroyTime = time.Second
		require.NoError(t, mustAcquire(t, p).Discard())
		c := call(t, p)
		requireGauges(t, p, "total 1: 0 in use, 0 idle, 0 checking, 0 creating, 1 closing; 1 waiting")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, time.Second, c.took())
		require.Equal(t, 1, w.get(most))

		w.set(func(w *world) { w.destroyTime = time.Minute })
		require.NoError(t, c.lease().Discard())
		d := call(t, p)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, 3*time.Second, d.took())
		require.NoError(t, d.lease().Release())
		time.Sleep(time.Minute)
		w.set(func(w *world) { w.destroyTime = 0 })
	})
}

// Drain lets those who wait have their turn, and takes nobody new.
func TestDrainServesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, MinIdle: 1})
		l := mustAcquire(t, p)
		c := call(t, p)
		drained := make(chan error, 1)
		go func() { drained <- p.Drain(context.Background()) }()
		synctest.Wait()
		require.Equal(t, pool.ErrClosed, call(t, p).err())
		require.NoError(t, l.Release())
		synctest.Wait()
		require.True(t, c.holds(1))
		require.Empty(t, drained)
		time.Sleep(time.Hour)
		require.NoError(t, c.lease().Discard())
		synctest.Wait()
		require.Len(t, drained, 1, "by the event, without asking again and again")
		require.NoError(t, <-drained)
		time.Sleep(time.Hour)
		require.Zero(t, p.Stats().Total)
		require.Equal(t, 1, w.get(most), "nothing fills it again")
	})
}

// Drain names the holders, eight of them at most.
func TestDrainNamesHolders(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 20, LeakAfter: time.Hour})
	var leases []pool.Lease[*res]
	for range 10 {
		leases = append(leases, mustAcquire(t, p))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Drain(ctx)
	require.ErrorContains(t, err, "pool: drain left 10 in use and refused 0 waiting, #")
	require.ErrorContains(t, err, "by github.com/bedplate/bedplate/pool_test.mustAcquire (helpers_test.go:")
	require.ErrorContains(t, err, ", and 2 more: context canceled")
	for _, l := range leases {
		require.NoError(t, l.Release())
	}
	require.NoError(t, p.Close())
}

// Many may drain.
func TestDrainTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1})
		l := mustAcquire(t, p)
		var drained atomic.Int32
		for i := range 5 {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Second)
				defer cancel()
				if i == 0 {
					ctx = context.Background()
				}
				if p.Drain(ctx) == nil {
					drained.Add(1)
				}
			}()
		}
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, drained.Load())
		require.NoError(t, l.Release())
		synctest.Wait()
		require.EqualValues(t, 2, drained.Load())
	})
}

// After Close the pool has no goroutine and no timer left, however much went on.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for range 20 {
		w := &world{t: t}
		p := pool.MustNew(w.config(pool.Config[*res]{MinIdle: 2, KeepAlive: time.Millisecond, CheckAfter: 1, ReclaimLeaked: true}))
		require.NoError(t, p.Warm(t.Context(), 5))
		for range 50 {
			require.NoError(t, p.With(t.Context(), nil2))
		}
		require.NoError(t, p.Close())
		require.Zero(t, w.get(now))
	}
	goleak.VerifyNone(t, before)
}
