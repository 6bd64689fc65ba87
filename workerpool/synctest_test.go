package workerpool_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// A pool made in a bubble works in it and ends with it; a second bubble gets
// nothing of the first.
func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			p := workerpool.MustNew(workerpool.Config{Max: 2, Min: 1, MaxQueueAge: time.Minute, SampleEvery: 1})
			var n atomic.Int64
			for range 100 {
				require.NoError(t, p.WithPriority(workerpool.High).Go(t.Context(), func(context.Context) { time.Sleep(time.Second); n.Add(1) }))
			}
			require.NoError(t, p.Drain(t.Context()))
			require.EqualValues(t, 100, n.Load())
		})
	}
}

// An idle worker leaves after one to two timeouts, and Min stay.
func TestIdleWorkersLeaveAndMinStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 8, Min: 2, IdleTimeout: time.Minute})
		synctest.Wait()
		require.Equal(t, 2, p.Stats().Workers, "Min are started by New")
		busy := func() {
			g := p.Group(t.Context())
			for range 8 {
				g.Go(func(context.Context) error { time.Sleep(time.Second); return nil })
			}
			require.NoError(t, g.Wait())
			synctest.Wait()
		}
		busy()
		require.Equal(t, 8, p.Stats().Workers)
		time.Sleep(30 * time.Second)
		require.Equal(t, 8, p.Stats().Workers, "too early")
		time.Sleep(2 * time.Minute)
		require.Equal(t, 2, p.Stats().Workers)
		busy()
		require.Equal(t, 8, p.Stats().Workers)
	})
}

// Workers that a Resize sends away are not sent away again by the sweep that was
// armed while they were idle.
func TestResizeBeforeTheSweepOfIdleWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 8, IdleTimeout: time.Minute})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		g := p.Group(t.Context())
		for range 7 {
			g.Go(func(context.Context) error { time.Sleep(time.Second); return nil })
		}
		require.NoError(t, g.Wait())
		time.Sleep(90 * time.Second)
		require.Equal(t, 7, p.Stats().Workers, "after the first sweep the next one is for all that are idle")
		require.NoError(t, p.Resize(3))
		synctest.Wait()
		require.Equal(t, 3, p.Stats().Workers)
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, p.Stats().Workers, "the one that works")
		release()
		time.Sleep(2 * time.Minute)
		require.Zero(t, p.Stats().Workers)
	})
}

// What was dropped has ended only when everybody has been told of it.
func TestDrainWaitsForTheHooksOfDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Hooks: workerpool.Hooks{
			OnDropped: func(workerpool.Dropped) { time.Sleep(time.Minute) },
		}})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		f := submit(t, t.Context(), p, zero)
		go f.Cancel()
		synctest.Wait()
		release()
		start := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, time.Minute, time.Since(start))
		_, err := f.Wait(t.Context())
		require.Error(t, err)
	})
}

func TestIdlePoolHasNoTimerAndNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{IdleTimeout: time.Second})
		require.NoError(t, entries["Submit"](t.Context(), p, succeed))
		time.Sleep(10 * time.Second)
		require.Zero(t, p.Stats().Workers)
	})
}

// A task that has waited for MaxQueueAge is dropped at that moment, though no
// worker is free.
func TestQueueAgeDropsStaleTasks(t *testing.T) {
	for _, priority := range []workerpool.Priority{workerpool.Low, workerpool.Normal, workerpool.High} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var dropped []workerpool.Dropped
			p := newPool(t, workerpool.Config{Name: "db", Max: 1, MaxQueueAge: time.Second, Hooks: workerpool.Hooks{
				OnDropped: func(d workerpool.Dropped) {
					mu.Lock()
					defer mu.Unlock()
					dropped = append(dropped, d)
				},
			}})
			hold, release := block()
			require.NoError(t, p.Go(t.Context(), hold))
			synctest.Wait()
			view := p.WithPriority(priority)
			var futures []*workerpool.Future[int]
			for range 3 {
				futures = append(futures, submit(t, t.Context(), view, zero))
				time.Sleep(400 * time.Millisecond)
			}
			_, _, ok := futures[0].TryResult()
			require.True(t, ok, "1.2 s have gone")
			_, err, _ := futures[0].TryResult()
			require.ErrorIs(t, err, workerpool.ErrDropped)
			require.EqualError(t, err, "workerpool: db: dropped, too old")
			_, _, ok = futures[1].TryResult()
			require.False(t, ok)
			time.Sleep(200*time.Millisecond + time.Nanosecond)
			_, _, ok = futures[1].TryResult()
			require.True(t, ok, "1 s after its coming, exactly")
			release()
			_, err = futures[2].Wait(t.Context())
			require.NoError(t, err)
			require.Len(t, dropped, 2)
			require.Equal(t, workerpool.TooOld, dropped[0].Reason)
			require.EqualValues(t, 2, p.Stats().DroppedTooOld)
			synctest.Wait()
			requireIdle(t, p)
		})
	}
}

// A task that waited for its key is dropped when its turn comes too late.
func TestQueueAgeOfTasksBehindAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2, MaxQueueAge: time.Second})
		require.NoError(t, p.GoKey(t.Context(), 1, func(context.Context) { time.Sleep(time.Minute) }))
		require.NoError(t, p.GoKey(t.Context(), 1, func(context.Context) { t.Error("ran") }))
		time.Sleep(2 * time.Minute)
		require.EqualValues(t, 1, p.Stats().DroppedTooOld)
		requireIdle(t, p)
	})
}

// A lower priority is passed by those only that came within the head start.
func TestAgeingKeepsLowPriorityFromStarving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Ageing: 10 * time.Second})
		high, low := p.WithPriority(workerpool.High), p.WithPriority(workerpool.Low)
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		begin := time.Now()
		var ran time.Duration
		require.NoError(t, low.Go(t.Context(), func(context.Context) { ran = time.Since(begin) }))
		// Two high ones a second, each of which takes a second: always one waits,
		// also when the worker gets free.
		bring := func() {
			require.NoError(t, high.Go(t.Context(), func(context.Context) { time.Sleep(time.Second) }))
		}
		bring()
		release()
		for range 120 {
			time.Sleep(500 * time.Millisecond)
			bring()
		}
		require.NotZero(t, ran, "it was starved")
		require.Greater(t, ran, 20*time.Second, "two steps of head start")
		require.Less(t, ran, 60*time.Second)
		require.NoError(t, p.Drain(t.Context()))
	})
}

// However many tasks are offered to the workers: what comes meanwhile is heeded
// when the next task starts.
func TestWhatIsOfferedIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 3, Ageing: time.Hour})
		high := p.WithPriority(workerpool.High)
		begin := time.Now()
		started := make([]time.Duration, 200)
		var futures []*workerpool.Future[int]
		for i := range started {
			futures = append(futures, submit(t, t.Context(), p, func(context.Context) (int, error) {
				started[i] = time.Since(begin)
				time.Sleep(time.Second)
				return 0, nil
			}))
		}
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 200-6, p.Stats().Queued)

		var urgent time.Duration
		require.NoError(t, high.Go(t.Context(), func(context.Context) { urgent = time.Since(begin); time.Sleep(time.Second) }))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 2*time.Second, urgent, "it goes before all that have not begun")

		futures[8].Cancel()
		p.Pause()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, p.Stats().Running)
		require.Equal(t, 200-9, p.Stats().Queued)
		require.Zero(t, started[8])
		p.Resume()
		synctest.Wait()
		require.Equal(t, 3500*time.Millisecond, started[9])

		require.NoError(t, p.Resize(1))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 1, p.Stats().Running)
		require.NoError(t, p.Drain(t.Context()))
		for i := range started {
			require.True(t, i == 8 || i == 0 || started[i] >= started[i-1] || i == 9, "first in, first out")
		}
	})
}

// Tasks that came before anybody wanted priorities have no time of their
// coming. They do not pass the first urgent ones because of that.
func TestPrioritiesOfAnOldPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		time.Sleep(time.Hour)
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		var order []string
		note := func(s string) func(context.Context) { return func(context.Context) { order = append(order, s) } }
		require.NoError(t, p.Go(t.Context(), note("before")))
		high := p.WithPriority(workerpool.High)
		require.NoError(t, p.Go(t.Context(), note("after")))
		require.NoError(t, high.Go(t.Context(), note("high")))
		time.Sleep(2 * time.Second)
		require.NoError(t, high.Go(t.Context(), note("late")))
		release()
		synctest.Wait()
		require.Equal(t, []string{"high", "before", "after", "late"}, order)
	})
}

// A worker that keeps the ctx object of a function, and ends it when it sleeps,
// does not end the function's parent a second time: that would end the task that
// has brought the parent while it runs.
func TestContextOfATaskIsNotEndedByItsGrandchildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 3})
		f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) {
			for key := range 3 {
				if err := p.GoKey(ctx, key, func(ctx context.Context) {
					for range 2 {
						if err := p.Go(ctx, nothing); err != nil {
							t.Error(err)
						}
					}
				}); err != nil {
					return 0, err
				}
			}
			time.Sleep(time.Second) // the other workers sleep by then
			return 7, ctx.Err()
		})
		v, err := f.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, v)
	})
}

// Equal times: strictly by priority, first in first out within one.
func TestPrioritiesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		p.Pause()
		var order []int
		for i := range 30 {
			view := p.WithPriority(workerpool.Priority(i%3 - 1))
			require.NoError(t, view.Go(t.Context(), func(context.Context) { order = append(order, i) }))
		}
		p.Resume()
		synctest.Wait()
		var want []int
		for _, rest := range []int{2, 1, 0} {
			for i := rest; i < 30; i += 3 {
				want = append(want, i)
			}
		}
		require.Equal(t, want, order)
	})
}

func TestPauseKeepsTasksFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2, Queue: 3})
		var ran atomic.Int64
		p.Pause()
		for range 3 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { ran.Add(1) }))
		}
		require.False(t, p.TryGo(t.Context(), func(context.Context) {}), "the queue alone has room")
		synctest.Wait()
		require.Zero(t, ran.Load())
		require.True(t, p.Stats().Paused)
		require.Equal(t, 3, p.Stats().Queued)
		p.Resume()
		synctest.Wait()
		require.EqualValues(t, 3, ran.Load())
	})
}

// What a running task waits for runs also during a pause.
func TestPauseLetsRunningTasksFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) {
			p.Pause()
			f, err := workerpool.Submit(ctx, p, func(context.Context) (int, error) { return 3, nil })
			if err != nil {
				return 0, err
			}
			return f.Wait(ctx)
		})
		v, err := f.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, v)
		require.NoError(t, p.Drain(t.Context()), "which ends the pause")
	})
}

func TestHistogramsHoldTheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, SampleEvery: 1})
		for range 3 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(time.Second) }))
		}
		time.Sleep(time.Minute)
		s := p.Stats()
		require.EqualValues(t, 3, s.Runs.Count)
		require.Equal(t, 3*time.Second, s.Runs.Sum)
		require.EqualValues(t, 3, s.Waits.Count)
		require.Equal(t, 3*time.Second, s.Waits.Sum, "none, one and two seconds")
		require.EqualValues(t, 1, s.Waits.Buckets[0])
		for i, n := range s.Runs.Buckets {
			in := time.Second <= s.Runs.Bound(i) && (i == 0 || time.Second > s.Runs.Bound(i-1))
			require.Equal(t, in, n == 3, "bucket %d", i)
		}
		for range 2 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) {}))
		}
		synctest.Wait()
		require.EqualValues(t, 5, p.Stats().Runs.Count)
	})
}

// A full pool says when to come again, from what it has measured.
func TestFullErrorExpectsFromRunTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2, Queue: 3, Overflow: workerpool.Reject, SampleEvery: 1})
		for range 2 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(time.Second) }))
		}
		time.Sleep(time.Minute)
		for range 5 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(time.Second) }))
		}
		synctest.Wait()
		err := p.Go(t.Context(), func(context.Context) {})
		var full *workerpool.FullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, 2*time.Second, full.RetryAfter(), "four turns of a second on two workers")
		require.EqualValues(t, 1, p.Stats().Refused)
	})
}

// On average one in SampleEvery is measured.
func TestSamplesAreAsManyAsPromised(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, Queue: workerpool.Unbounded, SampleEvery: 10})
	for range 20_000 {
		require.NoError(t, p.Go(context.Background(), nothing))
	}
	require.NoError(t, p.Drain(t.Context()))
	n := p.Stats().Runs.Count
	require.Greater(t, n, uint64(1700))
	require.Less(t, n, uint64(2300))
}

func TestDrainWaitsForTasksThatTasksBring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{Max: 1})
		var depth atomic.Int64
		var down func(context.Context)
		down = func(ctx context.Context) {
			time.Sleep(time.Second)
			if depth.Add(1) < 5 {
				if err := p.Go(ctx, down); err != nil {
					t.Error(err)
				}
			}
		}
		require.NoError(t, p.Go(t.Context(), down))
		synctest.Wait()
		require.NoError(t, p.Drain(t.Context()))
		require.EqualValues(t, 5, depth.Load())
	})
}

// A task's ctx goes on for the tasks it has brought, and ends with them.
func TestContextOfATaskEndsWithTheLastItBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		var parent, child context.Context
		require.NoError(t, p.Go(t.Context(), func(ctx context.Context) {
			parent = ctx
			<-time.After(time.Second)
			if err := p.Go(ctx, func(ctx context.Context) {
				child = ctx
				select {
				case <-ctx.Done():
					t.Error("cancelled by the end of its parent")
				case <-time.After(time.Minute):
				}
			}); err != nil {
				t.Error(err)
			}
		}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, parent.Err())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.ErrorIs(t, parent.Err(), context.Canceled)
		require.ErrorIs(t, child.Err(), context.Canceled)
		<-parent.Done()
	})
}
