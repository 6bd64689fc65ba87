package api

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// growth is what a look at the memory has found.
type growth struct {
	report memwatch.Report
	sites  []site
}

// site is a line of the program whose memory grows.
type site struct {
	Site string  `json:"site"` // file.go:12 func
	Rate float64 `json:"rate"` // bytes a second
}

// memoryState is what the state has of the memory, in bytes.
type memoryState struct {
	Live       uint64           `json:"live"` // what the last collection has found in use
	Heap       uint64           `json:"heap"` // that and the garbage since
	Goal       uint64           `json:"goal"`
	Limit      uint64           `json:"limit"` // 0: none
	RSS        uint64           `json:"rss"`   // 0: the system does not say
	Goroutines int              `json:"goroutines"`
	Verdict    memwatch.Verdict `json:"verdict"`
	Class      memwatch.Class   `json:"class"`   // what grows
	Reasons    []string         `json:"reasons"` // what the numbers do not say
	Points     int              `json:"points"`  // of the heap that the verdict stands on
	Missing    int              `json:"missing"` // until there can be one
	Sites      []site           `json:"sites"`
}

const (
	lookEvery = time.Second
	lookBack  = 10      // looks
	siteLeast = 2 << 20 // bytes in that time
)

// look keeps what grows up to date: the verdict of the watcher, and the lines
// that have much more in use than ten seconds ago. The watcher names lines as
// well, and how sure that is, when it has a verdict; that takes longer.
func (a *API) look(ctx context.Context) {
	type glance struct {
		at      time.Time
		profile memwatch.Profile
	}
	var glances []glance
	every(ctx, lookEvery, func() {
		now := glance{time.Now(), memwatch.ReadProfile()}
		glances = append(glances, now)
		if len(glances) > lookBack {
			glances = slices.Delete(glances, 0, 1)
		}
		oldest := glances[0]
		found := &growth{report: a.memory.Analyze(), sites: []site{}}
		for _, s := range now.profile.Since(oldest.profile, siteLeast) {
			if s.Growth >= siteLeast {
				found.sites = append(found.sites, site{siteName(s), s.Growth / now.at.Sub(oldest.at).Seconds()})
			}
		}
		a.report.Store(found)
	})
}

func siteName(s memwatch.Site) string {
	return fmt.Sprintf("%s:%d %s", filepath.Base(s.File), s.Line, filepath.Base(s.Func))
}

func (a *API) memoryState() memoryState {
	now, found := a.memory.Snapshot(), a.report.Load()
	for s := range a.memory.Samples() {
		now.Resident = s.Resident // Snapshot does not ask the system
	}
	points := 0
	for _, t := range found.report.Trends {
		if t.Class == memwatch.Heap {
			points = t.Points
		}
	}
	return memoryState{
		Live: now.Live, Heap: now.Heap, Goal: now.Goal, Limit: now.Limit, RSS: now.Resident,
		Goroutines: runtime.NumGoroutine(), Sites: found.sites,
		Verdict: found.report.Verdict, Class: found.report.Class, Reasons: found.report.Reasons,
		Points: points, Missing: found.report.Missing,
	}
}
