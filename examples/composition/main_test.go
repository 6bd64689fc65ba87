package composition_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var (
	calls = flag.Int("calls", 0, "how many calls the storm makes; 0 means a million with the race detector, else, or with -short, 200,000")
	seed  = flag.Uint64("seed", 1, "what the plan of the calls is drawn from")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
