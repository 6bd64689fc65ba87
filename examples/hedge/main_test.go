package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
)

func TestRunShowsBothHalves(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	require.Contains(t, out.String(), "an extra one after the p95")
	require.Contains(t, out.String(), "retry: budget spent")
}

func TestExtraAttemptsAndRetriesShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := retry.MustNewBudget(retry.BudgetConfig{})
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Budget: budget})
		failed := errors.New("failed")
		for range 10 {
			require.Error(t, h.Do(t.Context(), func(context.Context) error { time.Sleep(2 * time.Second); return failed }))
		}
		require.EqualValues(t, 4, h.Stats().Hedges, "an extra attempt is paid for like a retry")
		r := retry.MustNew(retry.Config{Budget: budget})
		require.ErrorIs(t, r.Do(t.Context(), func(context.Context) error { return failed }), retry.ErrBudget)
	})
}
