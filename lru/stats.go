package lru

// Stats is a snapshot of a cache: consistent for each shard, and the shards are
// read one after the other. Publish it with expvar.Func.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Capacity int    `json:"capacity"` // entries
	Len      int    `json:"len"`      // as Len
	Cost     int64  `json:"cost"`     // as Cost
	Shards   int    `json:"shards"`   // how many there are

	Hits   uint64 `json:"hits"`   // look-ups by Get, GetOrLoad and BulkLoad that found a value
	Misses uint64 `json:"misses"` // look-ups by them that did not

	Evicted uint64 `json:"evicted"` // values that made room for others
	Expired uint64 `json:"expired"` // values whose time was over
	Deleted uint64 `json:"deleted"` // values taken out by Delete, Take, Compute, or a loader that found none

	Loads       uint64 `json:"loads"`        // calls of loaders
	LoadErrors  uint64 `json:"load_errors"`  // those that failed, ErrNotFound left out
	StaleServed uint64 `json:"stale_served"` // failed loads covered up by a value that was over
	Refreshes   uint64 `json:"refreshes"`    // loads begun while there was a value

	// Undelivered is how many events wait for Hooks.OnRemoved to come back.
	Undelivered int `json:"undelivered"`
}

// Stats returns a snapshot. It takes the lock of each shard in turn.
func (c *Cache[K, V]) Stats() Stats {
	out := Stats{Name: c.cfg.Name, Capacity: c.capacityNow(), Shards: len(c.shards)}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		out.Len += s.len
		out.Cost += s.cost
		out.Hits += s.hits
		out.Misses += s.misses
		out.Evicted += s.evicted
		out.Expired += s.expired
		out.Deleted += s.deleted
		out.Loads += s.loads
		out.LoadErrors += s.loadErrors
		out.StaleServed += s.staleServed
		out.Refreshes += s.refreshes
		out.Undelivered += len(s.gone) - s.told
		s.mu.Unlock()
	}
	return out
}
