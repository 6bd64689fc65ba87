package emitternats_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the beginning of the other processes of process_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv("EMITTERNATS_ROLE"); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m,
		// One goroutine of the embedded server's logger of time, which no
		// shutdown ends.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}
