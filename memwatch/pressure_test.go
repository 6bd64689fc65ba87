package memwatch

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNewRefusesPressureThatMakesNoSense(t *testing.T) {
	for want, cfg := range map[string]PressureConfig{
		"memwatch: Config.Pressure.Low is -1, want 0 to 1":                                 {Low: -1},
		"memwatch: Config.Pressure.Low is NaN, want 0 to 1":                                {Low: math.NaN()},
		"memwatch: Config.Pressure.Low is 70, want 0 to 1":                                 {Low: 70},
		"memwatch: Config.Pressure.Medium is 0.5, want Low, which is 0.7, to 1":            {Medium: 0.5},
		"memwatch: Config.Pressure.Critical is 0.8, want Medium, which is 0.85, to 1":      {Critical: 0.8},
		"memwatch: Config.Pressure.Critical is 1.1, want Medium, which is 0.85, to 1":      {Critical: 1.1},
		"memwatch: Config.Pressure.Stall is -0.1, want ≥ 0":                                {Stall: -0.1},
		"memwatch: Config.Pressure.Margin is 0.7, want 0 to less than Low, which is 0.7":   {Margin: 0.7},
		"memwatch: Config.Pressure.Margin is -0.01, want 0 to less than Low, which is 0.7": {Margin: -0.01},
		"memwatch: Config.Pressure.Rise is -1s, want ≥ 0":                                  {Rise: -time.Second},
		"memwatch: Config.Pressure.Fall is -1ns, want ≥ 0":                                 {Fall: -1},
	} {
		_, err := New(Config{Pressure: cfg})
		require.EqualError(t, err, want)
	}
	_, err := New(Config{Pressure: PressureConfig{Low: 0.2, Medium: 0.2, Critical: 1, Stall: 1}})
	require.NoError(t, err)
}

func TestLevelsOfSharesAndStalls(t *testing.T) {
	c := PressureConfig{}.filled()
	require.NoError(t, c.check())
	for _, x := range []struct {
		share       float64
		stall       Stall
		enter, stay Level
	}{
		{0, Stall{}, Normal, Normal},
		{0.64, Stall{}, Normal, Normal},
		{0.66, Stall{}, Normal, Low},
		{0.70, Stall{}, Low, Low},
		{0.81, Stall{}, Low, Medium},
		{0.85, Stall{}, Medium, Medium},
		{0.91, Stall{}, Medium, Critical},
		{0.95, Stall{}, Critical, Critical},
		{1.50, Stall{}, Critical, Critical},
		{0, Stall{Some: 0.04}, Normal, Normal},
		{0, Stall{Some: 0.05}, Normal, Low},
		{0, Stall{Some: 0.10}, Low, Low},
		{0, Stall{Some: 0.16}, Low, Medium},
		{0, Stall{Some: 0.31}, Medium, Medium},
		{0, Stall{Some: 0.31, Full: 0.16}, Medium, Critical},
		{0, Stall{Some: 0.31, Full: 0.31}, Critical, Critical},
		{0.86, Stall{Some: 0.10}, Medium, Medium},
		{0.71, Stall{Some: 0.31}, Medium, Medium},
	} {
		enter, stay := c.levels(x.share, x.stall)
		require.Equal(t, x.enter, enter, "%+v", x)
		require.Equal(t, x.stay, stay, "%+v", x)
	}
	c.Stall = 1
	enter, stay := c.levels(0, Stall{Some: 1, Full: 1})
	require.Equal(t, Normal, enter)
	require.Equal(t, Normal, stay)
}

// history is the ladder without any state but all readings since the level was
// entered: what a change needs is looked up in them.
type history struct {
	rise, fall time.Duration
	level      Level
	at         []time.Duration
	enter      []Level
	stay       []Level
}

func (h *history) step(at time.Duration, enter, stay Level) bool {
	h.at, h.enter, h.stay = append(h.at, at), append(h.enter, enter), append(h.stay, stay)
	for _, dir := range []struct {
		levels []Level
		beyond func(Level) bool
		pick   func(a, b Level) Level
		wait   time.Duration
	}{
		{h.enter, func(l Level) bool { return l > h.level }, func(a, b Level) Level { return min(a, b) }, h.rise},
		{h.stay, func(l Level) bool { return l < h.level }, func(a, b Level) Level { return max(a, b) }, h.fall},
	} {
		first := len(dir.levels)
		for first > 0 && dir.beyond(dir.levels[first-1]) {
			first--
		}
		if first == len(dir.levels) || at-h.at[first] < dir.wait {
			continue
		}
		to := dir.levels[first]
		for _, l := range dir.levels[first:] {
			to = dir.pick(to, l)
		}
		*h = history{rise: h.rise, fall: h.fall, level: to}
		return true
	}
	return false
}

// climb does the same to both.
func climb(t testing.TB, rise, fall time.Duration, ops []byte) {
	t.Helper()
	start := time.Unix(0, 0)
	l := ladder{rise: rise, fall: fall}
	h := &history{rise: rise, fall: fall}
	var at time.Duration
	for i, op := range ops {
		at += time.Duration(op>>4) * time.Second
		enter := Level(op & 3)
		stay := max(enter, Level(op>>2&3))
		before := l.level
		changed := l.step(start.Add(at), enter, stay)
		if changed != h.step(at, enter, stay) || l.level != h.level || changed != (l.level != before) {
			t.Fatalf("step %d of %x: %v, want %v", i, ops, l.level, h.level)
		}
		if l.up.on && l.down.on {
			t.Fatalf("step %d of %x: both are pending", i, ops)
		}
		if changed && !l.since.Equal(start.Add(at)) {
			t.Fatalf("step %d of %x: entered at %v", i, ops, l.since)
		}
	}
}

func TestLadderDoesWhatTheHistorySays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		ops := make([]byte, 60)
		for j := range ops {
			ops[j] = byte(r.Uint32())
		}
		climb(t, time.Duration(i%4)*7*time.Second, time.Duration(i%5)*9*time.Second, ops)
	}
}

// A GOMEMLIMIT that the collector meets first makes garbage none of a
// container's problem; one that comes too late, or none, does not.
func TestGarbageCountsUnlessTheCollectorFreesItInTime(t *testing.T) {
	s := Sample{Live: 300, Stacks: 50, Other: 50, Total: 1000, Resident: 1100} // 600 of it is garbage
	require.EqualValues(t, 400, s.held())
	for _, x := range []struct{ goLimit, used, limit, want uint64 }{
		{0, 1100, 1400, 1100},    // Go knows of no limit
		{1200, 1100, 1400, 500},  // 100 beside Go: 1300 at most
		{1300, 1100, 1400, 500},  // 1400 at most
		{1301, 1100, 1400, 1100}, // the container is met first
		{1500, 1100, 1400, 1100}, // Go's limit is beyond
		{900, 5000, 4900, 4400},  // 4000 beside Go
		{1200, 500, 1400, 400},   // half of Go's was never touched
		{1200, 300, 1400, 300},   // and so was some of what is held
		{1200, 0, 1400, 0},
	} {
		s.Limit = x.goLimit
		require.Equal(t, x.want, s.lasting(x.used, x.limit), "%+v", x)
	}
}

func TestBoundsAreOfOneKindEachTheFullestFirst(t *testing.T) {
	s := Sample{Live: 300, Stacks: 50, Other: 50, Total: 500, Resident: 800, OffHeap: 300, Limit: 5000}
	r := &reading{total: 10_000, available: 1200, groups: []groupUse{
		{path: "near", used: 600, limit: 1500, known: true},
		{path: "tight", used: 900, limit: 1800, known: true},
		{path: "unknown", limit: 2500},
	}}
	got := s.bounds(nil, 1000, r)
	require.Equal(t, []Bound{
		{Kind: ConfigLimit, Used: 700, Limit: 1000},
		{Kind: CgroupLimit, Path: "tight", Used: 900, Limit: 1800},
		{Kind: SystemMemory, Used: 800, Limit: 2000},
		{Kind: GoLimit, Used: 400, Limit: 5000},
	}, got)
	require.EqualValues(t, 300, got[0].Headroom())
	require.InDelta(t, 0.7, got[0].Share(), 1e-12)

	// A group that does not tell its cache counts as what the process has.
	r.groups[1].known = false
	r.groups[2].limit = 801
	require.Equal(t, Bound{Kind: CgroupLimit, Path: "unknown", Used: 800, Limit: 801}, s.bounds(nil, 0, r)[0])

	// Nothing is known: nothing is claimed.
	require.Empty(t, (&Sample{Live: 5}).bounds(nil, 0, new(reading)))
	require.Empty(t, (&Sample{Live: 5}).bounds(nil, 0, &reading{total: 10}), "without resident memory")
	require.Zero(t, Bound{}.Share())
	require.Zero(t, Bound{Used: 9, Limit: 5}.Headroom())
}

// What a machine has available is a limit for one process only together with
// what that has already.
func TestMemoryOfTheMachineIsWhatThisProcessCanHave(t *testing.T) {
	s := Sample{Total: 100, Resident: 100}
	small := s.bounds(nil, 0, &reading{total: 10_000, available: 900})[0]
	require.Equal(t, Bound{Kind: SystemMemory, Used: 100, Limit: 1000}, small, "others have most of it")
	require.Equal(t, uint64(900), small.Headroom())
	all := s.bounds(nil, 0, &reading{total: 500, available: 500})[0]
	require.EqualValues(t, 500, all.Limit, "never more than there is")
}

func TestGaugeNamesWhatDecided(t *testing.T) {
	g := gauge{cfg: PressureConfig{}.filled()}
	s := Sample{Time: time.Unix(100, 0), Live: 90, Total: 100, Resident: 100, Limit: 100}
	require.True(t, g.step(&s, 0, &reading{stall: Stall{Some: 0.1}}))
	require.Equal(t, Medium, g.now.Level)
	require.Equal(t, GoLimit, g.now.Kind, "the limit alone would do")
	require.EqualValues(t, 10, g.now.Headroom)

	s.Time = s.Time.Add(time.Second)
	require.True(t, g.step(&s, 0, &reading{stall: Stall{Some: 0.5, Full: 0.4}}))
	require.Equal(t, Critical, g.now.Level)
	require.Equal(t, Stalling, g.now.Kind)
	require.Equal(t, GoLimit, g.now.Bound.Kind)
	require.Equal(t, s.Time, g.now.Since)
	require.Equal(t, "pressure: critical, some tasks wait for memory 50 % of the time, all 40 %, gomemlimit: 90 B of 100 B, 10 B left", g.now.String())

	// While a level only lasts on, it comes from the limit again.
	s.Time = s.Time.Add(time.Second)
	require.False(t, g.step(&s, 0, &reading{}))
	require.Equal(t, Critical, g.now.Level)
	require.Equal(t, GoLimit, g.now.Kind)
}

func TestGaugeTellsTheTimeToTheLimit(t *testing.T) {
	g := gauge{cfg: PressureConfig{}.filled()}
	at := time.Unix(100, 0)
	for i := range uint64(100) {
		// A ten-byte rise a second under a sawtooth of garbage.
		s := Sample{Time: at, Resident: 1000 + 10*i + 40*(i%4)}
		g.step(&s, 0, &reading{groups: []groupUse{{path: "p", used: s.Resident, limit: 4000, known: true}}})
		switch {
		case i < 7:
			require.Zero(t, g.now.TimeToLimit)
		case i < 20:
			require.Positive(t, g.now.TimeToLimit)
		default:
			require.InEpsilon(t, float64(g.now.Headroom)/10, g.now.TimeToLimit.Seconds(), 0.3)
		}
		at = at.Add(time.Second)
	}
	require.Contains(t, g.now.String(), ", met in 3m")

	var still usedRing
	for i := range 50 {
		still.push(at.Add(time.Duration(i)*time.Second), 5)
	}
	require.Equal(t, never, still.until(10))
	require.Zero(t, still.until(0))
	var frozen usedRing
	for range 50 {
		frozen.push(at, 5)
	}
	require.Equal(t, never, frozen.until(10), "no time has passed")
}

func TestGaugeDoesNotAllocate(t *testing.T) {
	g := gauge{cfg: PressureConfig{}.filled()}
	s := Sample{Time: time.Now(), Live: 90, Total: 100, Resident: 100, Limit: 100}
	r := &reading{total: 1000, available: 500, groups: []groupUse{{path: "p", used: 5, limit: 10, known: true}}}
	require.Zero(t, testing.AllocsPerRun(100, func() { g.step(&s, 500, r) }))
}

// The copy that is given away is nobody else's.
func TestPressureIsACopy(t *testing.T) {
	g := gauge{cfg: PressureConfig{}.filled()}
	s := Sample{Time: time.Now(), Live: 90, Limit: 100}
	g.step(&s, 0, new(reading))
	p := g.pressure()
	p.Bounds[0].Used = 7
	require.EqualValues(t, 90, g.now.Bounds[0].Used)
	s.Live = 50
	g.step(&s, 0, new(reading))
	require.EqualValues(t, 7, p.Bounds[0].Used)
}

func TestLevelsAndKindsHaveNames(t *testing.T) {
	for l := Normal; l <= Critical; l++ {
		text, err := l.MarshalText()
		require.NoError(t, err)
		var back Level
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, l, back)
	}
	for k := range kinds {
		text, err := k.MarshalText()
		require.NoError(t, err)
		var back Kind
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, k, back)
	}
	require.Equal(t, "Level(4)", (Critical + 1).String())
	require.Equal(t, "Kind(-1)", Kind(-1).String())
	l, k := Low, Stalling
	require.EqualError(t, l.UnmarshalText([]byte("HIGH")), `memwatch: unknown level "HIGH"`)
	require.EqualError(t, k.UnmarshalText([]byte("")), `memwatch: unknown kind ""`)
	require.Equal(t, Low, l, "unchanged")
	require.Equal(t, Stalling, k)
}

func TestPressureSurvivesJSON(t *testing.T) {
	want := Pressure{
		Time: time.Unix(9, 0).UTC(), Level: Medium, Since: time.Unix(5, 0).UTC(), Kind: CgroupLimit,
		Bound: Bound{CgroupLimit, "/sys/fs/cgroup/memory.max", 90, 100}, Headroom: 10, TimeToLimit: time.Minute,
		Bounds: []Bound{{CgroupLimit, "/sys/fs/cgroup/memory.max", 90, 100}, {GoLimit, "", 1, 100}}, Stall: Stall{0.1, 0.01},
	}
	text, err := json.Marshal(want)
	require.NoError(t, err)
	require.Contains(t, string(text), `"level":"medium"`)
	require.Contains(t, string(text), `"kind":"cgroup"`)
	var got Pressure
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, want, got)
	require.Equal(t, "pressure: medium, cgroup: 90 B of 100 B, 10 B left (/sys/fs/cgroup/memory.max), met in 1m0s", want.String())
	require.Equal(t, "pressure: normal", Pressure{}.String())
}

func TestReportTellsOfPressureAboveNormal(t *testing.T) {
	r := Report{Pressure: Pressure{Level: Low, Kind: GoLimit, Bound: Bound{Kind: GoLimit, Used: 75, Limit: 100}, Headroom: 25}}
	require.Equal(t, "memory: insufficient\n  pressure: low, gomemlimit: 75 B of 100 B, 25 B left\n", r.String())
	found := false
	for _, a := range r.LogValue().Group() {
		found = found || a.Key == "pressure" && a.Value.String() == "low"
	}
	require.True(t, found)
}

// The limit of a report is the one that leaves the least room.
func TestReportTakesTheTightestLimit(t *testing.T) {
	r := Report{Last: Sample{Live: 100, Limit: 1000, OffHeap: 20}}
	require.Equal(t, Bound{Used: 100}, (&Report{Last: Sample{Live: 100}}).tightest(0))
	require.Equal(t, Bound{Kind: GoLimit, Used: 100, Limit: 1000}, r.tightest(0))
	require.Equal(t, Bound{Kind: ConfigLimit, Used: 120, Limit: 1000}, r.tightest(1000))
	system := Bound{Kind: SystemMemory, Used: 10, Limit: 11}
	group := Bound{Kind: CgroupLimit, Path: "p", Used: 500, Limit: 900}
	r.Pressure.Bounds = []Bound{system, group, {Kind: GoLimit, Used: 1, Limit: 2}}
	require.Equal(t, group, r.tightest(1000))
	r.Last.Limit = 0
	r.Pressure.Bounds = []Bound{system}
	require.Equal(t, system, r.tightest(0), "there is no other")
	require.Equal(t, ConfigLimit, r.tightest(1_000_000).Kind)
}

// The machine that this test runs on can be read.
func TestPressureOfThisMachine(t *testing.T) {
	r := take(t, "/")
	if r.total == 0 {
		t.Skip("no /proc/meminfo")
	}
	require.Positive(t, r.available)
	require.LessOrEqual(t, r.available, r.total)
	for _, g := range r.groups {
		t.Logf("%+v", g)
		require.NotZero(t, g.limit)
	}
	t.Logf("stall %+v, %d of %d bytes available", r.stall, r.available, r.total)
}

// A step up counts at once, one down after a minute, and neither before.
func TestLadderStepByStep(t *testing.T) {
	l := ladder{fall: time.Minute}
	at := time.Unix(1000, 0)
	for _, x := range []struct {
		after       time.Duration
		enter, stay Level
		want        Level
	}{
		{0, Normal, Normal, Normal},
		{time.Second, Medium, Medium, Medium},
		{time.Second, Low, Medium, Medium}, // below, but within the margin
		{time.Hour, Low, Medium, Medium},
		{time.Second, Low, Low, Medium}, // leaving
		{59 * time.Second, Normal, Normal, Medium},
		{time.Second, Normal, Normal, Low}, // the highest on the way
		{59 * time.Second, Normal, Normal, Low},
		{time.Second, Critical, Critical, Critical},
		{time.Second, Normal, Normal, Critical},
		{time.Minute, Normal, Normal, Normal},
	} {
		at = at.Add(x.after)
		before := l.level
		require.Equal(t, x.want != before, l.step(at, x.enter, x.stay))
		require.Equal(t, x.want, l.level)
	}
}
