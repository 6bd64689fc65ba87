package hedge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bedplate/bedplate/retry/hedge"
)

func BenchmarkDoValue(b *testing.B) {
	for _, detached := range []bool{false, true} {
		for _, measured := range []bool{false, true} {
			b.Run(fmt.Sprintf("detached=%v/measured=%v", detached, measured), func(b *testing.B) {
				cfg := hedge.Config{Delay: time.Hour, Detached: detached}
				if measured {
					cfg.Quantile = 0.95
				}
				h, ctx := hedge.MustNew(cfg), context.Background()
				fn := func(context.Context) (int, error) { return 1, nil }
				b.ReportAllocs()
				for b.Loop() {
					_, _ = hedge.DoValue(ctx, h, fn)
				}
			})
		}
	}
}
