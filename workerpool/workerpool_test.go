package workerpool_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// outcomes are all the ways in which a task ends, with the error of its Future;
// nil where there is more to be said of it.
var outcomes = map[string]struct {
	fn   func(context.Context) (int, error)
	want error
}{
	"value":   {func(context.Context) (int, error) { return 1, nil }, nil},
	"error":   {func(context.Context) (int, error) { return 0, errCause }, errCause},
	"panic":   {func(context.Context) (int, error) { panic(errCause) }, errCause},
	"goexit":  {func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, workerpool.ErrGoexit},
	"runtime": {func(context.Context) (int, error) { return []int{1}[len(os.Args)], nil }, nil},
}

// W1: after every outcome the worker takes the next task.
func TestW1WorkerGoesOnAfterEveryOutcome(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, Queue: workerpool.Unbounded})
	cancelled, cancel := context.WithCancel(t.Context())
	type asked struct {
		future *workerpool.Future[int]
		want   error
		name   string
	}
	var all []asked
	hold, release := block()
	require.NoError(t, p.Go(t.Context(), hold))
	for range 20 {
		for name, o := range outcomes {
			all = append(all, asked{submit(t, t.Context(), p, o.fn), o.want, name})
		}
		all = append(all, asked{submit(t, cancelled, p, func(context.Context) (int, error) { t.Error("ran"); return 0, nil }), context.Canceled, "cancelled"})
	}
	cancel()
	release()
	for _, a := range all {
		_, err := a.future.Wait(t.Context())
		switch a.name {
		case "value":
			require.NoError(t, err)
		case "runtime":
			require.ErrorAs(t, err, new(runtime.Error))
		default:
			require.ErrorIs(t, err, a.want, a.name)
		}
	}
	require.Equal(t, 1, p.Stats().Workers)
	require.EqualValues(t, 40, p.Stats().Panics)
}

// W2: the Future of every accepted task resolves exactly once, whatever ends it,
// and the place of a lost goroutine is filled.
func TestW2EveryFutureResolvesOnceAndWorkersAreReplaced(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 3})
	for name, o := range outcomes {
		for range 20 {
			f := submit(t, t.Context(), p, o.fn)
			_, first := f.Wait(t.Context())
			<-f.Done()
			_, second, ok := f.TryResult()
			require.True(t, ok)
			require.Equal(t, first, second, name)
			f.Cancel() // too late to change anything
			_, third := f.Wait(t.Context())
			require.Equal(t, first, third, name)
		}
	}
	// All three places still work at the same time.
	var inside sync.WaitGroup
	inside.Add(3)
	g := p.Group(t.Context())
	for range 3 {
		g.Go(func(context.Context) error { inside.Done(); inside.Wait(); return nil })
	}
	require.NoError(t, g.Wait())
	require.LessOrEqual(t, p.Stats().Workers, 3)
}

// W3: shutdown refuses new tasks at once, runs or drops what waits, cancels what
// runs at the deadline and accounts for it. TestContractDrainDeadline has the
// deadline; this is Drain without one, and Close.
func TestW3DrainRunsWhatWaitsAndCloseDropsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{Max: 2})
		var ran atomic.Int64
		for range 10 {
			require.NoError(t, p.Go(t.Context(), func(context.Context) { time.Sleep(time.Second); ran.Add(1) }))
		}
		var err error
		drained := make(chan struct{})
		go func() { err = p.Drain(t.Context()); close(drained) }()
		synctest.Wait()
		require.Equal(t, workerpool.ErrClosed, p.Go(t.Context(), func(context.Context) {}))
		start := time.Now()
		<-drained
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(start), "it returns when the last task has ended")
		require.EqualValues(t, 10, ran.Load())
		require.Zero(t, p.Stats().Workers)
	})
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{Max: 1})
		running := submit(t, t.Context(), p, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) })
		synctest.Wait()
		queued := submit(t, t.Context(), p, func(context.Context) (int, error) { t.Error("ran"); return 0, nil })
		keyed := make(chan struct{})
		require.NoError(t, p.GoKey(t.Context(), 1, func(context.Context) { t.Error("ran") }))
		require.NoError(t, p.GoKey(t.Context(), 1, func(context.Context) { t.Error("ran") }))
		close(keyed)
		require.NoError(t, p.Close())
		_, err := running.Wait(t.Context())
		require.Equal(t, workerpool.ErrClosed, err, "the cause of its ctx")
		_, err = queued.Wait(t.Context())
		require.ErrorIs(t, err, workerpool.ErrClosed)
		require.EqualValues(t, 3, p.Stats().DroppedClosed)
		requireIdle(t, p)
	})
}

// Callers that wait for room learn of Drain and Close at once.
func TestW3WaitingCallersAreRefusedAtOnce(t *testing.T) {
	for name, leave := range map[string]func(*workerpool.Pool){
		"Drain": func(p *workerpool.Pool) { p.Drain(context.Background()) },
		"Close": func(p *workerpool.Pool) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
				release := stuff(t, p)
				var err error
				go func() { err = p.Go(t.Context(), func(context.Context) { t.Error("ran") }) }()
				synctest.Wait()
				go leave(p)
				synctest.Wait()
				require.Equal(t, workerpool.ErrClosed, err)
				release()
			})
		})
	}
}

// W4: the queue is bounded and a queued task whose ctx has ended frees its place
// at once, though no worker is free.
func TestW4EndedTaskFreesItsPlaceAtOnce(t *testing.T) {
	kinds := map[string]func(context.Context, *workerpool.Pool, func(context.Context)) error{
		"Go": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context)) error { return p.Go(ctx, fn) },
		"GoKey": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context)) error {
			return p.GoKey(ctx, 1, fn)
		},
		"Low": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context)) error {
			return p.WithPriority(workerpool.Low).Go(ctx, fn)
		},
		"Submit": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context)) error {
			_, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { fn(ctx); return 0, nil })
			return err
		},
	}
	for kind, bring := range kinds {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 1, Queue: 3})
				hold, release := block()
				require.NoError(t, p.Go(t.Context(), hold))
				synctest.Wait()
				var cancels [3]context.CancelFunc
				for i := range cancels {
					var ctx context.Context
					ctx, cancels[i] = context.WithCancel(t.Context())
					require.NoError(t, bring(ctx, p, func(context.Context) { t.Error("ran") }))
				}
				require.Equal(t, 3, p.Stats().Queued)
				var accepted atomic.Int64
				for range 3 {
					go func() {
						if p.Go(t.Context(), func(context.Context) {}) == nil {
							accepted.Add(1)
						}
					}()
				}
				synctest.Wait()
				require.Equal(t, 3, p.Stats().Waiting)
				for i, cancel := range []context.CancelFunc{cancels[1], cancels[2], cancels[0]} {
					cancel()
					synctest.Wait()
					require.EqualValues(t, i+1, accepted.Load())
					require.Equal(t, 3, p.Stats().Queued)
				}
				require.EqualValues(t, 3, p.Stats().DroppedContextDone)
				release()
				synctest.Wait()
				requireIdle(t, p)
			})
		})
	}
}

// A refused task does not wait either: what has ended makes room for it.
func TestW4RejectFindsThePlaceOfAnEndedTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 2, Overflow: workerpool.Reject})
		release := stuff(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, p.Go(ctx, func(context.Context) { t.Error("ran") }))
		require.ErrorIs(t, p.Go(t.Context(), func(context.Context) {}), workerpool.ErrFull)
		cancel()
		synctest.Wait()
		require.NoError(t, p.Go(t.Context(), func(context.Context) {}))
		release()
		synctest.Wait()
		requireIdle(t, p)
	})
}

// A cancelled Future leaves the queue at once, for any number of them.
func TestW4CancelFreesThePlaceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 200})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		var order []int
		var futures []*workerpool.Future[int]
		for i := range 200 {
			futures = append(futures, submit(t, t.Context(), p, func(context.Context) (int, error) { order = append(order, i); return i, nil }))
		}
		for i, f := range futures {
			if i%3 != 0 {
				f.Cancel()
				_, err := f.Wait(t.Context())
				require.Equal(t, workerpool.ErrCanceled, err)
				require.ErrorIs(t, err, context.Canceled)
			}
		}
		require.Equal(t, 67, p.Stats().Queued)
		for range 133 {
			require.True(t, p.TryGo(t.Context(), func(context.Context) {}))
		}
		require.False(t, p.TryGo(t.Context(), func(context.Context) {}))
		release()
		synctest.Wait()
		require.Len(t, order, 67)
		require.IsIncreasing(t, order)
		require.EqualValues(t, 133, p.Stats().DroppedCanceled)
		requireIdle(t, p)
	})
}

// W5: the worker that was idle for the shortest time is the next to work, so
// the others can leave.
func TestW5IdleWorkersAreChosenLastInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 4, IdleTimeout: time.Minute})
		g := p.Group(t.Context())
		for range 4 {
			g.Go(func(context.Context) error { time.Sleep(time.Second); return nil })
		}
		require.NoError(t, g.Wait())
		synctest.Wait()
		require.Equal(t, 4, p.Stats().Idle)
		for range 150 { // one at a time, for longer than two timeouts
			require.NoError(t, entries["Submit"](t.Context(), p, succeed))
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, p.Stats().Workers)
	})
}

// W6: goroutines are reused, and never more than Max tasks run, also while
// producers and Resize are at it.
func TestW6NeverMoreThanMaxRun(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 4, Queue: 64})
	var mu sync.Mutex // who counts itself sees the limit of that moment
	running, limit, excess := 0, 4, 0
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		if running += n; running > limit {
			excess++
		}
	}
	setLimit := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		limit = n
	}
	task := func(context.Context) {
		count(1)
		runtime.Gosched()
		count(-1)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Go(context.Background(), task)
				}
			}
		})
	}
	for i := range 200 {
		n := 1 + i%4
		if n > limit {
			setLimit(n) // before it may be used
			p.Resize(n)
		} else {
			p.Resize(n)
			for p.Stats().Running > n {
				runtime.Gosched() // what was taken before it shrank
			}
			setLimit(n)
		}
		runtime.Gosched()
	}
	close(stop)
	wg.Wait()
	require.Zero(t, excess)
	require.LessOrEqual(t, p.Stats().Workers, 4)
}

// W7: a worker whose init fails says so and tries again, ever more slowly, and
// tasks wait for it meanwhile.
func TestW7FailingInitIsReportedAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []workerpool.InitFailed
		tries := 0
		s := workerpool.MustNewStateful(workerpool.Config{Name: "db", Max: 1, Hooks: workerpool.Hooks{
			OnInitFailed: func(f workerpool.InitFailed) { failures = append(failures, f) },
		}}, func(context.Context) (int, error) {
			switch tries++; tries {
			case 1:
				return 0, errCause
			case 2:
				panic("boom")
			case 3:
				runtime.Goexit()
			case 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16:
				return 0, errCause
			}
			return 42, nil
		}, nil)
		defer s.Pool().Close()
		f, err := workerpool.SubmitState(t.Context(), s, func(_ context.Context, state int) (int, error) { return state, nil })
		require.NoError(t, err)
		v, err := f.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 42, v)
		require.Len(t, failures, 16)
		require.Equal(t, errCause, failures[0].Err)
		require.ErrorAs(t, failures[1].Err, new(*workerpool.PanicError))
		require.Equal(t, workerpool.ErrGoexit, failures[2].Err)
		for i, f := range failures {
			require.Equal(t, i+1, f.Attempt)
			require.Equal(t, "db", f.Name)
			most := min(10*time.Millisecond<<i, 10*time.Second)
			require.LessOrEqual(t, f.RetryIn, most)
			require.Greater(t, f.RetryIn, most*3/4-1)
		}
		require.EqualValues(t, 16, s.Pool().Stats().InitFailures)
		require.Zero(t, s.Pool().Stats().Panics, "that of init is not one of a task")
	})
}

// W8: tasks that bring tasks and wait for them never stop the pool, however few
// workers it has, however deep it goes.
func TestW8NestedSubmitAndWaitNeverDeadlocks(t *testing.T) {
	for _, size := range []int{1, 2, 3} {
		for _, queue := range []int{1, 1024} {
			p := newPool(t, workerpool.Config{Max: size, Queue: queue})
			var fib func(ctx context.Context, n int) (int, error)
			fib = func(ctx context.Context, n int) (int, error) {
				if n < 2 {
					return n, nil
				}
				a, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return fib(ctx, n-1) })
				if err != nil {
					return 0, err
				}
				b, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return fib(ctx, n-2) })
				if err != nil {
					return 0, err
				}
				x, err := a.Wait(ctx)
				if err != nil {
					return 0, err
				}
				y, err := b.Wait(ctx)
				return x + y, err
			}
			f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) { return fib(ctx, 12) })
			v, err := f.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, 144, v)
		}
	}
}

func TestW8NestedDepthOneThousand(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1})
	var down func(ctx context.Context, n int) (int, error)
	down = func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return down(ctx, n-1) })
		if err != nil {
			return 0, err
		}
		v, err := f.Wait(ctx)
		return v + 1, err
	}
	v, err := submit(t, t.Context(), p, func(ctx context.Context) (int, error) { return down(ctx, 1000) }).Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1000, v)
	require.Equal(t, 1, p.Stats().Workers, "a task that has not begun is run by who waits for it")
}

// Every way to wait within a task lends its place.
func TestW8EveryWaitInsideATask(t *testing.T) {
	ways := map[string]func(ctx context.Context, p *workerpool.Pool, depth func(context.Context) error) error{
		"Group": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			g := p.Group(ctx)
			for range 3 {
				g.Go(deeper)
			}
			return g.Wait()
		},
		"LimitedGroup": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			g := p.Limit(1).Group(ctx)
			for range 3 {
				g.Go(deeper)
			}
			return g.Wait()
		},
		"Map": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			_, err := workerpool.Map(ctx, p, make([]int, 3), func(ctx context.Context, _ int) (int, error) { return 0, deeper(ctx) })
			return err
		},
		"LimitedMap": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			_, err := workerpool.Map(ctx, p.Limit(1), make([]int, 3), func(ctx context.Context, _ int) (int, error) { return 0, deeper(ctx) })
			return err
		},
		"Stream": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			for _, err := range workerpool.Stream(ctx, p, 2, one(), func(ctx context.Context, _ int) (int, error) { return 0, deeper(ctx) }) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"GoKey": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			f, err := workerpool.Submit(ctx, p.Limit(1), func(ctx context.Context) (int, error) { return 0, deeper(ctx) })
			if err != nil {
				return err
			}
			_, err = f.Wait(ctx)
			return err
		},
		"short wait": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return 0, deeper(ctx) })
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Hour) // not the scope of the task: it is left to a worker
			defer cancel()
			_, err = f.Wait(ctx)
			return err
		},
		"goroutine": func(ctx context.Context, p *workerpool.Pool, deeper func(context.Context) error) error {
			var wg sync.WaitGroup
			errs := make([]error, 3)
			for i := range errs {
				wg.Go(func() {
					f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return 0, deeper(ctx) })
					if err == nil {
						_, err = f.Wait(ctx)
					}
					errs[i] = err
				})
			}
			wg.Wait()
			return errors.Join(errs...)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 2} {
				p := newPool(t, workerpool.Config{Max: size, Queue: 2})
				var leaves atomic.Int64
				var nest func(depth int) func(context.Context) error
				nest = func(depth int) func(context.Context) error {
					return func(ctx context.Context) error {
						if depth == 0 {
							leaves.Add(1)
							return nil
						}
						return way(ctx, p, nest(depth-1))
					}
				}
				require.NoError(t, entries["Submit"](t.Context(), p, nest(3)))
				require.Positive(t, leaves.Load())
				requireIdle(t, p)
			}
		})
	}
}

// A task that comes back from a wait does not wait for its place: it may hold a
// mutex that the one in its place wants.
func TestW8ComingBackDoesNotWaitForThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, workerpool.Config{Max: 1})
		var mu sync.Mutex // a channel, as a mutex would not let the bubble's clock go on
		taken := make(chan struct{}, 1)
		f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) {
			taken <- struct{}{}
			other, err := workerpool.Submit(ctx, p.Limit(1), func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil })
			if err != nil {
				return 0, err
			}
			if err := p.Go(ctx, func(context.Context) { taken <- struct{}{}; <-taken }); err != nil {
				return 0, err
			}
			if _, err := other.Wait(ctx); err != nil {
				return 0, err
			}
			<-taken
			return 1, nil
		})
		mu.Lock()
		defer mu.Unlock()
		v, err := f.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, v)
		synctest.Wait()
		requireIdle(t, p)
	})
}

// Within a task a full queue is no end either.
func TestW8SubmitToAFullQueueInsideATask(t *testing.T) {
	for _, overflow := range []workerpool.Overflow{workerpool.Block, workerpool.CallerRuns} {
		p := newPool(t, workerpool.Config{Max: 1, Queue: 1, Overflow: overflow})
		var n atomic.Int64
		f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) {
			for range 100 {
				if err := p.Go(ctx, func(context.Context) { n.Add(1) }); err != nil {
					return 0, err
				}
			}
			return 7, nil
		})
		v, err := f.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.NoError(t, p.Drain(t.Context()))
		require.EqualValues(t, 100, n.Load())
	}
}

// W9: first in, first started: one producer, one priority, one worker.
func TestW9FirstInFirstStarted(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, Queue: 100})
	var order []int
	for i := range 5000 {
		switch i % 3 {
		case 0:
			require.NoError(t, p.Go(t.Context(), func(context.Context) { order = append(order, i) }))
		case 1:
			submit(t, t.Context(), p, func(context.Context) (int, error) { order = append(order, i); return 0, nil })
		case 2:
			require.NoError(t, p.Limit(1).Go(t.Context(), func(context.Context) { order = append(order, i) }))
		}
	}
	require.NoError(t, p.Drain(t.Context()))
	require.Len(t, order, 5000)
	require.IsIncreasing(t, order)
}

func TestConfigErrorsNameFieldAndValue(t *testing.T) {
	for want, cfg := range map[string]workerpool.Config{
		"workerpool: Config.Max is -1, want 0 to 2147483647":                              {Max: -1},
		"workerpool: Config.Min is -1, want ≥ 0":                                          {Min: -1},
		"workerpool: Config.Min is 3, want at most Max, which is 2":                       {Min: 3, Max: 2},
		"workerpool: Config.IdleTimeout is -1ns, want ≥ 0":                                {IdleTimeout: -1},
		"workerpool: Config.Queue is -1, want ≥ 0":                                        {Queue: -1},
		"workerpool: Config.Queue is 5, want 0 with NoQueue":                              {Queue: 5, NoQueue: true},
		"workerpool: Config.Overflow is 4, want Block, Reject, CallerRuns or DropOldest":  {Overflow: 4},
		"workerpool: Config.Overflow is -1, want Block, Reject, CallerRuns or DropOldest": {Overflow: -1},
		"workerpool: Config.Overflow is DropOldest, want another with NoQueue":            {Overflow: workerpool.DropOldest, NoQueue: true},
		"workerpool: Config.MaxQueueAge is -1s, want ≥ 0":                                 {MaxQueueAge: -time.Second},
		"workerpool: Config.Ageing is -1s, want ≥ 0":                                      {Ageing: -time.Second},
		"workerpool: Config.SampleEvery is -1, want ≥ 0":                                  {SampleEvery: -1},
	} {
		_, err := workerpool.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { workerpool.MustNew(cfg) })
	}
	_, err := workerpool.NewStateful(workerpool.Config{Max: -1}, func(context.Context) (int, error) { return 0, nil }, nil)
	require.ErrorContains(t, err, "Config.Max is -1")
	_, err = workerpool.NewStateful[int](workerpool.Config{}, nil, nil)
	require.EqualError(t, err, "workerpool: init is nil")
	_, err = workerpool.NewStateful(workerpool.Config{Overflow: workerpool.CallerRuns}, func(context.Context) (int, error) { return 0, nil }, nil)
	require.ErrorContains(t, err, "Config.Overflow is CallerRuns")
	require.Panics(t, func() { workerpool.MustNewStateful[int](workerpool.Config{}, nil, nil) })
}

func TestZeroConfigIsUsable(t *testing.T) {
	p := newPool(t, workerpool.Config{})
	require.NoError(t, entries["Submit"](t.Context(), p, succeed))
	require.Equal(t, runtime.GOMAXPROCS(0), p.Stats().Max)
}

func TestResizeOutOfRangeChangesNothing(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 2})
	require.EqualError(t, p.Resize(0), "workerpool: Resize to 0, want 1 to 2147483647")
	require.Error(t, p.Resize(-1))
	if math.MaxInt > math.MaxInt32 {
		huge := int64(math.MaxInt32) + 1
		require.Error(t, p.Resize(int(huge)))
	}
	require.Equal(t, 2, p.Stats().Max)
}

func TestMisuseIsReportedByPanic(t *testing.T) {
	p := newPool(t, workerpool.Config{})
	ctx := t.Context()
	for want, call := range map[string]func(){
		"workerpool: fn is nil":        func() { _ = p.Go(ctx, nil) },
		"workerpool: fn is nil ":       func() { _ = p.TryGo(ctx, nil) },
		"workerpool: fn is nil  ":      func() { _ = p.GoKey(ctx, 1, nil) },
		"workerpool: fn is nil   ":     func() { _, _ = workerpool.Submit[int](ctx, p, nil) },
		"workerpool: fn is nil    ":    func() { _, _ = workerpool.Map[int, int](ctx, p, nil, nil) },
		"workerpool: fn is nil     ":   func() { p.Group(ctx).Go(nil) },
		"workerpool: fn or seq is nil": func() { workerpool.Stream[int, int](ctx, p, 1, one(), nil) },
		"workerpool: window is negative, want ≥ 0": func() {
			workerpool.Stream(ctx, p, -1, one(), func(context.Context, int) (int, error) { return 0, nil })
		},
		"workerpool: limit is 0, want ≥ 1":                                  func() { p.Limit(0) },
		"workerpool: priority is 2, want Low, Normal or High":               func() { p.WithPriority(2) },
		"workerpool: key is of type []int, want a comparable one":           func() { _ = p.GoKey(ctx, []int{}, func(context.Context) {}) },
		"workerpool: key is of type <nil>, want a comparable one":           func() { _ = p.GoKey(ctx, nil, func(context.Context) {}) },
		"workerpool: key differs from itself, as NaN does":                  func() { _ = p.GoKey(ctx, math.NaN(), func(context.Context) {}) },
		"workerpool: key is of type [1]interface {}, want a comparable one": func() { _ = p.GoKey(ctx, [1]any{[]int{}}, func(context.Context) {}) },
	} {
		func() {
			defer func() { require.Equal(t, trimRight(want), recover()) }()
			call()
		}()
	}
	requireIdle(t, p)
}

func trimRight(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

func TestStatsAreJSON(t *testing.T) {
	p := newPool(t, workerpool.Config{Name: "db", SampleEvery: 1})
	require.NoError(t, entries["Submit"](t.Context(), p, succeed))
	data, err := json.Marshal(p.Stats())
	require.NoError(t, err)
	for _, want := range []string{`"name":"db"`, `"completed":1`, `"dropped_too_old":0`, `"waits":{"count":1`, `"runs":{"count":1`} {
		require.Contains(t, string(data), want)
	}
}

func TestReasonsAndErrorsInWords(t *testing.T) {
	for r, want := range map[workerpool.Reason]string{
		workerpool.ContextDone: "context done", workerpool.Canceled: "cancelled", workerpool.TooOld: "too old",
		workerpool.Overflowed: "overflow", workerpool.Closed: "closed", 9: "Reason(9)",
	} {
		require.Equal(t, want, r.String())
	}
	require.EqualError(t, &workerpool.FullError{Name: "db", Queued: 3, Queue: 3, Expected: time.Second},
		"workerpool: db: full, 3 of 3 queued, expected to start in 1s")
	require.EqualError(t, &workerpool.FullError{}, "workerpool: full, 0 of 0 queued")
	require.NotErrorIs(t, &workerpool.DroppedError{Reason: workerpool.TooOld}, workerpool.ErrClosed)
}
