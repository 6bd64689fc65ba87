package stream

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Unlimited is the limit of Bytes and String for input that you trust.
const Unlimited = -1

// Bytes returns all of s as one slice. If that is more than limit bytes it
// stops the run and returns ErrTooLarge. On failure it returns nil.
func Bytes(ctx context.Context, s Stream[[]byte], limit int) ([]byte, error) {
	if err := atLeast("Bytes", "limit", limit, Unlimited); err != nil {
		return nil, err
	}
	// Blocks that double and are joined at the end: no byte is copied more than
	// twice, and no more memory is needed than twice the result.
	var blocks [][]byte
	var block []byte // the last one
	total := 0
	err := s.Run(ctx, func(p []byte) error {
		if total += len(p); limit != Unlimited && total > limit {
			return ErrTooLarge
		}
		for len(p) > 0 {
			if len(block) == cap(block) {
				size := min(max(2*cap(block), firstBlock), lastBlock)
				block = make([]byte, 0, size)
				blocks = append(blocks, block)
			}
			n := min(len(p), cap(block)-len(block))
			block = append(block, p[:n]...)
			blocks[len(blocks)-1] = block
			p = p[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(blocks) == 1 {
		return block, nil
	}
	all := make([]byte, 0, total)
	for _, b := range blocks {
		all = append(all, b...)
	}
	return all, nil
}

const (
	firstBlock = 4 << 10
	lastBlock  = 8 << 20
)

// String is Bytes as a string. It decodes nothing: what is not UTF-8 in s is
// not in the result either.
func String(ctx context.Context, s Stream[[]byte], limit int) (string, error) {
	b, err := Bytes(ctx, s, limit)
	return string(b), err
}

// WriteTo writes all of s to w, a Write for each item, and returns how many
// bytes w took. It neither buffers nor closes.
func WriteTo(ctx context.Context, s Stream[[]byte], w io.Writer) (int64, error) {
	if w == nil {
		return 0, absent("WriteTo", "w")
	}
	var total int64
	err := s.Run(ctx, func(p []byte) error {
		n, err := w.Write(p)
		total += int64(n)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	})
	return total, err
}

// ToFile writes all of s to a file and returns how many bytes that were. The
// file is there with all of them or, on any failure, as it was before: they go
// to a new file beside it, which is synced to disk and takes its name at the
// end, and which a failure removes. An existing file gives it its permissions,
// which are else 0666 before umask; behind a symbolic link its target is
// replaced. Only if the last step, to sync the folder, fails, is there an error
// and the new file. A crash of the machine can leave ".name.<random>.tmp".
func ToFile(ctx context.Context, s Stream[[]byte], path string) (n int64, err error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	path, mode, err := target(path)
	if err != nil {
		return 0, err
	}
	dir, name := filepath.Split(path)
	temp := filepath.Join(dir, "."+name+"."+rand.Text()[:10]+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return 0, err
	}
	renamed := false
	defer func() {
		if !renamed {
			_ = f.Close() // a second time if that was what failed
			_ = os.Remove(temp)
		}
	}()
	w := bufio.NewWriterSize(f, chunkSize)
	if n, err = WriteTo(ctx, s, w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	if err := os.Rename(temp, path); err != nil {
		return 0, err
	}
	renamed = true
	return n, syncDir(dir)
}

// target returns which file is to be replaced, and its mode or 0 if there is
// none yet.
func target(path string) (string, fs.FileMode, error) {
	actual, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	info, err := os.Stat(actual)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("stream: ToFile: %s is not a regular file", path)
	}
	return actual, info.Mode().Perm(), nil
}

// syncDir makes a rename last. Not every system can sync a directory.
func syncDir(dir string) error {
	if dir == "" {
		dir = "."
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
