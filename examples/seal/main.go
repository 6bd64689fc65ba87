// Command seal encrypts a file and decrypts it again, a block at a time, with
// progress and in constant memory; reads from the middle of it; and shows what
// becomes of a copy that somebody has tampered with.
//
//	go run ./examples/seal
//	go run ./examples/seal -size=4GiB
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/bedplate/bedplate/stream/seal"
)

func main() {
	log.SetFlags(0)
	size := flag.String("size", "64MiB", "length of the file: a number with KiB, MiB or GiB")
	flag.Parse()
	n, err := parse(*size)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err = run(ctx, os.Stdout, n)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func parse(size string) (int64, error) {
	for suffix, unit := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if number, ok := strings.CutSuffix(size, suffix); ok {
			n, err := strconv.ParseInt(number, 10, 32)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("-size is %q, want a number with KiB, MiB or GiB", size)
}

func run(ctx context.Context, out io.Writer, size int64) error {
	dir, err := os.MkdirTemp("", "seal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	plain, sealed, back := filepath.Join(dir, "plain"), filepath.Join(dir, "sealed"), filepath.Join(dir, "back")
	if err := os.WriteFile(plain, []byte("the first line\n"), 0o600); err != nil {
		return err
	}
	if err := os.Truncate(plain, size); err != nil { // the rest is zeros, which take no space
		return err
	}

	// One key, kept in a secret store; the associated data says which file it is.
	s, err := seal.New(seal.Config{Key: seal.RandomKey()})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	file := seal.File{Associated: []byte("backup 2026-11-27")}

	fmt.Fprintf(out, "1. %d bytes are encrypted, and decrypted again.\n", size)
	for _, step := range []struct {
		name string
		do   func(context.Context, string, string, seal.File) error
		dst  string
		src  string
	}{{"encrypt", s.EncryptFile, sealed, plain}, {"decrypt", s.DecryptFile, back, sealed}} {
		if err := timed(ctx, out, step.name, func(f seal.File) error { return step.do(ctx, step.dst, step.src, f) }, file); err != nil {
			return err
		}
	}
	a, err := digest(plain)
	if err != nil {
		return err
	}
	b, err := digest(back)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   the same file again: %v\n", a == b)

	fmt.Fprintln(out, "2. A few bytes are read from the middle: one chunk is decrypted, and the last one.")
	if err := middle(out, s, sealed, size, file.Associated); err != nil {
		return err
	}

	fmt.Fprintln(out, "3. Somebody tampers with the sealed file. What was decrypted before stays as it is.")
	return tamper(ctx, out, s, sealed, back, size, file)
}

// timed does one step and tells how fast it was, and how much memory the
// process has from the system.
func timed(ctx context.Context, out io.Writer, name string, do func(seal.File) error, file seal.File) error {
	start, next := time.Now(), int64(0)
	file.Progress = func(_ context.Context, done, total int64) {
		if done >= next || done == total {
			fmt.Fprintf(out, "   %s %3d %%\n", name, 100*done/total)
			next = done + total/4
		}
	}
	if err := do(file); err != nil {
		return err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(out, "   %s took %v, the process has %d MiB\n", name, time.Since(start).Round(time.Millisecond), m.Sys>>20)
	return ctx.Err()
}

func digest(path string) ([sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = file.Close() }()
	h := sha256.New()
	_, err = io.Copy(h, file)
	h.Sum(sum[:0])
	return sum, err
}

func middle(out io.Writer, s *seal.Sealer, path string, size int64, associated []byte) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r, err := s.ReaderAt(file, info.Size(), associated)
	if err != nil {
		return err
	}
	p := make([]byte, 5)
	if _, err := r.ReadAt(p, size/2); err != nil {
		return err
	}
	fmt.Fprintf(out, "   %d of %d: %v\n", size/2, r.Size(), p)
	return nil
}

func tamper(ctx context.Context, out io.Writer, s *seal.Sealer, sealed, back string, size int64, file seal.File) error {
	info, err := os.Stat(sealed)
	if err != nil {
		return err
	}
	changes := []struct {
		name string
		do   func() error
	}{
		{"other associated data", func() error { file.Associated = []byte("backup 2026-11-28"); return nil }},
		{"the end cut off", func() error {
			file.Associated = []byte("backup 2026-11-27")
			return os.Truncate(sealed, info.Size()-1000)
		}},
		{"one bit changed", func() error {
			f, err := os.OpenFile(sealed, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			p := make([]byte, 1)
			_, readErr := f.ReadAt(p, info.Size()/2)
			p[0] ^= 1
			_, writeErr := f.WriteAt(p, info.Size()/2)
			return errors.Join(readErr, writeErr, f.Close())
		}},
	}
	for _, change := range changes {
		if err := change.do(); err != nil {
			return err
		}
		err := s.DecryptFile(ctx, back, sealed, file)
		if !errors.Is(err, seal.ErrKey) && !errors.Is(err, seal.ErrCorrupt) {
			return fmt.Errorf("with %s: %w", change.name, err)
		}
		kept, statErr := os.Stat(back)
		if statErr != nil {
			return statErr
		}
		fmt.Fprintf(out, "   %s: %v\n      the copy from before is still there: %v\n", change.name, err, kept.Size() == size)
	}
	return nil
}
