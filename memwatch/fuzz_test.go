package memwatch

import (
	"fmt"
	"math"
	"path"
	"strings"
	"testing"
	"time"
)

func FuzzModel(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 2, 255, 254, 0, 0, 9, 9, 9})
	f.Add(make([]byte, 700))
	f.Fuzz(func(t *testing.T, ops []byte) {
		compare(t, ops[:min(len(ops), 4096)])
	})
}

// FuzzJudge: whatever the points are, the trend is made of numbers, its
// interval holds its slope, and the verdict is no Leak.
func FuzzJudge(f *testing.F) {
	f.Add([]byte("00000000000000000000000000000000"))
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var pts []point
		var at time.Duration
		for _, b := range data[:min(len(data), ringLen+1)] {
			at += time.Duration(b%5) * time.Second
			pts = append(pts, point{at, math.Ldexp(float64(b), int(b%48))})
		}
		trend := simFloors.judge(Heap, pts, nil)
		for _, v := range []float64{trend.P, trend.Growth, trend.GrowthLo, trend.GrowthHi, trend.Level} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%+v", trend)
			}
		}
		if trend.GrowthLo > trend.Growth || trend.Growth > trend.GrowthHi || trend.P < 0 || trend.P > 1 || trend.Verdict > Suspect {
			t.Fatalf("%+v", trend)
		}
	})
}

func FuzzParseGroups(f *testing.F) {
	f.Add([]byte("goroutine profile: total 2\n2 @ 0x1 0x2\n#\t0x1\tf+0x1\tx.go:1\n"))
	f.Add([]byte("9999999999999999999999 @ 0x1\n-1 @ 0x1\n1 @ z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		groups := parseGroups(text)
		if len(groups) > maxGroups {
			t.Fatalf("%d groups", len(groups))
		}
		for i, g := range groups {
			if i > 0 && groups[i-1].Count < g.Count {
				t.Fatalf("not sorted: %v", groups)
			}
		}
	})
}

// FuzzLadder: the level is the one that the history of readings says.
func FuzzLadder(f *testing.F) {
	f.Add(uint8(0), uint8(60), []byte("0123456789"))
	f.Add(uint8(30), uint8(0), []byte{0x13, 0x13, 0x53, 0x1f, 0x10, 0xf0})
	f.Fuzz(func(t *testing.T, rise, fall uint8, ops []byte) {
		climb(t, time.Duration(rise)*time.Second, time.Duration(fall)*time.Second, ops[:min(len(ops), 200)])
	})
}

// FuzzHierarchies: whatever /proc says, there are few directories, all below
// the point of a mount, the nearest first.
func FuzzHierarchies(f *testing.F) {
	f.Add("0::/a/b\n4:memory:/x\n", "26 21 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n101 99 0:34 /x /m ro - cgroup cgroup rw,memory\n")
	f.Add("0::/../../x", "1 1 0:1 /.. /sys/fs/c\\040g rw shared:1 - cgroup2 c rw")
	f.Fuzz(func(t *testing.T, cgroup, mountinfo string) {
		if len(cgroup) > 4096 || len(mountinfo) > 4096 {
			return
		}
		for _, h := range hierarchies([]byte(cgroup), []byte(mountinfo)) {
			dirs := h.dirs()
			if len(dirs) == 0 || len(dirs) > maxGroupDepth {
				t.Fatalf("%d directories of %+v", len(dirs), h)
			}
			if dirs[len(dirs)-1] != h.point || !strings.HasPrefix(h.point, "/") {
				t.Fatalf("%q of %+v", dirs, h)
			}
			point := strings.TrimSuffix(path.Clean(h.point), "/") + "/"
			for i, dir := range dirs[:len(dirs)-1] {
				if !strings.HasPrefix(dir, point) || i > 0 && !strings.HasPrefix(dirs[i-1], dir+"/") {
					t.Fatalf("%q of %+v", dirs, h)
				}
			}
		}
	})
}

// FuzzGroupFiles: no text of a file of a control group makes more of what is
// used than there is, or a share that is none.
func FuzzGroupFiles(f *testing.F) {
	f.Add("some avg10=1.50 avg60=0.00\nfull avg10=0.10\n", "file 10\nshmem 5\n", "max\n", uint64(100))
	f.Add("full avg10=1..2", "total_cache 18446744073709551615\nhierarchical_memory_limit 5", "9223372036854771712", uint64(0))
	f.Fuzz(func(t *testing.T, stall, stat, limit string, current uint64) {
		s, _ := parseStall([]byte(stall))
		if !(s.Some >= 0 && s.Some <= 1 && s.Full >= 0 && s.Full <= 1) {
			t.Fatalf("%+v", s)
		}
		for _, unified := range []bool{true, false} {
			if used, _ := usage(unified, current, []byte(stat)); used > current {
				t.Fatalf("%d of %d used", used, current)
			}
		}
		if v, _ := parseLimit([]byte(limit)); v >= noLimit {
			t.Fatalf("limit %d", v)
		}
		if v := hierarchicalLimit([]byte(stat)); v >= noLimit {
			t.Fatalf("limit %d", v)
		}
	})
}

// FuzzFileName: a name that is taken for ours says what it was made of, and
// leads nowhere else.
func FuzzFileName(f *testing.F) {
	f.Add("memwatch-20261127T120000.345Z-medium-4711-12_3-my-heap.pprof")
	f.Add("memwatch-20261127T120000.345Z-low-18446744073709551616-12-x.y")
	f.Add(".memwatch-12-0badcafe")
	f.Fuzz(func(t *testing.T, name string) {
		k, ok := parseName(name)
		if !ok {
			if k != (kept{}) {
				t.Fatalf("%+v of %q", k, name)
			}
			return
		}
		if k.name != name || k.level < Normal || k.level > Critical || !strings.HasPrefix(name, prefix) {
			t.Fatalf("%+v of %q", k, name)
		}
		again, ok := parseName(fmt.Sprintf("%s%s-%s-%d-1-x.y", prefix, k.at.Format(stamp), k.level, k.used))
		if !ok || !again.at.Equal(k.at) || again.level != k.level || again.used != k.used {
			t.Fatalf("%+v and %+v of %q", k, again, name)
		}
	})
}

// FuzzChoose: files are kept within the bounds, whatever they are.
func FuzzChoose(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(3), uint16(500))
	f.Fuzz(func(t *testing.T, data []byte, files uint8, bytes uint16) {
		c := FilesConfig{MaxFiles: int(files), MaxBytes: int64(bytes), MaxAge: 100 * time.Second}
		var all []kept
		for i, b := range data[:min(len(data), 200)] {
			all = append(all, kept{name: fmt.Sprint(i), at: noon.Add(-time.Duration(b) * time.Second), level: Level(b % 4), used: uint64(b), size: int64(b) * 7})
		}
		keep, remove := c.choose(all, noon)
		sum := int64(0)
		for _, k := range keep {
			sum += k.size
		}
		if len(keep) > c.MaxFiles || sum > c.MaxBytes || len(keep)+len(remove) != len(all) {
			t.Fatalf("%d files of %d bytes are kept, %d removed of %d", len(keep), sum, len(remove), len(all))
		}
	})
}
