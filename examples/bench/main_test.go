package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const twoRounds = `goos: linux
BenchmarkClosed/peer=bedplate-2   	100	  5.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkClosed/peer=other-2      	100	 20.0 ns/op	 16 B/op	 1 allocs/op
BenchmarkClosed/peer=floor-call-2 	100	  2.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkOpen/calls=2/peer=other-2	100	  7.0 ns/op	 0 B/op	 0 allocs/op
PASS
`

func TestTableTakesMediansAndRatiosOverRounds(t *testing.T) {
	tab := &table{rows: make(map[string]map[string][]sample)}
	tab.add([]byte(twoRounds), 2)
	tab.add([]byte("BenchmarkClosed/peer=bedplate-2 100 15 ns/op 0 B/op 2 allocs/op\nBenchmarkClosed/peer=other-2 100 20 ns/op 0 B/op 1 allocs/op\n"), 2)
	require.Equal(t, []string{"Closed", "Open/calls=2"}, tab.order)
	require.InDelta(t, 10.0, tab.ns("Closed", ours), 1e-9)
	require.InDelta(t, 2.0, tab.allocs("Closed", ours), 1e-9, "the largest over the rounds")
	ratio, ok := tab.ratio("Closed", "other")
	require.True(t, ok)
	require.InDelta(t, 0.5, ratio, 1e-9)
	require.Equal(t, "other", tab.best("Closed"))
	require.Equal(t, "floor-call", tab.floor("Closed"))
	_, ok = tab.ratio("Closed", "floor-call")
	require.False(t, ok, "a peer that missed a round has no ratio")
}

func TestGoalsAreReadAndJudged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "goals.txt")
	require.NoError(t, os.WriteFile(file, []byte("# header\nClosed other 0.30\nBenchmarkClosed floor-call 2 # beside\nGone other 1\n"), 0o600))
	goals, err := readGoals(file)
	require.NoError(t, err)
	require.Len(t, goals, 3)

	tab := &table{rows: make(map[string]map[string][]sample)}
	tab.add([]byte(twoRounds), 2)
	var out bytes.Buffer
	tab.judge(&out, goals)
	require.Contains(t, out.String(), "0.25 reached")
	require.Contains(t, out.String(), "2.50 MISSED")
	require.Contains(t, out.String(), "not run")

	require.NoError(t, os.WriteFile(file, []byte("Closed other\n"), 0o600))
	_, err = readGoals(file)
	require.ErrorContains(t, err, "goals.txt:1: 2 words")
	none, err := readGoals(filepath.Join(t.TempDir(), "goals.txt"))
	require.NoError(t, err)
	require.Empty(t, none)
}
