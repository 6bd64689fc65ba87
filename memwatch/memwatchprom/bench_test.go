package memwatchprom_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/memwatch/memwatchprom"
	"github.com/bedplate/bedplate/pool"
)

// BenchmarkCollect is the part of a scrape that is ours: from Stats to metrics.
// BenchmarkGather has what the registry does with them as well.
func BenchmarkCollect(b *testing.B) {
	b.Run("of=breaker", func(b *testing.B) {
		br := breaker.MustNew(breaker.Config{Name: "orders"})
		collect(b, br.Stats)
	})
	b.Run("of=pool", func(b *testing.B) {
		collect(b, func() pool.Stats { return pool.Stats{Name: "db"} })
	})
	b.Run("of=nothing", func(b *testing.B) {
		collect(b, func() one { return one{} })
	})
}

func collect[S any](b *testing.B, stats func() S) {
	b.Helper()
	c := memwatchprom.MustRegister(prometheus.NewRegistry(), "x", stats, memwatchprom.Config{})
	out := make(chan prometheus.Metric, 1000)
	b.ReportAllocs()
	for b.Loop() {
		c.Collect(out)
		for len(out) > 0 {
			<-out
		}
	}
}

func BenchmarkGather(b *testing.B) {
	br := breaker.MustNew(breaker.Config{Name: "orders"})
	reg := prometheus.NewRegistry()
	memwatchprom.MustRegister(reg, "breaker", br.Stats, memwatchprom.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
