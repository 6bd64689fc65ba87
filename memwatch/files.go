package memwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of the FilesConfig fields that are left zero, and when the rest of a
// process that died while it wrote is removed.
const (
	defaultMaxFiles = 10
	defaultMaxBytes = 64 << 20
	defaultMaxAge   = 7 * 24 * time.Hour
	staleAfter      = time.Hour
)

// FilesConfig says where actions write files, and how many are kept: the worst.
// A file is worse than another if the level was higher when it was written, or
// else more memory was used, or else it is newer.
//
// Files are made with mode 0600 by a rename, so that none is ever seen half
// written, and no file or link of others is overwritten or followed. Their
// names tell when, at which level, with how many bytes used, by which process
// and by which action:
//
//	memwatch-20261127T120102.345Z-medium-870318080-4711-heap.pprof
//
// Files with such names count and are removed, be they of this process or of
// another; no others are touched.
type FilesConfig struct {
	// Dir is the directory. It is made, with mode 0700, when the first file
	// is written. It is required where an action has Write.
	Dir string

	// MaxFiles, MaxBytes and MaxAge bound what is kept. Zero means 10 files, 64
	// MiB, and seven days. No file is larger than MaxBytes: its action fails.
	// While one is written it is beyond these.
	MaxFiles int
	MaxBytes int64
	MaxAge   time.Duration
}

// filled returns c with its defaults.
func (c FilesConfig) filled() FilesConfig {
	c.MaxFiles = cmp.Or(c.MaxFiles, defaultMaxFiles)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.MaxAge = cmp.Or(c.MaxAge, defaultMaxAge)
	return c
}

// check returns an error that names the field.
func (c FilesConfig) check() error {
	bad := func(field string, value any) error {
		return fmt.Errorf("memwatch: Config.Files.%s is %v, want ≥ 0", field, value)
	}
	switch {
	case c.MaxFiles < 0:
		return bad("MaxFiles", c.MaxFiles)
	case c.MaxBytes < 0:
		return bad("MaxBytes", c.MaxBytes)
	case c.MaxAge < 0:
		return bad("MaxAge", c.MaxAge)
	}
	return nil
}

// errSpared: the file would be the first to be removed, so it is not written.
var errSpared = errors.New("memwatch: worse files fill the directory")

// saved is what came of saving a file.
type saved struct {
	name    string // of the file in Dir; empty if there is none
	listed  bool   // files and bytes are known
	files   int
	bytes   int64
	removed int
}

// kept is a file of ours.
type kept struct {
	name  string
	at    time.Time
	level Level
	used  uint64
	size  int64
}

// coming reports whether k is not written yet.
func (k kept) coming() bool { return k.name == "" }

const (
	prefix     = "memwatch-"
	stamp      = "20060102T150405.000Z"
	unfinished = ".memwatch-"
)

// save has the action write a file and keeps it, if it is among the worst. Any
// error leaves nothing of it behind.
func (c FilesConfig) save(ctx context.Context, a *Action, e Episode) (out saved, err error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return out, fmt.Errorf("memwatch: %w", err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return out, fmt.Errorf("memwatch: %w", err)
	}
	defer func() { _ = root.Close() }()
	file := kept{at: e.Pressure.Time.UTC(), level: e.Pressure.Level, used: e.Pressure.Bound.Used}
	before, err := list(root, file.at)
	if err != nil {
		return out, fmt.Errorf("memwatch: %w", err)
	}
	if _, remove := c.choose(append(before, file), file.at); slices.ContainsFunc(remove, kept.coming) {
		return out, errSpared
	}
	if file.name, err = c.write(ctx, root, file, a, e); err != nil {
		return out, fmt.Errorf("memwatch: %w", err)
	}
	out.name = file.name
	return out, c.prune(root, file.at, &out)
}

// write makes the file under a name of its own, and then gives it its own: one
// that nobody has.
func (c FilesConfig) write(ctx context.Context, root *os.Root, file kept, a *Action, e Episode) (name string, err error) {
	part := fmt.Sprintf("%s%d-%08x", unfinished, os.Getpid(), rand.Uint32()) // in containers many have the same number
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	whole := false
	defer func() {
		if !whole { // also if Write panics or exits
			_ = f.Close() // it fails if it is closed already
			_ = root.Remove(part)
		}
	}()
	if err := a.Write(&bounded{to: f, ctx: ctx.Err, left: c.MaxBytes}, e); err != nil {
		return "", err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return "", err
	}
	if name, err = reserve(root, file, a); err != nil {
		return "", err
	}
	if err := root.Rename(part, name); err != nil {
		_ = root.Remove(name) // the empty file that reserve made
		return "", err
	}
	whole = true
	return name, nil
}

// reserve makes an empty file with a name that nobody has: a second one of the
// same millisecond gets a number.
func reserve(root *os.Root, file kept, a *Action) (name string, err error) {
	for n := range 100 {
		pid := strconv.Itoa(os.Getpid())
		if n > 0 {
			pid += "_" + strconv.Itoa(n)
		}
		name = fmt.Sprintf("%s%s-%s-%d-%s-%s.%s", prefix, file.at.Format(stamp), file.level, file.used, pid, a.Name, a.Ext)
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return name, f.Close()
	}
	return "", &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
}

// bounded refuses more than some bytes, and anything once its ctx is done.
type bounded struct {
	to   io.Writer
	ctx  func() error // Err of the ctx
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.ctx(); err != nil {
		return 0, err
	}
	if int64(len(p)) > b.left {
		return 0, errors.New("memwatch: the file is larger than Config.Files.MaxBytes")
	}
	n, err := b.to.Write(p)
	b.left -= int64(n)
	return n, err
}

// prune removes the least bad files until the rest is within the bounds. If
// the one that out names is among them it returns errSpared.
func (c FilesConfig) prune(root *os.Root, now time.Time, out *saved) error {
	all, err := list(root, now)
	if err != nil {
		return fmt.Errorf("memwatch: %w", err)
	}
	keep, remove := c.choose(all, now)
	out.listed, out.files = true, len(keep)
	for _, k := range keep {
		out.bytes += k.size
	}
	spared := false
	for _, k := range remove {
		if err := root.Remove(k.name); err == nil {
			out.removed++
		} else if !errors.Is(err, fs.ErrNotExist) { // another process may have been faster
			return fmt.Errorf("memwatch: %w", err)
		}
		spared = spared || k.name == out.name
	}
	if spared {
		out.name = ""
		return errSpared
	}
	return nil
}

// choose tells the files that are kept from those that are not: the too old,
// and from the worst on those that do not fit any more. It sorts all.
func (c FilesConfig) choose(all []kept, now time.Time) (keep, remove []kept) {
	slices.SortFunc(all, func(a, b kept) int {
		return cmp.Or(cmp.Compare(b.level, a.level), cmp.Compare(b.used, a.used), b.at.Compare(a.at), cmp.Compare(a.name, b.name))
	})
	bytes := int64(0)
	for _, k := range all {
		if now.Sub(k.at) > c.MaxAge || len(keep) == c.MaxFiles || bytes+k.size > c.MaxBytes {
			remove = append(remove, k)
			continue
		}
		keep = append(keep, k)
		bytes += k.size
	}
	return keep, remove
}

// list returns the files of ours, and removes what dead processes left
// unfinished.
func list(root *os.Root, now time.Time) ([]kept, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	var out []kept
	for {
		entries, err := dir.ReadDir(256)
		for _, entry := range entries {
			k, ours := parseName(entry.Name())
			rest := strings.HasPrefix(entry.Name(), unfinished)
			if !ours && !rest || !entry.Type().IsRegular() {
				continue
			}
			info, err := root.Lstat(entry.Name())
			if err != nil {
				continue // removed meanwhile
			}
			if ours {
				k.size = info.Size()
				out = append(out, k)
			} else if now.Sub(info.ModTime()) > staleAfter {
				_ = root.Remove(entry.Name()) // the next one will try again
			}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// parseName reads a name that reserve has made.
func parseName(name string) (k kept, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	parts := strings.SplitN(rest, "-", 5)
	if !ok || len(parts) != 5 {
		return k, false
	}
	at, err := time.Parse(stamp, parts[0])
	if err != nil || k.level.UnmarshalText([]byte(parts[1])) != nil {
		return kept{}, false
	}
	used, err := strconv.ParseUint(parts[2], 10, 64)
	pid, _, _ := strings.Cut(parts[3], "_")
	if _, bad := strconv.ParseUint(pid, 10, 32); err != nil || bad != nil || !strings.Contains(parts[4], ".") {
		return kept{}, false
	}
	k.name, k.at, k.used = name, at, used
	return k, true
}
