package memwatch_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the way into the processes that leak on purpose; see
// process_test.go.
func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		child(mode)
		return
	}
	goleak.VerifyTestMain(m)
}
