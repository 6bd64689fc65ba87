package lru

import "math/rand/v2"

// A deadline is a time in nanoseconds since the cache was made, above two
// bits of flags. 0 is none.
const (
	flagBits     = 2
	negativeFlag = 1 // the entry stands for a value that does not exist
	settledFlag  = 2 // a refresh failed, do not try again

	forever = 1<<61 - 1 // the largest time
)

// deadlineAt returns the deadline ttl after now. A cache may be used in a
// synctest bubble, whose clock is decades before the one it was made under, so
// times may be negative, too.
func deadlineAt(now, ttl int64) int64 {
	t := max(now, -forever)
	if ttl > forever-max(t, 0) {
		t = forever
	} else {
		t += ttl
	}
	if t == 0 {
		t = 1
	}
	return t << flagBits
}

// verdict says what a look at an entry found.
type verdict int

const (
	absent verdict = iota
	present
	due      // present, and to be refreshed
	negative // known not to exist
)

// get is the hot path of a look-up that counts.
func (s *store[K, V]) get(hash uint64, key K) (value V, ok bool) {
	slot := s.find(hash, key)
	if slot == 0 || s.deadlines != nil && s.deadlines[slot] != 0 && s.judge(slot) < present {
		s.misses++
		return value, false
	}
	if s.deadlines != nil && s.deadlines[slot]&negativeFlag != 0 {
		s.misses++
		return value, false
	}
	s.hits++
	s.touch(slot)
	return s.nodes[slot].value, true
}

// judge looks at an entry with a deadline. An entry that is over is removed,
// and the slot must not be used any more; one that is over but may still stand
// in for a load that fails stays.
func (s *store[K, V]) judge(slot uint32) verdict {
	d := s.deadlines[slot]
	if d == 0 {
		return present
	}
	now := s.now()
	switch left := d>>flagBits - now; {
	case left <= 0:
		if d&negativeFlag != 0 || left <= -s.rules.stale {
			s.remove(slot, Expired)
		}
		return absent
	case d&negativeFlag != 0:
		return negative
	case s.rules.sliding && s.ttls != nil && s.ttls[slot] > 0:
		s.deadlines[slot] = deadlineAt(now, s.ttls[slot])
		return present
	case left <= s.rules.ahead && d&settledFlag == 0:
		return due
	}
	return present
}

// peek finds a live entry without using it. It removes nothing.
func (s *store[K, V]) peek(hash uint64, key K) uint32 {
	slot := s.find(hash, key)
	if slot == 0 || !s.live(slot) {
		return 0
	}
	return slot
}

// live reports whether an entry has a value that is not over.
func (s *store[K, V]) live(slot uint32) bool {
	if s.deadlines == nil || s.deadlines[slot] == 0 {
		return true
	}
	d := s.deadlines[slot]
	return d&negativeFlag == 0 && s.now() < d>>flagBits
}

// put stores an entry as the newest, and makes room for it before. It reports
// false, and leaves nothing under the key, if cost is above the bound.
// The key must equal itself.
func (s *store[K, V]) put(hash uint64, key K, value V, cost, ttl int64) bool {
	if s.timed > 0 {
		s.sweep(2)
	}
	// A full store with one list will evict its oldest entry next. To load its
	// place in the index here lets the processor wait for both places at once.
	var victim, tag uint32
	if s.len >= s.limit && s.freqs == nil {
		victim = s.nodes[mainList].prev
		tag = s.tag(victim)
		s.warm = s.index[reduce(tag, len(s.index))]
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
		s.label(slot, cost, ttl)
		for s.most > 0 && s.cost > s.most {
			s.evict(Evicted)
		}
		return true
	}
	if victim != 0 {
		s.removeTagged(victim, tag, Evicted)
	}
	for s.len >= s.limit || s.most > 0 && s.cost > s.most-cost {
		s.evict(Evicted)
	}
	slot = s.take()
	n := &s.nodes[slot]
	n.key, n.value = key, value
	s.place(hash<<32 | uint64(slot))
	if s.tags != nil {
		s.tags[slot] = uint32(hash)
	}
	s.enter(uint32(hash), slot)
	s.len++
	s.label(slot, cost, ttl)
	return true
}

// label sets what optional arrays hold of an entry.
func (s *store[K, V]) label(slot uint32, cost, ttl int64) {
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
	s.deadlines[slot] = deadlineAt(s.now(), ttl)
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
	s.unplace(tag, slot)
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

// sweep looks at n slots, going round, and removes those that are over. Every
// Set pays for two, so all that has expired is gone after half as many Sets as
// there are slots, and nobody needs a goroutine for it.
func (s *store[K, V]) sweep(n int) {
	now := s.now()
	for range n {
		if s.hand++; s.hand >= s.fresh {
			s.hand = firstSlot
		}
		s.expire(s.hand, now)
	}
}

// expire removes slot if it holds an entry that is over for good.
func (s *store[K, V]) expire(slot uint32, now int64) bool {
	d := s.deadlines[slot]
	if d == 0 {
		return false
	}
	over := d >> flagBits
	if d&negativeFlag == 0 {
		over += s.rules.stale
	}
	if now < over {
		return false
	}
	s.remove(slot, Expired)
	return true
}

// removeExpired looks at all slots, and returns how many it removed.
func (s *store[K, V]) removeExpired() int {
	n := 0
	if s.timed > 0 {
		now := s.now()
		for slot := uint32(firstSlot); slot < s.fresh; slot++ {
			if s.expire(slot, now) {
				n++
			}
		}
	}
	return n
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
	s.index, s.nodes, s.deadlines, s.ttls = nil, nil, nil, nil
	if s.costs != nil {
		s.costs = []int64{}
	}
	if s.freqs != nil {
		s.freqs = []uint8{}
	}
	if s.tags != nil {
		s.tags = []uint32{}
	}
	s.ghost = ghost{}
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
	s.ghost = ghost{}
	if shrunk {
		s.compact()
	}
}

// compact renumbers the slots so that the arrays can be cut to the limit. The
// order and all labels stay.
func (s *store[K, V]) compact() {
	old := *s
	s.index, s.nodes = nil, nil
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
		s.place(uint64(tag)<<32 | uint64(to))
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
