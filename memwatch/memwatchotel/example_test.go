package memwatchotel_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchotel"
)

func Example() {
	reader := sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))

	orders := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, OpenFor: time.Minute})
	slots := bulkhead.MustNew(bulkhead.Config{Name: "orders", Limit: 10})
	watcher := memwatch.MustNew(memwatch.Config{Name: "api"})

	meter := provider.Meter("example.com/shop")
	memwatchotel.MustRegister(meter, "breaker", orders.Stats, memwatchotel.Config{
		States: map[string][]string{"state": {"closed", "open", "half-open"}},
	})
	memwatchotel.MustRegister(meter, "bulkhead", slots.Stats, memwatchotel.Config{})
	memwatchotel.MustRegister(meter, "memory", memwatchmetrics.Watcher(watcher), memwatchotel.Config{})

	for range 3 {
		_ = orders.Do(context.Background(), func(context.Context) error { return context.DeadlineExceeded })
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		panic(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "bedplate.breaker.refused" {
			name, _ := sum.DataPoints[0].Attributes.Value("name")
			fmt.Println(m.Name, name.AsString(), sum.DataPoints[0].Value)
		}
	}
	// Output: bedplate.breaker.refused orders 2
}

// The breakers of a group have their key as an attribute.
func ExampleRegister_group() {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("example.com/shop")
	hosts := breaker.MustNewGroup[string](breaker.GroupConfig{})
	hosts.Get("a.example")
	hosts.Get("b.example")
	memwatchotel.MustRegister(meter, "upstream", memwatchmetrics.Each(hosts.All(), (*breaker.Breaker).Stats), memwatchotel.Config{
		Label: "host",
	})
	registration, err := memwatchotel.Register(meter, "upstreams", hosts.Stats, memwatchotel.Config{})
	if err != nil {
		panic(err)
	}
	defer registration.Unregister()

	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		panic(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "bedplate.upstream.opened" {
			fmt.Println(m.Name, len(sum.DataPoints))
		}
	}
	// Output: bedplate.upstream.opened 2
}

func ExampleTraceRefusals() {
	spans := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("example.com/shop")
	orders := breaker.MustNew(breaker.Config{Name: "orders"})
	orders.SetMode(breaker.ForceOpen)
	fetch := func(context.Context) (string, error) { return "found", nil }

	get := memwatchotel.TraceRefusals("orders", breaker.Wrap(orders, fetch))

	ctx, span := tracer.Start(context.Background(), "request")
	_, err := get(ctx)
	span.End()
	fmt.Println(err)
	fmt.Println(spans.GetSpans()[0].Events[0].Name)
	// Output:
	// breaker: orders: open, forced
	// bedplate.refused
}

// A hook needs no adapter to be logged.
func Example_hooks() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	hooks := breaker.Hooks{OnStateChange: func(c breaker.StateChange) {
		logger.Warn("breaker", "name", c.Name, "from", c.From, "to", c.To, "rule", c.Rule)
	}}

	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, Hooks: hooks})
	_ = b.Do(context.Background(), func(context.Context) error { return context.DeadlineExceeded })
	// Output: level=WARN msg=breaker name=orders from=closed to=open rule="consecutive failures"
}
