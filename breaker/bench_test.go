package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/bedplate/bedplate/breaker"
)

// rulesets are the configurations that differ in what a healthy call costs.
var rulesets = []struct {
	name string
	cfg  breaker.Config
}{
	{"consecutive", breaker.Config{}},
	{"count", breaker.Config{CountWindow: 100}},
	{"time", breaker.Config{FailureRate: 0.5}},
	{"slow", breaker.Config{SlowCall: time.Second, SlowRate: 0.5}},
	{"in-flight", breaker.Config{SlowCall: time.Second, SlowInFlight: 10}},
	{"call-timeout", breaker.Config{CallTimeout: time.Second}},
}

func BenchmarkDo(b *testing.B) {
	for _, r := range rulesets {
		b.Run("rule="+r.name, func(b *testing.B) {
			br := breaker.MustNew(r.cfg)
			b.ReportAllocs()
			for b.Loop() {
				_ = br.Do(bg, succeed)
			}
		})
	}
}

func BenchmarkDoParallel(b *testing.B) {
	for _, r := range rulesets {
		b.Run("rule="+r.name, func(b *testing.B) {
			br := breaker.MustNew(r.cfg)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = br.Do(bg, succeed)
				}
			})
		})
	}
}

func BenchmarkDoValue(b *testing.B) {
	br := breaker.MustNew(breaker.Config{})
	fn := func(context.Context) (int, error) { return 1, nil }
	b.ReportAllocs()
	for b.Loop() {
		_, _ = breaker.DoValue(bg, br, fn)
	}
}

func BenchmarkAllow(b *testing.B) {
	br := breaker.MustNew(breaker.Config{})
	b.ReportAllocs()
	for b.Loop() {
		p, err := br.Allow()
		if err != nil {
			b.Fatal(err)
		}
		p.Done(bg, nil)
	}
}

func BenchmarkRefuse(b *testing.B) {
	br := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	_ = br.Do(bg, fail)
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Do(bg, succeed)
	}
}

func BenchmarkGroupGet(b *testing.B) {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{})
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		_ = g.Get(i & 1023)
		i++
	}
}

func BenchmarkFailure(b *testing.B) {
	br := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2})
	b.ReportAllocs()
	for b.Loop() {
		_ = br.Do(bg, fail)
		_ = br.Do(bg, succeed)
	}
}
