// Package migrate_test compiles both sides of the pages in this folder and
// proves that they do the same.
package migrate_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // ants starts two when it is imported
}

var block = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestEachBlockOfThePagesIsCompiled wants each block of Go verbatim in a test
// file of this folder, and two in each page of a peer: before and after.
func TestEachBlockOfThePagesIsCompiled(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var compiled strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		compiled.Write(text)
	}
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	index, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Len(t, pages, 10, "eight peers, the index, and when to use something else")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		blocks := block.FindAllStringSubmatch(string(text), -1)
		for _, b := range blocks {
			require.Contains(t, compiled.String(), b[1], page)
		}
		if page == "README.md" {
			continue
		}
		require.Contains(t, string(index), "("+page+")", "the index names every page")
		if page != "elsewhere.md" {
			require.GreaterOrEqual(t, len(blocks), 2, page)
		}
	}
}
