package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

// A server answers in 10 ms while at most capacity requests run in it, and
// proportionally slower above that.
type server struct {
	capacity, running atomic.Int64
}

func (s *server) handle() {
	n := s.running.Add(1)
	<-time.After(10 * time.Millisecond * time.Duration(max(n, s.capacity.Load())) / time.Duration(s.capacity.Load()))
	s.running.Add(-1)
}

// load runs clients against s through b for d, and returns the limits that b
// had, ten a second.
func load(b *bulkhead.Bulkhead, s *server, clients int, d time.Duration) (limits []int) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for !stop.Load() {
				if err := b.Do(context.Background(), func(context.Context) error { s.handle(); return nil }); err != nil {
					panic(err)
				}
			}
		})
	}
	for range d / (100 * time.Millisecond) {
		<-time.After(100 * time.Millisecond)
		limits = append(limits, b.Stats().Limit)
	}
	stop.Store(true)
	wg.Wait()
	return limits
}

func TestAdaptiveTargetFindsTheLimitThatKeepsTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 5,
			Adaptive: bulkhead.Adaptive{Max: 200, Target: 15 * time.Millisecond}})
		s := &server{}
		s.capacity.Store(20) // 15 ms at 30
		limits := load(b, s, 100, 20*time.Second)
		for _, limit := range limits[100:] {
			require.InDelta(t, 30, limit, 7)
		}
		s.capacity.Store(10) // 15 ms at 15
		limits = load(b, s, 100, 20*time.Second)
		for _, limit := range limits[100:] {
			require.InDelta(t, 15, limit, 4)
		}
		requireIdle(t, b)
	})
}

func TestAdaptiveGradientGrowsToTheCapacityAndShrinksWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 5, Adaptive: bulkhead.Adaptive{Max: 400}})
		s := &server{}
		s.capacity.Store(20)
		limits := load(b, s, 300, 20*time.Second)
		for _, limit := range limits[100:] {
			require.GreaterOrEqual(t, limit, 20)
			require.LessOrEqual(t, limit, 100)
		}
		before := limits[len(limits)-1]
		s.capacity.Store(5)
		limits = load(b, s, 300, 5*time.Second)
		require.LessOrEqual(t, limits[len(limits)-1], before*2/3)
		requireIdle(t, b)
	})
}

func TestAdaptiveStaysWithinItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 10,
			Adaptive: bulkhead.Adaptive{Min: 8, Max: 12, Target: time.Millisecond}})
		s := &server{}
		s.capacity.Store(100)
		limits := load(b, s, 50, 2*time.Second) // 10 ms are too slow
		require.Equal(t, 8, limits[len(limits)-1])

		b = bulkhead.MustNew(bulkhead.Config{Limit: 10,
			Adaptive: bulkhead.Adaptive{Min: 8, Max: 12, Target: time.Second}})
		limits = load(b, s, 50, 2*time.Second) // 10 ms are fast
		require.Equal(t, 12, limits[len(limits)-1])
	})
}

func TestAdaptiveDoesNotGrowOnLightLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, target := range []time.Duration{0, time.Second} {
			b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Adaptive: bulkhead.Adaptive{Max: 100, Target: target}})
			s := &server{}
			s.capacity.Store(100)
			load(b, s, 2, 5*time.Second)
			require.Equal(t, 10, b.Stats().Limit)
		}
	})
}

func TestAdaptiveShrinksOnOverloadAndIgnoresOtherFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []bulkhead.LimitChange
		b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 100,
			Adaptive: bulkhead.Adaptive{Max: 100, Window: time.Second, Target: time.Millisecond},
			Hooks:    bulkhead.Hooks{OnLimitChange: func(c bulkhead.LimitChange) { changes = append(changes, c) }},
		})
		end := func(err error) {
			p, _ := b.TryAcquireN(1)
			time.Sleep(time.Second)
			p.Done(err)
		}
		for range 20 {
			end(errCause)
		}
		for range 20 {
			require.PanicsWithValue(t, "boom", func() {
				_ = b.Do(t.Context(), func(context.Context) error {
					time.Sleep(time.Second)
					panic("boom")
				})
			})
		}
		require.Equal(t, 100, b.Stats().Limit, "slow as they were, failures say nothing")

		end(fmt.Errorf("query: %w", context.DeadlineExceeded)) // opens a window
		end(context.DeadlineExceeded)                          // completes it
		require.Equal(t, 90, b.Stats().Limit)
		require.Equal(t, []bulkhead.LimitChange{{Name: "db", From: 100, To: 90}}, changes)
		requireIdle(t, b)
	})
}

func TestAdaptiveOverloadIsTheUsersToDefine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 100, Adaptive: bulkhead.Adaptive{
			Max: 100, Window: time.Second, Overload: func(err error) bool { return errors.Is(err, errCause) },
		}})
		for range 2 {
			require.Equal(t, errCause, b.Do(t.Context(), func(context.Context) error {
				time.Sleep(time.Second)
				return errCause
			}))
		}
		require.Equal(t, 90, b.Stats().Limit)
	})
}

func TestAdaptiveResizeMovesTheLimitWithinItsBounds(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Adaptive: bulkhead.Adaptive{Min: 5, Max: 20}})
	require.EqualError(t, b.Resize(4), "bulkhead: Resize to 4, want 5 to 20")
	require.Error(t, b.Resize(21))
	require.NoError(t, b.Resize(20))
	require.Equal(t, 20, b.Stats().Limit)
}

func TestAdaptiveAdmitsNoWeightAboveMin(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 10, Adaptive: bulkhead.Adaptive{Min: 5, Max: 20}})
	_, err := b.AcquireN(t.Context(), 6)
	require.ErrorIs(t, err, bulkhead.ErrWeight)
	_, ok := b.TryAcquireN(6)
	require.False(t, ok)
	p, err := b.AcquireN(t.Context(), 5)
	require.NoError(t, err)
	p.Release()
	requireIdle(t, b)
}

func TestAdaptiveCallsDoNotAllocate(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Adaptive: bulkhead.Adaptive{Max: 20}})
	fn := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = b.Do(background, fn) }))
}
