package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be a worker, as the program is.
func TestMain(m *testing.M) {
	if os.Getenv("BEDPLATE_CLUSTER") != "" {
		if err := run(context.Background(), os.Stdout, options{workers: 1, step: time.Second}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Workers that end do not wait a second for reports of the race detector.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	goleak.VerifyTestMain(m)
}

func TestRunKillsReloadsAndEnds(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		require.NoError(t, run(t.Context(), &out, options{workers: 2, step: 300 * time.Millisecond, terminal: terminal}))
		for _, want := range []string{"the tour kills a worker", "crash (signal: killed)", "the tour reloads", "reload (exit status 0)", "reloaded: <nil>", "all workers are gone"} {
			require.Contains(t, out.String(), want)
		}
		require.Equal(t, terminal, strings.Contains(out.String(), "\x1b["))
	}
}

func TestRunTakesCommands(t *testing.T) {
	var out strings.Builder
	opt := options{workers: 1, step: 50 * time.Millisecond, commands: strings.NewReader("r\n+\n-\nk\n?\nq\n")}
	require.NoError(t, run(t.Context(), &out, opt))
	require.Contains(t, out.String(), `what is "?"?`)
	require.Contains(t, out.String(), "resize")
}
