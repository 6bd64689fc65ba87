package jwt

import (
	"container/heap"
	"time"
)

// expiring is a bounded map whose entries end at a time. It has no lock. A heap
// has the entry that ends first on top, so what has ended makes room as others
// come, without a goroutine.
type expiring[K comparable, V any] struct {
	most  int
	items map[K]*item[K, V]
	queue queue[K, V]
	gone  func(K) // called for an entry that leaves by itself; may be nil
}

type item[K comparable, V any] struct {
	key   K
	value V
	end   time.Time
	place int // in the queue
}

type queue[K comparable, V any] []*item[K, V]

func (q queue[K, V]) Len() int           { return len(q) }
func (q queue[K, V]) Less(i, j int) bool { return q[i].end.Before(q[j].end) }
func (q queue[K, V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *queue[K, V]) Push(x any) {
	it := x.(*item[K, V])
	it.place = len(*q)
	*q = append(*q, it)
}
func (q *queue[K, V]) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return it
}

func makeExpiring[K comparable, V any](most int) expiring[K, V] {
	return expiring[K, V]{most: most, items: make(map[K]*item[K, V])}
}

// get returns the entry of k, or nil.
func (e *expiring[K, V]) get(k K, now time.Time) *item[K, V] {
	if it := e.items[k]; it != nil && now.Before(it.end) {
		return it
	}
	return nil
}

// put sets the entry of k, and reports false if there is no room for it. It
// drops some of the entries that have ended: more than it adds, so they do not
// pile up, and few, so that nobody waits long.
func (e *expiring[K, V]) put(k K, v V, end, now time.Time) bool {
	for range 8 {
		if len(e.queue) == 0 || now.Before(e.queue[0].end) {
			break
		}
		old := e.queue[0].key
		e.remove(old)
		if e.gone != nil {
			e.gone(old)
		}
	}
	if it := e.items[k]; it != nil {
		it.value, it.end = v, end
		heap.Fix(&e.queue, it.place)
		return true
	}
	if len(e.items) >= e.most {
		return false
	}
	it := &item[K, V]{key: k, value: v, end: end}
	e.items[k] = it
	heap.Push(&e.queue, it)
	return true
}

func (e *expiring[K, V]) remove(k K) {
	if it := e.items[k]; it != nil {
		delete(e.items, k)
		heap.Remove(&e.queue, it.place)
	}
}
