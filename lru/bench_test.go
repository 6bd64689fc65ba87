package lru_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/bedplate/bedplate/lru"
)

const benchSize = 100_000

// benchConfigs are the caches whose operations cost differently.
var benchConfigs = map[string]lru.Config[int, int]{
	"lru":    {Capacity: benchSize},
	"s3fifo": {Capacity: benchSize, Policy: lru.PolicyS3FIFO},
	"ttl":    {Capacity: benchSize, TTL: time.Hour},
	"cost":   {Capacity: benchSize, MaxCost: benchSize, Cost: func(int, int) int64 { return 1 }},
	"hook":   {Capacity: benchSize, Hooks: lru.Hooks[int, int]{OnRemoved: func(lru.Removed[int, int]) {}}},
}

func BenchmarkGet(b *testing.B) {
	for name, cfg := range benchConfigs {
		for face, c := range faces(cfg) {
			b.Run("config="+name+"/type="+face, func(b *testing.B) {
				for i := range benchSize {
					c.Set(i, i)
				}
				i := uint32(0)
				b.ReportAllocs()
				for b.Loop() {
					i = i*1664525 + 1013904223
					c.Get(int(uint64(i) * benchSize >> 32))
				}
			})
		}
	}
}

func BenchmarkSetEvict(b *testing.B) {
	for name, cfg := range benchConfigs {
		for face, c := range faces(cfg) {
			b.Run("config="+name+"/type="+face, func(b *testing.B) {
				for i := range benchSize {
					c.Set(i, i)
				}
				i := benchSize
				b.ReportAllocs()
				for b.Loop() {
					i++
					c.Set(i, i)
				}
			})
		}
	}
}

func BenchmarkGetOrLoadHit(b *testing.B) {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 100})
	for i := range 100 {
		c.Set(strconv.Itoa(i), i)
	}
	ctx := context.Background()
	load := func(context.Context, string) (int, error) { return 0, nil }
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.GetOrLoad(ctx, "50", load)
	}
}

func BenchmarkGetOrLoadMiss(b *testing.B) {
	c := lru.MustNew(lru.Config[int, int]{Capacity: 100})
	ctx := context.Background()
	load := func(context.Context, int) (int, error) { return 0, nil }
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		_, _ = c.GetOrLoad(ctx, i, load)
	}
}

func BenchmarkCompute(b *testing.B) {
	c := lru.MustNew(lru.Config[int, int]{Capacity: 100})
	b.ReportAllocs()
	for b.Loop() {
		c.Compute(1, func(n int, _ bool) (int, lru.Op) { return n + 1, lru.Store })
	}
}
