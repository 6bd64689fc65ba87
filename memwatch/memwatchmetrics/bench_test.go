package memwatchmetrics_test

import (
	"testing"

	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
)

func BenchmarkRead(b *testing.B) {
	p := memwatchmetrics.MustNew[full](fullConfig)
	s := full{State: "open", Exits: map[reason]uint64{"crash": 1}, Slots: make([]slot, 1)}
	n := 0
	emit := func(memwatchmetrics.Sample) { n++ }
	b.ReportAllocs()
	for b.Loop() {
		p.Read(&s, emit)
	}
	b.ReportMetric(float64(n)/float64(b.N), "samples/op")
}

func BenchmarkReadPlain(b *testing.B) {
	p := memwatchmetrics.MustNew[Stats](memwatchmetrics.Config{})
	s := Stats{State: "open"}
	emit := func(memwatchmetrics.Sample) {}
	b.ReportAllocs()
	for b.Loop() {
		p.Read(&s, emit)
	}
}
