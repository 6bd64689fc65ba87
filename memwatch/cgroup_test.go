package memwatch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plant unpacks a tree of testdata/cgroups into a directory that stands for /.
// A line "-- path --" begins a file, "-- path/ --" makes a directory, which as
// a file is unreadable even to root.
func plant(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/cgroups", name+".txt"))
	require.NoError(t, err)
	root := t.TempDir()
	parts := strings.Split("\n"+string(text), "\n-- ")
	for _, part := range parts[1:] {
		head, body, ok := strings.Cut(part, " --\n")
		require.True(t, ok || strings.HasSuffix(part, " --"), part)
		head = strings.TrimSuffix(head, " --")
		at := filepath.Join(root, head)
		if strings.HasSuffix(head, "/") {
			require.NoError(t, os.MkdirAll(at, 0o700))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
		require.NoError(t, os.WriteFile(at, []byte(body+"\n"), 0o600))
	}
	return root
}

// take reads a tree once.
func take(t testing.TB, root string) reading {
	t.Helper()
	m := &machine{root: root}
	m.open()
	defer m.shut()
	looked := m.out.unreadable
	r := *m.read()
	r.unreadable += looked
	return r
}

func TestGroupsOfEachKindOfMachine(t *testing.T) {
	const usual, free = 8_000_000 << 10, 6_000_000 << 10
	for name, want := range map[string]reading{
		// 500 MB less 370 of cache and 6 of slabs.
		"v2": {total: usual, available: free, stall: Stall{Some: 0.125, Full: 0.0125},
			groups: []groupUse{{path: "/sys/fs/cgroup/memory.max", used: 124_000_000, limit: 512 << 20, known: true}}},
		"v2-nested": {total: usual, available: free, groups: []groupUse{
			{path: "/sys/fs/cgroup/kubepods.slice/pod1/memory.high", used: 450_000_000, limit: 900_000_000, known: true},
			{path: "/sys/fs/cgroup/kubepods.slice/memory.max", used: 3_600_000_000, limit: 4_000_000_000, known: true},
		}},
		"v2-unbounded": {total: 1000 << 10, available: 900 << 10},
		"v1": {total: usual, available: free, stall: Stall{Some: 0.01, Full: 0.005},
			groups: []groupUse{{path: "/sys/fs/cgroup/memory/memory.limit_in_bytes", used: 80_000_000, limit: 256 << 20, known: true}}},
		"v1-unlimited": {total: usual, available: free},
		"v1-hidden-parent": {total: usual, available: free,
			groups: []groupUse{{path: "/sys/fs/cgroup/memory/memory.stat", used: 50_000_000, limit: 100 << 20, known: true}}},
		"hybrid": {total: usual, available: free, stall: Stall{Some: 0.07},
			groups: []groupUse{{path: "/sys/fs/cgroup/memory/service/api/memory.limit_in_bytes", used: 60_000_000, limit: 100_000_000, known: true}}},
		"unreadable": {unreadable: 2, groups: []groupUse{{path: "/sys/fs/cgroup/a/memory.max", used: 50, limit: 100, known: true}}},
		// Two limits, one usage, one cache, one stall.
		"malformed":     {unreadable: 4, groups: []groupUse{{path: "/sys/fs/cgroup/a/memory.max", limit: 100}}},
		"hidden-path":   {groups: []groupUse{{path: "/sys/fs/cgroup/memory.max", used: 500, limit: 1000, known: true}}},
		"host-path":     {groups: []groupUse{{path: "/sys/fs/cgroup/memory/memory.limit_in_bytes", used: 500, limit: 1000, known: true}}},
		"nested-mounts": {groups: []groupUse{{path: "/mnt/my own/api/memory.max", used: 500, limit: 1000, known: true}}},
		"no-stat":       {groups: []groupUse{{path: "/sys/fs/cgroup/memory.max", limit: 1000}}},
		"none":          {},
	} {
		t.Run(name, func(t *testing.T) {
			got := take(t, plant(t, name))
			require.ElementsMatch(t, want.groups, got.groups)
			want.groups, got.groups = nil, nil
			require.Equal(t, want, got)
		})
	}
}

// What files say at one reading is what the reading has, without opening them
// anew; and one that goes away is not an end.
func TestReadingsFollowTheFiles(t *testing.T) {
	root := plant(t, "v2")
	limit := filepath.Join(root, "sys/fs/cgroup/memory.max")
	m := &machine{root: root}
	m.open()
	defer m.shut()
	require.Equal(t, uint64(512<<20), m.read().groups[0].limit)
	require.NoError(t, os.WriteFile(limit, []byte("1073741824\n"), 0o600))
	require.Equal(t, uint64(1<<30), m.read().groups[0].limit, "resized in place")
	require.NoError(t, os.WriteFile(limit, []byte("max\n"), 0o600))
	require.Empty(t, m.read().groups)

	// The group is deleted and made again elsewhere: found at the next look.
	require.NoError(t, os.Remove(limit))
	require.NoError(t, os.WriteFile(limit, []byte("7000\n"), 0o600))
	m.left = 0
	require.Equal(t, uint64(7000), m.read().groups[0].limit)
}

// A file that fails makes it look for the groups again at once.
func TestFailingFileMakesItLookAgain(t *testing.T) {
	root := plant(t, "v2")
	m := &machine{root: root}
	m.open()
	defer m.shut()
	require.Zero(t, m.read().unreadable)
	require.NoError(t, m.groups[0].current.f.Close())
	r := m.read()
	require.Equal(t, 1, r.unreadable)
	require.False(t, r.groups[0].known)
	r = m.read()
	require.Zero(t, r.unreadable)
	require.True(t, r.groups[0].known)
}

func TestReadingDoesNotAllocate(t *testing.T) {
	for _, root := range []string{plant(t, "v2-nested"), plant(t, "hybrid"), "/"} {
		m := &machine{root: root}
		m.open()
		m.read()
		require.Zero(t, testing.AllocsPerRun(20, func() { m.read() }), root)
		m.shut()
		require.Empty(t, m.groups)
		require.Equal(t, file{}, m.stall)
	}
}

// A path of thousands of groups costs no more than some.
func TestGroupsAreBounded(t *testing.T) {
	deep := "0::" + strings.Repeat("/x", 5000)
	h := hierarchies([]byte(deep), []byte("1 1 0:1 / /c rw - cgroup2 c rw\n"))
	require.Len(t, h, 1)
	dirs := h[0].dirs()
	require.Len(t, dirs, maxGroupDepth)
	require.Equal(t, "/c", dirs[len(dirs)-1])
	require.Equal(t, "/c"+strings.Repeat("/x", 5000), dirs[0])
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/a": "/a", `/a\040b`: "/a b", `\134\012\011`: "\\\n\t", `/a\04`: `/a\04`, `/\xyz`: `/\xyz`, `\`: `\`,
	} {
		require.Equal(t, want, unescape(in), in)
	}
}

func TestParseLimit(t *testing.T) {
	for in, want := range map[string]struct {
		limit uint64
		ok    bool
	}{
		"max\n": {0, true}, "4096\n": {4096, true}, "4096": {4096, true}, "0\n": {0, true},
		"9223372036854771712\n": {0, true}, "18446744073709551615\n": {0, false}, "1152921504606846975\n": {1<<60 - 1, true},
		"": {0, false}, "\n": {0, false}, "-1\n": {0, false}, "12k\n": {0, false}, "0x10\n": {0, false}, "1\n2\n": {0, false},
	} {
		limit, ok := parseLimit([]byte(in))
		require.Equal(t, want.ok, ok, in)
		if ok {
			require.Equal(t, want.limit, limit, in)
		}
	}
}

// However large the page cache is, it never counts.
func TestUsageNeverCountsThePageCache(t *testing.T) {
	for _, cache := range []string{"0", "1", "1000000", "999999999999"} {
		text := []byte("anon 5\nfile " + cache + "\nshmem 0\nslab_reclaimable 0\n")
		v, _ := parseBytes([]byte(cache))
		used, ok := usage(true, 777+v, text)
		require.True(t, ok)
		require.EqualValues(t, 777, used)
		used, ok = usage(false, 777+v, []byte("cache 3\ntotal_cache "+cache+"\ntotal_shmem 0\n"))
		require.True(t, ok)
		require.EqualValues(t, 777, used)
	}
	// Shared memory counts as file and is none; counters that lag do not wrap.
	used, _ := usage(true, 100, []byte("file 60\nshmem 60\nslab_reclaimable 5\n"))
	require.EqualValues(t, 95, used)
	used, _ = usage(true, 100, []byte("file 200\nshmem 0\n"))
	require.Zero(t, used)
	used, _ = usage(true, 100, []byte("file 10\nshmem 20\n"))
	require.EqualValues(t, 100, used)
	used, _ = usage(true, 100, []byte("file 1844674407370955161\nslab_reclaimable 1844674407370955161\n"))
	require.Zero(t, used)
	_, ok := usage(true, 100, []byte("anon 5\nslab_reclaimable 1\n"))
	require.False(t, ok)
	_, ok = usage(true, 100, nil)
	require.False(t, ok)
}

func TestParseStall(t *testing.T) {
	for in, want := range map[string]struct {
		stall Stall
		ok    bool
	}{
		"some avg10=0.00 avg60=1.00 avg300=2.00 total=3\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n":  {Stall{}, true},
		"some avg10=12.34 avg60=1.00 avg300=2.00 total=3\nfull avg10=5.00 avg60=0.00 avg300=0.00 total=0\n": {Stall{0.1234, 0.05}, true},
		"some avg10=100.00 avg60=1.00 avg300=2.00 total=3":                                                  {Stall{Some: 1}, true},
		"some avg10=7": {Stall{Some: 0.07}, true},
		"":             {},
		"full avg10=5.00 avg60=0.00 avg300=0.00 total=0": {Stall{Full: 0.05}, false},
		"some avg10=nan":               {},
		"some avg10=-1.00 avg60=0.00":  {},
		"some avg10=1.2.3 avg60=0.00":  {},
		"some avg10= avg60=0.00":       {},
		"some avg10=. avg60=0.00":      {},
		"some avg10=12345678901234567": {},
		"some avg60=3.00":              {},
		"some avg10=900.00":            {Stall{Some: 1}, true},
	} {
		got, ok := parseStall([]byte(in))
		require.Equal(t, want.ok, ok, in)
		require.InDelta(t, want.stall.Some, got.Some, 1e-12, in)
		require.InDelta(t, want.stall.Full, got.Full, 1e-12, in)
	}
}

// A kernel without pressure stall information is no error.
func TestNoStallInformationIsNoError(t *testing.T) {
	for _, name := range []string{"none", "hidden-path", "no-stat"} {
		r := take(t, plant(t, name))
		require.Zero(t, r.stall, name)
		require.Zero(t, r.unreadable, name)
	}
}

// Which directories a path means under a mount.
func TestDirectoriesOfAPath(t *testing.T) {
	for _, x := range []struct {
		path, root string
		want       []string
	}{
		{"/", "/", []string{"/m"}},
		{"/a", "/", []string{"/m/a", "/m"}},
		{"/a/b/c", "/", []string{"/m/a/b/c", "/m/a/b", "/m/a", "/m"}},
		{"/a/b/c", "/a", []string{"/m/b/c", "/m/b", "/m"}},
		{"/a/b", "/a/b", []string{"/m"}},
		{"/a/bc", "/a/b", []string{"/m"}}, // another group
		{"/a", "/a/b", []string{"/m"}},    // the mount shows less
		{"/../x", "/", []string{"/m"}},    // outside of the namespace
		{"/..", "/", []string{"/m"}},      // likewise
		{"/", "/..", []string{"/m"}},      // the mount is around the namespace
		{"/", "/../../x", []string{"/m"}}, // or elsewhere
		{"/..x/y", "/", []string{"/m/..x/y", "/m/..x", "/m"}},
		{"/a//b/", "/a/", []string{"/m/b", "/m"}},
		{"/gone (deleted)", "/", []string{"/m/gone (deleted)", "/m"}},
	} {
		h := hierarchy{path: x.path, root: x.root, point: "/m"}
		require.Equal(t, x.want, h.dirs(), "%s under %s", x.path, x.root)
	}
}

// A mount that shows the group beats one around the namespace, which beats one
// of another group; the narrowest of the first kind is best.
func TestMountsAreRanked(t *testing.T) {
	ranked := []struct{ path, root string }{
		{"/a/b", "/c"}, {"/a/b", "/.."}, {"/a/b", "/"}, {"/a/b", "/a"}, {"/a/b", "/a/b"},
	}
	for i := range ranked[1:] {
		require.Less(t, rank(ranked[i].path, ranked[i].root), rank(ranked[i+1].path, ranked[i+1].root))
	}
	require.Equal(t, rank("/a/b", "/c"), rank("/a/b", "/a/bb"))
	require.Equal(t, rank("/a/b", "/c"), rank("/../b", "/"), "a path that leads out is shown by no mount")
}

func TestMountsAreRead(t *testing.T) {
	for line, want := range map[string]struct {
		unified     bool
		root, point string
		ok          bool
	}{
		"26 21 0:23 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate": {true, "/", "/sys/fs/cgroup", true},
		"101 99 0:34 /x /m ro - cgroup cgroup rw,cpu,memory":                                      {false, "/x", "/m", true},
		"101 99 0:34 /x /m ro - cgroup cgroup rw,memory_not":                                      {false, "", "", false},
		"101 99 0:34 /x /m ro - cgroup2 cgroup rw,memory":                                         {false, "", "", false},
		"26 21 0:23 / /sys/fs/cgroup rw - ext4 /dev/sda rw":                                       {true, "", "", false},
		"26 21 0:23 / /sys/fs/cgroup rw":                                                          {true, "", "", false},
		"26 21 0:23 / - cgroup2 cgroup2 rw":                                                       {true, "", "", false},
		" - cgroup2":                                                                              {true, "", "", false},
		"":                                                                                        {true, "", "", false},
	} {
		root, point, ok := mountOf(line, want.unified)
		require.Equal(t, want.ok, ok, line)
		require.Equal(t, want.root, root, line)
		require.Equal(t, want.point, point, line)
	}
}
