package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// TestSynctestSafe uses the package in two bubbles in a row, and again outside:
// nothing at package level ties them together.
func TestSynctestSafe(t *testing.T) {
	use := func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 2, MinIdle: 1, LeakAfter: time.Hour})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 10 {
					if err := p.With(context.Background(), func(_ context.Context, v *res) error {
						v.use(t, nil)
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, a.Release())
		require.NoError(t, b.Release())
	}
	synctest.Test(t, use)
	synctest.Test(t, use)
	use(t)
}

// The callers in line time out in the order in which they came, by one timer.
func TestTimeAcquireTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Name: "db", Max: 1, AcquireTimeout: 3 * time.Second})
		l := mustAcquire(t, p)
		a := call(t, p)
		time.Sleep(time.Second)
		b := call(t, p)
		time.Sleep(2*time.Second - 1)
		require.False(t, a.settled())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, a.err(), pool.ErrTimeout)
		require.NotErrorIs(t, a.err(), context.DeadlineExceeded)
		require.EqualError(t, a.err(), "pool: db: acquire timed out: waited 3s, 1 of 1 in use, 1 waiting, oldest held 3s")
		require.False(t, b.settled())
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, b.err(), pool.ErrTimeout)
		require.Equal(t, 3*time.Second, b.took())
		require.NoError(t, l.Release())
		require.EqualValues(t, 2, p.Stats().TimedOut)
	})
}

func TestTimeManyTimeOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1, AcquireTimeout: time.Second, MaxWaiting: 2000})
		l := mustAcquire(t, p)
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				if _, err := p.Acquire(context.Background()); err == nil {
					t.Error("acquired")
				}
			})
		}
		synctest.Wait()
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrFull)
		start := time.Now()
		wg.Wait()
		require.Equal(t, time.Second, time.Since(start))
		require.EqualValues(t, 2000, p.Stats().TimedOut)
		require.NoError(t, l.Release())
		require.NoError(t, mustAcquire(t, p).Release())
	})
}

// A resource is checked before it is handed out if it has not been used for
// CheckAfter; one that fails is destroyed and the same caller gets another.
func TestTimeCheckOnBorrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 3, CheckAfter: time.Second})
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		require.NoError(t, a.Release())
		require.NoError(t, b.Release())
		require.NoError(t, mustAcquire(t, p).Release())
		require.Zero(t, w.get(checks), "fresh from use")

		time.Sleep(time.Second)
		require.NoError(t, mustAcquire(t, p).Release())
		require.Equal(t, 1, w.get(checks))
		require.NoError(t, mustAcquire(t, p).Release())
		require.Equal(t, 1, w.get(checks), "proved by use")

		time.Sleep(time.Second)
		w.made[0].broken.Store(true)
		w.made[1].broken.Store(true)
		l := mustAcquire(t, p)
		require.Equal(t, 3, l.Value().id, "both broken ones are gone and a new one was made")
		require.Equal(t, 3, w.get(checks))
		require.NoError(t, l.Release())
		synctest.Wait()
		s := p.Stats()
		require.EqualValues(t, 2, s.DestroyedBroken)
		require.Equal(t, 1, s.Total)
		require.EqualValues(t, 3, s.Checks.Count)
	})
}

// What broke one may have broken all: after a server's restart nobody gets a
// resource just because it was used a moment ago.
func TestTimeOneBrokenMakesAllSuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{
			Max: 3, CheckAfter: time.Hour, IsBroken: func(err error) bool { return err == errBroken },
		})
		require.NoError(t, p.Warm(t.Context(), 3))
		for _, r := range w.made {
			r.broken.Store(true)
		}
		require.Equal(t, errBroken, p.With(t.Context(), func(context.Context, *res) error { return errBroken }))
		require.NoError(t, p.With(t.Context(), func(_ context.Context, v *res) error {
			require.False(t, v.broken.Load())
			return nil
		}))
		synctest.Wait()
		require.EqualValues(t, 3, p.Stats().DestroyedBroken)
	})
}

// A caller that leaves during a check neither waits for it nor breaks it off.
func TestTimeCheckIsNobodysOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, CheckAfter: time.Second, CheckTimeout: 5 * time.Second})
		require.NoError(t, mustAcquire(t, p).Release())
		time.Sleep(time.Minute)
		w.set(func(w *world) { w.checkTime = 2 * time.Second })
		c := call(t, p)
		require.Equal(t, 1, p.Stats().Checking)
		c.cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, c.err())
		require.Equal(t, 1, p.Stats().Checking)
		d := call(t, p)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.True(t, d.holds(1))
		require.NoError(t, d.lease().Release())

		// One that hangs ends with its own timeout, and so does the resource.
		time.Sleep(time.Minute)
		w.set(func(w *world) { w.checkTime = time.Hour })
		e := call(t, p)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.True(t, e.holds(2))
		require.Equal(t, 5*time.Second, e.took())
		require.NoError(t, e.lease().Release())
	})
}

// Idle ones are destroyed after IdleTimeout, the longest unused first, down to
// MinIdle and no further; those never used age as well.
func TestTimeIdleTimeoutStopsAtMinIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 6, MinIdle: 2, IdleTimeout: time.Minute, MaxLifetime: 1 << 62})
		require.NoError(t, p.Warm(t.Context(), 6))
		l := mustAcquire(t, p)
		used := l.Value()
		time.Sleep(30 * time.Second)
		require.NoError(t, l.Release())
		time.Sleep(30 * time.Second)
		requireGauges(t, p, "total 2: 0 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.EqualValues(t, 4, p.Stats().DestroyedIdle)
		require.False(t, used.ended.Load(), "the one used last is still there")
		time.Sleep(24 * time.Hour)
		requireGauges(t, p, "total 2: 0 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.EqualValues(t, 6, p.Stats().Created, "nothing was destroyed to be made again")
	})
}

// No resource is handed out that is older than MaxLifetime, not even one that
// is released in the very moment, and the ages at which they end are spread.
func TestTimeMaxLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ages list[time.Duration]
		p, _ := newPool(t, pool.Config[*res]{
			Max: 200, MaxLifetime: time.Hour, LifetimeJitter: 0.5, IdleTimeout: 1 << 62, CheckAfter: 1 << 62,
			Hooks: pool.Hooks{OnDestroyed: func(d pool.Destroyed) {
				if d.Reason == pool.Expired {
					ages.add(d.Age)
				}
			}},
		})
		var leases []pool.Lease[*res]
		for range 100 {
			leases = append(leases, mustAcquire(t, p))
		}
		for _, l := range leases {
			require.NoError(t, l.Release())
		}
		time.Sleep(30 * time.Minute)
		require.Equal(t, 100, p.Stats().Idle)
		for range 180 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		require.Zero(t, p.Stats().Total)
		require.Len(t, ages.all(), 100)
		var early int
		for _, age := range ages.all() {
			require.GreaterOrEqual(t, age, 30*time.Minute)
			require.LessOrEqual(t, age, time.Hour)
			if age < 45*time.Minute {
				early++
			}
		}
		require.InDelta(t, 50, early, 25)

		// One in use is left alone, and ends with its release.
		l := mustAcquire(t, p)
		time.Sleep(2 * time.Hour)
		require.False(t, l.Value().ended.Load())
		require.NoError(t, l.Release())
		synctest.Wait()
		require.Zero(t, p.Stats().Total)
		require.Len(t, ages.all(), 101)
	})
}

// The successor of a resource that has to be kept ready is there before it goes.
func TestTimeLifetimeCreatesBeforeItDestroys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{
			Max: 3, MinIdle: 1, MaxLifetime: time.Hour, IdleTimeout: 1 << 62, CreateTimeout: 10 * time.Second,
		})
		w.createTime = 3 * time.Second
		require.NoError(t, p.Warm(t.Context(), 1))
		for range 24 * 3600 {
			time.Sleep(time.Second)
			require.GreaterOrEqual(t, p.Stats().Idle, 1)
		}
		require.InDelta(t, 24, p.Stats().DestroyedExpired, 3)
		require.Equal(t, 2, w.get(most))
	})
}

// KeepAlive checks what is idle that often, leaves the order as it is, and does
// not make it look used.
func TestTimeKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 3, KeepAlive: time.Minute, IdleTimeout: time.Hour, CheckAfter: 1 << 62, MaxLifetime: 1 << 62})
		require.NoError(t, p.Warm(t.Context(), 3))
		for range 3 {
			time.Sleep(10 * time.Second)
			require.NoError(t, mustAcquire(t, p).Release()) // the top one is in use
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, w.get(checks))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, w.get(checks))
		last := mustAcquire(t, p)
		require.Equal(t, 3, last.Value().id, "the one used last")
		require.NoError(t, last.Release())

		w.made[0].broken.Store(true)
		time.Sleep(time.Minute)
		requireGauges(t, p, "total 2: 0 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		time.Sleep(time.Hour)
		require.Zero(t, p.Stats().Total, "kept alive for IdleTimeout")
		require.EqualValues(t, 2, p.Stats().DestroyedIdle)
	})
}

// One that was kept alive a moment ago is handed out before one that was used
// later, but needs a check.
func TestTimeFreshOneBelowAStaleOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2, KeepAlive: 10 * time.Second, CheckAfter: 2 * time.Second})
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		require.NoError(t, a.Release()) // the lower one, kept alive after 10 s
		time.Sleep(9 * time.Second)
		require.NoError(t, b.Release())
		time.Sleep(2500 * time.Millisecond)
		w.set(func(w *world) { w.checkTime = time.Second })
		c := call(t, p)
		require.True(t, c.holds(1), "at once")
		requireGauges(t, p, "total 2: 1 in use, 0 idle, 1 checking, 0 creating, 0 closing; 0 waiting")
		time.Sleep(time.Second)
		require.NoError(t, c.lease().Release())
	})
}

// MinIdle is kept by a busy pool as well, whose acquires take the short path.
func TestTimeMinIdleOfABusyPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 4, MinIdle: 2})
		for range 100 {
			require.NoError(t, mustAcquire(t, p).Release())
		}
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		requireGauges(t, p, "total 4: 2 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.NoError(t, a.Release())
		require.NoError(t, b.Release())
	})
}

// A busy pool reads a clock that its janitor moves, and still knows the time to
// within a tick; one that is asked seldom reads its own.
func TestTimeCoarseClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2, CheckAfter: 4 * time.Second})
		for range 100 { // busy
			require.NoError(t, mustAcquire(t, p).Release())
		}
		l := mustAcquire(t, p)
		time.Sleep(10 * time.Second)
		require.Equal(t, 10*time.Second, p.Holders()[0].Held)
		require.NoError(t, l.Release())
		for range 100 {
			time.Sleep(time.Second)
			require.NoError(t, mustAcquire(t, p).Release())
		}
		require.Zero(t, w.get(checks))
		time.Sleep(4 * time.Second)
		require.NoError(t, mustAcquire(t, p).Release())
		require.Equal(t, 1, w.get(checks))

		// Busy all the time, for longer than one that is idle may be.
		other := mustAcquire(t, p)
		idle := mustAcquire(t, p)
		require.NoError(t, idle.Release())
		require.NoError(t, other.Release())
		for range 1000 {
			for range 20 {
				require.NoError(t, mustAcquire(t, p).Release())
			}
			time.Sleep(time.Second)
		}
		requireGauges(t, p, "total 1: 0 in use, 1 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.EqualValues(t, 1, p.Stats().DestroyedIdle)
	})
}

// Durations at the end of their range are no times in the past.
func TestTimeLongestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forever = 1<<63 - 1
		p, w := newPool(t, pool.Config[*res]{
			Max: 2, AcquireTimeout: forever, CreateTimeout: forever, CheckTimeout: forever, CloseTimeout: forever,
			CheckAfter: forever, KeepAlive: forever, IdleTimeout: forever, MaxLifetime: forever, LifetimeJitter: 1e-12,
			Backoff: forever, MaxBackoff: forever, LeakAfter: forever,
		})
		for range 3 {
			a, b := mustAcquire(t, p), mustAcquire(t, p)
			c := call(t, p)
			require.False(t, c.settled())
			require.NoError(t, a.Release())
			synctest.Wait()
			require.True(t, c.settled())
			require.NoError(t, b.Release())
			require.NoError(t, c.lease().Release())
			time.Sleep(24 * 365 * time.Hour)
		}
		require.EqualValues(t, 2, p.Stats().Created)
		require.Zero(t, w.get(checks))
		p.Reset()
		w.set(func(w *world) { w.createErr = errDown })
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, errDown)
	})
}
