package lru

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// check requires what holds of a store between any two operations: each entry
// is in one list and has one place in the table, where it is found; every other
// place and slot is free and empty; each group knows exactly who passed by it;
// and all sums are right.
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
	require.True(t, s.freqs == nil || s.share >= leastShare && s.share <= mostShare)
	passed := make([]uint32, len(s.table))
	places := 0
	for i, g := range s.table {
		for at, slot := range g.slots {
			if slot == 0 {
				require.Equal(t, uint64(0), g.mark(at))
				continue
			}
			places++
			require.True(t, used[slot])
			require.Equal(t, mark(s.tag(slot)), g.mark(at))
			for at := reduce(s.tag(slot), len(s.table)); at != i; at = (at + 1) % len(s.table) {
				passed[at]++
			}
		}
	}
	require.Equal(t, s.len, places)
	for i, g := range s.table {
		require.Equal(t, passed[i], g.passed, "group %d", i)
	}
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
						cfg.Hooks.OnRemoved = func(Removed[int, int]) { out++ }
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

// mark is the mark of a place.
func (g *group) mark(at int) uint64 {
	if at < 8 {
		return g.low >> (8 * at) & 0xff
	}
	return uint64(g.high) >> (8 * (at - 8)) & 0xff
}

// Whatever the hashes are, from all entries in one home to random ones: each is
// found while it is there, and a search for others ends, also when every group
// was passed by somebody.
func TestTableFindsEveryKeyWhateverItsHash(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, homes := range []uint64{1, 2, 3, 1 << 8, 1 << 32} {
		for _, limit := range []int{1, 9, 18, 60} {
			hash := func(key uint64) uint64 { return key % homes * (math.MaxUint32 / homes) } // the last one wraps
			s := &store[uint64, int]{limit: limit, hasher: hasher[uint64]{hash: hash}, rules: new(rules)}
			there := make(map[uint64]bool)
			for range 400 {
				key := rng.Uint64N(uint64(2*limit)) * 0x9e3779b9 % (1 << 32)
				slot := s.find(hash(key), key)
				require.Equal(t, there[key], slot != 0)
				switch {
				case slot != 0:
					s.remove(slot, Deleted)
					delete(there, key)
				case len(there) < limit:
					require.True(t, s.put(hash(key), key, 1, 0, 0))
					there[key] = true
				}
				check(t, s)
			}
		}
	}
}

func TestEqualFindsEachPlaceWithTheMark(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 7))
	for range 10_000 {
		var g group
		for at := range 8 {
			g.low |= rng.Uint64N(1+3*rng.Uint64N(60)) << (8 * at)
			g.high |= uint32(rng.Uint64N(4)) << (8 * at) // the last ones fall out
		}
		for m := range uint64(5) {
			right := false // at the place below: only then may there be one too many
			for at := range groupPlaces {
				found := equal(g.low, m)>>(8*at+7)&1 == 1
				if at >= 8 {
					found = equalHigh(g.high, m)>>(8*at-57)&1 == 1
				}
				require.True(t, found == (g.mark(at) == m) || found && right && at != 8, "%x at %d of %+v", m, at, g)
				right = found
			}
			require.Zero(t, equal(g.low, m)&^highBits)
			require.Zero(t, uint64(equalHigh(g.high, m))&^highBits)
		}
	}
	for tag := range uint32(1 << 10) {
		require.NotZero(t, mark(tag))
		require.LessOrEqual(t, mark(tag), uint64(0xff))
	}
}

func TestGhostRemembersAsManyAsItHasRoomForAndTheirAges(t *testing.T) {
	var g ghost
	forgotten := func(tag uint32) {
		_, ok := g.takeOut(tag)
		require.False(t, ok)
	}
	forgotten(1)
	rng := rand.New(rand.NewPCG(7, 8))
	const n = 1000
	tags := make([]uint32, 3*n)
	for i := range tags {
		tags[i] = rng.Uint32()
		g.add(tags[i], n, n)
	}
	known := 0
	for i, tag := range tags {
		if age, ok := g.takeOut(tag); ok {
			require.Equal(t, len(tags)-1-i, age)
			if age < n {
				known++
			}
			forgotten(tag)
		}
	}
	require.Greater(t, known, n*90/100)

	g.add(7, n, n)
	g.clock = math.MaxUint32 // the clock wraps
	g.add(8, n, n)
	age, ok := g.takeOut(8)
	require.True(t, ok)
	require.Zero(t, age)

	g.add(9, 2*n, 5*n) // more room, but no more than is needed soon
	require.Len(t, g.buckets, 3*n/5+1)
	g.add(9, 4*n, 5*n)
	require.Len(t, g.buckets, 5*n/5+1)
	g = ghost{}
	g.add(9, 0, 0) // a cache of fewer than ten entries has no ghost of its main queue
	forgotten(9)
}

// The small queue gets room where what leaves it is soon wanted again, and gives
// it up where that is true of the main queue.
func TestShareOfTheSmallQueueFollowsNarrowMisses(t *testing.T) {
	l := MustNewLRU(Config[int, int]{Capacity: 100, Policy: PolicyS3FIFO})
	s := &l.c.shards[0].store
	use := func(key int) {
		if _, ok := l.Get(key); !ok {
			l.Set(key, key)
		}
	}
	for key := range 100 { // the main queue is filled with what will never be used again
		use(key)
		use(key)
	}
	require.InDelta(t, firstShare, s.share, 1e-9)
	for key := 1000; key < 20_000; key++ { // each is wanted again when fifteen others have come
		use(key)
		use(key - 15)
	}
	require.InDelta(t, 0.16, s.share, 0.02, "just long enough")
	require.NoError(t, l.Resize(100))
	require.InDelta(t, firstShare, s.share, 1e-9, "a new capacity begins anew")
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.05, 1, 10_000)
	for range 100_000 { // the same keys are popular all the time: the main queue keeps them
		use(int(zipf.Uint64()))
	}
	require.Less(t, s.share, firstShare)
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
		bytes += int(unsafe.Sizeof(*s)) + int(unsafe.Sizeof(group{}))*cap(s.table) + 24*cap(s.nodes)
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
	c := MustNew(Config[int, int]{Capacity: 1, Hooks: Hooks[int, int]{OnRemoved: func(r Removed[int, int]) {
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

// The hashes that are our own must tell neighbours apart in the bits that choose
// the shard and in those that choose the place, and differ from cache to cache.
func TestKeysAreSpreadOverShardsAndPlaces(t *testing.T) {
	for _, stride := range []uint64{1, 8, 1 << 16, 1 << 32} {
		spread(t, func(i int) uint64 { return uint64(i) * stride })
	}
	for _, form := range []string{"%x", "%08d", "user:%d", "%016x", "%d:abcdefgh", "a key of more than 16 bytes %d"} {
		spread(t, func(i int) string { return fmt.Sprintf(form, i) })
	}
	spread(t, func(i int) string { return strings.Repeat("x", i%17) + fmt.Sprint(i) })
	spread(t, func(i int) [2]int { return [2]int{i, 0} })
}

func spread[K comparable](t *testing.T, key func(i int) K) {
	t.Helper()
	h, other := newHasher[K](), newHasher[K]()
	var shards, places, marks [64]int
	const n = 64 * 1000
	for i := range n {
		hash := h.hash(key(i))
		shards[hash>>48&63]++
		places[reduce(uint32(hash), 64)]++
		marks[mark(uint32(hash))%64]++
	}
	for i := range 64 {
		require.InDelta(t, 1000, shards[i], 200)
		require.InDelta(t, 1000, places[i], 200)
		require.InDelta(t, 1000, marks[i], 450, "1 is the mark of two tags in 256, and 0 of none")
	}
	require.NotEqual(t, h.hash(key(1)), other.hash(key(1)), "each cache has its secret")
}

// Short strings are hashed as two words. Whatever byte changes, and whatever is
// added or left out, the words change or the length does.
func TestWordsTellShortStringsApart(t *testing.T) {
	type print struct {
		x, y uint64
		n    int
	}
	seen := make(map[print]string)
	note := func(s string) {
		x, y := words(s)
		before, ok := seen[print{x, y, len(s)}]
		require.True(t, !ok || before == s, "%q and %q", before, s)
		seen[print{x, y, len(s)}] = s
	}
	for n := range 17 {
		base := strings.Repeat("k", n)
		note(base)
		for i := range n {
			for _, c := range []byte{0, 1, 'j', 'l', 0x80, 0xff} {
				note(base[:i] + string([]byte{c}) + base[i+1:])
			}
		}
	}
	for i := range 1 << 16 {
		note(string([]byte{byte(i), byte(i >> 8)}))
	}
}
