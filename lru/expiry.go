package lru

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

// live reports whether an entry has a value that is not over.
func (s *store[K, V]) live(slot uint32) bool {
	if s.deadlines == nil || s.deadlines[slot] == 0 {
		return true
	}
	d := s.deadlines[slot]
	return d&negativeFlag == 0 && s.now() < d>>flagBits
}

// sweep looks at n slots, going round, and removes those that are over. Every
// Set pays for two, so all that has expired is gone after half as many Sets as
// there are slots, and nobody needs a goroutine for it.
func (s *store[K, V]) sweep(n int, now int64) {
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
