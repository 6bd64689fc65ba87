package composition_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var (
	calls = flag.Int("calls", 200_000, "how many calls the storm makes")
	seed  = flag.Uint64("seed", 1, "what the plan of the calls is drawn from")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
