package memwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"time"
)

// Defaults of the Action fields that are left zero, and how long Run waits for
// actions when it ends.
const (
	defaultCoolDown = 10 * time.Minute
	defaultPerDay   = 24
	defaultTimeout  = time.Minute
	grace           = 5 * time.Second
)

// Action is what to do about an episode of pressure or of a suspicion: write a
// file to look at later, or call something that frees memory. An episode
// begins when the level is at least At, or the verdict at least Verdict, and
// ends when neither is. An action is done once in an episode, and once more each
// time that the level or the verdict is worse than when it was done; if it
// failed, again in the same episode. None of this is sooner than CoolDown
// after the last time, or oftener than PerDay.
//
// Each action has a goroutine of its own while it is done, and is never done
// twice at a time, so that one that hangs delays neither samples nor others. A
// panic in it passes through, and ends the process.
type Action struct {
	// Name appears in stats and in names of files: lower-case letters, digits
	// and hyphens. It is required, and no two may be the same.
	Name string

	// At is the level from which on it is done. Normal, which is zero, means
	// Medium.
	At Level

	// Verdict is that from which on it is done too. Zero means that no verdict
	// does.
	Verdict Verdict

	// CoolDown is the least time between two starts, zero means ten minutes.
	// PerDay is how many there are in 24 hours, with as many at once at
	// first; zero means 24.
	CoolDown time.Duration
	PerDay   int

	// Timeout is when its ctx is done, and what it writes is refused. Zero
	// means one minute.
	Timeout time.Duration

	// Do or Write is what is done; exactly one is set. The ctx of Do derives
	// from Run's. What Write writes is kept in a file in Config.Files.Dir, if
	// its error is nil.
	Do    func(ctx context.Context, e Episode) error
	Write func(to io.Writer, e Episode) error

	// Ext is what the name of the file ends with, after a dot. Zero means
	// pprof.
	Ext string
}

// Episode is why an action is done.
type Episode struct {
	Name     string    // Config.Name
	Since    time.Time // when the episode began
	Verdict  Verdict   // of the last analysis
	Pressure Pressure  // of the last interval; Pressure.Level is the level
}

// HeapProfile is an Action.Write: the memory profile, in pprof's format.
func HeapProfile(to io.Writer, _ Episode) error { return pprof.Lookup("heap").WriteTo(to, 0) }

// GoroutineProfile is an Action.Write: the stacks of all goroutines, in pprof's
// format. It stops the world as briefly as that does.
func GoroutineProfile(to io.Writer, _ Episode) error { return pprof.Lookup("goroutine").WriteTo(to, 0) }

// FlightRecording returns an Action.Write that writes what a
// *trace.FlightRecorder holds. Start the recorder before; Ext is "trace".
func FlightRecording(r io.WriterTo) func(to io.Writer, e Episode) error {
	return func(to io.Writer, _ Episode) error {
		_, err := r.WriteTo(to)
		return err
	}
}

// filled returns a with its defaults.
func (a Action) filled() Action {
	if a.At == Normal {
		a.At = Medium
	}
	if a.CoolDown == 0 {
		a.CoolDown = defaultCoolDown
	}
	if a.PerDay == 0 {
		a.PerDay = defaultPerDay
	}
	if a.Timeout == 0 {
		a.Timeout = defaultTimeout
	}
	if a.Ext == "" {
		a.Ext = "pprof"
	}
	return a
}

// check returns an error that names the field of action number i of cfg.
func (a Action) check(i int, cfg Config) error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("memwatch: Config.Actions[%d].%s is %v, want %s", i, field, value, want)
	}
	for _, other := range cfg.Actions[:i] {
		if other.Name == a.Name {
			return bad("Name", fmt.Sprintf("%q", a.Name), "another one for each")
		}
	}
	const word = "abcdefghijklmnopqrstuvwxyz0123456789"
	switch {
	case a.Name == "" || len(a.Name) > 32 || strings.Trim(a.Name, word+"-") != "":
		return bad("Name", fmt.Sprintf("%q", a.Name), "1 to 32 lower-case letters, digits and hyphens")
	case a.At < Normal || a.At > Critical:
		return bad("At", a.At, "a level")
	case a.Verdict < Insufficient || a.Verdict > Leak:
		return bad("Verdict", a.Verdict, "a verdict")
	case a.CoolDown < 0:
		return bad("CoolDown", a.CoolDown, "≥ 0")
	case a.PerDay < 0:
		return bad("PerDay", a.PerDay, "≥ 0")
	case a.Timeout < 0:
		return bad("Timeout", a.Timeout, "≥ 0")
	case (a.Do == nil) == (a.Write == nil):
		return fmt.Errorf("memwatch: Config.Actions[%d] has both or none of Do and Write, want one", i)
	case a.Write != nil && cfg.Files.Dir == "":
		return fmt.Errorf("memwatch: Config.Actions[%d] has Write, want Config.Files.Dir to be set", i)
	case len(a.Ext) > 16 || strings.Trim(a.Ext, word) != "":
		return bad("Ext", fmt.Sprintf("%q", a.Ext), "at most 16 lower-case letters and digits")
	}
	return nil
}

// actor is an action and what became of it. The Action is not changed; the
// rest is guarded by Watcher.mu.
type actor struct {
	Action
	busy    bool      // is being done; also while a Run that left it behind is over
	since   time.Time // when the episode began; zero outside of one
	done    trigger   // the worst it was done for in this episode
	waits   bool      // for something worse it is due, but must not be done yet
	last    time.Time // when it was last begun
	tokens  float64   // how often it may be begun now
	counted time.Time // when tokens was reckoned
	stats   ActionStats
}

// trigger is what an action is done for, each 0 if it does not call for it.
type trigger struct {
	level   Level
	verdict Verdict
}

// due takes what is found at an interval, and whether the action is being done.
// It reports whether the action is to begin now; then it has begun.
func (a *actor) due(now time.Time, level Level, verdict Verdict, busy bool) bool {
	var t trigger
	if level >= a.At {
		t.level = level
	}
	if a.Verdict > 0 && verdict >= a.Verdict {
		t.verdict = verdict
	}
	if t == (trigger{}) {
		a.since, a.done, a.waits = time.Time{}, trigger{}, false
		return false
	}
	if a.since.IsZero() {
		a.since = now
		a.stats.Episodes++
	}
	if t.level <= a.done.level && t.verdict <= a.done.verdict {
		return false
	}
	a.refill(now)
	if busy || !a.last.IsZero() && now.Sub(a.last) < a.CoolDown || a.tokens < 1 {
		if !a.waits {
			a.waits = true
			a.stats.Deferred++
		}
		return false
	}
	a.waits, a.busy, a.last = false, true, now
	a.tokens--
	a.done = trigger{max(a.done.level, t.level), max(a.done.verdict, t.verdict)}
	a.stats.Started++
	return true
}

func (a *actor) refill(now time.Time) {
	full := float64(a.PerDay)
	if a.counted.IsZero() {
		a.tokens = full
	} else {
		a.tokens = min(full, a.tokens+now.Sub(a.counted).Hours()/24*full)
	}
	a.counted = now
}

// crew are the actions that one Run has begun. Run alone uses it, but for the
// channel. An action is begun again only when its end has been received, so
// the channel has room for all that may be sent.
type crew struct {
	ended   chan int // which of Watcher.actors; has room for all
	working map[int]bool
}

// act begins the actions that are due.
func (w *Watcher) act(ctx context.Context, c *crew) {
	if len(w.actors) == 0 {
		return
	}
	c.collect()
	w.mu.Lock()
	e := Episode{Name: w.cfg.Name, Verdict: w.stats.Verdict}
	var begin []int
	var since []time.Time
	for i := range w.actors {
		if a := &w.actors[i]; a.due(w.gauge.now.Time, w.gauge.now.Level, e.Verdict, a.busy || c.working[i]) {
			begin, since = append(begin, i), append(since, a.since)
		}
	}
	if len(begin) > 0 {
		e.Pressure = w.gauge.pressure()
	}
	w.mu.Unlock()
	for k, i := range begin {
		e.Since = since[k]
		c.working[i] = true
		go w.perform(ctx, i, e, c.ended)
	}
}

// collect takes note of what has ended.
func (c *crew) collect() {
	for {
		select {
		case i := <-c.ended:
			delete(c.working, i)
		default:
			return
		}
	}
}

// leave waits for what is being done, some seconds at most, and returns an error
// if anything was left behind.
func (w *Watcher) leave(c *crew) error {
	c.collect()
	if len(c.working) == 0 {
		return nil
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for len(c.working) > 0 {
		select {
		case i := <-c.ended:
			delete(c.working, i)
		case <-timer.C:
			var names []string
			for i := range w.actors {
				if c.working[i] {
					names = append(names, w.actors[i].Name)
				}
			}
			return fmt.Errorf("%w: %s", ErrAbandoned, strings.Join(names, ", "))
		}
	}
	return nil
}

// errExited is that of an action that ended its goroutine.
var errExited = errors.New("memwatch: the action did not return")

// perform does an action. However that ends, it is told and counted.
func (w *Watcher) perform(ctx context.Context, i int, e Episode, ended chan<- int) {
	a := &w.actors[i].Action
	var kept saved
	err := errExited
	defer func() {
		w.finish(i, kept, err)
		ended <- i
	}()
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	if a.Do != nil {
		err = a.Do(ctx, e)
		return
	}
	kept, err = w.cfg.Files.save(ctx, a, e)
}

// finish counts an action that has ended. One that failed may be done again in
// the same episode.
func (w *Watcher) finish(i int, kept saved, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &w.actors[i]
	a.busy = false
	if kept.listed {
		w.stats.Files, w.stats.FileBytes = kept.files, kept.bytes
	}
	w.stats.FilesRemoved += uint64(kept.removed)
	switch {
	case errors.Is(err, errSpared):
		a.stats.Spared++
	case err != nil:
		a.stats.Failed++
		a.stats.LastError = err.Error()
		a.done = trigger{}
	default:
		a.stats.Succeeded++
		if kept.name != "" {
			a.stats.LastFile = kept.name
		}
	}
}
