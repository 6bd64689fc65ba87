package latency_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/latency"
)

func TestHistogramQuantilesAreThoseOfASortedListWithinABucket(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, half latency.Histogram
	var all []time.Duration
	for i := range 5000 {
		d := time.Duration(float64(time.Microsecond) * (1 + r.ExpFloat64()*20_000))
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			half.Add(d)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.99, 1} {
		want := float64(all[int(q*float64(len(all)))-1].Microseconds()) / 1000
		got := h.Quantile(q)
		require.GreaterOrEqual(t, got, want, "q = %v", q)
		require.LessOrEqual(t, got, want*1.125+0.001, "q = %v", q)
	}
}

func TestHistogramTakesWhatIsOutOfItsBounds(t *testing.T) {
	var h latency.Histogram
	require.Zero(t, h.Quantile(0.5))
	h.Add(-time.Second)
	require.Equal(t, 0.001125, h.Quantile(0.5))
	h.Add(1000 * time.Hour)
	require.Greater(t, h.Quantile(1), float64(time.Hour.Milliseconds()))
}
