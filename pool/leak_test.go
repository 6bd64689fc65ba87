package pool_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// forget acquires and does not release.
func forget(t *testing.T, p *pool.Pool[*res]) pool.Lease[*res] { return mustAcquire(t, p) }

// A resource held for LeakAfter is reported once, with who acquired it.
func TestLeakIsReportedOnceWithItsHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told list[pool.Leak]
		p, _ := newPool(t, pool.Config[*res]{
			Name: "db", LeakAfter: time.Minute, Hooks: pool.Hooks{OnLeak: told.add},
		})
		l := forget(t, p)
		for range 30 { // others come and go
			other := mustAcquire(t, p)
			time.Sleep(time.Second)
			require.NoError(t, other.Release())
		}
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		require.Empty(t, told.all())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, told.all(), 1)
		leak := told.all()[0]
		require.Equal(t, "db", leak.Name)
		require.False(t, leak.Reclaimed)
		require.EqualValues(t, 1, leak.Holder.ID)
		require.Equal(t, time.Minute, leak.Holder.Held)
		require.Contains(t, leak.Holder.Caller, "pool_test.mustAcquire (helpers_test.go:")
		require.Contains(t, leak.Holder.Stack, "pool_test.forget\n\t")
		require.Contains(t, leak.Holder.Stack, "leak_test.go:")
		require.NotContains(t, leak.Holder.Stack, "pool.(*Pool", "the pool's own frames say nothing")
		time.Sleep(time.Hour)
		require.Len(t, told.all(), 1)
		require.NoError(t, l.Release())

		// The next holder of the same resource is a case of its own.
		l = mustAcquire(t, p)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, told.all(), 2)
		require.NoError(t, l.Release())
		require.EqualValues(t, 2, p.Stats().Leaks)
	})
}

// One that waited is known as well.
func TestLeakOfAWaiterIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told list[pool.Leak]
		p, _ := newPool(t, pool.Config[*res]{
			Max: 1, LeakAfter: time.Minute, Hooks: pool.Hooks{OnLeak: told.add},
		})
		l := mustAcquire(t, p)
		c := call(t, p)
		require.NoError(t, l.Release())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, told.all(), 1)
		require.Contains(t, told.all()[0].Holder.Caller, "pool_test.callWith")
		require.NoError(t, c.lease().Release())
	})
}

func TestHoldersListsLongestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 3})
		require.Empty(t, p.Holders())
		var leases []pool.Lease[*res]
		for range 3 {
			leases = append(leases, mustAcquire(t, p))
			time.Sleep(time.Second)
		}
		require.Equal(t, []pool.Holder{
			{ID: 1, Held: 3 * time.Second}, {ID: 2, Held: 2 * time.Second}, {ID: 3, Held: time.Second},
		}, p.Holders())
		require.NoError(t, leases[0].Release())
		require.Len(t, p.Holders(), 2)

		// Errors name the oldest, whoever that is by then.
		a, b := mustAcquire(t, p), leases[1]
		for _, want := range []time.Duration{12 * time.Second, 21 * time.Second} {
			_, err := p.Acquire(t.Context())
			var ae *pool.AcquireError
			require.ErrorAs(t, err, &ae)
			require.Equal(t, want, ae.OldestHold)
			_ = b.Release()
			b = mustAcquire(t, p)
		}
		for _, l := range []pool.Lease[*res]{a, b, leases[2]} {
			require.NoError(t, l.Release())
		}
	})
}

// A timeout says who has the resource.
func TestLeakedHolderIsNamedInTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1, LeakAfter: time.Hour})
		l := forget(t, p)
		_, err := p.Acquire(t.Context())
		require.ErrorContains(t, err, "oldest held 10s by github.com/bedplate/bedplate/pool_test.mustAcquire (helpers_test.go:")
		require.NoError(t, l.Release())
	})
}

// collect runs the garbage collector until done says so.
func collect(t *testing.T, done func() bool) {
	t.Helper()
	for range 200 {
		runtime.GC()
		if done() {
			return
		}
		_ = pause(t.Context(), 20*time.Millisecond)
	}
	t.Error("the collector found nothing")
}

// A lease that was dropped gives its room back, and one that is kept does not.
func TestLeakReclaimedByTheCollector(t *testing.T) {
	var told list[pool.Leak]
	p, w := newPool(t, pool.Config[*res]{
		Max: 2, ReclaimLeaked: true, LeakAfter: time.Hour,
		Hooks: pool.Hooks{OnLeak: told.add},
	})
	kept := mustAcquire(t, p)
	func() {
		l := forget(t, p)
		l.Value().use(t, nil)
	}()
	require.Equal(t, 2, p.Stats().InUse)
	collect(t, func() bool { return p.Stats().DestroyedReclaimed == 1 && p.Stats().Closing == 0 })
	require.Equal(t, 1, p.Stats().InUse)
	require.Equal(t, 1, w.get(destroyed))
	require.Len(t, told.all(), 1)
	require.True(t, told.all()[0].Reclaimed)
	require.Contains(t, told.all()[0].Holder.Stack, "pool_test.forget")
	require.NoError(t, mustAcquire(t, p).Release(), "there is room again")
	require.NoError(t, kept.Release())

	// Those that end as they should are nobody's business.
	for range 100 {
		require.NoError(t, p.With(t.Context(), nil2))
	}
	runtime.GC()
	require.EqualValues(t, 1, p.Stats().DestroyedReclaimed)
}

// A waiter gets the room of a lease that was dropped, also in a bubble, where
// cleanups run outside.
func TestLeakReclaimedForAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1, ReclaimLeaked: true, AcquireTimeout: time.Hour})
		func() { forget(t, p) }()
		c := call(t, p)
		for range 200 {
			runtime.GC()
			time.Sleep(time.Second)
			if c.settled() {
				break
			}
		}
		require.True(t, c.holds(2))
		require.NoError(t, c.lease().Release())
	})
}

// Hooks see what happens, in order.
func TestHooksTellTheStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var story list[any]
		w := &world{t: t, createTime: 2 * time.Second, destroyErr: errBroken}
		p := pool.MustNew(w.config(pool.Config[*res]{
			Name: "db", Max: 1, AcquireTimeout: 5 * time.Second,
			Hooks: pool.Hooks{
				OnCreated:   func(e pool.Created) { story.add(e) },
				OnDestroyed: func(e pool.Destroyed) { story.add(e) },
				OnAcquired:  func(e pool.Acquired) { story.add(e) },
				OnReleased:  func(e pool.Released) { story.add(e) },
				OnRefused:   func(e pool.Refused) { story.add(e.Name + ": " + e.Err.Error()) },
			},
		}))
		l := mustAcquire(t, p)
		_, err := p.Acquire(t.Context())
		require.Error(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		c := callWith(ctx, cancel, p)
		cancel()
		synctest.Wait()
		require.Error(t, c.err())
		require.NoError(t, l.Release())
		l = mustAcquire(t, p)
		require.NoError(t, l.Discard())
		synctest.Wait()
		require.NoError(t, p.Close())
		require.Equal(t, []any{
			pool.Created{Name: "db", ID: 1, Took: 2 * time.Second},
			pool.Acquired{Name: "db", ID: 1, Waited: 2 * time.Second},
			"db: pool: db: acquire timed out: waited 5s, 1 of 1 in use, oldest held 5s",
			pool.Released{Name: "db", ID: 1, Held: 5 * time.Second},
			pool.Acquired{Name: "db", ID: 1},
			pool.Released{Name: "db", ID: 1},
			pool.Destroyed{Name: "db", ID: 1, Reason: pool.Discarded, Age: 5 * time.Second, Err: errBroken},
		}, sorted(story.all()))
	})
}

// sorted puts the first two events in order: the creation is told by the pool
// and the acquire by the caller, at the same time.
func sorted(story []any) []any {
	if _, ok := story[0].(pool.Acquired); ok {
		story[0], story[1] = story[1], story[0]
	}
	for i := 1; i < len(story); i++ { // the same holds for the end
		if _, ok := story[i-1].(pool.Destroyed); ok {
			story[i-1], story[i] = story[i], story[i-1]
		}
	}
	return story
}

// A hook that panics does so where the event came from, and nothing is lost.
func TestHookPanicLosesNothing(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 1, Hooks: pool.Hooks{OnAcquired: func(pool.Acquired) { panic("boom") }}})
	require.Panics(t, func() { _, _ = p.Acquire(t.Context()) })
	require.Zero(t, p.Stats().InUse)
	require.Panics(t, func() { p.TryAcquire() })
	require.Zero(t, p.Stats().InUse)
}
