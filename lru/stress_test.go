package lru_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

// Every value has a number of its own. However many goroutines do whatever they
// like, each number that went in comes out exactly once: told to OnRemoved, or
// given to the caller of Take.
func TestConservationUnderContention(t *testing.T) {
	for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
		t.Run(policy.String(), func(t *testing.T) {
			const goroutines, each = 8, 3000
			var next atomic.Int64
			out := make([]atomic.Int32, 4*goroutines*each)
			leave := func(v int) {
				if v > 0 {
					out[v].Add(1)
				}
			}
			c := lru.MustNew(config{
				Capacity: 128, Shards: 4, Policy: policy, MaxCost: 400, Cost: func(_, v int) int64 { return int64(v % 5) },
				Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) { leave(r.Value) }},
			})
			in := make([]atomic.Bool, len(out))
			give := func(v int, stored bool) {
				if stored {
					in[v].Store(true)
				}
			}
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(g), 1))
					for range each {
						key := rng.IntN(300)
						v := int(next.Add(1))
						switch rng.IntN(16) {
						case 0, 1, 2, 3, 4:
							give(v, c.Set(key, v))
						case 5:
							give(v, c.SetTTL(key, v, time.Duration(rng.IntN(50))*time.Microsecond))
						case 6:
							give(v, c.Add(key, v))
						case 7, 8, 9:
							c.Get(key)
						case 10:
							c.Delete(key)
						case 11:
							if v, ok := c.Take(key); ok {
								leave(v)
							}
						case 12:
							_, ok := c.Compute(key, func(int, bool) (int, lru.Op) { return v, lru.Store })
							give(v, ok)
						case 13:
							n := 0
							for range c.All() {
								n++
							}
							if n > 128 {
								t.Errorf("%d entries", n)
							}
						case 14:
							switch rng.IntN(50) {
							case 0:
								c.Clear()
							case 1:
								_ = c.Resize(4 + rng.IntN(124))
							case 2:
								_ = c.Save(new(bytes.Buffer), encodeInts)
							case 3:
								c.RemoveExpired()
							}
						case 15:
							// Not followed, as a load may be stored or not: 0.
							_, _ = c.GetOrLoad(context.Background(), key, func(context.Context, int) (int, error) {
								runtime.Gosched()
								return 0, nil
							})
						}
					}
				})
			}
			wg.Wait()
			c.Clear()
			require.Zero(t, c.Len())
			require.Zero(t, c.Cost())
			require.Zero(t, c.Stats().Undelivered)
			for v := range out {
				want := int32(0)
				if in[v].Load() {
					want = 1
				}
				if got := out[v].Load(); got != want {
					t.Fatalf("value %d came out %d times, want %d", v, got, want)
				}
			}
		})
	}
}

// Loads, writes and cancellations at any moment: nobody hangs, nobody gets what
// is older than a write before his call, and only those who were cancelled get
// a cancellation.
func TestLoadsSurviveACancellationStorm(t *testing.T) {
	const goroutines, each, keys = 12, 600, 6
	c := lru.MustNew(config{Capacity: keys, Shards: 2})
	var source [keys]atomic.Int64 // the truth, which only grows
	load := func(ctx context.Context, key int) (int, error) {
		v := int(source[key].Load())
		for range 3 {
			runtime.Gosched()
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
		}
		return v, nil
	}
	expected := func(err error) bool { // some loaders call Goexit
		return err == nil || errors.Is(err, context.Canceled) || errors.Is(err, lru.ErrAborted)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			for range each {
				key := rng.IntN(keys)
				switch rng.IntN(8) {
				case 0: // a write to the source, then an invalidation
					source[key].Add(1)
					c.Delete(key)
				case 1, 2:
					ctx, cancel := context.WithCancel(context.Background())
					if rng.IntN(2) == 0 {
						wg.Go(cancel)
					} else {
						wg.Go(func() { runtime.Gosched(); cancel() })
					}
					if _, err := c.GetOrLoad(ctx, key, load); !expected(err) {
						t.Errorf("%v", err)
					}
					cancel()
				case 3:
					ctx, cancel := context.WithCancel(context.Background())
					wg.Go(cancel)
					_, err := c.BulkLoad(ctx, []int{key, (key + 1) % keys, (key + 2) % keys}, func(ctx context.Context, keys []int) (map[int]int, error) {
						out := make(map[int]int)
						for _, k := range keys {
							v, err := load(ctx, k)
							if err != nil {
								return nil, err
							}
							out[k] = v
						}
						return out, nil
					})
					if !expected(err) {
						t.Errorf("%v", err)
					}
				case 4:
					wg.Go(func() {
						_, _ = c.GetOrLoad(context.Background(), key, func(context.Context, int) (int, error) {
							runtime.Goexit()
							return 0, nil
						})
					})
				default:
					before := source[key].Load()
					v, err := c.GetOrLoad(context.Background(), key, load)
					switch {
					case err == nil && int64(v) < before-int64(goroutines):
						t.Errorf("got %d, the source had %d before", v, before)
					case err != nil && !errors.Is(err, lru.ErrAborted):
						t.Errorf("%v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	for key := range keys {
		c.Delete(key)
		v, err := c.GetOrLoad(t.Context(), key, load)
		require.NoError(t, err)
		require.EqualValues(t, source[key].Load(), v)
	}
}

// A read that follows a write of the same goroutine sees it or something newer,
// and no reader ever sees a key go back.
func TestReadersNeverSeeAKeyGoBack(t *testing.T) {
	c := lru.MustNew(config{Capacity: 64, Shards: 4})
	var wg sync.WaitGroup
	var stop atomic.Bool
	for key := range 2 {
		for range 2 {
			wg.Go(func() {
				last := 0
				for !stop.Load() {
					if v, ok := c.Get(key); ok {
						if v < last {
							t.Errorf("%d after %d", v, last)
							return
						}
						last = v
					}
				}
			})
		}
	}
	var writers sync.WaitGroup
	for key := range 2 {
		writers.Go(func() {
			for v := 1; v <= 20_000; v++ {
				c.Set(key, v)
				if got, ok := c.Get(key); !ok || got != v {
					t.Errorf("%d, %t after Set of %d", got, ok, v)
					return
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	wg.Wait()
}

func TestLRULoaderMayUseTheLRU(t *testing.T) {
	l := lru.MustNewLRU(config{Capacity: 10})
	var fib func(ctx context.Context, n int) (int, error)
	fib = func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		a, err := l.GetOrLoad(ctx, n-1, fib)
		if err != nil {
			return 0, err
		}
		b, err := l.GetOrLoad(ctx, n-2, fib)
		return a + b, err
	}
	v, err := l.GetOrLoad(t.Context(), 40, fib)
	require.NoError(t, err)
	require.Equal(t, 102334155, v)

	// Its own key, too: it loads twice rather than wait for itself.
	v, err = l.GetOrLoad(t.Context(), 100, func(ctx context.Context, n int) (int, error) {
		inner, err := l.GetOrLoad(ctx, n, func(context.Context, int) (int, error) { return 5, nil })
		return inner + 1, err
	})
	require.NoError(t, err)
	require.Equal(t, 6, v)
	v, _ = l.Get(100)
	require.Equal(t, 5, v, "the inner load was stored after the outer one had begun")
}

func TestLoadStoresAtTheCostOfTheValue(t *testing.T) {
	c := lru.MustNew(config{Capacity: 10, MaxCost: 10, Cost: func(_, v int) int64 {
		if v == 13 {
			panic("cost")
		}
		return int64(v)
	}})
	give := func(v int) func(context.Context, int) (int, error) {
		return func(context.Context, int) (int, error) { return v, nil }
	}
	v, err := c.GetOrLoad(t.Context(), 1, give(6))
	require.NoError(t, err)
	require.Equal(t, 6, v)
	v, err = c.GetOrLoad(t.Context(), 2, give(11))
	require.NoError(t, err)
	require.Equal(t, 11, v, "too costly to be stored, and returned all the same")
	require.False(t, c.Has(2))
	got, err := c.BulkLoad(t.Context(), []int{3, 4}, func(context.Context, []int) (map[int]int, error) {
		return map[int]int{3: 3, 4: 5}, nil
	})
	require.NoError(t, err)
	require.Equal(t, map[int]int{3: 3, 4: 5}, got)
	require.EqualValues(t, 8, c.Cost())
	require.Panics(t, func() { _, _ = c.GetOrLoad(t.Context(), 5, give(13)) })
	require.Panics(t, func() {
		_, _ = c.BulkLoad(t.Context(), []int{5}, func(context.Context, []int) (map[int]int, error) { return map[int]int{5: 13}, nil })
	})
	v, err = c.GetOrLoad(t.Context(), 5, give(1))
	require.NoError(t, err, "nothing hangs on the panic")
	require.Equal(t, 1, v)
}

func TestNilFunctionsPanicAtOnce(t *testing.T) {
	c := newCache()
	require.PanicsWithValue(t, "lru: load is nil", func() { _, _ = c.GetOrLoad(t.Context(), "k", nil) })
	require.PanicsWithValue(t, "lru: load is nil", func() { _, _ = c.BulkLoad(t.Context(), nil, nil) })
	require.PanicsWithValue(t, "lru: fn is nil", func() { c.Compute("k", nil) })
	require.True(t, c.Set("k", 1))
}

func TestStatsArePublishable(t *testing.T) {
	c := lru.MustNew(config{Name: "users", Capacity: 2})
	text := expvar.Func(func() any { return c.Stats() }).String()
	require.True(t, strings.HasPrefix(text, `{"name":"users","capacity":2,"len":0,"cost":0,"shards":1,"hits":0,`), text)
	var back lru.Stats
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, c.Stats(), back)
}

func TestAbandonedCachesLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 100 {
		c := lru.MustNew(config{Capacity: 10, TTL: time.Hour, RefreshAhead: time.Minute})
		c.Set(i, i)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}

func TestKeysOfManyKindsAreFound(t *testing.T) {
	found := func(name string, ok bool) { require.True(t, ok, name) }
	arrays := lru.MustNew(lru.Config[[3]string, int]{Capacity: 4})
	arrays.Set([3]string{"a", "b", "c"}, 1)
	found("array", arrays.Has([3]string{"a", "b", "c"}))
	pointers := lru.MustNew(lru.Config[*int, int]{Capacity: 4})
	p, q := new(int), new(int)
	pointers.Set(p, 1)
	found("pointer", pointers.Has(p) && !pointers.Has(q))
	errs := lru.MustNew(lru.Config[error, int]{Capacity: 4})
	errs.Set(errCause, 1)
	found("interface", errs.Has(errCause) && !errs.Has(errDecode))
	empty := lru.MustNew(lru.Config[struct{}, int]{Capacity: 4})
	empty.Set(struct{}{}, 1)
	empty.Set(struct{}{}, 2)
	found("empty struct", empty.Len() == 1)
	zeros := lru.MustNew(lru.Config[float64, string]{Capacity: 4})
	zeros.Set(0, "zero")
	minus := math.Copysign(0, -1)
	v, _ := zeros.Get(minus)
	require.Equal(t, "zero", v, "-0 equals 0, as in a map")
	found("long", func() bool {
		c := lru.MustNew(lru.Config[string, int]{Capacity: 4})
		c.Set(strings.Repeat("x", 1<<16), 1)
		return c.Has(strings.Repeat("x", 1<<16))
	}())
}

// All that BulkLoad has loaded is stored, and nobody waits for it, before the
// first event.
func TestPanicInOnRemoveDuringBulkLoadLeavesNoWaiter(t *testing.T) {
	armed := false
	c := lru.MustNew(config{Capacity: 3, Hooks: lru.Hooks[int, int]{OnRemoved: func(lru.Removed[int, int]) {
		if armed {
			armed = false
			panic("boom")
		}
	}}})
	for i := range 3 {
		c.Set(-1-i, 0)
	}
	armed = true
	require.PanicsWithValue(t, "boom", func() {
		_, _ = c.BulkLoad(t.Context(), []int{1, 2, 3}, func(context.Context, []int) (map[int]int, error) {
			return map[int]int{1: 1, 2: 2, 3: 3}, nil
		})
	})
	for i := 1; i <= 3; i++ {
		v, err := c.GetOrLoad(t.Context(), i, func(context.Context, int) (int, error) { return 0, errCause })
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
	c.Clear()
	require.Zero(t, c.Stats().Undelivered)
}
