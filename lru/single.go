package lru

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"
)

// LRU is a Cache of one shard for one goroutine at a time: the same methods,
// without the cost of a lock in those that matter, and with the exact order of
// all entries. Make one with NewLRU or MustNewLRU. There is no Run, which
// would be another goroutine: call RemoveExpired. Refreshes are done by the
// caller that hits an entry that is due.
//
// Functions of the user that a method calls (loaders, OnRemoved, Compute's, the
// body of a loop) may use the LRU. A loader that asks for its own key loads it
// twice, rather than waiting for itself.
type LRU[K comparable, V any] struct{ c Cache[K, V] }

// NewLRU returns an LRU as described by cfg, whose Shards must be 0 or 1. It
// fails as New does.
func NewLRU[K comparable, V any](cfg Config[K, V]) (*LRU[K, V], error) {
	l := new(LRU[K, V])
	if cfg.Shards == 0 {
		cfg.Shards = 1
	}
	if err := l.c.init(cfg); err != nil {
		return nil, err
	}
	if cfg.Shards != 1 {
		return nil, fmt.Errorf("lru: Config.Shards is %d, want 0 or 1 for NewLRU", cfg.Shards)
	}
	l.c.single = true
	return l, nil
}

// MustNewLRU is NewLRU for package variables: it panics where NewLRU returns an
// error.
func MustNewLRU[K comparable, V any](cfg Config[K, V]) *LRU[K, V] {
	l, err := NewLRU(cfg)
	if err != nil {
		panic(err.Error())
	}
	return l
}

// flush delivers events after a method that took no lock. The lock is for
// deliver, which gives it up around each call.
func (s *shard[K, V]) flush() {
	if !s.telling {
		s.mu.Lock()
		s.deliver()
	}
}

// Get is as Cache.Get.
func (l *LRU[K, V]) Get(key K) (V, bool) {
	s := &l.c.shards[0]
	value, ok := s.get(s.hash(key), key)
	if len(s.gone) != 0 {
		s.flush()
	}
	return value, ok
}

// Peek is as Cache.Peek.
func (l *LRU[K, V]) Peek(key K) (value V, ok bool) {
	s := &l.c.shards[0]
	if slot := s.peek(s.hash(key), key); slot != 0 {
		return s.nodes[slot].value, true
	}
	return value, false
}

// Has is as Cache.Has.
func (l *LRU[K, V]) Has(key K) bool {
	s := &l.c.shards[0]
	return s.peek(s.hash(key), key) != 0
}

// Set is as Cache.Set.
func (l *LRU[K, V]) Set(key K, value V) bool { return l.set(key, value, l.c.ttl, false) }

// SetTTL is as Cache.SetTTL.
func (l *LRU[K, V]) SetTTL(key K, value V, ttl time.Duration) bool {
	return l.set(key, value, int64(ttl), false)
}

// Add is as Cache.Add.
func (l *LRU[K, V]) Add(key K, value V) bool { return l.set(key, value, l.c.ttl, true) }

func (l *LRU[K, V]) set(key K, value V, ttl int64, absent bool) bool {
	s := &l.c.shards[0]
	hash := s.hash(key)
	if !same(key, key) {
		return false
	}
	var cost int64
	if l.c.cfg.Cost != nil {
		cost = l.c.cost(key, value)
	}
	stored := s.write(hash, key, value, cost, ttl, absent)
	if len(s.gone) != 0 {
		s.flush()
	}
	return stored
}

// Delete is as Cache.Delete.
func (l *LRU[K, V]) Delete(key K) (V, bool) { return l.drop(key, Deleted) }

// Take is as Cache.Take.
func (l *LRU[K, V]) Take(key K) (V, bool) { return l.drop(key, taken) }

func (l *LRU[K, V]) drop(key K, reason Reason) (V, bool) {
	s := &l.c.shards[0]
	value, ok := s.drop(s.hash(key), key, reason)
	if len(s.gone) != 0 {
		s.flush()
	}
	return value, ok
}

// GetOrLoad is as Cache.GetOrLoad.
func (l *LRU[K, V]) GetOrLoad(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	return l.c.GetOrLoad(ctx, key, load)
}

// BulkLoad is as Cache.BulkLoad.
func (l *LRU[K, V]) BulkLoad(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (map[K]V, error) {
	return l.c.BulkLoad(ctx, keys, load)
}

// Compute is as Cache.Compute.
func (l *LRU[K, V]) Compute(key K, fn func(old V, ok bool) (V, Op)) (V, bool) {
	return l.c.Compute(key, fn)
}

// Len is as Cache.Len.
func (l *LRU[K, V]) Len() int { return l.c.shards[0].len }

// Cost is as Cache.Cost.
func (l *LRU[K, V]) Cost() int64 { return l.c.shards[0].cost }

// Stats is as Cache.Stats, and one consistent snapshot.
func (l *LRU[K, V]) Stats() Stats { return l.c.Stats() }

// Oldest is as Cache.Oldest.
func (l *LRU[K, V]) Oldest() (K, V, bool) { return l.c.Oldest() }

// Newest is as Cache.Newest.
func (l *LRU[K, V]) Newest() (K, V, bool) { return l.c.Newest() }

// Resize is as Cache.Resize.
func (l *LRU[K, V]) Resize(capacity int) error { return l.c.Resize(capacity) }

// Clear is as Cache.Clear.
func (l *LRU[K, V]) Clear() { l.c.Clear() }

// RemoveExpired is as Cache.RemoveExpired.
func (l *LRU[K, V]) RemoveExpired() int { return l.c.RemoveExpired() }

// All is as Cache.All.
func (l *LRU[K, V]) All() iter.Seq2[K, V] { return l.c.All() }

// Backward is as Cache.Backward.
func (l *LRU[K, V]) Backward() iter.Seq2[K, V] { return l.c.Backward() }

// Keys is as Cache.Keys.
func (l *LRU[K, V]) Keys() iter.Seq[K] { return l.c.Keys() }

// Values is as Cache.Values.
func (l *LRU[K, V]) Values() iter.Seq[V] { return l.c.Values() }

// Save is as Cache.Save.
func (l *LRU[K, V]) Save(w io.Writer, encode func(dst []byte, key K, value V) ([]byte, error)) error {
	return l.c.Save(w, encode)
}

// Load is as Cache.Load.
func (l *LRU[K, V]) Load(r io.Reader, decode func(src []byte) (K, V, error)) (int, error) {
	return l.c.Load(r, decode)
}
