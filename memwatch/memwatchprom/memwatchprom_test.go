package memwatchprom_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchprom"
)

// scrape reads a registry as Prometheus does, over HTTP.
func scrape(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	defer server.Close()
	client := server.Client()
	resp, err := client.Get(server.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	return string(body)
}

func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

func lint(t *testing.T, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestStatsOfEveryPackageAreScraped(t *testing.T) {
	all := prometheus.NewPedanticRegistry()
	for _, row := range rows {
		t.Run(row.subsystem, func(t *testing.T) {
			reg := prometheus.NewPedanticRegistry()
			require.NoError(t, row.register(t, reg))
			text := scrape(t, reg)
			lines := strings.Split(text, "\n")
			for _, want := range row.want {
				require.True(t, slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }), "no line begins with %s in:\n%s", want, text)
			}
			lint(t, text)
			require.NotEmpty(t, parse(t, text))
		})
		require.NoError(t, row.register(t, all))
	}
	text := scrape(t, all)
	lint(t, text)
	families := parse(t, text)
	for _, family := range []string{"bedplate_breaker_state", "bedplate_pool_waits_seconds", "bedplate_lru_hits_total"} {
		require.Contains(t, families, family)
	}
	require.Equal(t, dto.MetricType_HISTOGRAM, families["bedplate_pool_waits_seconds"].GetType())
	require.Equal(t, dto.MetricType_COUNTER, families["bedplate_lru_hits_total"].GetType())
	require.Equal(t, dto.MetricType_GAUGE, families["bedplate_lru_len"].GetType())
}

type histogram struct {
	Count   uint64        `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	Buckets [3]uint64     `json:"buckets"`
}

func (histogram) Bound(i int) time.Duration { return time.Millisecond << i }

func TestHistogramBucketsAreCumulative(t *testing.T) {
	type stats struct {
		Waits histogram `json:"waits"`
	}
	reg := prometheus.NewPedanticRegistry()
	memwatchprom.MustRegister(reg, "x", func() stats {
		return stats{histogram{Count: 6, Sum: 1500 * time.Millisecond, Buckets: [3]uint64{1, 2, 3}}}
	}, memwatchprom.Config{})
	h := parse(t, scrape(t, reg))["bedplate_x_waits_seconds"].GetMetric()[0].GetHistogram()
	require.Equal(t, uint64(6), h.GetSampleCount())
	require.Equal(t, 1.5, h.GetSampleSum())
	var got []string
	for _, b := range h.GetBucket() {
		got = append(got, fmt.Sprint(b.GetUpperBound(), " ", b.GetCumulativeCount()))
	}
	require.Equal(t, []string{"0.001 1", "0.002 3", "+Inf 6"}, got)
}

type one struct {
	Name  string `json:"name"`
	State string `json:"state"`
	N     uint64 `json:"n"`
}

func fixed[S any](s S) func() S { return func() S { return s } }

func TestTwoOfOneKindDifferByName(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	memwatchprom.MustRegister(reg, "x", fixed(one{Name: "a", N: 1}), memwatchprom.Config{})
	memwatchprom.MustRegister(reg, "x", fixed(one{Name: "b", N: 2}), memwatchprom.Config{})
	text := scrape(t, reg)
	require.Contains(t, text, `bedplate_x_n_total{name="a"} 1`)
	require.Contains(t, text, `bedplate_x_n_total{name="b"} 2`)

	_, err := memwatchprom.Register(reg, "x", fixed(one{Name: "a"}), memwatchprom.Config{})
	require.ErrorAs(t, err, &prometheus.AlreadyRegisteredError{})
	require.ErrorContains(t, err, "memwatchprom: x: ")
	_, err = memwatchprom.Register(reg, "x", fixed(one{Name: "c"}), memwatchprom.Config{Labels: map[string]string{"zone": "1"}})
	require.ErrorContains(t, err, "memwatchprom: x: ", "other labels")
}

func TestUnregisterTakesTheMetricsAway(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	c := memwatchprom.MustRegister(reg, "x", fixed(one{Name: "a"}), memwatchprom.Config{Namespace: "shop", Labels: map[string]string{"zone": "1"}})
	require.Contains(t, scrape(t, reg), `shop_x_n_total{name="a",zone="1"} 0`)
	require.True(t, reg.Unregister(c))
	require.NotContains(t, scrape(t, reg), "shop_x")
	memwatchprom.MustRegister(reg, "x", fixed(one{Name: "a", N: 3}), memwatchprom.Config{Namespace: "shop", Labels: map[string]string{"zone": "1"}})
	require.Contains(t, scrape(t, reg), `shop_x_n_total{name="a",zone="1"} 3`, "another may come in its place")
}

func TestRegisterFailsBeforeAnythingIsRegistered(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	type bad struct {
		Good int
		Done chan int
	}
	_, err := memwatchprom.Register(reg, "x", fixed(bad{}), memwatchprom.Config{})
	require.ErrorContains(t, err, "bad.Done is of type chan int, which has no form as a metric")
	_, err = memwatchprom.Register(reg, "x-y", fixed(one{}), memwatchprom.Config{})
	require.EqualError(t, err, `memwatchprom: the subsystem is "x-y", want letters, digits and _`)
	require.Panics(t, func() { memwatchprom.MustRegister(reg, "", fixed(one{}), memwatchprom.Config{}) })
	require.NotContains(t, scrape(t, reg), "bedplate")
}

func TestACounterThatDecreasesIsScrapedAsItIs(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	n := uint64(5)
	memwatchprom.MustRegister(reg, "x", func() one { return one{N: n} }, memwatchprom.Config{})
	require.Contains(t, scrape(t, reg), `bedplate_x_n_total{name=""} 5`)
	n = 2
	require.Contains(t, scrape(t, reg), `bedplate_x_n_total{name=""} 2`)
}

func TestHostileKeysDoNotBreakAScrape(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	members := map[string]one{"\xff\xfe": {}, "a\"b\n\\": {}, "": {}, strings.Repeat("long", 1000): {}}
	for i := range 1000 {
		members[fmt.Sprint("client", i)] = one{State: fmt.Sprint(i)}
	}
	memwatchprom.MustRegister(reg, "x", fixed(members), memwatchprom.Config{})
	for range 3 {
		families := parse(t, scrape(t, reg))
		require.Len(t, families["bedplate_x_n_total"].GetMetric(), 100)
		require.LessOrEqual(t, len(families["bedplate_x_state"].GetMetric()), 1700)
		require.Equal(t, 904.0, families["bedplate_x_left_out"].GetMetric()[0].GetGauge().GetValue())
	}
}

func TestManyScrapeAtOnceWhileItIsUsed(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	cache := lru.MustNew(lru.Config[int, int]{Capacity: 100})
	group := breaker.MustNewGroup[int](breaker.GroupConfig{Breaker: breaker.Config{ConsecutiveFailures: 2, OpenFor: time.Microsecond}})
	memwatchprom.MustRegister(reg, "lru", cache.Stats, memwatchprom.Config{})
	memwatchprom.MustRegister(reg, "hosts", memwatchmetrics.Each(group.All(), (*breaker.Breaker).Stats), memwatchprom.Config{MaxSeries: 10})
	errs := make(chan error, 4)
	var scrapers, users sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		users.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				cache.Set(n%200, n)
				cache.Get(n % 100)
				_ = group.Get(n%20).Do(t.Context(), fail)
			}
		})
	}
	for range 4 {
		scrapers.Go(func() {
			for range 50 {
				if _, err := reg.Gather(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	scrapers.Wait()
	close(stop)
	users.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}
