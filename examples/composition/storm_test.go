package composition_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

// The whole storm, with memwatch running beside it.
func TestStormLeavesNothingBehindAndAllStatsAddUp(t *testing.T) {
	n := uint64(*calls)
	watcher, err := memwatch.New(memwatch.Config{Name: "storm", Interval: 50 * time.Millisecond})
	require.NoError(t, err)
	watching, stop := context.WithCancelCause(t.Context())
	over := errors.New("the storm is over")
	watched := make(chan error, 1)
	go func() { watched <- watcher.Run(watching) }()

	w := newWorld(t, *seed, 2*time.Millisecond, 80)
	start := time.Now()
	w.drive(t.Context(), 96, n)
	w.report(t, n, time.Since(start))
	w.finish(t)

	stop(over)
	require.ErrorIs(t, <-watched, over)
	require.False(t, watcher.Stats().Running)
	require.NotZero(t, watcher.Stats().Samples)
}

// The same in a bubble, where slow means seconds.
func TestStormInVirtualTimeAddsUp(t *testing.T) {
	opened := uint64(0)
	for i := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, *seed+100+i, 4*time.Second, 200)
			start := time.Now()
			w.drive(t.Context(), 96, 6_000)
			w.report(t, 6_000, time.Since(start))
			w.finish(t)
			opened += w.opened.Load()
		})
	}
	require.NotZero(t, opened, "the breaker has something to do")
}
