package audit_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/audit"
)

func TestLogKeepsTheNewestLinesWithinItsBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	const bound = 1000
	l, err := audit.Open(path, bound)
	require.NoError(t, err)
	for i := range 500 {
		require.NoError(t, l.Append(fmt.Appendf(nil, "line %d", i)))
	}
	require.NoError(t, l.Close())
	before, err := os.ReadFile(path + ".1")
	require.NoError(t, err)
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.LessOrEqual(t, len(before), bound)
	require.LessOrEqual(t, len(now), bound)
	lines := bytes.Split(bytes.TrimSuffix(append(before, now...), []byte("\n")), []byte("\n"))
	require.Greater(t, len(lines)*len("line 499\n"), bound-len("line 499\n"))
	for i, line := range lines {
		require.Equal(t, fmt.Sprintf("line %d", 500-len(lines)+i), string(line), "none is missing in between")
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestLogGoesOnWhereItEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, line := range []string{"one", "two"} {
		l, err := audit.Open(path, 100)
		require.NoError(t, err)
		require.NoError(t, l.Append([]byte(line)))
		require.NoError(t, l.Close())
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\n", string(text))
}

func TestLogTakesALineThatIsLongerThanItsBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.Open(path, 10)
	require.NoError(t, err)
	require.NoError(t, l.Append(bytes.Repeat([]byte("x"), 20)))
	require.NoError(t, l.Append([]byte("next")))
	require.NoError(t, l.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "next\n", string(text))
}

func TestLogIsForManyGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := audit.Open(path, 1<<20)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				_ = l.Append([]byte("0123456789"))
			}
		})
	}
	writers.Wait()
	require.NoError(t, l.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte("0123456789\n"), 800), text)
}

func TestLogSaysWhatIsWrong(t *testing.T) {
	_, err := audit.Open(filepath.Join(t.TempDir(), "audit.log"), 0)
	require.ErrorContains(t, err, "bound is 0")
	_, err = audit.Open(filepath.Join(t.TempDir(), "none", "audit.log"), 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	l, err := audit.Open(filepath.Join(t.TempDir(), "audit.log"), 1)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Append([]byte("late")), fs.ErrClosed)
}
