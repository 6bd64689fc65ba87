package lru

// ghost remembers the tags of the entries that left a queue last, in buckets of
// eight tags with the time of each, counted in additions. A bucket that
// overflows forgets its oldest, which costs a little precision where an exact
// queue would cost twice the memory.
type ghost struct {
	buckets [][8]uint64 // tag above time; 0 is empty
	clock   uint32
	room    int // tags that there are buckets for
}

// add remembers tag, one of n. It makes room for a few more than n, though not
// for more than most, and forgets everything when there is not enough.
func (g *ghost) add(tag uint32, n, most int) {
	if n > g.room {
		g.room = min(n+n/2, most)
		g.buckets = make([][8]uint64, g.room/5+1)
	}
	if g.clock++; g.clock == 0 {
		g.clock = 1
	}
	if len(g.buckets) == 0 {
		return
	}
	b := &g.buckets[reduce(tag, len(g.buckets))]
	oldest, age := 0, uint32(0)
	for i, e := range b {
		if e == 0 || uint32(e>>32) == tag {
			oldest = i
			break
		}
		if a := g.clock - uint32(e); a >= age {
			oldest, age = i, a
		}
	}
	b[oldest] = uint64(tag)<<32 | uint64(g.clock)
}

// takeOut forgets tag and returns how many were added since.
func (g *ghost) takeOut(tag uint32) (age int, ok bool) {
	if len(g.buckets) == 0 {
		return 0, false
	}
	b := &g.buckets[reduce(tag, len(g.buckets))]
	for i, e := range b {
		if e != 0 && uint32(e>>32) == tag {
			b[i] = 0
			return int(g.clock - uint32(e)), true
		}
	}
	return 0, false
}
