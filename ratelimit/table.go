package ratelimit

import (
	"hash/maphash"
	"strings"
	"sync"
)

// shard is a part of the keys. Its slots are dense: a removed one is replaced
// by the last, so the memory shrinks with the keys, and a sweep of the first n
// has seen them all. The index is a hash table with linear probing whose
// entries are the low half of the hash and the number of the slot plus one.
type shard[K comparable] struct {
	mu     sync.Mutex // guards all below; never held over a wait or a user's function
	index  []uint64   // 0 is empty; the length is a power of two
	chunks [][]slot[K]
	n      int   // slots in use
	most   int   // slots there may be
	hand   int   // the next slot to sweep
	rest   int64 // no key is idle before that time
	least  int64 // the same, as far as the round of the hand has come
	seed   maphash.Seed
	counts counts
	_      [32]byte // the next shard's lock is on another cache line
}

// slot is one key with its state.
type slot[K comparable] struct {
	key K
	state
}

// The slots are in chunks, so that growing copies nothing; the first chunk
// alone grows by copying, for limiters with few keys. A chunk is so large that
// the runtime gives it whole pages, of which it then fills each byte.
const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
)

func (sh *shard[K]) slot(i int) *slot[K] {
	return &sh.chunks[i>>chunkBits][i&(chunkSize-1)]
}

// find returns the slot of key, or -1.
func (sh *shard[K]) find(hash uint32, key K) int {
	if len(sh.index) == 0 {
		return -1
	}
	mask := uint32(len(sh.index) - 1)
	for pos := hash & mask; ; pos = (pos + 1) & mask {
		e := sh.index[pos]
		if e == 0 {
			return -1
		}
		if uint32(e>>32) == hash {
			if i := int(uint32(e)) - 1; sh.slot(i).key == key {
				return i
			}
		}
	}
}

// add makes a slot for a key that has none and returns its number. There is
// room for it.
func (sh *shard[K]) add(hash uint32, key K) int {
	if 8*(sh.n+1) > 7*len(sh.index) {
		sh.rehash(max(8, 2*len(sh.index)))
	}
	i := sh.n
	chunk := i >> chunkBits
	switch {
	case chunk == len(sh.chunks):
		size := chunkSize
		if chunk == 0 {
			size = 4
		}
		sh.chunks = append(sh.chunks, make([]slot[K], size))
	case chunk == 0 && i == len(sh.chunks[0]):
		larger := make([]slot[K], 4*i)
		copy(larger, sh.chunks[0])
		sh.chunks[0] = larger
	}
	sh.n++
	k := &sh.slot(i).key
	*k = key
	if text, ok := any(k).(*string); ok {
		*text = strings.Clone(*text) // a key must not keep the request alive that it was cut from
	}
	sh.enter(uint64(hash)<<32 | uint64(i+1))
	return i
}

// enter puts an entry into the index.
func (sh *shard[K]) enter(e uint64) {
	mask := uint32(len(sh.index) - 1)
	pos := uint32(e>>32) & mask
	for sh.index[pos] != 0 {
		pos = (pos + 1) & mask
	}
	sh.index[pos] = e
}

// rehash gives the index another size.
func (sh *shard[K]) rehash(size int) {
	old := sh.index
	sh.index = make([]uint64, size)
	for _, e := range old {
		if e != 0 {
			sh.enter(e)
		}
	}
}

// position returns where slot i is in the index.
func (sh *shard[K]) position(i int) uint32 {
	hash := uint32(maphash.Comparable(sh.seed, sh.slot(i).key))
	mask := uint32(len(sh.index) - 1)
	pos := hash & mask
	for uint32(sh.index[pos]) != uint32(i+1) {
		pos = (pos + 1) & mask
	}
	return pos
}

// remove frees slot i, whose place the last one takes.
func (sh *shard[K]) remove(i int) {
	sh.erase(sh.position(i))
	last := sh.n - 1
	if i != last {
		pos := sh.position(last)
		sh.index[pos] = sh.index[pos]&^(1<<32-1) | uint64(i+1)
		*sh.slot(i) = *sh.slot(last)
		if i < sh.hand {
			sh.least = 0 // the hand has passed this place, and has not seen the key
		}
	}
	*sh.slot(last) = slot[K]{} // nothing that it pointed to stays alive
	sh.n--
	// Chunks and index follow, with a margin, half a chunk, so that a key that
	// comes and goes does not allocate each time.
	if chunks := (sh.n + chunkSize + chunkSize/2 - 1) >> chunkBits; chunks < len(sh.chunks) {
		sh.chunks[len(sh.chunks)-1] = nil
		sh.chunks = sh.chunks[:chunks]
	}
	if len(sh.index) > 32 && 8*sh.n < len(sh.index) {
		sh.rehash(len(sh.index) / 4)
	}
}

// erase empties a position of the index and moves those entries back that had
// been pushed on by it, so that no search ends early.
func (sh *shard[K]) erase(pos uint32) {
	mask := uint32(len(sh.index) - 1)
	for next := (pos + 1) & mask; ; next = (next + 1) & mask {
		e := sh.index[next]
		if e == 0 {
			break
		}
		home := uint32(e>>32) & mask
		if (next-home)&mask >= (next-pos)&mask {
			sh.index[pos] = e
			pos = next
		}
	}
	sh.index[pos] = 0
}

// sweep looks at the next slot and frees it if its key is idle, so that each
// call pays for a little of the cleaning. It reports whether it did. A round
// that has seen all slots knows when the first of them may be idle, and until
// then there is nothing to look for.
func (sh *shard[K]) sweep(byDefault *Plan, now int64) bool {
	if now < sh.rest || sh.n == 0 {
		return false
	}
	if sh.hand >= sh.n {
		sh.hand = 0
		sh.rest, sh.least = sh.least, never
		if now < sh.rest {
			return false
		}
	}
	s := sh.slot(sh.hand)
	// First what needs no other cache line, although a key whose own plan has
	// a shorter window than the default one stays for a while longer by it.
	end := s.newest + byDefault.horizon
	if end <= now {
		if end = s.end(s.plan(byDefault)); end <= now {
			sh.remove(sh.hand)
			sh.counts.forgotten++
			return true
		}
		if s.waiting() {
			end = now // who leaves the queue may bring it forward
		}
	}
	sh.least = min(sh.least, end)
	sh.hand++
	return false
}

// wake makes sweep look at all slots, as for a key whose last event is not now.
func (sh *shard[K]) wake() { sh.rest, sh.least = 0, 0 }

// reclaim looks for an idle key in a shard that is full, and frees it.
func (sh *shard[K]) reclaim(byDefault *Plan, now int64) bool {
	for range 8 {
		if sh.sweep(byDefault, now) {
			return true
		}
	}
	return false
}
