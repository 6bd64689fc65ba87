package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const rowsText = `# a comment
breaker: closed / open | breaker | BreakerClosed BreakerOpen/x=1 | 1 1 | floor-call=a+call gobreaker

stream, µs | stream | StreamMap | 1000 | ro
`

func rowsOf(t *testing.T, text string) ([]readmeRow, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "readme.txt")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return readReadmeRows(file)
}

func fixedTables() map[string]*table {
	tables := map[string]*table{"breaker": {rows: make(map[string]map[string][]sample)}, "stream": {rows: make(map[string]map[string][]sample)}}
	for _, round := range []string{"17.4", "16.0", "99.0"} {
		tables["breaker"].add([]byte("BenchmarkBreakerClosed/peer=bedplate-2 1 "+round+" ns/op\n"+
			"BenchmarkBreakerClosed/peer=floor-call-2 1 9.94 ns/op\nBenchmarkBreakerClosed/peer=gobreaker-2 1 199.6 ns/op\n"+
			"BenchmarkBreakerOpen/x=1/peer=bedplate-2 1 0.04 ns/op\nBenchmarkBreakerOpen/x=1/peer=gobreaker-2 1 9.96 ns/op\n"), 2)
		tables["stream"].add([]byte("BenchmarkStreamMap/peer=bedplate-2 1 6500 ns/op\nBenchmarkStreamMap/peer=ro-2 1 98000 ns/op\n"), 2)
	}
	return tables
}

func TestTheReadmesTableIsRenderedFromMedians(t *testing.T) {
	rows, err := rowsOf(t, rowsText)
	require.NoError(t, err)
	got, err := renderReadme(rows, fixedTables(), "Measured so.")
	require.NoError(t, err)
	require.Equal(t, tableBegin+`
Measured so.

| | bedplate | peers |
|---|---|---|
| breaker: closed / open | 17 / 0.0 | a+call 9.9 / –, gobreaker 200 / 10 |
| stream, µs | 6.5 | ro 98 |
`+tableEnd, got)
	require.Equal(t, "^Benchmark(BreakerClosed|BreakerOpen)$", matchFor(rows, "breaker"))
}

func TestATableWithAHoleIsNotRendered(t *testing.T) {
	rows, err := rowsOf(t, "a | breaker | BreakerClosed Gone | 1 | gobreaker\n")
	require.NoError(t, err)
	_, err = renderReadme(rows, fixedTables(), "")
	require.EqualError(t, err, "a: not measured: BreakerClosed, Gone")
	rows, err = rowsOf(t, "a | breaker | BreakerClosed | 1 | nobody\n")
	require.NoError(t, err)
	_, err = renderReadme(rows, fixedTables(), "")
	require.EqualError(t, err, "a: no figure of the peer nobody")
	_, err = renderReadme(rows, nil, "")
	require.ErrorContains(t, err, "not measured")
}

func TestTheRowsFileIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"a | b\n":              "readme.txt:1: 2 fields",
		"#\na | b | c | x | d": `readme.txt:2: the divisor is "x"`,
		"a | b | c | 0 | d":    `the divisor is "0"`,
		"a | b |  | 1 | d":     "no benchmarks or no peers",
		"a | b | c | 1 | ":     "no benchmarks or no peers",
	} {
		_, err := rowsOf(t, text)
		require.ErrorContains(t, err, want)
	}
	_, err := readReadmeRows(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOnlyWhatStandsBetweenTheMarkersIsReplaced(t *testing.T) {
	old := "before\n" + tableBegin + "\nold\n" + tableEnd + "\nafter\n"
	next := tableBegin + "\nnew\n" + tableEnd
	got, err := replaceTable([]byte(old), next)
	require.NoError(t, err)
	require.Equal(t, "before\n"+next+"\nafter\n", string(got))
	again, err := replaceTable(got, next)
	require.NoError(t, err)
	require.Equal(t, got, again)
	for _, bad := range []string{"", tableBegin, tableEnd + tableBegin, old + old} {
		_, err := replaceTable([]byte(bad), next)
		require.Error(t, err)
	}
}

// TestTheReadmeHasOnlyRowsThatAreListed keeps readme.txt, the benchmarks and
// README.md together. A row that was added to the list is in the README when the
// table is measured next.
func TestTheReadmeHasOnlyRowsThatAreListed(t *testing.T) {
	rows, err := readReadmeRows("readme.txt")
	require.NoError(t, err)
	var listed []string
	for _, r := range rows {
		listed = append(listed, r.label)
		source, err := os.ReadFile(filepath.Join(r.pkg, "bench_test.go"))
		require.NoError(t, err)
		for _, b := range r.benchmarks {
			name, _, _ := strings.Cut(b, "/")
			require.Regexp(t, `(?m)^func Benchmark`+name+`\(`, string(source))
		}
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(readme), tableBegin)
	require.True(t, ok)
	shown, _, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	labels := regexp.MustCompile(`(?m)^\| ([^|-].*?) \|`).FindAllStringSubmatch(shown, -1)
	require.NotEmpty(t, labels)
	for _, m := range labels {
		require.Contains(t, listed, m[1])
	}
}
