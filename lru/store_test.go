package lru

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// check requires what holds of a store between any two operations: each entry
// is in one list and once in the index, where it can be found; every other slot
// is free and empty; and all sums are right.
func check[K comparable, V comparable](t *testing.T, s *store[K, V]) {
	t.Helper()
	used := make(map[uint32]bool)
	small, timed, cost, denied := 0, 0, int64(0), 0
	walk := func(list uint32) {
		for prev, slot := list, s.nodes[list].next; ; prev, slot = slot, s.nodes[slot].next {
			require.Equal(t, prev, s.nodes[slot].prev, "links agree")
			if slot == list {
				return
			}
			require.False(t, used[slot], "slot %d is in the lists twice", slot)
			used[slot] = true
			require.Equal(t, uint32(s.hash(s.nodes[slot].key)), s.tag(slot))
			require.Equal(t, slot, s.find(s.hash(s.nodes[slot].key), s.nodes[slot].key), "an entry is found")
			if s.freqs != nil {
				require.LessOrEqual(t, s.freqs[slot]&^inSmall, uint8(maxFreq))
				require.Equal(t, list == smallList, s.freqs[slot]&inSmall != 0, "the mark says which list")
			}
			if list == smallList {
				small++
			}
			if s.deadlines != nil && s.deadlines[slot] != 0 {
				timed++
				if s.deadlines[slot]&negativeFlag != 0 {
					denied++
					require.Error(t, s.refusals[slot])
				}
			}
			if s.costs != nil {
				cost += s.costs[slot]
			}
		}
	}
	if len(s.nodes) > 0 {
		walk(mainList)
		walk(smallList)
	}
	require.Len(t, used, s.len)
	require.LessOrEqual(t, s.len, s.limit)
	require.Equal(t, small, s.small)
	require.Equal(t, timed, s.timed)
	require.Equal(t, cost, s.cost)
	require.Len(t, s.refusals, denied)
	if s.most > 0 {
		require.LessOrEqual(t, s.cost, s.most)
	}
	places := 0
	for _, e := range s.index {
		if e != 0 {
			places++
			require.True(t, used[uint32(e)])
		}
	}
	require.Equal(t, s.len, places)
	free := 0
	for slot := s.free; slot != 0; slot = s.nodes[slot].next {
		require.False(t, used[slot])
		require.Equal(t, node[K, V]{next: s.nodes[slot].next}, s.nodes[slot], "a free slot holds on to nothing")
		for _, a := range [][]int64{s.deadlines, s.ttls, s.costs} {
			require.True(t, a == nil || a[slot] == 0)
		}
		free++
	}
	require.Equal(t, max(0, int(s.fresh)-firstSlot), s.len+free)
	require.Empty(t, s.edits)
	for _, n := range []int{len(s.deadlines), len(s.ttls), len(s.costs), len(s.freqs), len(s.tags)} {
		require.True(t, n == 0 || n == len(s.nodes))
	}
}

func TestStoreStaysInOrderUnderRandomOperations(t *testing.T) {
	for _, policy := range []Policy{PolicyLRU, PolicyS3FIFO} {
		for _, capacity := range []int{1, 2, 5, 40} {
			for features := range 8 {
				t.Run(fmt.Sprint(policy, "/", capacity, "/", features), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						cfg := Config[int, int]{Capacity: capacity, Shards: 1, Policy: policy, NegativeTTL: 5 * time.Second}
						if features&1 != 0 {
							cfg.TTL, cfg.Sliding = 10*time.Second, features&4 != 0
						}
						if features&2 != 0 {
							cfg.MaxCost, cfg.Cost = 100, func(_, v int) int64 { return int64(v) }
						}
						if features&4 != 0 {
							cfg.StaleFor, cfg.Jitter = 5*time.Second, 0.3
						}
						in, out := 0, 0
						cfg.Hooks.OnRemove = func(Removed[int, int]) { out++ }
						churn(t, cfg, func(n int) { in += n })
						require.Equal(t, in, out, "what went in came out")
					})
				})
			}
		}
	}
}

// churn does random operations and reports values that went in, less those
// that were taken out.
func churn(t *testing.T, cfg Config[int, int], count func(int)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(cfg.Capacity), 9))
	c := MustNew(cfg)
	s := &c.shards[0]
	for range 500 {
		key, value := rng.IntN(2*cfg.Capacity+2), rng.IntN(60)
		stored := false
		switch rng.IntN(16) {
		case 0, 1, 2, 3, 4:
			stored = c.Set(key, value)
		case 5:
			stored = c.SetTTL(key, value, time.Duration(rng.IntN(20)-1)*time.Second)
		case 6:
			stored = c.Add(key, value)
		case 7, 8, 9:
			c.Get(key)
		case 10:
			c.Delete(key)
		case 11:
			if _, ok := c.Take(key); ok {
				count(-1)
			}
		case 12:
			before := s.loads
			_, err := c.GetOrLoad(t.Context(), key, func(context.Context, int) (int, error) {
				if value < 20 {
					return 0, ErrNotFound
				}
				return value, nil
			})
			stored = err == nil && s.loads > before
		case 13:
			//bedplate:allow sleep: runs in the bubble of its caller
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		case 14:
			if rng.IntN(8) == 0 {
				c.Clear()
			}
		case 15:
			require.NoError(t, c.Resize(1+rng.IntN(2*cfg.Capacity)))
		}
		if stored {
			count(1)
		}
		check(t, &s.store)
	}
	c.Clear()
	check(t, &s.store)
}

func TestIndexFindsEverySlotWhateverItsTag(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, spread := range []uint32{1, 3, 1 << 8, math.MaxUint32} { // from all in one home to random
		s := &store[int, int]{limit: 50}
		s.reshape(50)
		tags := make(map[uint32]uint32) // slot → tag
		for range 2000 {
			slot := uint32(rng.IntN(50) + firstSlot)
			if tag, ok := tags[slot]; ok {
				s.unplace(tag, slot)
				delete(tags, slot)
			} else {
				tags[slot] = uint32(rng.Uint64N(uint64(spread)))
				if rng.IntN(2) == 0 {
					tags[slot] = math.MaxUint32 - tags[slot] // homes at the end, which wrap
				}
				s.place(uint64(tags[slot])<<32 | uint64(slot))
			}
			places := 0
			for i, e := range s.index {
				if e == 0 {
					continue
				}
				places++
				if tags[uint32(e)] != uint32(e>>32) {
					t.Fatal("the tag of another")
				}
				for j := reduce(uint32(e>>32), len(s.index)); j != i; j = (j + 1) % len(s.index) {
					if s.index[j] == 0 {
						t.Fatal("a gap between an entry and its home")
					}
				}
			}
			require.Len(t, tags, places)
		}
	}
}

func TestGhostRemembersForAsManyEvictionsAsThereAreSlots(t *testing.T) {
	var g ghost
	require.False(t, g.takeOut(1))
	rng := rand.New(rand.NewPCG(7, 8))
	const limit = 1000
	tags := make([]uint32, 3*limit)
	for i := range tags {
		tags[i] = rng.Uint32()
		g.add(tags[i], limit)
	}
	known := func(tags []uint32) (n int) {
		for _, tag := range tags {
			if g.takeOut(tag) {
				n++
				require.False(t, g.takeOut(tag), "taken out")
			}
		}
		return n
	}
	require.Zero(t, known(tags[:2*limit-1]))
	require.Greater(t, known(tags[2*limit:]), limit*90/100)

	g.add(7, limit)
	g.clock = math.MaxUint32 // the clock wraps
	g.add(8, limit)
	require.True(t, g.takeOut(8))
	g.add(9, 10) // a ghost of another size begins anew
	require.Len(t, g.buckets, 3)
}

func TestDeadlinesSaturate(t *testing.T) {
	for _, c := range []struct{ now, ttl, want int64 }{
		{0, 1, 1},
		{5, 10, 15},
		{-10, 10, 1}, // 0 would mean none
		{-10, 5, -5},
		{0, math.MaxInt64, forever},
		{1 << 60, math.MaxInt64, forever},
		{1 << 60, 1 << 60, forever},
		{-1 << 60, 1<<60 + 5, 5},
		{math.MinInt64, 1, -forever + 1},
	} {
		d := deadlineAt(c.now, c.ttl)
		require.Equal(t, c.want, d>>flagBits, "%d + %d", c.now, c.ttl)
		require.Zero(t, d&(negativeFlag|settledFlag))
	}
}

func TestPartsAddUp(t *testing.T) {
	for _, total := range []int{1, 7, 64, 100_003} {
		for _, shards := range []int{1, 2, 64} {
			sum := 0
			for i := range shards {
				sum += part(total, i, shards)
			}
			require.Equal(t, total, sum)
		}
	}
}

func TestDefaultShards(t *testing.T) {
	require.Equal(t, 1, defaultShards(4095, false))
	require.Equal(t, 1, defaultShards(1<<20, true))
	n := defaultShards(1<<20, false)
	require.Greater(t, n, 1)
	require.Zero(t, n&(n-1))
	require.LessOrEqual(t, defaultShards(4096, false), 16)
}

// Locks of neighbouring shards share neither a cache line nor a pair of them.
func TestShardBytes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	require.Zero(t, unsafe.Sizeof(shard[int, int]{})%128)
	require.Equal(t, unsafe.Sizeof(shard[int, int]{}), unsafe.Sizeof(shard[string, [9]string]{}))
	require.LessOrEqual(t, unsafe.Sizeof(shard[int, int]{}), uintptr(640))
}

// An entry of int and uint64 takes less than 40 bytes.
func TestEntryBytes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	const n = 200_000
	c := MustNew(Config[int, uint64]{Capacity: n})
	for i := range 3 * n {
		c.Set(i, 0)
	}
	bytes := 0
	for i := range c.shards {
		s := &c.shards[i]
		bytes += int(unsafe.Sizeof(*s)) + 8*cap(s.index) + 24*cap(s.nodes)
		require.Nil(t, s.deadlines)
		require.Nil(t, s.costs)
		require.Nil(t, s.freqs)
	}
	require.Equal(t, n, c.Len())
	require.Less(t, float64(bytes)/n, 40.0)
}

func TestNegativeEntriesSurviveResize(t *testing.T) {
	c := MustNew(Config[int, int]{Capacity: 100, NegativeTTL: time.Hour})
	for i := range 100 {
		_, err := c.GetOrLoad(t.Context(), i, func(context.Context, int) (int, error) { return 0, fmt.Errorf("%d: %w", i, ErrNotFound) })
		require.ErrorIs(t, err, ErrNotFound)
	}
	require.NoError(t, c.Resize(10))
	check(t, &c.shards[0].store)
	for i := 90; i < 100; i++ {
		_, err := c.GetOrLoad(t.Context(), i, func(context.Context, int) (int, error) { t.Error("loaded"); return 0, nil })
		require.EqualError(t, err, fmt.Sprintf("%d: lru: not found", i))
	}
}

// A hook that is slow while others remove: the backlog is counted, moved down
// in its array, and delivered in order.
func TestBacklogOfEventsIsDeliveredInOrder(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	var keys []int
	c := MustNew(Config[int, int]{Capacity: 1, Hooks: Hooks[int, int]{OnRemove: func(r Removed[int, int]) {
		if keys = append(keys, r.Key); r.Key == 0 {
			close(inside)
			<-proceed
		}
	}}})
	c.Set(0, 0)
	done := make(chan struct{})
	go func() {
		c.Set(1, 1)
		close(done)
	}()
	<-inside
	for i := 2; i < 3000; i++ {
		c.Set(i, i) // returns at once
	}
	require.Equal(t, 2998, c.Stats().Undelivered)
	close(proceed)
	<-done
	require.Len(t, keys, 2999)
	for i, k := range keys {
		require.Equal(t, i, k)
	}
	require.Zero(t, c.Stats().Undelivered)
	require.LessOrEqual(t, cap(c.shards[0].gone), 1024, "the memory of a backlog is given back")
}

// Integers have a hash of their own: it must tell neighbours apart in the bits
// that choose the shard and in those that choose the place, and differ from
// cache to cache.
func TestIntegersAreSpreadOverShardsAndPlaces(t *testing.T) {
	for _, stride := range []uint64{1, 8, 1 << 16, 1 << 32} {
		h := newHasher[uint64]()
		require.NotNil(t, h.fast)
		var shards, places [64]int
		const n = 64 * 1000
		for i := range n {
			hash := h.hash(uint64(i) * stride)
			shards[hash>>58]++
			places[reduce(uint32(hash), 64)]++
		}
		for i := range 64 {
			require.InDelta(t, 1000, shards[i], 200, "stride %d", stride)
			require.InDelta(t, 1000, places[i], 200, "stride %d", stride)
		}
		other := newHasher[uint64]()
		require.NotEqual(t, h.hash(1), other.hash(1), "each cache has its secret")
	}
	require.Nil(t, newHasher[[2]string]().fast)
	require.True(t, newHasher[string]().kept)
	require.NotNil(t, newHasher[int]().fast)
	require.NotNil(t, newHasher[uint32]().fast)
	require.NotNil(t, newHasher[int64]().fast)
}
