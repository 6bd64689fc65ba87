package memwatchotel_test

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/memwatch/memwatchotel"
	"github.com/bedplate/bedplate/pool"
)

// BenchmarkCollect is a collection by the SDK, most of which is the SDK's.
func BenchmarkCollect(b *testing.B) {
	b.Run("of=breaker", func(b *testing.B) { collection(b, breaker.MustNew(breaker.Config{Name: "orders"}).Stats) })
	b.Run("of=pool", func(b *testing.B) { collection(b, fixed(pool.Stats{Name: "db"})) })
}

func collection[S any](b *testing.B, stats func() S) {
	b.Helper()
	reader := sdk.NewManualReader()
	memwatchotel.MustRegister(sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("bench"), "x", stats, memwatchotel.Config{})
	var data metricdata.ResourceMetrics
	b.ReportAllocs()
	for b.Loop() {
		if err := reader.Collect(context.Background(), &data); err != nil {
			b.Fatal(err)
		}
	}
}
