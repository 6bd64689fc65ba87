package ratelimit

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Algorithm is how a Limit counts.
type Algorithm uint8

// The algorithms.
const (
	// SlidingWindow admits at most N events in any window, wherever it
	// begins. It is the default.
	SlidingWindow Algorithm = iota

	// GCRA admits N events per window at an even rate, and up to Burst at
	// once: at most Burst + N in any window. It needs 8 bytes a key whatever
	// N is, and a Single with one such limit takes no lock.
	GCRA
)

// String returns the name of the algorithm.
func (a Algorithm) String() string {
	switch a {
	case SlidingWindow:
		return "sliding window"
	case GCRA:
		return "GCRA"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// Bounds of what a Limit can hold.
const (
	// ExactEvents is how many events a sliding window remembers one by one.
	// With a larger N it counts them in steps of Window/255: an event then
	// leaves the window up to one step late, and never early.
	ExactEvents = 256

	maxExact  = 1 << 15
	maxLimit  = math.MaxInt32
	maxWindow = 10 * 365 * 24 * time.Hour
	wideSteps = ExactEvents - 1
)

// Limit is one rule: so many events in so much time.
type Limit struct {
	// Name tells the rule apart in decisions, errors and header fields.
	// Empty is allowed.
	Name string

	// N is how many events there may be in a Window. Zero denies all.
	N int

	// Window is the time in which they are counted. Zero means a minute. An
	// event counts in the half-open window (now-Window, now]: one that is
	// exactly Window old no longer does.
	Window time.Duration

	// Algorithm is how they are counted. Zero means SlidingWindow.
	Algorithm Algorithm

	// Burst is how many events GCRA admits at once. Zero means N. It must be
	// zero for SlidingWindow, whose burst is N.
	Burst int

	// Exact makes a sliding window remember each event even if N is above
	// ExactEvents, in 4 bytes each. N may then be up to 32768.
	Exact bool

	// Shadow makes the rule report in decisions, Stats and Hooks what it
	// would refuse, and refuse nothing.
	Shadow bool
}

// Per returns the limit of n events in any window of that length.
func Per(n int, window time.Duration) Limit { return Limit{N: n, Window: window} }

// Rate returns the limit of n events per window at an even rate, and burst at
// once, by GCRA.
func Rate(n int, window time.Duration, burst int) Limit {
	return Limit{N: n, Window: window, Algorithm: GCRA, Burst: burst}
}

// check reports the first field that makes no sense. Defaults are filled in.
func (l Limit) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("ratelimit: Limit.%s is %v, want %s", field, value, want)
	}
	switch {
	case l.N < 0 || l.N > maxLimit:
		return bad("N", l.N, "0 to 2147483647")
	case l.Window < 0 || l.Window > maxWindow:
		return bad("Window", l.Window, "≥ 0 and at most ten years")
	case l.Algorithm > GCRA:
		return bad("Algorithm", l.Algorithm, "SlidingWindow or GCRA")
	case l.Algorithm == SlidingWindow && l.Burst != 0:
		return bad("Burst", l.Burst, "0 for a sliding window")
	case l.Burst < 0 || l.Burst > maxLimit:
		return bad("Burst", l.Burst, "0 to 2147483647")
	case l.Algorithm == GCRA && l.Exact:
		return bad("Exact", l.Exact, "false for GCRA")
	case l.Exact && l.N > maxExact:
		return bad("N", l.N, "at most 32768 with Exact")
	case l.Algorithm == GCRA && l.N > 0 && int64(l.N) > int64(l.Window):
		return bad("N", l.N, "at most one a nanosecond")
	}
	if l.Algorithm == GCRA && l.N > 0 {
		interval := (int64(l.Window) + int64(l.N) - 1) / int64(l.N)
		if hi, lo := bits.Mul64(uint64(interval), uint64(l.Burst)); hi > 0 || lo > uint64(maxWindow) {
			return bad("Burst", l.Burst, "what the rate makes good in ten years")
		}
	}
	return nil
}

// Plan is a set of limits that hold at once: an event is admitted if all of
// them admit it, and then counts in all of them. A Plan never changes and may
// be shared.
type Plan struct {
	rules   []rule
	horizon int64 // ns after its last event in which a key has no state left
	denies  int   // the first enforced rule with a limit of zero, or -1
	simple  bool  // one enforced rule: the shortest way through
}

// NewPlan returns the plan of the limits. It fails if there is none or one
// makes no sense, and the error names the field.
func NewPlan(limits ...Limit) (*Plan, error) {
	if len(limits) == 0 {
		return nil, fmt.Errorf("ratelimit: NewPlan has %d limits, want ≥ 1 (use Unlimited for none)", len(limits))
	}
	p := &Plan{denies: -1}
	for i, l := range limits {
		if l.Window == 0 {
			l.Window = time.Minute
		}
		if l.Algorithm == GCRA && l.Burst == 0 {
			l.Burst = l.N
		}
		if err := l.check(); err != nil {
			return nil, err
		}
		r := l.compile()
		p.rules = append(p.rules, r)
		p.horizon = max(p.horizon, r.horizon())
		if r.limit == 0 && !r.shadow && p.denies < 0 {
			p.denies = i
		}
	}
	r := &p.rules[0]
	p.simple = len(p.rules) == 1 && !r.shadow && r.limit > 0
	return p, nil
}

// MustNewPlan is NewPlan for package variables: it panics where NewPlan
// returns an error.
func MustNewPlan(limits ...Limit) *Plan {
	p, err := NewPlan(limits...)
	if err != nil {
		panic(err.Error())
	}
	return p
}

// Unlimited returns the plan without limits, for keys on an allow-list. They
// are admitted always and take no memory.
func Unlimited() *Plan { return &Plan{denies: -1} }

// Limits returns the limits of p, defaults filled in, in their order.
func (p *Plan) Limits() []Limit {
	out := make([]Limit, len(p.rules))
	for i := range p.rules {
		out[i] = p.rules[i].source
	}
	return out
}

// rule is a compiled Limit.
type rule struct {
	limit  int   // events: N, or the Burst of GCRA
	window int64 // ns
	unit   int64 // ns in a tick, the grain of stamps
	shift  uint8 // unit is 1<<shift, unless wide
	wide   bool  // an entry is a stamp and a count, rather than a stamp
	gcra   bool
	shadow bool

	interval int64 // GCRA: ns that one event costs, rounded up
	name     string
	source   Limit
}

func (l Limit) compile() rule {
	r := rule{limit: l.N, window: int64(l.Window), unit: 1, shadow: l.Shadow, name: l.Name, source: l}
	switch {
	case l.Algorithm == GCRA:
		r.gcra = true
		if l.N > 0 {
			r.limit = l.Burst
			r.interval = (r.window + int64(l.N) - 1) / int64(l.N)
		}
	case l.N > ExactEvents && !l.Exact:
		r.wide = true
		r.unit = (r.window + wideSteps - 1) / wideSteps
	default:
		// Stamps are 32 bits of the number of a tick. A quarter of their range
		// holds a window, so that older and newer can be told apart.
		r.shift = uint8(max(bits.Len64(uint64(r.window))-30, 0))
		r.unit = 1 << r.shift
	}
	return r
}

// horizon returns after how many ns without an event no trace is left.
func (r *rule) horizon() int64 {
	if r.gcra {
		return r.interval * int64(r.limit)
	}
	return r.window + r.unit
}

// tick returns the number of the tick in which something at t is stamped. It
// rounds up, so that events leave late rather than early.
func (r *rule) tick(t int64) uint64 {
	if r.wide {
		return uint64(t+r.unit-1) / uint64(r.unit)
	}
	return uint64(t+r.unit-1) >> r.shift
}

// leaves returns when an event stamped with tick no longer counts.
func (r *rule) leaves(tick uint64) int64 {
	if r.wide {
		return int64(tick)*r.unit + r.window
	}
	return int64(tick<<r.shift) + r.window
}
