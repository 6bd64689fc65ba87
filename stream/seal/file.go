package seal

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// blockSize is how much of a file is processed between two looks at ctx.
const blockSize = 16 * chunkSize

// File describes one run of EncryptFile or DecryptFile. The zero File is usable.
type File struct {
	// Associated is the associated data of the message, see Sealer.Writer.
	Associated []byte

	// Mode is the permission of the destination, without regard to the umask.
	// Zero keeps that of a destination that exists; a new one has that of the
	// source, after DecryptFile only the owner's part of it, as plaintext is
	// more private than what it was sealed in. Windows knows only the write bit.
	Mode fs.FileMode

	// Progress is called after each block, at most 256 KiB of the source, with
	// what was read of the source and its size when it was opened. It is called
	// on the caller's goroutine and gets the caller's ctx. It may be nil.
	Progress func(ctx context.Context, done, total int64)
}

// EncryptFile seals the file at path src into one at path dst. The paths may be
// the same.
//
// dst is replaced in one step by a complete file, which is on the disk before
// that: it is written to a temporary file (.seal-*.tmp) in the folder of dst,
// synced, and renamed. On any failure, when ctx is done, and if Progress panics,
// the temporary file is removed and dst is as it was. The one exception is a
// failure to sync the folder, the very last step: dst is then complete, but may
// not be after a loss of power. If dst is a symbolic link, what it points to is
// replaced.
//
// ctx is looked at before each block of 256 KiB, and before the renaming. src is
// read one block at a time, so memory does not depend on its size. The error is
// that of ctx, one of those of Sealer.Writer, ErrNotRegular, or that of the
// operating system as it is.
func (s *Sealer) EncryptFile(ctx context.Context, dst, src string, f File) error {
	return f.replace(ctx, dst, src, 0o777, func(out io.Writer, in io.Reader, tick func()) error {
		w, err := s.Writer(out, f.Associated)
		if err != nil {
			return err
		}
		defer w.Abort()
		if err := copyBlocks(ctx, w, in, tick); err != nil {
			return err
		}
		return w.Close()
	})
}

// DecryptFile opens the sealed file at path src into one at path dst, in the way
// of EncryptFile: there is a plaintext at dst only if all of src is authentic,
// and else dst is as it was. What was decrypted before src turned out to be
// corrupt was in the temporary file, readable by its owner, and is removed.
// Besides the errors of EncryptFile there are those of Sealer.Reader and
// Reader.Read.
func (s *Sealer) DecryptFile(ctx context.Context, dst, src string, f File) error {
	return f.replace(ctx, dst, src, 0o700, func(out io.Writer, in io.Reader, tick func()) error {
		r, err := s.Reader(in, f.Associated)
		if err != nil {
			return err
		}
		return copyBlocks(ctx, out, r, tick)
	})
}

// copyBlocks copies until the end of in, looking at ctx before each block and
// calling tick after it.
func copyBlocks(ctx context.Context, out io.Writer, in io.Reader, tick func()) error {
	block := make([]byte, blockSize)
	defer clear(block)
	for {
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		n, err := fill(in, block)
		if n > 0 {
			if _, err := out.Write(block[:n]); err != nil {
				return err
			}
			tick()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fill reads until p is full or in ends. Unlike io.ReadFull it passes an
// io.ErrUnexpectedEOF of in on as the failure that it is.
func fill(in io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = in.Read(p[n:])
		n += m
	}
	return n, err
}

// replace makes dst from src by run. keep are the permissions that a new dst may
// have from src.
func (f File) replace(ctx context.Context, dst, src string, keep fs.FileMode, run func(io.Writer, io.Reader, func()) error) (err error) {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	in, info, err := openRegular(src)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // of what was only read
	dst, mode, err := destination(dst, info.Mode()&keep)
	if err != nil {
		return err
	}
	if f.Mode != 0 {
		mode = f.Mode
	}
	out, err := os.CreateTemp(filepath.Dir(dst), ".seal-*.tmp")
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed {
			_ = out.Close()
			_ = os.Remove(out.Name())
		}
	}()
	counted := &countingReader{r: in}
	tick := func() {
		if f.Progress != nil {
			f.Progress(ctx, counted.n, info.Size())
		}
	}
	if err := run(out, counted, tick); err != nil {
		return err
	}
	// On Windows neither file may be open when one takes the other's name.
	for _, step := range []func() error{func() error { return out.Chmod(mode.Perm()) }, out.Sync, out.Close, in.Close} {
		if err := step(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if err := os.Rename(out.Name(), dst); err != nil {
		return err
	}
	renamed = true
	return syncFolder(filepath.Dir(dst))
}

// openRegular opens a regular file for reading. It looks before it opens, as
// opening a pipe waits for its other end.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err != nil { // of what was opened, if it is another by now
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// destination follows the symbolic link that path may be, and returns the
// permission of the file there, or mode if there is none.
func destination(path string, mode fs.FileMode) (string, fs.FileMode, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", 0, err
		}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, mode.Perm(), nil
	case err != nil:
		return "", 0, err
	case !info.Mode().IsRegular():
		return "", 0, &fs.PathError{Op: "replace", Path: path, Err: ErrNotRegular}
	}
	return path, info.Mode().Perm(), nil
}

// syncFolder makes a renaming durable, where the system can do that for a
// folder.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
