package jwt

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// check requires what is always so: map and queue hold the same entries, each
// knows its place, none ends before its parent in the heap, and there are no more
// than may be.
func (e *expiring[K, V]) check(t *testing.T) {
	t.Helper()
	require.Len(t, e.queue, len(e.items))
	require.LessOrEqual(t, len(e.items), e.most)
	for i, it := range e.queue {
		require.Equal(t, i, it.place)
		require.Same(t, it, e.items[it.key])
		if i > 0 {
			require.False(t, it.end.Before(e.queue[(i-1)/2].end))
		}
	}
}

func TestExpiringFollowsAMap(t *testing.T) {
	type entry struct {
		value int
		end   time.Time
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		const most = 12
		e := makeExpiring[int, int](most)
		left := make(map[int]bool)
		e.gone = func(k int) { left[k] = true }
		want := make(map[int]entry)
		now := time.Unix(1000, 0)
		for n := range 500 {
			k := rng.IntN(20)
			switch rng.IntN(6) {
			case 0, 1, 2:
				end := now.Add(time.Duration(rng.IntN(60)) * time.Second)
				clear(left)
				ok := e.put(k, n, end, now)
				for dropped := range left {
					require.False(t, now.Before(want[dropped].end), "only what has ended leaves by itself")
					delete(want, dropped)
				}
				_, known := want[k]
				require.Equal(t, known || len(want) < most, ok)
				if ok {
					want[k] = entry{n, end}
				}
				if !ok {
					for other := range maps.Values(want) {
						require.True(t, now.Before(other.end), "what has ended makes room")
					}
				}
			case 3:
				e.remove(k)
				delete(want, k)
			case 4:
				now = now.Add(time.Duration(rng.IntN(20)) * time.Second)
			default:
				it := e.get(k, now)
				w, known := want[k]
				if !known || !now.Before(w.end) {
					require.Nil(t, it)
					break
				}
				require.Equal(t, w.value, it.value)
			}
			e.check(t)
		}
	}
}

// What has ended does not pile up while others come.
func TestExpiringDropsMoreThanItAdds(t *testing.T) {
	e := makeExpiring[int, int](1000)
	now := time.Unix(0, 0)
	for k := range 1000 {
		require.True(t, e.put(k, k, now.Add(time.Second), now))
	}
	require.False(t, e.put(5000, 0, now.Add(time.Second), now))
	now = now.Add(time.Minute)
	for k := range 200 {
		require.True(t, e.put(10_000+k, k, now.Add(time.Hour), now))
	}
	require.Len(t, e.items, 200)
	e.check(t)
}
