package hedge_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(panicEnv) != "" {
		panicInExtraAttempt()
	}
	goleak.VerifyTestMain(m)
}
