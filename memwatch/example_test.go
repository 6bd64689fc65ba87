package memwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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
