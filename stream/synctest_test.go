package stream_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// TestSynctestSafe runs the same streams in two bubbles, which share nothing.
func TestSynctestSafe(t *testing.T) {
	var meter stream.Meter
	s := stream.Range(0, 10).Throttle(2, time.Second).Buffer(2).Metered(&meter).Timeout(time.Minute)
	s = stream.ParMap(s, stream.Parallel{Workers: 2}, same)
	s = stream.Merge(s, s).Progress(time.Second, func(stream.Progress) {})
	batches := stream.Batch(s, 100, 10*time.Second)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			n, err := batches.Count(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
		})
	}
	require.EqualValues(t, 40, meter.Stats().Items)
}

// timed collects items with the time at which they came.
func timed[T any](t *testing.T, s stream.Stream[T]) (at []time.Duration, items []T, err error) {
	start := time.Now()
	err = s.Run(t.Context(), func(v T) error {
		at = append(at, time.Since(start))
		items = append(items, v)
		return nil
	})
	return at, items, err
}

func TestThrottleLetsNoMoreThanNPassInAnySpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, items, err := timed(t, stream.Range(0, 7).Throttle(3, time.Second))
		require.NoError(t, err)
		require.Equal(t, upTo(7), items)
		require.Equal(t, []time.Duration{0, 0, 0, 1e9, 1e9, 1e9, 2e9}, at)
	})
	synctest.Test(t, func(t *testing.T) {
		// One that comes by itself does not save up for a burst.
		slow := stream.Range(0, 6).Tap(func(v int) {
			if v == 1 {
				time.Sleep(10 * time.Second)
			}
		})
		at, _, err := timed(t, slow.Throttle(2, time.Second))
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, 10e9, 10e9, 11e9, 11e9, 12e9}, at)
	})
}

func TestTimeoutCountsTheSourceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stream.Range(0, 3).Throttle(1, time.Second).Timeout(1500 * time.Millisecond)
		err := s.Run(t.Context(), func(int) error { time.Sleep(time.Hour); return nil })
		require.NoError(t, err, "what comes behind may take its time")
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		got, err := stuck(3).Timeout(time.Second).Collect(t.Context())
		require.Equal(t, &stream.TimeoutError{Idle: time.Second, Items: 3}, err)
		require.ErrorIs(t, err, stream.ErrTimeout)
		require.EqualError(t, err, "stream: timeout, no item for 1s after 3 items")
		require.Equal(t, upTo(3), got)
		require.Equal(t, time.Second, time.Since(start))
		timeout, ok := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		require.True(t, ok)
		require.True(t, timeout.Timeout())
	})
	synctest.Test(t, func(t *testing.T) {
		late := stream.Range(0, 3).Tap(func(v int) { time.Sleep(time.Duration(v) * time.Second) })
		got, err := late.Timeout(1500 * time.Millisecond).Collect(t.Context())
		require.ErrorIs(t, err, stream.ErrTimeout, "an item that comes too late is not taken")
		require.Equal(t, upTo(2), got)
	})
}

func TestTimeoutIsNotTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, stuck(1).Timeout(time.Hour).Run(ctx, nil))
	})
	synctest.Test(t, func(t *testing.T) {
		// A retry in front of it sees a failure like any other.
		got, err := stuck(1).Timeout(time.Second).Retry(stream.Retries{Max: 2, Resume: true}).Collect(t.Context())
		require.ErrorIs(t, err, stream.ErrTimeout)
		require.Equal(t, []int{0}, got)
	})
}

func TestRetryRunsTheSourceAgain(t *testing.T) {
	failing := func(fails int) (stream.Stream[int], *int) {
		runs := 0
		return func(ctx context.Context, emit func(int) error) error {
			runs++
			if err := stream.Range(0, 2)(ctx, emit); err != nil {
				return err
			}
			if runs <= fails {
				return errTest
			}
			return stream.Range(2, 4)(ctx, emit)
		}, &runs
	}
	delay := func(n int) time.Duration { return time.Duration(n) * time.Second }

	synctest.Test(t, func(t *testing.T) {
		s, runs := failing(2)
		at, got, err := timed(t, s.Retry(stream.Retries{Max: 2, Delay: delay, Resume: true}))
		require.NoError(t, err)
		require.Equal(t, upTo(4), got)
		require.Equal(t, []time.Duration{0, 0, 3e9, 3e9}, at)
		require.Equal(t, 3, *runs)
	})
	synctest.Test(t, func(t *testing.T) {
		s, runs := failing(3)
		_, got, err := timed(t, s.Retry(stream.Retries{Max: 2, Delay: delay, Resume: true}))
		require.Equal(t, errTest, err)
		require.Equal(t, upTo(2), got)
		require.Equal(t, 3, *runs)
	})
	synctest.Test(t, func(t *testing.T) {
		s, _ := failing(2)
		_, got, err := timed(t, s.Retry(stream.Retries{Max: 1, Delay: delay}))
		require.NoError(t, err, "items between failures begin a new row")
		require.Equal(t, []int{0, 1, 0, 1, 0, 1, 2, 3}, got)
	})
	s, runs := failing(1)
	require.Equal(t, errTest, s.Retry(stream.Retries{Max: 9, If: func(err error) bool { return err != errTest }}).Run(t.Context(), nil))
	require.Equal(t, 1, *runs)
}

func TestRetryAndRecoverLeaveFailuresBehindThemAlone(t *testing.T) {
	runs := 0
	source := stream.Stream[int](func(ctx context.Context, emit func(int) error) error {
		runs++
		return stream.Range(0, 3)(ctx, emit)
	})
	for name, s := range map[string]stream.Stream[int]{
		"Retry":   source.Retry(stream.Retries{Max: 5}),
		"Recover": source.Recover(func(error) stream.Stream[int] { return source }),
	} {
		runs = 0
		require.Equal(t, errTest, s.Run(t.Context(), func(int) error { return errTest }), name)
		require.Equal(t, 1, runs, name)
		_, _, err := s.First(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, 2, runs, name)
	}
}

func TestBatchOverlapsFillingAndEmitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var sizes []int
		// An item each second; to emit a batch takes five.
		err := stream.Batch(stream.Range(0, 11).Throttle(1, time.Second), 100, time.Second).
			Run(t.Context(), func(batch []int) error {
				sizes = append(sizes, len(batch))
				time.Sleep(5 * time.Second)
				return nil
			})
		require.NoError(t, err)
		require.Equal(t, 16*time.Second, time.Since(start))
		require.Equal(t, 11, sizes[0]+sizes[1]+sizes[2])
	})
}

func TestBatchByClosesABatchThatAnItemDoesNotFit(t *testing.T) {
	length := func(s string) int { return len(s) }
	words := stream.Of("aaa", "bb", "c", "a long one", "d", "e")
	want := [][]string{{"aaa", "bb"}, {"c"}, {"a long one"}, {"d", "e"}}
	for _, delay := range []time.Duration{0, time.Hour} {
		got, err := stream.BatchBy(words, 3, 5, length, delay).Collect(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	synctest.Test(t, func(t *testing.T) {
		// One that is full by weight goes out when the next item shows it.
		ch := make(chan string, 3)
		ch <- "aaaa"
		ch <- "bb"
		batch, _, err := stream.BatchBy(stream.Chan(ch), 10, 5, length, time.Hour).First(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"aaaa"}, batch)
	})
}

func TestBufferRunsAheadByAtLeastNAndAtMostTwice(t *testing.T) {
	for _, n := range []int{1, 2, 10} {
		synctest.Test(t, func(t *testing.T) {
			var taken atomic.Int64
			hold := make(chan struct{})
			go func() {
				s := stream.Range(0, 100).Tap(func(int) { taken.Add(1) }).Buffer(n)
				_ = s.Run(context.Background(), func(v int) error {
					if v == 0 {
						<-hold
					}
					return nil
				})
			}()
			synctest.Wait()
			ahead := int(taken.Load()) - 2 // the one being emitted and the one that waits for room
			require.GreaterOrEqual(t, ahead, n)
			require.LessOrEqual(t, ahead, 2*n)
			close(hold)
			synctest.Wait()
			require.EqualValues(t, 100, taken.Load())
		})
	}
}

func TestMergeEmitsItemsAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		every := func(d time.Duration, items ...int) stream.Stream[int] {
			return stream.Of(items...).Tap(func(int) { time.Sleep(d) })
		}
		at, got, err := timed(t, stream.Merge(every(2*time.Second, 1, 2), every(3*time.Second, 10), every(5*time.Second, 100)))
		require.NoError(t, err)
		require.Equal(t, []int{1, 10, 2, 100}, got)
		require.Equal(t, []time.Duration{2e9, 3e9, 4e9, 5e9}, at)

		start := time.Now()
		err = stream.Merge(stuck(1), every(time.Second, 1), stream.Concat(every(2*time.Second, 5), stream.Fail[int](errTest))).Run(t.Context(), nil)
		require.Equal(t, errTest, err, "the first that fails stops the others")
		require.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, stream.Merge[int]().Run(t.Context(), nil))
	})
}

func TestProgressIsCalledBetweenItemsAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []stream.Progress
		s := stream.Of("aa", "b", "c", "d").Throttle(1, 700*time.Millisecond).Progress(time.Second, func(p stream.Progress) {
			got = append(got, p)
		})
		require.NoError(t, s.Run(t.Context(), nil))
		require.Equal(t, []stream.Progress{
			{Items: 3, Bytes: 4, Elapsed: 1400 * time.Millisecond},
			{Items: 4, Bytes: 5, Elapsed: 2100 * time.Millisecond, Done: true},
		}, got)

		got = nil
		_, _, err := s.First(t.Context())
		require.NoError(t, err)
		require.Equal(t, []stream.Progress{{Done: true}}, got, "to be stopped is no failure")
		got = nil
		require.Equal(t, errTest, s.Run(t.Context(), func(string) error { return errTest }))
		require.Equal(t, []stream.Progress{{Done: true, Err: errTest}}, got)
	})
}

func TestMeterCountsRunsItemsAndFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := stream.Meter{Name: "parse"}
		s := stream.Of([]byte("ab"), []byte("c")).Throttle(1, time.Second).Metered(&m)
		require.Zero(t, m.Stats().Running)
		require.NoError(t, s.Run(t.Context(), func([]byte) error {
			require.Equal(t, 1, m.Stats().Running)
			return nil
		}))
		require.Equal(t, errTest, s.Run(t.Context(), func([]byte) error { return errTest }))
		_, _, err := s.First(t.Context())
		require.NoError(t, err)
		require.PanicsWithValue(t, "boom", func() {
			_ = s.Run(t.Context(), func([]byte) error { panic("boom") })
		})
		require.Equal(t, stream.Stats{
			Name: "parse", Runs: 4, Failed: 2, Items: 5, Bytes: 9, Elapsed: time.Second,
		}, m.Stats())
	})
}
