package lru

// Len returns how many entries there are. Those that have expired and were not
// yet removed are among them; see RemoveExpired.
func (c *Cache[K, V]) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.len
		s.mu.Unlock()
	}
	return n
}

// Cost returns the sum of what Config.Cost gave for the entries in Len.
func (c *Cache[K, V]) Cost() int64 {
	n := int64(0)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.cost
		s.mu.Unlock()
	}
	return n
}

func (c *Cache[K, V]) capacityNow() int { return int(c.capacity.Load()) }

// Oldest returns the entry that is next to go by the order of the policy, and
// does not use it. With several shards it is that of one of them. It reports
// false if there is none.
func (c *Cache[K, V]) Oldest() (K, V, bool) { return c.end(true) }

// Newest returns the entry at the other end: with PolicyLRU the one used last.
func (c *Cache[K, V]) Newest() (K, V, bool) { return c.end(false) }

func (c *Cache[K, V]) end(oldest bool) (key K, value V, ok bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.slots(oldest, func(slot uint32) bool {
			if ok = s.live(slot); ok {
				key, value = s.nodes[slot].key, s.nodes[slot].value
			}
			return !ok
		})
		s.mu.Unlock()
		if ok {
			break
		}
	}
	return key, value, ok
}

// Resize sets the capacity. Growing costs nothing at once. Shrinking evicts,
// with reason Resized, and gives memory back; it takes time proportional to the
// entries, one shard after the other. A capacity below the number of shards, or
// out of range, is a *CapacityError and changes nothing. MaxCost stays.
func (c *Cache[K, V]) Resize(capacity int) error {
	if capacity < len(c.shards) || capacity > maxSlots {
		return &CapacityError{Name: c.cfg.Name, What: "Resize", Capacity: capacity, Least: len(c.shards), Most: maxSlots}
	}
	// The limits first and the hooks afterwards: a hook may call Resize.
	c.resizing.Lock()
	c.capacity.Store(int64(capacity))
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.resize(part(capacity, i, len(c.shards)))
		s.mu.Unlock()
	}
	c.resizing.Unlock()
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.unlock()
	}
	return nil
}

// Clear removes all entries, one shard after the other. Loads that are under
// way will not store their results.
func (c *Cache[K, V]) Clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.flights)
		s.editedAll()
		s.clear()
		s.unlock()
	}
}

// RemoveExpired removes all entries whose time is over, and returns how many
// there were. It is not needed for them to be gone to everybody, nor for their
// room to be used again, but for their memory to be free at a certain time.
func (c *Cache[K, V]) RemoveExpired() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.removeExpired()
		s.unlock()
	}
	return n
}
