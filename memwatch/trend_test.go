package memwatch

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reference is one case of testdata/trend.json, which testdata/trend.py has
// computed from the definitions.
type reference struct {
	Name     string
	T, X     []float64
	S        float64
	Variance float64
	HamedRao float64 `json:"hamed_rao"`
	Factor   float64
	Z, P     float64
	Slope    float64
	Lo, Hi   float64
}

func references(t *testing.T) []reference {
	t.Helper()
	data, err := os.ReadFile("testdata/trend.json")
	require.NoError(t, err)
	var out []reference
	require.NoError(t, json.Unmarshal(data, &out))
	require.Len(t, out, 6)
	return out
}

func (r reference) points() []point {
	pts := make([]point, len(r.X))
	for i := range pts {
		pts[i] = point{time.Duration(r.T[i]) * time.Second, r.X[i]}
	}
	return pts
}

func TestTrendMatchesValuesComputedElsewhere(t *testing.T) {
	for _, want := range references(t) {
		t.Run(want.Name, func(t *testing.T) {
			pts := want.points()
			s, variance := kendall(pts)
			require.Equal(t, want.S, s)
			require.InDelta(t, want.Variance, variance, 1e-9)
			l := fit(pts)
			require.InDelta(t, want.Factor, l.factor, 1e-6)
			require.GreaterOrEqual(t, l.factor, want.HamedRao-1e-6)
			require.InDelta(t, want.Z, l.z, 1e-6)
			require.InDelta(t, want.P, l.p(), 1e-9)
			require.InDelta(t, want.Slope, l.slope, 1e-9)
			require.InDelta(t, want.Lo, l.lo, 1e-9)
			require.InDelta(t, want.Hi, l.hi, 1e-9)
		})
	}
}

// The cases must hold every branch: no inflation, and one of each kind.
func TestTrendReferencesCoverEachInflation(t *testing.T) {
	var none, sum, first bool
	for _, r := range references(t) {
		none = none || r.Factor == 1
		sum = sum || r.HamedRao > 1
		first = first || r.Factor > max(1, r.HamedRao)
	}
	require.True(t, none)
	require.True(t, sum)
	require.True(t, first)
}

func TestTrendOfConstantValuesIsNone(t *testing.T) {
	pts := make([]point, 50)
	for i := range pts {
		pts[i] = point{time.Duration(i) * time.Second, 7}
	}
	l := fit(pts)
	require.Equal(t, line{factor: 1}, l)
	require.Equal(t, 0.5, l.p())
	require.False(t, rises(pts))
}

func TestTrendOfFewPointsIsNotTested(t *testing.T) {
	pts := []point{}
	for i := range fewest {
		require.False(t, rises(pts))
		pts = append(pts, point{time.Duration(i) * time.Second, float64(i)})
	}
	require.True(t, rises(pts))
	require.NotPanics(t, func() { fit(nil); fit(pts[:1]); fit(pts[:2]) })
}

// Points at one time have no slope between them, and divide by nothing.
func TestTrendIgnoresPairsAtOneTime(t *testing.T) {
	pts := make([]point, 30)
	for i := range pts {
		pts[i].v = float64(i)
	}
	require.Empty(t, slopes(pts))
	l := fit(pts)
	require.Zero(t, l.slope)
	require.False(t, math.IsNaN(l.z))
}

func TestRanksShareTies(t *testing.T) {
	require.Equal(t, []float64{3.5, 1, 3.5, 2, 5}, ranks([]float64{4, 1, 4, 2, 9}))
	require.Equal(t, []float64{2, 2, 2}, ranks([]float64{8, 8, 8}))
	require.Empty(t, ranks(nil))
}

func TestAutocorrelationOfKnownSeries(t *testing.T) {
	// By hand: mean 2, deviations -1 0 1; lag one 0, lag two -1, of 2.
	require.Equal(t, []float64{1, 0, -0.5}, autocorrelation([]float64{1, 2, 3}))
	require.Equal(t, []float64{1, 0}, autocorrelation([]float64{5, 5}))
}

func TestInflationIsNeverBelowOne(t *testing.T) {
	alternating := make([]float64, 40)
	for i := range alternating {
		alternating[i] = float64(i % 2)
	}
	require.Equal(t, 1.0, inflation(alternating))
	require.Equal(t, 1.0, inflation([]float64{1, 2}))
	rising := make([]float64, 40)
	for i := range rising {
		rising[i] = float64(i)
	}
	require.Greater(t, inflation(rising), 10.0)
}

func TestMedian(t *testing.T) {
	require.Zero(t, median(nil))
	require.Equal(t, 2.0, median([]float64{1, 2, 9}))
	require.Equal(t, 3.0, median([]float64{9, 2, 4, 1}))
}

func TestSlopesAreOfAllPairs(t *testing.T) {
	pts := []point{{0, 3}, {time.Second, 1}, {3 * time.Second, 9}}
	got := slopes(pts)
	slices.Sort(got)
	require.Equal(t, []float64{-2, 2, 4}, got)
}

// What pick finds is what sorting would, whatever the order and however many
// are equal, and it leaves the others on their side.
func TestPickIsWhatSortingFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	shapes := map[string]func(i, n int) float64{
		"random":     func(int, int) float64 { return r.NormFloat64() },
		"few values": func(int, int) float64 { return float64(r.IntN(3)) },
		"equal":      func(int, int) float64 { return 1 },
		"rising":     func(i, _ int) float64 { return float64(i) },
		"falling":    func(i, _ int) float64 { return -float64(i) },
		"pipe":       func(i, n int) float64 { return float64(min(i, n-i)) },
		"saw":        func(i, _ int) float64 { return float64(i % 17) },
		"huge":       func(int, int) float64 { return 1e307 * float64(r.IntN(3)-1) },
	}
	for name, f := range shapes {
		for range 200 {
			values := make([]float64, 1+r.IntN(300))
			for i := range values {
				values[i] = f(i, len(values))
			}
			sorted := slices.Sorted(slices.Values(values))
			k := r.IntN(len(values))
			require.Equal(t, sorted[k], pick(values, k), name)
			require.Equal(t, sorted[k], values[k], name)
			require.LessOrEqual(t, slices.Max(values[:k+1]), values[k], name)
			require.GreaterOrEqual(t, slices.Min(values[k:]), values[k], name)
			n := len(sorted)
			require.Equal(t, (sorted[(n-1)/2]+sorted[n/2])/2, median(values), name)
			require.Equal(t, sorted, slices.Sorted(slices.Values(values)), name)
		}
	}
}

// killer makes values of which the median of three is always next to the least:
// the partitions of rising values undone, from the last to the first.
func killer(n int) []float64 {
	order := make([]int, n) // where the value that is at i in the end begins
	for i := range order {
		order[i] = i
	}
	values := make([]float64, n)
	for lo := 0; lo+2 < n; lo += 2 {
		mid := lo + (n-1-lo)/2
		// The two least of the rest are at lo and mid; the partition brings the
		// second to lo+1 by exchange.
		values[order[lo]], values[order[mid]] = float64(lo), float64(lo+1)
		order[lo+1], order[mid] = order[mid], order[lo+1]
	}
	return values
}

// Values made so that each partition takes away two of them are sorted in the
// end, and so is what is not a number, which has no place.
func TestPickIsBoundedWhateverTheValues(t *testing.T) {
	values := killer(20_000)
	want := slices.Sorted(slices.Values(values))
	require.Equal(t, want[10_000], pick(values, 10_000))
	for range 1000 {
		values := make([]float64, 100)
		for i := range values {
			values[i] = []float64{math.NaN(), 1, 2, 3}[rand.IntN(4)]
		}
		pick(values, rand.IntN(100)) // ends, within the slice
	}
}
