package workerpool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// Every kind of task, cancelled at any moment, while the pool is resized,
// paused, resumed and looked at: each accepted task ends once and the books
// agree, at any moment and in the end.
func TestStormOfCancellations(t *testing.T) {
	configs := map[string]workerpool.Config{
		"block":      {Max: 3, Queue: 8},
		"reject":     {Max: 2, Queue: 4, Overflow: workerpool.Reject},
		"dropoldest": {Max: 2, Queue: 4, Overflow: workerpool.DropOldest},
		"callerruns": {Max: 2, Queue: 2, Overflow: workerpool.CallerRuns},
		"noqueue":    {Max: 3, NoQueue: true},
		"aged":       {Max: 2, Queue: 16, MaxQueueAge: 100 * time.Microsecond, SampleEvery: 2},
		"idle":       {Max: 3, Queue: 8, IdleTimeout: 50 * time.Microsecond, Min: 1},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			var dropped, panics atomic.Int64
			cfg.Hooks = workerpool.Hooks{
				OnDropped: func(workerpool.Dropped) { dropped.Add(1) },
				OnPanic:   func(*workerpool.PanicError) { panics.Add(1) },
			}
			p := newPool(t, cfg)
			limited := p.WithPriority(workerpool.Low).Limit(2)
			high := p.WithPriority(workerpool.High)
			var accepted, ran atomic.Int64
			stop := make(chan struct{})
			var wg, meddler sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(rand.Uint64(), 1))
					for range 400 {
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(200))*time.Microsecond)
						task := func(context.Context) {
							ran.Add(1)
							switch rnd := rand.IntN(20); rnd {
							case 0:
								panic(errCause)
							case 1:
								runtime.Goexit()
							case 2:
								runtime.Gosched()
							}
						}
						if cfg.Overflow == workerpool.CallerRuns {
							task = func(context.Context) { ran.Add(1) } // a caller would be ended by Goexit
						}
						var err error
						switch rnd.IntN(6) {
						case 0:
							err = p.Go(ctx, task)
						case 1:
							err = p.GoKey(ctx, rnd.IntN(3), task)
						case 2:
							err = limited.Go(ctx, task)
						case 3:
							err = high.Go(ctx, task)
						default:
							var f *workerpool.Future[int]
							if f, err = workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { task(ctx); return 7, nil }); err == nil {
								if rnd.IntN(3) == 0 {
									f.Cancel()
								}
								if v, err := f.Wait(ctx); err == nil && v != 7 {
									t.Error("a value that nobody returned")
								}
							}
						}
						if err == nil {
							accepted.Add(1)
						} else if !errors.Is(err, workerpool.ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("refused by %v", err)
						}
						if rnd.IntN(2) == 0 {
							cancel()
						}
						defer cancel()
					}
				})
			}
			meddler.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						p.Resume()
						return
					default:
					}
					switch i % 5 {
					case 0:
						p.Resize(1 + i%4)
					case 1:
						p.Pause()
					case 2:
						p.Resume()
					default:
						s := p.Stats()
						if s.Running < 0 || s.Queued < 0 || s.Idle > s.Workers {
							t.Errorf("%+v", s)
						}
					}
					runtime.Gosched()
				}
			})
			wg.Wait()
			close(stop)
			meddler.Wait()
			require.NoError(t, p.Drain(t.Context()))
			s := p.Stats()
			requireIdle(t, p)
			require.EqualValues(t, s.Completed, ran.Load())
			require.EqualValues(t, dropped.Load(), s.Accepted-s.Completed)
			require.GreaterOrEqual(t, int64(s.Accepted), accepted.Load())
			require.Zero(t, s.Workers)
		})
	}
}

// Ten thousand callers that wait for room with little time take no throughput
// away from those that stay: leaving the line is O(1), and nobody is handed
// a place who has gone.
func TestStormOfDeadlinesWhileWaitingForRoom(t *testing.T) {
	p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
	hold, release := block()
	require.NoError(t, p.Go(t.Context(), hold))
	ctx, cancel := context.WithCancel(context.Background())
	var late, in atomic.Int64
	var wg sync.WaitGroup
	for range 10_000 {
		wg.Go(func() {
			if err := p.Go(ctx, nothing); err == nil {
				in.Add(1)
			} else {
				late.Add(1)
			}
		})
	}
	for p.Stats().Waiting < 9_000 {
		for range 1000 {
			runtime.Gosched()
		}
	}
	cancel()
	wg.Wait()
	require.EqualValues(t, 10_000, late.Load()+in.Load())
	release()
	require.Zero(t, p.Stats().Waiting)
	require.NoError(t, entries["Submit"](t.Context(), p, succeed))
	require.NoError(t, p.Drain(t.Context()))
	requireIdle(t, p)
	s := p.Stats()
	require.GreaterOrEqual(t, s.Accepted, uint64(in.Load()+2))
	require.EqualValues(t, 2, s.Completed, "who was let in as its ctx ended was dropped")
}

// Close at any moment: every Future resolves, no goroutine is left.
func TestStormOfCloses(t *testing.T) {
	for i := range 100 {
		p := workerpool.MustNew(workerpool.Config{Max: 2, Queue: 4, MaxQueueAge: time.Duration(i%3) * time.Millisecond})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					f, err := workerpool.Submit(context.Background(), p, func(ctx context.Context) (int, error) {
						g, err := workerpool.Submit(ctx, p, zero)
						if err != nil {
							return 0, err
						}
						return g.Wait(ctx)
					})
					if err != nil {
						if err != workerpool.ErrClosed {
							t.Errorf("refused by %v", err)
						}
						return
					}
					if _, err := f.Wait(context.Background()); err != nil && !errors.Is(err, workerpool.ErrDropped) && !errors.Is(err, workerpool.ErrClosed) && !errors.Is(err, context.Canceled) {
						t.Errorf("ended by %v", err)
					}
				}
			})
		}
		yields := i * 20
		if runtime.GOMAXPROCS(0) == 1 {
			yields = i % 4 // each lasts for a time slice of those who pass work to and fro
		}
		for range yields {
			runtime.Gosched()
		}
		switch i % 3 {
		case 0:
			p.Close()
		case 1:
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			p.Drain(ctx)
			cancel()
			p.Close()
		case 2:
			require.NoError(t, p.Drain(context.Background()))
		}
		wg.Wait()
		requireIdle(t, p)
		require.Zero(t, p.Stats().Workers)
	}
}

// Trees of tasks that wait for tasks, in every way, on few workers.
func TestStormOfNesting(t *testing.T) {
	for _, cfg := range []workerpool.Config{{Max: 1}, {Max: 2, Queue: 1}, {Max: 3, Queue: 2, Overflow: workerpool.CallerRuns}} {
		p := newPool(t, cfg)
		views := []workerpool.Target{p, p.Limit(1), p.WithPriority(workerpool.High), p.WithPriority(workerpool.Low).Limit(2)}
		var tree func(ctx context.Context, depth int) (int, error)
		tree = func(ctx context.Context, depth int) (int, error) {
			if depth == 0 {
				return 1, nil
			}
			var futures []*workerpool.Future[int]
			for i := range 3 {
				// A limit may not be taken again by what waits inside it.
				view := views[0]
				if depth == 1 {
					view = views[(i+depth)%len(views)]
				}
				f, err := workerpool.Submit(ctx, view, func(ctx context.Context) (int, error) { return tree(ctx, depth-1) })
				if err != nil {
					return 0, err
				}
				futures = append(futures, f)
			}
			sum := 0
			for _, f := range futures {
				n, err := f.Wait(ctx)
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				f, err := workerpool.Submit(context.Background(), p, func(ctx context.Context) (int, error) { return tree(ctx, 4) })
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := f.Wait(context.Background()); err != nil || n != 81 {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, p.Drain(t.Context()))
		requireIdle(t, p)
	}
}
