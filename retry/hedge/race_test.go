package hedge_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

// tracked counts the results that are open.
type tracked struct{ open *atomic.Int64 }

func (r *tracked) Close() error { r.open.Add(-1); return nil }

func TestCancellationStormLosesNoResult(t *testing.T) {
	for _, detached := range []bool{false, true} {
		h := hedge.MustNew(hedge.Config{Delay: 20 * time.Microsecond, MaxAttempts: 3, Ratio: 10, Detached: detached})
		var open atomic.Int64
		var bad atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 200 {
					ctx, cancel := context.WithCancel(context.Background())
					stop := time.AfterFunc(time.Duration(rand.IntN(150))*time.Microsecond, cancel)
					r, err := hedge.DoValue(ctx, h, func(ctx context.Context) (*tracked, error) {
						_ = sleep(ctx, time.Duration(rand.IntN(100))*time.Microsecond)
						if rand.IntN(4) == 0 {
							return nil, errTry
						}
						open.Add(1)
						return &tracked{&open}, nil
					})
					switch {
					case err == nil:
						_ = r.Close()
					case !errors.Is(err, errTry) && !errors.Is(err, context.Canceled):
						bad.Add(1)
					}
					stop.Stop()
					cancel()
				}
			})
		}
		all.Wait()
		require.Zero(t, bad.Load())
		require.Eventually(t, func() bool { return open.Load() == 0 && h.Stats().Abandoned == 0 }, 10*time.Second, time.Millisecond,
			"every result was returned or discarded")
	}
}
