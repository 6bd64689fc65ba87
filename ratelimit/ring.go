package ratelimit

// cell is what a key keeps for one rule, apart from the words of its ring.
//
// For a sliding window these are entries in the order of time: stamps, or
// stamps with counts if the rule is wide. Admission asks nothing of the events
// but when the oldest ones leave, so a ring of at most N stamps answers it.
// For GCRA the words hold one number, the theoretical arrival time.
type cell struct {
	head uint16 // index of the oldest entry
	n    uint16 // entries in use
	used uint32 // events in these entries
}

// inline is how many words a key has without an allocation.
const inline = 2

// ring is a view of a cell with all that is needed to work on it. It is made
// on the stack for one call, under the lock of the key.
type ring struct {
	r   *rule
	c   *cell
	w   []uint32
	ref uint64 // tick of the last event of the key; no stamp is later
}

// slots returns how many entries there is room for: a power of two.
func (g *ring) slots() int {
	if g.r.wide {
		return len(g.w) / 2
	}
	return len(g.w)
}

// index returns where the words of entry i begin, counting from the oldest.
func (g *ring) index(i int) int {
	i = (int(g.c.head) + i) & (g.slots() - 1)
	if g.r.wide {
		return 2 * i
	}
	return i
}

// tick returns the number of the tick of entry i. Its stamp is the low half of
// that, and the entry at most a window older than ref, which has the rest.
func (g *ring) tick(i int) uint64 {
	return g.ref - uint64(uint32(g.ref)-g.w[g.index(i)])
}

// leaves returns when entry i no longer counts.
func (g *ring) leaves(i int) int64 { return g.r.leaves(g.tick(i)) }

// count returns how many events entry i stands for.
func (g *ring) count(i int) int {
	if g.r.wide {
		return int(g.w[g.index(i)+1])
	}
	return 1
}

// gone returns how many of the oldest entries no longer count at t, and how
// many events these are. It takes at most 8 steps for an exact ring of 256
// entries (15 if Limit.Exact was set), and 256 for a wide one.
func (g *ring) gone(t int64) (entries, events int) {
	n := int(g.c.n)
	switch {
	case n == 0 || g.leaves(0) > t:
		return 0, 0
	case g.leaves(n-1) <= t:
		return n, int(g.c.used)
	case g.leaves(1) > t:
		return 1, g.count(0)
	}
	lo, hi := 2, n-1 // those before lo are gone, hi is not
	for lo < hi {
		if m := (lo + hi) / 2; g.leaves(m) <= t {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if !g.r.wide {
		return lo, lo
	}
	for i := range lo {
		events += g.count(i)
	}
	return lo, events
}

// drop removes the oldest entries.
func (g *ring) drop(entries, events int) {
	g.c.head = uint16((int(g.c.head) + entries) & (g.slots() - 1))
	g.c.n -= uint16(entries)
	g.c.used -= uint32(events)
}

// put adds n events at the tick ref, for which there is room.
func (g *ring) put(n int) {
	if g.r.wide {
		g.putEntry(n)
		return
	}
	for range n {
		g.w[g.index(int(g.c.n))] = uint32(g.ref)
		g.c.n++
	}
	g.c.used += uint32(n)
}

// putEntry adds n events to a wide ring: to its last entry if that has the
// same tick.
func (g *ring) putEntry(n int) {
	g.c.used += uint32(n)
	if last := int(g.c.n) - 1; last >= 0 && g.tick(last) == g.ref {
		g.w[g.index(last)+1] += uint32(n)
		return
	}
	i := g.index(int(g.c.n))
	g.w[i], g.w[i+1] = uint32(g.ref), uint32(n)
	g.c.n++
}

// take removes up to n of the newest events and returns how many it removed.
func (g *ring) take(n int) int {
	left := n
	for left > 0 && g.c.n > 0 {
		last := int(g.c.n) - 1
		have := g.count(last)
		if have > left {
			g.w[g.index(last)+1] -= uint32(left)
			left = 0
			break
		}
		left -= have
		g.c.n--
	}
	g.c.used -= uint32(n - left)
	return n - left
}

// size returns how many words a ring with room for that many entries has.
func (g *ring) size(entries int) int {
	width := len(g.w) / g.slots()
	size := max(8, len(g.w))
	for size/width < entries {
		size *= 2
	}
	return size
}

// move puts the entries into the words w, for which there is room, the oldest
// first.
func (g *ring) move(w []uint32) {
	width := len(g.w) / g.slots()
	for i := range int(g.c.n) {
		copy(w[i*width:(i+1)*width], g.w[g.index(i):])
	}
	g.w, g.c.head = w, 0
}

// arrival and setArrival are the words of a GCRA cell.
func (g *ring) arrival() int64 { return int64(uint64(g.w[1])<<32 | uint64(g.w[0])) }

func (g *ring) setArrival(tat int64) { g.w[0], g.w[1] = uint32(tat), uint32(uint64(tat)>>32) }
