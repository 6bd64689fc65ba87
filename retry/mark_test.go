package retry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

type otherKey struct{}

func TestFromContextTellsAttemptAndLastError(t *testing.T) {
	r := retry.MustNew(retry.Config{BaseDelay: 1, AttemptTimeout: time.Hour})
	attempt := 0
	require.NoError(t, r.Do(t.Context(), func(ctx context.Context) error {
		ctx = context.WithValue(ctx, otherKey{}, 1)
		info, ok := retry.FromContext(ctx)
		if attempt++; attempt == 1 {
			require.False(t, ok)
			return errFatal
		}
		require.True(t, ok)
		require.Equal(t, attempt, info.Attempt)
		if attempt == 2 {
			require.Equal(t, errFatal, info.Err)
			return errTry
		}
		require.Equal(t, errTry, info.Err)
		return nil
	}))
	require.Equal(t, 3, attempt)
}

func TestNoDelayPassesTheCallersContext(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true})
	fail, _ := failing(1)
	require.NoError(t, r.Do(t.Context(), func(ctx context.Context) error {
		require.True(t, ctx == t.Context())
		return fail(ctx)
	}))
}

// nest calls fn through depth Retriers, one inside the other.
func nest(depth int, cfg retry.Config, fn func(context.Context) error) func(context.Context) error {
	for range depth {
		r, inner := retry.MustNew(cfg), fn
		fn = func(ctx context.Context) error { return r.Do(ctx, inner) }
	}
	return fn
}

func TestNestedRetriesAddUpInsteadOfMultiplying(t *testing.T) {
	fn, calls := failing(1 << 30)
	err := nest(3, retry.Config{MaxAttempts: 4, BaseDelay: 1}, fn)(t.Context())
	require.ErrorIs(t, err, errTry)
	require.Equal(t, 4+3+3, *calls, "not 4·4·4")
}

func TestSuppressedRetryReturnsTheAttemptsOwnError(t *testing.T) {
	inner := retry.MustNew(retry.Config{})
	outer := retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: 1})
	attempt := 0
	_ = outer.Do(t.Context(), func(ctx context.Context) error {
		if attempt++; attempt == 1 {
			return errTry
		}
		err := inner.Do(ctx, func(context.Context) error { return errFatal })
		require.True(t, err == errFatal)
		return err
	})
	require.Equal(t, uint64(1), inner.Stats().Suppressed)
}

func TestNestedRetrierRetriesInsideARetry(t *testing.T) {
	fn, calls := failing(1 << 30)
	require.Error(t, nest(2, retry.Config{MaxAttempts: 3, BaseDelay: 1, Nested: true}, fn)(t.Context()))
	require.Equal(t, 9, *calls)
}

func TestNoDelayRetrierRetriesInsideARetry(t *testing.T) {
	conflicts := retry.MustNew(retry.Config{NoDelay: true})
	outer := retry.MustNew(retry.Config{MaxAttempts: 2, BaseDelay: 1})
	attempt := 0
	require.NoError(t, outer.Do(t.Context(), func(ctx context.Context) error {
		if attempt++; attempt == 1 {
			return errTry
		}
		fn, _ := failing(2)
		return conflicts.Do(ctx, fn)
	}))
}
