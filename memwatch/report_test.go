package memwatch

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sampleReport has every part.
func sampleReport() Report {
	return Report{
		Name: "api", Time: time.Unix(1e9, 0).UTC(), Verdict: Leak, Class: Heap,
		Duration: time.Hour, Growth: 5 * mb, Rate: 0.05,
		First: Sample{Live: 100 * mb}, Last: Sample{Live: 105 * mb, Goroutines: 7},
		Trends: []Trend{
			{Class: Goroutines, Verdict: Watch, Window: time.Hour, Points: 30, P: 0.001, Level: 40, Growth: 12, GrowthLo: 3, GrowthHi: 20, Why: "it may be small"},
			{Class: Heap, Verdict: Suspect, Window: time.Hour, Points: 30, P: 1e-9, Level: 105 * mb, Growth: 5 * mb, GrowthLo: 4 * mb, GrowthHi: 6 * mb},
			{Class: Stacks, Verdict: None},
		},
		Limit: 1 << 30, Held: 105 * mb,
		Exhaustion: Exhaustion{Expected: 10 * time.Hour, Earliest: 9 * time.Hour, Latest: 12 * time.Hour},
		Sites:      []Site{{Func: "main.leak", File: "m.go", Line: 3, Growth: 5 * mb, Lo: 3 * mb, Hi: 7 * mb, Z: 5.25, InUse: 6 * mb}},
		Goroutines: []Group{{Func: "main.wait", File: "m.go", Line: 9, Count: 12}},
		Leaked:     []Group{{Func: "main.wait", File: "m.go", Line: 9, Count: 2}},
		Forced:     &Forced{Before: 10, After: 4},
		Reasons:    []string{"because"},
	}
}

func TestReportString(t *testing.T) {
	require.Equal(t, `memory of api: leak, heap; live heap 105.0 MiB, +5.0 MiB (+5.0 %) in 1h0m0s
  goroutines: +12 in 1h0m0s (+3 to +20), now 40, p = 0.001; it may be small
  heap: +5.0 MiB in 1h0m0s (+4.0 MiB to +6.0 MiB), now 105.0 MiB, p = 1e-09
  the limit of 1.0 GiB is reached in 10h0m0s (9h0m0s to 12h0m0s)
  main.leak m.go:3: +5.0 MiB (+3.0 MiB to +7.0 MiB), z = 5.2, in use 6.0 MiB
  12 goroutines at main.wait m.go:9
  leaked for ever: 2 goroutines at main.wait m.go:9
  because
`, sampleReport().String())
	require.Equal(t, "memory: insufficient\n", Report{}.String())
}

func TestReportSurvivesJSON(t *testing.T) {
	want := sampleReport()
	data, err := json.Marshal(want)
	require.NoError(t, err)
	require.Contains(t, string(data), `"verdict":"leak","class":"heap"`)
	var got Report
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, want, got)

	// The report of a fresh watcher is JSON too.
	_, err = json.Marshal(MustNew(Config{}).Analyze())
	require.NoError(t, err)
}

func TestReportIsAGroupForSlog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("memory", "report", sampleReport())
	var line struct{ Report map[string]any }
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "leak", line.Report["verdict"])
	require.Equal(t, "heap", line.Report["class"])
	require.Equal(t, "api", line.Report["name"])
	require.Contains(t, line.Report["site"], "main.leak")
	require.Contains(t, line.Report["group"], "main.wait")
	require.EqualValues(t, 10*time.Hour, line.Report["exhaustion"])
	require.Len(t, Report{}.LogValue().Group(), 6)
}

func TestVerdictsAndClassesHaveNames(t *testing.T) {
	for v := Insufficient; v <= Leak; v++ {
		text, err := v.MarshalText()
		require.NoError(t, err)
		var back Verdict
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, v, back)
	}
	for c := range classes {
		text, err := c.MarshalText()
		require.NoError(t, err)
		var back Class
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, c, back)
	}
	require.Equal(t, "Verdict(-1)", Verdict(-1).String())
	require.Equal(t, "Class(6)", classes.String())
	v, c := Watch, Heap
	require.EqualError(t, v.UnmarshalText([]byte("LEAK")), `memwatch: unknown verdict "LEAK"`)
	require.EqualError(t, c.UnmarshalText(nil), `memwatch: unknown class ""`)
	require.Equal(t, Watch, v, "unchanged")
	require.Equal(t, Heap, c)
}

func TestSizesAreReadable(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", -1536: "-1.5 KiB", 5 * mb: "5.0 MiB", math.Ldexp(1, 62): "4.0 EiB", math.Ldexp(1, 73): "8192.0 EiB",
	} {
		require.Equal(t, want, size(v))
	}
	require.Equal(t, "+0 B", signed(0))
	require.Equal(t, "-2 B", signed(-2))
}

func TestUntilIsBounded(t *testing.T) {
	const never = 100 * 365 * 24 * time.Hour
	require.Equal(t, 2*time.Hour, until(200, 100, time.Hour))
	require.Equal(t, time.Duration(0), until(-5, 1, time.Hour))
	require.Equal(t, never, until(5, 0, time.Hour))
	require.Equal(t, never, until(5, -1, time.Hour))
	require.Equal(t, never, until(1e18, 1e-9, time.Hour))
}

func TestForcedFreedNeverWraps(t *testing.T) {
	require.EqualValues(t, 6, Forced{Before: 10, After: 4}.Freed())
	require.Zero(t, Forced{Before: 4, After: 10}.Freed())
}

func TestPerHourOfNoWindowIsNothing(t *testing.T) {
	growth, lo, hi := Trend{Growth: 1}.PerHour()
	require.Equal(t, [3]float64{}, [3]float64{growth, lo, hi})
}

// A suspicion that a forced collection explains is only watched.
func TestWeighLowersWhatCollectionsExplain(t *testing.T) {
	r := sampleReport()
	r.Forced = &Forced{Before: 105 * mb, After: 101 * mb}
	r.weigh()
	require.Equal(t, Watch, r.Verdict)
	require.Contains(t, r.Reasons[1], "freed 4.0 MiB")

	r = sampleReport()
	r.Forced = &Forced{Before: 105 * mb, After: 104 * mb}
	r.weigh()
	require.Equal(t, Leak, r.Verdict)
	require.Contains(t, r.Reasons[1], "did not free it")

	r = sampleReport()
	r.Class = Goroutines
	r.weigh()
	require.Len(t, r.Reasons, 1)
}

// The tighter limit counts; a container's includes what Go knows nothing of.
func TestExhaustTakesTheTighterLimit(t *testing.T) {
	base := func() Report {
		r := sampleReport()
		r.Exhaustion = Exhaustion{}
		r.Last.Limit, r.Last.OffHeap, r.Last.Stacks = 205*mb, 50*mb, 0
		return r
	}
	r := base()
	r.exhaust(0)
	require.EqualValues(t, 205*mb, r.Limit)
	require.EqualValues(t, 105*mb, r.Held)
	require.Equal(t, 20*time.Hour, r.Exhaustion.Expected)
	require.Equal(t, 25*time.Hour, r.Exhaustion.Latest)

	r = base()
	r.exhaust(165 * mb)
	require.EqualValues(t, 155*mb, r.Held)
	require.Equal(t, 2*time.Hour, r.Exhaustion.Expected)

	r = base()
	r.exhaust(100 * mb)
	require.Equal(t, Exhaustion{}, r.Exhaustion, "reached already: no time is left")

	r = base()
	r.Verdict = Watch
	r.exhaust(0)
	require.Zero(t, r.Exhaustion, "nothing is sure")
}

func TestCombineNeedsASpanThreeTimesAsLong(t *testing.T) {
	span := func(v Verdict, minutes int) Trend {
		return Trend{Verdict: v, Window: time.Duration(minutes) * time.Minute}
	}
	for _, c := range []struct {
		trends []Trend
		want   Verdict
		window int
	}{
		{nil, Insufficient, 0},
		{[]Trend{span(None, 20)}, None, 20},
		{[]Trend{span(Suspect, 20), span(None, 120)}, Suspect, 20},
		{[]Trend{span(Suspect, 20), span(Suspect, 30)}, Suspect, 30},
		{[]Trend{span(Suspect, 20), span(Suspect, 60)}, Leak, 60},
		{[]Trend{span(Watch, 20), span(Suspect, 60)}, Suspect, 60},
		{[]Trend{span(Suspect, 20), span(Watch, 60), span(Suspect, 600)}, Leak, 600},
	} {
		worst, v := combine(c.trends)
		require.Equal(t, c.want, v)
		require.Equal(t, time.Duration(c.window)*time.Minute, worst.Window)
	}
}

func TestJudgeSaysWhyItIsNotSuspect(t *testing.T) {
	rising := func(step float64, until int) []point {
		pts := make([]point, 100)
		for i := range pts {
			pts[i] = point{time.Duration(i) * time.Second, 100*mb + step*float64(min(i, until))}
		}
		return pts
	}
	judge := func(pts, older []point) Trend { return simFloors.judge(Heap, pts, older) }
	require.Equal(t, "it may be small", judge(rising(1000, 100), nil).Why)
	filling, e := rising(0, 0), noise(rand.New(rand.NewPCG(1, 1)), 0, 0.02)
	for i := range filling {
		filling[i].v = 1e8 * (warmup(5)(float64(i)/99) + e())
	}
	require.Equal(t, "it slows down", judge(filling, nil).Why)
	require.Equal(t, "it has been as large before", judge(rising(mb, 100), []point{{0, 250 * mb}}).Why)
	last := judge(rising(mb, 100), []point{{0, 150 * mb}})
	require.Empty(t, last.Why)
	require.Equal(t, Suspect, last.Verdict)
	require.InDelta(t, 99*mb, last.Growth, mb)
	require.Equal(t, Insufficient, judge(nil, nil).Verdict)
}

// Confirm tells pools from leaks, with collections that free and do not.
func TestConfirmLowersWhatItFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		freed := uint64(0)
		w := scripted(t, Config{}, func(i uint64) Sample {
			s := leaking(i)
			s.Live -= freed
			if freed = 0; i == 90 {
				freed = 8 * mb // from the second look at this time on
			}
			return s
		})
		runFor(t, w, 900*time.Second-time.Second)
		require.GreaterOrEqual(t, w.Analyze().Verdict, Suspect)
		time.Sleep(time.Second)
		r, err := w.Confirm(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 8*mb, r.Forced.Freed())
		require.Equal(t, Watch, r.Verdict, "%s", r)
	})
}
