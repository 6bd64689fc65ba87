package breaker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

func fail(context.Context) error    { return errDown }
func succeed(context.Context) error { return nil }

func TestBreakerDoReturnsErrOpenWhileOpen(t *testing.T) {
	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 2})
	require.ErrorIs(t, b.Do(bg, fail), errDown)
	require.ErrorIs(t, b.Do(bg, fail), errDown)
	require.ErrorIs(t, b.Do(bg, succeed), breaker.ErrOpen)
}
