package memwatchprom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchprom"
)

func Example() {
	orders := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, OpenFor: time.Minute})
	slots := bulkhead.MustNew(bulkhead.Config{Name: "orders", Limit: 10})
	watcher := memwatch.MustNew(memwatch.Config{Name: "api"})

	reg := prometheus.NewRegistry()
	memwatchprom.MustRegister(reg, "breaker", orders.Stats, memwatchprom.Config{
		States: map[string][]string{"state": {"closed", "open", "half-open"}},
	})
	memwatchprom.MustRegister(reg, "bulkhead", slots.Stats, memwatchprom.Config{})
	memwatchprom.MustRegister(reg, "memory", memwatchmetrics.Watcher(watcher), memwatchprom.Config{})
	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))

	for range 3 {
		_ = orders.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
	print(http.DefaultServeMux, "bedplate_breaker_state", "bedplate_breaker_refused", "bedplate_bulkhead_limit")
	// Output:
	// bedplate_breaker_refused_total{name="orders"} 2
	// bedplate_breaker_state{name="orders",state="closed"} 0
	// bedplate_breaker_state{name="orders",state="half-open"} 0
	// bedplate_breaker_state{name="orders",state="open"} 1
	// bedplate_bulkhead_limit{name="orders"} 10
}

// print prints the lines of /metrics that begin with one of the names.
func print(h http.Handler, names ...string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		for _, name := range names {
			if strings.HasPrefix(line, name) {
				fmt.Print(line)
			}
		}
	}
}

// The breakers of a group have their key as a label.
func ExampleRegister_group() {
	hosts := breaker.MustNewGroup[string](breaker.GroupConfig{})
	reg := prometheus.NewRegistry()
	_, err := memwatchprom.Register(reg, "upstreams", hosts.Stats, memwatchprom.Config{})
	if err != nil {
		panic(err)
	}
	memwatchprom.MustRegister(reg, "upstream", memwatchmetrics.Each(hosts.All(), (*breaker.Breaker).Stats), memwatchprom.Config{
		Label: "host",
	})
	hosts.Get("a.example")
	hosts.Get("b.example")
	print(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), "bedplate_upstreams_breakers", "bedplate_upstream_opened")
	// Output:
	// bedplate_upstream_opened_total{host="a.example"} 0
	// bedplate_upstream_opened_total{host="b.example"} 0
	// bedplate_upstreams_breakers 2
}

// A hook needs no adapter to count.
func Example_hooks() {
	changes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_breaker_changes_total"}, []string{"to"})
	hooks := breaker.Hooks{OnStateChange: func(c breaker.StateChange) { changes.WithLabelValues(c.To.String()).Inc() }}

	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, OpenFor: time.Minute, Hooks: hooks})
	_ = b.Do(context.Background(), func(context.Context) error { return errors.New("down") })

	reg := prometheus.NewRegistry()
	reg.MustRegister(changes)
	print(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), "shop")
	// Output: shop_breaker_changes_total{to="open"} 1
}
