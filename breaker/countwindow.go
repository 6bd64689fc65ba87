package breaker

import "sync/atomic"

// countWindow is a ring with one bit for each of the last size results, set
// for a failure. A bit is written only where the result differs from the one
// it replaces, and failures moves only when a bit really flips, so it always
// equals the number of set bits once the writers are done.
type countWindow struct {
	size     uint64
	head     atomic.Uint64 // results so far; each takes the place it counts
	failures atomic.Int64
	bits     []atomic.Uint64
}

func newCountWindow(size int) *countWindow {
	return &countWindow{size: uint64(size), bits: make([]atomic.Uint64, (size+63)/64)}
}

// healthy reports whether a success would change nothing: into a full window
// without a failure it may take any place, and the window stays as it is. So it
// need not be added, and healthy calls write nothing here either.
func (c *countWindow) healthy() bool {
	return c.failures.Load() == 0 && c.head.Load() >= c.size
}

// add records one result and returns the counts with it.
func (c *countWindow) add(failed bool) (calls, failures int) {
	place := (c.head.Add(1) - 1) % c.size
	cell, mask := &c.bits[place/64], uint64(1)<<(place%64)
	switch was := cell.Load()&mask != 0; {
	case failed && !was:
		if cell.Or(mask)&mask == 0 {
			c.failures.Add(1)
		}
	case !failed && was:
		if cell.And(^mask)&mask != 0 {
			c.failures.Add(-1)
		}
	}
	if !failed {
		return 0, 0 // nobody asks
	}
	return c.counts()
}

func (c *countWindow) counts() (calls, failures int) {
	return int(min(c.head.Load(), c.size)), int(max(c.failures.Load(), 0))
}
