package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestRunTellsTheWholeStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		run(&out)
		for _, line := range []string{
			"prices: closed → open, because of consecutive failures, for 200ms",
			"prices: half-open → open, because of probe failed, for 400ms",
			"prices: half-open → closed, because of probes succeeded",
			"closed after 5 ignored, 4 failed and 5 refused calls",
			"prices: closed → open, because of mode",
		} {
			require.Contains(t, out.String(), line)
		}
	})
}
