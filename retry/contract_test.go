package retry_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

var errShutdown = errors.New("shutting down")

func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errShutdown)
	r := retry.MustNew(retry.Config{})
	fn := func(context.Context) error { t.Error("fn called"); return nil }
	err := r.Do(ctx, fn)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errShutdown)

	var final error
	for range r.Attempts(ctx, &final) {
		t.Error("body ran")
	}
	require.ErrorIs(t, final, context.Canceled)
	require.ErrorIs(t, final, errShutdown)
	require.Zero(t, r.Stats())
}

// The wait of a retry is the delay between attempts.
func TestContractDoneWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := retry.MustNew(retry.Config{BaseDelay: time.Hour, Jitter: retry.NoJitter})
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		fn, calls := failing(1)
		err := r.Do(ctx, fn)
		require.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errTry)
		require.Equal(t, 1, *calls)
		require.NoError(t, r.Do(t.Context(), fn), "the Retrier is unchanged")
	})
}

func TestContractErrorMatchesErrAndCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errShutdown)
		defer cancel()
		r := retry.MustNew(retry.Config{})
		err := r.Do(ctx, func(context.Context) error {
			time.Sleep(2 * time.Second)
			return errTry
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errShutdown)
		require.ErrorIs(t, err, errTry)
	})
	// Without a cause of its own, the error of the context is returned as it is.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fn, _ := failing(0)
	require.True(t, retry.MustNew(retry.Config{}).Do(ctx, fn) == context.Canceled)
}

func TestContractFnContextDerives(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	r := retry.MustNew(retry.Config{BaseDelay: 1, AttemptTimeout: time.Hour})
	attempts := 0
	_ = r.Do(ctx, func(ctx context.Context) error {
		require.Equal(t, "value", ctx.Value(key{}))
		if attempts++; attempts == 2 {
			cancel()
			<-ctx.Done()
		}
		return errTry
	})
	require.Equal(t, 2, attempts)
}

// Callers share the Retrier and its Budget.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := retry.MustNewBudget(retry.BudgetConfig{})
		r := retry.MustNew(retry.Config{BaseDelay: time.Second, Jitter: retry.NoJitter, Budget: budget})
		ctx, cancel := context.WithCancel(t.Context())
		cancelled, other := make(chan error), make(chan error)
		go func() { fn, _ := failing(1); cancelled <- r.Do(ctx, fn) }()
		go func() { fn, _ := failing(1); other <- r.Do(t.Context(), fn) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-cancelled, context.Canceled)
		require.NoError(t, <-other)
	})
}

// An error that is not retried comes back as fn returned it. One that the
// Retrier wanted to retry is in the *Error.
func TestContractFnErrorUnwrapped(t *testing.T) {
	r := retry.MustNew(retry.Config{If: func(error) bool { return false }})
	require.True(t, r.Do(t.Context(), func(context.Context) error { return errFatal }) == errFatal)

	ctx, cancel := context.WithCancel(t.Context())
	err := retry.MustNew(retry.Config{}).Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
	require.True(t, err == context.Canceled, "fn's own report of a done context needs no wrapping")
}

func TestContractPanicAndGoexit(t *testing.T) {
	r := retry.MustNew(retry.Config{NoDelay: true, AttemptTimeout: time.Hour})
	calls := 0
	var ctxs []context.Context
	explode := func(ctx context.Context) error {
		ctxs = append(ctxs, ctx)
		if calls++; calls%2 == 0 {
			panic("boom")
		}
		return errTry
	}
	require.PanicsWithValue(t, "boom", func() { _ = r.Do(t.Context(), explode) })
	require.Equal(t, 2, calls, "a panic is not retried")
	require.PanicsWithValue(t, "boom", func() {
		for a := range r.Attempts(t.Context(), nil) {
			a.Done(explode(a.Context()))
		}
	})

	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Do(context.Background(), func(ctx context.Context) error {
			ctxs = append(ctxs, ctx)
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	for _, ctx := range ctxs {
		require.Error(t, ctx.Err(), "the attempt's context is released")
	}
}
