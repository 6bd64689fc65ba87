package workerpool

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets is how many buckets the histograms of Stats have.
const Buckets = 28

// Stats is a snapshot of a Pool. Publish it with expvar.Func, or read it from
// a metrics collector. Of every accepted task it is known where it is:
//
//	Accepted = Queued + Running + Completed + Dropped… (all five)
type Stats struct {
	Name    string `json:"name"`    // Config.Name
	Max     int    `json:"max"`     // as it is now
	Workers int    `json:"workers"` // goroutines; more than Max while tasks wait for tasks
	Idle    int    `json:"idle"`    // workers without a task
	Queued  int    `json:"queued"`  // accepted tasks that wait for their turn, key or sub-limit
	Running int    `json:"running"` // tasks that run, or wait for another task
	Waiting int    `json:"waiting"` // callers that wait for room
	Paused  bool   `json:"paused"`  // see Pause

	Accepted  uint64 `json:"accepted"`  // tasks
	Refused   uint64 `json:"refused"`   // tasks, for want of room
	Completed uint64 `json:"completed"` // tasks that have run, in whatever way they ended
	Panics    uint64 `json:"panics"`    // of these, those whose panic was recovered

	// Tasks that have not run and never will, by Reason.
	DroppedContextDone uint64 `json:"dropped_context_done"`
	DroppedCanceled    uint64 `json:"dropped_canceled"`
	DroppedTooOld      uint64 `json:"dropped_too_old"`
	DroppedOverflowed  uint64 `json:"dropped_overflowed"`
	DroppedClosed      uint64 `json:"dropped_closed"`

	InitFailures uint64 `json:"init_failures"` // of the workers of a Stateful

	// The times of one in Config.SampleEvery of the tasks that ran: how long
	// they waited before, and how long they ran.
	Waits Histogram `json:"waits"`
	Runs  Histogram `json:"runs"`
}

// Histogram counts durations. Bucket i counts those of at most Bound(i) that are
// above Bound(i-1).
type Histogram struct {
	Count   uint64          `json:"count"`  // how many
	Sum     time.Duration   `json:"sum_ns"` // their sum
	Buckets [Buckets]uint64 `json:"buckets"`
}

// Bound returns the upper bound of bucket i: 1 µs for the first,
// twice as much for each one after it, and the longest Duration there is for
// the last.
func (Histogram) Bound(i int) time.Duration {
	if i >= Buckets-1 {
		return 1<<63 - 1
	}
	return time.Microsecond << max(i, 0)
}

// Stats returns a snapshot. It looks at each worker, and keeps workers from
// taking tasks meanwhile.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	p.queue.seize()
	queued := p.queuedLocked()
	pending := p.pendingLocked()
	done := p.accepted - uint64(pending)
	s := Stats{
		Name:               p.cfg.Name,
		Max:                p.max,
		Workers:            len(p.workers),
		Idle:               len(p.idle),
		Queued:             queued,
		Running:            pending - queued,
		Waiting:            p.callers.len,
		Paused:             p.paused,
		Accepted:           p.accepted,
		DroppedContextDone: p.dropped[ContextDone],
		DroppedCanceled:    p.dropped[Canceled],
		DroppedTooOld:      p.dropped[TooOld],
		DroppedOverflowed:  p.dropped[Overflowed],
		DroppedClosed:      p.dropped[Closed],
	}
	for _, n := range p.dropped {
		done -= n
	}
	s.Completed = done
	p.unlock()
	s.Refused = p.refused.Load()
	s.Panics = p.panics.Load()
	s.InitFailures = p.failures.Load()
	s.Waits = p.waits.snapshot()
	s.Runs = p.runs.snapshot()
	return s
}

// histogram is a Histogram that is being written.
type histogram struct {
	count, sum atomic.Uint64 // added to by who has measured
	buckets    [Buckets]atomic.Uint64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	// The bits of the bounds below d, less a nanosecond since bounds belong to
	// their bucket.
	i := bits.Len64(uint64(max(d-1, 0) / time.Microsecond))
	h.buckets[min(i, Buckets-1)].Add(1)
	h.sum.Add(uint64(d))
	h.count.Add(1)
}

func (h *histogram) snapshot() (s Histogram) {
	for i := range h.buckets {
		s.Buckets[i] = h.buckets[i].Load()
		s.Count += s.Buckets[i]
	}
	s.Sum = time.Duration(h.sum.Load())
	return s
}

// runMeasured runs a sampled job.
func (p *Pool) runMeasured(j *job) {
	start := p.now()
	p.waits.add(start - j.stamp)
	defer func() { p.runs.add(p.now() - start) }()
	j.do.run(j)
}

// sampleLocked draws how many tasks from now the next sampled one is: one to
// twice SampleEvery less one, so SampleEvery on average, by chance lest it
// falls into step with the tasks.
func (p *Pool) sampleLocked() {
	p.chance ^= p.chance << 13
	p.chance ^= p.chance >> 7
	p.chance ^= p.chance << 17
	every := uint64(p.cfg.SampleEvery)
	p.untilDue = 1 + int(p.chance%min(2*every-1, math.MaxInt))
}
