package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry"
)

var errGone = errors.New("gone")

func retryBefore(ctx context.Context, fetch call) (string, error) {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.MaxInterval = 10 * time.Second
	return backoff.Retry(ctx, func() (string, error) {
		v, err := fetch(ctx)
		if errors.Is(err, errGone) {
			return v, backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(b), backoff.WithMaxTries(4))
}

func retryAfter(ctx context.Context, fetch call) (string, error) {
	r := retry.MustNew(retry.Config{
		MaxAttempts: 4,
		BaseDelay:   100 * time.Millisecond,
		MaxDelay:    10 * time.Second,
		If:          func(err error) bool { return !errors.Is(err, errGone) },
	})
	return retry.DoValue(ctx, r, fetch)
}

func TestCenkaltiPair(t *testing.T) {
	errDown := errors.New("down")
	run := func(do func(context.Context, call) (string, error)) (log []string) {
		for _, results := range [][]error{{nil}, {errDown, errDown, nil}, {errDown, errDown, errDown, errDown, nil}, {errDown, errGone, nil}} {
			calls := 0
			v, err := do(context.Background(), func(context.Context) (string, error) {
				calls++
				if err := results[calls-1]; err != nil {
					return "", err
				}
				return "found", nil
			})
			log = append(log, fmt.Sprint(v, calls, errors.Is(err, errDown), errors.Is(err, errGone)))
		}
		return log
	}
	synctest.Test(t, func(t *testing.T) {
		before := run(retryBefore)
		require.Len(t, before, 4)
		require.Equal(t, "found1 false false", before[0])
		require.Equal(t, before, run(retryAfter))
	})
}
