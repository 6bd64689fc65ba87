// Package memwatchbench compares a sample of package memwatch with the ways in
// which other monitors look at the memory of their process: all metrics of the
// runtime, and runtime.MemStats, which stops the world.
// The floor is to read the live heap and the number of collections alone.
package memwatchbench

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

// look tells the number of collections and the bytes of the heap: those that
// the last collection found alive, or all, as the peer knows them.
type look func() (cycles, heap uint64)

// row makes a look; what it needs is made before time is measured.
type row struct {
	peer string
	new  func() look
}

var rows = []row{
	{"bedplate", func() look {
		w := memwatch.MustNew(memwatch.Config{})
		return func() (uint64, uint64) {
			s := w.Snapshot()
			return s.Cycle, s.Live
		}
	}},
	{"metrics-all", func() look {
		var all []metrics.Sample
		cycles, live := -1, -1
		for i, d := range metrics.All() {
			all = append(all, metrics.Sample{Name: d.Name})
			switch d.Name {
			case "/gc/cycles/total:gc-cycles":
				cycles = i
			case "/gc/heap/live:bytes":
				live = i
			}
		}
		return func() (uint64, uint64) {
			metrics.Read(all)
			return all[cycles].Value.Uint64(), all[live].Value.Uint64()
		}
	}},
	{"memstats", func() look {
		m := new(runtime.MemStats)
		return func() (uint64, uint64) {
			runtime.ReadMemStats(m)
			return uint64(m.NumGC), m.HeapAlloc
		}
	}},
	{"floor-metrics", func() look {
		two := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
		return func() (uint64, uint64) {
			metrics.Read(two)
			return two[0].Value.Uint64(), two[1].Value.Uint64()
		}
	}},
}

// Every row sees the same collections, and the same heap as far as it tells
// live from garbage.
func TestRowsSeeTheSameProcess(t *testing.T) {
	kept := make([]byte, 64<<20)
	runtime.GC()
	for _, r := range rows {
		look := r.new()
		before, heap := look()
		require.InEpsilon(t, 64<<20, heap, 0.2, r.peer)
		runtime.GC()
		after, _ := look()
		require.Equal(t, before+1, after, r.peer)
	}
	runtime.KeepAlive(kept)
}

func BenchmarkSample(b *testing.B) {
	for _, r := range rows {
		b.Run("peer="+r.peer, func(b *testing.B) {
			look := r.new()
			b.ReportAllocs()
			for b.Loop() {
				look()
			}
		})
	}
}

// BenchmarkSampleBusy looks while every processor computes, which is when a
// stop of the world takes longest.
func BenchmarkSampleBusy(b *testing.B) {
	for _, r := range rows {
		b.Run("peer="+r.peer, func(b *testing.B) {
			look := r.new()
			var stop atomic.Bool
			var work sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				work.Go(func() {
					for x := 1.0; !stop.Load(); {
						for range 1000 {
							x = math.Sqrt(x + 1)
						}
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				look()
			}
			b.StopTimer()
			stop.Store(true)
			work.Wait()
		})
	}
}
