package stream_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

type consumer = func(context.Context, stream.Stream[int]) error

// into is a consumer that keeps all items.
func into(items *[]int) consumer {
	return func(ctx context.Context, s stream.Stream[int]) (err error) {
		*items, err = s.Collect(ctx)
		return err
	}
}

// only is a consumer that takes n items and is done.
func only(n int, items *[]int) consumer {
	return func(ctx context.Context, s stream.Stream[int]) (err error) {
		*items, err = s.Take(n).Collect(ctx)
		return err
	}
}

func TestTeeGivesEachConsumerEachItem(t *testing.T) {
	noneLeft(t)
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		var a, b, c []int
		require.NoError(t, stream.Tee(t.Context(), stream.Range(0, n), into(&a), into(&b), into(&c)))
		for _, got := range [][]int{a, b, c} {
			require.Len(t, got, n)
			for i, v := range got {
				require.Equal(t, i, v)
			}
		}
	}
}

func TestTeeWithoutConsumersRunsNothingToTheEnd(t *testing.T) {
	calls := 0
	require.NoError(t, stream.Tee(t.Context(), stream.Range(0, 100).Tap(func(int) { calls++ })))
	require.LessOrEqual(t, calls, 1)
}

func TestTeeGoesOnForThoseWhoStay(t *testing.T) {
	noneLeft(t)
	var some, all []int
	require.NoError(t, stream.Tee(t.Context(), stream.Range(0, 1000), only(3, &some), into(&all)))
	require.Equal(t, upTo(3), some)
	require.Len(t, all, 1000)
}

func TestTeeStopsTheSourceWhenAllAreDone(t *testing.T) {
	noneLeft(t)
	calls := 0
	endless := stream.Range(0, math.MaxInt).Tap(func(int) { calls++ })
	var a, b []int
	require.NoError(t, stream.Tee(t.Context(), endless, only(3, &a), only(5, &b)))
	require.Equal(t, upTo(3), a)
	require.Equal(t, upTo(5), b)
	require.NoError(t, stream.Tee(t.Context(), endless, func(context.Context, stream.Stream[int]) error { return nil }))
}

func TestTeeRunsAtThePaceOfTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken atomic.Int64
		var fast atomic.Int64
		start := time.Now()
		err := stream.Tee(t.Context(), stream.Range(0, 500).Tap(func(int) { taken.Add(1) }),
			func(ctx context.Context, s stream.Stream[int]) error {
				return s.Run(ctx, func(int) error { fast.Add(1); return nil })
			},
			func(ctx context.Context, s stream.Stream[int]) error {
				n := 0
				return s.Run(ctx, func(int) error {
					time.Sleep(time.Millisecond)
					n++
					require.LessOrEqual(t, int(taken.Load())-n, 2*64+2, "what may wait for the slow one")
					return nil
				})
			})
		require.NoError(t, err)
		require.EqualValues(t, 500, fast.Load())
		require.Equal(t, 500*time.Millisecond, time.Since(start))
	})
}

func TestTeeReturnsTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sawCancel := false
		err := stream.Tee(t.Context(), stuck(1),
			func(ctx context.Context, s stream.Stream[int]) error {
				time.Sleep(time.Second)
				return errTest
			},
			func(ctx context.Context, s stream.Stream[int]) error {
				err := s.Run(ctx, nil)
				sawCancel = errors.Is(err, context.Canceled)
				return errors.Join(err, errCause)
			})
		require.Equal(t, errTest, err)
		require.True(t, sawCancel)
		require.Equal(t, time.Second, time.Since(start))
	})
	var got []int
	err := stream.Tee(t.Context(), stream.Concat(stream.Range(0, 100), stream.Fail[int](errTest)), into(&got))
	require.Equal(t, errTest, err)
	require.Equal(t, upTo(100), got, "what came before")
}

// A consumer must not take the failure of another for the end of the stream
// and keep half of it.
func TestTeeFailureNeverLooksLikeTheEnd(t *testing.T) {
	noneLeft(t)
	path := filepath.Join(t.TempDir(), "out")
	for i := range 200 {
		err := stream.Tee(t.Context(), stream.Range(0, 1000),
			func(ctx context.Context, s stream.Stream[int]) error {
				if n, err := s.Take(i).Count(ctx); err != nil || n < i {
					return err
				}
				return errTest
			},
			func(ctx context.Context, s stream.Stream[int]) error {
				_, err := stream.ToFile(ctx, asBytes(s), path)
				return err
			},
			func(_ context.Context, s stream.Stream[int]) error {
				// With a ctx of its own, which is never done.
				n, err := s.Count(context.Background())
				if err == nil && n < 1000 {
					t.Errorf("an end after %d items", n)
				}
				return err
			})
		require.Equal(t, errTest, err)
		info, err := os.Stat(path)
		if err == nil {
			require.EqualValues(t, 1000, info.Size(), "whole or not at all")
			require.NoError(t, os.Remove(path))
		}
	}
}

func TestTeePanicAndGoexitOfAConsumer(t *testing.T) {
	for _, how := range []string{"panic", "Goexit"} {
		noneLeft(t)
		got := outcome(func() {
			_ = stream.Tee(t.Context(), stuck(5), func(ctx context.Context, s stream.Stream[int]) error {
				return s.Run(ctx, func(v int) error {
					if v == 3 {
						if how == "panic" {
							panic("boom")
						}
						runtime.Goexit()
					}
					return nil
				})
			}, into(new([]int)))
		})
		require.Equal(t, how, got)
	}
}

func TestTeeCopiesItemsOfBytes(t *testing.T) {
	var all [2][][]byte
	collect := func(i int) func(context.Context, stream.Stream[[]byte]) error {
		return func(ctx context.Context, s stream.Stream[[]byte]) (err error) {
			all[i], err = s.Collect(ctx)
			return err
		}
	}
	require.NoError(t, stream.Tee(t.Context(), stream.Lines(inChunks("a\nbb\nccc\n", 1, 1, 3)), collect(0), collect(1)))
	for _, got := range all {
		require.Equal(t, [][]byte{[]byte("a"), []byte("bb"), []byte("ccc")}, got)
	}
}

func TestPartitionRoutesEachItemToOne(t *testing.T) {
	noneLeft(t)
	var even, odd []int
	pick := func(v int) int {
		if v%10 == 0 {
			return -1 // to nobody
		}
		return v % 2
	}
	require.NoError(t, stream.Partition(t.Context(), stream.Range(0, 1000), pick, into(&even), into(&odd)))
	require.Len(t, even, 400)
	require.Len(t, odd, 500)
	for i := range even[1:] {
		require.Less(t, even[i], even[i+1])
	}
	for _, v := range odd {
		require.Equal(t, 1, v%2)
	}
}

func TestPartitionDropsWhatGoesToTheDone(t *testing.T) {
	noneLeft(t)
	var few, odd []int
	require.NoError(t, stream.Partition(t.Context(), stream.Range(0, 1000), func(v int) int { return v % 2 }, only(2, &few), into(&odd)))
	require.Equal(t, []int{0, 2}, few)
	require.Len(t, odd, 500)
}

func TestPartitionRefusesAnIndexThatIsNone(t *testing.T) {
	noneLeft(t)
	var got []int
	err := stream.Partition(t.Context(), stream.Range(0, 10), func(v int) int { return v / 5 }, into(&got))
	require.EqualError(t, err, "stream: Partition: pick returned 1, want < 1")
}
