package memwatch

import (
	"crypto/rand"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A disk that is full: a real one of 64 KiB, where the system lets us have it.
func TestFullDiskLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("no mount: ", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	c := FilesConfig{Dir: dir}.filled()
	large := &Action{Name: "large", Ext: "bin", Write: func(to io.Writer, _ Episode) error {
		_, err := io.CopyN(to, rand.Reader, 1<<20)
		return err
	}}
	_, err := c.save(t.Context(), large, episode(noon, Critical, 1))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Empty(t, filesIn(t, dir))

	// There is room for others again.
	out, err := c.save(t.Context(), writes("small"), episode(noon, Low, 1))
	require.NoError(t, err)
	require.Equal(t, []string{out.name}, filesIn(t, dir))
}

// A directory in which nobody may write fails the action, and no more.
func TestDirectoryOfOthersFailsTheAction(t *testing.T) {
	c := FilesConfig{Dir: "/proc/self"}.filled()
	_, err := c.save(t.Context(), writes("x"), episode(noon, Low, 1))
	require.ErrorContains(t, err, "memwatch: ")
	if os.Getuid() != 0 {
		c.Dir = t.TempDir()
		require.NoError(t, os.Chmod(c.Dir, 0o500))
		_, err = c.save(t.Context(), writes("x"), episode(noon, Low, 1))
		require.ErrorIs(t, err, os.ErrPermission)
	}
}
