package memwatch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A hook may use the watcher that calls it.
func TestOnChangeRunsOutsideEveryLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *Watcher
		calls := 0
		w = scripted(t, Config{Hooks: Hooks{OnChange: func(c Change) {
			calls++
			require.Equal(t, c.Report.Verdict, w.Analyze().Verdict)
			require.Equal(t, c.Report.Last.Cycle, w.Snapshot().Cycle)
			for range w.Samples() {
				_ = w.Snapshot()
			}
			require.Equal(t, ErrRunning, w.Run(t.Context()))
		}}}, leaking)
		runFor(t, w, 30*time.Minute)
		require.Positive(t, calls)
	})
}

// The same verdict with another class is a change.
func TestOnChangeTellsOfAnotherClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Class
		w := scripted(t, Config{Hooks: Hooks{OnChange: func(c Change) { got = append(got, c.Report.Class) }}},
			func(i uint64) Sample {
				s := leaking(i)
				s.Goroutines += max(i, 200) - 200
				return s
			})
		runFor(t, w, 3*time.Hour)
		require.Contains(t, got, Heap)
		require.Equal(t, Goroutines, got[len(got)-1])
		for i := 1; i < len(got); i++ {
			require.False(t, got[i] < Nothing || got[i] >= classes)
		}
	})
}

// While nothing changes nobody is called.
func TestOnChangeIsSilentWhileNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Verdict
		w := scripted(t, Config{Hooks: Hooks{OnChange: func(c Change) { got = append(got, c.Report.Verdict) }}},
			func(i uint64) Sample { return Sample{Cycle: i + 1, Live: 10 * mb} })
		runFor(t, w, 6*time.Hour)
		require.Equal(t, []Verdict{None}, got)
	})
}

// A slow hook delays samples and loses none of the collections.
func TestSlowHookDelaysOnlySamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{Hooks: Hooks{OnChange: func(Change) { time.Sleep(5 * time.Minute) }}},
			func(i uint64) Sample { return Sample{Cycle: i + 1, Live: 10 * mb} })
		runFor(t, w, 18*time.Minute)
		var last time.Time
		longest := time.Duration(0)
		for s := range w.Samples() {
			if !last.IsZero() {
				longest = max(longest, s.Time.Sub(last))
			}
			last = s.Time
		}
		require.GreaterOrEqual(t, longest, 5*time.Minute)
		require.Equal(t, None, w.Analyze().Verdict)
	})
}

// Of many Runs at once one runs and the others are refused.
func TestOnlyOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, leaking)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for range 10 {
			wg.Go(func() {
				if errors.Is(w.Run(ctx), ErrRunning) {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		require.Equal(t, 9, refused)
		require.False(t, w.running)
	})
}

func TestCtxErrorIsPlainWithoutACause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	require.Equal(t, context.Canceled, ctxError(ctx))
	other, stop := context.WithCancelCause(t.Context())
	stop(errors.New("because"))
	require.EqualError(t, ctxError(other), "context canceled: because")
}
