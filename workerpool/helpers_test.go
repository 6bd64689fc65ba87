package workerpool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// newPool makes a pool that is closed at the end of the test.
func newPool(t testing.TB, cfg workerpool.Config) *workerpool.Pool {
	t.Helper()
	p, err := workerpool.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// requireIdle checks that the pool has nothing to do and that its books agree.
func requireIdle(t testing.TB, p *workerpool.Pool) {
	t.Helper()
	s := p.Stats()
	require.Zero(t, s.Queued, "queued: %+v", s)
	require.Zero(t, s.Running, "running: %+v", s)
	require.Zero(t, s.Waiting, "waiting: %+v", s)
	requireBooks(t, s)
}

// requireBooks checks that each accepted task is in exactly one place.
func requireBooks(t testing.TB, s workerpool.Stats) {
	t.Helper()
	require.GreaterOrEqual(t, s.Running, 0)
	require.GreaterOrEqual(t, s.Queued, 0)
	dropped := s.DroppedContextDone + s.DroppedCanceled + s.DroppedTooOld + s.DroppedOverflowed + s.DroppedClosed
	require.Equal(t, s.Accepted, uint64(s.Queued)+uint64(s.Running)+s.Completed+dropped, "%+v", s)
	require.LessOrEqual(t, s.Idle, s.Workers)
}

// block returns a task that runs until release is called.
func block() (task func(context.Context), release func()) {
	gate := make(chan struct{})
	return func(context.Context) { <-gate }, func() { close(gate) }
}

// submit is Submit of a function that cannot be refused.
func submit[T any](t testing.TB, ctx context.Context, p workerpool.Target, fn func(context.Context) (T, error)) *workerpool.Future[T] { //nolint:revive // t comes first in tests
	t.Helper()
	f, err := workerpool.Submit(ctx, p, fn)
	require.NoError(t, err)
	return f
}
