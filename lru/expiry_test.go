package lru_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

// timedModel is a cache that never evicts, with deadlines: a map.
type timedModel struct {
	sliding bool
	entries map[int]*timedEntry
	removed []string // keys with reasons of what left, in any order
}

type timedEntry struct {
	value int
	ttl   time.Duration
	end   time.Time
}

func (m *timedModel) live(key int) *timedEntry {
	e := m.entries[key]
	if e == nil || e.ttl > 0 && !time.Now().Before(e.end) {
		return nil
	}
	return e
}

func (m *timedModel) leave(key int, reason lru.Reason) {
	if m.live(key) == nil {
		reason = lru.Expired
	}
	m.removed = append(m.removed, fmt.Sprint(key, "=", m.entries[key].value, reason))
	delete(m.entries, key)
}

func (m *timedModel) set(key, value int, ttl time.Duration) {
	if m.entries[key] != nil {
		m.leave(key, lru.Replaced)
	}
	if ttl >= 0 {
		m.entries[key] = &timedEntry{value, ttl, time.Now().Add(ttl)}
	}
}

func (m *timedModel) get(key int) (int, bool) {
	e := m.live(key)
	if e == nil {
		return 0, false
	}
	if m.sliding {
		e.end = time.Now().Add(e.ttl)
	}
	return e.value, true
}

// Each value leaves once, whenever that is: what the cache has told and what it
// still holds is, together, what the model says.
func TestExpiryBehavesAsTheModel(t *testing.T) {
	for _, sliding := range []bool{false, true} {
		for seed := range 20 {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(seed), 11))
				m := &timedModel{sliding: sliding, entries: make(map[int]*timedEntry)}
				var told []string
				c := lru.MustNewLRU(config{
					Capacity: 1000, TTL: 5 * time.Second, Sliding: sliding,
					Hooks: lru.Hooks[int, int]{OnRemoved: func(r lru.Removed[int, int]) {
						told = append(told, fmt.Sprint(r.Key, "=", r.Value, r.Reason))
					}},
				})
				for step := range 600 {
					key := rng.IntN(40)
					switch rng.IntN(8) {
					case 0, 1:
						m.set(key, step, 5*time.Second)
						require.True(t, c.Set(key, step))
					case 2:
						ttl := time.Duration(rng.IntN(12)-1) * time.Second
						m.set(key, step, ttl)
						require.Equal(t, ttl >= 0, c.SetTTL(key, step, ttl))
					case 3, 4:
						want, wantOK := m.get(key)
						v, ok := c.Get(key)
						require.Equal(t, wantOK, ok)
						require.Equal(t, want, v)
					case 5:
						require.Equal(t, m.live(key) == nil, c.Add(key, step))
						if m.live(key) == nil {
							m.set(key, step, 5*time.Second)
						}
					case 6:
						want := m.live(key)
						v, ok := c.Delete(key)
						require.Equal(t, want != nil, ok)
						if want != nil {
							require.Equal(t, want.value, v)
						}
						if m.entries[key] != nil {
							m.leave(key, lru.Deleted)
						}
					case 7:
						time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
					}
					for key := range 40 {
						require.Equal(t, m.live(key) != nil, c.Has(key), "step %d, key %d", step, key)
					}
				}
				c.RemoveExpired()
				for key := range m.entries {
					if m.live(key) == nil {
						m.leave(key, lru.Expired)
					}
				}
				require.Equal(t, len(m.entries), c.Len())
				slices.Sort(m.removed)
				slices.Sort(told)
				require.Equal(t, m.removed, told)
			})
		}
	}
}
