package pool_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// The window doubles while callers are left waiting, and goes back when none is.
func TestCreateWindowOpensWithDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 100, MaxCreating: 16})
		w.createTime = time.Second
		var callers []*caller
		for range 60 {
			callers = append(callers, call(t, p))
		}
		var made []int
		for p.Stats().Waiting > 0 {
			made = append(made, p.Stats().Creating)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		require.Equal(t, []int{2, 8, 16, 16, 16, 2}, made, "and no more than wait")
		require.EqualValues(t, 60, p.Stats().Created)
		require.Equal(t, 16, w.get(mostDials))
		for _, c := range callers {
			require.NoError(t, c.lease().Discard())
		}
		synctest.Wait()
		for range 10 {
			callers = append(callers, call(t, p))
		}
		require.Equal(t, 2, p.Stats().Creating, "from the beginning again")
		time.Sleep(time.Minute)
		for _, c := range callers[60:] {
			require.NoError(t, c.lease().Release())
		}
	})
}

// A rush on few resources that are held for a short time is served by them, and
// not by a connection for each caller.
func TestCreateSpikeMakesFewSurplus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 100})
		require.NoError(t, p.Warm(t.Context(), 5))
		w.set(func(w *world) { w.createTime = 15 * time.Millisecond })
		var waits list[time.Duration]
		for range 50 {
			start := time.Now()
			go func() {
				_ = p.With(context.Background(), func(context.Context, *res) error {
					waits.add(time.Since(start))
					return pause(context.Background(), 200*time.Microsecond)
				})
			}()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, waits.all(), 50)
		require.EqualValues(t, 7, p.Stats().Created, "two surplus, as CreateWindow says")
		require.Equal(t, 1800*time.Microsecond, slices.Max(waits.all()))
	})
}

// While the server is down: one attempt at a time, with pauses that grow, and
// callers are told why at once. Once it is back they are served again.
func TestCreateBacksOffAndFailsFastWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tried list[time.Duration]
		start := time.Now()
		var up atomic.Bool
		p := pool.MustNew(pool.Config[int]{
			Name: "db", Max: 50, Backoff: 100 * time.Millisecond, MaxBackoff: 2 * time.Second,
			Create: func(context.Context) (int, error) {
				tried.add(time.Since(start))
				if !up.Load() {
					return 0, errDown
				}
				return 1, nil
			},
		})
		defer p.Close()

		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrDown)
		require.ErrorIs(t, err, errDown)
		require.EqualError(t, err, "pool: db: cannot create: waited 0s, 0 of 50 in use; last create: connection refused")

		// A thousand callers, and not a thousand attempts. None of them waits,
		// but for the one whose attempt is under way.
		for range 1000 {
			before := time.Now()
			_, err := p.Acquire(t.Context())
			require.ErrorIs(t, err, errDown)
			require.Zero(t, time.Since(before))
			var hint interface{ RetryAfter() time.Duration }
			require.ErrorAs(t, err, &hint)
			require.LessOrEqual(t, hint.RetryAfter(), 2*time.Second)
			time.Sleep(20 * time.Millisecond)
		}
		attempts := tried.all()
		require.InDelta(t, 16, len(attempts), 4) // 20 s with pauses of 0.1, 0.2, … 2 s, less up to a half
		for i := 1; i < len(attempts); i++ {
			pause := min(100*time.Millisecond<<(i-1), 2*time.Second)
			require.GreaterOrEqual(t, attempts[i]-attempts[i-1], pause/2)
			require.LessOrEqual(t, attempts[i]-attempts[i-1], pause+20*time.Millisecond)
		}

		// Somebody was refused, so the pool finds out by itself.
		up.Store(true)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Idle)
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Release())
		require.EqualValues(t, len(tried.all())-1, p.Stats().CreateFailed)
	})
}

// Nobody asks, nobody is refused: nothing is tried.
func TestCreateDoesNotProbeForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{})
		w.createErr = errDown
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, errDown)
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, p.Stats().CreateFailed)
		w.set(func(w *world) { w.createErr = nil })
		require.NoError(t, mustAcquire(t, p).Release(), "the first caller after the pause is the probe")
	})
}

// While one resource lives there is something to wait for.
func TestCreateFailureIsNotFatalWhileSomethingLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 5, AcquireTimeout: time.Minute})
		l := mustAcquire(t, p)
		w.set(func(w *world) { w.createErr = errDown })
		c, d := call(t, p), call(t, p)
		time.Sleep(time.Second)
		require.False(t, c.settled() || d.settled())
		require.Greater(t, p.Stats().CreateFailed, uint64(2), "it goes on trying")
		require.NoError(t, l.Release())
		synctest.Wait()
		require.True(t, c.holds(1))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ErrorIs(t, d.err(), pool.ErrTimeout)
		require.NotErrorIs(t, d.err(), errDown)
		require.EqualError(t, d.err(), "pool: acquire timed out: waited 1m0s, 1 of 5 in use, oldest held 59s; last create: connection refused")
		require.NoError(t, c.lease().Release())
	})
}

// The error of an attempt is for those who waited when it began. Who came later
// waits for the next.
func TestCreateErrorGoesToThoseWhoWaitedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 5, CreateWindow: 1})
		w.createTime, w.fails = time.Second, 1
		first := call(t, p)
		time.Sleep(time.Second / 2)
		second := call(t, p)
		time.Sleep(time.Second / 2)
		synctest.Wait()
		require.ErrorIs(t, first.err(), errDown)
		require.False(t, second.settled())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.True(t, second.holds(1))
		require.NoError(t, second.lease().Release())
	})
}

// With two attempts under way the first to fail says nothing yet.
func TestCreateErrorWaitsForTheOtherAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 5})
		w.createTime, w.fails = time.Second, 1
		a := call(t, p)
		time.Sleep(time.Second / 2)
		b := call(t, p)
		require.Equal(t, 2, p.Stats().Creating)
		time.Sleep(time.Second / 2)
		synctest.Wait()
		require.False(t, a.settled(), "the other attempt may succeed")
		time.Sleep(time.Second / 2)
		synctest.Wait()
		require.True(t, a.holds(1))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, b.err())
		require.NoError(t, a.lease().Release())
		require.NoError(t, b.lease().Release())
	})
}

// CreateTimeout ends an attempt, the caller's deadline its wait, and neither the
// other.
func TestCreateTimeoutAndCallersDeadlineAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, CreateTimeout: 3 * time.Second})
		w.createTime = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c := callWith(ctx, cancel, p)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, c.err(), context.DeadlineExceeded)
		require.Equal(t, time.Second, c.took(), "the wait for a dial counts")
		require.EqualError(t, c.err(), "pool: context deadline exceeded: waited 1s, 0 of 1 in use, 1 being created")
		require.Equal(t, 1, p.Stats().Creating)

		d := call(t, p)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.False(t, d.settled(), "it came after that attempt began")
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.ErrorIs(t, d.err(), pool.ErrDown)
		require.ErrorContains(t, d.err(), "create timed out after 3s")
		w.set(func(w *world) { w.createTime = 0 })
	})
}

// A cold pool with callers that give up sooner than a dial takes fills all the
// same, instead of dialling for ever.
func TestCreateSurvivesCallersThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1})
		w.createTime = 4500 * time.Millisecond
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := p.Acquire(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NoError(t, mustAcquire(t, p).Release())
		require.EqualValues(t, 1, p.Stats().Created)
	})
}

// MinIdle is kept from the first use on, also when the server is down at first.
func TestCreateFillsMinIdleInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 5, MinIdle: 3, Backoff: time.Second})
		w.createErr = errDown
		time.Sleep(time.Hour)
		require.Zero(t, w.get(most), "not before it is used")
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, errDown)
		time.Sleep(time.Minute)
		require.InDelta(t, 18, p.Stats().CreateFailed, 6) // with pauses of 1, 2, 4, 5, 5, … s, less up to a half
		w.set(func(w *world) { w.createErr = nil })
		time.Sleep(5 * time.Second)
		requireGauges(t, p, "total 3: 0 in use, 3 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		a, b := mustAcquire(t, p), mustAcquire(t, p)
		requireGauges(t, p, "total 5: 2 in use, 3 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		c := mustAcquire(t, p)
		requireGauges(t, p, "total 5: 3 in use, 2 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		for _, l := range []pool.Lease[*res]{a, b, c} {
			require.NoError(t, l.Release())
		}
		requireGauges(t, p, "total 5: 0 in use, 5 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
	})
}

// A creation that ignores its ctx still counts, and is kept if it succeeds.
func TestCreateThatIgnoresItsContextCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := pool.MustNew(pool.Config[int]{
			Max: 1, CreateTimeout: time.Second,
			Create: func(context.Context) (int, error) { <-release; return 1, nil },
		})
		defer p.Close()
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrTimeout)
		require.Equal(t, 1, p.Stats().Creating)
		close(release)
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Idle)
	})
}
