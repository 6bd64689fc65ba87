package lru

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Config describes a cache. Capacity is required; the zero value of any other
// field is a sound default.
type Config[K comparable, V any] struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Capacity is how many entries there may be, 1 to 2147483646. There are
	// never more. It is no reservation: memory grows with the entries.
	Capacity int

	// Shards is how many parts with a lock of their own the cache has, a power
	// of two up to 65536 and not above Capacity. One shard is exact: it keeps
	// the order of all entries, and evicts only when Capacity is reached. With
	// more, each has its part of Capacity and MaxCost and keeps its own order,
	// so the first evictions come when about 97 % are in use.
	//
	// Zero chooses: one below 4096 entries or with MaxCost, else about sixteen
	// for each processor, of 256 entries or more.
	Shards int

	// Policy decides what is evicted. Zero is PolicyLRU.
	Policy Policy

	// MaxCost bounds the sum of the costs of all entries. Zero means no bound.
	// An entry that costs more than its shard's part is not stored.
	MaxCost int64

	// Cost returns what an entry costs, in any unit, 0 or more. It is called
	// once for each value, outside all locks. It is required with MaxCost; on
	// its own it only feeds Cost and Stats.
	Cost func(K, V) int64

	// TTL is how long an entry lives, unless SetTTL says otherwise. Zero means
	// until it is evicted.
	TTL time.Duration

	// Sliding counts an entry's TTL from its last use instead of from when it
	// was stored.
	Sliding bool

	// Jitter takes up to this part off each TTL at random, 0 to 1, so that
	// entries stored together do not all expire together.
	Jitter float64

	// NegativeTTL is how long a loader's ErrNotFound is remembered: until
	// then the loader is not asked again and GetOrLoad returns the same error.
	// Such an entry counts in Len and can be evicted, and is a miss to all
	// other methods. Zero remembers nothing.
	NegativeTTL time.Duration

	// StaleFor is how long after its end a value may still stand in for a load
	// that fails. To all but such loads it is gone. Zero means not at all.
	StaleFor time.Duration

	// RefreshAhead is how long before the end of an entry a GetOrLoad that
	// hits it loads it anew. One caller at a time does so, others get the
	// value there is; while Run runs, so does this one, as Run does the work.
	// A refresh that fails leaves the value and is not repeated. Zero means
	// never. It has no effect with Sliding.
	RefreshAhead time.Duration

	// SweepEvery is how often Run removes what has expired. Zero means once a
	// minute.
	SweepEvery time.Duration

	// Hooks are called when something happens.
	Hooks Hooks[K, V]
}

const (
	maxShards     = 1 << 16
	exactBelow    = 4096 // entries; smaller caches get one shard by default
	leastPerShard = 256
)

// Cache is a cache for many goroutines: shards, each with its own lock. Make
// one with New or MustNew. It starts no goroutine.
type Cache[K comparable, V any] struct {
	// Set by New and never written again, except inside shards.
	hasher[K]
	mask   uint64 // the number of shards less one
	single bool   // it is inside an LRU
	ttl    int64
	shards []shard[K, V]
	cfg    Config[K, V]
	rules  rules

	resizing sync.Mutex   // serialises Resize, and guards nothing that others read
	capacity atomic.Int64 // written by New and Resize

	// runner is how refreshes get to Run; written by Run.
	runner atomic.Pointer[runner]
}

// shard is a store, its lock, and the loads of its keys.
type shard[K comparable, V any] struct {
	mu sync.Mutex // guards all that follows; never held over a user's function
	store[K, V]

	flights map[K]*flight[V] // loads under way whose result is wanted
	telling bool             // a goroutine is delivering events
	hook    func(Removed[K, V])

	loads, loadErrors, staleServed, refreshes uint64

	// A lock must not share a cache line, nor the line that processors fetch
	// along with it, with its neighbour. TestShardBytes watches over it.
	_ [shardPadding]byte
}

const shardPadding = 104

// New returns a Cache as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field; for Capacity it is
// a *CapacityError.
func New[K comparable, V any](cfg Config[K, V]) (*Cache[K, V], error) {
	c := new(Cache[K, V])
	if err := c.init(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[K comparable, V any](cfg Config[K, V]) *Cache[K, V] {
	c, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return c
}

func (c *Cache[K, V]) init(cfg Config[K, V]) error {
	if cfg.Capacity < 1 || cfg.Capacity > maxSlots {
		return &CapacityError{Name: cfg.Name, What: "Config.Capacity", Capacity: cfg.Capacity, Least: 1, Most: maxSlots}
	}
	if cfg.Shards == 0 {
		cfg.Shards = defaultShards(cfg.Capacity, cfg.MaxCost > 0)
	}
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = time.Minute
	}
	if err := cfg.check(); err != nil {
		return err
	}
	c.cfg = cfg
	c.hasher = newHasher[K]()
	c.mask = uint64(cfg.Shards) - 1
	c.ttl = int64(cfg.TTL)
	c.rules = rules{
		sliding: cfg.Sliding,
		stale:   min(int64(cfg.StaleFor), forever),
		ahead:   int64(cfg.RefreshAhead),
		jitter:  cfg.Jitter,
		name:    cfg.Name,
	}
	c.capacity.Store(int64(cfg.Capacity))
	c.shards = make([]shard[K, V], cfg.Shards)
	base := time.Now()
	for i := range c.shards {
		s := &c.shards[i]
		s.limit = part(cfg.Capacity, i, cfg.Shards)
		s.most = part(cfg.MaxCost, i, cfg.Shards)
		s.hasher, s.base, s.rules = c.hasher, base, &c.rules
		s.hook, s.tells = cfg.Hooks.OnRemoved, cfg.Hooks.OnRemoved != nil
		if s.kept {
			s.tags = []uint32{}
		}
		if cfg.Cost != nil {
			s.costs = []int64{}
		}
		if cfg.Policy == PolicyS3FIFO {
			s.freqs = []uint8{}
			s.forget()
		}
	}
	return nil
}

// check reports the first field that makes no sense. Defaults are filled in.
func (c *Config[K, V]) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("lru: Config.%s is %v, want %s", field, value, want)
	}
	most := min(maxShards, c.Capacity)
	switch {
	case c.Shards < 0 || c.Shards > most || c.Shards&(c.Shards-1) != 0:
		return bad("Shards", c.Shards, fmt.Sprintf("a power of two from 1 to %d, or 0", most))
	case c.Policy != PolicyLRU && c.Policy != PolicyS3FIFO:
		return bad("Policy", int(c.Policy), "PolicyLRU or PolicyS3FIFO")
	case c.MaxCost < 0:
		return bad("MaxCost", c.MaxCost, "≥ 0")
	case c.MaxCost > 0 && c.Cost == nil:
		return bad("Cost", "nil", "a function, as there is MaxCost")
	case c.MaxCost > 0 && c.MaxCost < int64(c.Shards):
		return bad("MaxCost", c.MaxCost, fmt.Sprintf("≥ Shards, which is %d", c.Shards))
	case c.TTL < 0:
		return bad("TTL", c.TTL, "≥ 0")
	case !(c.Jitter >= 0 && c.Jitter <= 1): // NaN as well
		return bad("Jitter", c.Jitter, "0 to 1")
	case c.NegativeTTL < 0:
		return bad("NegativeTTL", c.NegativeTTL, "≥ 0")
	case c.StaleFor < 0:
		return bad("StaleFor", c.StaleFor, "≥ 0")
	case c.RefreshAhead < 0:
		return bad("RefreshAhead", c.RefreshAhead, "≥ 0")
	case c.SweepEvery < 0:
		return bad("SweepEvery", c.SweepEvery, "≥ 0")
	}
	return nil
}

func defaultShards(capacity int, costs bool) int {
	if capacity < exactBelow || costs {
		return 1
	}
	n := min(16*runtime.GOMAXPROCS(0), capacity/leastPerShard, maxShards)
	return 1 << (bits.Len(uint(n)) - 1)
}

// part is the share of shard i in total, such that the shares add up.
func part[N int | int64](total N, i, shards int) N {
	share := total / N(shards)
	if N(i) < total%N(shards) {
		share++
	}
	return share
}

// shard returns the shard of a hash, by its highest bits. Tables use the low half.
func (c *Cache[K, V]) shard(hash uint64) *shard[K, V] { return &c.shards[hash>>48&c.mask] }

// same is == for keys: same(k, k) is false for a key that holds a NaN, which
// no look-up would ever find again.
func same[K comparable](a, b K) bool { return a == b }

// cost asks Config.Cost, outside all locks.
func (c *Cache[K, V]) cost(key K, value V) int64 {
	if c.cfg.Cost == nil {
		return 0
	}
	n := c.cfg.Cost(key, value)
	if n < 0 {
		panic(fmt.Sprintf("lru: Config.Cost gave %d, want ≥ 0", n))
	}
	return n
}

// Get returns the value of key and counts as a use of it. It reports false if
// there is none, or if it has expired.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	hash := c.hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	value, ok := s.get(hash, key)
	if len(s.gone) != 0 {
		s.unlock()
		return value, ok
	}
	s.mu.Unlock()
	return value, ok
}

// Peek is Get without the use: order, TTL and Stats stay as they are.
func (c *Cache[K, V]) Peek(key K) (value V, ok bool) {
	hash := c.hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot := s.peek(hash, key); slot != 0 {
		return s.nodes[slot].value, true
	}
	return value, false
}

// Has reports whether key has a value that has not expired. It is no use of it.
func (c *Cache[K, V]) Has(key K) bool {
	_, ok := c.Peek(key)
	return ok
}

// Set stores value under key for Config.TTL, as the newest entry, and evicts
// others to make room. A load or refresh of the key that is under way will not
// overwrite it.
//
// It reports false if the value cannot be kept: because it costs more than its
// shard may hold, or because key is not equal to itself, as a NaN. Then key has
// no value, and the caller still owns this one: OnRemoved is not called for it.
func (c *Cache[K, V]) Set(key K, value V) bool { return c.set(key, value, c.ttl, false) }

// SetTTL is Set with a time to live of its own: 0 means until it is evicted. A
// value with a negative ttl has expired already: it is not stored.
func (c *Cache[K, V]) SetTTL(key K, value V, ttl time.Duration) bool {
	return c.set(key, value, int64(ttl), false)
}

// Add is Set for a key without a value. If there is one it stays as it is, and
// Add reports false.
func (c *Cache[K, V]) Add(key K, value V) bool { return c.set(key, value, c.ttl, true) }

func (c *Cache[K, V]) set(key K, value V, ttl int64, absent bool) bool {
	hash := c.hash(key)
	if !same(key, key) {
		return false
	}
	var cost int64
	if c.cfg.Cost != nil {
		cost = c.cost(key, value)
	}
	s := c.shard(hash)
	s.mu.Lock()
	stored := s.write(hash, key, value, cost, ttl, absent)
	if len(s.gone) != 0 {
		s.unlock()
		return stored
	}
	s.mu.Unlock()
	return stored
}

// write is put on behalf of a user: it wins over loads under way.
func (s *shard[K, V]) write(hash uint64, key K, value V, cost, ttl int64, absent bool) bool {
	if absent && s.peek(hash, key) != 0 {
		return false
	}
	if len(s.flights) > 0 {
		delete(s.flights, key)
	}
	return s.put(hash, key, value, cost, ttl)
}

// Delete removes key and returns the value it had, if any. A load or refresh of
// the key that is under way will not store its result.
func (c *Cache[K, V]) Delete(key K) (V, bool) { return c.drop(key, Deleted) }

// Take is Delete without a call of OnRemoved: the caller now owns the value.
func (c *Cache[K, V]) Take(key K) (V, bool) { return c.drop(key, taken) }

func (c *Cache[K, V]) drop(key K, reason Reason) (V, bool) {
	hash := c.hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	value, ok := s.drop(hash, key, reason)
	s.unlock()
	return value, ok
}

func (s *shard[K, V]) drop(hash uint64, key K, reason Reason) (value V, ok bool) {
	if len(s.flights) > 0 {
		delete(s.flights, key)
	}
	if len(s.edits) > 0 {
		s.edited(key)
	}
	slot := s.find(hash, key)
	if slot == 0 {
		return value, false
	}
	if ok = s.live(slot); ok {
		value = s.nodes[slot].value
	} else {
		reason = Expired
	}
	s.remove(slot, reason)
	return value, ok
}
