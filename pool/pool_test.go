package pool_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

func TestPoolNewChecksConfig(t *testing.T) {
	check := func(context.Context, int) error { return nil }
	for want, cfg := range map[string]pool.Config[int]{
		"pool: Config.Create is nil, want a function":                    {},
		"pool: Config.Max is -1, want 0 to 2147483647":                   {Create: number, Max: -1},
		"pool: Config.MinIdle is -2, want 0 to 2147483647":               {Create: number, MinIdle: -2},
		"pool: Config.MinIdle is 11, want ≤ Max, which is 10":            {Create: number, MinIdle: 11},
		"pool: Config.MaxWaiting is -1, want 0 to 2147483647":            {Create: number, MaxWaiting: -1},
		"pool: Config.AcquireTimeout is -1s, want ≥ 0":                   {Create: number, AcquireTimeout: -time.Second},
		"pool: Config.CreateTimeout is -1s, want ≥ 0":                    {Create: number, CreateTimeout: -time.Second},
		"pool: Config.CheckTimeout is -1s, want ≥ 0":                     {Create: number, CheckTimeout: -time.Second},
		"pool: Config.CloseTimeout is -1s, want ≥ 0":                     {Create: number, CloseTimeout: -time.Second},
		"pool: Config.CheckAfter is -1s, want ≥ 0":                       {Create: number, CheckAfter: -time.Second},
		"pool: Config.KeepAlive is -1s, want ≥ 0":                        {Create: number, KeepAlive: -time.Second},
		"pool: Config.KeepAlive is 1s, want 0 without a Check":           {Create: number, KeepAlive: time.Second},
		"pool: Config.IdleTimeout is -1s, want ≥ 0":                      {Create: number, IdleTimeout: -time.Second},
		"pool: Config.MaxLifetime is -1s, want ≥ 0":                      {Create: number, MaxLifetime: -time.Second},
		"pool: Config.LifetimeJitter is -0.5, want 0 to 1":               {Create: number, LifetimeJitter: -0.5},
		"pool: Config.LifetimeJitter is 1.5, want 0 to 1":                {Create: number, LifetimeJitter: 1.5},
		"pool: Config.LifetimeJitter is NaN, want 0 to 1":                {Create: number, LifetimeJitter: math.NaN()},
		"pool: Config.CreateWindow is -1, want 0 to 2147483647":          {Create: number, CreateWindow: -1},
		"pool: Config.MaxCreating is 1, want ≥ CreateWindow, which is 2": {Create: number, MaxCreating: 1},
		"pool: Config.Backoff is -1s, want ≥ 0":                          {Create: number, Backoff: -time.Second},
		"pool: Config.MaxBackoff is 1s, want ≥ Backoff, which is 1m0s":   {Create: number, Backoff: time.Minute, MaxBackoff: time.Second},
		"pool: Config.LeakAfter is -1s, want ≥ 0":                        {Create: number, LeakAfter: -time.Second},
	} {
		_, err := pool.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { pool.MustNew(cfg) })
	}
	p, err := pool.New(pool.Config[int]{Create: number, Check: check, KeepAlive: time.Minute, Backoff: time.Hour})
	require.NoError(t, err, "MaxBackoff follows a long Backoff")
	require.NoError(t, p.Close())
}

// What is left zero is what the comments say: no MinIdle of 2 by accident.
func TestPoolZeroMeansZeroOrTheDefault(t *testing.T) {
	p := pool.MustNew(pool.Config[int]{Create: number})
	defer p.Close()
	require.Equal(t, pool.Stats{Max: 10}, p.Stats())
	require.Empty(t, p.Stats().Name)
}

func TestPoolNewStartsNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	p, w := newPool(t, pool.Config[*res]{MinIdle: 3})
	require.Equal(t, before, runtime.NumGoroutine())
	require.Zero(t, w.get(most))
	require.Zero(t, p.Stats().Total)
}

func TestPoolAcquireTakesTheOneUsedLast(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{})
	a, b := mustAcquire(t, p), mustAcquire(t, p)
	first, second := a.Value(), b.Value()
	require.NotEqual(t, first.id, second.id)
	require.NoError(t, a.Release())
	require.NoError(t, b.Release())
	l := mustAcquire(t, p)
	require.Same(t, second, l.Value())
	require.NoError(t, l.Release())
}

// A resource goes straight to the caller it is given to: it is never in a list
// from which somebody else could take it in between.
func TestPoolNewResourceGoesToTheFirstWaiterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2})
		w.createTime = time.Second
		a, b, c := call(t, p), call(t, p), call(t, p)
		requireGauges(t, p, "total 2: 0 in use, 0 idle, 0 checking, 2 creating, 0 closing; 3 waiting")
		time.Sleep(time.Second)
		requireGauges(t, p, "total 2: 2 in use, 0 idle, 0 checking, 0 creating, 0 closing; 1 waiting")
		require.True(t, a.settled() && b.settled() && !c.settled())
		require.NotSame(t, a.lease().Value(), b.lease().Value())
		require.NoError(t, b.lease().Release())
		synctest.Wait()
		require.True(t, c.settled())
		require.NoError(t, a.lease().Release())
		require.NoError(t, c.lease().Release())
	})
}

func TestPoolFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1})
		l := mustAcquire(t, p)
		var callers []*caller
		for range 5 {
			callers = append(callers, call(t, p))
			synctest.Wait()
		}
		for i, c := range callers {
			require.NoError(t, l.Release())
			_, ok := p.TryAcquire()
			require.False(t, ok, "a newcomer does not pass those who wait")
			synctest.Wait()
			for j, other := range callers {
				require.Equal(t, j <= i, other.settled())
			}
			l = c.lease()
		}
		require.NoError(t, l.Release())
	})
}

// Whoever waits is served by whichever comes first: here a release, long before
// the creation that was begun for it.
func TestPoolWaiterTakesWhicheverComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 2})
		l := mustAcquire(t, p)
		w.set(func(w *world) { w.createTime = 5 * time.Second })
		c := call(t, p)
		requireGauges(t, p, "total 2: 1 in use, 0 idle, 0 checking, 1 creating, 0 closing; 1 waiting")
		require.NoError(t, l.Release())
		synctest.Wait()
		require.True(t, c.holds(1))
		require.Zero(t, c.took())
		time.Sleep(5 * time.Second)
		requireGauges(t, p, "total 2: 1 in use, 1 idle, 0 checking, 0 creating, 0 closing; 0 waiting")
		require.NoError(t, c.lease().Release())
	})
}

// Whatever makes room or a resource, a waiter gets it.
func TestPoolRoomIsNeverLeftToNobody(t *testing.T) {
	for name, free := range map[string]func(p *pool.Pool[*res], w *world, l pool.Lease[*res]){
		"Release":        func(_ *pool.Pool[*res], _ *world, l pool.Lease[*res]) { _ = l.Release() },
		"Discard":        func(_ *pool.Pool[*res], _ *world, l pool.Lease[*res]) { _ = l.Discard() },
		"failed Destroy": func(_ *pool.Pool[*res], w *world, l pool.Lease[*res]) { w.destroyErr = errBroken; _ = l.Discard() },
		"Detach":         func(_ *pool.Pool[*res], w *world, l pool.Lease[*res]) { _ = w.detach(l) },
		"Resize":         func(p *pool.Pool[*res], _ *world, _ pool.Lease[*res]) { _ = p.Resize(2, 0) },
		"Reset":          func(p *pool.Pool[*res], _ *world, l pool.Lease[*res]) { p.Reset(); _ = l.Release() },
		"failed Create": func(_ *pool.Pool[*res], w *world, l pool.Lease[*res]) {
			w.fails = 1
			_ = l.Discard()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, w := newPool(t, pool.Config[*res]{Max: 1, Backoff: time.Millisecond})
				l := mustAcquire(t, p)
				a, b := call(t, p), call(t, p)
				synctest.Wait()
				free(p, w, l)
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				w.destroyErr = nil
				if name == "failed Create" {
					// Nothing was left, so those who waited before the attempt
					// began were told.
					require.ErrorIs(t, a.err(), errDown)
					require.ErrorIs(t, b.err(), errDown)
					require.NoError(t, mustAcquire(t, p).Release())
				} else {
					require.True(t, a.settled())
					require.NoError(t, a.err())
					require.NoError(t, a.lease().Release())
					synctest.Wait()
					require.NoError(t, b.err())
					require.True(t, b.settled())
					require.NoError(t, b.lease().Release())
				}
				_ = l.Release()
			})
		})
	}
}

// A lease that has ended does nothing, whoever has the resource by then.
func TestPoolStaleLeaseIsHarmless(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 1})
	old := mustAcquire(t, p)
	copied := old
	require.NoError(t, old.Release())
	now := mustAcquire(t, p) // the same resource
	for _, stale := range []pool.Lease[*res]{old, copied, {}} {
		require.Equal(t, pool.ErrReleased, stale.Release())
		require.Equal(t, pool.ErrReleased, stale.Discard())
		v, err := stale.Detach()
		require.Equal(t, pool.ErrReleased, err)
		require.Nil(t, v)
		require.PanicsWithValue(t, "pool: Value of a lease that was released", func() { stale.Value() })
	}
	require.Equal(t, 1, p.Stats().InUse)
	require.EqualValues(t, 6, p.Stats().Stale, "the zero Lease belongs to no pool")
	now.Value().use(t, nil)
	require.NoError(t, now.Release())
	require.Equal(t, pool.ErrReleased, now.Release())
	require.Equal(t, 1, p.Stats().Idle)
}

// Of many who release one lease at once, one does.
func TestPoolDoubleReleaseAtOnce(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 2})
	for range 200 {
		l := mustAcquire(t, p)
		var wg sync.WaitGroup
		var mu sync.Mutex
		released := 0
		for i := range 4 {
			wg.Go(func() {
				end := l.Release
				if i == 3 {
					end = l.Discard
				}
				if err := end(); err == nil {
					mu.Lock()
					released++
					mu.Unlock()
				} else if err != pool.ErrReleased {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, released)
		require.Zero(t, p.Stats().InUse)
	}
}

func TestPoolDetachLeavesTheResourceToTheCaller(t *testing.T) {
	p, w := newPool(t, pool.Config[*res]{Max: 1})
	l := mustAcquire(t, p)
	v, err := l.Detach()
	require.NoError(t, err)
	require.False(t, v.ended.Load())
	require.Zero(t, p.Stats().Total)
	other := mustAcquire(t, p)
	require.NotSame(t, v, other.Value())
	require.NoError(t, other.Release())
	require.NoError(t, p.Close())
	require.False(t, v.ended.Load(), "a detached resource is not the pool's to destroy")
	require.NoError(t, w.destroy(v))
	require.EqualValues(t, 1, p.Stats().Detached)
}

func TestPoolTryAcquireNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 1, CheckAfter: time.Second})
		w.createTime = 5 * time.Second
		_, ok := p.TryAcquire()
		require.False(t, ok)
		requireGauges(t, p, "total 1: 0 in use, 0 idle, 0 checking, 1 creating, 0 closing; 0 waiting")
		_, ok = p.TryAcquire() // begins no second one
		require.False(t, ok)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		l, ok := p.TryAcquire()
		require.True(t, ok)
		_, ok = p.TryAcquire()
		require.False(t, ok)
		require.NoError(t, l.Release())

		time.Sleep(time.Minute)
		w.set(func(w *world) { w.checkTime = time.Second })
		_, ok = p.TryAcquire() // it needs a check, which was begun
		require.False(t, ok)
		requireGauges(t, p, "total 1: 0 in use, 0 idle, 1 checking, 0 creating, 0 closing; 0 waiting")
		time.Sleep(time.Second)
		synctest.Wait()
		l, ok = p.TryAcquire()
		require.True(t, ok)
		require.NoError(t, l.Release())
		require.EqualValues(t, 4, p.Stats().Refused)
	})
}

func TestPoolWithGivesTheResourceBack(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 1, IsBroken: func(err error) bool { return errors.Is(err, errBroken) }})
	var first *res
	require.NoError(t, p.With(t.Context(), func(_ context.Context, v *res) error {
		first = v
		require.Equal(t, 1, p.Stats().InUse)
		return nil
	}))
	require.Equal(t, 1, p.Stats().Idle)

	require.Equal(t, errDown, p.With(t.Context(), func(_ context.Context, v *res) error {
		require.Same(t, first, v)
		return errDown
	}), "an error that says nothing about the resource")
	require.Equal(t, 1, p.Stats().Idle)

	n, err := pool.Use(t.Context(), p, func(context.Context, *res) (int, error) { return 7, errBroken })
	require.Equal(t, errBroken, err)
	require.Equal(t, 7, n)
	require.NoError(t, p.With(t.Context(), func(_ context.Context, v *res) error {
		require.NotSame(t, first, v, "a broken one is not handed out again")
		return nil
	}))
	require.EqualValues(t, 1, p.Stats().DestroyedBroken)
	require.Panics(t, func() { _ = p.With(t.Context(), nil) })
	require.Panics(t, func() { _, _ = pool.Use[*res, int](t.Context(), p, nil) })
}

// What fn did with its resource before it panicked nobody knows.
func TestPoolWithDestroysAfterPanicAndGoexit(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 1})
	require.PanicsWithValue(t, "boom", func() {
		_ = p.With(t.Context(), func(context.Context, *res) error { panic("boom") })
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = pool.Use(context.Background(), p, func(context.Context, *res) (int, error) {
			runtime.Goexit()
			return 0, nil
		})
	})
	wg.Wait()
	s := p.Stats()
	require.Zero(t, s.InUse)
	require.EqualValues(t, 2, s.DestroyedBroken)
}

// Someone who waits for a second resource while holding a first one may wait for
// himself. The test that first does so finds it.
func TestPoolRefusesNestedAcquire(t *testing.T) {
	p, _ := newPool(t, pool.Config[*res]{Max: 5, RefuseNested: true})
	other, _ := newPool(t, pool.Config[*res]{RefuseNested: true})
	require.NoError(t, p.With(t.Context(), func(ctx context.Context, _ *res) error {
		_, err := p.Acquire(ctx)
		require.ErrorIs(t, err, pool.ErrNested)
		require.EqualError(t, err, "pool: nested acquire: waited 0s, 1 of 5 in use, oldest held "+held(err))

		return other.With(ctx, func(ctx context.Context, _ *res) error {
			require.ErrorIs(t, p.With(ctx, nil2), pool.ErrNested, "through another pool")
			return nil
		})
	}))
	_, err := p.Acquire(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Stats().Refused)
	for _, h := range p.Holders() {
		require.NotZero(t, h.ID)
	}
}

func nil2(context.Context, *res) error { return nil }

// held is the time in an AcquireError, as it stands there.
func held(err error) string {
	var e *pool.AcquireError
	if !errors.As(err, &e) {
		return "?"
	}
	d := e.OldestHold
	if d > time.Millisecond {
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

// A Reset that fails, panics or exits costs the resource and nobody else.
func TestPoolResetRunsBeforeTheNextCaller(t *testing.T) {
	w := &world{t: t}
	cfg := w.config(pool.Config[*res]{Max: 1})
	cfg.Reset = w.reset
	p := pool.MustNew(cfg)
	defer p.Close()
	l := mustAcquire(t, p)
	first := l.Value()
	require.NoError(t, l.Release())
	require.Equal(t, 1, w.get(resets))
	l = mustAcquire(t, p)
	require.Same(t, first, l.Value())
	first.broken.Store(true)
	require.NoError(t, l.Release())
	l = mustAcquire(t, p)
	require.NotSame(t, first, l.Value())
	require.NoError(t, l.Discard())
	require.Equal(t, 2, w.get(resets), "what is discarded is not reset")
	require.EqualValues(t, 1, p.Stats().DestroyedBroken)
}

func TestPoolPanicInResetPassesThrough(t *testing.T) {
	do := func(context.Context, int) error { return nil }
	p := pool.MustNew(pool.Config[int]{
		Create: number, Max: 1, Reset: func(ctx context.Context, v int) error { return do(ctx, v) },
	})
	defer p.Close()
	do = func(context.Context, int) error { panic("boom") }
	require.PanicsWithValue(t, "boom", func() { _ = p.With(t.Context(), func(context.Context, int) error { return nil }) })
	require.Zero(t, p.Stats().Total)
	do = func(context.Context, int) error { runtime.Goexit(); return nil }
	var wg sync.WaitGroup
	wg.Go(func() {
		l, err := p.Acquire(context.Background())
		if err == nil {
			_ = l.Release()
		}
	})
	wg.Wait()
	require.Zero(t, p.Stats().Total)
	require.EqualValues(t, 2, p.Stats().DestroyedBroken)
}

// The ctx of a Reset is a real one, although it is made only when it is needed.
func TestPoolResetContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		var errs []error
		look := true
		p := pool.MustNew(pool.Config[int]{
			Create: number, CheckTimeout: time.Second,
			Reset: func(ctx context.Context, _ int) error {
				kept = ctx
				if !look {
					return nil
				}
				deadline, ok := ctx.Deadline()
				require.True(t, ok)
				require.Equal(t, time.Second, time.Until(deadline))
				require.NoError(t, ctx.Err())
				require.Nil(t, ctx.Value("key"))
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				<-child.Done()
				errs = append(errs, ctx.Err())
				return nil
			},
		})
		defer p.Close()
		for range 2 {
			require.NoError(t, p.With(t.Context(), func(context.Context, int) error { return nil }))
			require.Equal(t, map[bool]error{true: context.DeadlineExceeded, false: context.Canceled}[look], kept.Err())
			<-kept.Done()
			look = false
		}
		require.Equal(t, []error{context.DeadlineExceeded}, errs)
	})
}

// Goexit in a function that the pool calls, as a failed test does, is a failure
// of that function.
func TestPoolGoexitInConfigFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exit := true
		may := func() {
			if exit {
				runtime.Goexit()
			}
		}
		p := pool.MustNew(pool.Config[int]{
			Create:     func(context.Context) (int, error) { may(); return 1, nil },
			Check:      func(context.Context, int) error { may(); return nil },
			Destroy:    func(int) error { may(); return nil },
			CheckAfter: 1,
		})
		_, err := p.Acquire(t.Context())
		require.ErrorIs(t, err, pool.ErrDown)
		require.ErrorContains(t, err, "runtime.Goexit")
		time.Sleep(time.Minute)
		exit = false
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Release())
		time.Sleep(time.Second)
		exit = true
		require.ErrorIs(t, p.Health(t.Context()), pool.ErrDown)
		synctest.Wait()
		s := p.Stats()
		require.EqualValues(t, 1, s.DestroyedBroken)
		require.EqualValues(t, 1, s.DestroyFailed)
		require.Zero(t, s.Total)
		require.NoError(t, p.Close())
	})
}
