package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

// A caller is an AcquireN on a goroutine of its own, for use in a bubble.
type caller struct {
	cancel  context.CancelFunc
	permit  bulkhead.Permit
	err     error
	settled bool // it has its permit or its error; read after synctest.Wait
	gone    bool // it has given its permit back; for the model
}

func call(b *bulkhead.Bulkhead, n int) *caller { return callCtx(context.Background(), b, n) }

func callCtx(ctx context.Context, b *bulkhead.Bulkhead, n int) *caller {
	c := &caller{}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		c.permit, c.err = b.AcquireN(ctx, n)
		c.settled = true
	}()
	synctest.Wait()
	return c
}

func (c *caller) admitted() bool { return c.settled && c.err == nil }

// release gives the caller's slots back and lets everybody react.
func (c *caller) release() {
	c.permit.Release()
	c.cancel()
	synctest.Wait()
}

func requireIdle(t *testing.T, b *bulkhead.Bulkhead) {
	t.Helper()
	s := b.Stats()
	require.Zero(t, s.InUse, "in use")
	require.Zero(t, s.Waiting, "waiting")
}

func TestBulkheadDoRunsFnAndGivesTheSlotBack(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	for range 3 {
		ran := false
		require.NoError(t, b.Do(t.Context(), func(context.Context) error {
			ran = true
			require.Equal(t, 1, b.Stats().InUse)
			return nil
		}))
		require.True(t, ran)
	}
	requireIdle(t, b)
}

func TestBulkheadDoValueReturnsTheValue(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	v, err := bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) { return 7, nil })
	require.NoError(t, err)
	require.Equal(t, 7, v)

	require.NoError(t, b.Close())
	v, err = bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) { return 7, nil })
	require.ErrorIs(t, err, bulkhead.ErrClosed)
	require.Zero(t, v)
}

func TestBulkheadWrapGuardsEachCall(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
	var inner func(context.Context) (string, error)
	outer := bulkhead.Wrap(b, func(ctx context.Context) (string, error) { return inner(ctx) })

	inner = func(context.Context) (string, error) { return "v", nil }
	v, err := outer(t.Context())
	require.NoError(t, err)
	require.Equal(t, "v", v)

	inner = outer // needs a second slot
	_, err = outer(t.Context())
	require.ErrorIs(t, err, bulkhead.ErrFull)
	requireIdle(t, b)
}

func TestBulkheadNilFnPanicsAndTakesNothing(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	const text = "bulkhead: fn is nil"
	require.PanicsWithValue(t, text, func() { _ = b.Do(t.Context(), nil) })
	require.PanicsWithValue(t, text, func() { _, _ = bulkhead.DoValue[int](t.Context(), b, nil) })
	require.PanicsWithValue(t, text, func() { bulkhead.Wrap[int](b, nil) })
	requireIdle(t, b)
}

func TestBulkheadRecoveredPanicsDoNotLoseSlots(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
	for range 5 {
		require.PanicsWithValue(t, "boom", func() {
			_ = b.Do(t.Context(), func(context.Context) error { panic("boom") })
		})
		require.PanicsWithValue(t, "boom", func() {
			_, _ = bulkhead.DoValue(t.Context(), b, func(context.Context) (int, error) { panic("boom") })
		})
	}
	require.NoError(t, b.Do(t.Context(), func(context.Context) error { return nil }))
	requireIdle(t, b)
}

func TestBulkheadNeverAdmitsMoreThanTheLimitAndNoNewcomerPassesAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder := call(b, 1)
		require.True(t, holder.admitted())
		waiter := call(b, 1)
		require.False(t, waiter.settled)

		// The slot is the waiter's from the moment it is released, though the
		// waiter has not run yet.
		holder.permit.Release()
		_, ok := b.TryAcquire()
		require.False(t, ok)
		require.Equal(t, 1, b.Stats().InUse)

		synctest.Wait()
		require.True(t, waiter.admitted())
		waiter.release()
		requireIdle(t, b)
	})
}

func TestBulkheadServesWaitersInTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		callers := []*caller{}
		for range 10 {
			callers = append(callers, call(b, 1))
		}
		for i, c := range callers {
			require.True(t, c.admitted(), "caller %d", i)
			if i+1 < len(callers) {
				require.False(t, callers[i+1].settled)
			}
			c.release()
		}
		requireIdle(t, b)
	})
}

func TestBulkheadTryAcquireNeverFailsWithAFreeSlot(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	for range 1000 {
		p, ok := b.TryAcquire()
		require.True(t, ok)
		p.Release()
	}
}

func TestBulkheadNoWaitNeverFailsWithAFreeSlot(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
	for range 1000 {
		p, err := b.Acquire(t.Context())
		require.NoError(t, err)
		_, err = b.Acquire(t.Context())
		require.ErrorIs(t, err, bulkhead.ErrFull)
		p.Release()
	}
	requireIdle(t, b)
}

func TestBulkheadTryAcquireAnswersByWeight(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 3})
	two, ok := b.TryAcquireN(2)
	require.True(t, ok)
	_, ok = b.TryAcquireN(2)
	require.False(t, ok)
	one, ok := b.TryAcquire()
	require.True(t, ok)
	_, ok = b.TryAcquire()
	require.False(t, ok)
	two.Release()
	_, ok = b.TryAcquireN(3)
	require.False(t, ok)
	one.Release()
	all, ok := b.TryAcquireN(3)
	require.True(t, ok)
	all.Release()
	for _, n := range []int{math.MinInt, -1, 0, 4, math.MaxInt} {
		_, ok = b.TryAcquireN(n)
		require.False(t, ok, "weight %d", n)
	}
	requireIdle(t, b)
	require.EqualValues(t, 3+5, b.Stats().RefusedQueueFull)
}

func TestBulkheadWeightOutOfRangeIsAnErrorAtOnce(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 3})
	for _, n := range []int{math.MinInt, -1, 0, 4, math.MaxInt} {
		_, err := b.AcquireN(context.Background(), n) // would hang if it waited
		require.ErrorIs(t, err, bulkhead.ErrWeight)
		var we *bulkhead.WeightError
		require.ErrorAs(t, err, &we)
		require.Equal(t, bulkhead.WeightError{Name: "db", Weight: n, Limit: 3}, *we)
	}
	_, err := b.AcquireN(context.Background(), 4)
	require.EqualError(t, err, "bulkhead: db: weight out of range, 4 is not 1 to 3")
	requireIdle(t, b)
}

func TestBulkheadLightCallersDoNotPassAHeavyWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 4})
		a, c := call(b, 2), call(b, 1)
		heavy := call(b, 4)
		light := call(b, 1) // would fit now
		_, ok := b.TryAcquire()
		require.False(t, ok)
		require.False(t, heavy.settled)
		require.False(t, light.settled)
		a.release()
		require.False(t, heavy.settled)
		require.False(t, light.settled)
		c.release()
		require.True(t, heavy.admitted())
		require.False(t, light.settled)
		heavy.release()
		require.True(t, light.admitted())
		light.release()
		requireIdle(t, b)
	})
}

// A stream of light callers that always has somebody inside ends in a hang
// here if it can starve the heavy one.
func TestBulkheadHeavyAcquireDoesNotStarve(t *testing.T) {
	n := runtime.GOMAXPROCS(0) + 2
	b := bulkhead.MustNew(bulkhead.Config{Limit: n})
	ctx := context.Background()
	var stop atomic.Bool
	var started, ended sync.WaitGroup
	for range n {
		started.Add(1)
		ended.Go(func() {
			p, err := b.Acquire(ctx)
			started.Done()
			for err == nil && !stop.Load() {
				p.Release()
				runtime.Gosched()
				p, err = b.Acquire(ctx)
			}
			p.Release()
		})
	}
	started.Wait()
	p, err := b.AcquireN(ctx, n)
	require.NoError(t, err)
	stop.Store(true)
	p.Release()
	ended.Wait()
	requireIdle(t, b)
}

func TestBulkheadWeightedHammer(t *testing.T) {
	n := max(runtime.GOMAXPROCS(0), 4)
	b := bulkhead.MustNew(bulkhead.Config{Limit: n})
	var inUse, worst atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for range 2000 {
				p, err := b.AcquireN(context.Background(), i+1)
				if err != nil {
					t.Errorf("AcquireN: %v", err)
					return
				}
				if now := inUse.Add(int64(i + 1)); now > worst.Load() {
					worst.Store(now)
				}
				runtime.Gosched()
				inUse.Add(-int64(i + 1))
				p.Release()
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, worst.Load(), int64(n))
	requireIdle(t, b)
}

func TestBulkheadCancelledHeadWakesThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 10})
		holder := call(b, 1)
		heavy := call(b, 10)
		light := call(b, 2)
		require.False(t, light.settled)
		heavy.cancel()
		synctest.Wait()
		require.ErrorIs(t, heavy.err, context.Canceled)
		require.True(t, light.admitted())
		light.release()
		holder.release()
		requireIdle(t, b)
		require.EqualValues(t, 1, b.Stats().Canceled)
	})
}

func TestBulkheadCancelledWaiterInTheMiddleLeavesTheOrderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder := call(b, 1)
		a, m, z := call(b, 1), call(b, 1), call(b, 1)
		m.cancel()
		synctest.Wait()
		require.ErrorIs(t, m.err, context.Canceled)
		require.Equal(t, 2, b.Stats().Waiting)
		holder.release()
		require.True(t, a.admitted())
		require.False(t, z.settled)
		z.cancel()
		synctest.Wait()
		a.release()
		requireIdle(t, b)
	})
}

// The slot is released first and the waiter cancelled second, before it could
// run: it must pass the slot on, and it must not report success. A waiter that
// runs in between has its slot, so the race is run until it was late once.
func TestBulkheadCancelledWaiterThatWasJustGrantedPassesTheSlotOn(t *testing.T) {
	late := false
	for try := 0; !late && try < 1000; try++ {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
			holder := call(b, 1)
			first, second := call(b, 1), call(b, 1)
			holder.permit.Release()
			first.cancel()
			synctest.Wait()
			if late = !first.admitted(); late {
				require.ErrorIs(t, first.err, context.Canceled)
			} else {
				require.False(t, second.settled)
				first.release()
			}
			require.True(t, second.admitted())
			second.release()
			requireIdle(t, b)
		})
	}
	require.True(t, late)
}

func TestBulkheadMaxWaitingRefusesTheNextWithAFullError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 2, MaxWaiting: 1})
		a, c := call(b, 1), call(b, 1)
		w := call(b, 1)
		x := call(b, 1)
		require.ErrorIs(t, x.err, bulkhead.ErrFull)
		var full *bulkhead.FullError
		require.ErrorAs(t, x.err, &full)
		require.Equal(t, bulkhead.FullError{
			Name: "db", Reason: bulkhead.QueueFull, Weight: 1, Limit: 2, InUse: 2, Waiting: 1,
		}, *full)
		require.EqualError(t, x.err, "bulkhead: db: full, queue full, 2 of 2 in use, 1 waiting")
		a.release()
		require.True(t, w.admitted())
		c.release()
		w.release()
		requireIdle(t, b)
	})
}

func TestBulkheadReleaseIsIdempotent(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 2, NoWait: true})
	p, err := b.Acquire(t.Context())
	require.NoError(t, err)
	q, err := b.Acquire(t.Context())
	require.NoError(t, err)
	p.Release()
	p.Release()
	p.Done(errors.New("late"))
	require.Equal(t, 1, b.Stats().InUse)
	q.Done(nil)
	q.Release()
	requireIdle(t, b)
}

func TestBulkheadZeroPermitReleasesNothing(t *testing.T) {
	var p bulkhead.Permit
	p.Release()
	p.Done(nil)

	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	require.NoError(t, b.Close())
	p, err := b.Acquire(t.Context())
	require.ErrorIs(t, err, bulkhead.ErrClosed)
	p.Release()
	requireIdle(t, b)
}

func TestBulkheadResizeGrowingWakesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder := call(b, 1)
		w := []*caller{call(b, 1), call(b, 1), call(b, 1)}
		require.NoError(t, b.Resize(3))
		synctest.Wait()
		require.True(t, w[0].admitted())
		require.True(t, w[1].admitted())
		require.False(t, w[2].settled)
		require.Equal(t, 3, b.Stats().InUse)
		for _, c := range []*caller{holder, w[0], w[1], w[2]} {
			c.release()
		}
		requireIdle(t, b)
	})
}

func TestBulkheadResizeShrinkingDrainsAndTakesNothingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 4})
		held := []*caller{call(b, 1), call(b, 1), call(b, 1), call(b, 1)}
		require.NoError(t, b.Resize(2))
		s := b.Stats()
		require.Equal(t, 2, s.Limit)
		require.Equal(t, 4, s.InUse)
		w := call(b, 1)
		held[0].release()
		held[1].release()
		require.False(t, w.settled, "2 of 2 in use")
		_, ok := b.TryAcquire()
		require.False(t, ok)
		held[2].release()
		require.True(t, w.admitted())
		held[3].release()
		w.release()
		requireIdle(t, b)
		p, err := b.AcquireN(t.Context(), 2)
		require.NoError(t, err)
		_, ok = b.TryAcquire()
		require.False(t, ok)
		p.Release()
	})
}

func TestBulkheadResizeRefusesWaitersThatCanNeverFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 4})
		holder := call(b, 1)
		heavy, light := call(b, 4), call(b, 2)
		require.NoError(t, b.Resize(3))
		synctest.Wait()
		require.ErrorIs(t, heavy.err, bulkhead.ErrWeight)
		require.True(t, light.admitted(), "no longer blocked by the heavy one")
		light.release()
		holder.release()
		requireIdle(t, b)
	})
}

func TestBulkheadResizeOutOfRangeChangesNothing(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 4})
	require.EqualError(t, b.Resize(0), "bulkhead: Resize to 0, want 1 to 2147483647")
	require.Error(t, b.Resize(-1))
	if math.MaxInt > math.MaxInt32 {
		require.Error(t, b.Resize(math.MaxInt))
	}
	require.Equal(t, 4, b.Stats().Limit)
	require.NoError(t, b.Resize(math.MaxInt32))
	p, err := b.AcquireN(t.Context(), math.MaxInt32)
	require.NoError(t, err)
	require.NoError(t, b.Resize(1))
	require.Equal(t, math.MaxInt32, b.Stats().InUse)
	_, ok := b.TryAcquire()
	require.False(t, ok)
	p.Release()
	requireIdle(t, b)
	require.NoError(t, b.Close())
	require.ErrorIs(t, b.Resize(2), bulkhead.ErrClosed)
}

func TestBulkheadDrainLetsWaitersHaveTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder, waiter := call(b, 1), call(b, 1)
		var done atomic.Int64
		for range 2 {
			go func() {
				if b.Drain(context.Background()) == nil {
					done.Add(1)
				}
			}()
			synctest.Wait()
		}
		require.ErrorIs(t, call(b, 1).err, bulkhead.ErrClosed)
		_, ok := b.TryAcquire()
		require.False(t, ok)
		holder.release()
		require.True(t, waiter.admitted())
		require.Zero(t, done.Load())
		waiter.release()
		require.EqualValues(t, 2, done.Load())
		require.NoError(t, b.Drain(context.Background()))
		_, ok = b.TryAcquire()
		require.False(t, ok)
	})
}

func TestBulkheadCloseRefusesWaitersAndLeavesHoldersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder, waiter := call(b, 1), call(b, 1)
		require.NoError(t, b.Close())
		synctest.Wait()
		require.ErrorIs(t, waiter.err, bulkhead.ErrClosed)
		require.Equal(t, 1, b.Stats().InUse)
		holder.release()
		requireIdle(t, b)
	})
}

func TestBulkheadNewNamesTheBadField(t *testing.T) {
	for want, cfg := range map[string]bulkhead.Config{
		"bulkhead: Config.Limit is -1, want 0 to 2147483647":                                 {Limit: -1},
		"bulkhead: Config.MaxWaiting is -1, want ≥ 0":                                        {MaxWaiting: -1},
		"bulkhead: Config.MaxWait is -1ns, want ≥ 0":                                         {MaxWait: -1},
		"bulkhead: Config.LIFOAfter is -1ns, want ≥ 0":                                       {LIFOAfter: -1},
		"bulkhead: Config.MaxWaiting is 1, want 0 with NoWait":                               {NoWait: true, MaxWaiting: 1},
		"bulkhead: Config.MaxWait is 1s, want 0 with NoWait":                                 {NoWait: true, MaxWait: time.Second},
		"bulkhead: Config.LIFOAfter is 1s, want 0 with NoWait":                               {NoWait: true, LIFOAfter: time.Second},
		"bulkhead: Config.Adaptive.Max is -1, want 0 to 2147483647":                          {Adaptive: bulkhead.Adaptive{Max: -1}},
		"bulkhead: Config.Adaptive.Min is -1, want ≥ 0":                                      {Adaptive: bulkhead.Adaptive{Min: -1, Max: 10}},
		"bulkhead: Config.Adaptive.Target is -1ns, want ≥ 0":                                 {Adaptive: bulkhead.Adaptive{Max: 10, Target: -1}},
		"bulkhead: Config.Adaptive.Window is -1ns, want ≥ 0":                                 {Adaptive: bulkhead.Adaptive{Max: 10, Window: -1}},
		"bulkhead: Config.Limit is 11, want Adaptive.Min to Adaptive.Max":                    {Limit: 11, Adaptive: bulkhead.Adaptive{Max: 10}},
		"bulkhead: Config.Limit is 2, want Adaptive.Min to Adaptive.Max":                     {Limit: 2, Adaptive: bulkhead.Adaptive{Min: 3, Max: 10}},
		"bulkhead: Config.Adaptive.Max is 0, want ≥ 1 when other fields of Adaptive are set": {Adaptive: bulkhead.Adaptive{Min: 3}},
	} {
		b, err := bulkhead.New(cfg)
		require.EqualError(t, err, want)
		require.Nil(t, b)
		require.PanicsWithValue(t, want, func() { bulkhead.MustNew(cfg) })
	}
}

func TestBulkheadZeroConfigHasTenSlots(t *testing.T) {
	b, err := bulkhead.New(bulkhead.Config{})
	require.NoError(t, err)
	p, ok := b.TryAcquireN(10)
	require.True(t, ok)
	_, ok = b.TryAcquire()
	require.False(t, ok)
	p.Release()
}

func TestBulkheadUncontendedCallsDoNotAllocate(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	ctx := t.Context()
	fn := func(context.Context) error { return nil }
	fv := func(context.Context) (int, error) { return 0, nil }
	for name, f := range map[string]func(){
		"Acquire":    func() { p, _ := b.Acquire(ctx); p.Release() },
		"AcquireN":   func() { p, _ := b.AcquireN(ctx, 3); p.Release() },
		"TryAcquire": func() { p, _ := b.TryAcquire(); p.Release() },
		"Do":         func() { _ = b.Do(ctx, fn) },
		"DoValue":    func() { _, _ = bulkhead.DoValue(ctx, b, fv) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

func TestBulkheadRefusedTryAcquireDoesNotAllocate(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	p, _ := b.TryAcquire()
	require.Zero(t, testing.AllocsPerRun(100, func() { b.TryAcquire() }))
	p.Release()
}

func TestStatsMarshalToJSON(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 2})
	p, _ := b.TryAcquire()
	defer p.Release()
	data, err := json.Marshal(b.Stats())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"db","limit":2,"in_use":1,"waiting":0,"canceled":0,
		"refused_queue_full":0,"refused_wait_too_long":0,"refused_turn_too_late":0,
		"waits":{"count":0,"sum_ns":0,"buckets":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}`, string(data))
}

func TestHistogramBoundDoubles(t *testing.T) {
	var h bulkhead.Histogram
	require.Equal(t, 64*time.Microsecond, h.Bound(-1))
	require.Equal(t, 64*time.Microsecond, h.Bound(0))
	require.Equal(t, 128*time.Microsecond, h.Bound(1))
	require.Equal(t, 64*time.Microsecond<<18, h.Bound(18))
	require.Equal(t, time.Duration(math.MaxInt64), h.Bound(19))
}

func TestReasonString(t *testing.T) {
	require.Equal(t, "queue full", bulkhead.QueueFull.String())
	require.Equal(t, "waited too long", bulkhead.WaitTooLong.String())
	require.Equal(t, "turn too late", bulkhead.TurnTooLate.String())
	require.Equal(t, "Reason(0)", bulkhead.Reason(0).String())
}
