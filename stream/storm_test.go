package stream_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// A storm runs pipelines that have goroutines from several goroutines at once
// and ends them in every way there is, at random moments. Whatever happens,
// what came out is a prefix of what should, the error is one that was asked
// for, no function is called after the return, and no goroutine is left.
func TestStormOfEndings(t *testing.T) {
	noneLeft(t)
	const runs = 60
	build := map[string]func(stream.Stream[int]) stream.Stream[int]{
		"Buffer":     stages["Buffer"],
		"BatchTimed": stages["BatchTimed"],
		"Timeout":    func(s stream.Stream[int]) stream.Stream[int] { return s.Timeout(time.Hour) },
		"Zip":        stages["Zip"],
		"ParMap": func(s stream.Stream[int]) stream.Stream[int] {
			return stream.ParMap(s, stream.Parallel{Workers: 4, Window: 5}, same)
		},
		"two ParMaps": func(s stream.Stream[int]) stream.Stream[int] {
			s = stream.ParMap(s, stream.Parallel{Workers: 2}, same)
			return stream.ParMap(s.Buffer(3), stream.Parallel{Workers: 3}, same)
		},
		"Unordered": func(s stream.Stream[int]) stream.Stream[int] {
			return stream.ParMap(s, stream.Parallel{Workers: 1, Window: 2, Unordered: true}, same)
		},
	}
	for name, stage := range build {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 1))
					for range runs {
						if err := ending(rng, stage); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// ending makes one run end in a random way, and returns what is wrong with it.
func ending(rng *rand.Rand, stage func(stream.Stream[int]) stream.Stream[int]) error {
	n, at := 300, rng.IntN(400)
	var returned atomic.Bool
	var late atomic.Int64
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	how := rng.IntN(6)
	source := stream.Range(0, n).Tap(func(v int) {
		if returned.Load() {
			late.Add(1)
		}
		if how == 0 && v == at {
			cancel(errCause)
		}
	})
	switch how {
	case 1:
		source = stream.Concat(source, stream.Fail[int](errTest))
	case 2:
		source = source.Take(at)
	case 3:
		d := time.Duration(rng.IntN(50)) * time.Microsecond
		stop := time.AfterFunc(d, func() { cancel(errCause) })
		defer stop.Stop()
	}
	s := stage(source)
	if how == 4 {
		s = s.Take(at)
	}
	var got []int
	err := s.Run(ctx, func(v int) error {
		got = append(got, v)
		if how == 5 && v == at {
			return errTest
		}
		return nil
	})
	returned.Store(true)
	for i, v := range got {
		if v != i {
			return errors.New("not a prefix")
		}
	}
	switch {
	case late.Load() > 0:
		return errors.New("called after the return")
	case err == nil:
		want := n
		if how == 2 || how == 4 {
			want = min(at, n)
		}
		if len(got) != want {
			return errors.New("success, but items are missing")
		}
	case how == 0 || how == 3:
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
			return err
		}
	case err != errTest:
		return err
	}
	return nil
}

// Items of an unordered ParMap and of a Merge come in any order, but all, and
// once.
func TestStormKeepsEveryItem(t *testing.T) {
	noneLeft(t)
	for range 20 {
		s := stream.ParMap(stream.Range(0, 2000), stream.Parallel{Workers: 4, Unordered: true}, same)
		s = stream.Merge(s, stream.Range(2000, 3000), stream.Range(3000, 4000).Buffer(5))
		seen := make([]bool, 4000)
		n := 0
		require.NoError(t, s.Run(t.Context(), func(v int) error {
			if seen[v] {
				return errTest
			}
			seen[v] = true
			n++
			return nil
		}))
		require.Equal(t, 4000, n)
	}
}

// Tee and Partition, with consumers that leave, fail and are cancelled.
func TestStormOfConsumers(t *testing.T) {
	noneLeft(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		ctx, cancel := context.WithCancelCause(t.Context())
		var consumers []consumer
		mayFail := false
		for range 1 + rng.IntN(4) {
			at := rng.IntN(600)
			switch rng.IntN(4) {
			case 0:
				mayFail = true
				consumers = append(consumers, func(ctx context.Context, s stream.Stream[int]) error {
					return s.Run(ctx, func(v int) error {
						if v >= at {
							return errTest
						}
						return nil
					})
				})
			case 1:
				consumers = append(consumers, only(at, new([]int)))
			default:
				consumers = append(consumers, into(new([]int)))
			}
		}
		cancels := rng.IntN(3) == 0
		at := rng.IntN(600)
		source := stream.Range(0, 500).Tap(func(v int) {
			if cancels && v == at {
				cancel(errCause)
			}
		})
		var err error
		if rng.IntN(2) == 0 {
			err = stream.Tee(ctx, source, consumers...)
		} else {
			err = stream.Partition(ctx, source, func(v int) int { return v % len(consumers) }, consumers...)
		}
		if err != nil {
			require.True(t, mayFail && err == errTest || cancels && errors.Is(err, errCause), "%v", err)
		}
		cancel(nil)
	}
}
