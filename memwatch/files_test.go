package memwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 345e6, time.UTC)

// writes is an action that writes a text.
func writes(text string) *Action {
	a := Action{Name: "note", Ext: "txt", Write: func(to io.Writer, _ Episode) error {
		_, err := io.WriteString(to, text)
		return err
	}}.filled()
	return &a
}

func episode(at time.Time, level Level, used uint64) Episode {
	return Episode{Pressure: Pressure{Time: at, Level: level, Bound: Bound{Used: used}}}
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFileTellsWhenWhyAndWho(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	c := FilesConfig{Dir: dir}.filled()
	out, err := c.save(t.Context(), writes("hello"), episode(noon, Medium, 4711))
	require.NoError(t, err)
	want := fmt.Sprintf("memwatch-20261127T120000.345Z-medium-4711-%d-note.txt", os.Getpid())
	require.Equal(t, saved{name: want, listed: true, files: 1, bytes: 5}, out)
	require.Equal(t, []string{want}, filesIn(t, dir))
	text, err := os.ReadFile(filepath.Join(dir, want))
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))
	if runtime.GOOS != "windows" {
		for path, mode := range map[string]fs.FileMode{filepath.Join(dir, want): 0o600, dir: fs.ModeDir | 0o700} {
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.Equal(t, mode, info.Mode())
		}
	}
	k, ok := parseName(want)
	require.True(t, ok)
	require.Equal(t, kept{name: want, at: noon, level: Medium, used: 4711}, k)
}

// Files of the same millisecond get names of their own.
func TestNoFileIsOverwritten(t *testing.T) {
	c := FilesConfig{Dir: t.TempDir(), MaxFiles: 1000}.filled()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				if _, err := c.save(context.Background(), writes(fmt.Sprintf("%d.%d", i, j)), episode(noon, Low, 1)); err != nil {
					t.Errorf("save: %v", err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, name := range filesIn(t, c.Dir) {
		text, err := os.ReadFile(filepath.Join(c.Dir, name))
		require.NoError(t, err)
		seen[string(text)] = true
		_, ok := parseName(name)
		require.True(t, ok, name)
	}
	require.Len(t, seen, 40)
}

// A link with the name of the file is neither followed nor replaced.
func TestNoLinkIsFollowed(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(outside, []byte("precious"), 0o600))
	name := fmt.Sprintf("memwatch-20261127T120000.345Z-low-1-%d-note.txt", os.Getpid())
	if err := os.Symlink(outside, filepath.Join(dir, name)); err != nil {
		t.Skip(err)
	}
	c := FilesConfig{Dir: dir, MaxFiles: 1}.filled()
	for range 3 {
		_, err := c.save(t.Context(), writes("mine"), episode(noon, Low, 1))
		require.True(t, err == nil || errors.Is(err, errSpared), "%v", err)
	}
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))
	target, err := os.Readlink(filepath.Join(dir, name))
	require.NoError(t, err, "the link is not ours to remove")
	require.Equal(t, outside, target)
	require.Len(t, filesIn(t, dir), 2)
}

func TestTheWorstAreKept(t *testing.T) {
	c := FilesConfig{Dir: t.TempDir(), MaxFiles: 3}.filled()
	save := func(after time.Duration, level Level, used uint64) error {
		_, err := c.save(t.Context(), writes("x"), episode(noon.Add(after), level, used))
		return err
	}
	require.NoError(t, save(1, Low, 900))
	require.NoError(t, save(2*time.Second, Medium, 100))
	require.NoError(t, save(3*time.Second, Medium, 200))
	require.NoError(t, save(4*time.Second, Critical, 50), "in place of the lowest level")
	require.ErrorIs(t, save(5*time.Second, Low, 5000), errSpared)
	require.NoError(t, save(6*time.Second, Medium, 150), "in place of the least used")
	require.NoError(t, save(7*time.Second, Medium, 150), "newer")
	var got []string
	for _, name := range filesIn(t, c.Dir) {
		k, _ := parseName(name)
		got = append(got, fmt.Sprint(k.level, k.used, k.at.Sub(noon).Round(time.Second)))
	}
	require.ElementsMatch(t, []string{"critical 50 4s", "medium 200 3s", "medium 150 7s"}, got)

	// What is a week old makes room.
	require.NoError(t, save(8*24*time.Hour, Low, 1))
	require.Len(t, filesIn(t, c.Dir), 1)
}

func TestBytesAreBounded(t *testing.T) {
	c := FilesConfig{Dir: t.TempDir(), MaxBytes: 100}.filled()
	for i := range uint64(20) {
		out, err := c.save(t.Context(), writes(strings.Repeat("x", 30)), episode(noon.Add(time.Duration(i)*time.Second), Medium, i))
		require.NoError(t, err)
		require.LessOrEqual(t, out.bytes, int64(100))
	}
	require.Len(t, filesIn(t, c.Dir), 3)
	out, err := c.save(t.Context(), writes(strings.Repeat("x", 30)), episode(noon, Low, 1))
	require.ErrorIs(t, err, errSpared)
	require.Empty(t, out.name)
	require.Len(t, filesIn(t, c.Dir), 3)

	// One that is too large fails, and leaves nothing.
	_, err = c.save(t.Context(), writes(strings.Repeat("x", 101)), episode(noon, Critical, 1))
	require.ErrorContains(t, err, "larger than Config.Files.MaxBytes")
	require.Len(t, filesIn(t, c.Dir), 3)
}

// Random files, and a reference that sorts them all.
func TestKeptFilesAreTheWorstOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for range 500 {
		c := FilesConfig{MaxFiles: 1 + r.IntN(6), MaxBytes: 1 + r.Int64N(300), MaxAge: time.Duration(1+r.IntN(50)) * time.Second}
		var all []kept
		for i := range r.IntN(12) {
			all = append(all, kept{name: fmt.Sprint(i), at: noon.Add(-time.Duration(r.IntN(60)) * time.Second), level: Level(r.IntN(4)), used: r.Uint64N(3), size: r.Int64N(100)})
		}
		keep, remove := c.choose(slices.Clone(all), noon)
		require.ElementsMatch(t, all, append(slices.Clone(keep), remove...))
		require.LessOrEqual(t, len(keep), c.MaxFiles)
		sum := int64(0)
		for _, k := range keep {
			sum += k.size
			require.LessOrEqual(t, noon.Sub(k.at), c.MaxAge)
		}
		require.LessOrEqual(t, sum, c.MaxBytes)
		for _, gone := range remove { // for a reason: too old, or worse ones left no room for it
			worse, size := 0, int64(0)
			for _, k := range keep {
				if k.level > gone.level || k.level == gone.level && k.used >= gone.used {
					worse++
					size += k.size
				}
			}
			require.True(t, noon.Sub(gone.at) > c.MaxAge || worse == c.MaxFiles || size+gone.size > c.MaxBytes, "%+v of %+v", gone, all)
		}
	}
}

// Whatever goes wrong, nothing is left behind and others' files stay.
func TestFailedFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := FilesConfig{Dir: dir, MaxFiles: 1}.filled()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	boom := errors.New("boom")
	half := &Action{Name: "half", Ext: "x", Write: func(to io.Writer, _ Episode) error {
		_, _ = io.WriteString(to, "half of it")
		return boom
	}}
	_, err := c.save(t.Context(), half, episode(noon, Low, 1))
	require.ErrorIs(t, err, boom)
	require.Equal(t, []string{"notes.txt"}, filesIn(t, dir))

	// A panic passes through.
	half.Write = func(io.Writer, Episode) error { panic(boom) }
	require.PanicsWithError(t, "boom", func() { _, _ = c.save(t.Context(), half, episode(noon, Low, 1)) })
	require.Equal(t, []string{"notes.txt"}, filesIn(t, dir))

	// A ctx that is done refuses what is written.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.save(ctx, writes("x"), episode(noon, Low, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"notes.txt"}, filesIn(t, dir))

	// A file in place of the directory.
	c.Dir = filepath.Join(dir, "notes.txt")
	_, err = c.save(t.Context(), writes("x"), episode(noon, Low, 1))
	require.ErrorContains(t, err, "memwatch: ")
}

// What a dead process left is removed after an hour; what a living one writes
// is not, nor are directories and files of others, whatever their names.
func TestRestsOfTheDeadAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{".memwatch-1-dead": old, ".memwatch-1-alive": time.Now(), "memwatch-notes": old, ".other": old} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "memwatch-20200101T000000.000Z-low-1-1-x.y"), 0o700))
	c := FilesConfig{Dir: dir}.filled()
	out, err := c.save(t.Context(), writes("x"), episode(time.Now(), Low, 1))
	require.NoError(t, err)
	require.Equal(t, 1, out.files)
	names := filesIn(t, dir)
	require.NotContains(t, names, ".memwatch-1-dead")
	require.Len(t, names, 5)
}

func TestNamesOfOthersAreNotOurs(t *testing.T) {
	for _, name := range []string{
		"", "memwatch-", "memwatch-20261127T120000.345Z-medium-4711-12", "memwatch-20261127T120000.345Z-medium-4711-12-note",
		"memwatch-20261127-medium-4711-12-note.txt", "memwatch-20261127T120000.345Z-bad-4711-12-note.txt",
		"memwatch-20261127T120000.345Z-low-x-12-note.txt", "memwatch-20261127T120000.345Z-low--1-12-note.txt",
		"memwatch-20261127T120000.345Z-low-1-pid-note.txt", "xmemwatch-20261127T120000.345Z-low-1-1-note.txt",
	} {
		k, ok := parseName(name)
		require.False(t, ok, name)
		require.Equal(t, kept{}, k, name)
	}
	_, ok := parseName("memwatch-20261127T120000.345Z-low-1-12_7-my-own-note.txt")
	require.True(t, ok)
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(text)
}
