package memwatch

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model keeps every point there ever was, and finds the least of each block by
// looking at all of them.
type model struct {
	interval time.Duration
	all      []point
}

func (m *model) add(p point) { m.all = append(m.all, p) }

func (m *model) spans() (out [len(blocks)][]point) {
	for i, n := range blocks {
		length := m.interval * time.Duration(n)
		ended := []point{}
		var current *point
		number := func(p point) int64 { return int64(p.at / length) }
		for j := range m.all {
			p := &m.all[j]
			if current != nil && number(*current) != number(*p) {
				ended = append(ended, *current)
				current = nil
			}
			if current == nil || p.v < current.v {
				current = p
			}
		}
		ended = ended[max(0, len(ended)-ringLen):]
		if i == 0 && current != nil {
			ended = append(ended, *current)
		}
		out[i] = ended
	}
	return out
}

// compare does the same to both: each byte of ops is a step in time and a
// value.
func compare(t *testing.T, ops []byte) {
	t.Helper()
	const interval = time.Second
	m := &model{interval: interval}
	var s series
	var at time.Duration
	for i, op := range ops {
		// Most steps are an interval; some less, some hours.
		switch op % 8 {
		case 0:
			at += interval / 3
		case 1:
			at += time.Duration(op) * interval
		default:
			at += interval
		}
		p := point{at, float64(op>>3) + float64(i%3)}
		m.add(p)
		s.add(interval, p)
	}
	got, want := s.spans(), m.spans()
	for i := range want {
		require.Equal(t, want[i], got[i], "ring %d", i)
		for j := 1; j < len(got[i]); j++ {
			require.Greater(t, got[i][j].at, got[i][j-1].at, "in the order of time")
		}
		require.LessOrEqual(t, len(got[i]), ringLen+1)
	}
}

func TestModelOfSeries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		ops := make([]byte, r.IntN(3000))
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		compare(t, ops)
	}
}

func TestRingKeepsTheNewest(t *testing.T) {
	var r ring[int]
	require.Zero(t, r.len())
	for i := range ringLen + 3 {
		r.push(i)
	}
	require.Equal(t, ringLen, r.len())
	next := 3
	for v := range r.all() {
		require.Equal(t, next, v)
		next++
	}
	require.Equal(t, ringLen+3, next)
	for range r.all() {
		break
	}
}

// reckon is what the baselines keep, by its definition: the ages stay spread
// by about equal factors.
func TestBaselinesSpreadTheirAges(t *testing.T) {
	var b baselines
	_, ok := b.nearest(0)
	require.False(t, ok)
	for minute := range 1000 {
		b.add(snapshot{at: time.Duration(minute) * time.Minute})
		require.LessOrEqual(t, b.n, maxPast)
		require.Equal(t, time.Duration(0), b.list[0].at, "the oldest stays")
		require.Equal(t, time.Duration(minute)*time.Minute, b.list[b.n-1].at, "so does the newest")
		for i := 1; i < b.n; i++ {
			require.Greater(t, b.list[i].at, b.list[i-1].at)
		}
	}
	// Something is there for a look back of minutes, and of hours.
	for _, back := range []time.Duration{10 * time.Minute, 100 * time.Minute} {
		s, ok := b.nearest(999*time.Minute - back)
		require.True(t, ok)
		age := 999*time.Minute - s.at
		require.Greater(t, age, back/5)
		require.Less(t, age, back*5)
	}
}
