package lru

import "math/bits"

const (
	groupPlaces = 12
	groupFill   = 8 // entries for each group when the store is full

	lowBits  = 0x0101010101010101 // of each byte
	highBits = lowBits << 7
)

// table is the index from the low half of a key's hash, its tag, to slots. It
// knows no keys: entries are entered and taken out by tag and slot number, and
// a look-up asks the caller which of the few slots that it names has the key.
//
// A group is a cache line of places. An entry is in the first group with a free
// place, going round from its home, which the tag names; and it does not move.
// In place of tombstones a group counts who passed by it, so a search ends where
// nobody did. Exactly those are counted that are in the table now.
type table []group

type group struct {
	low    uint64 // a byte for each of the first eight places: 0 if it is free, else the mark
	high   uint32 // the same for the others
	passed uint32 // entries behind this group whose home is not
	slots  [groupPlaces]uint32
}

// newTable returns a table for n entries.
func newTable(n int) table { return make(table, (n+groupFill-1)/groupFill) }

// reduce spreads a tag over n groups: the high part of the product, which is
// cheaper than a remainder and leaves n free to be any number.
func reduce(tag uint32, n int) int { return int(uint64(tag) * uint64(n) >> 32) }

// mark is what a group keeps of a tag: its low byte, as the home has used up the
// high ones, and not 0.
func mark(tag uint32) uint64 {
	m := uint64(tag & 0xff)
	return m + (m-1)>>63
}

// equal sets the high bit of each byte of marks that is m. It may set one too
// many above one that is right, so the lowest is right.
func equal(marks, m uint64) uint64 {
	x := marks ^ m*lowBits
	return (x - lowBits) &^ x & highBits
}

func equalHigh(marks uint32, m uint64) uint32 {
	const low, high = lowBits & (1<<32 - 1), highBits & (1<<32 - 1)
	x := marks ^ uint32(m)*low
	return (x - low) &^ x & high
}

// place enters a slot that is not in the table, which has room.
func (t table) place(tag, slot uint32) {
	for i := reduce(tag, len(t)); ; {
		g := &t[i]
		if free := equal(g.low, 0); free != 0 {
			at := bits.TrailingZeros64(free) >> 3
			g.low |= mark(tag) << (8 * at)
			g.slots[at] = slot
			return
		}
		if free := equalHigh(g.high, 0); free != 0 {
			at := bits.TrailingZeros32(free) >> 3
			g.high |= uint32(mark(tag)) << (8 * at)
			g.slots[8+at] = slot
			return
		}
		g.passed++
		if i++; i == len(t) {
			i = 0
		}
	}
}

// unplace takes a slot out of the table.
func (t table) unplace(tag, slot uint32) {
	for i := reduce(tag, len(t)); ; {
		g := &t[i]
		for m := equal(g.low, mark(tag)); m != 0; m &= m - 1 {
			if at := bits.TrailingZeros64(m) >> 3; g.slots[at] == slot {
				g.low &^= 0xff << (8 * at)
				g.slots[at] = 0
				return
			}
		}
		for m := equalHigh(g.high, mark(tag)); m != 0; m &= m - 1 {
			if at := bits.TrailingZeros32(m) >> 3; g.slots[8+at] == slot {
				g.high &^= 0xff << (8 * at)
				g.slots[8+at] = 0
				return
			}
		}
		g.passed--
		if i++; i == len(t) {
			i = 0
		}
	}
}

// find returns the slot of key, or 0.
func (s *store[K, V]) find(hash uint64, key K) uint32 {
	t := s.table
	tag := uint32(hash)
	home := reduce(tag, len(t))
	for i := home; uint(i) < uint(len(t)); {
		g := &t[i]
		for m := equal(g.low, mark(tag)); m != 0; m &= m - 1 {
			if slot := g.slots[bits.TrailingZeros64(m)>>3]; s.nodes[slot].key == key && slot != 0 {
				return slot
			}
		}
		for m := equalHigh(g.high, mark(tag)); m != 0; m &= m - 1 {
			if slot := g.slots[8+bits.TrailingZeros32(m)>>3]; s.nodes[slot].key == key && slot != 0 {
				return slot
			}
		}
		if g.passed == 0 {
			return 0
		}
		if i++; i == len(t) {
			i = 0
		}
		if i == home { // all groups were passed by some entry
			return 0
		}
	}
	return 0 // nothing was ever stored
}
