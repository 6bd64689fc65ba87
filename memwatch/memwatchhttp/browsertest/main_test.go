package browsertest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the way into the processes that the page is of; see
// process_test.go.
func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		child(mode, os.Getenv(childAddr))
		return
	}
	goleak.VerifyTestMain(m)
}
