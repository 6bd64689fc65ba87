package hedge

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// The shape of the histogram. Each power of two from 2^minExp ns, about 1 µs, to
// 2^maxExp ns, about 37 min, is split into 8 buckets, so a bucket is at most
// an eighth wider than its lower bound.
const (
	minExp  = 10
	maxExp  = 41
	split   = 3 // bits
	buckets = (maxExp - minExp) << split
)

const (
	// minSamples are needed before there is a quantile at all.
	minSamples = 100
	// memory is the number of samples at which all counts are halved, so that
	// a sample weighs half as much after at most that many others.
	memory = 1000
	// refresh is the number of samples between two computations.
	refresh = 16
)

// latencies is a histogram that forgets, and a quantile of it.
type latencies struct {
	quantile float64 // never written after New

	delay atomic.Int64 // the quantile in ns, 0 until minSamples; written with mu held

	mu     sync.Mutex // guards the following
	counts [buckets]uint32
	total  uint32 // sum of counts
	fresh  uint32 // samples since the last computation
}

// current returns the quantile, or 0 if there are too few samples. It is one
// atomic load.
func (l *latencies) current() time.Duration {
	return time.Duration(l.delay.Load())
}

// record adds a sample.
func (l *latencies) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[bucketOf(d)]++
	l.total++
	l.fresh++
	if l.total >= memory {
		l.halveLocked()
	}
	if l.total >= minSamples && l.fresh >= refresh {
		l.fresh = 0
		l.delay.Store(int64(l.quantileLocked()))
	}
}

func (l *latencies) halveLocked() {
	l.total = 0
	for i, n := range l.counts {
		l.counts[i] = n / 2
		l.total += n / 2
	}
}

// quantileLocked returns the upper bound of the bucket in which the quantile
// lies. It looks from the slow end, which is nearer.
func (l *latencies) quantileLocked() time.Duration {
	above := uint32(float64(l.total) * (1 - l.quantile))
	for i := buckets - 1; i > 0; i-- {
		if l.counts[i] > above {
			return upperBound(i)
		}
		above -= l.counts[i]
	}
	return upperBound(0)
}

func bucketOf(d time.Duration) int {
	if d < 1<<minExp {
		return 0
	}
	exp := bits.Len64(uint64(d)) - 1
	if exp >= maxExp {
		return buckets - 1
	}
	return (exp-minExp)<<split + int(d>>(exp-split))&(1<<split-1)
}

func upperBound(bucket int) time.Duration {
	exp := minExp + bucket>>split
	return time.Duration(1<<split+bucket&(1<<split-1)+1) << (exp - split)
}
