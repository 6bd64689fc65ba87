package memwatch

import (
	"context"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Defaults of the Config fields that are left zero, and how many intervals
// lie between two analyses of Run.
const (
	defaultInterval  = 10 * time.Second
	defaultRatio     = 0.05
	defaultGrowth    = 1 << 20
	analysisEvery    = 6
	leastGoroutines  = 16 // fewer more are no alarm
	leastStackGrowth = 1 << 17
)

// Config describes a Watcher. The zero Config is usable.
type Config struct {
	// Name appears in reports. Empty leaves it out.
	Name string

	// Interval is the time between two samples; zero means 10 s. It sets what
	// the rings reach back to: 128 intervals, and 6, 60 and 720 times that. Run
	// analyses every sixth interval.
	Interval time.Duration

	// MinRatio and MinGrowth are what growth must surely exceed to be
	// suspected: a share of the present level, and bytes. Zero means 0.05 and
	// 1 MiB. Goroutines must have become 16 more, stacks must have grown by
	// 128 KiB.
	MinRatio  float64
	MinGrowth uint64

	// Limit is the memory in bytes at which the process is in trouble, if that
	// is less than what GOMEMLIMIT, its control groups and the machine allow,
	// which are known anyway. Zero means none of its own.
	Limit uint64

	// Pressure says when memory is short.
	Pressure PressureConfig

	// Actions are what to do when memory is short or leaks, and Files is where
	// those that write keep their files.
	Actions []Action
	Files   FilesConfig

	// Tracked are the trackers whose figures a Report has.
	Tracked []Tracked

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// Watcher watches the memory of this process and tells what leaks. It is safe
// for use by many goroutines. Make one with New or MustNew, and start Run.
type Watcher struct {
	cfg    Config
	floors floors
	meter  meter // used by the goroutine of Run alone

	mu       sync.Mutex // guards all below; held for microseconds, never over an analysis, a hook or a file of a control group
	source   source
	running  bool
	hook     runtime.Cleanup // fires when the next collection ends; armed while running
	hooked   bool
	base     time.Time // of the times in series; set when Run first begins
	seen     uint64    // the cycle of the newest point of the heap's series
	least    uint64    // the least live heap of the cycles since then that hook saw
	missed   bool      // hook saw any
	recent   ring[Sample]
	first    Sample // the first one after a collection
	series   [classes]series
	past     baselines
	resident uint64 // as last read; 0 when not running
	scratch  Sample // where source writes: behind an interface a local one would escape
	gauge    gauge
	stats    Stats // but for what Stats fills in
	actors   []actor
}

// New returns a Watcher as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field. Nothing is sampled
// before Run or Snapshot.
func New(cfg Config) (*Watcher, error) {
	cfg.Pressure, cfg.Files = cfg.Pressure.filled(), cfg.Files.filled()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.MinRatio == 0 {
		cfg.MinRatio = defaultRatio
	}
	if cfg.MinGrowth == 0 {
		cfg.MinGrowth = defaultGrowth
	}
	w := &Watcher{cfg: cfg, source: newProcess(), meter: new(machine), floors: floors{ratio: cfg.MinRatio}}
	for _, a := range cfg.Actions {
		w.actors = append(w.actors, actor{Action: a.filled()})
	}
	w.gauge.cfg = cfg.Pressure
	w.gauge.ladder = ladder{rise: cfg.Pressure.Rise, fall: cfg.Pressure.Fall}
	for c := range w.floors.least {
		w.floors.least[c] = float64(cfg.MinGrowth)
	}
	w.floors.least[Goroutines] = leastGoroutines
	w.floors.least[Stacks] = min(leastStackGrowth, float64(cfg.MinGrowth))
	return w, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Watcher {
	w, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return w
}

func (c Config) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("memwatch: Config.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Interval < 0:
		return bad("Interval", c.Interval, "≥ 0")
	case c.Interval > 0 && c.Interval < time.Millisecond:
		return bad("Interval", c.Interval, "≥ 1ms")
	case math.IsNaN(c.MinRatio) || c.MinRatio < 0:
		return bad("MinRatio", c.MinRatio, "≥ 0")
	case c.MinGrowth > math.MaxInt64:
		return bad("MinGrowth", c.MinGrowth, "≤ 9223372036854775807")
	}
	for i, a := range c.Actions {
		if err := a.check(i, c); err != nil {
			return err
		}
	}
	for i, t := range c.Tracked {
		if t == nil {
			return bad(fmt.Sprintf("Tracked[%d]", i), "nil", "a Tracker")
		}
	}
	if err := c.Pressure.check(); err != nil {
		return err
	}
	return c.Files.check()
}

// Run samples and finds the pressure at every interval, and analyses at every
// sixth, until ctx is done. It returns the error of ctx, which also matches
// context.Cause, or ErrRunning at once if another Run of w goes on. When it
// returns, nothing of it is left, but for an action that goes on for five
// seconds after its ctx is done: then the error matches ErrAbandoned as well.
// What was sampled stays, and a later Run goes on from there.
func (w *Watcher) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if !w.begin() {
		return ErrRunning
	}
	defer w.end()
	acting, cancel := context.WithCancel(ctx)
	defer cancel() // where a hook panics actions are not waited for
	c := &crew{ended: make(chan int, len(w.actors)), working: make(map[int]bool)}
	w.meter.open()
	defer w.meter.shut()
	ticker := time.NewTicker(w.cfg.Interval)
	defer ticker.Stop()
	var last Report
	for n := 1; ; n++ {
		w.tick(n%analysisEvery == 1)
		w.press()
		if n%analysisEvery == 0 {
			last = w.review(last)
		}
		w.act(acting, c)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if err := w.leave(c); err != nil {
				return fmt.Errorf("%w; %w", ctxError(ctx), err)
			}
			return ctxError(ctx)
		}
	}
}

// press finds the pressure of one interval, and tells of a change.
func (w *Watcher) press() {
	r := w.meter.read()
	w.mu.Lock()
	from := w.gauge.now.Level
	changed := w.gauge.step(&w.scratch, w.cfg.Limit, r)
	w.stats.Unreadable += uint64(r.unreadable)
	var now Pressure
	if changed {
		w.stats.Levels++
		now = w.gauge.pressure()
	}
	w.mu.Unlock()
	if hook := w.cfg.Hooks.OnPressure; hook != nil && changed {
		hook(PressureChange{From: from, Pressure: now})
	}
}

// review analyses, and tells of what is other than last time.
func (w *Watcher) review(last Report) Report {
	r := w.Analyze()
	w.remember()
	changed := r.Verdict != last.Verdict || r.Class != last.Class
	w.mu.Lock()
	w.stats.Analyses++
	w.stats.Verdict = r.Verdict
	if changed {
		w.stats.Changes++
	}
	w.mu.Unlock()
	if hook := w.cfg.Hooks.OnChange; hook != nil && changed {
		hook(Change{From: last.Verdict, Report: r})
	}
	return r
}

func (w *Watcher) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		return false
	}
	w.running = true
	if p, ok := w.source.(*process); ok {
		p.open()
		w.armLocked()
	}
	if w.base.IsZero() {
		w.base = time.Now()
	}
	return true
}

func (w *Watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	if p, ok := w.source.(*process); ok {
		p.shut()
	}
	w.resident = 0
	if w.hooked {
		w.hook.Stop()
		w.hooked = false
	}
}

// sentinel is garbage as soon as it is made, so its cleanup runs when the next
// collection ends. The pointer keeps it out of the allocator of tiny objects,
// where it would live as long as its neighbours.
type sentinel struct {
	self *sentinel
	_    [3]uintptr
}

// armLocked waits for the next collection. What runs then is not in a synctest
// bubble although w may be, so it only takes the lock, reads no clock, and
// leaves the number for the next tick.
func (w *Watcher) armLocked() {
	s := new(sentinel)
	s.self = s
	w.hook = runtime.AddCleanup(s, (*Watcher).collected, w)
	w.hooked = true
}

// collected takes note of the collection that has just ended.
func (w *Watcher) collected() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return
	}
	if cycle, live := w.source.cycle(); cycle > w.seen { // not one that Confirm forced
		w.noteLocked(live)
	}
	w.armLocked()
}

func (w *Watcher) noteLocked(live uint64) {
	if !w.missed || live < w.least {
		w.least, w.missed = live, true
	}
}

// tick takes the sample of one interval, if it is full with a new reading of
// resident memory. It does not allocate.
func (w *Watcher) tick(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if full {
		w.resident = w.source.resident()
	}
	s := w.sampleLocked()
	at := s.Time.Sub(w.base)
	add := func(c Class, v uint64) {
		w.series[c].add(w.cfg.Interval, point{at: at, v: float64(v)})
	}
	// A live heap that no collection has measured anew is no new point.
	if s.Cycle != w.seen {
		w.noteLocked(s.Live)
		s.Live = w.least
		w.seen, w.missed = s.Cycle, false
		add(Heap, s.Live)
		if w.first.Time.IsZero() {
			w.first = s
		}
	}
	add(Goroutines, s.Goroutines)
	add(Stacks, s.Stacks)
	add(Fragmentation, s.Unused)
	if full && s.Resident > 0 {
		add(OffHeap, s.OffHeap)
	}
	w.recent.push(s)
	w.stats.Samples++
}

func (w *Watcher) sampleLocked() Sample {
	w.scratch.Time = time.Now()
	s := &w.scratch
	w.source.sample(s)
	s.Resident = w.resident
	s.OffHeap = s.Resident - min(s.Resident, s.Total)
	return *s
}

// Snapshot samples the process now, whether or not Run goes on. The sample is
// not kept. It takes about a microsecond and does not allocate.
func (w *Watcher) Snapshot() Sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sampleLocked()
}

// Pressure returns how near the process is to the end of its memory, as Run
// found it at its last interval. Before the first it is the zero Pressure. It
// reads no file.
func (w *Watcher) Pressure() Pressure {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gauge.pressure()
}

// Samples yields the newest samples that Run took, up to 128, oldest first. It
// yields a copy made when the loop begins.
func (w *Watcher) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		w.mu.Lock()
		kept := slices.AppendSeq(make([]Sample, 0, ringLen), w.recent.all())
		w.mu.Unlock()
		for _, s := range kept {
			if !yield(s) {
				return
			}
		}
	}
}

// remember keeps a memory profile for later analyses to compare with.
func (w *Watcher) remember() {
	sites := readSites()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.past.add(snapshot{at: time.Since(w.base), sites: sites})
}

// Confirm is what to do about a suspicion by hand: it forces two collections
// (the second frees what finalizers and sync.Pool still held), and analyses
// with the profile of what is left, which is then up to date. Report.Forced
// says what was freed; a suspicion that this explains is only a Watch. Where
// the runtime has a goroutineleak profile, Report.Leaked lists the goroutines
// that nothing can wake any more.
//
// It costs what two collections cost: a third of a second for a gigabyte full
// of pointers. The collections leave no point in the trend. A ctx that is done
// before or between them is an error, and there is no report.
func (w *Watcher) Confirm(ctx context.Context) (Report, error) {
	var before, after Sample
	for i := range 2 {
		if ctx.Err() != nil {
			return Report{}, ctxError(ctx)
		}
		if i == 0 {
			before = w.Snapshot()
		}
		w.collect()
	}
	after = w.Snapshot()
	r := w.Analyze()
	r.Forced = &Forced{Before: before.Live, After: after.Live}
	r.Leaked = groups("goroutineleak")
	r.weigh()
	return r, nil
}

// collect forces a collection and hides it from the trend.
func (w *Watcher) collect() {
	runtime.GC()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, _ = w.source.cycle()
	w.missed = false
}
