package lru

import "time"

// Slots are numbered from firstSlot on. The two before it are the sentinels of
// the lists: their links hold each list's ends, and they never hold an entry.
const (
	mainList  = 0 // the only list of the LRU policy, the main queue of S3-FIFO
	smallList = 1 // the probationary queue of S3-FIFO
	firstSlot = 2

	maxSlots = 1<<31 - 2 // entries in one store; the index must stay below 2³² places
)

// node is what a slot holds. prev is the slot of the next newer entry, next that
// of the next older one. A free slot uses next for the list of free slots.
type node[K comparable, V any] struct {
	prev, next uint32
	key        K
	value      V
}

// store is a cache for one goroutine: arrays over slots, an index of its own,
// and the order of the policy as links between slot numbers. So it has no
// pointers of its own for the garbage collector to follow, and an array
// that no feature needs is never made.
//
// A place in the index is the low half of the key's hash (the tag) above the
// slot number; 0 is an empty place. The place where a search begins follows
// from the tag alone, so entries move about in the index, and the index grows,
// without a look at any key.
type store[K comparable, V any] struct {
	// With the lock before them, what a hit needs fills two cache lines.
	index     []uint64
	nodes     []node[K, V]
	deadlines []int64 // nil until an entry has one; see deadlineAt
	hits      uint64
	gone      []Removed[K, V] // removals to be told; gone[:told] have been
	freqs     []uint8         // S3-FIFO: uses since the last decision, and inSmall

	misses uint64
	told   int

	free  uint32 // first free slot, 0 for none
	fresh uint32 // first slot never used
	len   int
	limit int // entries
	timed int // entries with a deadline
	small int // entries in the small queue
	hand  uint32

	tags  []uint32 // nil where a hash is cheaper than memory
	ghost ghost
	costs []int64 // nil without Config.Cost
	ttls  []int64 // nil without Config.Sliding, or until an entry has one
	cost  int64
	most  int64 // bound of cost; 0 for none

	refusals map[uint32]error // what negative entries answer
	edits    map[K]*edit      // keys that Compute works on

	hasher[K]
	warm  uint64 // written to keep a load from being optimised away; never read
	base  time.Time
	rules *rules
	tells bool // there is somebody to tell of removals

	evicted, expired, deleted uint64
}

// rules is the part of the configuration that a store needs, the same for all
// shards and never written after New.
type rules struct {
	sliding bool
	stale   int64
	ahead   int64
	jitter  float64
	name    string
}

// reduce spreads a tag over n places: the high part of the product, which is
// cheaper than a remainder and leaves n free to be any number.
func reduce(tag uint32, n int) int { return int(uint64(tag) * uint64(n) >> 32) }

// find returns the slot of key, or 0.
func (s *store[K, V]) find(hash uint64, key K) uint32 {
	index := s.index
	tag := uint32(hash)
	for i := reduce(tag, len(index)); ; {
		if uint(i) >= uint(len(index)) {
			if i == 0 {
				return 0 // nothing was ever stored
			}
			i = 0
			continue
		}
		e := index[i]
		if uint32(e>>32) == tag {
			if slot := uint32(e); s.nodes[slot].key == key || slot == 0 {
				return slot
			}
		} else if e == 0 {
			return 0
		}
		i++
	}
}

// place enters a slot that is not in the index.
func (s *store[K, V]) place(e uint64) {
	index := s.index
	i := reduce(uint32(e>>32), len(index))
	for index[i] != 0 {
		if i++; i == len(index) {
			i = 0
		}
	}
	index[i] = e
}

// unplace takes a slot out of the index. It looks for the slot number, not for
// the key, and closes the gap by moving back the entries that were displaced
// over it, so there are no tombstones.
func (s *store[K, V]) unplace(tag, slot uint32) {
	index := s.index
	n := len(index)
	i := reduce(tag, n)
	for uint32(index[i]) != slot {
		if i++; i == n {
			i = 0
		}
	}
	for j := i; ; {
		if j++; j == n {
			j = 0
		}
		e := index[j]
		if e == 0 {
			break
		}
		// An entry may move from j back to i if its home is not between them.
		displaced := j - reduce(uint32(e>>32), n)
		if displaced < 0 {
			displaced += n
		}
		gap := j - i
		if gap < 0 {
			gap += n
		}
		if displaced >= gap {
			index[i] = e
			i = j
		}
	}
	index[i] = 0
}

// take returns a free slot. There is one below limit.
func (s *store[K, V]) take() uint32 {
	if slot := s.free; slot != 0 {
		s.free = s.nodes[slot].next
		return slot
	}
	if int(s.fresh) >= len(s.nodes) {
		s.reshape(min(max(8, 2*len(s.nodes)), s.limit))
	}
	slot := s.fresh
	s.fresh++
	return slot
}

// reshape gives the arrays room for n entries, n not below the slots in use.
func (s *store[K, V]) reshape(n int) {
	slots := n + firstSlot
	s.nodes = resized(s.nodes, slots)
	if s.fresh == 0 {
		s.fresh = firstSlot
	}
	if s.fresh == firstSlot {
		s.nodes[smallList].prev, s.nodes[smallList].next = smallList, smallList // as mainList is by itself
	}
	if s.deadlines != nil {
		s.deadlines = resized(s.deadlines, slots)
	}
	if s.ttls != nil {
		s.ttls = resized(s.ttls, slots)
	}
	if s.costs != nil {
		s.costs = resized(s.costs, slots)
	}
	if s.freqs != nil {
		s.freqs = resized(s.freqs, slots)
	}
	if s.tags != nil {
		s.tags = resized(s.tags, slots)
	}
	// Five places for three entries: at most 60 % full, so a
	// hit looks at 1.75 places on average and a miss at 3.6.
	old := s.index
	s.index = make([]uint64, n+n/3*2+2)
	for _, e := range old {
		if e != 0 {
			s.place(e)
		}
	}
}

func resized[T any](old []T, n int) []T {
	out := make([]T, n)
	copy(out, old)
	return out
}

// tag returns the low half of the hash of a slot's key. For most kinds of keys
// it is kept: a string's bytes would have to come from memory for it.
func (s *store[K, V]) tag(slot uint32) uint32 {
	if s.tags != nil {
		return s.tags[slot]
	}
	return uint32(s.hash(s.nodes[slot].key))
}

// now is the time since the cache was made.
func (s *store[K, V]) now() int64 { return int64(time.Since(s.base)) }
