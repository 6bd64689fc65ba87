package memwatch

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"
)

// Report is what a Watcher knows at one time. It prints itself in words, has
// JSON, and is a slog.LogValuer.
type Report struct {
	Name    string    `json:"name,omitzero"` // Config.Name
	Time    time.Time `json:"time"`
	Verdict Verdict   `json:"verdict"`
	Class   Class     `json:"class"` // what grows; Nothing below Watch

	// Missing is how many more points, one a collection and interval at most,
	// the heap must have before it is judged.
	Missing int `json:"missing"`

	// Duration is the time since the first sample after a collection, Growth
	// by how many bytes the live heap differs from then, Rate the same as a
	// share of it. They say what happened; Verdict says what it means.
	Duration time.Duration `json:"duration_ns"`
	Growth   int64         `json:"growth"`
	Rate     float64       `json:"rate"`
	First    Sample        `json:"first"`
	Last     Sample        `json:"last"`

	// Trends has one for each class but Nothing, over the span of time that is
	// most suspicious.
	Trends []Trend `json:"trends"`

	// Pressure is how near the end of memory is, as Run last found it.
	Pressure Pressure `json:"pressure"`

	// Limit is the limit that leaves the least room, 0 if there is none; Held
	// is what no collection can free of what counts against it. The memory of
	// the machine is taken where there is no other limit. Exhaustion is set if
	// Verdict is at least Suspect and there is a limit.
	Limit      uint64     `json:"limit"`
	Held       uint64     `json:"held"`
	Exhaustion Exhaustion `json:"exhaustion,omitzero"`

	// Sites are the lines that grow, the surest first, at most ten, and
	// SitesWindow is the time in which they have grown by that much.
	Sites       []Site        `json:"sites,omitempty"`
	SitesWindow time.Duration `json:"sites_window_ns,omitzero"`

	// Goroutines are the largest groups if Class is Goroutines, at most ten.
	// Leaked are those that nothing can wake, filled in by Confirm where the
	// runtime has a goroutineleak profile.
	Goroutines []Group `json:"goroutines,omitempty"`
	Leaked     []Group `json:"leaked,omitempty"`

	// Tracked has one for each of Config.Tracked.
	Tracked []TrackStats `json:"tracked,omitempty"`

	// Forced is set by Confirm.
	Forced *Forced `json:"forced,omitempty"`

	// Reasons say what the numbers do not.
	Reasons []string `json:"reasons,omitempty"`
}

// Exhaustion is the time left until the limit if the growth goes on, and its
// interval of 95 %. 100 years stand for never.
type Exhaustion struct {
	// By the robust slope, by the upper end of its interval, by the lower one.
	Expected time.Duration `json:"expected_ns"`
	Earliest time.Duration `json:"earliest_ns"`
	Latest   time.Duration `json:"latest_ns"`
}

// Forced is what two forced collections did: the live heap before and after.
type Forced struct {
	// Bytes.
	Before uint64 `json:"before"`
	After  uint64 `json:"after"`
}

// Freed is how many bytes the collections freed, 0 if the heap has grown.
func (f Forced) Freed() uint64 { return f.Before - min(f.Before, f.After) }

// String is the report in a few lines of English.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "memory")
	if r.Name != "" {
		fmt.Fprintf(&b, " of %s", r.Name)
	}
	fmt.Fprintf(&b, ": %s", r.Verdict)
	if r.Class != Nothing {
		fmt.Fprintf(&b, ", %s", r.Class)
	}
	if r.Duration > 0 {
		fmt.Fprintf(&b, "; live heap %s, %s (%+.1f %%) in %v",
			size(float64(r.Last.Live)), signed(float64(r.Growth)), r.Rate*100, r.Duration.Round(time.Millisecond))
	}
	b.WriteByte('\n')
	if r.Pressure.Level > Normal {
		fmt.Fprintf(&b, "  %s\n", r.Pressure)
	}
	for _, t := range r.Trends {
		if t.Verdict >= Watch {
			fmt.Fprintf(&b, "  %s\n", t)
		}
	}
	if r.Exhaustion.Latest > 0 {
		fmt.Fprintf(&b, "  the limit of %s is reached in %v (%v to %v)\n", size(float64(r.Limit)),
			r.Exhaustion.Expected.Round(time.Second), r.Exhaustion.Earliest.Round(time.Second), r.Exhaustion.Latest.Round(time.Second))
	}
	for _, s := range r.Sites {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	for _, g := range r.Goroutines {
		fmt.Fprintf(&b, "  %s\n", g)
	}
	for _, g := range r.Leaked {
		fmt.Fprintf(&b, "  leaked for ever: %s\n", g)
	}
	for _, t := range r.Tracked {
		if t.Overdue > 0 {
			fmt.Fprintf(&b, "  %s\n", t)
		}
	}
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  %s\n", reason)
	}
	return b.String()
}

// String is the trend in one line.
func (t Trend) String() string {
	show, signedShow := size, signed
	if t.Class == Goroutines {
		show = func(v float64) string { return fmt.Sprintf("%.0f", v) }
		signedShow = func(v float64) string { return fmt.Sprintf("%+.0f", v) }
	}
	line := fmt.Sprintf("%s: %s in %v (%s to %s), now %s, p = %.2g", t.Class, signedShow(t.Growth),
		t.Window.Round(time.Millisecond), signedShow(t.GrowthLo), signedShow(t.GrowthHi), show(t.Level), t.P)
	if t.Why != "" {
		line += "; " + t.Why
	}
	return line
}

// String is the site in one line.
func (s Site) String() string {
	return fmt.Sprintf("%s %s:%d: %s (%s to %s), z = %.1f, in use %s",
		s.Func, s.File, s.Line, signed(s.Growth), signed(s.Lo), signed(s.Hi), s.Z, size(s.InUse))
}

// String is the group in one line.
func (g Group) String() string {
	return fmt.Sprintf("%d goroutines at %s %s:%d", g.Count, g.Func, g.File, g.Line)
}

// LogValue is the report as a group of its main figures and the first site.
func (r Report) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("verdict", r.Verdict.String()),
		slog.String("class", r.Class.String()),
		slog.Uint64("live", r.Last.Live),
		slog.Int64("growth", r.Growth),
		slog.Duration("duration", r.Duration),
		slog.Uint64("goroutines", r.Last.Goroutines),
	}
	if r.Name != "" {
		attrs = append(attrs, slog.String("name", r.Name))
	}
	if r.Pressure.Level > Normal {
		attrs = append(attrs, slog.String("pressure", r.Pressure.Level.String()))
	}
	if r.Exhaustion.Latest > 0 {
		attrs = append(attrs, slog.Duration("exhaustion", r.Exhaustion.Expected))
	}
	if len(r.Sites) > 0 {
		attrs = append(attrs, slog.String("site", r.Sites[0].String()))
	}
	if len(r.Goroutines) > 0 {
		attrs = append(attrs, slog.String("group", r.Goroutines[0].String()))
	}
	return slog.GroupValue(attrs...)
}

// size writes bytes with a unit.
func size(v float64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; math.Abs(v) >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// signed is size with a plus before what is not negative.
func signed(v float64) string {
	if v < 0 {
		return size(v)
	}
	return "+" + size(v)
}
