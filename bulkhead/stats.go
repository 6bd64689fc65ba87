package bulkhead

import (
	"math/bits"
	"time"
)

// Buckets is how many buckets a Histogram has.
const Buckets = 20

// Stats is one consistent snapshot of a Bulkhead. Publish it with expvar.Func,
// or read it from a metrics collector. Callers that got a slot without waiting
// are not counted: to do so would cost them as much as the slot does. A caller
// that is about to wait or to be refused may count as using a slot.
type Stats struct {
	Name    string `json:"name"`    // Config.Name
	Limit   int    `json:"limit"`   // as it is now
	InUse   int    `json:"in_use"`  // slots; above Limit only while a shrunk bulkhead drains
	Waiting int    `json:"waiting"` // callers, not slots

	Canceled uint64 `json:"canceled"` // waiters whose ctx was done before they had slots

	RefusedQueueFull   uint64 `json:"refused_queue_full"` // TryAcquire included
	RefusedWaitTooLong uint64 `json:"refused_wait_too_long"`
	RefusedTurnTooLate uint64 `json:"refused_turn_too_late"`

	Waits Histogram `json:"waits"` // of the callers that were given slots after waiting
}

// Histogram counts durations. Bucket i counts those of at most Bound(i) that are
// above Bound(i-1).
type Histogram struct {
	Count   uint64          `json:"count"`   // of all
	Sum     time.Duration   `json:"sum_ns"`  // of all
	Buckets [Buckets]uint64 `json:"buckets"` // the count in each
}

// Bound returns the upper bound of bucket i: 64 µs for the first, twice as much
// for each one after it, and the longest Duration there is for the last.
func (Histogram) Bound(i int) time.Duration {
	if i >= Buckets-1 {
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
		Canceled:           c.cancelled,
		RefusedQueueFull:   c.refusals[QueueFull] + b.tries.Load(),
		RefusedWaitTooLong: c.refusals[WaitTooLong],
		RefusedTurnTooLate: c.refusals[TurnTooLate],
		Waits:              c.waits,
	}
}

// counts are the counters of Stats, guarded by Bulkhead.mu.
type counts struct {
	waits     Histogram // of those who were given slots
	cancelled uint64
	refusals  [TurnTooLate + 1]uint64
}

// countsLocked returns the counters of b, which it makes when first needed: a
// bulkhead that never fills does without their memory.
func (b *Bulkhead) countsLocked() *counts {
	if b.counts == nil {
		b.counts = new(counts)
	}
	return b.counts
}

// countRefused counts a waiter that was taken out of the queue with err: as
// refused or, if its ctx is done as well and it will be told so, as cancelled.
// It is the waiter that calls this, since nobody else knows what it is told.
func (b *Bulkhead) countRefused(err error, cancelled bool) {
	full, ok := err.(*FullError)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if cancelled {
		b.countsLocked().cancelled++
	} else {
		b.countsLocked().refusals[full.Reason]++
	}
}

func (h *Histogram) observe(d time.Duration) {
	h.Count++
	h.Sum += d
	// The bits of the bounds below d, less a nanosecond since bounds belong
	// to their bucket.
	i := bits.Len64(uint64(max(d-1, 0) / firstBound))
	h.Buckets[min(i, Buckets-1)]++
}
