package composition_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
)

type step = func(context.Context) (string, error)

// orders yields every order of names.
func orders(names []string) (out [][]string) {
	if len(names) == 0 {
		return [][]string{nil}
	}
	for i, first := range names {
		rest := append(append([]string(nil), names[:i]...), names[i+1:]...)
		for _, o := range orders(rest) {
			out = append(out, append([]string{first}, o...))
		}
	}
	return out
}

// All guards have one shape, so each of the 720 orders of six is legal, and what
// a caller sees of fn is the same in all of them.
func TestEveryOrderOfGuardsIsLegal(t *testing.T) {
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	for _, order := range orders([]string{"retry", "hedge", "breaker", "ratelimit", "bulkhead", "pool"}) {
		name := strings.Join(order, " ▸ ")
		bh := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		br := breaker.MustNew(breaker.Config{ConsecutiveFailures: 4})
		conns := pool.MustNew(pool.Config[int]{Max: 1, Create: func(context.Context) (int, error) { return 1, nil }})
		wraps := map[string]func(step) step{
			"retry": func(s step) step {
				return retry.Wrap(retry.MustNew(retry.Config{NoDelay: true, Budget: budget}), s)
			},
			"hedge":     func(s step) step { return hedge.Wrap(hedge.MustNew(hedge.Config{Delay: time.Hour}), s) },
			"breaker":   func(s step) step { return breaker.Wrap(br, s) },
			"ratelimit": func(s step) step { return ratelimit.Wrap(ratelimit.MustNewSingle(ratelimit.SingleConfig{}), s) },
			"bulkhead":  func(s step) step { return bulkhead.Wrap(bh, s) },
			"pool": func(s step) step {
				return func(ctx context.Context) (string, error) {
					return pool.Use(ctx, conns, func(ctx context.Context, _ int) (string, error) { return s(ctx) })
				}
			},
		}
		var fn step
		ran := 0
		var call step
		call = func(ctx context.Context) (string, error) { ran++; return fn(ctx) }
		for _, i := range slices.Backward(order) {
			call = wraps[i](call)
		}

		fn = func(context.Context) (string, error) { return "well", nil }
		v, err := call(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, "well", v, name)

		own := errors.New("own")
		lasting := retry.Permanent(own)
		fn = func(context.Context) (string, error) { return "", lasting }
		_, err = call(t.Context())
		require.Same(t, lasting, err, name)

		boom := new(int)
		fn = func(context.Context) (string, error) { panic(boom) }
		require.PanicsWithValue(t, boom, func() { _, _ = call(t.Context()) }, name)

		fn = func(context.Context) (string, error) { runtime.Goexit(); return "", nil }
		gone := make(chan bool)
		go func() {
			returned := false
			defer func() { gone <- !returned && recover() == nil }()
			_, _ = call(context.Background())
			returned = true
		}()
		require.True(t, <-gone, name)

		ran = 0
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		fn = func(ctx context.Context) (string, error) {
			cancel(why)
			<-ctx.Done() // fn's ctx derives from the caller's
			require.ErrorIs(t, context.Cause(ctx), why, name)
			return "", own
		}
		_, err = call(ctx)
		require.ErrorIs(t, err, own, name)
		require.Equal(t, 1, ran, name)
		_, err = call(ctx)
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, err, why, name)
		require.Equal(t, 1, ran, "%s: a ctx that is done before calls nothing", name)

		fn = func(context.Context) (string, error) { return "well again", nil }
		v, err = call(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, "well again", v, name)

		require.Zero(t, bh.Stats().InUse, name)
		require.Zero(t, conns.Stats().InUse, name)
		require.Equal(t, breaker.Closed, br.State(), name)
		require.NoError(t, bh.Close())
		require.NoError(t, conns.Close())
	}
}
