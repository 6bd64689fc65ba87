package memwatch_test

import (
	"context"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
)

func TestNewRefusesWhatMakesNoSense(t *testing.T) {
	for want, cfg := range map[string]memwatch.Config{
		"memwatch: Config.Interval is -1s, want ≥ 0":                                     {Interval: -time.Second},
		"memwatch: Config.Interval is 1µs, want ≥ 1ms":                                   {Interval: time.Microsecond},
		"memwatch: Config.MinRatio is -0.1, want ≥ 0":                                    {MinRatio: -0.1},
		"memwatch: Config.MinRatio is NaN, want ≥ 0":                                     {MinRatio: math.NaN()},
		"memwatch: Config.MinGrowth is 18446744073709551615, want ≤ 9223372036854775807": {MinGrowth: math.MaxUint64},
	} {
		_, err := memwatch.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { memwatch.MustNew(cfg) })
	}
	w, err := memwatch.New(memwatch.Config{})
	require.NoError(t, err)
	require.NotNil(t, w)
}

// A watcher that has not run yet has nothing to say, and says so.
func TestAnalyzeBeforeRunIsInsufficient(t *testing.T) {
	w := memwatch.MustNew(memwatch.Config{Name: "fresh"})
	r := w.Analyze()
	require.Equal(t, memwatch.Insufficient, r.Verdict)
	require.Equal(t, memwatch.Nothing, r.Class)
	require.Equal(t, 20, r.Missing)
	require.Contains(t, r.String(), "20 more collections are needed")
	require.Empty(t, r.Sites)
	require.Zero(t, r.Duration)
	require.NotZero(t, r.Last.Total)
	require.False(t, r.Time.IsZero())
	require.Zero(t, count(w))
}

func TestSnapshotIsNotKept(t *testing.T) {
	w := memwatch.MustNew(memwatch.Config{})
	before := time.Now()
	s := w.Snapshot()
	require.False(t, s.Time.Before(before))
	require.Zero(t, count(w))
}

func TestConfirmForcesTwoCollections(t *testing.T) {
	w := memwatch.MustNew(memwatch.Config{})
	before := w.Snapshot().Cycle
	r, err := w.Confirm(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, w.Snapshot().Cycle-before, uint64(2))
	require.NotNil(t, r.Forced)
	require.Positive(t, r.Forced.Before+r.Forced.After)
}

// A Run that is cancelled between Confirm's collections ends it there.
func TestConfirmStopsBetweenTheCollections(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	marker := new([64]byte)
	runtime.AddCleanup(marker, func(cancel context.CancelFunc) { cancel() }, cancel)
	w := memwatch.MustNew(memwatch.Config{})
	var err error
	for range 1000 { // the cleanup runs soon after the first collection
		if _, err = w.Confirm(ctx); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, context.Canceled)
}

func TestMemoryProfilingSwitchedOffIsSaid(t *testing.T) {
	old := runtime.MemProfileRate
	runtime.MemProfileRate = 0
	defer func() { runtime.MemProfileRate = old }()
	r := memwatch.MustNew(memwatch.Config{}).Analyze()
	require.Contains(t, r.Reasons, "no call sites: runtime.MemProfileRate is 0")
	require.Empty(t, r.Sites)
}

// Nothing is left of a Run that has returned, and hooks see the reports in
// order.
func TestRunInABubbleLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []memwatch.Verdict
		w := memwatch.MustNew(memwatch.Config{Hooks: memwatch.Hooks{
			OnChange: func(c memwatch.Change) { seen = append(seen, c.From, c.Report.Verdict) },
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
		for i := 2; i < len(seen); i += 2 {
			require.Equal(t, seen[i-1], seen[i])
		}
	})
}
