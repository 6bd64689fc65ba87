package retry_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

func TestAttemptsLoopsUntilSuccess(t *testing.T) {
	r := retry.MustNew(retry.Config{BaseDelay: 1})
	fn, calls := failing(2)
	final := errFatal
	var more []bool
	for a := range r.Attempts(t.Context(), &final) {
		require.Equal(t, *calls+1, a.Number())
		info, ok := retry.FromContext(a.Context())
		require.Equal(t, a.Number() > 1, ok)
		if ok {
			require.Equal(t, a.Number(), info.Attempt)
		}
		err := fn(a.Context())
		more = append(more, a.Done(err))
		require.Equal(t, more[len(more)-1], a.Done(errFatal), "a second Done changes nothing")
	}
	require.NoError(t, final)
	require.Equal(t, []bool{true, true, false}, more)
	require.Equal(t, retry.Stats{Retries: 2, Recovered: 1}, r.Stats())
}

func TestAttemptsEndsWithTheErrorOfDo(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, NoDelay: true})
	var final error
	for a := range r.Attempts(t.Context(), &final) {
		a.Done(errTry)
	}
	require.ErrorIs(t, final, retry.ErrExhausted)
	require.ErrorIs(t, final, errTry)

	for a := range r.Attempts(t.Context(), &final) {
		require.Equal(t, 1, a.Number())
		a.Done(retry.Permanent(errFatal))
	}
	require.Equal(t, retry.Permanent(errFatal), final)
}

func TestAttemptsWorksWithContinueBreakAndReturn(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 5, NoDelay: true})
	passes := 0
	final := errFatal
	for a := range r.Attempts(t.Context(), &final) {
		passes++
		if a.Done(errTry) && a.Number() < 3 {
			continue
		}
		break
	}
	require.Equal(t, 3, passes)
	require.Equal(t, errFatal, final, "a body that leaves the loop has its own error")

	inReturn := func() (int, error) {
		for a := range r.Attempts(t.Context(), nil) {
			if a.Number() == 2 {
				return a.Number(), nil
			}
			a.Done(errTry)
		}
		return 0, errFatal
	}
	n, err := inReturn()
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestPassWithoutDoneCountsAsAFailure(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, NoDelay: true})
	passes := 0
	var final error
	for range r.Attempts(t.Context(), &final) {
		passes++
	}
	require.Equal(t, 3, passes)
	require.ErrorIs(t, final, retry.ErrExhausted)
	require.ErrorContains(t, final, "attempt ended without Done")
}

func TestAttemptsMayBeRangedOverAgain(t *testing.T) {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, NoDelay: true})
	passes := 0
	seq := r.Attempts(t.Context(), nil)
	for range 2 {
		for a := range seq {
			passes++
			a.Done(errTry)
		}
	}
	require.Equal(t, 6, passes)
}

func TestAttemptsKeepsDeadlineTimeoutAndElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		cfg := retry.Config{MaxAttempts: math.MaxInt, BaseDelay: 3 * time.Second, Backoff: retry.Constant,
			Jitter: retry.NoJitter, AttemptTimeout: time.Second}
		begin := time.Now()
		var final error
		var ctxs []context.Context
		for a := range retry.MustNew(cfg).Attempts(ctx, &final) {
			for _, old := range ctxs {
				require.Error(t, old.Err(), "the context of a pass ends with it")
			}
			ctxs = append(ctxs, a.Context())
			<-a.Context().Done()
			a.Done(a.Context().Err())
		}
		require.Equal(t, 9*time.Second, time.Since(begin), "attempts at 0, 4 and 8 s, and no delay that cannot fit")
		require.ErrorIs(t, final, context.DeadlineExceeded)

		cfg.MaxElapsed = 5 * time.Second
		for a := range retry.MustNew(cfg).Attempts(t.Context(), &final) {
			a.Done(errTry)
		}
		require.ErrorIs(t, final, retry.ErrElapsed)
	})
}

func TestAttemptsEndsWhenTheContextIsDoneInTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := retry.MustNew(retry.Config{BaseDelay: time.Hour, Jitter: retry.NoJitter})
		var final error
		for a := range r.Attempts(ctx, &final) {
			require.True(t, a.Done(errTry))
		}
		require.ErrorIs(t, final, context.Canceled)
		require.ErrorIs(t, final, errTry)
	})
}
