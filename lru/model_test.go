package lru_test

import (
	"container/list"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

// The model: an LRU in the plainest words, a list from the newest to the
// oldest.

type modelEntry[K comparable] struct {
	key   K
	value int
}

type model[K comparable] struct {
	capacity int
	maxCost  int // of values, which cost what they are
	order    *list.List
	removed  []lru.Removed[K, int]
}

func (m *model[K]) find(key K) *list.Element {
	for e := m.order.Front(); e != nil; e = e.Next() {
		if e.Value.(*modelEntry[K]).key == key {
			return e
		}
	}
	return nil
}

func (m *model[K]) drop(e *list.Element, reason lru.Reason) int {
	entry := m.order.Remove(e).(*modelEntry[K])
	if reason != 0 {
		m.removed = append(m.removed, lru.Removed[K, int]{Key: entry.key, Value: entry.value, Reason: reason})
	}
	return entry.value
}

func (m *model[K]) cost() (sum int) {
	for e := m.order.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*modelEntry[K]).value
	}
	return sum
}

func (m *model[K]) get(key K, use bool) (int, bool) {
	e := m.find(key)
	if e == nil {
		return 0, false
	}
	if use {
		m.order.MoveToFront(e)
	}
	return e.Value.(*modelEntry[K]).value, true
}

func (m *model[K]) set(key K, value int) bool {
	if self := key; self != key { // a NaN
		return false
	}
	e := m.find(key)
	if m.maxCost > 0 && value > m.maxCost {
		if e != nil {
			m.drop(e, lru.Replaced)
		}
		return false
	}
	if e != nil {
		entry := e.Value.(*modelEntry[K])
		m.removed = append(m.removed, lru.Removed[K, int]{Key: entry.key, Value: entry.value, Reason: lru.Replaced})
		entry.value = value
		m.order.MoveToFront(e)
		for m.maxCost > 0 && m.cost() > m.maxCost {
			m.drop(m.order.Back(), lru.Evicted)
		}
		return true
	}
	for m.order.Len() >= m.capacity || m.maxCost > 0 && m.cost()+value > m.maxCost {
		m.drop(m.order.Back(), lru.Evicted)
	}
	m.order.PushFront(&modelEntry[K]{key, value})
	return true
}

func (m *model[K]) resize(capacity int) {
	for m.order.Len() > capacity {
		m.drop(m.order.Back(), lru.Resized)
	}
	m.capacity = capacity
}

func (m *model[K]) clear() {
	for m.order.Len() > 0 {
		m.drop(m.order.Back(), lru.Cleared)
	}
}

// both is what LRU and Cache have in common, which is everything but Run.
type both[K comparable, V any] interface {
	Get(K) (V, bool)
	Peek(K) (V, bool)
	Has(K) bool
	Set(K, V) bool
	Add(K, V) bool
	Delete(K) (V, bool)
	Take(K) (V, bool)
	Compute(K, func(V, bool) (V, lru.Op)) (V, bool)
	Oldest() (K, V, bool)
	Newest() (K, V, bool)
	Resize(int) error
	Clear()
	Len() int
	Cost() int64
	RemoveExpired() int
	Stats() lru.Stats
}

// compare runs operations on a cache and on the model, and requires the same of
// both after each: results, order, events, cost.
func compare[K comparable](t *testing.T, capacity, maxCost int, single bool, keys []K, data []byte) {
	t.Helper()
	var got []lru.Removed[K, int]
	cfg := lru.Config[K, int]{
		Capacity: capacity, Shards: 1, MaxCost: int64(maxCost),
		Hooks: lru.Hooks[K, int]{OnRemoved: func(r lru.Removed[K, int]) { got = append(got, r) }},
	}
	if maxCost > 0 {
		cfg.Cost = func(_ K, value int) int64 { return int64(value) }
	}
	var c both[K, int]
	var all func(func(K, int) bool)
	if single {
		l := lru.MustNewLRU(cfg)
		c, all = l, l.All()
	} else {
		l := lru.MustNew(cfg)
		c, all = l, l.All()
	}
	m := &model[K]{capacity: capacity, maxCost: maxCost, order: list.New()}
	for step := 0; step+2 < len(data); step += 3 {
		op, key, value := data[step]%16, keys[int(data[step+1])%len(keys)], int(data[step+2])
		where := fmt.Sprintf("step %d, operation %d on %v", step/3, op, key)
		type outcome struct {
			value int
			ok    bool
		}
		var is, want outcome
		switch op {
		case 0, 1, 2, 3, 4:
			is.ok, want.ok = c.Set(key, value), m.set(key, value)
		case 5, 6, 7:
			is.value, is.ok = c.Get(key)
			want.value, want.ok = m.get(key, true)
		case 8:
			is.value, is.ok = c.Peek(key)
			want.value, want.ok = m.get(key, false)
			require.Equal(t, want.ok, c.Has(key), where)
		case 9:
			is.ok = c.Add(key, value)
			if m.find(key) == nil {
				want.ok = m.set(key, value)
			}
		case 10, 11:
			is.value, is.ok = c.Delete(key)
			if e := m.find(key); e != nil {
				want.value, want.ok = m.drop(e, lru.Deleted), true
			}
		case 12:
			is.value, is.ok = c.Take(key)
			if e := m.find(key); e != nil {
				want.value, want.ok = m.drop(e, 0), true
			}
		case 13:
			op := lru.Op(value % 3)
			is.value, is.ok = c.Compute(key, func(old int, _ bool) (int, lru.Op) { return old + value, op })
			want.value, want.ok = m.get(key, true)
			e := m.find(key)
			switch op {
			case lru.Store:
				next := want.value + value
				if want = (outcome{}); m.set(key, next) {
					want = outcome{next, true}
				}
			case lru.Remove:
				if want = (outcome{}); e != nil {
					m.drop(e, lru.Deleted)
				}
			}
		case 14:
			if value%16 == 0 {
				c.Clear()
				m.clear()
			}
		case 15:
			if n := value%(2*capacity) + 1; value >= 128 {
				require.NoError(t, c.Resize(n))
				m.resize(n)
			}
		}
		require.Equal(t, want, is, where)
		require.Equal(t, m.order.Len(), c.Len(), where)
		if maxCost > 0 {
			require.EqualValues(t, m.cost(), c.Cost(), where)
		}
		e := m.order.Front()
		for key, value := range all {
			require.NotNil(t, e, where)
			entry := e.Value.(*modelEntry[K])
			require.True(t, entry.key == key && entry.value == value, where)
			e = e.Next()
		}
		require.Nil(t, e, where)
		if back := m.order.Back(); back != nil {
			oldest, _, ok := c.Oldest()
			require.True(t, ok && oldest == back.Value.(*modelEntry[K]).key, where)
			newest, _, ok := c.Newest()
			require.True(t, ok && newest == m.order.Front().Value.(*modelEntry[K]).key, where)
		}
		require.True(t, slices.Equal(m.removed, got), "%s: events\n%v, want\n%v", where, got, m.removed)
		m.removed, got = m.removed[:0], got[:0]
	}
}

type pair struct {
	a int
	b string
}

func randomBytes(rng *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

func modelOf[K comparable](t *testing.T, name string, key func(i int) K) {
	t.Helper()
	for _, capacity := range []int{1, 2, 3, 7, 64} {
		for _, maxCost := range []int{0, 300} {
			for _, single := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/capacity=%d/cost=%d/single=%t", name, capacity, maxCost, single), func(t *testing.T) {
					t.Parallel()
					keys := make([]K, min(2*capacity+3, 100))
					for i := range keys {
						keys[i] = key(i)
					}
					rng := rand.New(rand.NewPCG(uint64(capacity), uint64(maxCost)))
					compare(t, capacity, maxCost, single, keys, randomBytes(rng, 3*1500))
				})
			}
		}
	}
}

func TestLRUBehavesAsTheModel(t *testing.T) {
	modelOf(t, "int", func(i int) int { return i })
	modelOf(t, "string", func(i int) string { return fmt.Sprint("key", i) })
	modelOf(t, "struct", func(i int) pair { return pair{i / 2, fmt.Sprint(i % 2)} })
	modelOf(t, "interface", func(i int) any {
		if i%2 == 0 {
			return i
		}
		return fmt.Sprint(i)
	})
	modelOf(t, "float", func(i int) float64 {
		switch i {
		case 0:
			return math.NaN()
		case 1:
			return math.Copysign(0, -1)
		case 2:
			return 0
		}
		return float64(i)
	})
}
