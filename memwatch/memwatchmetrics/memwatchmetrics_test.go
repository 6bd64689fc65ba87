package memwatchmetrics_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
)

type histogram struct {
	Count   uint64        `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	Buckets [4]uint64     `json:"buckets"`
}

func (histogram) Bound(i int) time.Duration { return time.Millisecond << i }

type mode int

func (m mode) String() string { return [...]string{"off", "on", "auto"}[m] }

type reason string

type slot struct {
	Slot   int               `json:"slot"`
	State  string            `json:"state"`
	RSS    uint64            `json:"rss_bytes"`
	Counts map[string]uint64 `json:"counts"`
}

type inner struct {
	Depth int `json:"depth"`
}

// full has one field of each shape.
type full struct {
	Name     string            `json:"name"`
	State    string            `json:"state"`
	Mode     mode              `json:"mode"`
	Paused   bool              `json:"paused"`
	Refused  uint64            `json:"refused"`
	InUse    int               `json:"in_use"`
	Load     float64           `json:"load"`
	Delay    time.Duration     `json:"delay_ns"`
	Elapsed  time.Duration     `json:"elapsed_ns"`
	Held     int64             `json:"held_bytes"`
	Waits    histogram         `json:"waits"`
	Exits    map[reason]uint64 `json:"exits"`
	Slots    []slot            `json:"slots"`
	Queue    inner             `json:"queue"`
	NoTag    int
	Hidden   chan int `json:"-"`
	_        chan int // what is not exported is passed over
	Whatever any      `json:"whatever"`
}

var fullConfig = memwatchmetrics.Config{
	Counters: []string{"elapsed_ns"},
	Gauges:   []string{"slots.rss_bytes"},
	Omit:     []string{"whatever"},
	States:   map[string][]string{"state": {"closed", "open"}},
}

// read gives the samples as lines, sorted, in the manner of Prometheus.
func read[S any](p *memwatchmetrics.Plan[S], s S) []string {
	var out []string
	p.Read(&s, func(s memwatchmetrics.Sample) {
		m := p.Metrics()[s.Metric]
		var labels []string
		for i, l := range m.Labels {
			labels = append(labels, l+"="+s.Labels[i])
		}
		line := m.Name + "{" + strings.Join(labels, ",") + "} " + strconv.FormatFloat(s.Value, 'g', -1, 64)
		if m.Kind == memwatchmetrics.Histogram {
			line += fmt.Sprint(" ", s.Buckets, s.Count)
		}
		out = append(out, line)
	})
	slices.Sort(out)
	return out
}

func TestPlanReadsEveryShape(t *testing.T) {
	p, err := memwatchmetrics.New[full](fullConfig)
	require.NoError(t, err)
	got := read(p, full{
		Name: "orders", State: "half-open", Mode: 2, Paused: true, Refused: 7, InUse: 3, Load: 0.25,
		Delay: 1500 * time.Millisecond, Elapsed: 2 * time.Minute, Held: 4096,
		Waits: histogram{Count: 99, Sum: time.Second, Buckets: [4]uint64{1, 0, 2, 4}},
		Exits: map[reason]uint64{"killed": 2, "crash": 1},
		Slots: []slot{{Slot: 0, State: "ready", RSS: 10, Counts: map[string]uint64{"hits": 8}}, {Slot: 1, State: "waiting"}},
		Queue: inner{Depth: 9}, NoTag: 11,
	})
	require.Equal(t, []string{
		"delay{} 1.5",
		"elapsed{} 120",
		"exits{reason=crash} 1",
		"exits{reason=killed} 2",
		"held{} 4096",
		"in_use{} 3",
		"left_out{} 0",
		"load{} 0.25",
		"mode{mode=auto} 1",
		"no_tag{} 11",
		"paused{} 1",
		"queue_depth{} 9",
		"refused{} 7",
		"slots_counts{slot=0,key=hits} 8",
		"slots_rss{slot=0} 10",
		"slots_rss{slot=1} 0",
		"slots_state{slot=0,state=ready} 1",
		"slots_state{slot=1,state=ready} 0",
		"slots_state{slot=1,state=waiting} 1",
		"state{state=closed} 0",
		"state{state=half-open} 1",
		"state{state=open} 0",
		"waits{} 1 [1 1 3] 7",
	}, got)
}

func TestPlanDescribesItsMetrics(t *testing.T) {
	p := memwatchmetrics.MustNew[full](fullConfig)
	byName := make(map[string]memwatchmetrics.Metric)
	for _, m := range p.Metrics() {
		byName[m.Name] = m
		require.NotEmpty(t, m.Help)
	}
	require.Equal(t, memwatchmetrics.Metric{
		Name: "waits", Unit: "s", Kind: memwatchmetrics.Histogram, Float: true,
		Help: "The field memwatchmetrics_test.full.Waits.", Bounds: []float64{0.001, 0.002, 0.004},
	}, byName["waits"])
	require.Equal(t, memwatchmetrics.Counter, byName["refused"].Kind)
	require.Equal(t, memwatchmetrics.Counter, byName["elapsed"].Kind)
	require.Equal(t, memwatchmetrics.Gauge, byName["delay"].Kind)
	require.Equal(t, "s", byName["delay"].Unit)
	require.Equal(t, "By", byName["held"].Unit)
	require.Equal(t, memwatchmetrics.Gauge, byName["slots_rss"].Kind)
	require.Equal(t, []string{"slot", "key"}, byName["slots_counts"].Labels)
	require.Equal(t, "bedplate", p.Namespace())
	require.Equal(t, map[string]string{"name": "a�b"}, p.Labels(full{Name: "a\xffb"}))

	p = memwatchmetrics.MustNew[full](with(func(c *memwatchmetrics.Config) {
		c.Namespace, c.Labels = "shop", map[string]string{"zone": "1"}
	}))
	require.Equal(t, "shop", p.Namespace())
	require.Equal(t, map[string]string{"name": "x", "zone": "1"}, p.Labels(full{Name: "x"}))
}

func with(change func(*memwatchmetrics.Config)) memwatchmetrics.Config {
	cfg := fullConfig
	change(&cfg)
	return cfg
}

func TestNewNamesTheFieldThatHasNoForm(t *testing.T) {
	try := func(err error, want string) {
		t.Helper()
		require.ErrorContains(t, err, want)
		require.True(t, strings.HasPrefix(err.Error(), "memwatchmetrics: "), err)
	}
	fails := func(f func() error, want string) { t.Helper(); try(f(), want) }
	type ch struct {
		Done chan int `json:"done"`
	}
	fails(newFails[ch](memwatchmetrics.Config{}), `ch.Done is of type chan int, which has no form as a metric`)
	type pointer struct {
		Next *int `json:"next"`
	}
	fails(newFails[pointer](memwatchmetrics.Config{}), `pointer.Next is of type *int`)
	type function struct {
		Nested struct{ F func() } `json:"nested"`
	}
	fails(newFails[function](memwatchmetrics.Config{}), `function.Nested.F is of type func()`)
	type complexField struct{ C complex128 }
	fails(newFails[complexField](memwatchmetrics.Config{}), `C is of type complex128`)
	type words struct{ W []string }
	fails(newFails[words](memwatchmetrics.Config{}), `W is of type []string`)
	type boundless struct {
		Waits struct {
			Sum     time.Duration
			Buckets [3]uint64
		}
	}
	fails(newFails[boundless](memwatchmetrics.Config{}), `boundless.Waits is of type struct`)
	type sumless struct {
		Waits struct{ Buckets [3]uint64 }
	}
	fails(newFails[sumless](memwatchmetrics.Config{}), `has Buckets but is no histogram`)
	type backwards struct{ Waits falling }
	fails(newFails[backwards](memwatchmetrics.Config{}), `has the bounds 1s and 500ms in this order`)
	type nameless struct {
		By [3]uint64 `json:"by"`
	}
	fails(newFails[nameless](memwatchmetrics.Config{}), `nameless.By is of type [3]uint64, which has no form`)
	type keyed struct{ M map[float64]uint64 }
	fails(newFails[keyed](memwatchmetrics.Config{}), `keyed.M has keys of type float64`)
	type labelless struct{ S []struct{ F float64 } }
	fails(newFails[labelless](memwatchmetrics.Config{}), `do not begin with a word or number`)
	type twice struct {
		A struct {
			B int `json:"b"`
		} `json:"a"`
		AB int `json:"a_b"`
	}
	fails(newFails[twice](memwatchmetrics.Config{}), `twice.AB would be a second metric "a_b"`)
	type odd struct {
		A int `json:"a-b"`
	}
	fails(newFails[odd](memwatchmetrics.Config{}), `odd.A would be the metric "a-b"`)
	type labels struct {
		Le string `json:"le"`
	}
	fails(newFails[labels](memwatchmetrics.Config{}), `would have the label "le" twice`)
	type stateful struct {
		State string `json:"state"`
	}
	fails(newFails[stateful](memwatchmetrics.Config{Labels: map[string]string{"state": "x"}}), `would have the label "state" twice`)
	fails(newFails[int](memwatchmetrics.Config{}), `int is neither a struct nor a map or slice of structs`)
	fails(newFails[struct{}](memwatchmetrics.Config{}), `has no field that makes a metric`)
	fails(newFails[inner](memwatchmetrics.Config{Omit: []string{"deep"}}), `Config names the field "deep", which memwatchmetrics_test.inner does not have`)
	fails(newFails[inner](memwatchmetrics.Config{States: map[string][]string{"depth": {"a"}}}), `Config names the field "depth"`)
	fails(newFails[inner](memwatchmetrics.Config{Counters: []string{"depth"}, Gauges: []string{"depth"}}), `inner.Depth is in both`)
	fails(newFails[inner](memwatchmetrics.Config{MaxSeries: -1}), `Config.MaxSeries is -1, want ≥ 0`)
	fails(newFails[inner](memwatchmetrics.Config{Namespace: "a-b"}), `Config.Namespace is "a-b"`)
	fails(newFails[inner](memwatchmetrics.Config{Label: "1"}), `Config.Label is "1"`)
	fails(newFails[inner](memwatchmetrics.Config{Labels: map[string]string{"é": ""}}), `Config.Labels has "é"`)
	require.PanicsWithValue(t, "memwatchmetrics: int is neither a struct nor a map or slice of structs",
		func() { memwatchmetrics.MustNew[int](memwatchmetrics.Config{}) })
}

type falling struct {
	Sum     time.Duration
	Buckets [3]uint64
}

func (falling) Bound(i int) time.Duration { return time.Second >> i }

func newFails[S any](cfg memwatchmetrics.Config) func() error {
	return func() error { _, err := memwatchmetrics.New[S](cfg); return err }
}

func TestStatesAreBounded(t *testing.T) {
	type stats struct {
		State string `json:"state"`
	}
	p := memwatchmetrics.MustNew[stats](memwatchmetrics.Config{})
	for i := range 100 {
		read(p, stats{State: fmt.Sprint("word", i)})
	}
	got := read(p, stats{State: "another"})
	require.Len(t, got, 17)
	require.Contains(t, got, "state{state=other} 1")
	require.Contains(t, got, "state{state=word0} 0")
}

func TestElementsBeyondTheBoundHaveNoMetrics(t *testing.T) {
	type stats struct {
		N uint64 `json:"n"`
	}
	p := memwatchmetrics.MustNew[map[string]stats](memwatchmetrics.Config{Label: "host", MaxSeries: 2})
	require.Equal(t, []string{"left_out{} 0", "n{host=m} 1", "n{host=n} 2"}, read(p, map[string]stats{"m": {1}, "n": {2}}))
	require.Equal(t, []string{"left_out{} 2", "n{host=m} 1", "n{host=n} 2"},
		read(p, map[string]stats{"a": {9}, "m": {1}, "n": {2}, "z": {9}}), "who came first stays")
	// n is gone: its place is free two readings later, when it cannot come any more.
	read(p, map[string]stats{"a": {9}, "m": {1}})
	require.Equal(t, []string{"left_out{} 0", "n{host=a} 9", "n{host=m} 1"}, read(p, map[string]stats{"a": {9}, "m": {1}}))
	require.Equal(t, []string{"left_out{} 0"}, read(p, nil))
}

func TestSliceElementsGoByTheirFirstField(t *testing.T) {
	type stats struct {
		ID reason `json:"id"`
		N  int    `json:"n"`
	}
	p := memwatchmetrics.MustNew[[]stats](memwatchmetrics.Config{MaxSeries: 3})
	require.Equal(t, []string{"left_out{} 0", "n{id=a} 1", "n{id=b} 2"}, read(p, []stats{{"a", 1}, {"b", 2}, {"a", 3}}), "the first of two")
	require.Equal(t, []string{"left_out{} 1", "n{id=a} 0", "n{id=b} 0", "n{id=c} 0"},
		read(p, []stats{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}))
}

func TestANameInASliceIsALabelOfTheSlicesName(t *testing.T) {
	type action struct {
		Name string `json:"name"`
		Runs uint64 `json:"runs"`
	}
	type stats struct {
		Name    string   `json:"name"`
		Actions []action `json:"actions"`
	}
	p := memwatchmetrics.MustNew[stats](memwatchmetrics.Config{})
	require.Equal(t, []string{"actions_runs{action=dump} 2", "left_out{} 0"}, read(p, stats{"api", []action{{"dump", 2}}}))
}

func TestKeysThatAreNoTextBecomeText(t *testing.T) {
	type stats struct {
		N uint64 `json:"n"`
	}
	p := memwatchmetrics.MustNew[map[string]stats](memwatchmetrics.Config{})
	require.Equal(t, []string{"left_out{} 0", "n{key=�} 1"}, read(p, map[string]stats{"\xff": {1}, "\xfe": {1}}))
}

func TestACounterThatDecreasesIsToldAsItIs(t *testing.T) {
	type stats struct {
		N uint64 `json:"n"`
	}
	p := memwatchmetrics.MustNew[stats](memwatchmetrics.Config{})
	require.Equal(t, []string{"n{} 5"}, read(p, stats{5}))
	require.Equal(t, []string{"n{} 2"}, read(p, stats{2}))
}

func TestEmbeddedFieldsHaveNoPrefix(t *testing.T) {
	type stats struct {
		inner     // not exported: passed over
		histogram `json:"waits"`
		Base
		N int `json:"n"`
	}
	p := memwatchmetrics.MustNew[stats](memwatchmetrics.Config{})
	require.Equal(t, []string{"base{} 1", "n{} 2"}, read(p, stats{Base: Base{1}, N: 2}))
}

// Base is embedded in a test.
type Base struct {
	B int `json:"base"`
}

func TestEachReadsAllMembers(t *testing.T) {
	members := map[int]string{1: "a", 22: "bbb"}
	stats := memwatchmetrics.Each(func(yield func(int, string) bool) {
		for k, v := range members {
			if !yield(k, v) {
				return
			}
		}
	}, func(s string) inner { return inner{Depth: len(s)} })
	require.Equal(t, map[string]inner{"1": {1}, "22": {3}}, stats())
}

func TestWatcherAnalysesOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memwatch.MustNew(memwatch.Config{Name: "api", Limit: 1 << 40})
		stats := memwatchmetrics.Watcher(w)
		s := stats()
		require.Equal(t, "api", s.Name)
		require.Equal(t, memwatch.Insufficient, s.Verdict)
		require.Equal(t, memwatch.Normal, s.Level)
		require.Positive(t, s.Heap)
		require.Positive(t, s.Goroutines)
		require.Equal(t, int64(1<<40), s.Limit)
		p := memwatchmetrics.MustNew[memwatchmetrics.WatcherStats](memwatchmetrics.Config{
			States: map[string][]string{"verdict": {"insufficient", "none", "watch", "suspect", "leak"}},
		})
		require.Subset(t, read(p, s), []string{"verdict{verdict=insufficient} 1", "verdict{verdict=leak} 0", "level{level=normal} 1", "limit{} 1.099511627776e+12"})
		analyses := func() float64 { return testing.AllocsPerRun(10, func() { stats() }) }
		require.Zero(t, analyses(), "an analysis allocates, a sample does not")
		time.Sleep(2 * time.Minute)
		require.NotZero(t, testing.AllocsPerRun(1, func() { time.Sleep(2 * time.Minute); stats() }))
	})
}

func TestManyReadAtOnce(t *testing.T) {
	p := memwatchmetrics.MustNew[full](fullConfig)
	var wg sync.WaitGroup
	counts := make([]int, 8)
	for i := range counts {
		wg.Go(func() {
			for j := range 200 {
				s := full{State: fmt.Sprint(j % 20), Exits: map[reason]uint64{reason(fmt.Sprint(j)): 1}, Slots: []slot{{Slot: i}}}
				p.Read(&s, func(memwatchmetrics.Sample) { counts[i]++ })
			}
		})
	}
	wg.Wait()
	for _, n := range counts {
		require.Positive(t, n)
	}
}

func TestReadAllocatesOnceForPlainFields(t *testing.T) {
	type plain struct {
		State string        `json:"state"`
		A     uint64        `json:"a"`
		B     int           `json:"b"`
		D     time.Duration `json:"d"`
		W     histogram     `json:"w"`
	}
	p := memwatchmetrics.MustNew[plain](memwatchmetrics.Config{})
	s := plain{State: "open"}
	n := 0
	emit := func(memwatchmetrics.Sample) { n++ }
	require.Equal(t, 1.0, testing.AllocsPerRun(100, func() { p.Read(&s, emit) }), "the reading alone")
	require.Positive(t, n)
}
