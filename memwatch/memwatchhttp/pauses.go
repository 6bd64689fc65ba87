package memwatchhttp

import (
	"math"
	"runtime/metrics"
	"slices"
	"time"
)

// pauses reads the runtime's histogram of the stops of the world that its
// collector has made.
type pauses struct {
	sample [1]metrics.Sample
	last   []uint64 // the counts as last read; nil before that
}

// since returns how many pauses there were since the last call, and how long
// the longest was: the upper bound of its bucket, which is at most a quarter
// more. The first call returns zeros. It allocates nothing after that.
func (p *pauses) since() (n uint64, worst time.Duration) {
	p.sample[0].Name = "/sched/pauses/total/gc:seconds"
	metrics.Read(p.sample[:])
	if p.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, 0 // a runtime without it
	}
	h := p.sample[0].Value.Float64Histogram()
	if p.last == nil {
		p.last = slices.Clone(h.Counts)
		return 0, 0
	}
	for i, count := range h.Counts {
		if count > p.last[i] {
			n += count - p.last[i]
			worst = bound(h.Buckets, i)
		}
	}
	copy(p.last, h.Counts)
	return n, worst
}

// bound is the upper bound of bucket i, or the lower one if it has none.
func bound(buckets []float64, i int) time.Duration {
	seconds := buckets[i+1]
	if math.IsInf(seconds, 1) {
		seconds = buckets[i]
	}
	return time.Duration(seconds * float64(time.Second))
}
