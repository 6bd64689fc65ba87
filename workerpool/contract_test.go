package workerpool_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

var errCause = errors.New("cause")

type key struct{}

// entries are the ways into a pool that take a ctx. Each returns the error of
// the call, or else the outcome of the task, which it waits for.
var entries = map[string]func(context.Context, *workerpool.Pool, func(context.Context) error) error{
	"Go": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		done := make(chan error, 1)
		if err := p.Go(ctx, func(ctx context.Context) { done <- fn(ctx) }); err != nil {
			return err
		}
		return <-done
	},
	"GoKey": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		done := make(chan error, 1)
		if err := p.GoKey(ctx, "key", func(ctx context.Context) { done <- fn(ctx) }); err != nil {
			return err
		}
		return <-done
	},
	"View": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		done := make(chan error, 1)
		if err := p.WithPriority(workerpool.High).Limit(2).Go(ctx, func(ctx context.Context) { done <- fn(ctx) }); err != nil {
			return err
		}
		return <-done
	},
	"Submit": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return 1, fn(ctx) })
		if err != nil {
			return err
		}
		_, err = f.Wait(context.Background())
		return err
	},
	"Map": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		_, err := workerpool.Map(ctx, p, []int{1}, func(ctx context.Context, _ int) (int, error) { return 1, fn(ctx) })
		return err
	},
	"MapLimited": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		_, err := workerpool.Map(ctx, p.Limit(1), []int{1}, func(ctx context.Context, _ int) (int, error) { return 1, fn(ctx) })
		return err
	},
	"Stream": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		for _, err := range workerpool.Stream(ctx, p, 1, one(), func(ctx context.Context, _ int) (int, error) { return 1, fn(ctx) }) {
			return err
		}
		return errors.New("nothing was yielded")
	},
	"Group": func(ctx context.Context, p *workerpool.Pool, fn func(context.Context) error) error {
		g := p.Group(ctx)
		g.Go(fn)
		return g.Wait()
	},
}

func one() iter.Seq[int] { return slices.Values([]int{1}) }

func succeed(context.Context) error { return nil }

// waiters are the entries that wait when there is no room; Map needs none.
var waiters = []string{"Go", "GoKey", "View", "Submit", "MapLimited", "Stream", "Group"}

// stuff gives p, of one worker and a queue of one, two tasks that end when the
// returned function is called.
func stuff(t *testing.T, p *workerpool.Pool) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	for range 2 {
		require.NoError(t, p.Go(context.Background(), func(context.Context) { <-gate }))
	}
	synctest.Wait()
	return func() { close(gate) }
}

// Done before the call: fn is not called, and nothing was accepted.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPool(t, workerpool.Config{})
	for name, enter := range entries {
		err := enter(ctx, p, func(context.Context) error { t.Error("called"); return nil })
		require.Equal(t, context.Canceled, err, name)
	}
	require.False(t, p.TryGo(ctx, func(context.Context) { t.Error("called") }))
	require.Zero(t, p.Stats().Accepted)

	begun := make(chan struct{})
	f := submit(t, t.Context(), p, func(ctx context.Context) (int, error) { close(begun); <-ctx.Done(); return 0, nil })
	<-begun
	_, err := f.Wait(ctx)
	require.Equal(t, context.Canceled, err, "a Wait for what is not there")
	f.Cancel()
	_, _ = f.Wait(t.Context())
	_, err = f.Wait(ctx)
	require.NoError(t, err, "a Wait for what is there")
}

// Done while waiting for room: prompt return, the place in line is gone.
func TestContractDoneWhileWaiting(t *testing.T) {
	for _, name := range waiters {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
				release := stuff(t, p)
				ctx, cancel := context.WithCancel(t.Context())
				var err error
				go func() { err = entries[name](ctx, p, succeed) }()
				synctest.Wait()
				require.Equal(t, 1, p.Stats().Waiting)
				start := time.Now()
				cancel()
				synctest.Wait()
				require.Equal(t, context.Canceled, err)
				require.Zero(t, time.Since(start))
				require.Zero(t, p.Stats().Waiting)
				release()
				synctest.Wait()
				require.NoError(t, entries[name](t.Context(), p, succeed))
				synctest.Wait()
				requireIdle(t, p)
			})
		})
	}
	t.Run("Wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, workerpool.Config{})
			f, err := workerpool.Submit(t.Context(), p, func(context.Context) (int, error) { time.Sleep(time.Hour); return 3, nil })
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err = f.Wait(ctx)
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, time.Second, time.Since(start))
			v, err := f.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, 3, v, "the task went on")
		})
	})
}

// The error matches ctx.Err() and context.Cause(ctx), before, while waiting for
// room, while waiting in the queue, and while waiting for a result.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for _, name := range waiters {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
				defer stuff(t, p)()
				ctx, cancel := context.WithCancelCause(t.Context())
				var err error
				go func() { err = entries[name](ctx, p, succeed) }()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				err = entries[name](ctx, p, succeed)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				late, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				require.Equal(t, context.DeadlineExceeded, entries[name](late, p, succeed))
			})
		})
	}
	t.Run("queued", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, workerpool.Config{Max: 1})
			release := stuff(t, p)
			ctx, cancel := context.WithCancelCause(t.Context())
			f, err := workerpool.Submit(ctx, p, func(context.Context) (int, error) { t.Error("ran"); return 0, nil })
			require.NoError(t, err)
			cancel(errCause)
			_, err = f.Wait(t.Context())
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errCause)
			release()
			synctest.Wait()
			requireIdle(t, p)
		})
	})
	t.Run("waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, workerpool.Config{})
			f, err := workerpool.Submit(t.Context(), p, func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil })
			require.NoError(t, err)
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
			defer cancel()
			_, err = f.Wait(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errCause)
			_, err = f.Wait(t.Context())
			require.NoError(t, err)
		})
	})
}

// fn's ctx derives from the caller's: values, deadline, end and cause.
func TestContractFnContextDerives(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{})
				ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "v"))
				ctx, stop := context.WithTimeout(ctx, time.Hour)
				defer stop()
				var child context.Context
				_ = enter(ctx, p, func(ctx context.Context) error {
					child = ctx
					if ctx.Value(key{}) != "v" || ctx.Err() != nil {
						t.Error("value or end")
					}
					if _, ok := ctx.Deadline(); !ok {
						t.Error("no deadline")
					}
					cancel(errCause)
					<-ctx.Done()
					if context.Cause(ctx) != errCause || ctx.Err() != context.Canceled {
						t.Errorf("cause %v, error %v", context.Cause(ctx), ctx.Err())
					}
					return nil
				})
				synctest.Wait()
				require.Error(t, child.Err())
			})
		})
	}
}

// Cancelling one caller leaves those before and behind it alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	for _, name := range waiters {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, workerpool.Config{Max: 1, Queue: 1})
				release := stuff(t, p)
				var errs [3]error
				var cancels [3]context.CancelFunc
				var ran atomic.Int64
				for i := range errs {
					var ctx context.Context
					ctx, cancels[i] = context.WithCancel(t.Context())
					defer cancels[i]()
					go func() {
						errs[i] = entries[name](ctx, p, func(ctx context.Context) error { ran.Add(1); return ctx.Err() })
					}()
					synctest.Wait()
				}
				cancels[1]()
				synctest.Wait()
				release()
				synctest.Wait()
				require.NoError(t, errs[0])
				require.Equal(t, context.Canceled, errs[1])
				require.NoError(t, errs[2])
				require.EqualValues(t, 2, ran.Load())
				requireIdle(t, p)
			})
		})
	}
}

// fn's error comes back as it is, also if it is one of the pool's own.
func TestContractFnErrorUnwrapped(t *testing.T) {
	p := newPool(t, workerpool.Config{})
	for name, enter := range entries {
		for _, want := range []error{errCause, workerpool.ErrClosed, context.Canceled} {
			require.Equal(t, want, enter(t.Context(), p, func(context.Context) error { return want }), name)
		}
	}
	f, err := workerpool.Submit(t.Context(), p, func(context.Context) (int, error) { return 5, errCause })
	require.NoError(t, err)
	v, err := f.Wait(t.Context())
	require.Equal(t, errCause, err)
	require.Equal(t, 5, v, "the value comes with the error")
}

func explode(context.Context) error { panic(errCause) }

// A panic or Goexit in fn becomes the outcome of the task with the stack of the
// function, and costs no worker.
func TestContractPanicAndGoexit(t *testing.T) {
	var mu sync.Mutex
	var reported []*workerpool.PanicError
	configs := map[string]workerpool.Config{
		"plain":    {Max: 1},
		"observed": {Max: 1, SampleEvery: 1, MaxQueueAge: time.Hour, Name: "db"},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			cfg.Hooks.OnPanic = func(e *workerpool.PanicError) {
				mu.Lock()
				defer mu.Unlock()
				reported = append(reported, e)
			}
			p := newPool(t, cfg)
			for _, entry := range []string{"Submit", "Map", "MapLimited", "Stream", "Group"} {
				err := entries[entry](t.Context(), p, explode)
				var pe *workerpool.PanicError
				require.ErrorAs(t, err, &pe, entry)
				require.ErrorIs(t, err, errCause, "what fn panicked with is found")
				require.Contains(t, string(pe.Stack), "workerpool_test.explode", entry)
				require.Contains(t, pe.Error(), "task panicked: cause")
				require.Equal(t, cfg.Name, pe.Name)
			}
			for _, entry := range []string{"Submit", "MapLimited", "Stream", "Group"} {
				err := entries[entry](t.Context(), p, func(context.Context) error { runtime.Goexit(); return nil })
				require.Equal(t, workerpool.ErrGoexit, err, entry)
			}
			reported = nil
			var wg sync.WaitGroup
			wg.Add(2)
			require.NoError(t, p.Go(t.Context(), func(context.Context) { defer wg.Done(); panic("boom") }))
			require.NoError(t, p.Go(t.Context(), func(context.Context) { defer wg.Done(); runtime.Goexit() }))
			wg.Wait()
			require.NoError(t, entries["Submit"](t.Context(), p, succeed))
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, reported, 1)
			require.Equal(t, "boom", reported[0].Value)
			require.NoError(t, errors.Unwrap(reported[0]))
			require.True(t, strings.HasPrefix(reported[0].Error(), "workerpool: "))
		})
	}
}

// Close may be called again, and by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	p := workerpool.MustNew(workerpool.Config{Min: 1})
	require.NoError(t, entries["Submit"](t.Context(), p, succeed))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, p.Close())
	require.NoError(t, p.Drain(t.Context()))
	requireIdle(t, p)
	require.Zero(t, p.Stats().Workers)
}

// After Close and after Drain every way in answers ErrClosed, and fn is not
// called.
func TestContractClosedRefuses(t *testing.T) {
	closed, drained := workerpool.MustNew(workerpool.Config{}), workerpool.MustNew(workerpool.Config{})
	require.NoError(t, closed.Close())
	require.NoError(t, drained.Drain(t.Context()))
	for _, p := range []*workerpool.Pool{closed, drained} {
		for name, enter := range entries {
			err := enter(t.Context(), p, func(context.Context) error { t.Error("called"); return nil })
			require.Equal(t, workerpool.ErrClosed, err, name)
		}
		require.False(t, p.TryGo(t.Context(), func(context.Context) { t.Error("called") }))
		require.Equal(t, workerpool.ErrClosed, p.Resize(3))
		p.Pause()
		require.False(t, p.Stats().Paused)
	}
}

// At its deadline Drain drops what waits, cancels what runs, says how many there
// were of both, and matches the ctx.
func TestContractDrainDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := workerpool.MustNew(workerpool.Config{Name: "db", Max: 2})
		var causes []error
		var mu sync.Mutex
		slow := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			mu.Lock()
			causes = append(causes, context.Cause(ctx))
			mu.Unlock()
			time.Sleep(time.Minute) // it is slow to stop
			return 1, nil
		}
		var futures []*workerpool.Future[int]
		for range 5 {
			f, err := workerpool.Submit(t.Context(), p, slow)
			require.NoError(t, err)
			futures = append(futures, f)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
		defer cancel()
		start := time.Now()
		err := p.Drain(ctx)
		require.Equal(t, time.Second, time.Since(start), "it does not wait for those that are slow to stop")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCause)
		var de *workerpool.DrainError
		require.ErrorAs(t, err, &de)
		require.Equal(t, 3, de.Dropped)
		require.Equal(t, 2, de.Running)
		require.EqualError(t, err, "workerpool: db: drain dropped 3 and left 2 running: context deadline exceeded: cause")
		for i, f := range futures {
			v, err := f.Wait(t.Context())
			if i < 2 {
				require.NoError(t, err)
				require.Equal(t, 1, v)
				continue
			}
			require.ErrorIs(t, err, workerpool.ErrClosed)
			require.ErrorIs(t, err, workerpool.ErrDropped)
			require.EqualError(t, err, "workerpool: db: dropped, closed")
		}
		require.Equal(t, []error{workerpool.ErrClosed, workerpool.ErrClosed}, causes)
		require.NoError(t, p.Drain(t.Context()))
		require.NoError(t, p.Drain(ctx), "with nothing left to wait for, a done ctx is no failure")
		require.EqualValues(t, 3, p.Stats().DroppedClosed)
		requireIdle(t, p)
	})
}
