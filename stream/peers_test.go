package stream_test

import (
	"context"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// This file holds what other stream libraries do wrong, each as the behaviour
// to have instead.

// First over an endless source must stop it, not drain it in the background.
func TestFirstStopsAnEndlessSource(t *testing.T) {
	noneLeft(t)
	var calls atomic.Int64
	endless := stream.ParMap(stream.Range(0, math.MaxInt), stream.Parallel{Workers: 4}, func(_ context.Context, v int) (int, error) {
		calls.Add(1)
		return v, nil
	})
	v, found, err := endless.First(t.Context())
	n := calls.Load()
	require.NoError(t, err)
	require.True(t, found)
	require.Zero(t, v)
	runtime.Gosched()
	require.Equal(t, n, calls.Load(), "no call after the return")
	require.LessOrEqual(t, n, int64(64+64), "a window, and as many as can follow while one is emitted")
}

// A break must stop the stages before it.
func TestBreakStopsTheStagesBefore(t *testing.T) {
	noneLeft(t)
	for name, stage := range stages {
		calls := 0
		s := stage(stream.Range(0, 100_000).Tap(func(int) { calls++ }))
		for v, err := range s.All(t.Context()) {
			require.NoError(t, err, name)
			require.Zero(t, v, name)
			break
		}
		require.LessOrEqual(t, calls, 200, name)
	}
}

// Take(1) of a thousand must run the stage before it once.
func TestTakeRunsTheStageBeforeItNoMore(t *testing.T) {
	for n := range 4 {
		calls := 0
		s := stream.Map(stream.Range(0, 1000), func(v int) int { calls++; return v }).Take(n)
		got, err := s.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.Equal(t, n, calls)
	}
}

// An early break over a channel must leave no goroutine, and not drain it.
func TestChanLeavesTheRest(t *testing.T) {
	noneLeft(t)
	ch := make(chan int, 10)
	for v := range 10 {
		ch <- v
	}
	for range stream.Chan(ch).All(t.Context()) {
		break
	}
	require.Len(t, ch, 9)
	close(ch)
	n, err := stream.Chan(ch).Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, n)
}

// A steady trickle must not put the flush of a batch off.
func TestBatchFlushesUnderASteadyTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		batch, _, err := stream.Batch(stream.Range(0, 100).Throttle(1, 30*time.Millisecond), 100, 50*time.Millisecond).First(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{0, 1}, batch)
		require.Equal(t, 50*time.Millisecond, time.Since(start))
	})
}

// A line beyond a scanner's 64 KiB must not end the input silently.
func TestLinesTakesLongLines(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	require.Equal(t, []string{"a", long, "b"}, pieces(t, stream.Lines(stream.Reader(strings.NewReader("a\n"+long+"\nb\n")))))
}

// A worker's panic must reach the runner, not end the process.
func TestParMapPanicReachesTheRunner(t *testing.T) {
	noneLeft(t)
	for _, unordered := range []bool{false, true} {
		var emitted []int
		func() {
			defer func() {
				p, ok := recover().(*stream.PanicError)
				require.True(t, ok)
				require.Equal(t, io.ErrNoProgress, p.Value)
				require.ErrorIs(t, p, io.ErrNoProgress)
				require.Contains(t, string(p.Stack), "peers_test.go", "the stack of the worker")
				require.Contains(t, p.Error(), "panic on a goroutine of a stage: multiple Read calls")
			}()
			s := stream.ParMap(stream.Range(0, 100), stream.Parallel{Workers: 3, Unordered: unordered}, func(_ context.Context, v int) (int, error) {
				if v == 5 {
					panic(io.ErrNoProgress)
				}
				return v, nil
			})
			_ = s.Run(t.Context(), func(v int) error { emitted = append(emitted, v); return nil })
		}()
		if !unordered {
			require.Equal(t, []int{0, 1, 2, 3, 4}, emitted)
		}
	}
}

// A panic with another goroutine's panic is not wrapped once more.
func TestPanicKeepsItsFirstStack(t *testing.T) {
	defer func() {
		p, ok := recover().(*stream.PanicError)
		require.True(t, ok)
		require.Equal(t, "boom", p.Value)
		require.NoError(t, p.Unwrap())
	}()
	s := stream.Range(0, 10).Tap(func(int) { panic("boom") }).Buffer(1).Buffer(1)
	_ = stream.Merge(s, s).Run(t.Context(), nil)
}

// Values and errors keep their order, so Reduce and First see what came first.
func TestErrorsKeepTheirPlace(t *testing.T) {
	s := stream.Concat(stream.Of(1), stream.Fail[int](errTest))
	v, found, err := s.First(t.Context())
	require.NoError(t, err, "the item came first")
	require.True(t, found)
	require.Equal(t, 1, v)
	_, found, err = stream.Fail[int](errTest).First(t.Context())
	require.Equal(t, errTest, err)
	require.False(t, found)
	_, found, err = stream.Of[int]().First(t.Context())
	require.NoError(t, err)
	require.False(t, found)
	sum, err := stream.Reduce(t.Context(), s, 10, func(a, b int) int { return a + b })
	require.Equal(t, errTest, err)
	require.Equal(t, 11, sum)
	n, err := s.Count(t.Context())
	require.Equal(t, errTest, err)
	require.Equal(t, 1, n)
}

// ParMap runs exactly as many calls at a time as it has workers.
func TestParMapRunsAsManyCallsAsItHasWorkers(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		for _, n := range []int{1, 2, 7} {
			synctest.Test(t, func(t *testing.T) {
				var now, most atomic.Int64
				s := stream.ParMap(stream.Range(0, 50), stream.Parallel{Workers: n, Unordered: unordered}, func(_ context.Context, v int) (int, error) {
					if m := now.Add(1); m > most.Load() {
						most.Store(m)
					}
					time.Sleep(time.Second)
					now.Add(-1)
					return v, nil
				})
				_, err := s.Count(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, n, most.Load())
			})
		}
	}
}

// Even two items alone run at the same time.
func TestParMapStartsAnItemWhileAnotherHangs(t *testing.T) {
	noneLeft(t)
	for _, unordered := range []bool{false, true} {
		var meet sync.WaitGroup
		meet.Add(2)
		s := stream.ParMap(stream.Of(1, 2), stream.Parallel{Workers: 2, Unordered: unordered}, func(_ context.Context, v int) (int, error) {
			meet.Done()
			meet.Wait()
			return v, nil
		})
		n, err := s.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
	}
}

// A finished result is not held back until the source gives another item.
func TestParMapEmitsWhileTheSourceIsSilent(t *testing.T) {
	for _, p := range []stream.Parallel{{Workers: 2}, {Workers: 2, Unordered: true}, {Workers: 1, Window: 1}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := make(chan int, 10)
			go func() {
				_ = stream.ParMap(stuck(3), p, same).Run(ctx, func(v int) error { out <- v; return nil })
			}()
			synctest.Wait()
			require.Len(t, out, 3)
			cancel()
			synctest.Wait()
		})
	}
}

// ParMap takes no more items ahead than its window.
func TestParMapTakesNoMoreThanItsWindow(t *testing.T) {
	for _, p := range []stream.Parallel{{Workers: 1, Window: 1}, {Workers: 2, Window: 5}, {Workers: 3}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var taken atomic.Int64
			source := stream.Range(0, 1000).Tap(func(int) { taken.Add(1) })
			go func() {
				_ = stream.ParMap(source, p, func(ctx context.Context, v int) (int, error) {
					<-ctx.Done()
					return v, ctx.Err()
				}).Run(ctx, nil)
			}()
			synctest.Wait()
			window := p.Window
			if window == 0 {
				window = 64
			}
			require.EqualValues(t, window+1, taken.Load(), "the window, and the one that waits for room")
			cancel()
			synctest.Wait()
		})
	}
}

// In order, ParMap fails as MapErr does, whichever call fails first.
func TestParMapFailsWithTheFirstErrorByPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := stream.ParMap(stream.Range(0, 100), stream.Parallel{Workers: 4}, func(ctx context.Context, v int) (int, error) {
			switch v {
			case 2: // fails second, and must not be cancelled by the first failure
				time.Sleep(time.Second)
				if ctx.Err() != nil {
					return 0, ctx.Err()
				}
				return 0, errTest
			case 3:
				return 0, errCause
			}
			return v, nil
		})
		got, err := late.Collect(t.Context())
		require.Equal(t, errTest, err)
		require.Equal(t, []int{0, 1}, got)
	})
}

// Unordered, the failure that comes first is returned at once.
func TestParMapUnorderedFailsWithTheFirstErrorInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := stream.ParMap(stream.Range(0, 100), stream.Parallel{Workers: 4, Unordered: true}, func(ctx context.Context, v int) (int, error) {
			if v == 3 {
				return 0, errTest
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}).Run(t.Context(), nil)
		require.Equal(t, errTest, err)
		require.Zero(t, time.Since(start))
	})
}
