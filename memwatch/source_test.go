package memwatch

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSampleAgreesWithMemStats(t *testing.T) {
	runtime.GC()
	w := MustNew(Config{})
	s := w.Snapshot()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.EqualValues(t, m.NumGC, s.Cycle)
	require.InEpsilon(t, float64(m.HeapAlloc), float64(s.Heap), 0.5)
	require.InEpsilon(t, float64(m.Sys-m.HeapReleased), float64(s.Total), 0.2)
	require.InEpsilon(t, float64(m.StackSys), float64(s.Stacks), 0.5)
	require.Positive(t, s.Live)
	require.LessOrEqual(t, s.Live, s.Goal)
	require.Less(t, s.Stacks+s.Other, s.Total, "parts of it, without wrap-around")
	require.Positive(t, s.Goroutines)
}

func TestSampleTellsTheMemoryLimit(t *testing.T) {
	old := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(old)
	w := MustNew(Config{})
	require.Zero(t, w.Snapshot().Limit)
	debug.SetMemoryLimit(1 << 40)
	require.Equal(t, uint64(1<<40), w.Snapshot().Limit)
}

func TestSampleDoesNotAllocate(t *testing.T) {
	w := MustNew(Config{})
	require.True(t, w.begin())
	defer w.end()
	w.tick(true)
	require.Zero(t, testing.AllocsPerRun(200, func() { w.tick(true) }))
	require.Zero(t, testing.AllocsPerRun(200, func() { _ = w.Snapshot() }))
}

// Resident memory is told only while the file is open, which is while Run runs.
func TestResidentMemoryIsReadWhileRunning(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skip("no /proc/self/statm")
	}
	w := MustNew(Config{})
	require.Zero(t, w.Snapshot().Resident)
	require.True(t, w.begin())
	w.tick(true)
	s := w.Snapshot()
	require.Greater(t, s.Resident, uint64(1<<20))
	require.Less(t, s.Resident, uint64(1<<40))
	w.end()
	require.Zero(t, w.Snapshot().Resident)
}

func TestResidentMemoryOfKnownText(t *testing.T) {
	for text, want := range map[string]uint64{
		"5000 1200 200 10 0 900 0\n": 1000,
		"5000 100 200 10 0 900 0\n":  0, // more file pages than pages: counters lag
		"5000 7":                     7,
		"garbage":                    0,
		"":                           0,
	} {
		name := filepath.Join(t.TempDir(), "statm")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		f, err := os.Open(name)
		require.NoError(t, err)
		p := newProcess()
		p.statm, p.page = f, 1
		require.Equal(t, want, p.resident(), text)
		p.shut()
		require.Zero(t, p.resident())
		p.shut()
	}
}

// A metric that the runtime does not have is zero, not a panic.
func TestUnknownMetricIsZero(t *testing.T) {
	p := newProcess()
	p.all[gcLive].Name = "/no/such:bytes"
	require.NotPanics(t, func() { p.cycle() })
	require.Zero(t, p.value(gcLive))
}

// Every collection is seen, without waiting for a tick, and none after Run.
func TestEveryCollectionIsSeen(t *testing.T) {
	w := MustNew(Config{})
	require.True(t, w.begin())
	w.tick(false)
	for range 3 {
		before := w.noted()
		runtime.GC()
		require.Eventually(t, func() bool { return w.noted() && !before || before }, 5*time.Second, time.Millisecond)
	}
	w.end()
	require.False(t, w.hooked)
	w.mu.Lock()
	w.missed = false
	w.mu.Unlock()
	w.collected() // one that was on its way when Run ended
	require.False(t, w.noted())
	require.False(t, w.hooked)
}

func (w *Watcher) noted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missed
}

// Confirm's own collections leave no point behind.
func TestConfirmLeavesNoPoint(t *testing.T) {
	w := MustNew(Config{})
	require.True(t, w.begin())
	defer w.end()
	runtime.GC()
	w.tick(false)
	before := len(w.series[Heap].spans()[0])
	r, err := w.Confirm(t.Context())
	require.NoError(t, err)
	require.NotNil(t, r.Forced)
	require.Positive(t, r.Forced.After)
	w.tick(false)
	require.Len(t, w.series[Heap].spans()[0], before)
}

// What is kept stays below a megabyte, however long it watches.
func TestMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := MustNew(Config{})
	full := make([]tally, 0, maxSites)
	for i := range maxSites {
		full = append(full, tally{place: place{line: i}})
	}
	for i := range 50 {
		w.past.add(snapshot{at: time.Duration(i) * time.Minute, sites: sites{list: append([]tally(nil), full...)}})
	}
	for i := range 200_000 {
		for c := range w.series {
			w.series[c].add(time.Second, point{time.Duration(i) * time.Second, float64(i)})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d bytes", kept)
	require.Less(t, kept, int64(1<<20))
	runtime.KeepAlive(w)
}
