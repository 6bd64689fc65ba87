// Package memwatchtest fails tests of code that keeps memory or goroutines
// with every call, and names the line.
//
//	func TestPutDoesNotLeak(t *testing.T) {
//		cache := newCache(100)
//		memwatchtest.CheckTest(t, func() { cache.Put(rand.Int()) })
//	}
//
// A leak is growth for each call that does not end. CheckTest calls the function
// 16 times to fill pools and small caches, then 32, 64 and 128 times, and looks
// after each round, with forced collections, at what every line has in use. A
// line that has kept at least a byte a call in each of the last three rounds,
// and in the last no less than a quarter of the most, is suspected; while one
// is, there are rounds of twice as many calls, up to 2,048. What grows until it
// is full, and what grows once, does not fail. A cache of more than some 500
// entries must be filled before.
//
// The counters are those of the whole process, so CheckTest refuses a test that
// is parallel. Every allocation is recorded meanwhile, which makes allocations
// some microseconds slower, and profiles that are written later in the same
// process wrong in their sums.
package memwatchtest

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bedplate/bedplate/memwatch"
)

const (
	warmup = 16 // calls before the first look
	first  = 32 // calls in the first round; twice as many in each after it
	last   = 2048
	rounds = 3 // that must agree
	shrink = 4 // growth a call below this share of the most has come to its end
)

// CheckTest calls fn 240 times, or up to 4,080 times while it seems to leak. It
// fails t, by Errorf, for each line that keeps memory with every call and if fn
// leaves goroutines behind. It does not say
// what is kept once. fn is called on the test's own goroutine, so it may end
// the test; how it fails is its own matter. A test that is parallel panics, as
// with T.Setenv.
//
// It takes twelve collections, or up to 24, and a few microseconds an
// allocation.
func CheckTest(t testing.TB, fn func()) {
	t.Helper()
	if fn == nil {
		panic("memwatchtest: fn is nil")
	}
	t.Setenv("MEMWATCHTEST", "1") // refuses parallel tests, now and later
	rate := runtime.MemProfileRate
	defer func() { runtime.MemProfileRate = rate }()
	runtime.MemProfileRate = 1

	for range warmup {
		fn()
	}
	var grown history // the newest last
	before := settle()
	for calls := first; calls <= last; calls *= 2 {
		var r round
		r, before = measure(before, calls, fn)
		copy(grown[:], grown[1:])
		grown[rounds-1] = r
		if calls >= first<<(rounds-1) && !grown.suspicious() {
			return
		}
	}
	grown.report(t)
}

// round is what some calls have left behind.
type round struct {
	calls      int
	sites      []memwatch.Site
	bytes      map[line]float64
	goroutines int
}

type line struct {
	fn, file string
	number   int
}

func lineOf(s memwatch.Site) line { return line{s.Func, s.File, s.Line} }

// measure calls fn and tells what has grown since before.
func measure(before memwatch.Profile, calls int, fn func()) (round, memwatch.Profile) {
	running := runtime.NumGoroutine()
	for range calls {
		fn()
	}
	after := settle()
	r := round{calls: calls, bytes: make(map[line]float64), goroutines: runtime.NumGoroutine() - running}
	for _, s := range after.Since(before, float64(calls)) {
		if !strings.HasPrefix(s.Func, own) {
			r.sites = append(r.sites, s)
			r.bytes[lineOf(s)] = s.Growth
		}
	}
	return r, after
}

// history are the last rounds.
type history [rounds]round

// leaking lists the lines that have grown in every round.
func (h *history) leaking() []memwatch.Site {
	var out []memwatch.Site
	for _, site := range h[rounds-1].sites {
		if h.grows(1, func(r round) float64 { return r.bytes[lineOf(site)] }) {
			out = append(out, site)
		}
	}
	return out
}

// spawning reports whether there are more goroutines after every round.
func (h *history) spawning() bool {
	return h.grows(0.5, func(r round) float64 { return float64(r.goroutines) })
}

func (h *history) suspicious() bool { return len(h.leaking()) > 0 || h.spawning() }

// report fails t for what has grown in every round.
func (h *history) report(t testing.TB) {
	t.Helper()
	r := h[rounds-1]
	for _, site := range h.leaking() {
		t.Errorf("memwatchtest: %.0f bytes a call are kept by %s %s:%d\n\t%s",
			site.Growth/float64(r.calls), site.Func, site.File, site.Line, strings.Join(site.Stack, "\n\t"))
	}
	if h.spawning() {
		t.Errorf("memwatchtest: %.1f goroutines a call are left; the most are%s",
			float64(r.goroutines)/float64(r.calls), most())
	}
}

// own begins the names of this package's functions.
const own = "github.com/bedplate/bedplate/memwatch/memwatchtest."

// grows reports whether at least least a call is kept in every round, and in
// the last one not much less than before.
func (h *history) grows(least float64, kept func(round) float64) bool {
	most, each := 0.0, 0.0
	for _, r := range h {
		each = kept(r) / float64(r.calls)
		if each < least {
			return false
		}
		most = max(most, each)
	}
	return each*shrink >= most
}

// most describes the largest group of goroutines.
func most() string {
	groups := memwatch.ReadGroups()
	if len(groups) == 0 {
		return " not known"
	}
	return fmt.Sprintf(" %s\n\t%s", groups[0], strings.Join(groups[0].Stack, "\n\t"))
}

// settle collects what can be collected and reads what is left. Two
// collections empty the pools, and the profile lags two behind; before the last
// ones, the cleanups of what the first found have run.
func settle() memwatch.Profile {
	var cleaned atomic.Bool
	marker := new(struct {
		self *byte
		_    [4]uintptr
	})
	runtime.AddCleanup(marker, func(done *atomic.Bool) { done.Store(true) }, &cleaned)
	runtime.GC()
	for i := 0; i < 10_000 && !cleaned.Load(); i++ {
		runtime.Gosched()
	}
	runtime.GC()
	runtime.GC()
	return memwatch.ReadProfile()
}
