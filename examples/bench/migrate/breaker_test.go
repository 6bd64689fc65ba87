package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

type call = func(context.Context) (string, error)

func ordersBefore(fetch call) call {
	cb := gobreaker.NewCircuitBreaker[string](gobreaker.Settings{
		Name:        "orders",
		MaxRequests: 1,
		Timeout:     time.Minute,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
	})
	return func(ctx context.Context) (string, error) {
		return cb.Execute(func() (string, error) { return fetch(ctx) })
	}
}

func ordersAfter(fetch call) call {
	b := breaker.MustNew(breaker.Config{
		Name:                "orders",
		ConsecutiveFailures: 3,
		OpenFor:             time.Minute,
		NoJitter:            true,
		SuccessThreshold:    1,
	})
	return breaker.Wrap(b, fetch)
}

// TestGobreakerPair goes through closed, open, half-open and closed again.
func TestGobreakerPair(t *testing.T) {
	run := func(make func(call) call) (log []string) {
		fail, calls := true, 0
		do := make(func(context.Context) (string, error) {
			if calls++; fail {
				return "", errors.New("down")
			}
			return "found", nil
		})
		try := func() {
			v, err := do(context.Background())
			refused := errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, breaker.ErrOpen)
			log = append(log, fmt.Sprintf("%q failed=%t refused=%t calls=%d", v, err != nil, refused, calls))
		}
		for range 5 {
			try()
		}
		time.Sleep(time.Minute + time.Second)
		try() // a probe that fails
		try() // so it is open again
		fail = false
		time.Sleep(time.Minute + time.Second)
		try() // a probe that succeeds
		try()
		return log
	}
	synctest.Test(t, func(t *testing.T) {
		before := run(ordersBefore)
		require.Equal(t, `"" failed=true refused=true calls=3`, before[4])
		require.Equal(t, `"found" failed=false refused=false calls=6`, before[8])
		require.Equal(t, before, run(ordersAfter))
	})
}
