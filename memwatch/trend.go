package memwatch

import (
	"math"
	"slices"
	"time"
)

// The levels of the tests. They are part of what the simulations in
// simulation_test.go measure, so change them together.
const (
	normalWatch = 2.326    // one-sided 1 %: there is a trend
	normalHalf  = 1.645    // one-sided 5 %: the last half of it rises too
	normalBound = 1.959964 // two-sided 95 %: the interval of a slope
	stillRising = 0.6      // share of the whole slope that its last part must keep
	fewest      = 20       // points below which nothing is tested
	straight    = 20       // times its residuals' deviation that no wandering process rises
	maxPicks    = 64       // partitions after which pick sorts the rest
)

// point is one value of a series at a time since the watcher began.
type point struct {
	at time.Duration
	v  float64
}

// line is a trend through points: Theil and Sen's slope in units a second with
// its interval of 95 %, and the test of Mann and Kendall in the form of Hamed
// and Rao, whose variance accounts for autocorrelation.
type line struct {
	slope, lo, hi float64
	z             float64 // standard normal if there is no trend
	factor        float64 // by how much autocorrelation inflates the variance, ≥ 1
}

// p is the chance of a rise as strong as this one where there is no trend.
func (l line) p() float64 { return 0.5 * math.Erfc(l.z/math.Sqrt2) }

// kendall returns the S statistic of Mann and Kendall and its variance if the
// points are independent, with the correction for ties.
func kendall(pts []point) (s, variance float64) {
	n := len(pts)
	values := make([]float64, n)
	for i, p := range pts {
		values[i] = p.v
		for _, q := range pts[i+1:] {
			switch {
			case q.v > p.v:
				s++
			case q.v < p.v:
				s--
			}
		}
	}
	f := float64(n)
	variance = f * (f - 1) * (2*f + 5)
	slices.Sort(values)
	for i := 0; i < n; {
		j := i
		for j < n && values[j] == values[i] {
			j++
		}
		t := float64(j - i)
		variance -= t * (t - 1) * (2*t + 5)
		i = j
	}
	return s, variance / 18
}

// normal turns S into a standard normal value, with the correction for
// continuity. Where all points tie the variance is 0, and so is the value.
func normal(s, variance float64) float64 {
	if variance <= 0 || s == 0 {
		return 0
	}
	return (s - math.Copysign(1, s)) / math.Sqrt(variance)
}

// slopes returns the slopes between all pairs of points, in no order.
func slopes(pts []point) []float64 {
	out := make([]float64, 0, len(pts)*(len(pts)-1)/2)
	for i, p := range pts {
		for _, q := range pts[i+1:] {
			if dt := (q.at - p.at).Seconds(); dt > 0 {
				out = append(out, (q.v-p.v)/dt)
			}
		}
	}
	return out
}

// pick is the k-th least of values. It puts it where sorting would, with what is
// not greater before it and what is not less behind. That takes a few looks at
// each value, where sorting all pairs of a ring takes most of an analysis.
func pick(values []float64, k int) float64 {
	lo, hi := 0, len(values)-1
	for round := 0; lo < hi; round++ {
		if round == maxPicks { // values as made for it; sorting is bounded
			slices.Sort(values[lo : hi+1])
			break
		}
		a, b, c := values[lo], values[lo+(hi-lo)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c)) // their median
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		// Up to j all are ≤ pivot, from i on ≥, and what is between is pivot.
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return pivot
		}
	}
	return values[k]
}

// median of values, whose order it changes as pick does; 0 of none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	upper := pick(values, n/2)
	if n%2 == 1 {
		return upper
	}
	return (slices.Max(values[:n/2]) + upper) / 2
}

// fit tests pts for a trend. The points are in the order of time.
func fit(pts []point) line {
	s, variance := kendall(pts)
	all := slopes(pts)
	l := line{slope: median(all), factor: 1}
	l.lo, l.hi = l.slope, l.slope
	if variance <= 0 || len(all) == 0 {
		return l
	}
	// Around a straight rise the residuals are its own fine structure: their
	// correlation (or that of rounding errors) says nothing about chance. Even a
	// random walk, seen as a line, rises by some ten deviations at most.
	rest := detrended(pts, l.slope)
	rise := math.Abs(l.slope) * (pts[len(pts)-1].at - pts[0].at).Seconds()
	if rise < straight*deviation(rest) {
		l.factor = inflation(ranks(rest))
	}
	variance *= l.factor
	l.z = normal(s, variance)

	// Sen's interval: the slopes whose ranks are a normal quantile away from
	// the middle one.
	half := normalBound * math.Sqrt(variance)
	n := float64(len(all))
	l.lo = pick(all, max(int(math.RoundToEven((n-half)/2))-1, 0))
	l.hi = pick(all, min(int(math.RoundToEven((n+half)/2)), len(all)-1))
	return l
}

func detrended(pts []point, slope float64) []float64 {
	out := make([]float64, len(pts))
	for i, p := range pts {
		out[i] = p.v - slope*p.at.Seconds()
	}
	return out
}

// deviation is the standard deviation.
func deviation(values []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(values)))
}

// ranks returns the rank of each value, ties sharing the mean of theirs.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// inflation is the factor by which autocorrelation inflates the variance of S:
// the larger of Hamed and Rao's sum over the lags that are significant at 5 %,
// and that of a process of first order with the correlation of lag one, whose
// downward bias in short series is corrected. The sum alone misses half of it
// where the correlation is near one. It is never below 1: to trust a negative
// correlation would make the test bolder.
func inflation(rank []float64) float64 {
	n := float64(len(rank))
	if len(rank) < 4 {
		return 1
	}
	significant := normalBound / math.Sqrt(n)
	r := autocorrelation(rank)
	sum := 0.0
	for i := 1; i < len(r); i++ {
		if math.Abs(r[i]) > significant {
			f := float64(i)
			sum += (n - f) * (n - f - 1) * (n - f - 2) * r[i]
		}
	}
	factor := max(1, 1+2*sum/(n*(n-1)*(n-2)))
	if r[1] > significant {
		first := min(r[1]+(1+3*r[1])/n, 0.99)
		factor = max(factor, (1+first)/(1-first))
	}
	return factor
}

// autocorrelation of all lags below the number of values. That of lag 0 is 1.
func autocorrelation(values []float64) []float64 {
	mean := 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	out := make([]float64, len(values))
	for lag := range out {
		for i := lag; i < len(values); i++ {
			out[lag] += (values[i] - mean) * (values[i-lag] - mean)
		}
	}
	whole := out[0]
	if whole == 0 {
		out[0] = 1
		return out
	}
	for lag := range out {
		out[lag] /= whole
	}
	return out
}

// rises reports whether pts have a trend upwards at all, before any correction:
// what is not significant here is not significant after it.
func rises(pts []point) bool {
	if len(pts) < fewest {
		return false
	}
	s, variance := kendall(pts)
	return normal(s, variance) > normalWatch
}

// lasts reports whether the rise that l found goes on: its last half rises
// significantly, and neither its last half nor its last third has slowed down
// to less than stillRising. A cache that fills up fails here, and so does a step.
func (l line) lasts(pts []point) bool {
	half, third := pts[len(pts)/2:], pts[len(pts)-len(pts)/3:]
	s, variance := kendall(half)
	return normal(s, variance*l.factor) > normalHalf &&
		median(slopes(half)) >= stillRising*l.slope &&
		median(slopes(third)) >= stillRising*l.slope
}
