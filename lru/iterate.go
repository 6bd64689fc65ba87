package lru

import "iter"

// All iterates over the entries, from the newest to the oldest of each shard,
// without using them. Each shard is copied under its lock when its turn comes,
// and the loop runs without: its body may call the cache, and sees a shard's
// entries as they were at one moment. The copy takes memory for a while.
func (c *Cache[K, V]) All() iter.Seq2[K, V] { return c.walk(false) }

// Backward is All from the oldest to the newest of each shard.
func (c *Cache[K, V]) Backward() iter.Seq2[K, V] { return c.walk(true) }

// Keys is All without the values.
func (c *Cache[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for key := range c.All() {
			if !yield(key) {
				return
			}
		}
	}
}

// Values is All without the keys.
func (c *Cache[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, value := range c.All() {
			if !yield(value) {
				return
			}
		}
	}
}

// item is a copy of an entry.
type item[K comparable, V any] struct {
	key   K
	value V
}

func (c *Cache[K, V]) walk(oldestFirst bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var batch []item[K, V]
		for i := range c.shards {
			batch = c.shards[i].copyOut(oldestFirst, batch[:0])
			for _, it := range batch {
				if !yield(it.key, it.value) {
					return
				}
			}
		}
	}
}

// copyOut appends the live entries in order.
func (s *shard[K, V]) copyOut(oldestFirst bool, out []item[K, V]) []item[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(out) < s.len {
		out = make([]item[K, V], 0, s.len)
	}
	now := int64(0)
	if s.timed > 0 {
		now = s.now()
	}
	s.slots(oldestFirst, func(slot uint32) bool {
		if s.timed > 0 {
			if d := s.deadlines[slot]; d != 0 && (d&negativeFlag != 0 || now >= d>>flagBits) {
				return true
			}
		}
		out = append(out, item[K, V]{s.nodes[slot].key, s.nodes[slot].value})
		return true
	})
	return out
}
