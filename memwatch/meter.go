package memwatch

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// reading is what the operating system says of memory at one time, in bytes.
type reading struct {
	groups     []groupUse // those that have a limit, the nearest first
	total      uint64     // of the machine; 0 if it does not say
	available  uint64     // without swapping; as total where it does not say
	stall      Stall
	unreadable int // files that are there and could not be read or understood
}

// groupUse is a control group with a limit. used is 0 and known false where it
// does not say without the page cache.
type groupUse struct {
	path        string // of the file with the limit
	used, limit uint64
	known       bool
}

// meter takes readings. It is an interface inside the package so that tests can
// write them.
type meter interface {
	open()          // and look for the control groups
	read() *reading // valid until the next one
	shut()
}

// lookAgain is how many readings share one look at where the control groups
// are: a process is seldom moved.
const lookAgain = 60

// machine is the meter of every Watcher outside tests. It holds the files open,
// so that a reading neither allocates nor resolves a path. It is used by one
// goroutine at a time: that of Run.
type machine struct {
	root    string // directory that stands for /; tests have trees of their own
	groups  []group
	stall   file
	meminfo file
	out     reading
	left    int // readings until the groups are looked for again
	buf     [16 << 10]byte
}

// group is a control group of which all files that exist are open.
type group struct {
	unified bool
	limits  [2]file // the lesser of them counts
	current file
	stat    file
}

// file is one that is read over and over. Its zero value does not exist.
type file struct {
	path string
	f    *os.File
}

func (m *machine) open() {
	m.groups = m.groups[:0]
	text, ok := m.whole("/proc/self/cgroup")
	mounts, ok2 := m.whole("/proc/self/mountinfo")
	m.out.unreadable = 0
	if ok && ok2 {
		for _, h := range hierarchies(text, mounts) {
			m.openTree(h)
		}
	}
	m.meminfo = m.file("/proc/meminfo")
	if m.stall.f == nil {
		m.stall = m.file("/proc/pressure/memory")
	}
	m.left = lookAgain
}

// openTree opens the files of the groups of a tree.
func (m *machine) openTree(h hierarchy) {
	for _, dir := range h.dirs() {
		g := group{unified: h.unified}
		if h.unified {
			g.limits = [2]file{m.file(dir + "/memory.max"), m.file(dir + "/memory.high")}
			g.current = m.file(dir + "/memory.current")
			if m.stall.f == nil {
				m.stall = m.file(dir + "/memory.pressure")
			}
		} else {
			g.limits[0] = m.file(dir + "/memory.limit_in_bytes")
			g.current = m.file(dir + "/memory.usage_in_bytes")
		}
		if g.limits[0].f == nil && g.limits[1].f == nil {
			g.shut()
			continue
		}
		g.stat = m.file(dir + "/memory.stat")
		m.groups = append(m.groups, g)
	}
}

// whole reads a file that is read seldom, up to a megabyte.
func (m *machine) whole(path string) ([]byte, bool) {
	f, err := os.Open(filepath.Join(m.root, path))
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return text, err == nil
}

// file opens path. One that is not there, or that the kernel was told to do
// without, is no error.
func (m *machine) file(path string) file {
	f, err := os.Open(filepath.Join(m.root, path))
	if err != nil {
		if !absent(err) {
			m.out.unreadable++
		}
		return file{}
	}
	return file{path: path, f: f}
}

// absent tells what is not there from what cannot be read. A kernel without
// pressure stall information, or with it turned off, has the file and refuses
// to open or read it.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOTDIR)
}

func (m *machine) shut() {
	for _, g := range m.groups {
		g.shut()
	}
	m.groups = m.groups[:0]
	m.stall.shut()
	m.meminfo.shut()
}

func (g group) shut() {
	for _, f := range [...]file{g.limits[0], g.limits[1], g.current, g.stat} {
		f.shut()
	}
}

func (f *file) shut() {
	if f.f != nil {
		_ = f.f.Close() // it was only read
	}
	*f = file{}
}

// text reads f into the buffer. A text that does not fit is cut at the end.
func (m *machine) text(f file) ([]byte, bool) {
	if f.f == nil {
		return nil, false
	}
	n, err := f.f.ReadAt(m.buf[:], 0)
	if err != nil && err != io.EOF {
		if !absent(err) {
			m.out.unreadable++
		}
		return nil, false
	}
	return m.buf[:n], true
}

// read takes a reading. A group whose files have gone makes it look for the
// groups again the next time.
func (m *machine) read() *reading {
	if m.left--; m.left < 0 {
		m.shut()
		m.open()
	}
	out := &m.out
	*out = reading{groups: out.groups[:0]}
	for i := range m.groups {
		m.readGroup(&m.groups[i], i == 0)
	}
	if text, ok := m.text(m.stall); ok {
		if out.stall, ok = parseStall(text); !ok {
			out.unreadable++
		}
	}
	m.readMachine()
	if out.unreadable > 0 {
		m.left = 0
	}
	return out
}

// readGroup reads one group. The nearest one of version 1 knows the limits of
// all around it, of which some may not be visible.
func (m *machine) readGroup(g *group, nearest bool) {
	u := groupUse{}
	for _, f := range g.limits {
		text, ok := m.text(f)
		if !ok {
			continue
		}
		limit, ok := parseLimit(text)
		if !ok {
			m.out.unreadable++
		}
		u.tighten(limit, f.path)
	}
	if nearest && !g.unified {
		stat, _ := m.text(g.stat)
		u.tighten(hierarchicalLimit(stat), g.stat.path)
	}
	if u.limit == 0 {
		return // nothing to meet
	}
	text, ok := m.text(g.current)
	current, valid := parseBytes(bytes.TrimSuffix(text, newline))
	stat, hasStat := m.text(g.stat)
	if valid && hasStat {
		u.used, u.known = usage(g.unified, current, stat)
	}
	if ok && hasStat && !u.known {
		m.out.unreadable++
	}
	m.out.groups = append(m.out.groups, u)
}

// tighten takes a limit, if it is one and less than that of u.
func (u *groupUse) tighten(limit uint64, path string) {
	if limit > 0 && (u.limit == 0 || limit < u.limit) {
		u.limit, u.path = limit, path
	}
}

// readMachine reads the first lines of meminfo:
//
//	MemTotal:       24683656 kB
//	MemFree:        15552496 kB
//	MemAvailable:   24033008 kB
func (m *machine) readMachine() {
	text, ok := m.text(m.meminfo)
	if !ok {
		return
	}
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, newline)
		key, rest, _ := bytes.Cut(line, colon)
		number, unit, _ := bytes.Cut(bytes.TrimLeft(rest, " "), space)
		v, valid := parseBytes(number)
		if string(unit) != "kB" || !valid || v >= noLimit>>10 {
			continue
		}
		switch string(key) {
		case "MemTotal":
			m.out.total, m.out.available = v<<10, v<<10
		case "MemAvailable":
			m.out.available = min(v<<10, m.out.total)
			return
		}
	}
}

var colon = []byte{':'}
