package memwatch

import (
	"fmt"
	"math"
	"time"
)

// Level says how near the process is to the end of its memory. The names are
// those of the kernel's own levels. The larger, the nearer.
type Level int

// The levels, the calmest first.
const (
	// Normal: there is room, or nothing that memory could meet.
	Normal Level = iota
	// Low pressure: what is only nice to have should not grow any more.
	Low
	// Medium pressure: caches should shrink; it is time for a profile.
	Medium
	// Critical: what is refused now need not be killed in a moment.
	Critical
)

var levelNames = [...]string{"normal", "low", "medium", "critical"}

// String returns the level in lower case.
func (l Level) String() string { return name(levelNames[:], int(l), "Level") }

// MarshalText is String for JSON.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (l *Level) UnmarshalText(text []byte) error {
	i, err := parse(levelNames[:], string(text), "level")
	if err == nil {
		*l = Level(i)
	}
	return err
}

// Kind says what pressure comes from.
type Kind int

// The kinds.
const (
	// Unbounded: no limit is known, and nobody waits.
	Unbounded Kind = iota
	// GoLimit is GOMEMLIMIT. It counts the memory of the Go runtime alone.
	GoLimit
	// ConfigLimit is Config.Limit.
	ConfigLimit
	// CgroupLimit is that of the control group of the process or of one around it.
	CgroupLimit
	// SystemMemory is what the machine has available.
	SystemMemory
	// Stalling is no limit: tasks wait for memory, whatever the limits say.
	Stalling
	kinds
)

var kindNames = [...]string{"unbounded", "gomemlimit", "config", "cgroup", "system", "stall"}

// String returns the kind in lower case.
func (k Kind) String() string { return name(kindNames[:], int(k), "Kind") }

// MarshalText is String for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	i, err := parse(kindNames[:], string(text), "kind")
	if err == nil {
		*k = Kind(i)
	}
	return err
}

// Bound is one limit and what counts against it, in bytes.
type Bound struct {
	Kind Kind `json:"kind"` // whose limit it is

	// Path is the file that holds the limit of a control group, else empty.
	Path string `json:"path,omitzero"`

	// Used is what no reclaim would free: no page cache, and no garbage that
	// the collector frees in time because GOMEMLIMIT tells it to.
	Used  uint64 `json:"used"`
	Limit uint64 `json:"limit"`
}

// Headroom is what is left, 0 beyond the limit.
func (b Bound) Headroom() uint64 { return b.Limit - min(b.Used, b.Limit) }

// Share is Used as a share of Limit, 0 if there is no limit.
func (b Bound) Share() float64 {
	if b.Limit == 0 {
		return 0
	}
	return float64(b.Used) / float64(b.Limit)
}

// Stall is the share of the last ten seconds in which tasks waited for memory,
// 0 to 1, as the kernel's pressure stall information has it.
type Stall struct {
	Some float64 `json:"some"` // at least one task waited
	Full float64 `json:"full"` // all that could have run waited
}

// Pressure is how near the process is to the end of its memory, and why. Run
// finds it at each interval.
type Pressure struct {
	Time  time.Time `json:"time"`  // of the reading; zero before the first
	Level Level     `json:"level"` // with hysteresis
	Since time.Time `json:"since"` // when Level was entered

	// Kind is what Level comes from: the limit of which most is used, or
	// Stalling. Bound is that limit even if Kind is Stalling, the zero Bound
	// if there is none; Headroom is what it leaves.
	Kind     Kind   `json:"kind"`
	Bound    Bound  `json:"bound"`
	Headroom uint64 `json:"headroom"`

	// TimeToLimit is how long Headroom lasts at the rate of the last readings
	// (32 of Run, five minutes by default). 100 years stand for never, 0 for
	// not known: fewer than eight readings, no limit, or no headroom.
	TimeToLimit time.Duration `json:"time_to_limit_ns"`

	// Bounds are all limits that were found, one of a kind, the one of which
	// most is used first.
	Bounds []Bound `json:"bounds,omitempty"`

	// Stall is that of the control group where it is known, else that of the
	// machine; zero where the kernel does not say.
	Stall Stall `json:"stall"`
}

// String is the pressure in one line.
func (p Pressure) String() string {
	line := fmt.Sprintf("pressure: %s", p.Level)
	if p.Kind == Stalling {
		line += fmt.Sprintf(", some tasks wait for memory %.0f %% of the time, all %.0f %%", p.Stall.Some*100, p.Stall.Full*100)
	}
	if b := p.Bound; b.Kind != Unbounded {
		line += fmt.Sprintf(", %s: %s of %s, %s left", b.Kind, size(float64(b.Used)), size(float64(b.Limit)), size(float64(p.Headroom)))
		if b.Path != "" {
			line += " (" + b.Path + ")"
		}
	}
	if p.TimeToLimit > 0 && p.TimeToLimit < never {
		line += fmt.Sprintf(", met in %v", p.TimeToLimit.Round(time.Second))
	}
	return line
}

// Defaults of the PressureConfig fields that are left zero, and what follows
// from Stall.
const (
	defaultLow      = 0.70
	defaultMedium   = 0.85
	defaultCritical = 0.95
	defaultMargin   = 0.05
	defaultStall    = 0.10
	defaultFall     = time.Minute
	worseStall      = 3   // times Stall: Medium if some wait, Critical if all
	stallMargin     = 0.5 // share of a threshold below which a stall is over
)

// PressureConfig says when pressure is of which level. The zero value is
// usable.
type PressureConfig struct {
	// Low, Medium and Critical are the shares of a limit from which on pressure
	// has that level. Zero means 0.70, 0.85, 0.95. They must not fall.
	Low, Medium, Critical float64

	// Stall is the share of time from which on it is Low that some task waits for
	// memory. Three times that is Medium, and if it is all tasks Critical. Zero
	// means 0.1. At least 1 turns it off.
	Stall float64

	// Margin is by how much less than a level's share must be used for the
	// level to end. Zero means 0.05. A stall must be half of its threshold.
	Margin float64

	// Rise and Fall are how long a higher level, or a lower one, must last
	// until it counts. Rise zero means at once, Fall zero one minute. The level
	// that counts then is the one that was kept throughout.
	Rise, Fall time.Duration
}

// filled returns c with its defaults.
func (c PressureConfig) filled() PressureConfig {
	for field, value := range map[*float64]float64{
		&c.Low: defaultLow, &c.Medium: defaultMedium, &c.Critical: defaultCritical,
		&c.Stall: defaultStall, &c.Margin: defaultMargin,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if c.Fall == 0 {
		c.Fall = defaultFall
	}
	return c
}

// check returns an error that names the field. c is filled.
func (c PressureConfig) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("memwatch: Config.Pressure.%s is %v, want %s", field, value, want)
	}
	switch {
	case math.IsNaN(c.Low) || c.Low < 0 || c.Low > 1:
		return bad("Low", c.Low, "0 to 1")
	case math.IsNaN(c.Medium) || c.Medium < c.Low || c.Medium > 1:
		return bad("Medium", c.Medium, fmt.Sprintf("Low, which is %v, to 1", c.Low))
	case math.IsNaN(c.Critical) || c.Critical < c.Medium || c.Critical > 1:
		return bad("Critical", c.Critical, fmt.Sprintf("Medium, which is %v, to 1", c.Medium))
	case math.IsNaN(c.Stall) || c.Stall < 0:
		return bad("Stall", c.Stall, "≥ 0")
	case math.IsNaN(c.Margin) || c.Margin < 0 || c.Margin >= c.Low:
		return bad("Margin", c.Margin, fmt.Sprintf("0 to less than Low, which is %v", c.Low))
	case c.Rise < 0:
		return bad("Rise", c.Rise, "≥ 0")
	case c.Fall < 0:
		return bad("Fall", c.Fall, "≥ 0")
	}
	return nil
}

// levels returns the level that a share and a stall have by the thresholds for
// entering one, and by the lower ones for staying in it. The second is never
// below the first.
func (c PressureConfig) levels(share float64, s Stall) (enter, stay Level) {
	return max(c.shareLevel(share), c.stallLevel(s, 1)), max(c.shareLevel(share+c.Margin), c.stallLevel(s, stallMargin))
}

func (c PressureConfig) shareLevel(share float64) Level {
	switch {
	case share >= c.Critical:
		return Critical
	case share >= c.Medium:
		return Medium
	case share >= c.Low:
		return Low
	}
	return Normal
}

// stallLevel judges a stall by thresholds of which scale is taken.
func (c PressureConfig) stallLevel(s Stall, scale float64) Level {
	worse := min(c.Stall*worseStall, 1) * scale
	switch {
	case c.Stall >= 1:
		return Normal
	case s.Full >= worse:
		return Critical
	case s.Some >= worse:
		return Medium
	case s.Some >= c.Stall*scale:
		return Low
	}
	return Normal
}
