// Package latency counts durations in buckets, for quantiles that are exact to
// about 9 %.
package latency

import (
	"math"
	"math/bits"
	"time"
)

// Histogram counts durations from a microsecond to an hour. Its buckets divide
// each power of two in eight. The zero Histogram is empty; it is for one goroutine
// at a time.
type Histogram struct {
	counts [8 * 32]uint32
	total  uint64
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	micros := uint64(max(d.Microseconds(), 1))
	exponent := bits.Len64(micros) - 1
	eighth := int(micros<<3>>exponent) & 7
	h.counts[min(exponent*8+eighth, len(h.counts)-1)]++
	h.total++
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Quantile returns the bound below which a share q of all durations is, in
// milliseconds, or 0 if there are none.
func (h *Histogram) Quantile(q float64) float64 {
	want := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); seen >= want && seen > 0 {
			return math.Ldexp(1+float64(i%8+1)/8, i/8) / 1000
		}
	}
	return 0
}
