package stream_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

func TestMeterIsReadWhileStreamsRun(t *testing.T) {
	var m stream.Meter
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = stuck(1000).Metered(&m).Run(ctx, nil) })
	}
	for m.Stats().Items < 3000 {
		s := m.Stats()
		require.LessOrEqual(t, s.Running, 3)
		require.GreaterOrEqual(t, s.Running, 0)
	}
	require.Equal(t, 3, m.Stats().Running)
	cancel()
	wg.Wait()
	s := m.Stats()
	require.Zero(t, s.Running)
	require.EqualValues(t, 3, s.Failed)
	require.Positive(t, s.Elapsed)
	require.Zero(t, s.Bytes, "of integers")
}

func TestStatsAsJSON(t *testing.T) {
	m := stream.Meter{Name: "lines"}
	_, err := stream.Of("ab", "c").Metered(&m).Count(t.Context())
	require.NoError(t, err)
	s := m.Stats()
	s.Elapsed = 5
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"lines","running":0,"runs":1,"failed":0,"items":2,"bytes":3,"elapsed_ns":5}`, string(text))
}
