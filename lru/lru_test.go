package lru_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

type config = lru.Config[int, int]

func TestNewRefusesACapacityThatMakesNoSense(t *testing.T) {
	for _, capacity := range []int{0, -1, math.MinInt, math.MaxInt} {
		for _, name := range []string{"", "users"} {
			_, err := lru.New(config{Name: name, Capacity: capacity})
			require.ErrorIs(t, err, lru.ErrCapacity)
			var e *lru.CapacityError
			require.ErrorAs(t, err, &e)
			require.Equal(t, lru.CapacityError{Name: name, What: "Config.Capacity", Capacity: capacity, Least: 1, Most: 1<<31 - 2}, *e)
			_, err = lru.NewLRU(config{Name: name, Capacity: capacity})
			require.ErrorIs(t, err, lru.ErrCapacity)
		}
	}
	_, err := lru.New(config{Name: "users"})
	require.EqualError(t, err, "lru: users: Config.Capacity is 0, want 1 to 2147483646")
}

func TestNewNamesTheFieldThatMakesNoSense(t *testing.T) {
	cost := func(int, int) int64 { return 1 }
	for want, cfg := range map[string]config{
		"Config.Shards is -1, want a power of two from 1 to 8, or 0": {Shards: -1},
		"Config.Shards is 3, want a power of two from 1 to 8, or 0":  {Shards: 3},
		"Config.Shards is 16, want a power of two from 1 to 8, or 0": {Shards: 16},
		"Config.Policy is 7, want PolicyLRU or PolicyS3FIFO":         {Policy: 7},
		"Config.MaxCost is -1, want ≥ 0":                             {MaxCost: -1, Cost: cost},
		"Config.Cost is nil, want a function, as there is MaxCost":   {MaxCost: 1},
		"Config.MaxCost is 2, want ≥ Shards, which is 4":             {MaxCost: 2, Cost: cost, Shards: 4},
		"Config.TTL is -1ns, want ≥ 0":                               {TTL: -1},
		"Config.Jitter is -0.1, want 0 to 1":                         {Jitter: -0.1},
		"Config.Jitter is 1.1, want 0 to 1":                          {Jitter: 1.1},
		"Config.Jitter is NaN, want 0 to 1":                          {Jitter: math.NaN()},
		"Config.NegativeTTL is -1ns, want ≥ 0":                       {NegativeTTL: -1},
		"Config.StaleFor is -1ns, want ≥ 0":                          {StaleFor: -1},
		"Config.RefreshAhead is -1ns, want ≥ 0":                      {RefreshAhead: -1},
		"Config.SweepEvery is -1ns, want ≥ 0":                        {SweepEvery: -1},
	} {
		cfg.Capacity = 8
		_, err := lru.New(cfg)
		require.EqualError(t, err, "lru: "+want)
		require.PanicsWithValue(t, "lru: "+want, func() { lru.MustNew(cfg) })
	}
	_, err := lru.NewLRU(config{Capacity: 8, Shards: 2})
	require.EqualError(t, err, "lru: Config.Shards is 2, want 0 or 1 for NewLRU")
	require.Panics(t, func() { lru.MustNewLRU(config{}) })
}

func TestZeroValuesAreValues(t *testing.T) {
	c := lru.MustNew(lru.Config[string, any]{Capacity: 2})
	c.Set("", nil)
	v, ok := c.Get("")
	require.True(t, ok)
	require.Nil(t, v)
}

// both faces of an int cache.
func faces(cfg config) map[string]both[int, int] {
	return map[string]both[int, int]{"LRU": lru.MustNewLRU(cfg), "Cache": lru.MustNew(cfg)}
}

func TestKeyThatIsNotEqualToItselfIsRefused(t *testing.T) {
	nan := math.NaN()
	keys := []any{nan, [1]float64{nan}, struct{ v any }{nan}}
	c := lru.MustNew(lru.Config[any, int]{Capacity: 2, NegativeTTL: time.Hour})
	for range 1000 {
		for _, key := range keys {
			require.False(t, c.Set(key, 1))
			require.False(t, c.Add(key, 1))
			_, ok := c.Get(key)
			require.False(t, ok)
			_, ok = c.Delete(key)
			require.False(t, ok)
			_, ok = c.Compute(key, func(old int, ok bool) (int, lru.Op) {
				require.False(t, ok)
				return 1, lru.Store
			})
			require.False(t, ok)
			v, err := c.GetOrLoad(t.Context(), key, func(context.Context, any) (int, error) { return 7, nil })
			require.NoError(t, err)
			require.Equal(t, 7, v)
		}
	}
	got, err := c.BulkLoad(t.Context(), keys, func(context.Context, []any) (map[any]int, error) {
		t.Error("called")
		return nil, nil
	})
	require.NoError(t, err)
	require.Empty(t, got)
	require.Zero(t, c.Len())
}

func TestUnhashableKeyPanicsAndLeavesTheCacheUsable(t *testing.T) {
	bad := any([]int{1})
	c := lru.MustNew(lru.Config[any, int]{Capacity: 2})
	calls := map[string]func(){
		"Get":       func() { c.Get(bad) },
		"Peek":      func() { c.Peek(bad) },
		"Set":       func() { c.Set(bad, 1) },
		"Delete":    func() { c.Delete(bad) },
		"Compute":   func() { c.Compute(bad, func(int, bool) (int, lru.Op) { return 0, lru.Keep }) },
		"GetOrLoad": func() { c.GetOrLoad(t.Context(), bad, func(context.Context, any) (int, error) { return 0, nil }) },
		"BulkLoad": func() {
			c.BulkLoad(t.Context(), []any{"fine", bad}, func(context.Context, []any) (map[any]int, error) { return nil, nil })
		},
	}
	for name, call := range calls {
		require.Panics(t, call, name)
		require.True(t, c.Set(name, 1), "no lock is held after %s", name)
	}
	v, err := c.GetOrLoad(t.Context(), "fine", func(context.Context, any) (int, error) { return 5, nil })
	require.NoError(t, err, "no flight is left behind")
	require.Equal(t, 5, v)
}

func TestCapacityIsNeverExceeded(t *testing.T) {
	for _, shards := range []int{1, 4} {
		c := lru.MustNew(config{Capacity: 64, Shards: shards})
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 5000 {
					c.Set(i*4+g, i)
					if n := c.Len(); n > 64 {
						t.Errorf("%d entries", n)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestCapacityIsExactWithOneShardAndNearlySoWithMany(t *testing.T) {
	exact := lru.MustNew(config{Capacity: 5000, Shards: 1})
	many := lru.MustNew(config{Capacity: 100_003})
	require.Greater(t, many.Stats().Shards, 1)
	for i := range 400_000 {
		exact.Set(i, i)
		many.Set(i, i)
	}
	require.Equal(t, 5000, exact.Len())
	require.Equal(t, 100_003, many.Len(), "the shards' parts add up, remainder included")
	require.Equal(t, 100_003, many.Stats().Capacity)
}

// Values lets a value be followed after it left the cache.
func collected(t *testing.T, fill func(c *lru.Cache[int, *[64]byte]), empty func(c *lru.Cache[int, *[64]byte])) {
	t.Helper()
	c := lru.MustNew(lru.Config[int, *[64]byte]{Capacity: 8})
	fill(c)
	var live atomic.Int64
	for v := range c.Values() {
		live.Add(1)
		runtime.AddCleanup(v, func(int) { live.Add(-1) }, 0)
	}
	empty(c)
	for range 100 {
		runtime.GC()
		if live.Load() == 0 {
			break
		}
		runtime.Gosched()
	}
	require.Zero(t, live.Load())
	runtime.KeepAlive(c)
}

func TestNothingHoldsOnToWhatLeft(t *testing.T) {
	fill := func(c *lru.Cache[int, *[64]byte]) {
		for i := range 8 {
			c.Set(i, new([64]byte))
		}
	}
	for name, empty := range map[string]func(c *lru.Cache[int, *[64]byte]){
		"Clear": func(c *lru.Cache[int, *[64]byte]) { c.Clear() },
		"Delete": func(c *lru.Cache[int, *[64]byte]) {
			for i := range 8 {
				c.Delete(i)
			}
		},
		"eviction": func(c *lru.Cache[int, *[64]byte]) {
			for i := range 8 {
				c.Set(100+i, nil)
			}
		},
		"Resize": func(c *lru.Cache[int, *[64]byte]) {
			c.Set(100, nil)
			if err := c.Resize(1); err != nil {
				panic(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { collected(t, fill, empty) })
	}
	t.Run("key", func(t *testing.T) {
		c := lru.MustNew(lru.Config[*[64]byte, int]{Capacity: 8})
		gone := make(chan struct{})
		func() {
			key := new([64]byte)
			runtime.AddCleanup(key, func(int) { close(gone) }, 0)
			c.Set(key, 1)
			c.Delete(key)
		}()
		for {
			runtime.GC()
			select {
			case <-gone:
				return
			default:
			}
		}
	})
}

func TestOnRemoveMayUseTheCache(t *testing.T) {
	for _, single := range []bool{true, false} {
		var c both[int, int]
		var events []string
		cfg := config{Capacity: 2, Shards: 1, Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) {
			events = append(events, fmt.Sprint(r.Key, r.Reason))
			if r.Key < 5 {
				c.Set(r.Key+10, 0) // which evicts again
			}
			c.Get(1)
			c.Len()
			c.Stats()
		}}}
		if single {
			c = lru.MustNewLRU(cfg)
		} else {
			c = lru.MustNew(cfg)
		}
		for i := range 4 {
			c.Set(i, i)
		}
		require.LessOrEqual(t, c.Len(), 2)
		require.Equal(t, "0 evicted", events[0])
		require.NoError(t, c.Resize(1))
		c.Clear()
		require.Zero(t, c.Stats().Undelivered)
		require.Equal(t, uint64(len(events)), c.Stats().Evicted+2, "one resized and one cleared beside the evicted")
	}
}

func TestPanicInOnRemoveLeavesTheCacheConsistent(t *testing.T) {
	for name, mk := range map[string]func(cfg config) both[int, int]{
		"LRU":   func(cfg config) both[int, int] { return lru.MustNewLRU(cfg) },
		"Cache": func(cfg config) both[int, int] { return lru.MustNew(cfg) },
	} {
		t.Run(name, func(t *testing.T) {
			var keys []int
			c := mk(config{Capacity: 4, Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) {
				keys = append(keys, r.Key)
				if r.Key == 0 {
					panic("boom")
				}
			}}})
			for i := range 4 {
				c.Set(i, i)
			}
			require.PanicsWithValue(t, "boom", func() { c.Set(4, 4) })
			require.Equal(t, 4, c.Len())
			require.True(t, c.Has(4), "its own work was done")
			c.Set(0, 0)
			require.PanicsWithValue(t, "boom", func() { c.Clear() })
			require.Equal(t, []int{0, 1, 2, 3, 4, 0}, keys)
			c.Set(9, 9)
			c.Delete(9)
			require.Equal(t, []int{0, 1, 2, 3, 4, 0, 9}, keys, "each exactly once")
			require.Zero(t, c.Stats().Undelivered)
		})
	}
}

func TestSetOfATooCostlyValueLeavesNothingUnderTheKey(t *testing.T) {
	for name, c := range faces(config{Capacity: 9, MaxCost: 10, Cost: func(_, v int) int64 { return int64(v) }}) {
		require.True(t, c.Set(1, 10), name)
		require.False(t, c.Set(1, 11), name)
		require.False(t, c.Has(1), name)
		require.Zero(t, c.Cost(), name)
		require.True(t, c.Set(1, 4), name)
		require.True(t, c.Set(2, 4), name)
		require.True(t, c.Set(3, 3), name)
		require.False(t, c.Has(1), name)
		require.EqualValues(t, 7, c.Cost(), name)
		require.True(t, c.Set(2, 8), name)
		require.False(t, c.Has(3), "a value that grows makes room too")
		require.PanicsWithValue(t, "lru: Config.Cost gave -1, want ≥ 0", func() { c.Set(1, -1) })
		require.Equal(t, 1, c.Len(), name)
	}
}

func TestIterationBodiesMayCallTheCache(t *testing.T) {
	for name, mk := range map[string]func() (both[int, int], *lru.Cache[int, int], *lru.LRU[int, int]){
		"LRU": func() (both[int, int], *lru.Cache[int, int], *lru.LRU[int, int]) {
			l := lru.MustNewLRU(config{Capacity: 200})
			return l, nil, l
		},
		"Cache": func() (both[int, int], *lru.Cache[int, int], *lru.LRU[int, int]) {
			c := lru.MustNew(config{Capacity: 200})
			return c, c, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, c, l := mk()
			for i := range 200 {
				b.Set(i, -i)
			}
			all, backward, keys, values := l.All, l.Backward, l.Keys, l.Values
			if c != nil {
				all, backward, keys, values = c.All, c.Backward, c.Keys, c.Values
			}
			want := 199
			for k, v := range all() {
				require.Equal(t, want, k)
				require.Equal(t, -want, v)
				want--
				b.Delete(k)
				b.Set(1000+k, 0)
			}
			require.Equal(t, -1, want)
			require.Len(t, slices.Collect(keys()), 200)
			require.Len(t, slices.Collect(values()), 200)
			seen := maps.Collect(backward())
			require.Len(t, seen, 200)
			for k := range keys() { // none of these loops may go on after break
				require.GreaterOrEqual(t, k, 1000)
				break
			}
			for range values() {
				break
			}
			b.Clear()
			for range all() {
				t.Error("an entry after Clear")
			}
		})
	}
}

func TestIterationCoversAllShards(t *testing.T) {
	c := lru.MustNew(config{Capacity: 4096, Shards: 16})
	for i := range 1000 {
		c.Set(i, i)
	}
	keys := slices.Sorted(c.Keys())
	require.Len(t, keys, 1000)
	require.Equal(t, 999, keys[999])
	k, v, ok := c.Oldest()
	require.True(t, ok && k == v)
	_, _, ok = c.Newest()
	require.True(t, ok)
	c.Clear()
	_, _, ok = c.Oldest()
	require.False(t, ok)
}

func TestResizeOutOfRangeChangesNothing(t *testing.T) {
	c := lru.MustNew(config{Name: "users", Capacity: 16, Shards: 4})
	for _, n := range []int{0, -1, 3, math.MaxInt} {
		require.ErrorIs(t, c.Resize(n), lru.ErrCapacity)
	}
	require.EqualError(t, c.Resize(3), "lru: users: Resize is 3, want 4 to 2147483646")
	require.Equal(t, 16, c.Stats().Capacity)
}

func TestResizeKeepsOrderTTLAndCost(t *testing.T) {
	for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
		c := lru.MustNew(config{
			Capacity: 1000, Shards: 1, Policy: policy, TTL: time.Hour, Sliding: true,
			Cost: func(k, _ int) int64 { return int64(k) },
		})
		for i := range 1000 {
			c.Set(i, i)
		}
		require.NoError(t, c.Resize(10))
		require.Equal(t, 10, c.Len())
		keys := slices.Collect(c.Keys())
		require.Equal(t, []int{999, 998, 997, 996, 995, 994, 993, 992, 991, 990}, keys)
		require.EqualValues(t, 9945, c.Cost())
		require.NoError(t, c.Resize(100))
		for i := range 200 {
			c.Set(i, i)
		}
		require.Equal(t, 100, c.Len())
	}
}

func TestComputeIsAtomic(t *testing.T) {
	c := lru.MustNew(config{Capacity: 8, Shards: 2})
	const each = 2000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				c.Compute(1, func(old int, _ bool) (int, lru.Op) { return old + 1, lru.Store })
			}
		})
	}
	wg.Wait()
	v, _ := c.Peek(1)
	require.Equal(t, 4*each, v)
}

func TestComputeSeesWhatOthersDidMeanwhile(t *testing.T) {
	c := lru.MustNew(config{Capacity: 2, Shards: 1})
	meddle := map[string]func(){
		"Set":      func() { c.Set(1, 100) },
		"Delete":   func() { c.Delete(1) },
		"Clear":    func() { c.Clear() },
		"eviction": func() { c.Set(2, 0); c.Set(3, 0); c.Set(4, 0) },
		"Compute":  func() { c.Compute(1, func(int, bool) (int, lru.Op) { return 100, lru.Store }) },
	}
	for name, do := range meddle {
		c.Set(1, 1)
		calls := 0
		v, ok := c.Compute(1, func(old int, ok bool) (int, lru.Op) {
			if calls++; calls == 1 {
				do()
			}
			return old + 5, lru.Store
		})
		require.Equal(t, 2, calls, name)
		require.True(t, ok)
		require.Contains(t, []int{5, 105}, v, name)
	}
	require.Panics(t, func() { c.Compute(1, func(int, bool) (int, lru.Op) { panic("boom") }) })
	require.Panics(t, func() { c.Compute(1, nil) })
	require.True(t, c.Set(1, 1), "no lock is held")
}

func TestGetAndSetDoNotAllocate(t *testing.T) {
	for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
		told := 0
		ints := lru.MustNew(config{
			Capacity: 100, Policy: policy, TTL: time.Hour, Jitter: 0.5, MaxCost: 90, Cost: func(int, int) int64 { return 1 },
			Hooks: lru.Hooks[int, int]{OnRemoved: func(lru.Removed[int, int]) { told++ }},
		})
		strings := lru.MustNewLRU(lru.Config[string, string]{Capacity: 100, Policy: policy})
		structs := lru.MustNew(lru.Config[pair, *int]{Capacity: 100, Policy: policy})
		words := make([]string, 1000)
		for i := range words {
			words[i] = fmt.Sprint(i)
		}
		i := 0
		work := func() {
			i++
			k := i % 1000
			ints.Set(k, k)
			ints.Get(k)
			ints.Get(-1)
			ints.Delete(k - 3)
			strings.Set(words[k], "v")
			strings.Get(words[k])
			structs.Set(pair{k, words[k]}, nil)
			structs.Get(pair{k, words[k]})
			_, _ = ints.GetOrLoad(t.Context(), k, nothing)
		}
		for range 3000 {
			work()
		}
		require.Zero(t, testing.AllocsPerRun(2000, work), policy)
		require.Positive(t, told)
	}
}

func nothing(context.Context, int) (int, error) { return 0, nil }

func TestStatsCount(t *testing.T) {
	c := lru.MustNew(config{Name: "users", Capacity: 2})
	c.Get(1)
	c.Set(1, 1)
	c.Get(1)
	c.Peek(1)
	c.Has(7)
	c.Set(2, 2)
	c.Set(3, 3)
	c.Delete(3)
	require.Equal(t, lru.Stats{
		Name: "users", Capacity: 2, Len: 1, Shards: 1, Hits: 1, Misses: 1, Evicted: 1, Deleted: 1,
	}, c.Stats())
}

func TestNamesOfReasonsAndPolicies(t *testing.T) {
	require.Equal(t, "evicted expired replaced deleted cleared resized", fmt.Sprint(lru.Evicted, lru.Expired, lru.Replaced, lru.Deleted, lru.Cleared, lru.Resized))
	require.Equal(t, "Reason(99)", lru.Reason(99).String())
	require.Equal(t, "LRU S3-FIFO Policy(9)", fmt.Sprint(lru.PolicyLRU, lru.PolicyS3FIFO, lru.Policy(9)))
}

func TestAddLeavesWhatIsThere(t *testing.T) {
	for name, c := range faces(config{Capacity: 2}) {
		require.True(t, c.Add(1, 1), name)
		require.False(t, c.Add(1, 2), name)
		v, _ := c.Get(1)
		require.Equal(t, 1, v, name)
	}
}
