package api

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// leak is memory that is kept for no reason: a map to which a megabyte is added
// each second, as by a cache that nobody bounds.
type leak struct {
	on   atomic.Bool    // written by Apply
	kept map[int][]byte // touched by run alone
}

const (
	leakChunk = 64 << 10
	leakMost  = 512 << 20 // the machine is meant to live
)

// run leaks while it is on. A service that leaks has requests, and so
// collections; this one may have none, and a leak shows in collections alone, so
// there are four a second. When it is switched off the map is dropped and
// collected.
func (l *leak) run(ctx context.Context) {
	ticks := 0
	every(ctx, time.Second*leakChunk/(1<<20), func() {
		if !l.on.Load() {
			l.drop()
			return
		}
		if l.kept == nil {
			l.kept = make(map[int][]byte)
		}
		if len(l.kept)*leakChunk < leakMost {
			l.kept[len(l.kept)] = make([]byte, leakChunk)
		}
		if ticks++; ticks%4 == 0 {
			runtime.GC()
		}
	})
	l.kept = nil
}

func (l *leak) drop() {
	if l.kept != nil {
		l.kept = nil
		runtime.GC()
	}
}
