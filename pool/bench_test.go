package pool_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/bedplate/bedplate/pool"
)

var background = context.Background()

// number is the cheapest resource there is.
func number(context.Context) (int, error) { return 1, nil }

// benchConfigs are the pools whose calls cost differently.
var benchConfigs = map[string]pool.Config[int]{
	"plain": {Create: number, Max: 64},
	"check": {Create: number, Max: 64, Check: func(context.Context, int) error { return nil }, KeepAlive: time.Second},
	"reset": {Create: number, Max: 64, Reset: func(context.Context, int) error { return nil }},
	"leak":  {Create: number, Max: 64, LeakAfter: time.Minute},
	"drop":  {Create: number, Max: 64, ReclaimLeaked: true},
	"hooks": {Create: number, Max: 64, Hooks: pool.Hooks{OnAcquired: func(pool.Acquired) {}, OnReleased: func(pool.Released) {}}},
}

func BenchmarkAcquire(b *testing.B) {
	for name, cfg := range benchConfigs {
		b.Run("config="+name, func(b *testing.B) {
			p := pool.MustNew(cfg)
			defer p.Close()
			b.ReportAllocs()
			for b.Loop() {
				l, err := p.Acquire(background)
				if err != nil {
					b.Fatal(err)
				}
				l.Release()
			}
		})
	}
}

func BenchmarkAcquireParallel(b *testing.B) {
	p := pool.MustNew(benchConfigs["plain"])
	defer p.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := p.Acquire(background)
			if err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}

func BenchmarkWith(b *testing.B) {
	p := pool.MustNew(benchConfigs["plain"])
	defer p.Close()
	fn := func(context.Context, int) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := p.With(background, fn); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContended has eight callers share two resources.
func BenchmarkContended(b *testing.B) {
	p := pool.MustNew(pool.Config[int]{Create: number, Max: 2})
	defer p.Close()
	b.ReportAllocs()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range b.N / 8 {
				l, err := p.Acquire(background)
				if err != nil {
					b.Error(err)
					return
				}
				runtime.Gosched()
				l.Release()
			}
		})
	}
	wg.Wait()
}
