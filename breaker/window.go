package breaker

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// windows holds what the closed calls of one generation are recorded in. It is
// built at the first of them and dropped with the generation.
type windows struct {
	rules  *rules       // those it was built for
	count  *countWindow // nil without that rule, as the others
	time   *timeWindow
	flight *flight
}

func newWindows(r *rules) *windows {
	w := &windows{rules: r}
	if r.countWindow > 0 {
		w.count = newCountWindow(int(r.countWindow))
	}
	if r.timed() {
		w.time = newTimeWindow(r.window)
	}
	if r.slowInFlight > 0 {
		w.flight = newFlight(r.slowCall)
	}
	return w
}

// adopt takes over from old the windows whose shape r leaves as it was.
func (w *windows) adopt(old *windows) {
	if w.count != nil && old.count != nil && w.count.size == old.count.size {
		w.count = old.count
	}
	if w.time != nil && old.time != nil && w.time.width == old.time.width {
		w.time = old.time
	}
	if w.flight != nil && old.flight != nil && w.flight.width == old.flight.width {
		w.flight = old.flight
	}
}

// add records a result and returns the event of the rule that it trips, if
// any. Rules are weighed on bad results only: a good one makes nothing worse.
func (w *windows) add(now int64, failed, slow bool) (trip event, tripped bool) {
	r := w.rules
	if w.time != nil {
		w.time.add(now, failed, slow)
	}
	if w.count != nil {
		if calls, failures := w.count.add(failed); failed && calls >= int(r.countMinCalls) && failures >= int(r.countFailures) {
			return evTripCount, true
		}
	}
	if w.time == nil || !failed && !slow {
		return 0, false
	}
	calls, failures, slows := w.time.sum(now)
	switch {
	case calls < uint64(r.minCalls):
		return 0, false
	case failed && r.failureRate > 0 && float64(failures)/float64(calls) >= r.failureRate:
		return evTripFailureRate, true
	case slow && r.slowRate > 0 && float64(slows)/float64(calls) >= r.slowRate:
		return evTripSlowRate, true
	}
	return 0, false
}

func (w *windows) stats(now int64, s *Stats) {
	if w.count != nil {
		s.CountCalls, s.CountFailures = w.count.counts()
	}
	if w.time != nil {
		calls, failures, slows := w.time.sum(now)
		s.WindowCalls, s.WindowFailures, s.WindowSlow = int(calls), int(failures), int(slows)
	}
	if w.flight != nil {
		s.InFlight, s.SlowInFlight = w.flight.counts(now)
	}
}

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

// succeed records a success. Into a full window without a failure that means
// nothing: whatever place it took, the window would stay as it is. So healthy
// calls write nothing here either.
func (c *countWindow) succeed() {
	if c.failures.Load() != 0 || c.head.Load() < c.size {
		c.add(false)
	}
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

const (
	windowCells = 10
	maxShards   = 16
)

// timeWindow counts results by tenths of the window. Each shard holds all
// cells, and a call picks a shard at random, so that callers on several
// processors seldom write the same cache line.
type timeWindow struct {
	width  int64         // of a cell, in nanoseconds
	epoch  atomic.Uint64 // the last one seen; saves a division
	turn   sync.Mutex    // serializes giving a cell to a later epoch
	shards []shard
}

type shard struct {
	cells [windowCells]cell
	_     [64]byte // keeps the cells of two shards on different lines
}

// cell counts the results of one epoch. Whoever finds the cell of an earlier
// epoch zeroes the counts before it stores the new one, holding turn. A writer
// that was suspended between looking at the epoch and counting can hit a later
// epoch; its result then counts in a cell it does not belong to, by at most
// one for each call in flight.
type cell struct {
	epoch  atomic.Uint64
	counts atomic.Uint64 // calls in the upper half, failures in the lower
	slow   atomic.Uint64
}

func newTimeWindow(window time.Duration) *timeWindow {
	procs := min(runtime.GOMAXPROCS(0), maxShards)
	return &timeWindow{
		width:  int64(window / windowCells),
		shards: make([]shard, 1<<bits.Len(uint(procs-1))),
	}
}

// epochOf numbers the slices of time from 1, so that the zero cell belongs to
// none. The sign bit is flipped because the clock can read less than zero.
func epochOf(now, width int64) uint64 {
	return (uint64(now)^1<<63)/uint64(width) + 1
}

func (t *timeWindow) add(now int64, failed, slow bool) {
	c := t.cell(now)
	if c == nil {
		return
	}
	delta := uint64(1 << 32)
	if failed {
		delta++
	}
	c.counts.Add(delta)
	if slow {
		c.slow.Add(1)
	}
}

// succeed is add for a success that was not slow.
func (t *timeWindow) succeed(now int64) {
	if c := t.cell(now); c != nil {
		c.counts.Add(1 << 32)
	}
}

// cell returns the cell to count in at now, or nil if that has passed.
func (t *timeWindow) cell(now int64) *cell {
	epoch := t.epoch.Load()
	if begin := (epoch - 1) * uint64(t.width); uint64(now)^1<<63-begin >= uint64(t.width) {
		epoch = epochOf(now, t.width)
		t.epoch.Store(epoch)
	}
	// The low digits of the clock are as good as chance, and are at hand.
	shard := uint64(now) * 0x9e3779b97f4a7c15 >> 32 & uint64(len(t.shards)-1)
	c := &t.shards[shard].cells[epoch%windowCells]
	if c.epoch.Load() != epoch && !t.hand(c, epoch) {
		return nil
	}
	return c
}

// hand gives a cell to epoch. It returns false if the cell is a lap ahead: then
// the caller was suspended for a window, and its result has left it already.
func (t *timeWindow) hand(c *cell, epoch uint64) bool {
	t.turn.Lock()
	defer t.turn.Unlock()
	switch c.epoch.Load() {
	case epoch:
	case epoch + windowCells:
		return false
	default:
		c.counts.Store(0)
		c.slow.Store(0)
		c.epoch.Store(epoch)
	}
	return true
}

// sum adds up the cells that are still in the window at now.
func (t *timeWindow) sum(now int64) (calls, failures, slow uint64) {
	epoch := epochOf(now, t.width)
	for i := range t.shards {
		for j := range t.shards[i].cells {
			c := &t.shards[i].cells[j]
			if age := epoch - c.epoch.Load(); age >= windowCells {
				continue // older, or of a clock that ran ahead
			}
			counts := c.counts.Load()
			calls += counts >> 32
			failures += counts & (1<<32 - 1)
			slow += c.slow.Load()
		}
	}
	return calls, failures, slow
}
