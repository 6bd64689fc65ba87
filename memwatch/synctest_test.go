package memwatch

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a source that tests write. What step returns for i is what the
// process holds after i intervals.
type script struct {
	start    time.Time
	interval time.Duration
	step     func(i uint64) Sample
}

func (s *script) at(now time.Time) Sample {
	return s.step(uint64(now.Sub(s.start) / s.interval))
}

func (s *script) cycle() (cycle, live uint64) {
	now := s.at(time.Now())
	return now.Cycle, now.Live
}

func (s *script) sample(out *Sample) {
	at := out.Time
	*out = s.at(at)
	out.Time = at
}

func (s *script) resident() uint64 { return s.at(time.Now()).Resident }

func scripted(t *testing.T, cfg Config, step func(i uint64) Sample) *Watcher {
	t.Helper()
	w, err := New(cfg)
	require.NoError(t, err)
	w.source = &script{start: time.Now(), interval: w.cfg.Interval, step: step}
	w.meter = &scriptMeter{start: time.Now(), interval: w.cfg.Interval, step: func(uint64) reading { return reading{} }}
	return w
}

// scriptMeter is a meter that tests write, in the same way.
type scriptMeter struct {
	start    time.Time
	interval time.Duration
	step     func(i uint64) reading
	out      reading
	opened   atomic.Int64 // written by open and shut
}

func (m *scriptMeter) open() { m.opened.Add(1) }
func (m *scriptMeter) shut() { m.opened.Add(-1) }

func (m *scriptMeter) read() *reading {
	m.out = m.step(uint64(time.Since(m.start) / m.interval))
	return &m.out
}

// runFor runs w for some time of the bubble.
func runFor(t *testing.T, w *Watcher, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
}

func TestRunSamplesAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := scripted(t, Config{Interval: 3 * time.Second}, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: i} })
		runFor(t, w, 10*time.Second)
		var at []time.Duration
		for s := range w.Samples() {
			at = append(at, s.Time.Sub(start))
		}
		require.Equal(t, []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second}, at)

		// A second Run goes on where the first one ended.
		runFor(t, w, 4*time.Second)
		require.Equal(t, 6, w.recent.len())
	})
}

func TestRunKeepsTheNewest128Samples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Live: i} })
		runFor(t, w, 150*10*time.Second+time.Second)
		var live []uint64
		for s := range w.Samples() {
			live = append(live, s.Live)
		}
		require.Len(t, live, 128)
		require.Equal(t, uint64(150), live[127])
		require.True(t, slices.IsSorted(live))
		for s := range w.Samples() { // stops when told to
			require.Equal(t, uint64(23), s.Live)
			break
		}
	})
}

// An interval without a collection says nothing new about the live heap.
func TestRunAddsOnePointACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Cycle: i / 4, Live: 100 + i/4, Goroutines: 5} })
		runFor(t, w, 399*time.Second)
		spans := w.series[Heap].spans()
		require.Len(t, spans[0], 9, "forty samples, ten cycles, the first of which is none")
		require.Len(t, w.series[Goroutines].spans()[0], 40)
		require.Equal(t, 20-9, w.Analyze().Missing)
		require.Equal(t, Insufficient, w.Analyze().Verdict)
	})
}

// Of several collections in one interval the least live heap counts, and for
// that interval alone.
func TestRunTakesTheLeastOfTheCollectionsInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Cycle: 10 + i, Live: 500 + i} })
		w.base = time.Now()
		for _, live := range []uint64{450, 401, 470} {
			w.noteLocked(live)
		}
		w.tick(false)
		require.Equal(t, uint64(401), w.first.Live)
		time.Sleep(w.cfg.Interval)
		w.tick(false)
		pts := w.series[Heap].spans()[0]
		require.Equal(t, []point{{0, 401}, {w.cfg.Interval, 501}}, pts)
	})
}

const mb = 1 << 20

// leaking is a heap of 100 MB that gets a tenth of a megabyte a sample.
func leaking(i uint64) Sample {
	return Sample{Cycle: i + 1, Live: 100*mb + i*mb/10, Heap: 200 * mb, Goal: 210 * mb, Total: 400 * mb, Stacks: mb, Other: 3 * mb, Limit: 1000 * mb, Goroutines: 10}
}

func TestRunTellsOfALeakOnceAndOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []Change
		begin := time.Now()
		w := scripted(t, Config{Name: "api", Hooks: Hooks{OnChange: func(c Change) { changes = append(changes, c) }}}, leaking)
		runFor(t, w, 2*time.Hour)
		require.NotEmpty(t, changes)
		last := Insufficient
		for _, c := range changes {
			require.Equal(t, last, c.From)
			last = c.Report.Verdict
		}
		require.Equal(t, Leak, last, "the ring of two hours agrees with that of twenty minutes")
		require.Less(t, changes[0].Report.Time.Sub(begin), 5*time.Minute)
		r := w.Analyze()
		require.Equal(t, Heap, r.Class)
		require.Equal(t, "api", r.Name)
		require.Equal(t, uint64(1000*mb), r.Limit)
		require.InDelta(t, (2 * time.Hour).Seconds(), r.Duration.Seconds(), 20)
		require.InDelta(t, 72*mb, float64(r.Growth), mb)
		require.InDelta(t, 0.72, r.Rate, 0.01)

		// 824 of 1000 MB are free, 36 MB go in an hour.
		hours := (1000 - 4 - 172.1) / 36
		require.InDelta(t, hours, r.Exhaustion.Expected.Hours(), 0.2)
		require.LessOrEqual(t, r.Exhaustion.Earliest, r.Exhaustion.Expected)
		require.GreaterOrEqual(t, r.Exhaustion.Latest, r.Exhaustion.Expected)
		growth, lo, hi := r.trend(Heap).PerHour()
		require.InDelta(t, 36*mb, growth, mb)
		require.LessOrEqual(t, lo, growth)
		require.GreaterOrEqual(t, hi, growth)
	})
}

// Each class is told from the others.
func TestRunNamesTheClassOfGrowth(t *testing.T) {
	still := func() Sample {
		return Sample{Live: 100 * mb, Goroutines: 10, Stacks: mb, Unused: mb, Total: 450 * mb, Resident: 500 * mb}
	}
	for class, grow := range map[Class]func(s *Sample, i uint64){
		Nothing:       func(*Sample, uint64) {},
		Heap:          func(s *Sample, i uint64) { s.Live += i * mb },
		Goroutines:    func(s *Sample, i uint64) { s.Goroutines += i; s.Live += i * mb; s.Stacks += i * 8 << 10 },
		Stacks:        func(s *Sample, i uint64) { s.Stacks += i * mb / 8 },
		OffHeap:       func(s *Sample, i uint64) { s.Resident += i * mb },
		Fragmentation: func(s *Sample, i uint64) { s.Unused += i * mb },
	} {
		t.Run(class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := scripted(t, Config{Limit: 4 << 30}, func(i uint64) Sample {
					s := still()
					s.Cycle = i + 1
					grow(&s, i)
					return s
				})
				runFor(t, w, 25*time.Minute)
				r := w.Analyze()
				require.Equal(t, class, r.Class, "%s", r)
				if class == Nothing {
					require.Equal(t, None, r.Verdict)
					require.Zero(t, r.Exhaustion)
					return
				}
				require.GreaterOrEqual(t, r.Verdict, Suspect, "%s", r)
				require.NotZero(t, r.Exhaustion.Expected, "%s", r)
			})
		})
	}
}

// A source that cannot tell resident memory leaves its class out.
func TestRunWithoutResidentMemoryDoesNotJudgeOffHeap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: mb} })
		runFor(t, w, time.Hour)
		r := w.Analyze()
		require.Zero(t, r.trend(OffHeap).Points)
		require.Equal(t, None, r.Verdict)
	})
}

func TestRunSurvivesAHeapOfZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample { return Sample{Cycle: i + 1} })
		runFor(t, w, time.Hour)
		r := w.Analyze()
		require.Zero(t, r.Rate)
		require.Equal(t, None, r.Verdict)
	})
}

// The package works in two bubbles one after the other, with real collections
// that end while a bubble is there.
func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			w := MustNew(Config{})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			done := make(chan error)
			go func() { done <- w.Run(ctx) }()
			for range 30 {
				time.Sleep(10 * time.Second)
				runtime.GC()
			}
			require.ErrorIs(t, <-done, context.DeadlineExceeded)
			require.GreaterOrEqual(t, len(w.series[Heap].spans()[0]), 29)
			require.NotEqual(t, Insufficient, w.Analyze().Verdict)
		})
	}
}
