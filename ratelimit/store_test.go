package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// The rest of what a Store does is in package ratelimittest, which is run on
// Memory there.

func TestMemoryIsItsLimiter(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(3, time.Hour)}})
	var s ratelimit.Store = ratelimit.Memory{Limiter: l}
	d, err := s.Take(t.Context(), "a", 2)
	require.NoError(t, err)
	require.True(t, d.Allowed)
	require.False(t, d.Degraded)
	require.Equal(t, 1, l.Peek("a").Remaining)
	require.NoError(t, s.Refund(t.Context(), "a", 1))
	require.Equal(t, 2, l.Peek("a").Remaining)
	require.NoError(t, s.Reset(t.Context(), "a"))
	require.Equal(t, 3, l.Peek("a").Remaining)
}

func TestMemoryDoesNothingForAContextThatIsDone(t *testing.T) {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(3, time.Hour)}})
	s := ratelimit.Memory{Limiter: l}
	require.True(t, l.Allow("a"))
	cause := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	d, err := s.Take(ctx, "a", 1)
	require.Equal(t, ratelimit.Decision{}, d)
	for _, err := range []error{err, s.Refund(ctx, "a", 1), s.Reset(ctx, "a")} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
	}
	require.Equal(t, 2, l.Peek("a").Remaining)
	require.PanicsWithValue(t, "ratelimit: n is -1, want ≥ 0", func() { _, _ = s.Take(t.Context(), "a", -1) })
	require.PanicsWithValue(t, "ratelimit: n is -1, want ≥ 0", func() { _ = s.Refund(t.Context(), "a", -1) })
}
