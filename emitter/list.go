package emitter

import (
	"context"
	"reflect"
	"sync/atomic"
)

// node is one subscription with its function. The *Sub that the user has points
// into it.
type node[T any] struct {
	Sub
	fn  func(T)
	fnc func(context.Context, T) error // called instead if it is not nil
}

// mailbox is where the events for an asynchronous listener go as they are, and
// n.fnc is its push. It is nil if there is none, or one for something else.
func (n *node[T]) mailbox() *mailbox[T] {
	if n.more == nil {
		return nil
	}
	m, _ := n.more.box.(*mailbox[T])
	return m
}

// describe is the name of the listener in errors and logs.
func (n *node[T]) describe() string {
	if name := n.name(); name != "" {
		return name
	}
	switch {
	case n.more != nil && n.more.source != 0:
		return place(n.more.source)
	case n.fnc != nil:
		return place(reflect.ValueOf(n.fnc).Pointer())
	}
	return place(reflect.ValueOf(n.fn).Pointer())
}

// backing is the list of listeners in the order in which they are called. An
// emit takes the list as it finds it and is not disturbed by later changes:
//
//   - a listener is appended in place, behind the n that readers look at;
//   - one that goes is marked in its Sub, and the list made anew without those
//     that have gone when they are more than half;
//   - all else (an insertion, a full array) makes a new list.
//
// So both are O(1) on average, and a function that has gone is kept from the
// garbage collector by at most as many others as are still there.
type backing[T any] struct {
	n     atomic.Int64 // how many of nodes there are; written with core.mu held
	nodes []*node[T]   // of full length; beyond n nothing is read
	dead  int          // how many of the n are not listed any more; guarded by core.mu
	first [4]*node[T]  // room for few, without another allocation
}

// newBacking returns an empty list with room for size.
func newBacking[T any](size int) *backing[T] {
	b := new(backing[T])
	if size <= len(b.first) {
		b.nodes = b.first[:]
	} else {
		b.nodes = make([]*node[T], size)
	}
	return b
}

// all is what an emit calls.
func (b *backing[T]) all() []*node[T] {
	if b == nil {
		return nil
	}
	return b.nodes[:b.n.Load()]
}

// rebuildLocked returns a list of the nodes that are still listed, with as much
// room again.
func (t *Topic[T]) rebuildLocked(b *backing[T]) *backing[T] {
	fresh := newBacking[T](2*t.core.live + 2)
	i := 0
	for _, n := range b.all() {
		if n.listed {
			fresh.nodes[i] = n
			i++
		}
	}
	fresh.n.Store(int64(i))
	return fresh
}

// insertLocked puts n, which is not listed yet, at its place.
func (t *Topic[T]) insertLocked(n *node[T], prepend bool) {
	b := t.list.Load()
	if b == nil {
		b = newBacking[T](1)
		b.nodes[0] = n
		b.n.Store(1)
		t.list.Store(b)
		return
	}
	all := b.all()
	last := all[len(all)-1].priority
	behind := n.priority < last || n.priority == last && !prepend
	if behind && len(all) < len(b.nodes) {
		b.nodes[len(all)] = n
		b.n.Store(int64(len(all) + 1))
		return
	}
	b = t.rebuildLocked(b)
	all = b.all()
	at := len(all)
	for at > 0 && (all[at-1].priority < n.priority || prepend && all[at-1].priority == n.priority) {
		at--
	}
	copy(b.nodes[at+1:len(all)+1], all[at:]) // nobody else has this list yet
	b.nodes[at] = n
	b.n.Store(int64(len(all) + 1))
	t.list.Store(b)
}

// unlist takes s out of the list. Its state says already that it has ended.
func (t *Topic[T]) unlist(s *Sub) {
	c := &t.core
	c.mu.Lock()
	if !s.listed {
		c.mu.Unlock()
		return
	}
	s.listed = false
	c.live--
	b := t.list.Load()
	b.dead++
	switch {
	case c.live == 0:
		t.list.Store(nil)
	case b.dead > c.live:
		t.list.Store(t.rebuildLocked(b))
	}
	c.noteLocked(s, false)
	retire := c.retire != nil && c.live == 0 && !c.pinned
	c.retired = c.retired || retire
	c.mu.Unlock()
	if retire {
		c.retire()
	}
	c.tellChanges()
}
