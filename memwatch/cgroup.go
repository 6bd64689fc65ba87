package memwatch

import (
	"bytes"
	"math"
	"path"
	"strings"
)

// maxGroupDepth is how many control groups are looked at, from the process's own
// upwards, the point of the mount included.
const maxGroupDepth = 32

// hierarchy is a tree of control groups that accounts for memory, as this
// process sees it. A hybrid machine has one of each version.
type hierarchy struct {
	unified bool   // version 2
	path    string // the group of the process
	root    string // the group that is mounted
	point   string // where it is mounted
}

// hierarchies finds them in the text of /proc/self/cgroup and of
// /proc/self/mountinfo. Of several mounts of a tree it takes the one that
// shows the process's group, and most narrowly so; see rank.
func hierarchies(cgroup, mountinfo []byte) []hierarchy {
	var out []hierarchy
	for line := range bytes.Lines(cgroup) {
		// 4:memory:/path, 0::/path
		id, rest, _ := strings.Cut(strings.TrimRight(string(line), "\n"), ":")
		controllers, p, ok := strings.Cut(rest, ":")
		h := hierarchy{unified: id == "0" && controllers == "", path: p}
		if !ok || !h.unified && !listed(controllers, "memory") || !strings.HasPrefix(p, "/") {
			continue
		}
		best := 0
		for line := range bytes.Lines(mountinfo) {
			root, point, ok := mountOf(string(line), h.unified)
			if !ok {
				continue
			}
			if r := rank(h.path, root); r >= best { // of equals the last covers the others
				best, h.root, h.point = r, root, point
			}
		}
		if best > 0 {
			out = append(out, h)
		}
	}
	return out
}

// mountOf reads a line of mountinfo: the root and the point of a mount of the
// unified tree or of the one with the controller memory. Other lines are not ok.
//
//	36 35 0:33 /group /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
func mountOf(line string, unified bool) (root, point string, ok bool) {
	left, right, ok := strings.Cut(line, " - ")
	fields, kind := strings.Fields(left), strings.Fields(right)
	if !ok || len(fields) < 5 || len(kind) < 1 {
		return "", "", false
	}
	switch {
	case unified && kind[0] == "cgroup2":
	case !unified && kind[0] == "cgroup" && len(kind) >= 3 && listed(kind[2], "memory"):
	default:
		return "", "", false
	}
	root, point = unescape(fields[3]), unescape(fields[4])
	if !strings.HasPrefix(root, "/") || !strings.HasPrefix(point, "/") {
		return "", "", false
	}
	return root, point, true
}

func listed(list, word string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item == word {
			return true
		}
	}
	return false
}

// unescape undoes what the kernel writes for a space, tab, newline and
// backslash in a path: a backslash and three octal digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			b.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// rank says how well a mount of the group root shows the group p: the more
// elements they share, the better. A root that is outside of the process's
// namespace is around p all the same. One that is elsewhere ranks last: where
// there is no other mount, the process was moved after it was made, or its own
// path is that of another namespace.
func rank(p, root string) int {
	if _, ok := below(p, root); ok {
		return 3 + len(path.Clean(root))
	}
	if outside(root) {
		return 2
	}
	return 1
}

// outside reports whether a path leads out of the namespace of control groups.
func outside(p string) bool {
	return p == "/.." || strings.HasPrefix(p, "/../")
}

// below returns the part of p below root, with a leading slash.
func below(p, root string) (string, bool) {
	if outside(p) || outside(root) {
		return "", false
	}
	p, root = path.Clean(p), path.Clean(root)
	switch {
	case root == "/":
		return p, true
	case p == root:
		return "/", true
	case strings.HasPrefix(p, root+"/"):
		return p[len(root):], true
	}
	return "", false
}

// dirs are the directories of the process's group and of those around it, the
// nearest first. What is not visible from here is left out: of a path that
// leads nowhere only the point of the mount remains.
func (h hierarchy) dirs() []string {
	p, ok := below(h.path, h.root)
	if !ok {
		p = "/"
	}
	var out []string
	for ; p != "/" && len(out) < maxGroupDepth-1; p = path.Dir(p) {
		out = append(out, path.Join(h.point, p))
	}
	return append(out, h.point)
}

// noLimit is the number from which on a limit is none. Version 1 writes one
// near the largest there is, rounded down to a page, for no limit.
const noLimit = 1 << 60

// parseLimit reads the text of a limit; ok is false if it says nothing that
// makes sense, and a limit of 0 is none.
func parseLimit(text []byte) (limit uint64, ok bool) {
	text = bytes.TrimSuffix(text, newline)
	if string(text) == "max" {
		return 0, true
	}
	limit, ok = parseBytes(text)
	if limit >= noLimit {
		limit = 0
	}
	return limit, ok
}

// parseBytes reads a decimal number and nothing else.
func parseBytes(text []byte) (v uint64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' || v > (math.MaxUint64-9)/10 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, len(text) > 0
}

// usage is what counts in a group that the kernel could not take back: neither
// the page cache, in which shared memory is no cache, nor slabs it can shrink.
// ok is false if stat has no word of the cache.
func usage(unified bool, current uint64, stat []byte) (used uint64, ok bool) {
	keys := [...]string{"total_cache", "total_shmem", ""}
	if unified {
		keys = [...]string{"file", "shmem", "slab_reclaimable"}
	}
	var values [len(keys)]uint64
	for len(stat) > 0 {
		var line []byte
		line, stat, _ = bytes.Cut(stat, newline)
		key, number, _ := bytes.Cut(line, space)
		for i, k := range keys {
			if string(key) == k {
				v, valid := parseBytes(number)
				values[i] = v
				ok = ok || i == 0 && valid
			}
		}
	}
	cache := values[0] - min(values[0], values[1])
	free := cache + values[2]
	if free < cache {
		free = math.MaxUint64
	}
	return current - min(current, free), ok
}

// hierarchicalLimit is the tightest limit of the groups around one of version
// 1, of which some may not be visible; 0 if there is none.
func hierarchicalLimit(stat []byte) uint64 {
	_, rest, found := bytes.Cut(stat, hierarchical)
	if !found {
		return 0
	}
	number, _, _ := bytes.Cut(rest, newline)
	limit, _ := parseLimit(number)
	return limit
}

var hierarchical = []byte("hierarchical_memory_limit ")
