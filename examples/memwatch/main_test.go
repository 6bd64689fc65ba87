package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunNamesEachLeakAndAccusesNobodyElse(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	parts := strings.Split(out.String(), "== ")
	require.Len(t, parts, 5)
	require.NotContains(t, parts[1], "memory of shop: suspect")
	require.NotContains(t, parts[1], "memory of shop: leak")

	require.Contains(t, parts[2], ", heap;")
	require.Contains(t, parts[2], "(*shop).place")
	require.Contains(t, parts[2], "main.go:")
	require.Contains(t, parts[2], "the limit of 4.0 GiB is reached in")

	require.Contains(t, parts[3], ", goroutines;")
	require.Contains(t, parts[3], "(*shop).notify")

	require.Contains(t, parts[4], "pressure: critical, gomemlimit: ")
	require.Contains(t, parts[4], "pressure: normal, ")
	require.Contains(t, parts[4], "written: memwatch-")
	require.Contains(t, parts[4], "-heap.pprof, ")
}
