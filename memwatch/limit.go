package memwatch

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"
)

const defaultLimitRatio = 0.9

// LimitConfig says how GOMEMLIMIT follows from the limit of a control group.
// The zero value is usable.
type LimitConfig struct {
	// Ratio is the share of the limit that Go may have. Zero means 0.9: what
	// cgo, mmap and the kernel need for the process is part of the rest.
	Ratio float64

	// Headroom is how many bytes of the limit are left in any case. Zero means
	// what Ratio leaves.
	Headroom uint64
}

// LimitOutcome is what SetLimit did.
type LimitOutcome int

// The outcomes.
const (
	// LimitNone: no control group has a limit, and nothing was changed.
	LimitNone LimitOutcome = iota
	// LimitKept: GOMEMLIMIT was set already, in the environment (be it "off")
	// or by the program, and nothing was changed.
	LimitKept
	// LimitSet: GOMEMLIMIT is now LimitChange.After.
	LimitSet
)

var outcomeNames = [...]string{"none", "kept", "set"}

// String returns the outcome in lower case.
func (o LimitOutcome) String() string { return name(outcomeNames[:], int(o), "LimitOutcome") }

// LimitChange says what SetLimit did and why. Undo takes it back.
type LimitChange struct {
	Outcome LimitOutcome // what was done

	// Path is the file with the limit of the control group, and Limit that
	// limit in bytes, or the memory of the machine if that is less. They are
	// set if Outcome is LimitSet.
	Path  string
	Limit uint64

	// Before and After are GOMEMLIMIT in bytes; math.MaxInt64 is none. They
	// are the same unless Outcome is LimitSet.
	Before, After int64
}

// String says in one line what was done.
func (c LimitChange) String() string {
	switch c.Outcome {
	case LimitSet:
		return fmt.Sprintf("GOMEMLIMIT is set to %s of %s (%s)", size(float64(c.After)), size(float64(c.Limit)), c.Path)
	case LimitKept:
		if c.After == math.MaxInt64 {
			return "GOMEMLIMIT is kept off"
		}
		return "GOMEMLIMIT is kept at " + size(float64(c.After))
	}
	return "GOMEMLIMIT is not set: no control group has a limit"
}

// ourLimit is the GOMEMLIMIT that SetLimit has set, which it may change again:
// that of others it keeps. Like GOMEMLIMIT itself there is one a process.
var ourLimit struct {
	sync.Mutex       // guards value, and makes looking at GOMEMLIMIT and setting it one step among SetLimit and Undo
	value      int64 // 0 if SetLimit has not set any
}

// SetLimit sets GOMEMLIMIT from the tightest limit of the control groups
// around the process, unless somebody has set it already. Call it first in
// main; call it again when the limit may have changed, and it follows. It
// fails if a field of cfg has a value that makes no sense or if Headroom
// leaves nothing, and then changes nothing. It reads some files, and stops the
// world as briefly as debug.SetMemoryLimit does.
func SetLimit(cfg LimitConfig) (LimitChange, error) { return setLimit(cfg, "") }

// setLimit takes the directory that stands for /.
func setLimit(cfg LimitConfig, root string) (LimitChange, error) {
	if cfg.Ratio == 0 {
		cfg.Ratio = defaultLimitRatio
	}
	if math.IsNaN(cfg.Ratio) || cfg.Ratio < 0 || cfg.Ratio > 1 {
		return LimitChange{}, fmt.Errorf("memwatch: LimitConfig.Ratio is %v, want 0 to 1", cfg.Ratio)
	}
	ourLimit.Lock()
	defer ourLimit.Unlock()
	now := debug.SetMemoryLimit(-1)
	c := LimitChange{Before: now, After: now}
	if os.Getenv("GOMEMLIMIT") != "" || now != math.MaxInt64 && now != ourLimit.value {
		c.Outcome = LimitKept
		return c, nil
	}
	path, limit := tightestGroup(root)
	if limit == 0 {
		return c, nil
	}
	if cfg.Headroom >= limit {
		return c, fmt.Errorf("memwatch: LimitConfig.Headroom is %d, want less than the limit of %d (%s)", cfg.Headroom, limit, path)
	}
	after := min(uint64(cfg.Ratio*float64(limit)), limit-cfg.Headroom)
	c = LimitChange{Outcome: LimitSet, Path: path, Limit: limit, Before: now, After: max(int64(after), 1)}
	debug.SetMemoryLimit(c.After)
	ourLimit.value = c.After
	return c, nil
}

// tightestGroup is the least limit that a control group sets, and where from;
// no more than the machine has.
func tightestGroup(root string) (path string, limit uint64) {
	m := &machine{root: root}
	m.open()
	defer m.shut()
	r := m.read()
	for _, g := range r.groups {
		if limit == 0 || g.limit < limit {
			path, limit = g.path, g.limit
		}
	}
	if r.total > 0 {
		limit = min(limit, r.total)
	}
	return path, limit
}

// Undo puts GOMEMLIMIT back to what it was before c, unless somebody else has
// changed it since. It reports whether it did.
func (c LimitChange) Undo() bool {
	ourLimit.Lock()
	defer ourLimit.Unlock()
	if c.Outcome != LimitSet || debug.SetMemoryLimit(-1) != c.After || ourLimit.value != c.After {
		return false
	}
	debug.SetMemoryLimit(c.Before)
	ourLimit.value = c.Before
	return true
}
