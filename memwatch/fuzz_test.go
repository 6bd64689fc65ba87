package memwatch

import (
	"math"
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
