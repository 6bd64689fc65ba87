package memwatchhttp

import (
	"testing"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// full is a feed that has all the points it keeps.
func full() *feed {
	f := newFeed(memwatch.MustNew(memwatch.Config{}), time.Second)
	for i := range 2 * historyLen {
		s := f.watcher.Snapshot()
		s.Time = s.Time.Add(time.Duration(i-2*historyLen) * time.Second)
		f.addLocked(point{Sample: s})
	}
	return &f
}

// BenchmarkPoint is what one interval costs for all who watch: a sample, the
// pauses, the event and its place in a history that is full. BenchmarkSend is
// what each reader adds but for the write itself.
func BenchmarkPoint(b *testing.B) {
	f := full()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		f.advance(now)
	}
}

func BenchmarkSend(b *testing.B) {
	f := full()
	buf := make([]byte, 0, piece)
	b.ReportAllocs()
	for b.Loop() {
		out, _ := f.after(buf, f.seq-1)
		if len(out) == 0 {
			b.Fatal("no event")
		}
	}
}

// BenchmarkHistory is what a new reader is sent, in bytes too.
func BenchmarkHistory(b *testing.B) {
	f := full()
	buf := make([]byte, 0, 2*piece)
	total := 0
	b.ReportAllocs()
	for b.Loop() {
		total = 0
		for seq := uint64(0); seq < f.seq; {
			buf, seq = f.after(buf[:0], seq)
			total += len(buf)
		}
	}
	b.ReportMetric(float64(total), "bytes")
	b.ReportMetric(float64(total)/float64(len(f.history)), "bytes/event")
}
