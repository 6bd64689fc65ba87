// Package audit writes lines to a file that does not grow for ever.
package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Log appends to a file. When the file would become larger than its bound, it
// takes the place of the one before, named like it with ".1" at the end, and a
// new one begins: so there are at most twice as many bytes, and never fewer of
// the newest than the bound. It is safe for use by many goroutines.
type Log struct {
	path  string
	bound int64

	mu   sync.Mutex // guards what follows
	file *os.File
	size int64
}

// Open opens the file, or makes it, readable by its owner alone.
func Open(path string, bound int64) (*Log, error) {
	if bound <= 0 {
		return nil, fmt.Errorf("audit: bound is %d, want > 0", bound)
	}
	l := &Log{path: path, bound: bound}
	return l, l.open()
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Append writes a line, to which it adds its end.
func (l *Log) Append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return fs.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(line))+1 > l.bound {
		if err := l.turn(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(append(line, '\n'))
	l.size += int64(n)
	return err
}

// turn begins a new file. If that fails the old one goes on.
func (l *Log) turn() error {
	old := l.file
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return err
	}
	if err := l.open(); err != nil {
		return errors.Join(err, os.Rename(l.path+".1", l.path))
	}
	return old.Close()
}

// Close writes what the system still holds to the disk, and closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return errors.Join(f.Sync(), f.Close())
}
