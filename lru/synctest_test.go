package lru_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

var shared = lru.MustNew(lru.Config[int, int]{
	Capacity: 100, TTL: time.Minute, NegativeTTL: time.Second, StaleFor: time.Minute, RefreshAhead: time.Second,
})

// A package-level cache is used in two bubbles, whose clocks have nothing to do
// with each other, and outside of any.
func TestSynctestSafe(t *testing.T) {
	use := func(t *testing.T) {
		shared.Clear()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = shared.Run(ctx) })
		for i := range 8 {
			wg.Go(func() {
				for k := range 20 {
					_, err := shared.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) {
						if k == 7 {
							return 0, lru.ErrNotFound
						}
						return k, nil
					})
					if err != nil && k != 7 {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		for {
			if _, ok := shared.Get(19); ok {
				break
			}
			<-time.After(time.Millisecond)
		}
		v, ok := shared.Get(1)
		require.True(t, ok && v == 1)
		shared.SetTTL(5, 5, 5*time.Minute)
		cancel()
		wg.Wait()
	}
	for range 2 {
		synctest.Test(t, use)
		synctest.Test(t, func(t *testing.T) {
			shared.SetTTL(1, 1, time.Minute)
			time.Sleep(time.Minute)
			require.False(t, shared.Has(1))
		})
		use(t)
	}
	shared.Clear()
	require.Zero(t, shared.Len())
}

func TestEntryExpiresAtItsTTLAndNotBefore(t *testing.T) {
	for _, ttl := range []time.Duration{1, time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			for name, c := range faces(config{Capacity: 4, TTL: ttl}) {
				c.Set(1, 1)
				time.Sleep(ttl - 1)
				require.True(t, c.Has(1), name)
				_, ok := c.Get(1)
				require.True(t, ok, name)
				time.Sleep(time.Nanosecond)
				_, ok = c.Peek(1)
				require.False(t, ok, name)
				require.False(t, c.Has(1), name)
				_, _, ok = c.Oldest()
				require.False(t, ok, name)
				_, _, ok = c.Newest()
				require.False(t, ok, name)
				require.Equal(t, 1, c.Len(), name)
				_, ok = c.Get(1)
				require.False(t, ok, name)
				require.Zero(t, c.Len(), name)
				require.EqualValues(t, 1, c.Stats().Expired, name)
			}
		})
	}
}

// Expired is absent for every operation, and is told as Expired by whichever
// comes upon it.
func TestExpiredIsAbsentForEveryOperation(t *testing.T) {
	for name, do := range map[string]func(c *lru.Cache[int, int]){
		"Get":    func(c *lru.Cache[int, int]) { _, ok := c.Get(1); require.False(t, ok) },
		"Set":    func(c *lru.Cache[int, int]) { require.True(t, c.Set(1, 2)) },
		"Add":    func(c *lru.Cache[int, int]) { require.True(t, c.Add(1, 2)) },
		"Delete": func(c *lru.Cache[int, int]) { _, ok := c.Delete(1); require.False(t, ok) },
		"Take":   func(c *lru.Cache[int, int]) { _, ok := c.Take(1); require.False(t, ok) },
		"Compute": func(c *lru.Cache[int, int]) {
			c.Compute(1, func(_ int, ok bool) (int, lru.Op) { require.False(t, ok); return 0, lru.Keep })
		},
		"GetOrLoad": func(c *lru.Cache[int, int]) {
			v, err := c.GetOrLoad(context.Background(), 1, func(context.Context, int) (int, error) { return 9, nil })
			require.NoError(t, err)
			require.Equal(t, 9, v)
		},
		"BulkLoad": func(c *lru.Cache[int, int]) {
			got, err := c.BulkLoad(context.Background(), []int{1}, func(context.Context, []int) (map[int]int, error) { return map[int]int{1: 9}, nil })
			require.NoError(t, err)
			require.Equal(t, map[int]int{1: 9}, got)
		},
		"RemoveExpired": func(c *lru.Cache[int, int]) { require.Equal(t, 1, c.RemoveExpired()) },
		"All": func(c *lru.Cache[int, int]) {
			for range c.All() {
				t.Error("iterated")
			}
			c.RemoveExpired()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reasons []lru.Reason
				c := lru.MustNew(config{Capacity: 4, TTL: time.Second, Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) {
					reasons = append(reasons, r.Reason)
				}}})
				c.Set(1, 1)
				time.Sleep(time.Second)
				do(c)
				require.Equal(t, []lru.Reason{lru.Expired}, reasons)
			})
		})
	}
}

func TestSetTTLOverridesTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, mk := range map[string]func() interface {
			both[int, int]
			SetTTL(int, int, time.Duration) bool
		}{
			"LRU": func() interface {
				both[int, int]
				SetTTL(int, int, time.Duration) bool
			} {
				return lru.MustNewLRU(config{Capacity: 9, TTL: time.Second})
			},
			"Cache": func() interface {
				both[int, int]
				SetTTL(int, int, time.Duration) bool
			} {
				return lru.MustNew(config{Capacity: 9, TTL: time.Second})
			},
		} {
			c := mk()
			c.Set(1, 1)
			c.SetTTL(2, 2, time.Minute)
			c.SetTTL(3, 3, 0)
			c.SetTTL(4, 4, math.MaxInt64)
			c.Set(5, 5)
			require.False(t, c.SetTTL(5, 5, -1), name)
			require.False(t, c.Has(5), "a value that has expired replaces what was there")
			time.Sleep(time.Second)
			require.False(t, c.Has(1), name)
			require.True(t, c.Has(2), name)
			time.Sleep(60 * 365 * 24 * time.Hour)
			require.False(t, c.Has(2), name)
			require.True(t, c.Has(3), name)
			require.True(t, c.Has(4), name)
		}
	})
}

func TestSlidingTTLCountsFromTheLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range faces(config{Capacity: 4, TTL: time.Second, Sliding: true}) {
			c.Set(1, 1)
			for range 5 {
				time.Sleep(900 * time.Millisecond)
				_, ok := c.Get(1)
				require.True(t, ok, name)
			}
			time.Sleep(500 * time.Millisecond)
			require.True(t, c.Has(1))
			time.Sleep(500 * time.Millisecond)
			require.False(t, c.Has(1), "Has is no use")
		}
	})
}

func TestJitterShortensTTLsByAtMostItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 1000, TTL: 100 * time.Second, Jitter: 0.2})
		for i := range 1000 {
			c.Set(i, i)
		}
		time.Sleep(80*time.Second - 1)
		require.Zero(t, c.RemoveExpired())
		time.Sleep(10 * time.Second)
		n := c.RemoveExpired()
		require.Greater(t, n, 300)
		require.Less(t, n, 700)
		time.Sleep(10*time.Second + 1)
		require.Equal(t, 1000-n, c.RemoveExpired())
	})
}

// Also behind an entry without a TTL that is older than all.
func TestSetsSweepOutWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 1000, Shards: 1})
		c.Set(-1, 0)
		for i := range 500 {
			c.SetTTL(i, i, time.Second)
		}
		time.Sleep(time.Second)
		require.Equal(t, 501, c.Len())
		for i := range 251 {
			c.Set(1000+i%2, 0)
		}
		require.Equal(t, 3, c.Len())
	})
}

func TestRunRemovesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 10, TTL: time.Second, SweepEvery: 10 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		go func() { err = c.Run(ctx) }()
		c.Set(1, 1)
		time.Sleep(9 * time.Second)
		require.Equal(t, 1, c.Len())
		time.Sleep(2 * time.Second)
		require.Zero(t, c.Len())
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, err)
	})
}

func TestOneOfManyCallersLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 10})
		var loads atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				v, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) {
					loads.Add(1)
					time.Sleep(time.Second)
					return 7, nil
				})
				if v != 7 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, loads.Load())
		require.EqualValues(t, 1, c.Stats().Loads)
	})
}

func TestWritesDuringALoadWin(t *testing.T) {
	for name, write := range map[string]struct {
		do   func(c *lru.Cache[int, int])
		want int
		ok   bool
	}{
		"Set":     {func(c *lru.Cache[int, int]) { c.Set(1, 5) }, 5, true},
		"Add":     {func(c *lru.Cache[int, int]) { c.Add(1, 5) }, 5, true},
		"Delete":  {func(c *lru.Cache[int, int]) { c.Delete(1) }, 0, false},
		"Take":    {func(c *lru.Cache[int, int]) { c.Take(1) }, 0, false},
		"Clear":   {func(c *lru.Cache[int, int]) { c.Clear() }, 0, false},
		"Compute": {func(c *lru.Cache[int, int]) { c.Compute(1, func(int, bool) (int, lru.Op) { return 5, lru.Store }) }, 5, true},
		"nothing": {func(*lru.Cache[int, int]) {}, 7, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := lru.MustNew(config{Capacity: 10})
				var waited, later int
				v, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) {
					go func() {
						waited, _ = c.GetOrLoad(t.Context(), 1, nothing)
					}()
					synctest.Wait()
					write.do(c)
					return 7, nil
				})
				require.NoError(t, err)
				require.Equal(t, 7, v)
				synctest.Wait()
				require.Equal(t, 7, waited, "who asked before the write gets the load's")
				later, ok := c.Peek(1)
				require.Equal(t, write.want, later)
				require.Equal(t, write.ok, ok)
			})
		})
	}
}

// A Delete ends what is known of the key: who asks after it must not get what
// was read before it.
func TestLoadAfterADeleteIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 10})
		var fresh int
		old, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) {
			c.Delete(1)
			go func() {
				fresh, _ = c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) { return 2, nil })
			}()
			synctest.Wait()
			return 1, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, old)
		require.Equal(t, 2, fresh)
		v, _ := c.Get(1)
		require.Equal(t, 2, v, "the older read does not overwrite the newer")
	})
}

func TestNotFoundIsRememberedForNegativeTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		c := lru.MustNew(config{Capacity: 2, NegativeTTL: time.Second, Hooks: lru.Hooks[int, int]{OnRemoved: func(lru.Removed[int, int]) { told++ }}})
		loads := 0
		wrapped := errors.Join(lru.ErrNotFound, errCause)
		load := func(context.Context, int) (int, error) { loads++; return 0, wrapped }
		for range 3 {
			_, err := c.GetOrLoad(t.Context(), 1, load)
			require.Equal(t, wrapped, err)
		}
		require.Equal(t, 1, loads)
		got, err := c.BulkLoad(t.Context(), []int{1, 2}, func(_ context.Context, keys []int) (map[int]int, error) {
			require.Equal(t, []int{2}, keys)
			return nil, nil // 2 does not exist either
		})
		require.NoError(t, err)
		require.Empty(t, got)
		_, err = c.GetOrLoad(t.Context(), 2, load)
		require.Equal(t, lru.ErrNotFound, err)
		require.Equal(t, 1, loads)
		require.Equal(t, 2, c.Len())
		_, ok := c.Get(1)
		require.False(t, ok)
		require.False(t, c.Has(1))
		for range c.All() {
			t.Error("iterated")
		}
		_, _, ok = c.Oldest()
		require.False(t, ok)
		time.Sleep(time.Second)
		_, _ = c.GetOrLoad(t.Context(), 1, load)
		require.Equal(t, 2, loads)
		require.True(t, c.Add(1, 5))
		require.True(t, c.Set(2, 5))
		v, err := c.GetOrLoad(t.Context(), 1, load)
		require.NoError(t, err)
		require.Equal(t, 5, v)
		require.Zero(t, told, "what does not exist does not leave")
		require.Zero(t, c.Stats().LoadErrors)
	})
}

func TestStaleValueStandsInForAFailedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []lru.Reason
		c := lru.MustNew(config{
			Capacity: 4, TTL: time.Second, StaleFor: time.Minute, NegativeTTL: time.Second,
			Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) { reasons = append(reasons, r.Reason) }},
		})
		fail := func(context.Context, int) (int, error) { return 0, errCause }
		c.Set(1, 1)
		time.Sleep(time.Second)
		require.False(t, c.Has(1), "to all but failed loads it is gone")
		_, ok := c.Get(1)
		require.False(t, ok)
		v, err := c.GetOrLoad(t.Context(), 1, fail)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		got, err := c.BulkLoad(t.Context(), []int{1}, func(context.Context, []int) (map[int]int, error) { return nil, errCause })
		require.NoError(t, err)
		require.Equal(t, map[int]int{1: 1}, got)
		got, err = c.BulkLoad(t.Context(), []int{1, 2}, func(context.Context, []int) (map[int]int, error) { return nil, errCause })
		require.Equal(t, errCause, err)
		require.Equal(t, map[int]int{1: 1}, got)
		require.EqualValues(t, 3, c.Stats().StaleServed)
		_, err = c.GetOrLoad(t.Context(), 2, fail)
		require.Equal(t, errCause, err)
		time.Sleep(time.Minute)
		_, err = c.GetOrLoad(t.Context(), 1, fail)
		require.Equal(t, errCause, err)
		require.Equal(t, []lru.Reason{lru.Expired}, reasons)

		c.Set(1, 1)
		time.Sleep(time.Second)
		_, err = c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) { return 0, lru.ErrNotFound })
		require.Equal(t, lru.ErrNotFound, err, "not to exist is an answer, no failure")
	})
}

func TestHitNearTheEndRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 4, TTL: 10 * time.Second, RefreshAhead: 2 * time.Second})
		loads := 0
		load := func(context.Context, int) (int, error) { loads++; time.Sleep(time.Second / 2); return loads, nil }
		get := func(want int) {
			t.Helper()
			v, err := c.GetOrLoad(t.Context(), 1, load)
			require.NoError(t, err)
			require.Equal(t, want, v)
		}
		get(1)
		time.Sleep(7 * time.Second)
		get(1)
		require.Equal(t, 1, loads)
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { get(2) })
		synctest.Wait()
		get(1) // at once, while the other one loads
		wg.Wait()
		get(2)
		require.Equal(t, 2, loads)

		// A refresh that fails leaves the value, and is not tried again.
		time.Sleep(8 * time.Second)
		fails := 0
		for range 3 {
			v, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) { fails++; return 0, errCause })
			require.NoError(t, err)
			require.Equal(t, 2, v)
		}
		require.Equal(t, 1, fails)
		require.EqualValues(t, 2, c.Stats().Refreshes)

		// One that finds nothing ends it.
		c.Set(1, 5)
		time.Sleep(8 * time.Second)
		_, err := c.GetOrLoad(t.Context(), 1, func(context.Context, int) (int, error) { return 0, lru.ErrNotFound })
		require.Equal(t, lru.ErrNotFound, err)
		require.False(t, c.Has(1))
	})
}

func TestRunDoesTheRefreshesAndEndsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 4, TTL: 10 * time.Second, RefreshAhead: 2 * time.Second})
		ctx, cancel := context.WithCancelCause(t.Context())
		var ended atomic.Bool
		go func() { _ = c.Run(ctx); ended.Store(true) }()
		c.Set(1, 1)
		time.Sleep(9 * time.Second)
		caller := context.WithValue(t.Context(), ctxKey{}, "v")
		start := time.Now()
		v, err := c.GetOrLoad(caller, 1, func(ctx context.Context, _ int) (int, error) {
			require.Equal(t, "v", ctx.Value(ctxKey{}))
			time.Sleep(time.Second / 2)
			return 2, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.Zero(t, time.Since(start))
		time.Sleep(time.Second)
		v, _ = c.Get(1)
		require.Equal(t, 2, v)

		time.Sleep(8 * time.Second)
		var got error
		v, err = c.GetOrLoad(t.Context(), 1, func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			got = context.Cause(ctx)
			time.Sleep(time.Second)
			return 0, ctx.Err()
		})
		require.NoError(t, err)
		require.Equal(t, 2, v)
		cancel(errCause)
		synctest.Wait()
		require.Equal(t, errCause, got)
		require.False(t, ended.Load(), "Run waits for its refreshes")
		time.Sleep(time.Second)
		synctest.Wait()
		require.True(t, ended.Load())
	})
}

func TestBulkLoadAsksOnceForWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, bulk := range map[string]func(ctx context.Context, keys []int, load func(context.Context, []int) (map[int]int, error)) (map[int]int, error){
			"LRU": func() func(context.Context, []int, func(context.Context, []int) (map[int]int, error)) (map[int]int, error) {
				l := lru.MustNewLRU(config{Capacity: 100})
				l.Set(2, 2)
				return l.BulkLoad
			}(),
			"Cache": func() func(context.Context, []int, func(context.Context, []int) (map[int]int, error)) (map[int]int, error) {
				c := lru.MustNew(config{Capacity: 100, Shards: 8})
				c.Set(2, 2)
				return c.BulkLoad
			}(),
		} {
			calls := 0
			load := func(_ context.Context, keys []int) (map[int]int, error) {
				calls++
				require.Equal(t, []int{1, 3, 4}, keys)
				return map[int]int{1: 1, 3: 3, 9: 9}, nil
			}
			got, err := bulk(t.Context(), []int{1, 2, 3, 1, 4}, load)
			require.NoError(t, err)
			require.Equal(t, map[int]int{1: 1, 2: 2, 3: 3}, got, name)
			got, err = bulk(t.Context(), []int{1, 2, 3}, load)
			require.NoError(t, err)
			require.Equal(t, map[int]int{1: 1, 2: 2, 3: 3}, got, name)
			require.Equal(t, 1, calls)
		}
	})
}

// Two that want overlapping keys in opposite order wait for each other's part
// without waiting for each other.
func TestBulkLoadsShareAndDoNotDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lru.MustNew(config{Capacity: 100})
		var asked atomic.Int64
		load := func(_ context.Context, keys []int) (map[int]int, error) {
			asked.Add(int64(len(keys)))
			time.Sleep(time.Second)
			out := make(map[int]int)
			for _, k := range keys {
				out[k] = k
			}
			return out, nil
		}
		var wg sync.WaitGroup
		for _, keys := range [][]int{{1, 2, 3, 4}, {4, 3, 2, 5}, {5, 1}} {
			wg.Go(func() {
				got, err := c.BulkLoad(t.Context(), keys, load)
				if err != nil || len(got) != len(keys) {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 5, asked.Load())
	})
}
