package memwatch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// node is a control group of a random tree, before it is made of files.
type node struct {
	name                    string
	max, high               uint64 // 0 is none
	anon, file, shmem, slab uint64
	missing                 bool // has no files about memory
	hasStat, unreadable     bool // tells the cache; has a limit that cannot be read
	around                  *node
}

// chain makes the groups around a process, the outermost first.
func chain(r *rand.Rand, unified bool) []*node {
	var out []*node
	var around *node
	for i := range 1 + r.IntN(6) {
		n := &node{name: fmt.Sprintf("g%d", i), around: around, hasStat: r.IntN(8) > 0, missing: r.IntN(8) == 0, unreadable: r.IntN(12) == 0}
		if r.IntN(2) == 0 {
			n.max = 1 + r.Uint64N(1<<40)
		}
		if unified && r.IntN(3) == 0 {
			n.high = 1 + r.Uint64N(1<<40)
		}
		n.anon, n.file, n.slab = r.Uint64N(1<<38), r.Uint64N(1<<38), r.Uint64N(1<<30)
		n.shmem = r.Uint64N(n.file + 1)
		out = append(out, n)
		around = n
	}
	return out
}

func (n *node) path() string {
	if n == nil {
		return ""
	}
	return n.around.path() + "/" + n.name
}

func number(v uint64, none string) string {
	if v == 0 {
		return none
	}
	return fmt.Sprint(v)
}

// files writes what the kernel would.
func (n *node) files(t *testing.T, dir string, unified bool) {
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600))
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	if n.missing {
		return
	}
	names := map[bool][2]string{true: {"memory.max", "memory.current"}, false: {"memory.limit_in_bytes", "memory.usage_in_bytes"}}[unified]
	none := map[bool]string{true: "max", false: "9223372036854771712"}[unified]
	if n.unreadable {
		require.NoError(t, os.Mkdir(filepath.Join(dir, names[0]), 0o700))
	} else {
		write(names[0], number(n.max, none))
	}
	stat := fmt.Sprintf("total_cache %d\ntotal_rss %d\ntotal_shmem %d", n.file, n.anon, n.shmem)
	if unified {
		write("memory.high", number(n.high, none))
		write(names[1], fmt.Sprint(n.anon+n.file+n.slab))
		stat = fmt.Sprintf("anon %d\nfile %d\nshmem %d\nslab_reclaimable %d", n.anon, n.file, n.shmem, n.slab)
	} else {
		write(names[1], fmt.Sprint(n.anon+n.file))
	}
	if n.hasStat {
		write("memory.stat", stat)
	}
}

// want is what a reading has of n, and whether it has anything.
func (n *node) want(point string, unified bool, dir string) (groupUse, bool) {
	limit, name := n.max, "memory.max"
	if n.unreadable {
		limit = 0
	}
	if !unified {
		name = "memory.limit_in_bytes"
	} else if n.high > 0 && (limit == 0 || n.high < limit) {
		limit, name = n.high, "memory.high"
	}
	if n.missing || limit == 0 {
		return groupUse{}, false
	}
	u := groupUse{path: point + dir + "/" + name, limit: limit}
	if n.hasStat {
		u.used, u.known = n.anon+n.shmem, true
	}
	return u, true
}

// Random trees, mounted as a whole or from some group on, read as their nodes say.
func TestRandomTreesAreReadAsTheyAre(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 150 {
		unified := i%2 == 0
		nodes := chain(r, unified)
		root := t.TempDir()
		point := "/sys/fs/cgroup/memory"
		// The mount shows the groups from cut on, or all.
		cut := r.IntN(len(nodes) + 1)
		shown := ""
		if cut > 0 {
			shown = nodes[cut-1].path()
		}
		own := nodes[len(nodes)-1].path()
		var groups []groupUse
		for j := len(nodes) - 1; j >= max(cut-1, 0); j-- {
			n := nodes[j]
			dir := strings.TrimPrefix(n.path(), shown)
			n.files(t, filepath.Join(root, point, dir), unified)
			if u, ok := n.want(point, unified, dir); ok {
				groups = append(groups, u)
			}
		}
		proc := filepath.Join(root, "proc/self")
		require.NoError(t, os.MkdirAll(proc, 0o700))
		line, kind := "0::"+own, "cgroup2 cgroup2 rw"
		if !unified {
			line, kind = "9:cpu,memory:"+own, "cgroup cgroup rw,cpu,memory"
		}
		require.NoError(t, os.WriteFile(filepath.Join(proc, "cgroup"), []byte(line+"\n"), 0o600))
		mount := fmt.Sprintf("1 1 0:1 %s %s rw shared:1 - %s\n", max(shown, "/"), point, kind)
		require.NoError(t, os.WriteFile(filepath.Join(proc, "mountinfo"), []byte(mount), 0o600))

		got := take(t, root)
		if len(groups) == 0 {
			require.Empty(t, got.groups)
			continue
		}
		require.Equal(t, groups, got.groups, "tree %d, shown from %q", i, shown)
		tightest := Bound{}
		s := Sample{Resident: 5}
		for _, u := range groups {
			used := u.used
			if !u.known {
				used = s.Resident
			}
			if b := (Bound{CgroupLimit, u.path, used, u.limit}); tightest.Limit == 0 || b.Share() > tightest.Share() {
				tightest = b
			}
		}
		require.Equal(t, tightest, s.bounds(nil, 0, &got)[0])
	}
}

// A text longer than the buffer is cut, one longer than a megabyte too, and
// both are still read for what they begin with.
func TestTextsAreBounded(t *testing.T) {
	root := plant(t, "v2")
	filler := strings.Repeat("# a line that says nothing\n", 100_000)
	for name, text := range map[string]string{
		"sys/fs/cgroup/memory.stat": "file 400000000\nshmem 30000000\nslab_reclaimable 6000000\n" + filler,
		"proc/self/mountinfo":       "731 722 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n" + filler,
		"proc/self/cgroup":          "0::/\n" + filler,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	r := take(t, root)
	require.Len(t, r.groups, 1)
	require.EqualValues(t, 124_000_000, r.groups[0].used)
}

func TestGroupsAreLookedForEverySixtiethReading(t *testing.T) {
	root := plant(t, "v2-unbounded")
	m := &machine{root: root}
	m.open()
	defer m.shut()
	require.Empty(t, m.read().groups)
	// The process is moved to a group with a limit.
	require.NoError(t, os.WriteFile(filepath.Join(root, "proc/self/cgroup"), []byte("0::/user.slice/box\n"), 0o600))
	box := filepath.Join(root, "sys/fs/cgroup/user.slice/box")
	require.NoError(t, os.MkdirAll(box, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(box, "memory.max"), []byte("500\n"), 0o600))
	for range lookAgain - 1 {
		require.Empty(t, m.read().groups)
	}
	require.Len(t, m.read().groups, 1)
}

func TestMeminfoWithoutAvailableIsTakenAsAllOfIt(t *testing.T) {
	root := plant(t, "none")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "proc"), 0o700))
	for text, want := range map[string][2]uint64{
		"MemTotal:  100 kB\nMemFree: 5 kB\n":                            {100 << 10, 100 << 10},
		"MemTotal:  100 kB\nMemAvailable:  7 kB\nMemAvailable:  9 kB\n": {100 << 10, 7 << 10},
		"MemTotal:  100 kB\nMemAvailable:  700 kB\n":                    {100 << 10, 100 << 10},
		"MemTotal:  99999999999999999999 kB\nMemAvailable:  7 kB\n":     {},
		"MemTotal:  1152921504606846976 kB\n":                           {},
		"MemAvailable:  7 kB\n":                                         {},
		"":                                                              {},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "proc/meminfo"), []byte(text), 0o600))
		r := take(t, root)
		require.Equal(t, want, [2]uint64{r.total, r.available}, text)
	}
}
