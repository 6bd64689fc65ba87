package memwatchhttp

import (
	"bytes"
	"crypto/rand"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

const (
	historyLen = 1024     // points kept
	piece      = 16 << 10 // bytes of a stream written at once
)

// point is a sample on the page, with its event as it is sent.
type point struct {
	memwatch.Sample
	seq    uint64        // the number of the point, ascending; gaps are where points were dropped
	pauses uint64        // of the collector since the point before
	worst  time.Duration // the longest of them
	event  []byte
}

// feed is the history that all streams share. It has no goroutine: of the
// streams that are due, the first to come takes the point for all.
//
// Invariant: history is ascending in seq and in time, and holds at most
// historyLen points.
type feed struct {
	watcher  *memwatch.Watcher
	interval time.Duration
	instance string // tells this feed from one before a restart

	mu      sync.Mutex // guards all below; held for microseconds, over a Snapshot but never a write
	history []point
	seq     uint64    // of the newest point
	next    time.Time // when the next point is due
	pauses  pauses
	scratch []byte // where events are written before they are kept
}

func newFeed(w *memwatch.Watcher, interval time.Duration) feed {
	return feed{watcher: w, interval: interval, instance: rand.Text()[:8]}
}

// advance takes the point of this interval, unless that has been done, and
// returns when the next one is due. Where nobody has watched for a while, it
// fills the time in between with what the Watcher has sampled.
func (f *feed) advance(now time.Time) (next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.next) {
		return f.next
	}
	if now.Sub(f.next) > 2*f.interval {
		for s := range f.watcher.Samples() {
			f.addLocked(point{Sample: s})
		}
		f.pauses.since() // those of the time in between have no place
	}
	p := point{Sample: f.watcher.Snapshot()}
	p.pauses, p.worst = f.pauses.since()
	f.addLocked(p)
	if f.next = f.next.Add(f.interval); !f.next.After(now) {
		f.next = now.Add(f.interval)
	}
	return f.next
}

// addLocked adds a point that is newer than the last, and no other.
func (f *feed) addLocked(p point) {
	if n := len(f.history); n > 0 && !p.Time.After(f.history[n-1].Time) {
		return
	}
	if len(f.history) >= historyLen {
		f.thinLocked()
	}
	f.seq++
	p.seq = f.seq
	p.event = f.encodeLocked(&p)
	f.history = append(f.history, p)
}

// thinLocked drops a point of the older half, whose pauses the next one takes
// over: that whose neighbours are nearest to each other for its age. So what is
// older is less dense, by the same factor at any age, and the history goes back
// to its begin.
func (f *feed) thinLocked() {
	all := f.history
	newest := all[len(all)-1].Time
	drop, least := 1, math.Inf(1)
	for i := 1; i < len(all)/2; i++ {
		gap := float64(all[i+1].Time.Sub(all[i-1].Time)) / float64(newest.Sub(all[i].Time))
		if gap < least {
			drop, least = i, gap
		}
	}
	next := &all[drop+1]
	if gone := all[drop]; gone.pauses > 0 {
		next.pauses += gone.pauses
		next.worst = max(next.worst, gone.worst)
		next.event = f.encodeLocked(next)
	}
	f.history = slices.Delete(all, drop, drop+1)
}

// after appends the events of the points behind seq to buf, a piece at most,
// and returns the number of the last one. A number that does not exist yet is
// taken for none.
func (f *feed) after(buf []byte, seq uint64) ([]byte, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.seq {
		seq = 0
	}
	i := sort.Search(len(f.history), func(i int) bool { return f.history[i].seq > seq })
	for ; i < len(f.history) && len(buf) < piece; i++ {
		buf = append(buf, f.history[i].event...)
		seq = f.history[i].seq
	}
	return buf, seq
}

// encodeLocked returns the event of a point.
func (f *feed) encodeLocked(p *point) []byte {
	b := f.scratch[:0]
	b = append(b, "id: "...)
	b = append(b, f.instance...)
	b = append(b, '-')
	b = strconv.AppendUint(b, p.seq, 10)
	b = append(b, "\nevent: sample\ndata: {\"time_ms\":"...)
	b = strconv.AppendInt(b, p.Time.UnixMilli(), 10)
	for _, field := range [...]struct {
		name  string
		value uint64
	}{
		{"cycle", p.Cycle}, {"live", p.Live}, {"heap", p.Heap}, {"goal", p.Goal}, {"limit", p.Limit},
		{"total", p.Total}, {"stacks", p.Stacks}, {"resident", p.Resident}, {"off_heap", p.OffHeap},
		{"goroutines", p.Goroutines}, {"pauses", p.pauses}, {"worst_ns", uint64(p.worst)},
	} {
		b = append(b, `,"`...)
		b = append(b, field.name...)
		b = append(b, `":`...)
		b = strconv.AppendUint(b, field.value, 10)
	}
	b = append(b, "}\n\n"...)
	f.scratch = b
	return bytes.Clone(b)
}

// parseID reads the number of a point from an id that encode wrote. It is 0,
// before the first one, if the id is another feed's or none.
func (f *feed) parseID(id string) uint64 {
	rest, ok := strings.CutPrefix(id, f.instance+"-")
	if !ok {
		return 0
	}
	seq, err := strconv.ParseUint(rest, 10, 64)
	if err != nil {
		return 0
	}
	return seq
}
