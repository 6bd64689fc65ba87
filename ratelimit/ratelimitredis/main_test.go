package ratelimitredis_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// TestMain runs the tests, or, in a process that a test has started, a limiter
// under load.
func TestMain(m *testing.M) {
	if addr := os.Getenv("RATELIMITREDIS_CHILD"); addr != "" {
		child(addr)
		return
	}
	redis.SetLogger(silent{}) // servers are taken away here
	goleak.VerifyTestMain(m)
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
