package memwatch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// session is what servers leak.
type session struct {
	user string
	_    [64]byte
}

// collect forces collections until a tracker says what it must.
func collectUntil(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		return what()
	}, 20*time.Second, time.Millisecond)
}

func TestTrackerCountsWhatLives(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Name: "session"})
	require.Equal(t, TrackStats{Name: "session"}, tr.Stats())
	kept := &session{user: "kept"}
	require.True(t, tr.Track(kept))
	require.True(t, tr.Track(kept), "again")
	for i := range 100 {
		require.True(t, tr.Track(&session{user: fmt.Sprint(i)}))
	}
	s := tr.Stats()
	require.EqualValues(t, 101, s.Tracked)
	require.Positive(t, s.Oldest)
	collectUntil(t, func() bool { return tr.Stats().Live == 1 })
	s = tr.Stats()
	require.EqualValues(t, 100, s.Collected)
	require.Zero(t, s.Done)
	require.Zero(t, s.Overdue)
	runtime.KeepAlive(kept)

	collectUntil(t, func() bool { return tr.Stats().Live == 0 })
	require.Zero(t, tr.Stats().Oldest)
	require.Nil(t, tr.using.first)
	require.Nil(t, tr.using.last)
}

// registry keeps what nobody needs any more.
var registry []*session

// What should have been collected and was not is counted and shown; what was,
// is not.
func TestTrackerNamesWhatShouldHaveBeenCollected(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Name: "session"})
	defer func() { registry = nil }()
	for i := range 50 {
		s := &session{user: fmt.Sprint(i)}
		tr.Track(s)
		if i%10 == 0 {
			registry = append(registry, s) // the leak
		}
		require.True(t, tr.Done(s))
		require.True(t, tr.Done(s), "again")
	}
	inUse := &session{user: "in use"}
	tr.Track(inUse)
	require.Zero(t, tr.Stats().Overdue, "no collection yet")
	require.Empty(t, tr.Overdue())
	collectUntil(t, func() bool { s := tr.Stats(); return s.Overdue == 5 && s.Live == 6 })
	s := tr.Stats()
	require.Equal(t, 5, s.Done)
	require.EqualValues(t, 45, s.Collected)
	require.Positive(t, s.OldestOverdue)
	var users []string
	for _, o := range tr.Overdue() {
		users = append(users, o.user)
	}
	require.Equal(t, []string{"0", "10", "20", "30", "40"}, users)
	runtime.KeepAlive(inUse)

	registry = nil
	collectUntil(t, func() bool { return tr.Stats().Done == 0 })
	require.Zero(t, tr.Stats().Overdue)
	require.Empty(t, tr.Overdue())
}

// An object is overdue after so many collections and not before.
func TestTrackerWaitsForItsCollections(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{After: 5})
	kept := &session{}
	tr.Track(kept)
	tr.Done(kept)
	tr.mu.Lock()
	from := tr.cycleLocked()
	tr.mu.Unlock()
	for {
		runtime.GC()
		s := tr.Stats()
		tr.mu.Lock()
		passed := tr.cycleLocked() - from
		tr.mu.Unlock()
		if passed < 5 {
			require.Zero(t, s.Overdue)
			continue
		}
		require.Equal(t, 1, tr.Stats().Overdue)
		break
	}
	require.Equal(t, "memwatch.session", tr.Stats().Name)
	require.Contains(t, tr.Stats().String(), "memwatch.session: 1 live, the oldest in use for 0s; 1 should have been collected, the first of them ")
	runtime.KeepAlive(kept)
}

// What is beyond Max is counted and costs nothing.
func TestTrackerIsBounded(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Max: 10})
	var kept []*session
	for i := range 25 {
		s := &session{}
		kept = append(kept, s)
		require.Equal(t, i < 10, tr.Track(s))
		require.Equal(t, i < 10, tr.Done(s))
	}
	s := tr.Stats()
	require.Equal(t, 10, s.Live)
	require.EqualValues(t, 15, s.Untracked)
	require.LessOrEqual(t, len(tr.Overdue()), maxOverdue)
	runtime.KeepAlive(kept)
	collectUntil(t, func() bool { return tr.Stats().Live == 0 })
	require.True(t, tr.Track(&session{}), "there is room again")
}

func TestOverdueListsNoMoreThanSome(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{After: 1})
	var kept []*session
	for range 3 * maxOverdue {
		s := &session{}
		kept = append(kept, s)
		tr.Track(s)
		tr.Done(s)
	}
	collectUntil(t, func() bool { return tr.Stats().Overdue == 3*maxOverdue })
	require.Equal(t, kept[:maxOverdue], tr.Overdue())
	runtime.KeepAlive(kept)
}

func TestNewTrackerRefusesWhatCannotBeTracked(t *testing.T) {
	_, err := NewTracker[session](TrackerConfig{Max: -1})
	require.EqualError(t, err, "memwatch: TrackerConfig.Max is -1, want ≥ 0")
	_, err = NewTracker[session](TrackerConfig{After: -2})
	require.EqualError(t, err, "memwatch: TrackerConfig.After is -2, want ≥ 0")
	_, err = NewTracker[int64](TrackerConfig{})
	require.EqualError(t, err, "memwatch: T is int64 of 8 bytes without pointers, want at least 16 or pointers")
	_, err = NewTracker[struct{}](TrackerConfig{})
	require.Error(t, err)
	_, err = NewTracker[struct{ a [2]int32 }](TrackerConfig{})
	require.Error(t, err)
	_, err = NewTracker[struct{ a [0]*int }](TrackerConfig{})
	require.Error(t, err)
	_, err = NewTracker[struct {
		a byte
		b [1]*int
	}](TrackerConfig{})
	require.NoError(t, err)
	_, err = NewTracker[string](TrackerConfig{})
	require.NoError(t, err)
	_, err = NewTracker[[16]byte](TrackerConfig{})
	require.NoError(t, err)
	require.PanicsWithValue(t, "memwatch: T is bool of 1 bytes without pointers, want at least 16 or pointers", func() { MustNewTracker[bool](TrackerConfig{}) })
}

var global session

func TestTrackerOfNothingAndOfWhatIsNotOnTheHeap(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{})
	require.False(t, tr.Track(nil))
	require.False(t, tr.Done(nil))
	require.False(t, tr.Done(&session{}), "never tracked")
	require.True(t, tr.Track(&global))
	require.True(t, tr.Done(&global))
	runtime.GC()
	require.Equal(t, 1, tr.Stats().Live)
	require.Equal(t, TrackStats{Name: "memwatch.session", Live: 1, Done: 1, Tracked: 1}, tr.Stats())
}

// queues compares the queues with a slice, by random operations.
func TestQueueKeepsTheOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var q queue[session]
	var model []*tracked[session]
	for range 5000 {
		if len(model) == 0 || r.IntN(2) == 0 {
			e := &tracked[session]{}
			q.push(e)
			model = append(model, e)
		} else {
			i := r.IntN(len(model))
			q.remove(model[i])
			model = append(model[:i:i], model[i+1:]...)
		}
		i := 0
		var last *tracked[session]
		for e := q.first; e != nil; e = e.next {
			if i >= len(model) || e != model[i] || e.prev != last {
				t.Fatal("not in order")
			}
			last = e
			i++
		}
		if i != len(model) || q.last != last || q.n != len(model) {
			t.Fatal("not the same")
		}
	}
}

// Many goroutines track and drop objects while collections go on: at the end
// the books balance.
func TestTrackerUnderLoad(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Max: 500})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var mine []*session
			for i := range 2000 {
				s := &session{}
				tr.Track(s)
				mine = append(mine, s)
				if i%3 == 0 {
					tr.Done(mine[0])
					mine = mine[1:]
				}
				if i%200 == 0 {
					runtime.GC()
					_ = tr.Stats()
					_ = tr.Overdue()
					mine = nil
				}
			}
		})
	}
	wg.Wait()
	collectUntil(t, func() bool { return tr.Stats().Live == 0 })
	s := tr.Stats()
	require.EqualValues(t, 8000, s.Tracked+s.Untracked)
	require.Equal(t, s.Tracked, s.Collected)
	require.Zero(t, s.Done)
	require.Zero(t, tr.using.n)
	require.Zero(t, tr.done.n)
	require.Empty(t, tr.objects)
}

func TestReportTellsOfTrackedObjects(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Name: "session", After: 1})
	w := MustNew(Config{Tracked: []Tracked{tr}})
	kept := &session{}
	tr.Track(kept)
	require.Equal(t, 1, w.Analyze().Tracked[0].Live)
	require.NotContains(t, w.Analyze().String(), "session")
	tr.Done(kept)
	collectUntil(t, func() bool { return tr.Stats().Overdue == 1 })
	require.Contains(t, w.Analyze().String(), "\n  session: 1 live, the oldest in use for 0s; 1 should have been collected")
	text, err := json.Marshal(w.Analyze())
	require.NoError(t, err)
	require.Contains(t, string(text), `"tracked":[{"name":"session","live":1,"done":1,"overdue":1,`)
	runtime.KeepAlive(kept)
	_, err = New(Config{Tracked: []Tracked{nil}})
	require.EqualError(t, err, "memwatch: Config.Tracked[0] is nil, want a Tracker")
}

// A tracker of one bubble is used in another, and objects of a bubble are
// collected outside of it.
func TestTrackerInBubbles(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{})
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			kept := &session{}
			tr.Track(kept)
			time.Sleep(time.Hour)
			require.GreaterOrEqual(t, tr.Stats().Oldest, time.Hour)
			for range 10 {
				tr.Track(&session{})
			}
			tr.Done(kept)
			runtime.GC()
			runtime.KeepAlive(kept)
		})
	}
	collectUntil(t, func() bool { return tr.Stats().Live == 0 })
}

// Random objects, of which the test knows which it keeps: after collections
// the tracker knows the same.
func TestTrackerKnowsWhatIsKept(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	tr := MustNewTracker[session](TrackerConfig{After: 2})
	using, through := map[*session]bool{}, map[*session]bool{}
	dropped := 0
	for range 20 {
		for range 50 {
			s := &session{}
			require.True(t, tr.Track(s))
			switch r.IntN(4) {
			case 0:
				using[s] = true
			case 1:
				using[s] = true
				require.True(t, tr.Done(s))
				through[s] = true
				delete(using, s)
			case 2:
				require.True(t, tr.Done(s))
				dropped++
			default:
				dropped++
			}
		}
		for s := range using {
			if r.IntN(5) == 0 { // is through now, and kept or not
				require.True(t, tr.Done(s))
				delete(using, s)
				if r.IntN(2) == 0 {
					through[s] = true
				} else {
					dropped++
				}
			}
		}
		for s := range through {
			if r.IntN(5) == 0 {
				delete(through, s)
				dropped++
			}
		}
		var got TrackStats
		collectUntil(t, func() bool {
			got = tr.Stats()
			return got.Live == len(using)+len(through) && got.Overdue == len(through)
		})
		require.Equal(t, len(through), got.Done)
		require.EqualValues(t, dropped, got.Collected)
		for _, s := range tr.Overdue() {
			require.True(t, through[s])
		}
	}
}

// A tracker is cheap for what it does not track.
func TestTrackerDoesNotAllocateForWhatItHas(t *testing.T) {
	tr := MustNewTracker[session](TrackerConfig{Max: 1})
	kept, other := &session{}, &session{}
	tr.Track(kept)
	tr.Track(other) // each has its weak pointer now
	require.Zero(t, testing.AllocsPerRun(100, func() { tr.Track(kept); tr.Track(other); tr.Done(kept); tr.Done(other) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = tr.Stats() }))
	runtime.KeepAlive(kept)
	runtime.KeepAlive(other)
}

// What tracking an object keeps until it is collected, whether it is done or
// not, is what the comment of Track says.
func TestTrackerKeepsThatManyBytesForAnObject(t *testing.T) {
	const n = 100_000
	objects := make([]*session, n)
	for i := range objects {
		objects[i] = new(session)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tr := MustNewTracker[session](TrackerConfig{Max: n})
	for i, s := range objects {
		if !tr.Track(s) || i%2 == 0 && !tr.Done(s) {
			t.Fatal("not tracked")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / n
	outside := (float64(after.Sys-after.HeapSys) - float64(before.Sys-before.HeapSys)) / n
	t.Logf("%.0f bytes of heap for each, and %.0f of the runtime's own", heap, outside)
	require.Greater(t, heap, 60.0, "the measurement is of something")
	require.Less(t, heap, 170.0)
	require.Equal(t, n, tr.Stats().Live)
	runtime.KeepAlive(objects)
}
