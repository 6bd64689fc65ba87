package lru_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

// What Run cannot take on is done by the callers, as without Run.
func TestRunHasABoundOnItsRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 100, TTL: 10 * time.Second, RefreshAhead: 5 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = c.Run(ctx) }()
		for i := range 70 {
			c.Set(i, i)
		}
		time.Sleep(6 * time.Second)
		slow := func(_ context.Context, key int) (int, error) {
			time.Sleep(time.Second)
			return key + 1000, nil
		}
		waited := 0
		for i := range 70 {
			start := time.Now()
			v, err := c.GetOrLoad(t.Context(), i, slow)
			require.NoError(t, err)
			if time.Since(start) > 0 {
				waited++
				synctest.Wait() // for the others to be over as well
				require.Equal(t, i+1000, v, "its own refresh")
			}
		}
		require.Equal(t, 1, waited, "the 65th; by then the others were done")
		time.Sleep(2 * time.Second)
		for i := range 70 {
			v, ok := c.Get(i)
			require.True(t, ok)
			require.Equal(t, i+1000, v)
		}
	})
}

func TestSecondRunRemovesExpiredAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 10, TTL: time.Second, SweepEvery: 10 * time.Second})
		first, stopFirst := context.WithCancel(t.Context())
		second, stopSecond := context.WithCancel(t.Context())
		go func() { _ = c.Run(first) }()
		synctest.Wait()
		go func() { _ = c.Run(second) }()
		synctest.Wait()
		stopFirst()
		c.Set(1, 1)
		time.Sleep(11 * time.Second)
		require.Zero(t, c.Len())
		stopSecond()
	})
}

func TestGoexitInARefreshEndsItAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 10, TTL: 10 * time.Second, RefreshAhead: 9 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		c.Set(1, 1)
		time.Sleep(2 * time.Second)
		v, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, v)
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-ended, "Run does not wait for ever")
		require.EqualValues(t, 1, c.Stats().LoadErrors)
	})
}

// Strings keep a part of their hash beside them, which must follow them through
// evictions, deletions and Resize.
func TestStringKeysSurviveResizeInOrder(t *testing.T) {
	for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
		l := lru.MustNewLRU(lru.Config[string, int]{Capacity: 500, Policy: policy})
		for i := range 2000 {
			l.Set(fmt.Sprint("key ", i), i)
			if i%3 == 0 {
				l.Delete(fmt.Sprint("key ", i-5))
			}
		}
		for _, capacity := range []int{300, 7, 900, 1} {
			require.NoError(t, l.Resize(capacity))
			require.LessOrEqual(t, l.Len(), capacity)
			keys := slices.Collect(l.Keys())
			require.Len(t, keys, l.Len())
			for key, value := range l.All() {
				require.Equal(t, fmt.Sprint("key ", value), key)
				require.True(t, l.Has(key))
			}
			for i := range 2000 {
				l.Set(fmt.Sprint("key ", i), i)
			}
			require.Equal(t, capacity, l.Len())
		}
	}
}
