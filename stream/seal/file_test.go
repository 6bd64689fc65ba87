package seal_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// folder has files in it, and notices what else is left there.
type folder struct {
	t    *testing.T
	path string
}

func newFolder(t *testing.T) folder { return folder{t, t.TempDir()} }

func (f folder) at(name string) string { return filepath.Join(f.path, name) }

func (f folder) write(name string, data []byte, mode fs.FileMode) string {
	require.NoError(f.t, os.WriteFile(f.at(name), data, 0o600))
	require.NoError(f.t, os.Chmod(f.at(name), mode))
	return f.at(name)
}

func (f folder) read(name string) []byte {
	data, err := os.ReadFile(f.at(name))
	require.NoError(f.t, err)
	return data
}

func (f folder) mode(name string) fs.FileMode {
	info, err := os.Lstat(f.at(name))
	require.NoError(f.t, err)
	return info.Mode()
}

// holds wants exactly these files.
func (f folder) holds(names ...string) {
	f.t.Helper()
	entries, err := os.ReadDir(f.path)
	require.NoError(f.t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(f.t, names, got)
}

// The lengths of files, around blocks of 256 KiB too.
var fileLengths = append([]int{16*chunk - 1, 16 * chunk, 16*chunk + 1, 40 * chunk}, lengths...)

func TestFilesComeBackAsTheyWere(t *testing.T) {
	for name, s := range sealers(t) {
		for _, n := range fileLengths {
			f := newFolder(t)
			src := f.write("plain", text(n), 0o600)
			require.NoError(t, s.EncryptFile(t.Context(), f.at("sealed"), src, seal.File{Associated: []byte("a")}), name)
			plain, err := openAll(s, f.read("sealed"), []byte("a"))
			require.NoError(t, err, "the file is a message like any other")
			require.True(t, bytes.Equal(text(n), plain))
			require.NoError(t, s.DecryptFile(t.Context(), f.at("back"), f.at("sealed"), seal.File{Associated: []byte("a")}))
			require.True(t, bytes.Equal(text(n), f.read("back")))
			f.holds("plain", "sealed", "back")
		}
	}
}

func TestFileIsReplacedInPlace(t *testing.T) {
	f, s := newFolder(t), newSealer()
	path := f.write("file", text(20*chunk), 0o640)
	require.NoError(t, s.EncryptFile(t.Context(), path, path, seal.File{}))
	require.NotEqual(t, text(20 * chunk)[:100], f.read("file")[:100])
	require.NoError(t, s.DecryptFile(t.Context(), path, path, seal.File{}))
	require.True(t, bytes.Equal(text(20*chunk), f.read("file")))
	f.holds("file")
	if runtime.GOOS != "windows" {
		require.Equal(t, fs.FileMode(0o640), f.mode("file"))
	}
}

// What fails leaves the destination as it was, and nothing beside it.
func TestFailureLeavesTheDestinationAlone(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(40*chunk), nil)
	corrupt := bytes.Clone(message)
	corrupt[len(corrupt)-1] ^= 1 // found out at the very end
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		src  []byte
		file seal.File
		want error
	}{
		"corrupt":    {context.Background(), corrupt, seal.File{}, seal.ErrCorrupt},
		"cut off":    {context.Background(), message[:prelude+20*sealed], seal.File{}, seal.ErrTruncated},
		"wrong data": {context.Background(), message, seal.File{Associated: []byte("x")}, seal.ErrKey},
		"empty":      {context.Background(), nil, seal.File{}, seal.ErrTruncated},
		"cancelled":  {cancelled, message, seal.File{}, context.Canceled},
	} {
		for _, exists := range []bool{true, false} {
			f := newFolder(t)
			src := f.write("sealed", c.src, 0o600)
			want := []string{"sealed"}
			if exists {
				f.write("plain", []byte("precious"), 0o600)
				want = append(want, "plain")
			}
			require.ErrorIs(t, s.DecryptFile(c.ctx, f.at("plain"), src, c.file), c.want, name)
			f.holds(want...)
			if exists {
				require.Equal(t, "precious", string(f.read("plain")))
			}
		}
	}
}

func TestFileErrorsAreThoseOfTheSystem(t *testing.T) {
	f, s := newFolder(t), newSealer()
	src := f.write("plain", text(10), 0o600)
	require.NoError(t, os.Mkdir(f.at("folder"), 0o700))
	ctx := t.Context()
	require.ErrorIs(t, s.EncryptFile(ctx, f.at("x"), f.at("gone"), seal.File{}), fs.ErrNotExist)
	require.ErrorIs(t, s.EncryptFile(ctx, f.at("gone/x"), src, seal.File{}), fs.ErrNotExist)
	require.ErrorIs(t, s.EncryptFile(ctx, f.at("x"), f.at("folder"), seal.File{}), seal.ErrNotRegular)
	require.ErrorIs(t, s.EncryptFile(ctx, f.at("folder"), src, seal.File{}), seal.ErrNotRegular)
	require.NoError(t, s.Close())
	require.Equal(t, seal.ErrClosed, s.EncryptFile(ctx, f.at("x"), src, seal.File{}))
	require.Equal(t, seal.ErrClosed, s.DecryptFile(ctx, f.at("x"), src, seal.File{}))
	f.holds("plain", "folder")
}

func TestProgressCountsTheSource(t *testing.T) {
	f, s := newFolder(t), newSealer()
	src := f.write("plain", text(40*chunk+5), 0o600)
	run := func(do func(context.Context, string, string, seal.File) error, dst, src string) {
		info, err := os.Stat(src)
		require.NoError(t, err)
		last, calls := int64(0), 0
		require.NoError(t, do(t.Context(), dst, src, seal.File{Progress: func(_ context.Context, done, total int64) {
			require.Greater(t, done, last-1)
			require.Equal(t, info.Size(), total)
			last = done
			calls++
		}}))
		require.Equal(t, info.Size(), last)
		require.Equal(t, 3, calls)
	}
	run(s.EncryptFile, f.at("sealed"), src)
	run(s.DecryptFile, f.at("back"), f.at("sealed"))
}

// At most one block is processed after ctx is done.
func TestFileStopsBetweenBlocks(t *testing.T) {
	f, s := newFolder(t), newSealer()
	src := f.write("plain", make([]byte, 400*chunk), 0o600)
	ctx, cancel := context.WithCancelCause(t.Context())
	calls := 0
	err := s.EncryptFile(ctx, f.at("sealed"), src, seal.File{Progress: func(context.Context, int64, int64) {
		if calls++; calls == 3 {
			cancel(errCause)
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errCause)
	require.Equal(t, 3, calls)
	f.holds("plain")
}

// Cancelled after the last block, before the renaming: that is in time.
func TestFileCancelledAtTheEndIsNotRenamed(t *testing.T) {
	f, s := newFolder(t), newSealer()
	src := f.write("plain", text(10), 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.EncryptFile(ctx, f.at("sealed"), src, seal.File{Progress: func(context.Context, int64, int64) { cancel() }})
	require.Equal(t, context.Canceled, err)
	f.holds("plain")
}

// A file of 64 MiB takes no more memory than one of 1 MiB.
func TestFileMemoryIsConstant(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f, s := newFolder(t), newSealer()
	run := func(size int64) uint64 {
		src := f.write("plain", nil, 0o600)
		require.NoError(t, os.Truncate(src, size)) // sparse
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, s.EncryptFile(t.Context(), f.at("sealed"), src, seal.File{}))
		require.NoError(t, s.DecryptFile(t.Context(), f.at("back"), f.at("sealed"), seal.File{}))
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small := run(1 << 20)
	require.Less(t, small, uint64(2<<20))
	require.Less(t, run(64<<20), small+64<<10)
}
