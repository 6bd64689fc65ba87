package hedge_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

// shared is used in several bubbles, which must not meet in it.
var shared = hedge.MustNew(hedge.Config{Delay: time.Second, Ratio: 1})

func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			v, err := hedge.DoValue(t.Context(), shared, numbered(time.Hour, time.Second))
			require.NoError(t, err)
			require.Equal(t, 2, v)
		})
	}
}

// steady makes n calls of the given latency.
func steady(t *testing.T, h *hedge.Hedger, n int, latency func() time.Duration) {
	for range n {
		require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error { return sleep(ctx, latency()) }))
	}
}

func TestWithoutMeasurementsThereAreNoExtraAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{})
		steady(t, h, 99, func() time.Duration { return time.Hour })
		require.Zero(t, h.Stats().Hedges)
		require.Zero(t, h.Stats().Delay)
	})
}

func TestFixedDelayServesUntilTheQuantileIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Minute, Quantile: 0.9})
		require.Equal(t, time.Minute, h.Stats().Delay)
		steady(t, h, 200, func() time.Duration { return time.Second })
		require.InEpsilon(t, time.Second, h.Stats().Delay, 0.13)
		require.GreaterOrEqual(t, h.Stats().Delay, time.Second, "it is an upper bound")
	})
}

func TestDelayFollowsTheQuantile(t *testing.T) {
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		synctest.Test(t, func(t *testing.T) {
			h := hedge.MustNew(hedge.Config{Quantile: q, Ratio: 1e-6})
			uniform := func() time.Duration { return time.Duration(rand.Int64N(int64(time.Second))) }
			steady(t, h, 5000, uniform)
			require.InDelta(t, q*float64(time.Second), float64(h.Stats().Delay), 0.18*float64(time.Second))
		})
	}
}

func TestDelayForgetsAFormerLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Ratio: 1e-6})
		steady(t, h, 1000, func() time.Duration { return time.Second })
		require.InEpsilon(t, time.Second, h.Stats().Delay, 0.13)
		steady(t, h, 5000, func() time.Duration { return 10 * time.Millisecond })
		require.InEpsilon(t, 10*time.Millisecond, h.Stats().Delay, 0.13)
	})
}

func TestDelayDoesNotShrinkBecauseExtraAttemptsWin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Quantile: 0.9, Ratio: 1})
		// Three calls in twenty take 1 to 10 s, so the quantile is 4 s. An
		// extra attempt nearly always wins then. Were the losers left out, the
		// rest would be fast, and all three in twenty be hedged.
		latency := func() time.Duration {
			if rand.IntN(20) < 3 {
				return time.Second + time.Duration(rand.Int64N(int64(9*time.Second)))
			}
			return 50*time.Millisecond + time.Duration(rand.Int64N(int64(50*time.Millisecond)))
		}
		steady(t, h, 10_000, latency)
		s := h.Stats()
		require.Greater(t, s.Wins, uint64(500), "extra attempts do win")
		require.InDelta(t, 0.1, float64(s.Hedges)/float64(s.Calls), 0.03, "the promise of a quantile of 0.9")
	})
}

func TestMinDelayBoundsTheQuantile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{MinDelay: 20 * time.Millisecond})
		steady(t, h, 200, func() time.Duration { return time.Microsecond })
		require.Equal(t, 20*time.Millisecond, h.Stats().Delay)
	})
}

func TestFailuresAndCancellationsAreNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{})
		for range 200 {
			_ = h.Do(t.Context(), func(context.Context) error { return errTry })
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_ = h.Do(ctx, func(ctx context.Context) error { return sleep(ctx, time.Second) })
			cancel()
		}
		require.Zero(t, h.Stats().Delay)
	})
}

func TestExtremeLatenciesAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{MinDelay: 1, Ratio: 1e-6})
		steady(t, h, 200, func() time.Duration { return 0 })
		require.Less(t, h.Stats().Delay, 2*time.Microsecond)
		steady(t, h, 5000, func() time.Duration { return 24 * time.Hour })
		require.Greater(t, h.Stats().Delay, 30*time.Minute)
	})
}
