package memwatch

import (
	"encoding/json"
	"math"
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

func TestMedianAndMiddle(t *testing.T) {
	require.Zero(t, median(nil))
	require.Equal(t, 2.0, median([]float64{1, 2, 9}))
	require.Equal(t, 3.0, middle([]float64{9, 2, 4, 1}))
}

func TestSlopesAreSortedAndComplete(t *testing.T) {
	pts := []point{{0, 3}, {time.Second, 1}, {3 * time.Second, 9}}
	got := slopes(pts)
	require.Equal(t, []float64{-2, 2, 4}, got)
	require.True(t, slices.IsSorted(got))
}
