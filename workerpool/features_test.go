package workerpool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

func TestRejectRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Name: "db", Max: 1, Queue: 1, Overflow: workerpool.Reject})
		release := stuff(t, p)
		err := p.Go(t.Context(), nothing)
		var full *workerpool.FullError
		require.ErrorAs(t, err, &full)
		require.ErrorIs(t, err, workerpool.ErrFull)
		require.Equal(t, workerpool.FullError{Name: "db", Queued: 1, Queue: 1}, *full)
		_, err = workerpool.Submit(t.Context(), p, zero)
		require.ErrorIs(t, err, workerpool.ErrFull)
		g := p.Group(t.Context())
		g.Go(succeed)
		require.ErrorIs(t, g.Wait(), workerpool.ErrFull, "a task that was not accepted is an error of the group")
		require.EqualValues(t, 3, p.Stats().Refused)
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

func TestDropOldestMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dropped []workerpool.Dropped
		p := newPool(t, workerpool.Config{Max: 1, Queue: 2, Overflow: workerpool.DropOldest, Hooks: workerpool.Hooks{
			OnDropped: func(d workerpool.Dropped) { dropped = append(dropped, d) },
		}})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		var futures []*workerpool.Future[int]
		for i := range 5 {
			futures = append(futures, submit(t, t.Context(), p, func(context.Context) (int, error) { return i, nil }))
		}
		release()
		for i, f := range futures {
			v, err := f.Wait(t.Context())
			if i < 3 {
				require.ErrorIs(t, err, workerpool.ErrDropped)
				require.EqualError(t, err, "workerpool: dropped, overflow")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, i, v)
		}
		require.Len(t, dropped, 3)
		require.Equal(t, workerpool.Overflowed, dropped[0].Reason)
		require.EqualValues(t, 3, p.Stats().DroppedOverflowed)
	})
}

// The lowest priority goes first; who waits for a key is not in the queue.
func TestDropOldestSparesHigherPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 3, Overflow: workerpool.DropOldest})
		hold, release := block()
		require.NoError(t, p.GoKey(t.Context(), 1, hold))
		synctest.Wait()
		high := submit(t, t.Context(), p.WithPriority(workerpool.High), zero)
		low := submit(t, t.Context(), p.WithPriority(workerpool.Low), zero)
		require.NoError(t, p.GoKey(t.Context(), 1, nothing))
		normal := submit(t, t.Context(), p, zero)
		_, err, ok := low.TryResult()
		require.True(t, ok)
		require.ErrorIs(t, err, workerpool.ErrDropped)
		release()
		for _, f := range []*workerpool.Future[int]{high, normal} {
			_, err := f.Wait(t.Context())
			require.NoError(t, err)
		}
		synctest.Wait()
		requireIdle(t, p)
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 1, Overflow: workerpool.DropOldest})
		hold, release := block()
		require.NoError(t, p.GoKey(t.Context(), 1, hold))
		synctest.Wait()
		require.NoError(t, p.GoKey(t.Context(), 1, nothing))
		require.ErrorIs(t, p.Go(t.Context(), nothing), workerpool.ErrFull, "only a task that waits for its key is there")
		release()
	})
}

func TestCallerRunsInTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 1, Overflow: workerpool.CallerRuns, SampleEvery: 1})
		release := stuff(t, p)
		ran := false
		require.NoError(t, p.Go(t.Context(), func(ctx context.Context) { ran = ctx.Err() == nil }))
		require.True(t, ran)
		f := submit(t, t.Context(), p, func(context.Context) (int, error) { return 3, errCause })
		v, err, ok := f.TryResult()
		require.True(t, ok)
		require.Equal(t, 3, v)
		require.Equal(t, errCause, err)
		f = submit(t, t.Context(), p, func(context.Context) (int, error) { panic(errCause) })
		_, err, _ = f.TryResult()
		require.ErrorIs(t, err, errCause)
		require.EqualValues(t, 3, p.Stats().Completed)
		var kept error
		go func() { kept = p.GoKey(t.Context(), 1, nothing) }()
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Waiting, "a task with a key is kept in order")
		release()
		synctest.Wait()
		require.NoError(t, kept)
		requireIdle(t, p)
	})
}

// A drain waits for what a caller runs, too.
func TestDrainWaitsForWhatACallerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, NoQueue: true, Overflow: workerpool.CallerRuns})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		go p.Go(t.Context(), func(context.Context) { time.Sleep(time.Hour) })
		synctest.Wait()
		release()
		start := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, time.Hour, time.Since(start))
	})
}

func TestNoQueueAcceptsAsManyAsThereAreWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 3, NoQueue: true})
		hold, release := block()
		for range 3 {
			require.True(t, p.TryGo(t.Context(), hold))
		}
		require.False(t, p.TryGo(t.Context(), hold))
		synctest.Wait()
		require.False(t, p.TryGo(t.Context(), hold))
		require.NoError(t, p.Resize(4))
		require.True(t, p.TryGo(t.Context(), hold))
		release()
		synctest.Wait()
		require.True(t, p.TryGo(t.Context(), nothing))
	})
}

func TestUnboundedAcceptsAll(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, Queue: workerpool.Unbounded, Overflow: workerpool.Reject})
	hold, release := block()
	require.NoError(t, p.Go(t.Context(), hold))
	var n atomic.Int64
	for range 100_000 {
		require.NoError(t, p.Go(context.Background(), func(context.Context) { n.Add(1) }))
	}
	release()
	require.NoError(t, p.Drain(t.Context()))
	require.EqualValues(t, 100_000, n.Load())
}

// Callers that wait for room get it in the order in which they came.
func TestBlockedCallersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
		release := stuff(t, p)
		var mu sync.Mutex
		var order []int
		for i := range 50 {
			go p.Go(t.Context(), func(context.Context) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		release()
		synctest.Wait()
		require.Len(t, order, 50)
		require.IsIncreasing(t, order)
	})
}

func TestGoKeyRunsOneAtATimeInOrder(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 8, Queue: workerpool.Unbounded})
	type account struct {
		inside atomic.Int64
		order  []int
	}
	accounts := make([]account, 10)
	for i := range 5000 {
		a := &accounts[i%len(accounts)]
		require.NoError(t, p.GoKey(t.Context(), i%len(accounts), func(context.Context) {
			if a.inside.Add(1) != 1 {
				t.Error("two of one key")
			}
			a.order = append(a.order, i)
			if i%7 == 0 {
				runtime.Gosched()
			}
			a.inside.Add(-1)
		}))
	}
	require.NoError(t, p.Drain(t.Context()))
	for i := range accounts {
		require.Len(t, accounts[i].order, 500)
		require.IsIncreasing(t, accounts[i].order)
	}
}

// A key is held by no worker: tasks of other keys run beside a slow one.
func TestGoKeyDoesNotTakeWorkersToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2})
		hold, release := block()
		require.NoError(t, p.GoKey(t.Context(), "slow", hold))
		for range 10 {
			require.NoError(t, p.GoKey(t.Context(), "slow", nothing))
		}
		ran := false
		require.NoError(t, p.GoKey(t.Context(), "other", func(context.Context) { ran = true }))
		synctest.Wait()
		require.True(t, ran)
		require.Equal(t, 10, p.Stats().Queued)
		require.Equal(t, 1, p.Stats().Running)
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

// Keys survive every way in which their tasks end.
func TestGoKeyGoesOnAfterEveryOutcome(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2, Hooks: workerpool.Hooks{OnPanic: func(*workerpool.PanicError) {}}})
	ended, cancel := context.WithCancel(t.Context())
	hold, release := block()
	require.NoError(t, p.GoKey(t.Context(), 1, hold))
	var order []int
	for i := range 40 {
		ctx := t.Context()
		if i%4 == 3 {
			ctx = ended
		}
		require.NoError(t, p.GoKey(ctx, 1, func(context.Context) {
			order = append(order, i)
			switch i % 4 {
			case 1:
				panic("boom")
			case 2:
				runtime.Goexit()
			}
		}))
	}
	cancel()
	release()
	require.NoError(t, p.Drain(t.Context()))
	require.Len(t, order, 30)
	require.IsIncreasing(t, order)
	require.EqualValues(t, 10, p.Stats().DroppedContextDone)
}

func TestLimitIsSharedByTheViewsMadeFromIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 10})
		tenant := p.Limit(3)
		hold, release := block()
		for i := range 10 {
			view := tenant
			if i%2 == 0 {
				view = tenant.WithPriority(workerpool.High)
			}
			require.NoError(t, view.Go(t.Context(), hold))
		}
		synctest.Wait()
		require.Equal(t, 3, p.Stats().Running)
		require.NoError(t, tenant.Limit(2).Go(t.Context(), hold), "another limit takes its place")
		synctest.Wait()
		require.Equal(t, 4, p.Stats().Running)
		require.True(t, tenant.TryGo(t.Context(), hold))
		require.NoError(t, tenant.GoKey(t.Context(), 1, hold))
		synctest.Wait()
		require.Equal(t, 5, p.Stats().Running)
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

func TestGroupFirstErrorCancelsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2})
		g := p.Group(t.Context())
		var cause error
		g.Go(func(ctx context.Context) error { <-ctx.Done(); cause = context.Cause(ctx); return ctx.Err() })
		g.Go(func(context.Context) error { time.Sleep(time.Second); return errCause })
		for range 10 {
			g.Go(func(context.Context) error { t.Error("ran"); return nil })
		}
		require.Equal(t, errCause, g.Wait())
		require.Equal(t, errCause, cause)
		require.Equal(t, errCause, g.Wait(), "again")
		require.EqualValues(t, 10, p.Stats().DroppedContextDone)
		requireIdle(t, p)
	})
}

func TestGroupWithoutErrorAndWithoutTasks(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2})
	require.NoError(t, p.Group(t.Context()).Wait())
	g := p.WithPriority(workerpool.High).Group(t.Context())
	var n atomic.Int64
	for range 1000 {
		g.Go(func(context.Context) error { n.Add(1); return nil })
	}
	require.NoError(t, g.Wait())
	require.EqualValues(t, 1000, n.Load())
}

// A group made in a task forgets the tasks that have begun.
func TestGroupInATaskWithManyTasks(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2, Queue: 16})
	f := submit(t, t.Context(), p, func(ctx context.Context) (int64, error) {
		g := p.Group(ctx)
		var n atomic.Int64
		for range 5000 {
			g.Go(func(context.Context) error { n.Add(1); return nil })
		}
		err := g.Wait()
		return n.Load(), err
	})
	n, err := f.Wait(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5000, n)
}

func TestMapKeepsOrderAndCallsEachOnce(t *testing.T) {
	for _, size := range []int{0, 1, 2, 7, 64, 1000, 12345} {
		for _, workers := range []int{1, 3, 16} {
			p := newPool(t, workerpool.Config{Max: workers, Queue: 4})
			for _, target := range []workerpool.Target{p, p.Limit(2), p.WithPriority(workerpool.Low)} {
				in := make([]int, size)
				calls := make([]atomic.Int32, size)
				for i := range in {
					in[i] = i
				}
				out, err := workerpool.Map(t.Context(), target, in, func(_ context.Context, v int) (string, error) {
					calls[v].Add(1)
					return fmt.Sprint(v), nil
				})
				require.NoError(t, err)
				require.Len(t, out, size)
				for i, v := range out {
					require.Equal(t, fmt.Sprint(i), v)
					require.EqualValues(t, 1, calls[i].Load())
				}
			}
			require.NoError(t, p.Drain(t.Context()))
			requireIdle(t, p)
		}
	}
}

func TestMapFirstErrorEndsIt(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2})
	var calls atomic.Int64
	out, err := workerpool.Map(t.Context(), p, make([]int, 100_000), func(context.Context, int) (int, error) {
		if calls.Add(1) == 100 {
			return 0, errCause
		}
		return 0, nil
	})
	require.Equal(t, errCause, err)
	require.Nil(t, out)
	require.Less(t, calls.Load(), int64(100_000))
}

// Slow values are handed out one by one, so that nobody waits for a block.
func TestMapSharesOutSlowValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 4})
		start := time.Now()
		_, err := workerpool.Map(t.Context(), p, make([]int, 40), func(context.Context, int) (int, error) {
			time.Sleep(time.Second)
			return 0, nil
		})
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Since(start), "four at a time, the calling goroutine one of them")
	})
}

// A busy pool does not stop a Map: the calling goroutine does the work.
func TestMapGoesOnWhileThePoolIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2, Queue: 1})
		hold, release := block()
		for range 3 {
			require.NoError(t, p.Go(t.Context(), hold))
		}
		out, err := workerpool.Map(t.Context(), p, []int{1, 2, 3}, func(_ context.Context, v int) (int, error) { return v * v, nil })
		require.NoError(t, err)
		require.Equal(t, []int{1, 4, 9}, out)
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

// Helpers that have not begun leave the queue when the work is done.
func TestMapTakesItsHelpersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 3})
		hold, release := block()
		for range 3 {
			require.NoError(t, p.Go(t.Context(), hold))
		}
		synctest.Wait()
		_, err := workerpool.Map(t.Context(), p, make([]int, 100), func(context.Context, int) (int, error) { return 0, nil })
		require.NoError(t, err)
		require.Zero(t, p.Stats().Queued)
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

func TestStreamKeepsOrderWithinItsWindow(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 4})
	for _, window := range []int{0, 1, 3, 100} {
		var pulled, yielded atomic.Int64
		seq := func(yield func(int) bool) {
			for i := range 500 {
				pulled.Add(1)
				if !yield(i) {
					return
				}
			}
		}
		limit := int64(window)
		if window == 0 {
			limit = 8
		}
		next := 0
		for v, err := range workerpool.Stream(t.Context(), p, window, seq, func(_ context.Context, v int) (int, error) {
			if pulled.Load()-yielded.Load() > limit+1 {
				t.Errorf("%d pulled, %d yielded", pulled.Load(), yielded.Load())
			}
			return v, nil
		}) {
			require.NoError(t, err)
			require.Equal(t, next, v)
			next++
			yielded.Add(1)
		}
		require.Equal(t, 500, next)
	}
}

func TestStreamYieldsErrorsAndGoesOn(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2})
	var got []string
	for v, err := range workerpool.Stream(t.Context(), p, 2, slices.Values([]int{1, 2, 3}), func(_ context.Context, v int) (int, error) {
		if v == 2 {
			return 0, errCause
		}
		return v, nil
	}) {
		got = append(got, fmt.Sprint(v, err))
	}
	require.Equal(t, []string{"1 <nil>", "0 cause", "3 <nil>"}, got)
}

// A loop that is left cancels what runs, drops what waits, and waits for it.
func TestStreamLeavesNothingBehind(t *testing.T) {
	leave := map[string]func(yieldPanic *bool) bool{
		"break": func(*bool) bool { return true },
		"panic": func(p *bool) bool { *p = true; panic(errCause) },
	}
	for name, how := range leave {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 2})
				var ended atomic.Int64
				loop := func() {
					panicked := false
					defer func() {
						if panicked {
							require.Equal(t, errCause, recover())
						}
					}()
					for range workerpool.Stream(t.Context(), p, 10, slices.Values(make([]int, 100)), func(ctx context.Context, _ int) (int, error) {
						if ended.Add(1) > 1 {
							<-ctx.Done()
							time.Sleep(time.Second)
						}
						return 0, nil
					}) {
						if how(&panicked) {
							break
						}
					}
				}
				loop()
				requireIdle(t, p)
				require.Less(t, ended.Load(), int64(5))
			})
		})
	}
}

// When ctx ends in the middle, its error is the last one.
func TestStreamEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2})
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		var errs []error
		for _, err := range workerpool.Stream(ctx, p, 2, slices.Values(make([]int, 100)), func(ctx context.Context, _ int) (int, error) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			return 0, nil
		}) {
			errs = append(errs, err)
		}
		require.Less(t, len(errs), 12)
		require.ErrorIs(t, errs[len(errs)-1], context.DeadlineExceeded)
		require.NoError(t, errs[0])
		requireIdle(t, p)
	})
}

func TestStreamOnAClosedPoolSaysSo(t *testing.T) {
	p := workerpool.MustNew(workerpool.Config{})
	n := 0
	for _, err := range workerpool.Stream(t.Context(), p, 1, slices.Values([]int{1, 2, 3}), func(context.Context, int) (int, error) { return 0, nil }) {
		if n++; n == 1 {
			require.NoError(t, err)
			require.NoError(t, p.Close())
			continue
		}
		require.ErrorIs(t, err, workerpool.ErrClosed)
	}
	require.GreaterOrEqual(t, n, 2)
}

func TestStatefulTasksHaveTheStateToThemselves(t *testing.T) {
	type state struct {
		inside atomic.Int64
		tasks  int
		freed  bool
	}
	var mu sync.Mutex
	var states []*state
	s := workerpool.MustNewStateful(workerpool.Config{Max: 3}, func(context.Context) (*state, error) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, new(state))
		return states[len(states)-1], nil
	}, func(s *state) { s.freed = true })
	use := func(s *state) {
		if s.inside.Add(1) != 1 {
			t.Error("two in one state")
		}
		s.tasks++
		runtime.Gosched()
		s.inside.Add(-1)
	}
	for i := range 600 {
		if i%3 == 0 {
			_, err := workerpool.SubmitState(t.Context(), s, func(_ context.Context, s *state) (int, error) {
				use(s)
				if i%30 == 0 {
					runtime.Goexit() // the goroutine is lost, the state is not
				}
				return 0, nil
			})
			require.NoError(t, err)
			continue
		}
		require.NoError(t, s.Go(t.Context(), func(_ context.Context, s *state) { use(s) }))
	}
	require.NoError(t, s.Pool().Drain(t.Context()))
	require.LessOrEqual(t, len(states), 3)
	sum := 0
	for _, state := range states {
		require.True(t, state.freed)
		sum += state.tasks
	}
	require.Equal(t, 600, sum)
}

// A task that waits keeps its state; who takes its place has another.
func TestStatefulNestedWaitHasAStateOfItsOwn(t *testing.T) {
	var made atomic.Int64
	s := workerpool.MustNewStateful(workerpool.Config{Max: 1}, func(context.Context) (int64, error) { return made.Add(1), nil }, nil)
	defer s.Pool().Close()
	f, err := workerpool.SubmitState(t.Context(), s, func(ctx context.Context, outer int64) ([2]int64, error) {
		f, err := workerpool.SubmitState(ctx, s, func(_ context.Context, inner int64) (int64, error) { return inner, nil })
		if err != nil {
			return [2]int64{}, err
		}
		inner, err := f.Wait(ctx)
		return [2]int64{outer, inner}, err
	})
	require.NoError(t, err)
	v, err := f.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, [2]int64{1, 2}, v)
}

// One task makes one state, however long that takes; a second makes another.
func TestStatefulMakesNoMoreStatesThanTasksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var making atomic.Int64
		s := workerpool.MustNewStateful(workerpool.Config{Max: 8}, func(context.Context) (int, error) {
			making.Add(1)
			time.Sleep(time.Minute)
			return 0, nil
		}, nil)
		defer s.Pool().Close()
		require.NoError(t, s.Go(t.Context(), func(context.Context, int) {}))
		synctest.Wait()
		require.EqualValues(t, 1, making.Load())
		require.NoError(t, s.Go(t.Context(), func(context.Context, int) {}))
		synctest.Wait()
		require.EqualValues(t, 2, making.Load())
	})
}

// Close ends the tries of a worker that never made its state.
func TestStatefulCloseWhileInitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workerpool.MustNewStateful(workerpool.Config{Max: 2}, func(context.Context) (int, error) { return 0, errCause }, nil)
		f, err := workerpool.SubmitState(t.Context(), s, func(context.Context, int) (int, error) { t.Error("ran"); return 0, nil })
		require.NoError(t, err)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = s.Pool().Drain(ctx)
		var de *workerpool.DrainError
		require.ErrorAs(t, err, &de)
		require.Equal(t, 1, de.Dropped)
		require.NoError(t, s.Pool().Close())
		_, err = f.Wait(t.Context())
		require.ErrorIs(t, err, workerpool.ErrClosed)
		require.Zero(t, s.Pool().Stats().Workers)
	})
}

func TestStatefulMisuse(t *testing.T) {
	s := workerpool.MustNewStateful(workerpool.Config{}, func(context.Context) (int, error) { return 0, nil }, nil)
	defer s.Pool().Close()
	require.PanicsWithValue(t, "workerpool: fn is nil", func() { _ = s.Go(t.Context(), nil) })
	require.PanicsWithValue(t, "workerpool: fn is nil", func() { _, _ = workerpool.SubmitState[int, int](t.Context(), s, nil) })
}

func TestFutureCancelEndsTheContextWithItsCause(t *testing.T) {
	p := newPool(t, workerpool.Config{})
	begun := make(chan struct{})
	f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) {
		close(begun)
		<-ctx.Done()
		return 7, context.Cause(ctx)
	})
	<-begun
	f.Cancel()
	f.Cancel()
	v, err := f.Wait(t.Context())
	require.Equal(t, 7, v, "the function has the last word")
	require.Equal(t, workerpool.ErrCanceled, err)
	require.Zero(t, p.Stats().DroppedCanceled)
}

func TestFutureManyWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{})
		f := submit(t, t.Context(), p, func(context.Context) (int, error) { time.Sleep(time.Second); return 3, nil })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				ctx := t.Context()
				if i%2 == 0 {
					ctx = context.Background()
				}
				if v, err := f.Wait(ctx); v != 3 || err != nil {
					t.Error(v, err)
				}
			})
			wg.Go(func() { <-f.Done() })
		}
		wg.Wait()
	})
}

// Whoever waits learns at once that the ctx of a queued task has ended, though
// no worker is free and nobody wants its room.
func TestFutureOfAnEndedContextResolvesForItsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		waited, done := submit(t, ctx, p, zero), submit(t, ctx, p, zero)
		var err error
		go func() { _, err = waited.Wait(t.Context()) }()
		closed := false
		go func() { <-done.Done(); closed = true }()
		synctest.Wait()
		cancel(errCause)
		synctest.Wait()
		require.ErrorIs(t, err, errCause)
		require.True(t, closed)
		require.Zero(t, p.Stats().Queued)
		release()
	})
}

// The ctx of a task is a good citizen of package context.
func TestTaskContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{})
		deadline, stop := context.WithTimeout(context.WithValue(t.Context(), key{}, 1), time.Hour)
		defer stop()
		var leaked context.Context
		require.NoError(t, p.Go(deadline, func(ctx context.Context) {
			leaked = ctx
			child, cancel := context.WithCancelCause(ctx)
			cancel(errCause)
			if context.Cause(child) != errCause || ctx.Err() != nil {
				t.Error("a child ends alone")
			}
			if done := ctx.Done(); done != ctx.Done() {
				t.Error("another channel")
			}
			want, _ := deadline.Deadline()
			if got, ok := ctx.Deadline(); !ok || got != want {
				t.Error("another deadline")
			}
			if ctx.Value("nothing") != nil || ctx.Value(key{}) != 1 {
				t.Error("another value")
			}
		}))
		synctest.Wait()
		require.ErrorIs(t, leaked.Err(), context.Canceled, "it ends with the task")
		require.Equal(t, 1, leaked.Value(key{}))
		<-leaked.Done()
		require.ErrorIs(t, p.Go(leaked, nothing), context.Canceled)
	})
}

// Close reaches the contexts that were asked for Done before, and after.
func TestCloseCancelsRunningContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{Max: 3})
		var early, late, polled error
		require.NoError(t, p.Go(t.Context(), func(ctx context.Context) { <-ctx.Done(); early = context.Cause(ctx) }))
		require.NoError(t, p.Go(t.Context(), func(ctx context.Context) {
			time.Sleep(time.Second)
			<-ctx.Done()
			late = context.Cause(ctx)
		}))
		require.NoError(t, p.Go(t.Context(), func(ctx context.Context) {
			for ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			polled = context.Cause(ctx)
		}))
		synctest.Wait()
		require.NoError(t, p.Close())
		for _, err := range []error{early, late, polled} {
			require.Equal(t, workerpool.ErrClosed, err)
		}
	})
}

// Two pools that wait for each other's tasks.
func TestTwoPoolsNested(t *testing.T) {
	a, b := newPool(t, workerpool.Config{Max: 1}), newPool(t, workerpool.Config{Max: 1})
	ask := func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) (int, error)) (int, error) {
		f, err := workerpool.Submit(ctx, p, fn)
		if err != nil {
			return 0, err
		}
		v, err := f.Wait(ctx)
		return v + 1, err
	}
	v, err := ask(t.Context(), a, func(ctx context.Context) (int, error) {
		return ask(ctx, b, func(ctx context.Context) (int, error) {
			return ask(ctx, a, func(ctx context.Context) (int, error) {
				return ask(ctx, b, func(context.Context) (int, error) { return 0, nil })
			})
		})
	})
	require.NoError(t, err)
	require.Equal(t, 4, v)
}

// What peers get wrong, each with ours beside it.

// A Future whose function calls Goexit never resolves, and its worker is lost.
func TestDefectGoexitResolves(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1})
	for range 10 {
		_, err := submit(t, t.Context(), p, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }).Wait(t.Context())
		require.Equal(t, workerpool.ErrGoexit, err)
	}
	require.Equal(t, 1, p.Stats().Workers)
}

// Resizing does nothing on a pool that was made with all of its workers.
func TestDefectResizeWorksOnAPoolWithMin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 2, Min: 2})
		hold, release := block()
		for range 6 {
			require.NoError(t, p.Go(t.Context(), hold))
		}
		synctest.Wait()
		require.Equal(t, 2, p.Stats().Running)
		require.NoError(t, p.Resize(5))
		synctest.Wait()
		require.Equal(t, 5, p.Stats().Running)
		require.NoError(t, p.Resize(1))
		release()
		time.Sleep(3 * time.Minute)
		require.Equal(t, 2, p.Stats().Workers, "those beyond leave when they have been idle")
		requireIdle(t, p)
	})
}

// A shrunk pool goes on at its old size until it is idle.
func TestDefectShrinkTakesEffectAtTheNextTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 4})
		for range 20 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(time.Second) }))
		}
		synctest.Wait()
		require.NoError(t, p.Resize(1))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, 1, p.Stats().Running)
		time.Sleep(time.Minute)
		require.EqualValues(t, 20, p.Stats().Completed)
	})
}

// Stop waits for ever for a task that hangs, or does not wait at all.
func TestDefectDrainHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Drain(ctx), context.DeadlineExceeded)
		release()
		require.NoError(t, p.Close())
	})
}

// A panic loses what it panicked with: only text is left.
func TestDefectPanicKeepsItsValue(t *testing.T) {
	p := newPool(t, workerpool.Config{})
	type custom struct{ code int }
	_, err := submit(t, t.Context(), p, func(context.Context) (int, error) { panic(custom{3}) }).Wait(t.Context())
	pe, ok := errors.AsType[*workerpool.PanicError](err)
	require.True(t, ok)
	require.Equal(t, custom{3}, pe.Value)
}

// Not accepted and failed are one error.
func TestDefectRefusalAndFailureAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 1, Overflow: workerpool.Reject})
		f := submit(t, t.Context(), p, func(context.Context) (int, error) { return 0, workerpool.ErrFull })
		_, err := f.Wait(t.Context())
		require.Equal(t, workerpool.ErrFull, err, "the task's own")
		synctest.Wait()
		release := stuff(t, p)
		f, err = workerpool.Submit(t.Context(), p, zero)
		require.Nil(t, f)
		require.ErrorIs(t, err, workerpool.ErrFull)
		release()
	})
}

// A pool whose tasks are all short and come one by one starts worker upon
// worker, up to its size.
func TestDefectOneTaskAtATimeNeedsOneWorker(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 100})
	for range 1000 {
		require.NoError(t, entries["Submit"](t.Context(), p, succeed))
	}
	require.LessOrEqual(t, p.Stats().Workers, 3)
}
