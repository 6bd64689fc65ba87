package memwatch

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The simulations lead the verdict through seeded series of which it is known
// whether they leak. They are the gates of the constants in trend.go: whoever
// changes those must pass here. An alarm is Suspect or Leak.

// shape is the mean of a series at x from 0 to 1, 1 being 100 MB.
type shape func(x float64) float64

// bend rises faster and faster, by a half in all.
func bend(x float64) float64 { return 1 + 0.4*x + 0.1*x*x }

func flat(float64) float64      { return 1 }
func grow(share float64) shape  { return func(x float64) float64 { return 1 + share*x } }
func warmup(rate float64) shape { return func(x float64) float64 { return 1 - 0.8*math.Exp(-rate*x) } }
func wave(periods, of float64) shape {
	return func(x float64) float64 { return 1 + of*math.Sin(2*math.Pi*periods*x) }
}
func stairs(x float64) float64 { return 1 + 0.5*math.Floor(8*x)/8 }
func step(x float64) float64   { return 1 + 0.4*math.Round(math.Min(x, 0.9)) }

// noise has a standard deviation sd and a correlation phi from point to point.
func noise(r *rand.Rand, phi, sd float64) func() float64 {
	e := r.NormFloat64() * sd
	return func() float64 {
		e = phi*e + r.NormFloat64()*sd*math.Sqrt(1-phi*phi)
		return e
	}
}

var simFloors = floors{ratio: defaultRatio, least: [classes]float64{Heap: defaultGrowth}}

// alarms is the share of runs, in percent, in which one span of n points
// raises an alarm.
func alarms(n, runs int, f shape, phi, sd float64) float64 {
	fired := 0
	for seed := range runs {
		e := noise(rand.New(rand.NewPCG(uint64(seed), 1)), phi, sd)
		pts := make([]point, n)
		for i := range pts {
			pts[i] = point{time.Duration(i) * 10 * time.Second, 1e8 * max(0, f(float64(i)/float64(n-1))+e())}
		}
		if simFloors.judge(Heap, pts, nil).Verdict >= Suspect {
			fired++
		}
	}
	return 100 * float64(fired) / float64(runs)
}

func TestSimulationAlarms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		f       shape
		phi, sd float64
		lo, hi  float64 // percent of alarms
	}{
		{"flat, white", flat, 0, 0.05, 0, 1},
		{"flat, white, loud", flat, 0, 0.3, 0, 1},
		{"flat, correlated .7", flat, 0.7, 0.05, 0, 1},
		{"flat, correlated .95", flat, 0.95, 0.05, 0, 5},
		{"flat, correlated .95, loud", flat, 0.95, 0.15, 0, 5},
		{"random walk", flat, 0.999, 1, 0, 5},
		{"falling", grow(-0.5), 0, 0.05, 0, 0},
		{"warm-up in a tenth", warmup(10), 0, 0.05, 0, 2},
		{"warm-up in a fifth", warmup(5), 0, 0.05, 0, 2},
		{"warm-up in a third", warmup(3), 0, 0.05, 0, 2},
		{"step", step, 0, 0.05, 0, 2},
		{"one wave", wave(1, 0.3), 0, 0.05, 0, 1},
		{"two waves", wave(2, 0.3), 0, 0.05, 0, 1},
		{"leak of a half", grow(0.5), 0, 0.05, 95, 100},
		{"leak of a half, quiet", grow(0.5), 0.7, 0.02, 95, 100},
		{"leak of double", grow(1), 0.7, 0.05, 95, 100},
		{"leak without noise", grow(0.5), 0, 0, 100, 100},
		{"leak without noise, bent", bend, 0, 0, 100, 100},
		{"leak in stairs", stairs, 0, 0.05, 95, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := alarms(100, 400, c.f, c.phi, c.sd)
			t.Logf("%.1f %%", got)
			require.GreaterOrEqual(t, got, c.lo)
			require.LessOrEqual(t, got, c.hi)
		})
	}
}

// In the beginning there are few points; those must not make it rash.
func TestSimulationFewPointsAreNoReasonForAlarm(t *testing.T) {
	t.Parallel()
	for _, n := range []int{fewest, 30, 50} {
		require.LessOrEqual(t, alarms(n, 400, flat, 0, 0.05), 1.0)
		require.LessOrEqual(t, alarms(n, 400, flat, 0.95, 0.05), 5.0)
	}
}

// life leads a series through a day, one point every ten seconds, and reports
// the share of the looks, one every ten minutes, that raise an alarm, the time of
// the first, and what the last one says.
func life(seed uint64, mean func(at time.Duration) float64, phi, sd float64) (share float64, first time.Duration, last Verdict) {
	shares, first, last := days(1, seed, mean, phi, sd)
	return shares[0], first, last
}

// days is life for some days, with the share of each.
func days(n int, seed uint64, mean func(at time.Duration) float64, phi, sd float64) (shares []float64, first time.Duration, last Verdict) {
	const day, look = 24 * time.Hour, 10 * time.Minute
	shares = make([]float64, n)
	var s series
	e := noise(rand.New(rand.NewPCG(seed, 2)), phi, sd)
	for at := time.Duration(0); at < time.Duration(n)*day; at += defaultInterval {
		s.add(defaultInterval, point{at, 1e8 * max(0, mean(at)+e())})
		if at%look != 0 {
			continue
		}
		if _, last = combine(simFloors.trends(Heap, s.spans())); last >= Suspect {
			shares[at/day] += float64(look) / float64(day)
			if first == 0 {
				first = at
			}
		}
	}
	return shares, first, last
}

// Looking often is no way to find something: over days of flat heap the alarms
// stay as rare as at one look.
func TestSimulationOfFlatDays(t *testing.T) {
	t.Parallel()
	for _, phi := range []float64{0, 0.7, 0.95} {
		total := 0.0
		for seed := range uint64(4) {
			share, _, _ := life(seed, func(time.Duration) float64 { return 1 }, phi, 0.05)
			total += share / 4
		}
		t.Logf("correlation %.2f: %.2f %% of the looks", phi, 100*total)
		require.LessOrEqual(t, total, 0.01)
	}
}

// A day's load rises every morning. It has been as large before, from the
// second day on.
func TestSimulationOfDailyLoad(t *testing.T) {
	t.Parallel()
	daily := func(at time.Duration) float64 { return 1 + 0.4*math.Sin(2*math.Pi*at.Hours()/24) }
	shares, _, _ := days(3, 1, daily, 0, 0.02)
	t.Logf("%.3f of the looks of each day", shares)
	require.LessOrEqual(t, shares[1]+shares[2], 0.05, "alarms on the second and third day")
}

// A leak that adds a half in a day under a load that comes and goes every hour
// is found, on a ring that is longer than the hour.
func TestSimulationOfLeakUnderLoad(t *testing.T) {
	t.Parallel()
	leak := func(at time.Duration) float64 {
		return 1 + 0.5*at.Hours()/24 + 0.2*(1+math.Sin(2*math.Pi*at.Hours()))
	}
	_, _, last := life(1, leak, 0, 0.02)
	require.GreaterOrEqual(t, last, Suspect)
}

// A leak on top of a flat day is found although the long rings are flat.
func TestSimulationOfLeakThatBeginsLate(t *testing.T) {
	t.Parallel()
	begin := 20 * time.Hour
	late := func(at time.Duration) float64 { return 1 + max(0, (at-begin).Hours())*0.5 }
	share, first, last := life(1, late, 0, 0.05)
	require.Greater(t, first, begin)
	require.Less(t, first, begin+2*time.Hour)
	require.Greater(t, share, 0.05)
	require.GreaterOrEqual(t, last, Suspect)
}
