package lru

import "fmt"

// Policy decides which entry makes room for a new one.
type Policy int

const (
	// PolicyLRU evicts the entry that was used the longest time ago. A scan over
	// more keys than the cache holds empties it of everything else.
	PolicyLRU Policy = iota

	// PolicyS3FIFO evicts by three queues (Yang et al., "FIFO queues are all you
	// need for cache eviction", SOSP 2023): new entries pass through a small
	// queue, and only what is used again there, or comes back soon after, gets
	// into the main one. The small queue is as long as pays. It keeps more hits
	// than LRU on most workloads, scans among them, and a hit moves nothing.
	PolicyS3FIFO
)

// String returns the name of the policy.
func (p Policy) String() string {
	switch p {
	case PolicyLRU:
		return "LRU"
	case PolicyS3FIFO:
		return "S3-FIFO"
	}
	return fmt.Sprintf("Policy(%d)", int(p))
}

const (
	inSmall = 0x80 // in freqs: the entry is in the small queue
	maxFreq = 3

	// Of all entries, these parts may be in the small queue: at first, at least
	// and at most.
	firstShare, leastShare, mostShare = 0.1, 0.02, 0.9

	// An entry that comes back was missed narrowly if fewer than this part of
	// all entries have left its queue since.
	narrowly = 0.1
)

// unlink takes slot out of its list.
func (s *store[K, V]) unlink(slot uint32) {
	nodes := s.nodes
	prev, next := nodes[slot].prev, nodes[slot].next
	nodes[prev].next = next
	nodes[next].prev = prev
}

// push makes slot the newest of a list.
func (s *store[K, V]) push(list, slot uint32) {
	nodes := s.nodes
	newest := nodes[list].next
	nodes[slot].prev, nodes[slot].next = list, newest
	nodes[newest].prev = slot
	nodes[list].next = slot
}

// touch takes note of a use of slot.
func (s *store[K, V]) touch(slot uint32) {
	if s.freqs != nil {
		if f := s.freqs[slot]; f&^inSmall < maxFreq {
			s.freqs[slot] = f + 1
		}
		return
	}
	nodes := s.nodes
	prev, next := nodes[slot].prev, nodes[slot].next
	if prev == mainList {
		return // the newest already
	}
	nodes[prev].next = next
	nodes[next].prev = prev
	newest := nodes[mainList].next
	nodes[slot].prev, nodes[slot].next = mainList, newest
	nodes[newest].prev = slot
	nodes[mainList].next = slot
}

// enter puts a new slot into the order.
func (s *store[K, V]) enter(tag, slot uint32) {
	if s.freqs == nil {
		s.push(mainList, slot)
		return
	}
	s.freqs[slot] = 0
	n := float64(s.len + 1)
	if age, ok := s.smallGhost.takeOut(tag); ok && age <= s.len {
		if float64(age) <= narrowly*n {
			s.share = min(s.share+1/n, mostShare)
		}
		s.push(mainList, slot)
		return
	}
	if age, ok := s.mainGhost.takeOut(tag); ok && float64(age) <= narrowly*n {
		s.share = max(s.share-1/n, leastShare)
	}
	s.freqs[slot] = inSmall
	s.small++
	s.push(smallList, slot)
}

// evict removes the entry that the policy wants to part with. There is one.
func (s *store[K, V]) evict(reason Reason) {
	if s.freqs == nil {
		s.remove(s.nodes[mainList].prev, reason)
		return
	}
	// Each turn evicts, promotes, or takes a use from an entry of the main
	// queue, so the work is paid for by the uses before it.
	for {
		main := s.nodes[mainList].prev
		if float64(s.small) > s.share*float64(s.len) || main == mainList {
			slot := s.nodes[smallList].prev
			if s.freqs[slot]&^inSmall == 0 {
				s.smallGhost.add(s.remove(slot, reason), s.len, s.limit)
				return
			}
			s.small--
			s.freqs[slot] = 0
			s.unlink(slot)
			s.push(mainList, slot)
			continue
		}
		if s.freqs[main] == 0 {
			n := int(narrowly * float64(s.len))
			s.mainGhost.add(s.remove(main, reason), n, n)
			return
		}
		s.freqs[main]--
		s.unlink(main)
		s.push(mainList, main)
	}
}

// forget has the policy begin anew, as it must when capacity changes.
func (s *store[K, V]) forget() {
	s.share = firstShare
	s.smallGhost, s.mainGhost = ghost{}, ghost{}
}

// slots calls yield for each slot in order, from the newest or the oldest. With
// S3-FIFO the main queue comes before the small one, as the latter's entries
// go first.
func (s *store[K, V]) slots(oldestFirst bool, yield func(slot uint32) bool) {
	if len(s.nodes) == 0 {
		return
	}
	if oldestFirst {
		for _, list := range [...]uint32{smallList, mainList} {
			for slot := s.nodes[list].prev; slot != list; slot = s.nodes[slot].prev {
				if !yield(slot) {
					return
				}
			}
		}
		return
	}
	for _, list := range [...]uint32{mainList, smallList} {
		for slot := s.nodes[list].next; slot != list; slot = s.nodes[slot].next {
			if !yield(slot) {
				return
			}
		}
	}
}
