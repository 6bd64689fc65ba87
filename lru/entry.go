package lru

import "math/rand/v2"

// get is the hot path of a look-up that counts.
func (s *store[K, V]) get(hash uint64, key K) (value V, ok bool) {
	slot := s.find(hash, key)
	if slot != 0 && s.deadlines != nil {
		if found := s.judge(slot); found != present && found != due {
			slot = 0
		}
	}
	if slot == 0 {
		s.misses++
		return value, false
	}
	s.hits++
	s.touch(slot)
	return s.nodes[slot].value, true
}

// peek finds a live entry without using it. It removes nothing.
func (s *store[K, V]) peek(hash uint64, key K) uint32 {
	slot := s.find(hash, key)
	if slot == 0 || !s.live(slot) {
		return 0
	}
	return slot
}

// put stores an entry as the newest, and makes room for it before. It reports
// false, and leaves nothing under the key, if cost is above the bound.
// The key must equal itself.
func (s *store[K, V]) put(hash uint64, key K, value V, cost, ttl int64) bool {
	now := int64(0)
	if s.timed > 0 || ttl > 0 {
		now = s.now()
	}
	if s.timed > 0 {
		s.sweep(2, now)
	}
	// A full store will most likely part with its oldest entry. To look at its
	// group here lets the processor wait for both groups at once.
	full := s.len >= s.limit && s.freqs == nil && s.most == 0
	var victim, old uint32
	if full {
		victim = s.nodes[mainList].prev
		old = s.tag(victim)
		s.warm = s.table[reduce(old, len(s.table))].passed
	}
	slot := s.find(hash, key)
	if len(s.edits) > 0 {
		s.edited(key)
	}
	if s.most > 0 && cost > s.most || ttl < 0 {
		if slot != 0 {
			s.remove(slot, Replaced)
		}
		return false
	}
	if slot != 0 {
		s.depart(slot, Replaced)
		s.nodes[slot].value = value
		s.touch(slot)
		s.label(slot, cost, ttl, now)
		for s.most > 0 && s.cost > s.most {
			s.evict(Evicted)
		}
		return true
	}
	tag := uint32(hash)
	if full {
		slot = victim
		s.recycle(slot, old, key, value)
	} else {
		for s.len >= s.limit || s.most > 0 && s.cost > s.most-cost {
			s.evict(Evicted)
		}
		slot = s.take()
		n := &s.nodes[slot]
		n.key, n.value = key, value
		s.enter(tag, slot)
		s.len++
	}
	s.table.place(tag, slot)
	if s.tags != nil {
		s.tags[slot] = tag
	}
	if ttl != 0 || s.costs != nil {
		s.label(slot, cost, ttl, now)
	}
	return true
}

// recycle is evict and take in one, for the most common case: the oldest entry's
// slot becomes the newest's.
func (s *store[K, V]) recycle(slot, tag uint32, key K, value V) {
	n := &s.nodes[slot]
	s.table.unplace(tag, slot)
	s.depart(slot, Evicted)
	if len(s.edits) > 0 {
		s.edited(n.key)
	}
	n.key, n.value = key, value
	s.touch(slot)
}

// label sets what optional arrays hold of an entry.
func (s *store[K, V]) label(slot uint32, cost, ttl, now int64) {
	if s.costs != nil {
		s.costs[slot] = cost
		s.cost += cost
	}
	if ttl == 0 {
		return
	}
	if s.deadlines == nil {
		s.deadlines = make([]int64, len(s.nodes))
	}
	if s.rules.jitter > 0 {
		ttl = max(1, ttl-int64(rand.Float64()*s.rules.jitter*float64(ttl)))
	}
	s.deadlines[slot] = deadlineAt(now, ttl)
	s.timed++
	if s.rules.sliding {
		if s.ttls == nil {
			s.ttls = make([]int64, len(s.nodes))
		}
		s.ttls[slot] = ttl
	}
}

// deny stores that key has no value, for ttl, as an entry like others.
func (s *store[K, V]) deny(hash uint64, key K, err error, ttl int64) {
	var none V
	if !s.put(hash, key, none, 0, ttl) {
		return
	}
	slot := s.find(hash, key)
	s.deadlines[slot] |= negativeFlag
	if s.refusals == nil {
		s.refusals = make(map[uint32]error)
	}
	s.refusals[slot] = err
}

// depart takes note that the value of slot goes, and clears what belongs to it
// except the item.
func (s *store[K, V]) depart(slot uint32, reason Reason) {
	valued := true
	if s.deadlines != nil && s.deadlines[slot] != 0 {
		d := s.deadlines[slot]
		if d&negativeFlag != 0 {
			valued = false
			delete(s.refusals, slot)
		} else if reason == Replaced && s.now() >= d>>flagBits {
			reason = Expired
		}
		s.deadlines[slot] = 0
		s.timed--
	}
	if s.ttls != nil {
		s.ttls[slot] = 0
	}
	if s.costs != nil {
		s.cost -= s.costs[slot]
		s.costs[slot] = 0
	}
	switch {
	case !valued:
		return
	case reason == Evicted:
		s.evicted++
	case reason == Expired:
		s.expired++
	case reason == Deleted || reason == taken:
		s.deleted++
	}
	if s.tells && reason != taken {
		it := &s.nodes[slot]
		s.gone = append(s.gone, Removed[K, V]{Name: s.rules.name, Key: it.key, Value: it.value, Reason: reason})
	}
}

// remove takes an entry out by its slot, whatever its key equals, and returns
// its tag.
func (s *store[K, V]) remove(slot uint32, reason Reason) uint32 {
	tag := s.tag(slot)
	s.removeTagged(slot, tag, reason)
	return tag
}

func (s *store[K, V]) removeTagged(slot, tag uint32, reason Reason) {
	it := &s.nodes[slot]
	s.table.unplace(tag, slot)
	s.depart(slot, reason)
	if s.freqs != nil && s.freqs[slot]&inSmall != 0 {
		s.small--
	}
	s.unlink(slot)
	if len(s.edits) > 0 {
		s.edited(it.key)
	}
	*it = node[K, V]{next: s.free} // so that what it pointed to can be collected
	s.free = slot
	s.len--
}

// clear removes everything. The arrays go as well.
func (s *store[K, V]) clear() {
	s.slots(true, func(slot uint32) bool {
		if len(s.edits) > 0 {
			s.edited(s.nodes[slot].key)
		}
		s.depart(slot, Cleared)
		return true
	})
	s.table, s.nodes, s.deadlines, s.ttls = nil, nil, nil, nil
	if s.costs != nil {
		s.costs = []int64{}
	}
	if s.freqs != nil {
		s.freqs = []uint8{}
	}
	if s.tags != nil {
		s.tags = []uint32{}
	}
	s.forget()
	s.free, s.fresh, s.len, s.small, s.hand = 0, 0, 0, 0, 0
}

// resize sets the limit. A store that shrinks evicts first, and moves into
// arrays of the new size.
func (s *store[K, V]) resize(limit int) {
	for s.len > limit {
		s.evict(Resized)
	}
	shrunk := limit < s.limit && len(s.nodes) > limit+firstSlot
	s.limit = limit
	s.forget()
	if shrunk {
		s.compact()
	}
}

// compact renumbers the slots so that the arrays can be cut to the limit. The
// order and all labels stay.
func (s *store[K, V]) compact() {
	old := *s
	s.table, s.nodes = nil, nil
	s.free, s.fresh, s.refusals = 0, firstSlot, nil
	s.hand = 0
	for _, a := range []*[]int64{&s.deadlines, &s.ttls, &s.costs} {
		if *a != nil {
			*a = []int64{}
		}
	}
	if s.freqs != nil {
		s.freqs = []uint8{}
	}
	if s.tags != nil {
		s.tags = []uint32{}
	}
	s.reshape(s.limit)
	old.slots(true, func(from uint32) bool {
		to := s.take()
		s.nodes[to].key, s.nodes[to].value = old.nodes[from].key, old.nodes[from].value
		tag := old.tag(from)
		s.table.place(tag, to)
		if s.tags != nil {
			s.tags[to] = tag
		}
		list := uint32(mainList)
		if s.freqs != nil {
			s.freqs[to] = old.freqs[from]
			if old.freqs[from]&inSmall != 0 {
				list = smallList
			}
		}
		s.push(list, to)
		if s.deadlines != nil {
			s.deadlines[to] = old.deadlines[from]
		}
		if s.ttls != nil {
			s.ttls[to] = old.ttls[from]
		}
		if s.costs != nil {
			s.costs[to] = old.costs[from]
		}
		if err := old.refusals[from]; err != nil {
			if s.refusals == nil {
				s.refusals = make(map[uint32]error)
			}
			s.refusals[to] = err
		}
		return true
	})
}
