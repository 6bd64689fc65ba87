// Package lrubench compares bedplate's lru with its peers and with the least
// that Go can do, on the same work in one process.
package lrubench

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/elastic/go-freelru"
	hashicorp "github.com/hashicorp/golang-lru/v2"
	"github.com/maypok86/otter/v2"
	phuslu "github.com/phuslu/lru"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

const size = 100_000

// cache is what all rows can do. Each benchmark loops over a concrete type, by
// generics over it, and so pays for the same dictionary call in every row.
type cache[K comparable, V any] interface {
	Get(K) (V, bool)
	Set(K, V)
}

type (
	ours[K comparable, V any]      struct{ c *lru.Cache[K, V] }
	oursAlone[K comparable, V any] struct{ c *lru.LRU[K, V] }
	phusluRow[K comparable, V any] struct{ c *phuslu.LRUCache[K, V] }
	otterRow[K comparable, V any]  struct{ c *otter.Cache[K, V] }
	hashiRow[K comparable, V any]  struct{ c *hashicorp.Cache[K, V] }
	freeRow[K comparable, V any]   struct{ c freelru.Cache[K, V] }
	freeAlone[K comparable, V any] struct{ c *freelru.LRU[K, V] }
	mapRow[K comparable, V any]    struct{ m map[K]V }
	lockedRow[K comparable, V any] struct {
		mu *sync.Mutex
		m  map[K]V
	}
)

func (r ours[K, V]) Get(k K) (V, bool)      { return r.c.Get(k) }
func (r ours[K, V]) Set(k K, v V)           { r.c.Set(k, v) }
func (r oursAlone[K, V]) Get(k K) (V, bool) { return r.c.Get(k) }
func (r oursAlone[K, V]) Set(k K, v V)      { r.c.Set(k, v) }
func (r phusluRow[K, V]) Get(k K) (V, bool) { return r.c.Get(k) }
func (r phusluRow[K, V]) Set(k K, v V)      { r.c.Set(k, v) }
func (r otterRow[K, V]) Get(k K) (V, bool)  { return r.c.GetIfPresent(k) }
func (r otterRow[K, V]) Set(k K, v V)       { r.c.Set(k, v) }
func (r hashiRow[K, V]) Get(k K) (V, bool)  { return r.c.Get(k) }
func (r hashiRow[K, V]) Set(k K, v V)       { r.c.Add(k, v) }
func (r freeRow[K, V]) Get(k K) (V, bool)   { return r.c.Get(k) }
func (r freeRow[K, V]) Set(k K, v V)        { r.c.Add(k, v) }
func (r freeAlone[K, V]) Get(k K) (V, bool) { return r.c.Get(k) }
func (r freeAlone[K, V]) Set(k K, v V)      { r.c.Add(k, v) }
func (r mapRow[K, V]) Get(k K) (V, bool)    { v, ok := r.m[k]; return v, ok }
func (r mapRow[K, V]) Set(k K, v V)         { r.m[k] = v }
func (r lockedRow[K, V]) Get(k K) (V, bool) {
	r.mu.Lock()
	v, ok := r.m[k]
	r.mu.Unlock()
	return v, ok
}

func (r lockedRow[K, V]) Set(k K, v V) {
	r.mu.Lock()
	r.m[k] = v
	r.mu.Unlock()
}

// row is a peer: how it is made and whether many goroutines may use it. A map
// does not evict, so rows that do are not floors of it.
type row[K comparable, V any] struct {
	peer   string
	safe   bool
	evicts bool
	lru    bool // it evicts by LRU, at least within shards
	exact  bool // it keeps one order of all
	make   func(n int) cache[K, V]
	// bench runs the loops of the benchmarks on the concrete type.
	run func(c cache[K, V], w work[K, V])
}

// work is one benchmark's loop in the form that a type parameter can serve.
type work[K comparable, V any] struct {
	next  func() bool
	keys  []K
	value V
	set   int // in 256 operations; those that miss set as well if fill
	fill  bool
	from  int
}

func loop[K comparable, V any, C cache[K, V]](c cache[K, V], w work[K, V]) {
	r := c.(C)
	mask := len(w.keys) - 1
	i := w.from
	for w.next() {
		key := w.keys[i&mask]
		i++
		if i&255 < w.set {
			r.Set(key, w.value)
		} else if _, ok := r.Get(key); !ok && w.fill {
			r.Set(key, w.value)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func rows[K comparable, V any]() []row[K, V] {
	seed := maphash.MakeSeed()
	hash := func(k K) uint32 { return uint32(maphash.Comparable(seed, k)) }
	return []row[K, V]{
		{"bedplate", true, true, true, false, func(n int) cache[K, V] {
			return ours[K, V]{lru.MustNew(lru.Config[K, V]{Capacity: n})}
		}, loop[K, V, ours[K, V]]},
		{"bedplate-s3fifo", true, true, false, false, func(n int) cache[K, V] {
			return ours[K, V]{lru.MustNew(lru.Config[K, V]{Capacity: n, Policy: lru.PolicyS3FIFO})}
		}, loop[K, V, ours[K, V]]},
		{"bedplate-single", false, true, true, true, func(n int) cache[K, V] {
			return oursAlone[K, V]{lru.MustNewLRU(lru.Config[K, V]{Capacity: n})}
		}, loop[K, V, oursAlone[K, V]]},
		{"phuslu", true, true, true, false, func(n int) cache[K, V] {
			return phusluRow[K, V]{phuslu.NewLRUCache[K, V](n)}
		}, loop[K, V, phusluRow[K, V]]},
		{"otter", true, true, false, false, func(n int) cache[K, V] {
			return otterRow[K, V]{otter.Must(&otter.Options[K, V]{MaximumSize: n})}
		}, loop[K, V, otterRow[K, V]]},
		{"hashicorp", true, true, true, true, func(n int) cache[K, V] {
			return hashiRow[K, V]{must(hashicorp.New[K, V](n))}
		}, loop[K, V, hashiRow[K, V]]},
		{"freelru-sharded", true, true, true, false, func(n int) cache[K, V] {
			return freeRow[K, V]{must(freelru.NewSharded[K, V](uint32(n), hash))}
		}, loop[K, V, freeRow[K, V]]},
		{"freelru-single", false, true, true, true, func(n int) cache[K, V] {
			return freeAlone[K, V]{must(freelru.New[K, V](uint32(n), hash))}
		}, loop[K, V, freeAlone[K, V]]},
		{"floor-map", false, false, false, false, func(n int) cache[K, V] {
			return mapRow[K, V]{make(map[K]V, n)}
		}, loop[K, V, mapRow[K, V]]},
		{"floor-map-mutex", true, false, false, false, func(n int) cache[K, V] {
			return lockedRow[K, V]{new(sync.Mutex), make(map[K]V, n)}
		}, loop[K, V, lockedRow[K, V]]},
	}
}

// shuffled is for benchmarks: who runs first finds the machine in another state
// than who comes after it, so in each round it is another row.
func shuffled[T any](rows []T) []T {
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func text(i int) string { return "user:" + strconv.Itoa(1_000_000+i) }

func number(i int) int { return i }

// order returns n keys drawn by draw. Loops want a power of two of them.
func order[K comparable](n int, key func(int) K, draw func(i int) int) []K {
	out := make([]K, n)
	for i := range out {
		out[i] = key(draw(i))
	}
	return out
}

func uniform(rng *rand.Rand, n int) func(int) int { return func(int) int { return rng.IntN(n) } }

// zipf draws from 0 to n-1 with the i-th likeliest at probability ~ 1/(i+1)^s,
// scattered so that neighbours in rank are not neighbours as numbers.
func zipf(rng *rand.Rand, n int, s float64) func(int) int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -s)
		sums[i] = sum
	}
	names := rng.Perm(n)
	return func(int) int {
		x := rng.Float64() * sum
		lo, hi := 0, n-1
		for lo < hi {
			if mid := (lo + hi) / 2; sums[mid] < x {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return names[lo]
	}
}

func each[K comparable](b *testing.B, key func(int) K, fill int, parallel bool, w work[K, uint64], skip func(row[K, uint64]) bool) {
	b.Helper()
	// All rows hold the same strings, or where each row's lie in memory would
	// count for more than what it does with them.
	stored := order(fill, key, number)
	for _, r := range shuffled(rows[K, uint64]()) {
		if parallel && !r.safe || skip != nil && skip(r) {
			continue
		}
		b.Run("peer="+r.peer, func(b *testing.B) {
			c := r.make(size)
			for _, k := range stored {
				c.Set(k, 1)
			}
			runtime.GC()
			b.ReportAllocs()
			if !parallel {
				w := w
				w.next = b.Loop
				r.run(c, w)
				return
			}
			var from atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				w := w
				w.next, w.from = pb.Next, int(from.Add(40_009))
				r.run(c, w)
			})
		})
	}
}

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// resident are keys that every cache of size still holds: sharded ones evict a
// little early.
const resident = size * 9 / 10

func hits[K comparable](b *testing.B, key func(int) K, parallel bool) {
	b.Helper()
	each(b, key, resident, parallel, work[K, uint64]{keys: order(1<<18, key, uniform(rng(), resident))}, nil)
}

// BenchmarkLRUHitInt gets one of the entries, at random.
func BenchmarkLRUHitInt(b *testing.B) { hits(b, number, false) }

// BenchmarkLRUHitString does so with string keys.
func BenchmarkLRUHitString(b *testing.B) { hits(b, text, false) }

// BenchmarkLRUHitIntParallel does so from every processor.
func BenchmarkLRUHitIntParallel(b *testing.B) { hits(b, number, true) }

func hot(b *testing.B, parallel bool) {
	b.Helper()
	each(b, number, resident, parallel, work[int, uint64]{keys: []int{7}}, nil)
}

// BenchmarkLRUHotKeyParallel gets one key from every processor.
func BenchmarkLRUHotKeyParallel(b *testing.B) { hot(b, true) }

func evictions[K comparable](b *testing.B, key func(int) K) {
	b.Helper()
	// Five times as many keys as there is room for, in turn: each is a new one.
	const n = 1 << 19
	each(b, key, size, false, work[K, uint64]{keys: order(n, key, func(i int) int { return i }), set: 256},
		func(r row[K, uint64]) bool { return !r.evicts })
}

// BenchmarkLRUEvictInt sets a new key in a full cache.
func BenchmarkLRUEvictInt(b *testing.B) { evictions(b, number) }

// BenchmarkLRUEvictString does so with string keys.
func BenchmarkLRUEvictString(b *testing.B) { evictions(b, text) }

func zipfMix(b *testing.B, parallel bool) {
	b.Helper()
	keys := order(1<<20, number, zipf(rng(), 10*size, 1.0))
	each(b, number, size, parallel, work[int, uint64]{keys: keys, set: 64, fill: true},
		func(r row[int, uint64]) bool { return !r.evicts })
}

// BenchmarkLRUZipf reads through a cache for a tenth of the keys, Zipf
// distributed: a quarter of the operations set, the others get, and set after a
// miss.
func BenchmarkLRUZipf(b *testing.B) { zipfMix(b, false) }

// BenchmarkLRUZipfParallel does so from every processor.
func BenchmarkLRUZipfParallel(b *testing.B) { zipfMix(b, true) }

const million = 1_000_000

// BenchmarkLRUGC1M is a full collection with a million int entries resident.
func BenchmarkLRUGC1M(b *testing.B) {
	for _, r := range shuffled(rows[int, uint64]()) {
		b.Run("peer="+r.peer, func(b *testing.B) {
			c := r.make(million)
			for i := range million {
				c.Set(i, 1)
			}
			runtime.GC()
			for b.Loop() {
				runtime.GC()
			}
			runtime.KeepAlive(c)
		})
	}
}

// footprint is the heap that a cache of a million takes for each entry it has.
func footprint[K comparable](r row[K, uint64], keys []K) (bytes float64, entries int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := r.make(million)
	for _, k := range keys {
		c.Set(k, 1)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, k := range keys {
		if _, ok := c.Get(k); ok {
			entries++
		}
	}
	runtime.KeepAlive(c)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(entries), entries
}

// TestBytesPerEntry prints what a million entries take, and holds ours to 40
// bytes for an int key and a uint64 value.
func TestBytesPerEntry(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("memory is measured without the race detector")
	}
	ints, texts := order(million, number, number), order(million, text, number)
	t.Logf("%-18s %22s %22s", "bytes an entry", "int (entries)", "string (entries)")
	stringRows := rows[string, uint64]()
	for i, r := range rows[int, uint64]() {
		n, entries := footprint(r, ints)
		m, stringEntries := footprint(stringRows[i], texts)
		t.Logf("%-18s %12.1f (%7d) %12.1f (%7d)", r.peer, n, entries, m, stringEntries)
		if r.peer == "bedplate" {
			require.LessOrEqual(t, n, 40.0)
		}
	}
}

// TestRowsDoTheSameWork checks that each row holds what it is given, evicts if
// it says so, and answers what was set last.
func TestRowsDoTheSameWork(t *testing.T) {
	const n = 20_000
	for _, r := range rows[string, uint64]() {
		t.Run(r.peer, func(t *testing.T) {
			c := r.make(n)
			for i := range n / 2 {
				c.Set(text(i), uint64(i))
				c.Set(text(i), uint64(i)+7)
			}
			for i := range n / 2 {
				v, ok := c.Get(text(i))
				require.True(t, ok, i)
				require.Equal(t, uint64(i)+7, v)
			}
			_, ok := c.Get("absent")
			require.False(t, ok)
			if !r.evicts {
				return
			}
			for i := range 10 * n {
				c.Set(text(i), 1)
			}
			if o, ok := c.(otterRow[string, uint64]); ok {
				o.c.CleanUp() // it evicts a little later
			}
			held := 0
			for i := range 10 * n {
				if _, ok := c.Get(text(i)); ok {
					held++
				}
			}
			require.InDelta(t, n, held, n*0.06, fmt.Sprint(held))
		})
	}
}
