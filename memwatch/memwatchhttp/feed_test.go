package memwatchhttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

// reference is a feed without its bounds: all points, and for each reader those
// it has had. What the feed gives may lack points that were dropped, and nothing
// else.
type reference struct {
	times []int64        // by seq-1, in milliseconds
	had   map[int]uint64 // the last seq of each reader
}

// seqs parses events, and checks that each is whole.
func seqs(t testing.TB, f *feed, ref *reference, events []byte) (out []uint64) {
	for text := range strings.SplitSeq(strings.TrimSuffix(string(events), "\n\n"), "\n\n") {
		if text == "" {
			continue
		}
		id, rest, ok := strings.Cut(text, "\nevent: sample\ndata: ")
		require.True(t, ok, "%q", text)
		seq := f.parseID(strings.TrimPrefix(id, "id: "))
		require.NotZero(t, seq, "%q", text)
		var p struct {
			Time int64 `json:"time_ms"`
		}
		require.NoError(t, json.Unmarshal([]byte(rest), &p))
		require.Equal(t, ref.times[seq-1], p.Time)
		out = append(out, seq)
	}
	return out
}

// runModel lets script decide between new points and readers that read on, and
// compares with the reference.
func runModel(t testing.TB, script []byte) {
	f := newFeed(memwatch.MustNew(memwatch.Config{}), time.Second)
	ref := &reference{had: make(map[int]uint64)}
	now := time.Unix(1e9, 0)
	for _, op := range script {
		if op < 200 { // some points, the first of which may be too old
			for i := range int(op) {
				now = now.Add(time.Duration(op) * time.Millisecond)
				p := point{Sample: memwatch.Sample{Time: now, Live: uint64(i)}, pauses: 1, worst: time.Duration(i)}
				f.addLocked(p)
				ref.times = append(ref.times, now.UnixMilli())
				f.addLocked(p) // not newer than the last
			}
			require.LessOrEqual(t, len(f.history), historyLen)
			require.Equal(t, uint64(len(ref.times)), f.seq)
			continue
		}
		reader := int(op) % 7
		buf, last := f.after(nil, ref.had[reader])
		got := seqs(t, &f, ref, buf)
		require.Less(t, len(buf), piece+1<<10)
		var want []uint64
		for _, p := range f.history {
			if p.seq > ref.had[reader] && len(want) < len(got) {
				want = append(want, p.seq)
			}
		}
		require.Equal(t, want, got, "each one kept, once and in order")
		if len(got) > 0 {
			require.Equal(t, got[len(got)-1], last)
		} else {
			require.Equal(t, ref.had[reader], last)
			require.Equal(t, uint64(len(ref.times)), last, "nothing is held back")
		}
		ref.had[reader] = last
	}
	var pauses uint64
	for i, p := range f.history {
		pauses += p.pauses
		if i > 0 {
			require.Greater(t, p.seq, f.history[i-1].seq)
			require.True(t, p.Time.After(f.history[i-1].Time))
		}
	}
	require.Equal(t, uint64(len(ref.times)), pauses, "dropped points keep their pauses")
}

func TestFeedAgainstReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		script := make([]byte, random.IntN(40))
		for i := range script {
			script[i] = byte(random.IntN(256))
		}
		runModel(t, script)
	}
}

func TestFeedKeepsItsFirstPointAndTheNewerHalfWhole(t *testing.T) {
	f := newFeed(memwatch.MustNew(memwatch.Config{}), time.Second)
	at := time.Unix(1e9, 0)
	for i := range 8_000 {
		f.addLocked(point{Sample: memwatch.Sample{Time: at.Add(time.Duration(i) * time.Second)}})
	}
	require.Len(t, f.history, historyLen)
	require.Equal(t, at, f.history[0].Time)
	for i := historyLen / 2; i < historyLen-1; i++ {
		require.Equal(t, f.history[i].seq+1, f.history[i+1].seq)
	}
	// What is older is less dense, by no more than its age.
	last := f.history[historyLen-1].seq
	for i := 1; i < historyLen/2; i++ {
		gap, age := f.history[i].seq-f.history[i-1].seq, last-f.history[i-1].seq
		require.LessOrEqual(t, float64(gap), float64(age)*.03+1, "point %d", i)
	}
}

func TestFeedEventIsOneLineOfJSONWithoutRounding(t *testing.T) {
	f := newFeed(memwatch.MustNew(memwatch.Config{}), time.Second)
	s := memwatch.Sample{
		Time: time.UnixMilli(1764201600123), Cycle: 1, Live: 1<<53 - 1, Heap: 3, Goal: 4, Unused: 5, Total: 6, Stacks: 7,
		Other: 8, Resident: 9, OffHeap: 10, Goroutines: 11, Limit: math.MaxInt64,
	}
	event := f.encodeLocked(&point{Sample: s, seq: 12, pauses: 2, worst: 345 * time.Microsecond})
	require.Equal(t, fmt.Sprintf("id: %s-12\nevent: sample\ndata: %s\n\n", f.instance,
		`{"time_ms":1764201600123,"cycle":1,"live":9007199254740991,"heap":3,"goal":4,"limit":9223372036854775807,"total":6,"stacks":7,"resident":9,"off_heap":10,"goroutines":11,"pauses":2,"worst_ns":345000}`), string(event))
	require.Equal(t, 2, bytes.Count(event, []byte("\n\n"))+1)
}

func TestPausesAreThoseSinceTheLastCall(t *testing.T) {
	var p pauses
	n, worst := p.since()
	require.Zero(t, n)
	require.Zero(t, worst)
	runtime.GC()
	n, worst = p.since()
	require.GreaterOrEqual(t, n, uint64(2), "a collection stops the world twice")
	require.Positive(t, worst)
	require.Less(t, worst, time.Minute)
	require.Equal(t, time.Second, bound([]float64{0, 1, math.Inf(1)}, 0))
	require.Equal(t, time.Second, bound([]float64{0, 1, math.Inf(1)}, 1), "the last bucket has no upper bound")
}

func TestPausesDoNotAllocate(t *testing.T) {
	var p pauses
	p.since()
	require.Zero(t, testing.AllocsPerRun(100, func() { p.since() }))
}

// The pace against its definition: at any time, no more have begun in any span
// than four and one for each period in it.
func TestPaceAgainstItsDefinition(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	p := pace{every: 10 * time.Second}
	now := time.Unix(1e9, 0)
	var begun []time.Time
	for range 5000 {
		now = now.Add(time.Duration(random.ExpFloat64() * float64(4*time.Second)))
		retry, ok := p.begin(now)
		if !ok {
			require.Positive(t, retry)
			require.LessOrEqual(t, retry, p.every)
			// A nanosecond before that it is refused again, then it is not.
			again, ok := p.begin(now.Add(retry - 1))
			require.False(t, ok)
			require.Equal(t, time.Duration(1), again)
			now = now.Add(retry)
			_, ok = p.begin(now)
			require.True(t, ok)
		}
		_, ok = p.begin(now)
		require.False(t, ok, "one at a time")
		p.end()
		begun = append(begun, now)
		if n := len(begun); n > burst {
			require.GreaterOrEqual(t, now.Sub(begun[n-1-burst]), p.every, "%d", n)
		}
		if n := len(begun); n > burst+10 {
			require.GreaterOrEqual(t, now.Sub(begun[n-1-burst-10]), 11*p.every)
		}
	}
}

func TestVersionTellsPagesApart(t *testing.T) {
	require.Len(t, version(), 12)
	require.Equal(t, version(), version())
}
