package memwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/trace"
	"slices"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// Watch for as long as the service runs, and log what changes.
func Example() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()

	w := memwatch.MustNew(memwatch.Config{Name: "api", Hooks: memwatch.Hooks{
		OnChange: func(c memwatch.Change) {
			if c.Report.Verdict >= memwatch.Suspect {
				log.Warn("memory", "report", c.Report)
			}
		},
	}})
	go w.Run(ctx)

	<-ctx.Done()
	fmt.Println(w.Analyze().Verdict)
	// Output: insufficient
}

// Wrong fields are named.
func ExampleNew() {
	_, err := memwatch.New(memwatch.Config{Interval: -time.Second})
	fmt.Println(err)
	// Output: memwatch: Config.Interval is -1s, want ≥ 0
}

// Run ends with its context.
func ExampleWatcher_Run() {
	w := memwatch.MustNew(memwatch.Config{Interval: time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	fmt.Println(w.Run(ctx))

	samples := 0
	for range w.Samples() {
		samples++
	}
	fmt.Println(samples > 0)
	// Output:
	// context deadline exceeded
	// true
}

// One look at the process, without Run.
func ExampleWatcher_Snapshot() {
	w := memwatch.MustNew(memwatch.Config{})
	s := w.Snapshot()
	fmt.Println(s.Total > s.Stacks, s.Goroutines > 0)
	// Output: true true
}

// An operator's question: is it really a leak?
func ExampleWatcher_Confirm() {
	w := memwatch.MustNew(memwatch.Config{})
	report, err := w.Confirm(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict, report.Forced.Freed() <= report.Forced.Before)
	// Output: insufficient true
}

// A trend by the hour.
func ExampleTrend_PerHour() {
	t := memwatch.Trend{Window: 20 * time.Minute, Growth: 3, GrowthLo: 2, GrowthHi: 4}
	fmt.Println(t.PerHour())
	// Output: 9 6 12
}

// What a piece of code keeps, by line.
func ExampleProfile_Since() {
	before := memwatch.ReadProfile()
	// Run the code here.
	for _, site := range memwatch.ReadProfile().Since(before, 1<<20) {
		fmt.Fprintln(os.Stderr, site)
	}
	fmt.Println(len(memwatch.ReadGroups()) > 0)
	// Output: true
}

// Shed load while memory is short.
func ExampleWatcher_Pressure() {
	w := memwatch.MustNew(memwatch.Config{
		Limit: 1, // bytes, to be short of it at once
		Hooks: memwatch.Hooks{OnPressure: func(c memwatch.PressureChange) {
			fmt.Println(c.From, "to", c.Pressure.Level, "by", c.Pressure.Kind)
		}},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_ = w.Run(ctx)

	if p := w.Pressure(); p.Level >= memwatch.Medium {
		fmt.Println("refused,", p.Headroom, "bytes left;", p.Bound.Headroom(), "of", p.Bound.Limit, p.Bound.Share() > 0.95)
	}
	fmt.Println(w.Stats().Levels)
	// Output:
	// normal to critical by config
	// refused, 0 bytes left; 0 of 1 true
	// 1
}

// Let the collector know of the container's limit.
func ExampleSetLimit() {
	change, err := memwatch.SetLimit(memwatch.LimitConfig{Ratio: 0.9})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer change.Undo() // a service leaves it
	fmt.Fprintln(os.Stderr, change)
	fmt.Println(change.After > 0)
	// Output: true
}

// Look into a shortage of memory afterwards: profiles and the last seconds of
// the execution trace, written when it happens.
func ExampleFlightRecording() {
	dir, err := os.MkdirTemp("", "memwatch")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) // a service keeps it

	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 5 * time.Second})
	if err := recorder.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer recorder.Stop()

	ctx, cancel := context.WithCancel(context.Background())
	w := memwatch.MustNew(memwatch.Config{
		Interval: time.Millisecond,
		Limit:    1, // bytes, to be short of it at once
		Files:    memwatch.FilesConfig{Dir: dir, MaxFiles: 10},
		Actions: []memwatch.Action{
			{Name: "heap", At: memwatch.Medium, Verdict: memwatch.Leak, Write: memwatch.HeapProfile},
			{Name: "goroutines", At: memwatch.Medium, Write: memwatch.GoroutineProfile},
			{Name: "flight", At: memwatch.Critical, Write: memwatch.FlightRecording(recorder), Ext: "trace"},
			{Name: "shed", At: memwatch.Critical, Do: func(context.Context, memwatch.Episode) error {
				return nil // purge a cache, refuse calls
			}},
		},
	})
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	for _, name := range []string{"heap", "goroutines", "flight", "shed"} {
		for range time.Tick(time.Millisecond) {
			actions := w.Stats().Actions
			i := slices.IndexFunc(actions, func(a memwatch.ActionStats) bool { return a.Name == name })
			if a := actions[i]; a.Succeeded > 0 {
				fmt.Println(a.Name, a.Started, a.Failed)
				break
			}
		}
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// heap 1 0
	// goroutines 1 0
	// flight 1 0
	// shed 1 0
	// context canceled
}

// Who keeps the sessions that ended?
func ExampleTracker() {
	type session struct{ user string }
	sessions := memwatch.MustNewTracker[session](memwatch.TrackerConfig{Name: "session", After: 1})

	var forgotten []*session
	for i := range 3 {
		s := &session{user: fmt.Sprint("user ", i)}
		sessions.Track(s)
		forgotten = append(forgotten, s)
		sessions.Done(s) // the session has ended
	}
	for range 3 { // collections come by themselves in a service
		runtime.GC()
	}
	for _, s := range sessions.Overdue() {
		fmt.Println(s.user)
	}
	fmt.Println(sessions.Stats().Overdue)
	runtime.KeepAlive(forgotten) // which a registry does in a service
	// Output:
	// user 0
	// user 1
	// user 2
	// 3
}

// What cannot be tracked is refused.
func ExampleNewTracker() {
	_, err := memwatch.NewTracker[int64](memwatch.TrackerConfig{})
	fmt.Println(err)
	// Output: memwatch: T is int64 of 8 bytes without pointers, want at least 16 or pointers
}
