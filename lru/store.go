package lru

import "time"

// Slots are numbered from firstSlot on; 0 also stands for none. The two before it
// are the sentinels of the lists: their links hold each list's ends, and they
// never hold an entry.
const (
	mainList  = 0 // the only list of the LRU policy, the main queue of S3-FIFO
	smallList = 1 // the probationary queue of S3-FIFO
	firstSlot = 2

	maxSlots = 1<<31 - 2 // entries in one store
)

// node is what a slot holds. prev is the slot of the next newer entry, next that
// of the next older one. A free slot uses next for the list of free slots.
type node[K comparable, V any] struct {
	prev, next uint32
	key        K
	value      V
}

// store is a cache for one goroutine: arrays over slots, and the order of the
// policy as links between slot numbers. So it has no pointers of its own for
// the garbage collector to follow, and an array that no feature needs is never
// made.
type store[K comparable, V any] struct {
	// With the lock before them, what a hit needs fills two cache lines.
	table     table
	nodes     []node[K, V]
	hits      uint64
	gone      []Removed[K, V] // removals to be told; gone[:told] have been
	deadlines []int64         // nil until an entry has one; see deadlineAt
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
	costs []int64  // nil without Config.Cost
	ttls  []int64  // nil without Config.Sliding, or until an entry has one
	cost  int64
	most  int64 // bound of cost; 0 for none

	share                 float64 // of entries that may be in the small queue
	smallGhost, mainGhost ghost   // what left the queues

	refusals map[uint32]error // what negative entries answer
	edits    map[K]*edit      // keys that Compute works on

	hasher[K]
	warm  uint32 // written to keep a load from being optimised away; never read
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
	s.table = newTable(n)
	for slot := uint32(firstSlot); slot < s.fresh; slot++ {
		s.table.place(s.tag(slot), slot)
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
