package memwatch

import (
	"fmt"
	"math"
	"runtime"
	"time"
)

// sure is the z-score from which a call site makes a Leak of a Suspect.
const sure = 4

// Analyze tells what the samples so far say. It may be called at any time, by
// many, and keeps nothing. It reads a memory profile and tests up to twenty
// spans: some milliseconds on the caller's goroutine, no stop of the world;
// only if goroutines have become more does it group them, which takes as long
// as a goroutine profile.
func (w *Watcher) Analyze() Report {
	var spans [classes][len(blocks)][]point
	w.mu.Lock()
	r := Report{Name: w.cfg.Name, First: w.first, Last: w.sampleLocked()}
	r.Time = r.Last.Time
	for c := range spans {
		spans[c] = w.series[c].spans()
	}
	at := r.Time.Sub(w.base)
	past := w.past
	r.Pressure = w.gauge.pressure()
	w.mu.Unlock()

	for _, t := range w.cfg.Tracked {
		r.Tracked = append(r.Tracked, t.Stats())
	}
	window := r.judge(w.floors, &spans)
	if from := r.name(past, at-window); len(r.Sites) > 0 {
		r.SitesWindow = at - from
	}
	r.explain()
	r.exhaust(w.cfg.Limit)
	if r.Class == Goroutines {
		r.Goroutines = groups("goroutine")
	}
	return r
}

// judge fills in the trends and the verdict. It returns the span for which the
// call sites are to be compared: that of the heap's trend.
func (r *Report) judge(f floors, spans *[classes][len(blocks)][]point) (window time.Duration) {
	var verdictOf [classes]Verdict
	for c := Goroutines; c < classes; c++ {
		worst, v := combine(f.trends(c, spans[c]))
		verdictOf[c] = v
		r.Trends = append(r.Trends, worst)
		if c == Heap {
			window = worst.Window
			r.Missing = max(0, fewest-worst.Points)
		}
	}
	r.Verdict = verdictOf[Heap]
	for c := Goroutines; c < classes; c++ {
		if verdictOf[c] >= Watch {
			r.Verdict = max(r.Verdict, verdictOf[c])
		}
	}
	// What is suspected first explains the rest.
	for c := classes - 1; c > Nothing && r.Verdict >= Watch; c-- {
		if verdictOf[c] == r.Verdict || verdictOf[c] >= Suspect {
			r.Class = c
		}
	}
	return window
}

// name finds the call sites that grow since the profile nearest to a time, and
// returns when that was.
func (r *Report) name(past baselines, since time.Duration) (from time.Duration) {
	if runtime.MemProfileRate <= 0 {
		r.Reasons = append(r.Reasons, "no call sites: runtime.MemProfileRate is 0")
		return 0
	}
	base, ok := past.nearest(since)
	if !ok {
		return 0 // nothing to compare with until Run has analysed once
	}
	heap := r.trend(Heap)
	enough := math.Inf(1)
	if heap.Verdict == Suspect {
		enough = max(heap.Growth/2, 1) // who explains most of it, and be it one large object
	}
	r.Sites = growing(base.sites, readSites(), enough)
	if heap.Verdict == Suspect && len(r.Sites) > 0 && r.Sites[0].Z >= sure {
		r.Verdict = Leak
	}
	return base.at
}

// explain says in words what the numbers do not.
func (r *Report) explain() {
	if r.Verdict == Insufficient {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d more collections are needed to judge the heap", r.Missing))
	}
	if r.First.Time.IsZero() {
		return
	}
	r.Duration = r.Time.Sub(r.First.Time)
	r.Growth = int64(r.Last.Live) - int64(r.First.Live)
	if r.First.Live > 0 {
		r.Rate = float64(r.Growth) / float64(r.First.Live)
	}
}

// exhaust reckons when the class that grows meets the tightest limit.
func (r *Report) exhaust(limit uint64) {
	b := r.tightest(limit)
	r.Limit, r.Held = b.Limit, b.Used
	c := r.Class
	if c == Goroutines {
		c = Heap // what goroutines keep is there, as far as it matters
	}
	if t := r.trend(c); r.Limit > 0 && r.Verdict >= Suspect && t.Growth > 0 {
		left := float64(r.Limit) - float64(r.Held)
		r.Exhaustion = Exhaustion{
			Expected: until(left, t.Growth, t.Window),
			Earliest: until(left, t.GrowthHi, t.Window),
			Latest:   until(left, t.GrowthLo, t.Window),
		}
	}
}

// tightest is the limit that leaves the least room, of the last sample and of
// what Run found outside of Go. The machine's memory counts where there is no
// other limit. Without any, Used is what the process holds.
func (r *Report) tightest(configured uint64) Bound {
	out := Bound{Used: r.Last.held()}
	all := r.Last.bounds(nil, configured, new(reading)) // Go's and the user's, up to date
	for _, b := range r.Pressure.Bounds {
		if b.Kind == CgroupLimit || b.Kind == SystemMemory {
			all = append(all, b)
		}
	}
	for _, b := range all {
		switch {
		case out.Kind == Unbounded,
			out.Kind == SystemMemory && b.Kind != SystemMemory,
			b.Kind != SystemMemory && b.Headroom() < out.Headroom():
			out = b
		}
	}
	return out
}

// never stands for a time that does not come.
const never = 100 * 365 * 24 * time.Hour

// until is how long growth takes to fill what is left.
func until(left, growth float64, window time.Duration) time.Duration {
	if left <= 0 {
		return 0
	}
	if growth <= 0 {
		return never
	}
	return time.Duration(min(left/growth*float64(window), float64(never)))
}

// weigh lowers a suspicion that forced collections have explained: more than
// half of what the heap had grown is free now.
func (r *Report) weigh() {
	t := r.trend(Heap)
	if r.Class != Heap || r.Verdict < Suspect {
		return
	}
	if freed := float64(r.Forced.Freed()); freed > t.Growth/2 {
		r.Verdict = Watch
		r.Reasons = append(r.Reasons, "forced collections freed "+size(freed)+": finalizers or pools held it")
	} else {
		r.Reasons = append(r.Reasons, "two forced collections did not free it")
	}
}

// trend returns the trend of a class, the zero Trend of Nothing.
func (r *Report) trend(c Class) Trend {
	for _, t := range r.Trends {
		if t.Class == c {
			return t
		}
	}
	return Trend{}
}
