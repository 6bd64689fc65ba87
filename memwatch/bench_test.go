package memwatch

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// BenchmarkSample is what Run does at an interval; one in six reads the
// resident memory too. BenchmarkCycle is what every collection adds.
func BenchmarkSample(b *testing.B) {
	for name, full := range map[string]bool{"resident=no": false, "resident=yes": true} {
		b.Run(name, func(b *testing.B) {
			w := MustNew(Config{})
			if !w.begin() {
				b.Fatal("running")
			}
			defer w.end()
			b.ReportAllocs()
			for b.Loop() {
				w.tick(full)
			}
		})
	}
}

func BenchmarkCycle(b *testing.B) {
	w := MustNew(Config{})
	b.ReportAllocs()
	for b.Loop() {
		w.mu.Lock()
		_, live := w.source.cycle()
		w.noteLocked(live)
		w.mu.Unlock()
	}
}

func BenchmarkSnapshot(b *testing.B) {
	w := MustNew(Config{})
	b.ReportAllocs()
	for b.Loop() {
		_ = w.Snapshot()
	}
}

// BenchmarkAnalyze is what Run does at every sixth interval, with full rings:
// of flat series, and of such as all leak.
func BenchmarkAnalyze(b *testing.B) {
	for name, slope := range map[string]float64{"series=flat": 0, "series=leak": 1} {
		b.Run(name, func(b *testing.B) {
			w := MustNew(Config{})
			w.base = time.Now()
			r := rand.New(rand.NewPCG(1, 2))
			for i := range ringLen * 720 {
				for c := Goroutines; c < classes; c++ {
					w.series[c].add(time.Second, point{time.Duration(i) * time.Second, 1e8 + slope*1e4*float64(i) + 1e6*r.NormFloat64()})
				}
			}
			w.remember()
			b.ReportAllocs()
			for b.Loop() {
				_ = w.Analyze()
			}
		})
	}
}

func BenchmarkProfile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = readSites()
	}
}

// BenchmarkPressure is what Run does at an interval besides: it reads the files
// of this machine, and makes a level of them.
func BenchmarkPressure(b *testing.B) {
	w := MustNew(Config{})
	m := new(machine)
	m.open()
	defer m.shut()
	r := m.read()
	b.Run("part=read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.left = lookAgain
			m.read()
		}
	})
	b.Run("part=level", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.gauge.step(&w.scratch, 1<<30, r)
		}
	})
	b.Run("part=look", func(b *testing.B) { // once in sixty
		b.ReportAllocs()
		for b.Loop() {
			m.shut()
			m.open()
		}
	})
}

// BenchmarkTrack is what tracking adds to making an object and being through
// with it, its collection included.
func BenchmarkTrack(b *testing.B) {
	for _, tracks := range []bool{false, true} {
		b.Run(fmt.Sprintf("tracked=%v", tracks), func(b *testing.B) {
			tr := MustNewTracker[session](TrackerConfig{Max: 1 << 30})
			b.ReportAllocs()
			for b.Loop() {
				s := new(session)
				if tracks {
					tr.Track(s)
					tr.Done(s)
				}
				runtime.KeepAlive(s)
			}
		})
	}
}
