package memwatch

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// spansOf gives every class flat spans, and those in grows rising ones.
func spansOf(grows map[Class]int) *[classes][len(blocks)][]point {
	var out [classes][len(blocks)][]point
	for c := Goroutines; c < classes; c++ {
		for ring := range blocks {
			pts := make([]point, 100)
			for i := range pts {
				pts[i] = point{time.Duration(i*blocks[ring]) * time.Second, 100*mb + float64(i%2)}
				if ring < grows[c] {
					pts[i].v += mb * float64(i*blocks[ring])
				}
			}
			out[c][ring] = pts
		}
	}
	return &out
}

var testFloors = MustNew(Config{}).floors

func TestJudgePrefersTheClassThatExplainsTheRest(t *testing.T) {
	for _, c := range []struct {
		name    string
		grows   map[Class]int // in how many rings
		class   Class
		verdict Verdict
	}{
		{"nothing", nil, Nothing, None},
		{"heap on one ring", map[Class]int{Heap: 1}, Heap, Suspect},
		{"heap on two", map[Class]int{Heap: 2}, Heap, Leak},
		{"goroutines explain heap", map[Class]int{Heap: 2, Goroutines: 1}, Goroutines, Leak},
		{"goroutines explain stacks", map[Class]int{Stacks: 2, Goroutines: 2}, Goroutines, Leak},
		{"heap explains fragments", map[Class]int{Heap: 1, Fragmentation: 2}, Heap, Leak},
		{"memory outside alone", map[Class]int{OffHeap: 1}, OffHeap, Suspect},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Report
			r.judge(testFloors, spansOf(c.grows))
			require.Equal(t, c.class, r.Class)
			require.Equal(t, c.verdict, r.Verdict)
			require.Len(t, r.Trends, int(classes)-1)
			for i, trend := range r.Trends {
				require.Equal(t, Class(i+1), trend.Class)
				require.LessOrEqual(t, trend.Verdict, Suspect)
			}
		})
	}
}

// Without a judged heap the verdict is not None, however flat the rest is; but
// what grows is told all the same.
func TestJudgeOfAHeapWithoutPoints(t *testing.T) {
	spans := spansOf(nil)
	spans[Heap] = [len(blocks)][]point{}
	var r Report
	r.judge(testFloors, spans)
	require.Equal(t, Insufficient, r.Verdict)
	require.Equal(t, fewest, r.Missing)

	spans = spansOf(map[Class]int{Goroutines: 1})
	spans[Heap] = [len(blocks)][]point{}
	r = Report{}
	r.judge(testFloors, spans)
	require.Equal(t, Suspect, r.Verdict)
	require.Equal(t, Goroutines, r.Class)
}

// The window for the call sites is that of the heap's worst span.
func TestJudgeTellsTheWindowOfTheHeap(t *testing.T) {
	var r Report
	require.Equal(t, 99*time.Second, r.judge(testFloors, spansOf(nil)))
	require.Equal(t, 99*6*time.Second, r.judge(testFloors, spansOf(map[Class]int{Heap: 2})))
	require.Equal(t, 99*60*time.Second, r.judge(testFloors, spansOf(map[Class]int{Heap: 3})))
}

var held [][]byte

//go:noinline
func hold(n int) {
	for range n {
		held = append(held, make([]byte, 4<<20))
	}
}

// A suspected heap whose line is known is a Leak; without the suspicion the
// line alone is none.
func TestNameMakesALeakOfASuspicion(t *testing.T) {
	defer func() { held = nil }()
	old := ownPrefix
	ownPrefix = "nobody's"
	defer func() { ownPrefix = old }()
	collectTwice := func() { runtime.GC(); runtime.GC() }

	var past baselines
	collectTwice()
	past.add(snapshot{sites: readSites()})
	hold(24)
	collectTwice()

	suspicion := Report{Verdict: Suspect, Trends: []Trend{{Class: Heap, Verdict: Suspect}}}
	suspicion.name(past, 0)
	require.Equal(t, Leak, suspicion.Verdict)
	site := suspicion.Sites[0]
	require.True(t, strings.HasSuffix(site.Func, "memwatch.hold"), "%v", suspicion.Sites)
	require.GreaterOrEqual(t, site.Z, float64(sure))
	// On 32 bits two of the 24 are missing in one run of forty, with a third
	// collection as well; why is not known.
	accuracy := 0.05
	if strconv.IntSize == 32 {
		accuracy = 0.15
	}
	require.InEpsilon(t, 96*mb, site.Growth, accuracy)
	require.Contains(t, strings.Join(site.Stack, "\n"), "TestNameMakesALeakOfASuspicion")

	calm := Report{Verdict: None, Trends: []Trend{{Class: Heap, Verdict: None}}}
	calm.name(past, 0)
	require.Equal(t, None, calm.Verdict)
	require.NotEmpty(t, calm.Sites, "the line is told all the same")

	// With nothing to compare with there is no line.
	empty := Report{Verdict: Suspect, Trends: suspicion.Trends}
	empty.name(baselines{}, 0)
	require.Empty(t, empty.Sites)
	require.Equal(t, Suspect, empty.Verdict)
}

// A heap that shrinks is reported as such, and alarms nobody.
func TestAnalyzeOfAHeapThatShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample {
			return Sample{Cycle: i + 1, Live: 1000*mb - i*mb, Goroutines: 500 - i}
		})
		runFor(t, w, 30*time.Minute)
		r := w.Analyze()
		require.Equal(t, None, r.Verdict)
		require.Equal(t, Nothing, r.Class)
		require.InDelta(t, -180*mb, float64(r.Growth), mb)
		require.InDelta(t, -0.18, r.Rate, 0.001)
		require.Contains(t, r.String(), "(-18.0 %)")
	})
}

// Growth below MinGrowth or MinRatio is a Watch, whatever its significance.
func TestAnalyzeHeedsTheFloors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, cfg := range map[Verdict]Config{
			Watch:   {MinGrowth: 200 * mb},
			Suspect: {MinGrowth: 2 * mb},
		} {
			w := scripted(t, cfg, leaking)
			runFor(t, w, 21*time.Minute)
			require.Equal(t, want, w.Analyze().Verdict)
		}
		w := scripted(t, Config{MinRatio: 0.5}, leaking)
		runFor(t, w, 21*time.Minute)
		r := w.Analyze()
		require.Equal(t, Watch, r.Verdict)
		require.Contains(t, r.String(), "it may be small")
	})
}

// Few goroutines more are no alarm.
func TestAnalyzeAllowsAFewGoroutinesMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: mb, Goroutines: 10 + i/10} })
		runFor(t, w, 20*time.Minute)
		require.Equal(t, Watch, w.Analyze().Verdict)
		require.Equal(t, Goroutines, w.Analyze().Class)
	})
}

// The tests do not depend on the unit, the time they begin, or the level.
func TestTrendIsInvariant(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 50 {
		pts := make([]point, fewest+r.IntN(80))
		for i := range pts {
			pts[i] = point{time.Duration(i) * time.Second, math.Round(float64(i)*r.Float64()*2 + 20*r.Float64())}
		}
		want := fit(pts)
		scaled, shifted, later := make([]point, len(pts)), make([]point, len(pts)), make([]point, len(pts))
		for i, p := range pts {
			scaled[i] = point{p.at, p.v * 1024}
			shifted[i] = point{p.at, p.v + 4096}
			later[i] = point{p.at + 1000*time.Second, p.v}
		}
		for name, other := range map[string][]point{"scaled": scaled, "shifted": shifted, "later": later} {
			got := fit(other)
			factor := 1.0
			if name == "scaled" {
				factor = 1024
			}
			require.InDelta(t, want.slope*factor, got.slope, 1e-9*factor, name)
			require.InDelta(t, want.lo*factor, got.lo, math.Abs(want.lo)*factor*0.5+1e-9, name)
			s1, v1 := kendall(pts)
			s2, v2 := kendall(other)
			require.Equal(t, s1, s2, name)
			require.Equal(t, v1, v2, name)
		}
	}
}

// Turned around in time a rise is a fall.
func TestTrendOfTheReverseIsTheOpposite(t *testing.T) {
	pts := make([]point, 60)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range pts {
		pts[i] = point{time.Duration(i) * time.Second, float64(i) + 10*r.Float64()}
	}
	back := make([]point, len(pts))
	for i := range pts {
		back[i] = point{pts[i].at, pts[len(pts)-1-i].v}
	}
	up, down := fit(pts), fit(back)
	require.InDelta(t, up.slope, -down.slope, 1e-9)
	require.InDelta(t, up.z, -down.z, 1e-9)
	require.Greater(t, down.p(), 0.99)
	require.True(t, rises(pts))
	require.False(t, rises(back))
	require.True(t, up.lasts(pts))
}

// Spans that have too few points are left out, but for the first.
func TestTrendsLeavesOutShortSpans(t *testing.T) {
	spans := spansOf(map[Class]int{Heap: 1})[Heap]
	spans[2], spans[3] = spans[2][:fewest-1], nil
	got := testFloors.trends(Heap, spans)
	require.Len(t, got, 2)
	require.Equal(t, Suspect, got[0].Verdict)
	require.Equal(t, None, got[1].Verdict)
	require.Len(t, testFloors.trends(Heap, [len(blocks)][]point{}), 1)
}

// What an older point of any longer ring has reached is no news; what lies in
// the window itself does not count as older.
func TestTrendsLooksForPrecedentsInLongerRings(t *testing.T) {
	spans := spansOf(map[Class]int{Heap: 1})[Heap]
	shift := 1000 * time.Hour
	for i := range spans[0] {
		spans[0][i].at += shift
	}
	require.Equal(t, Suspect, testFloors.trends(Heap, spans)[0].Verdict)
	spans[3][7].v = 300 * mb
	first := testFloors.trends(Heap, spans)[0]
	require.Equal(t, Watch, first.Verdict)
	require.Equal(t, "it has been as large before", first.Why)
	spans[3][7].at = shift + time.Second
	require.Equal(t, Suspect, testFloors.trends(Heap, spans)[0].Verdict)
}

// Every point there is has one place: a series that is asked twice says the
// same, and what it returned does not change afterwards.
func TestSpansAreCopies(t *testing.T) {
	var s series
	for i := range 500 {
		s.add(time.Second, point{time.Duration(i) * time.Second, float64(i)})
	}
	one := s.spans()
	require.Equal(t, one, s.spans())
	kept := append([]point(nil), one[0]...)
	for i := 500; i < 900; i++ {
		s.add(time.Second, point{time.Duration(i) * time.Second, float64(i)})
	}
	require.Equal(t, kept, one[0])
	require.Len(t, s.spans()[0], ringLen+1)
}
