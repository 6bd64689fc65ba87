package pool

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a Pool. Publish it with expvar.Func, or read it from a
// metrics collector. Its gauges belong to one moment.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Max      int    `json:"max"`      // as it is now
	MinIdle  int    `json:"min_idle"` // likewise
	Total    int    `json:"total"`    // resources in all: the next five
	InUse    int    `json:"in_use"`   // those that are being reset included
	Idle     int    `json:"idle"`     // ready
	Checking int    `json:"checking"` // idle ones that are being checked
	Creating int    `json:"creating"`
	Closing  int    `json:"closing"` // being destroyed
	Waiting  int    `json:"waiting"` // callers

	// Acquired counts leases, those included that came back at once because
	// their caller had left in the same moment.
	Acquired uint64 `json:"acquired"`
	Canceled uint64 `json:"canceled"`  // callers that left while they waited
	TimedOut uint64 `json:"timed_out"` // by AcquireTimeout, or the deadline of their ctx
	Refused  uint64 `json:"refused"`   // ErrFull, ErrDown, ErrNested, and TryAcquire without success
	Stale    uint64 `json:"stale"`     // uses of leases that had ended
	Leaks    uint64 `json:"leaks"`     // reported to OnLeak for LeakAfter
	Detached uint64 `json:"detached"`

	Created       uint64 `json:"created"`        // resources
	CreateFailed  uint64 `json:"create_failed"`  // calls of Create with an error
	DestroyFailed uint64 `json:"destroy_failed"` // likewise of Destroy

	// Resources that are gone, or being destroyed, by Reason.
	DestroyedIdle      uint64 `json:"destroyed_idle"`
	DestroyedExpired   uint64 `json:"destroyed_expired"`
	DestroyedBroken    uint64 `json:"destroyed_broken"`
	DestroyedDiscarded uint64 `json:"destroyed_discarded"`
	DestroyedEvicted   uint64 `json:"destroyed_evicted"`
	DestroyedOutdated  uint64 `json:"destroyed_outdated"`
	DestroyedSurplus   uint64 `json:"destroyed_surplus"`
	DestroyedReclaimed uint64 `json:"destroyed_reclaimed"`
	DestroyedClosed    uint64 `json:"destroyed_closed"`

	Waits   Histogram `json:"waits"`   // of the callers that waited and got a resource
	Creates Histogram `json:"creates"` // of the calls of Create, failed ones included
	Checks  Histogram `json:"checks"`  // likewise of Check
}

// Buckets is how many buckets a Histogram has.
const Buckets = 28

// Histogram counts durations. Bucket i counts those of at most Bound(i) that are
// above Bound(i-1).
type Histogram struct {
	Count   uint64          `json:"count"`   // of all
	Sum     time.Duration   `json:"sum_ns"`  // of all
	Buckets [Buckets]uint64 `json:"buckets"` // the count in each
}

// Bound returns the upper bound of bucket i: 1 µs for the first, twice as much
// for each one after it (so 67 s for the last but one), and the longest Duration
// there is for the last.
func (Histogram) Bound(i int) time.Duration {
	if i >= Buckets-1 {
		return never
	}
	return time.Microsecond << max(i, 0)
}

// bucket returns the one that d belongs to.
func bucket(d time.Duration) int {
	// The bits of the bounds below d, less a nanosecond since bounds belong to
	// their bucket.
	return min(bits.Len64(uint64(max(d-1, 0)/time.Microsecond)), Buckets-1)
}

func (h *Histogram) observe(d time.Duration) {
	h.Count++
	h.Sum += d
	h.Buckets[bucket(d)]++
}

// atomicHistogram is written by those who waited, who have no lock any more.
type atomicHistogram struct {
	sum     atomic.Int64           // added to by observe
	buckets [Buckets]atomic.Uint64 // likewise
}

func (h *atomicHistogram) observe(d time.Duration) {
	h.sum.Add(int64(d))
	h.buckets[bucket(d)].Add(1)
}

func (h *atomicHistogram) read() (out Histogram) {
	out.Sum = time.Duration(h.sum.Load())
	for i := range h.buckets {
		out.Buckets[i] = h.buckets[i].Load()
		out.Count += out.Buckets[i]
	}
	return out
}

// counts are the counters that Pool.mu guards.
type counts struct {
	refused, stale, leaks, detached      uint64
	created, createFailed, destroyFailed uint64
	destroyed                            [reasons]uint64
	create, check                        Histogram
}

// Stats returns a snapshot. It takes the pool's lock once.
func (p *Pool[T]) Stats() Stats {
	waits := p.waits.read()
	p.mu.Lock()
	defer p.unlockQuiet()
	c := &p.counts
	return Stats{
		Name: p.cfg.Name, Max: p.max, MinIdle: p.minIdle,
		Total: len(p.all), InUse: p.inUse, Idle: p.idle.len, Checking: p.checking, Creating: p.creating,
		Closing: p.closing, Waiting: p.waitingLocked(),
		Acquired: p.acquired, Canceled: p.cancelled.Load(), TimedOut: p.timedOut.Load(), Refused: c.refused, Stale: c.stale,
		Leaks: c.leaks, Detached: c.detached,
		Created: c.created, CreateFailed: c.createFailed, DestroyFailed: c.destroyFailed,
		DestroyedIdle:      c.destroyed[Idle],
		DestroyedExpired:   c.destroyed[Expired],
		DestroyedBroken:    c.destroyed[Broken],
		DestroyedDiscarded: c.destroyed[Discarded],
		DestroyedEvicted:   c.destroyed[Evicted],
		DestroyedOutdated:  c.destroyed[Outdated],
		DestroyedSurplus:   c.destroyed[Surplus],
		DestroyedReclaimed: c.destroyed[Reclaimed],
		DestroyedClosed:    c.destroyed[Closed],
		Waits:              waits, Creates: c.create, Checks: c.check,
	}
}
