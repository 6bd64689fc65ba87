package migrate_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/panjf2000/ants/v2"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

func sumBefore(ctx context.Context, numbers []int, square func(int) int) (int64, error) {
	p, err := ants.NewPool(4)
	if err != nil {
		return 0, err
	}
	defer p.Release()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for _, n := range numbers {
		wg.Add(1)
		if err := p.Submit(func() {
			defer wg.Done()
			sum.Add(int64(square(n)))
		}); err != nil {
			wg.Done()
			return 0, err
		}
	}
	wg.Wait()
	return sum.Load(), nil
}

func sumAfter(ctx context.Context, numbers []int, square func(int) int) (int64, error) {
	p := workerpool.MustNew(workerpool.Config{Max: 4})
	defer p.Close()
	squares, err := workerpool.Map(ctx, p, numbers, func(_ context.Context, n int) (int, error) {
		return square(n), nil
	})
	var sum int64
	for _, s := range squares {
		sum += int64(s)
	}
	return sum, err
}

func TestAntsPair(t *testing.T) {
	numbers := make([]int, 1000)
	for i := range numbers {
		numbers[i] = i
	}
	run := func(sum func(context.Context, []int, func(int) int) (int64, error)) (int64, bool) {
		var now, most atomic.Int64
		got, err := sum(t.Context(), numbers, func(n int) int {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			return n * n
		})
		require.NoError(t, err)
		return got, most.Load() <= 4
	}
	before, bounded := run(sumBefore)
	require.Equal(t, int64(332833500), before)
	require.True(t, bounded)
	after, bounded := run(sumAfter)
	require.Equal(t, before, after)
	require.True(t, bounded)
}
