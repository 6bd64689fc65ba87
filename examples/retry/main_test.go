package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunShowsWhatItSays(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	for _, want := range []string{
		"attempts exhausted after 4 attempts, last error: connection reset",
		"row 7: no such user",
		"context deadline exceeded after 1 attempt, last error: connection reset",
		"attempts: 103, not 400",
		"budget spent after 1 attempt",
		"attempts: 10, not 64",
		"GET: 200 OK after 3 requests",
		"POST: 503",
	} {
		require.Contains(t, out.String(), want)
	}
}
