package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunShowsAllThree(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, 3<<20))
	for _, want := range []string{
		"encrypt 100 %", "decrypt 100 %", "the same file again: true", "1572864 of 3145728: [0 0 0 0 0]",
		"other associated data: seal: wrong key or associated data, or not a sealed message\n      the copy from before is still there: true",
		"the end cut off: seal: chunk 191 is not authentic\n      the copy from before is still there: true",
		"one bit changed: seal: chunk 95 is not authentic\n      the copy from before is still there: true",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	require.ErrorIs(t, run(ctx, &out, 1<<20), context.Canceled)
}

func TestSizesAreParsed(t *testing.T) {
	n, err := parse("4GiB")
	require.NoError(t, err)
	require.Equal(t, int64(4<<30), n)
	for _, bad := range []string{"", "4", "GiB", "4 GiB"} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
}
