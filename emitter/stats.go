package emitter

// Stats is a snapshot of a Topic or an Emitter. Publish it with expvar.Func.
// Emits are not counted: to do so would cost as much as the emit does.
type Stats struct {
	Name      string `json:"name"`      // Config.Name
	Names     int    `json:"names"`     // events with listeners, patterns not among them; 1 or 0 for a Topic
	Listeners int    `json:"listeners"` // as they are now
	Queued    int    `json:"queued"`    // events that wait for asynchronous listeners
	Failures  uint64 `json:"failures"`  // of listeners, see Hooks.OnError
}

// Stats returns a snapshot. It takes the lock of a topic and that of each of its
// mailboxes.
func (t *Topic[T]) Stats() Stats {
	s := Stats{Name: t.core.config().Name, Failures: t.core.failures.count.Load()}
	t.core.addStats(&s)
	return s
}

// addStats adds what c has to s.
func (c *core) addStats(s *Stats) {
	c.mu.Lock()
	live := c.live
	c.mu.Unlock()
	s.Listeners += live
	if live > 0 {
		s.Names++
	}
	for _, sub := range c.waitFor() {
		s.Queued += sub.Stats().Queued
	}
}

// SubStats is a snapshot of an asynchronous subscription. That of a synchronous
// one has a Name at most.
type SubStats struct {
	Name      string `json:"name"`      // SubConfig.Name
	Queue     int    `json:"queue"`     // how many events may wait; 0 for any number
	Queued    int    `json:"queued"`    // how many do
	Delivered uint64 `json:"delivered"` // events given to the listener
	Dropped   uint64 `json:"dropped"`   // events lost to the policy, or because the subscription ended
}

// Stats returns a snapshot.
func (s *Sub) Stats() SubStats {
	var stats SubStats
	if s.more != nil && s.more.box != nil {
		stats = s.more.box.stats()
	}
	stats.Name = s.name()
	return stats
}
