//go:build linux || darwin

package seal_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

func init() { children["full"] = encryptToFullDisk }

// The destination has the mode of the source, or its own, or the one asked for.
// Plaintext that was not there before is for its owner alone.
func TestFileModes(t *testing.T) {
	s := newSealer()
	for _, c := range []struct {
		src, exists, asked, sealed, plain fs.FileMode
	}{
		{src: 0o644, sealed: 0o644, plain: 0o600},
		{src: 0o750, sealed: 0o750, plain: 0o700},
		{src: 0o400, sealed: 0o400, plain: 0o400},
		{src: 0o600, exists: 0o664, sealed: 0o664, plain: 0o664},
		{src: 0o600, exists: 0o664, asked: 0o640, sealed: 0o640, plain: 0o640},
		{src: 0o644, asked: 0o666, sealed: 0o666, plain: 0o666},
	} {
		f := newFolder(t)
		src := f.write("plain", text(10), c.src)
		if c.exists != 0 {
			f.write("sealed", nil, c.exists)
			f.write("back", nil, c.exists)
		}
		require.NoError(t, s.EncryptFile(t.Context(), f.at("sealed"), src, seal.File{Mode: c.asked}))
		require.Equal(t, c.sealed, f.mode("sealed"), "%+v", c)
		require.NoError(t, s.DecryptFile(t.Context(), f.at("back"), f.at("sealed"), seal.File{Mode: c.asked}))
		require.Equal(t, c.plain, f.mode("back"), "%+v", c)
	}
}

// To open a pipe would wait for its other end, for ever.
func TestPipesAreRefused(t *testing.T) {
	f, s := newFolder(t), newSealer()
	require.NoError(t, syscall.Mkfifo(f.at("pipe"), 0o600))
	src := f.write("plain", text(10), 0o600)
	require.ErrorIs(t, s.EncryptFile(t.Context(), f.at("sealed"), f.at("pipe"), seal.File{}), seal.ErrNotRegular)
	require.ErrorIs(t, s.EncryptFile(t.Context(), f.at("pipe"), src, seal.File{}), seal.ErrNotRegular)
	require.ErrorIs(t, s.EncryptFile(t.Context(), "/dev/null", src, seal.File{}), seal.ErrNotRegular)
	f.holds("pipe", "plain")
}

// The link stays a link, and what it points to is replaced, in its own folder.
func TestLinkIsFollowed(t *testing.T) {
	f, other, s := newFolder(t), newFolder(t), newSealer()
	src := f.write("plain", text(10), 0o600)
	other.write("real", []byte("old"), 0o600)
	require.NoError(t, os.Symlink(other.at("real"), f.at("link")))
	require.NoError(t, s.EncryptFile(t.Context(), f.at("link"), src, seal.File{}))
	require.Equal(t, fs.ModeSymlink, f.mode("link").Type())
	plain, err := openAll(s, other.read("real"), nil)
	require.NoError(t, err)
	require.Equal(t, text(10), plain)
	other.holds("real")

	require.NoError(t, os.Symlink(other.at("gone"), f.at("dangling")))
	require.ErrorIs(t, s.EncryptFile(t.Context(), f.at("dangling"), src, seal.File{}), fs.ErrNotExist)
	f.holds("plain", "link", "dangling")
}

// encryptToFullDisk is the child of TestFullDiskLeavesNothing. The system sends
// a signal with the error, which would end the program.
func encryptToFullDisk() int {
	signal.Ignore(syscall.SIGXFSZ)
	dir := os.Getenv("SEAL_TEST_DIR")
	limit := syscall.Rlimit{Cur: 300_000, Max: 300_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	err := newSealer().EncryptFile(context.Background(), filepath.Join(dir, "sealed"), filepath.Join(dir, "plain"), seal.File{})
	fmt.Println(err)
	return 0
}

// TestFullDiskLeavesNothing lets a real write fail in the middle of a file, by a
// limit on the size of files, which needs a process of its own.
func TestFullDiskLeavesNothing(t *testing.T) {
	f := newFolder(t)
	f.write("plain", make([]byte, 1<<20), 0o600)
	f.write("sealed", []byte("precious"), 0o600)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=full", "SEAL_TEST_DIR="+f.path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.True(t, bytes.Contains(out, []byte("too large")), "%s", out)
	f.holds("plain", "sealed")
	require.Equal(t, "precious", string(f.read("sealed")))
}
