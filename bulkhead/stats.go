package bulkhead

import (
	"math/bits"
	"time"
)

// WaitBuckets is how many buckets the histogram of waits has.
const WaitBuckets = 20

// Stats is one consistent snapshot of a Bulkhead. Publish it with expvar.Func,
// or read it from a metrics collector. Callers that got a slot without waiting
// are not counted: to do so would cost them as much as the slot does. A caller
// that is about to wait or to be refused may count as using a slot.
type Stats struct {
	Name    string `json:"name"`    // Config.Name
	Limit   int    `json:"limit"`   // as it is now
	InUse   int    `json:"in_use"`  // slots; above Limit only while a shrunk bulkhead drains
	Waiting int    `json:"waiting"` // callers, not slots

	Waited    uint64 `json:"waited"`    // callers that were given slots after waiting
	Cancelled uint64 `json:"cancelled"` // waiters whose ctx was done before that

	RefusedQueueFull   uint64 `json:"refused_queue_full"` // TryAcquire included
	RefusedWaitTooLong uint64 `json:"refused_wait_too_long"`
	RefusedTurnTooLate uint64 `json:"refused_turn_too_late"`

	// Waits is the histogram of the waits of those in Waited: Waits[i] counts
	// waits of at most WaitBound(i) that are above WaitBound(i-1). WaitTotal
	// is their sum.
	WaitTotal time.Duration       `json:"wait_total_ns"`
	Waits     [WaitBuckets]uint64 `json:"waits"`
}

// WaitBound returns the upper bound of bucket i of Stats.Waits: 64 µs for the
// first, twice as much for each one after it, and the longest Duration there
// is for the last.
func WaitBound(i int) time.Duration {
	if i >= WaitBuckets-1 {
		return 1<<63 - 1
	}
	return firstBound << max(i, 0)
}

const firstBound = 64 * time.Microsecond

// Stats returns a snapshot. It takes the lock that waiters take, and leaves
// the uncontended path alone.
func (b *Bulkhead) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.counts
	if c == nil {
		c = new(counts)
	}
	return Stats{
		Name:               b.cfg.Name,
		Limit:              b.limit,
		InUse:              b.inUseLocked(),
		Waiting:            b.queue.len,
		Waited:             c.granted,
		Cancelled:          c.cancelled,
		RefusedQueueFull:   c.refusals[QueueFull] + b.tries.Load(),
		RefusedWaitTooLong: c.refusals[WaitTooLong],
		RefusedTurnTooLate: c.refusals[TurnTooLate],
		WaitTotal:          c.total,
		Waits:              c.buckets,
	}
}

// counts are the counters of Stats, guarded by Bulkhead.mu.
type counts struct {
	granted   uint64
	cancelled uint64
	refusals  [TurnTooLate + 1]uint64
	total     time.Duration
	buckets   [WaitBuckets]uint64
}

// countsLocked returns the counters of b, which it makes when first needed: a
// bulkhead that never fills does without their memory.
func (b *Bulkhead) countsLocked() *counts {
	if b.counts == nil {
		b.counts = new(counts)
	}
	return b.counts
}

// waited takes note of a wait that ended with slots.
func (c *counts) waited(d time.Duration) {
	c.granted++
	c.total += d
	// The bits of the bounds below d, less a nanosecond since bounds belong
	// to their bucket.
	i := bits.Len64(uint64(max(d-1, 0) / firstBound))
	c.buckets[min(i, WaitBuckets-1)]++
}
