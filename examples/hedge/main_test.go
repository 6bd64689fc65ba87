package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunShowsBothHalves(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(&out))
	require.Contains(t, out.String(), "an extra one after the p95")
	require.Contains(t, out.String(), "were held back")
}
