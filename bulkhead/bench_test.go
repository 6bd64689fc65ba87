package bulkhead_test

import (
	"context"
	"testing"

	"github.com/bedplate/bedplate/bulkhead"
)

var background = context.Background()

// benchConfigs are the bulkheads whose calls cost differently.
var benchConfigs = map[string]bulkhead.Config{
	"plain":    {Limit: 64},
	"adaptive": {Limit: 64, Adaptive: bulkhead.Adaptive{Max: 64}},
	"hooks": {Limit: 64, Hooks: bulkhead.Hooks{
		OnAcquired: func(bulkhead.Acquired) {}, OnReleased: func(bulkhead.Released) {},
	}},
}

func BenchmarkAcquire(b *testing.B) {
	for name, cfg := range benchConfigs {
		b.Run("config="+name, func(b *testing.B) {
			bh := bulkhead.MustNew(cfg)
			b.ReportAllocs()
			for b.Loop() {
				p, err := bh.Acquire(background)
				if err != nil {
					b.Fatal(err)
				}
				p.Release()
			}
		})
	}
}

func BenchmarkDo(b *testing.B) {
	fn := func(context.Context) error { return nil }
	for name, cfg := range benchConfigs {
		b.Run("config="+name, func(b *testing.B) {
			bh := bulkhead.MustNew(cfg)
			b.ReportAllocs()
			for b.Loop() {
				if err := bh.Do(background, fn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefused is what a caller costs that is turned away.
func BenchmarkRefused(b *testing.B) {
	full := func(cfg bulkhead.Config) *bulkhead.Bulkhead {
		bh := bulkhead.MustNew(cfg)
		bh.TryAcquireN(cfg.Limit)
		return bh
	}
	b.Run("way=TryAcquire", func(b *testing.B) {
		bh := full(bulkhead.Config{Limit: 64})
		b.ReportAllocs()
		for b.Loop() {
			bh.TryAcquire()
		}
	})
	b.Run("way=Acquire", func(b *testing.B) {
		bh := full(bulkhead.Config{Limit: 64, NoWait: true})
		b.ReportAllocs()
		for b.Loop() {
			_, _ = bh.Acquire(background)
		}
	})
}
