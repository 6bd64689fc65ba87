package memwatch

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatsCountWhatRunDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes, levels := 0, 0
		w := scripted(t, Config{Name: "api", Hooks: Hooks{
			OnChange:   func(Change) { changes++ },
			OnPressure: func(PressureChange) { levels++ },
		}}, leaking)
		require.Equal(t, Stats{Name: "api"}, w.Stats())
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, Stats{Name: "api", Running: true, Samples: 1}, w.Stats())
		before := w.Stats()
		for range 30 {
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			s := w.Stats()
			require.Greater(t, s.Samples, before.Samples)
			require.Greater(t, s.Analyses, before.Analyses)
			require.GreaterOrEqual(t, s.Changes, before.Changes)
			require.GreaterOrEqual(t, s.Levels, before.Levels)
			before = s
		}
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		s := w.Stats()
		require.False(t, s.Running)
		require.EqualValues(t, changes, s.Changes)
		require.EqualValues(t, levels, s.Levels)
		require.InDelta(t, 1080, float64(s.Samples), 1)
		require.InDelta(t, 180, float64(s.Analyses), 1)
		require.Equal(t, Leak, s.Verdict)

		// They go on with the next Run.
		runFor(t, w, 55*time.Second)
		require.Equal(t, s.Samples+6, w.Stats().Samples)
		require.Equal(t, s.Analyses+1, w.Stats().Analyses)
	})
}

func TestStatsAreJSON(t *testing.T) {
	text, err := json.Marshal(Stats{Name: "a", Verdict: Leak, Level: Critical, Samples: 7})
	require.NoError(t, err)
	require.Contains(t, string(text), `"verdict":"leak","level":"critical","samples":7`)
	var back Stats
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, Stats{Name: "a", Verdict: Leak, Level: Critical, Samples: 7}, back)
}

// Snapshots and analyses that others ask for are not Run's.
func TestStatsLeaveOutWhatOthersAskedFor(t *testing.T) {
	w := MustNew(Config{})
	_ = w.Snapshot()
	_ = w.Analyze()
	_, err := w.Confirm(t.Context())
	require.NoError(t, err)
	require.Equal(t, Stats{}, w.Stats())
}
