package memwatchmetrics

import (
	"math"
	"sync"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// analysisAge is how long an analysis is good enough for metrics. One takes up
// to nine milliseconds where everything grows.
const analysisAge = time.Minute

// WatcherStats are the figures of a memwatch.Watcher in the form of every other
// Stats.
type WatcherStats struct {
	Name string `json:"name"` // Config.Name

	// As memwatch.Sample has them.
	Live       int64 `json:"live_bytes"`
	Heap       int64 `json:"heap_bytes"`
	Goal       int64 `json:"goal_bytes"`
	Unused     int64 `json:"unused_bytes"`
	Total      int64 `json:"go_bytes"`
	Stacks     int64 `json:"stacks_bytes"`
	Resident   int64 `json:"resident_bytes"` // 0 without Run
	OffHeap    int64 `json:"off_heap_bytes"` // likewise
	Goroutines int64 `json:"goroutines"`

	Collections uint64 `json:"collections"` // since the process began

	// As memwatch.Report has them, at most a minute old.
	Verdict memwatch.Verdict `json:"verdict"`
	Class   memwatch.Class   `json:"class"`
	Growth  int64            `json:"growth_bytes"` // of the live heap since the first sample
	Limit   int64            `json:"limit_bytes"`  // 0 if there is none

	// As memwatch.Pressure has them, which Run reads.
	Level    memwatch.Level `json:"level"`
	Headroom int64          `json:"headroom_bytes"` // to the limit of which most is used, 0 if there is none

	// Exhaustion is the time left until the limit at this rate, 0 unless
	// Verdict is at least memwatch.Suspect and there is a limit.
	Exhaustion time.Duration `json:"exhaustion_ns"`
}

// Watcher returns a function for the stats of w. It samples the process in a
// microsecond, and has it analysed where the last analysis is older than a
// minute. A call beside one that has it analysed goes on with what was found
// before.
func Watcher(w *memwatch.Watcher) func() WatcherStats {
	a := analysis{w: w}
	return func() WatcherStats {
		s, r, p := w.Snapshot(), a.recent(), w.Pressure()
		return WatcherStats{
			Name: w.Stats().Name, Level: p.Level, Headroom: whole(p.Headroom),
			Live: whole(s.Live), Heap: whole(s.Heap), Goal: whole(s.Goal), Unused: whole(s.Unused),
			Total: whole(s.Total), Stacks: whole(s.Stacks), Resident: whole(s.Resident), OffHeap: whole(s.OffHeap),
			Goroutines: whole(s.Goroutines), Collections: s.Cycle,
			Verdict: r.Verdict, Class: r.Class, Growth: r.Growth, Limit: whole(r.Limit), Exhaustion: r.Exhaustion.Expected,
		}
	}
}

// analysis is the latest one of a Watcher.
type analysis struct {
	w *memwatch.Watcher

	mu     sync.Mutex // guards all below, never held over an analysis
	busy   bool       // somebody analyses
	report memwatch.Report
}

func (a *analysis) recent() memwatch.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy || !a.report.Time.IsZero() && time.Since(a.report.Time) <= analysisAge {
		return a.report
	}
	a.busy = true
	a.mu.Unlock()
	r := a.w.Analyze()
	a.mu.Lock()
	a.busy, a.report = false, r
	return r
}

// whole is n as a gauge.
func whole(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
