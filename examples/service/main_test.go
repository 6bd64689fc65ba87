package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestServiceEndsByItself(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(context.Background(), []string{"-addr", "127.0.0.1:0", "-for", (200 * time.Millisecond).String(), "-drain-delay", "0"}, &out, io.Discard))
	require.Contains(t, out.String(), "http://127.0.0.1:")
}
