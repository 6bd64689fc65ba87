package workerpool

import (
	"context"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// requireEmpty checks that an idle pool holds on to nothing that has passed
// through it.
func requireEmpty(t *testing.T, p *Pool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.keys, "keys")
	require.Empty(t, p.gates, "gates")
	require.Empty(t, p.scopes, "scopes")
	require.Empty(t, p.watches, "watches")
	require.Zero(t, p.watching.Load())
	require.Zero(t, p.gated)
	require.Zero(t, p.callers.len)
	require.Zero(t, p.coming)
	require.Zero(t, p.busy)
	require.False(t, p.waking)
	require.False(t, p.strictLocked(), "an idle queue can be offered")
	require.Zero(t, fullSlots(&p.queue))
	for w := range p.workers {
		require.Nil(t, w.plain)
		require.Nil(t, w.chunk)
		require.Zero(t, w.lent)
	}
}

// Whatever has been in the pool, nothing of it stays.
func TestIdlePoolHoldsOnToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := MustNew(Config{Max: 3, Queue: 8, Hooks: Hooks{OnPanic: func(*PanicError) {}}})
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		limited := p.Limit(1)
		tasks := []func(context.Context){
			func(context.Context) {},
			func(ctx context.Context) { <-time.After(time.Second); <-ctx.Done() },
			func(context.Context) { panic("boom") },
			func(context.Context) { runtime.Goexit() },
			func(ctx context.Context) {
				f, err := Submit(ctx, limited, func(context.Context) (int, error) { return 1, nil })
				if err == nil {
					_, _ = f.Wait(ctx)
				}
			},
			func(ctx context.Context) {
				child, stop := context.WithTimeout(ctx, time.Second)
				defer stop()
				_ = p.Go(child, func(context.Context) {})
				_ = p.Go(ctx, func(ctx context.Context) { <-ctx.Done() })
			},
		}
		var wg sync.WaitGroup
		for i := range 60 {
			task := tasks[i%len(tasks)]
			wg.Go(func() {
				switch i % 4 {
				case 0:
					_ = p.Go(ctx, task)
				case 1:
					_ = p.GoKey(ctx, i%3, task)
				case 2:
					_ = p.WithPriority(High).Go(ctx, task)
				case 3:
					_ = limited.Go(ctx, task)
				}
			})
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		synctest.Wait()
		requireEmpty(t, p)
		require.NoError(t, p.Drain(t.Context()))
		require.Empty(t, p.workers)
	})
}

// The ctx object of a function serves again only for the same parent, and not
// once somebody has asked for more than the parent knows.
func TestJobsOfFunctionsServeAgain(t *testing.T) {
	p := MustNew(Config{Max: 1, SampleEvery: math.MaxInt32})
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type key struct{}
	other := context.WithValue(ctx, key{}, "b")
	var seen []context.Context
	note := func(ctx context.Context) { seen = append(seen, ctx) }
	p.Pause()
	for _, bring := range []struct {
		ctx context.Context
		fn  func(context.Context)
	}{
		{ctx, note}, {ctx, note}, {other, note}, {other, note}, {ctx, note},
		{ctx, func(ctx context.Context) { note(ctx); ctx.Done() }}, {ctx, note},
		{ctx, func(ctx context.Context) { note(ctx); _ = p.Go(ctx, func(context.Context) {}) }}, {ctx, note},
	} {
		require.NoError(t, p.Go(bring.ctx, bring.fn))
	}
	p.Resume()
	require.NoError(t, p.Drain(t.Context()))
	require.Len(t, seen, 9)
	for _, pair := range []struct {
		a, b int
		same bool
	}{{0, 1, true}, {1, 2, false}, {2, 3, true}, {3, 4, false}, {4, 5, true}, {5, 6, false}, {6, 7, true}, {7, 8, false}} {
		require.Equal(t, pair.same, seen[pair.a] == seen[pair.b], "%d and %d", pair.a, pair.b)
	}
	for i, ctx := range seen {
		require.ErrorIs(t, ctx.Err(), context.Canceled, "%d has ended", i)
	}
	requireEmpty(t, p)
}

// Timers are counted like goroutines: Close waits for one that has fired.
func TestCloseWaitsForTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := MustNew(Config{Max: 2, IdleTimeout: time.Second, MaxQueueAge: time.Second})
		for range 10 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(300 * time.Millisecond) }))
		}
		time.Sleep(time.Second)
		require.NoError(t, p.Close())
		require.False(t, p.sweep.armed)
		require.False(t, p.age.armed)
		requireEmpty(t, p)
	})
}

// A burst's memory is given back once the pool has been idle.
func TestBurstGivesItsMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := MustNew(Config{Max: 1, Queue: Unbounded, IdleTimeout: time.Second})
		defer p.Close()
		for range 5000 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) {}))
		}
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Len(t, p.queue.chunks, 1)
		require.Less(t, cap(p.queue.chunks), 8)
		require.Empty(t, p.queue.spare)
	})
}
