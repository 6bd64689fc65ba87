package cluster

import (
	"sync"
	"sync/atomic"
)

// Counter is a number of a worker's that only grows. The master keeps its sum
// over all processes that a slot has had. It is safe for use by many
// goroutines.
type Counter struct {
	n atomic.Uint64 // added to by the worker's goroutines, read by its reporter
}

// Add adds n. It costs one atomic addition; the value reaches the master with
// the next report.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// counters are those of a worker, by name.
type counters struct {
	mu     sync.Mutex // guards byName
	byName map[string]*Counter
}

func (c *counters) get(name string) *Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.byName[name]; found != nil {
		return found
	}
	if len(name) > maxCounterName || len(c.byName) >= maxCounters {
		name = otherCounter
		if found := c.byName[name]; found != nil {
			return found
		}
	}
	if c.byName == nil {
		c.byName = make(map[string]*Counter)
	}
	made := new(Counter)
	c.byName[name] = made
	return made
}

func (c *counters) values() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.byName))
	for name, counter := range c.byName {
		out[name] = counter.n.Load()
	}
	return out
}

// totals are the counters of one slot over all its processes.
//
// Invariants: what sum returns for a name never falls. Ended processes are in
// base; live ones have their latest report, each value the largest so far. Both
// have only names in names, of which there are at most maxCounters, and
// otherCounter; a name that found no room stays outside.
type totals struct {
	names map[string]bool
	base  map[string]uint64
	live  map[procID]map[string]uint64
}

// fold adds up what has no name of its own.
func (t *totals) fold(values map[string]uint64) map[string]uint64 {
	if t.names == nil {
		t.names = make(map[string]bool)
	}
	out := make(map[string]uint64, len(values))
	for name, n := range values {
		if !t.names[name] && len(t.names) >= maxCounters {
			name = otherCounter
		} else {
			t.names[name] = true
		}
		out[name] += n
	}
	return out
}

// report takes the counters of a live process.
func (t *totals) report(id procID, values map[string]uint64) {
	if t.live == nil {
		t.live = make(map[procID]map[string]uint64)
	}
	latest := t.live[id]
	if latest == nil {
		latest = make(map[string]uint64, len(values))
		t.live[id] = latest
	}
	for name, n := range t.fold(values) {
		latest[name] = max(latest[name], n)
	}
}

// ended moves the counters of a process to the base.
func (t *totals) ended(id procID) {
	t.add(t.live[id])
	delete(t.live, id)
}

// add adds to the base.
func (t *totals) add(values map[string]uint64) {
	if t.base == nil {
		t.base = make(map[string]uint64, len(values))
	}
	addAll(t.base, t.fold(values))
}

// sum returns the totals.
func (t *totals) sum() map[string]uint64 {
	out := make(map[string]uint64, len(t.names))
	addAll(out, t.base)
	for _, values := range t.live {
		addAll(out, values)
	}
	return out
}

func addAll(to, values map[string]uint64) {
	for name, n := range values {
		to[name] += n
	}
}
