package memwatchotel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchotel"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
	"github.com/bedplate/bedplate/stream"
	"github.com/bedplate/bedplate/workerpool"
	"github.com/bedplate/bedplate/workerpool/cluster"
)

func provider() (metric.Meter, *sdk.ManualReader) {
	reader := sdk.NewManualReader()
	return sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), reader
}

// collect gives what a reader collects as sorted lines.
func collect(t *testing.T, reader *sdk.ManualReader) []string {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	var out []string
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				out = append(out, points(m, "counter", d.IsMonotonic, d.DataPoints)...)
			case metricdata.Sum[float64]:
				out = append(out, points(m, "counter", d.IsMonotonic, d.DataPoints)...)
			case metricdata.Gauge[int64]:
				out = append(out, points(m, "gauge", true, d.DataPoints)...)
			case metricdata.Gauge[float64]:
				out = append(out, points(m, "gauge", true, d.DataPoints)...)
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	slices.Sort(out)
	return out
}

func points[N int64 | float64](m metricdata.Metrics, kind string, as bool, points []metricdata.DataPoint[N]) []string {
	if !as || m.Description == "" {
		return []string{m.Name + " is not as it should be"}
	}
	var out []string
	for _, p := range points {
		var labels []string
		for _, kv := range p.Attributes.ToSlice() {
			labels = append(labels, string(kv.Key)+"="+kv.Value.AsString())
		}
		out = append(out, fmt.Sprintf("%s{%s} %v %s %s", m.Name, strings.Join(labels, ","), p.Value, m.Unit, kind))
	}
	return out
}

func fixed[S any](s S) func() S { return func() S { return s } }

// row has the stats of one package, and what of them a reader must get.
type row struct {
	subsystem string
	register  func(metric.Meter, string) (metric.Registration, error)
	want      []string
}

func of[S any](subsystem string, s S, cfg memwatchotel.Config, want ...string) row {
	return row{subsystem, func(m metric.Meter, subsystem string) (metric.Registration, error) {
		return memwatchotel.Register(m, subsystem, fixed(s), cfg)
	}, want}
}

// rows has all that has Stats. Package jwt has none.
func rows() []row {
	var none memwatchotel.Config
	b := breaker.MustNew(breaker.Config{Name: "orders"})
	b.SetMode(breaker.ForceOpen)
	waits := pool.Histogram{Count: 3, Sum: 2 * time.Second, Buckets: [pool.Buckets]uint64{1, 0, 2}}
	return []row{
		of("emitter", emitter.Stats{Name: "x", Listeners: 2, Failures: 1}, none,
			"bedplate.emitter.failures{name=x} 1 1 counter", "bedplate.emitter.listeners{name=x} 2 1 gauge"),
		of("subscription", emitter.SubStats{Name: "x", Dropped: 3}, none, "bedplate.subscription.dropped{name=x} 3 1 counter"),
		of("stream", stream.Stats{Name: "x", Items: 4, Elapsed: 1500 * time.Millisecond}, memwatchotel.Config{Counters: []string{"elapsed_ns"}},
			"bedplate.stream.items{name=x} 4 1 counter", "bedplate.stream.elapsed{name=x} 1.5 s counter"),
		of("workerpool", workerpool.Stats{Name: "x", Paused: true, Accepted: 5}, none,
			"bedplate.workerpool.paused{name=x} 1 1 gauge", "bedplate.workerpool.accepted{name=x} 5 1 counter",
			"bedplate.workerpool.runs.count{name=x} 0 1 counter"),
		of("cluster", cluster.Stats{
			Name: "x", State: cluster.StateRunning, Exits: map[cluster.Reason]uint64{cluster.ReasonCrash: 1},
			Slots: []cluster.SlotStats{{Slot: 0, State: "ready", RSS: 7, Counters: map[string]uint64{"served": 8}}},
		}, memwatchotel.Config{Gauges: []string{"slots.rss", "slots.peak_rss", "slots.heap"}},
			"bedplate.cluster.state{name=x,state=running} 1 1 gauge", "bedplate.cluster.exits{name=x,reason=crash} 1 1 counter",
			"bedplate.cluster.slots_rss{name=x,slot=0} 7 1 gauge", "bedplate.cluster.slots_counters{key=served,name=x,slot=0} 8 1 counter"),
		of("jobs", cluster.JobsStats{Name: "x", Killed: 6}, none, "bedplate.jobs.killed{name=x} 6 1 counter"),
		of("pool", pool.Stats{Name: "x", Total: 9, Waits: waits}, none,
			"bedplate.pool.total{name=x} 9 1 gauge", "bedplate.pool.waits.count{name=x} 3 1 counter", "bedplate.pool.waits.sum{name=x} 2 s counter",
			"bedplate.pool.waits.bucket{le=1e-06,name=x} 1 1 counter", "bedplate.pool.waits.bucket{le=4e-06,name=x} 3 1 counter"),
		of("breaker", b.Stats(), memwatchotel.Config{States: map[string][]string{"state": {"closed", "open", "half-open"}}},
			"bedplate.breaker.state{name=orders,state=open} 1 1 gauge", "bedplate.breaker.state{name=orders,state=closed} 0 1 gauge"),
		of("group", breaker.GroupStats{Breakers: 2}, none, "bedplate.group.breakers{} 2 1 gauge"),
		of("upstream", map[string]breaker.Stats{"a": {Refused: 3}}, memwatchotel.Config{Label: "host"},
			"bedplate.upstream.refused{host=a} 3 1 counter", "bedplate.upstream.left_out{} 0 1 gauge"),
		of("retry", retry.Stats{Name: "x", GaveUp: 4}, none, "bedplate.retry.gave_up{name=x} 4 1 counter"),
		of("hedge", hedge.Stats{Name: "x", Delay: 20 * time.Millisecond}, none, "bedplate.hedge.delay{name=x} 0.02 s gauge"),
		of("bulkhead", bulkhead.Stats{Name: "x", InUse: 2}, none, "bedplate.bulkhead.in_use{name=x} 2 1 gauge"),
		of("lru", lru.Stats{Name: "x", Hits: math.MaxUint64}, none, "bedplate.lru.hits{name=x} 9223372036854775807 1 counter"),
		of("ratelimit", ratelimit.Stats{Name: "x", Limited: 2}, none, "bedplate.ratelimit.limited{name=x} 2 1 counter"),
		of("watcher", memwatch.Stats{Name: "x", Level: memwatch.Critical, Samples: 4, Actions: []memwatch.ActionStats{{Name: "dump", Started: 2}}},
			memwatchotel.Config{Omit: []string{"actions.last_error", "actions.last_file"}},
			"bedplate.watcher.actions_started{action=dump,name=x} 2 1 counter", "bedplate.watcher.level{level=critical,name=x} 1 1 gauge", "bedplate.watcher.samples{name=x} 4 1 counter"),
		of("memory", memwatchmetrics.WatcherStats{Name: "x", Live: 10, Verdict: memwatch.Leak}, none,
			"bedplate.memory.verdict{name=x,verdict=leak} 1 1 gauge", "bedplate.memory.live{name=x} 10 By gauge"),
	}
}

func TestStatsOfEveryPackageAreCollected(t *testing.T) {
	for _, row := range rows() {
		t.Run(row.subsystem, func(t *testing.T) {
			meter, reader := provider()
			r, err := row.register(meter, row.subsystem)
			require.NoError(t, err)
			require.Subset(t, collect(t, reader), row.want)
			require.NoError(t, r.Unregister())
			require.Empty(t, collect(t, reader))
		})
	}
}

type one struct {
	Name string `json:"name"`
	N    uint64 `json:"n"`
}

func TestTwoOfOneKindDifferByName(t *testing.T) {
	meter, reader := provider()
	memwatchotel.MustRegister(meter, "x", fixed(one{"a", 1}), memwatchotel.Config{})
	second := memwatchotel.MustRegister(meter, "x", fixed(one{"b", 2}), memwatchotel.Config{Labels: map[string]string{"zone": "1"}})
	require.Equal(t, []string{"bedplate.x.n{name=a} 1 1 counter", "bedplate.x.n{name=b,zone=1} 2 1 counter"}, collect(t, reader))
	require.NoError(t, second.Unregister())
	require.Equal(t, []string{"bedplate.x.n{name=a} 1 1 counter"}, collect(t, reader))
}

func TestRegisterNamesTheFieldThatHasNoForm(t *testing.T) {
	meter, reader := provider()
	type bad struct {
		Good int
		Done chan int
	}
	_, err := memwatchotel.Register(meter, "x", fixed(bad{}), memwatchotel.Config{})
	require.ErrorContains(t, err, "bad.Done is of type chan int, which has no form as a metric")
	_, err = memwatchotel.Register(meter, "x.y", fixed(one{}), memwatchotel.Config{})
	require.EqualError(t, err, `memwatchotel: the subsystem is "x.y", want letters, digits and _`)
	_, err = memwatchotel.Register(meter, strings.Repeat("x", 300), fixed(one{}), memwatchotel.Config{})
	require.ErrorContains(t, err, "invalid instrument name", "what the meter refuses")
	require.Panics(t, func() { memwatchotel.MustRegister(meter, "", fixed(one{}), memwatchotel.Config{}) })
	require.Empty(t, collect(t, reader))
}

func TestACounterThatDecreasesIsToldAsItIs(t *testing.T) {
	meter, reader := provider()
	n := uint64(5)
	memwatchotel.MustRegister(meter, "x", func() one { return one{N: n} }, memwatchotel.Config{})
	require.Equal(t, []string{"bedplate.x.n{name=} 5 1 counter"}, collect(t, reader))
	n = 2
	require.Equal(t, []string{"bedplate.x.n{name=} 2 1 counter"}, collect(t, reader))
}

func TestHistogramsOfManyHaveTheirLabels(t *testing.T) {
	type stats struct {
		Waits pool.Histogram `json:"waits"`
	}
	meter, reader := provider()
	memwatchotel.MustRegister(meter, "x", fixed(map[string]stats{"a": {pool.Histogram{Buckets: [pool.Buckets]uint64{2}}}, "b": {}}), memwatchotel.Config{})
	require.Subset(t, collect(t, reader), []string{
		"bedplate.x.waits.bucket{key=a,le=1e-06} 2 1 counter", "bedplate.x.waits.bucket{key=b,le=1e-06} 0 1 counter",
		"bedplate.x.waits.count{key=a} 2 1 counter", "bedplate.x.waits.sum{key=b} 0 s counter",
	})
}

func TestManyCollectAtOnceWhileItIsUsed(t *testing.T) {
	var readers []*sdk.ManualReader
	var providerOptions []sdk.Option
	for range 3 {
		readers = append(readers, sdk.NewManualReader())
		providerOptions = append(providerOptions, sdk.WithReader(readers[len(readers)-1]))
	}
	meter := sdk.NewMeterProvider(providerOptions...).Meter("test")
	group := breaker.MustNewGroup[int](breaker.GroupConfig{})
	memwatchotel.MustRegister(meter, "hosts", memwatchmetrics.Each(group.All(), (*breaker.Breaker).Stats), memwatchotel.Config{MaxSeries: 5})
	errs := make([]error, len(readers))
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			for n := range 50 {
				_ = group.Get(n).Do(t.Context(), func(context.Context) error { return errors.New("x") })
				var data metricdata.ResourceMetrics
				errs[i] = errors.Join(errs[i], r.Collect(t.Context(), &data))
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	points := slices.DeleteFunc(collect(t, readers[0]), func(l string) bool { return !strings.HasPrefix(l, "bedplate.hosts.refused") })
	require.Len(t, points, 5)
}
