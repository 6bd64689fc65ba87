package memwatch

import (
	"fmt"
	"time"
)

// Verdict says how sure it is that memory leaks. The larger, the surer.
type Verdict int

// The verdicts, the least alarming first.
const (
	// Insufficient: too few points to test. Report.Missing says how many
	// collections are needed yet.
	Insufficient Verdict = iota
	// None: nothing grows that cannot be chance.
	None
	// Watch: something has grown more than chance explains, but it is small,
	// slows down, or has been as large before.
	Watch
	// Suspect: something grows significantly and materially, goes on to, and
	// is larger than ever.
	Suspect
	// Leak: so it does on a span of time three times as long as well, or the
	// line that allocates it is known.
	Leak
)

var verdicts = [...]string{"insufficient", "none", "watch", "suspect", "leak"}

// String returns the verdict in lower case.
func (v Verdict) String() string { return name(verdicts[:], int(v), "Verdict") }

// MarshalText is String for JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (v *Verdict) UnmarshalText(text []byte) error {
	i, err := parse(verdicts[:], string(text), "verdict")
	if err == nil {
		*v = Verdict(i)
	}
	return err
}

// Class says what grows.
type Class int

// The classes, in the order in which one is preferred to explain the others: a
// goroutine that never ends keeps heap and stack as well.
const (
	// Nothing grows.
	Nothing Class = iota
	// Goroutines: their number.
	Goroutines
	// Heap: what is reachable after a collection.
	Heap
	// Stacks: what goroutines stand on, though they do not become more.
	Stacks
	// OffHeap: resident memory that Go knows nothing about: cgo, mmap.
	OffHeap
	// Fragmentation: memory inside spans that no object uses.
	Fragmentation
	classes
)

var classNames = [...]string{"nothing", "goroutines", "heap", "stacks", "off-heap", "fragmentation"}

// String returns the class in lower case.
func (c Class) String() string { return name(classNames[:], int(c), "Class") }

// MarshalText is String for JSON.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Class) UnmarshalText(text []byte) error {
	i, err := parse(classNames[:], string(text), "class")
	if err == nil {
		*c = Class(i)
	}
	return err
}

func name(list []string, i int, kind string) string {
	if i < 0 || i >= len(list) {
		return fmt.Sprintf("%s(%d)", kind, i)
	}
	return list[i]
}

func parse(list []string, text, kind string) (int, error) {
	for i, s := range list {
		if s == text {
			return i, nil
		}
	}
	return 0, fmt.Errorf("memwatch: unknown %s %q", kind, text)
}

// Trend is how one quantity has grown over one span of time. Values are bytes,
// or goroutines if Class is Goroutines.
type Trend struct {
	// What was tested, over how long and by how many points, and what this span
	// alone says: at most Suspect.
	Class   Class         `json:"class"`
	Verdict Verdict       `json:"verdict"`
	Window  time.Duration `json:"window_ns"`
	Points  int           `json:"points"`

	// P is the chance of such a rise where there is no trend, corrected for
	// autocorrelation.
	P float64 `json:"p"`

	// Level is the median of the last points, and Growth how much the window
	// has added by the robust slope; Lo and Hi are its interval of 95 %.
	Level    float64 `json:"level"`
	Growth   float64 `json:"growth"`
	GrowthLo float64 `json:"growth_lo"`
	GrowthHi float64 `json:"growth_hi"`

	// Why says in a few words what keeps Verdict from being Suspect. It is
	// empty if it is Suspect or nothing rises.
	Why string `json:"why,omitzero"`
}

// PerHour is the growth in an hour at this rate, with its interval of 95 %.
func (t Trend) PerHour() (growth, lo, hi float64) {
	if t.Window <= 0 {
		return 0, 0, 0
	}
	f := float64(time.Hour) / float64(t.Window)
	return t.Growth * f, t.GrowthLo * f, t.GrowthHi * f
}

// floors are the growths below which nothing is an alarm.
type floors struct {
	ratio float64          // share of the level
	least [classes]float64 // bytes or goroutines
}

// judge tests one span. older are the points of longer rings from before it.
func (f floors) judge(class Class, pts, older []point) Trend {
	t := Trend{Class: class, Points: len(pts), P: 1}
	if len(pts) > 1 {
		t.Window = pts[len(pts)-1].at - pts[0].at
		t.Level = level(pts)
	}
	if len(pts) < fewest {
		return t
	}
	t.Verdict = None
	if !rises(pts) {
		return t
	}
	l := fit(pts)
	window := t.Window.Seconds()
	t.P, t.Growth, t.GrowthLo, t.GrowthHi = l.p(), l.slope*window, l.lo*window, l.hi*window
	if l.z <= normalWatch {
		return t
	}
	t.Verdict = Watch
	switch {
	case t.GrowthLo <= max(f.ratio*t.Level, f.least[class]):
		t.Why = "it may be small"
	case !l.lasts(pts):
		t.Why = "it slows down"
	case precedent(older, (1-min(f.ratio, 1))*t.Level):
		t.Why = "it has been as large before"
	default:
		t.Verdict = Suspect
	}
	return t
}

// level is the median of the last eighth of pts.
func level(pts []point) float64 {
	tail := pts[len(pts)-max(1, len(pts)/8):]
	values := make([]float64, len(tail))
	for i, p := range tail {
		values[i] = p.v
	}
	return median(values)
}

// precedent reports whether the series has been at a level before. Load that
// comes and goes has, a leak has not. What is within the ratio of a level is
// that level: the points of longer rings are the least of longer blocks, so
// they never reach as high.
func precedent(older []point, level float64) bool {
	for _, p := range older {
		if p.v >= level {
			return true
		}
	}
	return false
}

// trends judges the spans of one series, shortest first. Those with too few
// points are left out unless it is the first.
func (f floors) trends(class Class, spans [len(blocks)][]point) []Trend {
	var out []Trend
	for i, pts := range spans {
		if i > 0 && len(pts) < fewest {
			continue
		}
		var older []point
		for _, longer := range spans[i+1:] {
			for _, p := range longer {
				if len(pts) > 0 && p.at < pts[0].at {
					older = append(older, p)
				}
			}
		}
		out = append(out, f.judge(class, pts, older))
	}
	return out
}

// combine makes one verdict of the trends of one series: Leak if two spans are
// Suspect of which one is three times as long.
func combine(trends []Trend) (worst Trend, v Verdict) {
	for i, t := range trends {
		if i == 0 || t.Verdict > worst.Verdict || t.Verdict == worst.Verdict && t.Verdict >= Suspect {
			worst = t // the longest of the worst
		}
		v = max(v, t.Verdict)
		for _, other := range trends[:i] {
			if t.Verdict == Suspect && other.Verdict == Suspect && t.Window >= 3*other.Window {
				v = Leak
			}
		}
	}
	return worst, v
}
