package ratelimit

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newShard[K comparable]() *shard[K] {
	return &shard[K]{seed: maphash.MakeSeed(), most: 1 << 20}
}

func (sh *shard[K]) hash(key K) uint32 { return uint32(maphash.Comparable(sh.seed, key)) }

// valid checks what must hold of a shard whenever its lock is free. It asks
// for a require only where something is wrong: a few of them for each slot would
// take most of the time of these tests.
func (sh *shard[K]) valid(t *testing.T) {
	t.Helper()
	used := 0
	seen := make([]bool, sh.n)
	for pos, e := range sh.index {
		if e == 0 {
			continue
		}
		used++
		i := int(uint32(e)) - 1
		if i >= sh.n || seen[i] {
			require.Failf(t, "an entry for a slot that is not in use, or has another", "slot %d of %d", i, sh.n)
		}
		seen[i] = true
		if sh.hash(sh.slot(i).key) != uint32(e>>32) {
			require.Failf(t, "an entry with the hash of another key", "slot %d", i)
		}
		// No gap between where the entry should be and where it is.
		mask := len(sh.index) - 1
		for p := int(e>>32) & mask; p != pos; p = (p + 1) & mask {
			if sh.index[p] == 0 {
				require.Failf(t, "a search would end before the entry", "slot %d", i)
			}
		}
	}
	require.Equal(t, sh.n, used)
	if len(sh.index) > 0 {
		require.Less(t, used, len(sh.index), "a search needs an empty place to end at")
	}
	require.LessOrEqual(t, len(sh.chunks), (sh.n+chunkSize/2-1)>>chunkBits+1)
	for i := sh.n; i>>chunkBits < len(sh.chunks) && i&(chunkSize-1) < len(sh.chunks[i>>chunkBits]); i++ {
		if *sh.slot(i) != (slot[K]{}) {
			require.Failf(t, "a free slot keeps something alive", "slot %d", i)
		}
	}
}

func TestShardBehavesAsAMap(t *testing.T) {
	for _, universe := range []int{3, 40, 2000} {
		t.Run(fmt.Sprintf("keys=%d", universe), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(universe)))
			sh := newShard[int]()
			model := map[int]int64{}
			for step := range 20_000 {
				key := rng.IntN(universe)
				i := sh.find(sh.hash(key), key)
				value, ok := model[key]
				if ok != (i >= 0) || ok && value != sh.slot(i).newest {
					require.Failf(t, "not as the model", "key %d in slot %d, want %v, %d", key, i, ok, value)
				}
				switch {
				case ok && rng.IntN(3) > 0 && (step/5000)%2 == 1, ok && rng.IntN(4) == 0:
					sh.remove(i)
					delete(model, key)
				case ok:
				default:
					i = sh.add(sh.hash(key), key)
					require.Equal(t, sh.n-1, i)
					sh.slot(i).newest = int64(step)
					model[key] = int64(step)
				}
				if len(model) != sh.n {
					require.Equal(t, len(model), sh.n)
				}
				if step%97 == 0 {
					sh.valid(t)
				}
			}
			for key, value := range model {
				i := sh.find(sh.hash(key), key)
				require.Equal(t, value, sh.slot(i).newest)
				sh.remove(i)
			}
			sh.valid(t)
			require.LessOrEqual(t, len(sh.index), 32, "the index shrinks with the keys")
			require.Len(t, sh.chunks, 1)
		})
	}
}

// Entries whose home is the last place of the index go on at the first.
func TestShardProbesAroundTheEndOfTheIndex(t *testing.T) {
	sh := newShard[int]()
	var keys []int
	for key := 0; len(keys) < 6; key++ {
		if sh.hash(key)&7 == 7 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		sh.add(sh.hash(key), key)
	}
	require.Len(t, sh.index, 8)
	sh.valid(t)
	for i, key := range keys {
		require.Equal(t, i, sh.find(sh.hash(key), key))
	}
	for len(keys) > 0 {
		sh.remove(sh.find(sh.hash(keys[0]), keys[0]))
		keys = keys[1:]
		sh.valid(t)
		for _, key := range keys {
			require.GreaterOrEqual(t, sh.find(sh.hash(key), key), 0)
		}
	}
}

// Two keys with the same hash are two keys: none has the other's budget.
func TestShardTellsKeysOfTheSameHashApart(t *testing.T) {
	sh := newShard[string]()
	a := sh.add(77, "a")
	b := sh.add(77, "b")
	require.NotEqual(t, a, b)
	require.Equal(t, a, sh.find(77, "a"))
	require.Equal(t, b, sh.find(77, "b"))
	require.Equal(t, -1, sh.find(77, "c"))
}

func TestShardClonesStringKeys(t *testing.T) {
	sh := newShard[string]()
	request := []byte("a request with a key in it")
	key := string(request)[17:20]
	sh.add(sh.hash(key), key)
	require.Equal(t, "key", sh.slot(0).key)
	i := sh.find(sh.hash("key"), "key")
	require.Zero(t, i)
}

func TestSweepSeesEachSlotInOneRound(t *testing.T) {
	plan := MustNewPlan(Per(1, time.Second))
	now := int64(epoch)
	sh := newShard[int]()
	for key := range 1000 {
		i := sh.add(sh.hash(key), key)
		if key%3 == 0 { // the others have no event and are idle
			sh.slot(i).newest = now
		}
	}
	for range 1000 {
		sh.sweep(plan, now)
	}
	require.Equal(t, 334, sh.n)
	require.EqualValues(t, 666, sh.counts.forgotten)
	sh.valid(t)
	require.False(t, sh.reclaim(plan, now))
	now += int64(time.Second) + 1
	require.True(t, sh.reclaim(plan, now))
	for range 333 {
		require.True(t, sh.sweep(plan, now))
	}
	require.Zero(t, sh.n)
	require.False(t, sh.sweep(plan, now), "nothing to sweep")
	sh.valid(t)
}

// A key with a queue is not idle before its last turn has left the window.
func TestSweepSparesAKeyWithAQueue(t *testing.T) {
	plan := MustNewPlan(Per(1, time.Second))
	sh := newShard[int]()
	sh.add(sh.hash(1), 1)
	s := &sh.slot(0).state
	require.True(t, s.take(plan, 1, epoch).Allowed)
	for range 3 {
		s.join(plan, &ticket{n: 1}, epoch)
	}
	second := int64(time.Second)
	for at := int64(0); at < 4*second+1; at += second / 4 {
		require.False(t, sh.sweep(plan, epoch+at), "after %v", time.Duration(at))
	}
	require.True(t, sh.sweep(plan, epoch+4*second+1))
}

// A sweep rests while no key may be idle; and yet none stays for much longer
// than the calls that it takes to see all, also if others are removed.
func TestASweepRestsAndYetForgetsInTime(t *testing.T) {
	plan := MustNewPlan(Per(1, time.Second))
	rng := rand.New(rand.NewPCG(1, 2))
	sh := newShard[int]()
	idle := map[int]int{} // how many calls each key has been idle for
	now, most := int64(epoch), 0
	for step := range 200_000 {
		switch {
		case step%5000 > 4000: // nobody comes for a while
			now += int64(time.Millisecond)
		case rng.IntN(3) == 0:
			now += rng.Int64N(int64(time.Millisecond))
			if i := sh.add(sh.hash(step), step); rng.IntN(4) == 0 {
				sh.slot(i).newest = now - rng.Int64N(int64(time.Second)) // by TakeAt
				sh.wake()
			} else {
				sh.slot(i).newest = now
			}
		case rng.IntN(50) == 0 && sh.n > 0:
			sh.remove(rng.IntN(sh.n))
		}
		sh.sweep(plan, now)
		most = max(most, sh.n)
		if step%100 != 0 {
			continue
		}
		seen := map[int]int{}
		for i := range sh.n {
			if s := sh.slot(i); s.end(plan) <= now {
				seen[s.key] = idle[s.key] + 100
				if seen[s.key] > 4*most+200 { // removed ones move others behind the hand
					require.LessOrEqual(t, seen[s.key], 4*most+200)
				}
			}
		}
		idle = seen
	}
	require.Positive(t, sh.counts.forgotten)

	sh = newShard[int]()
	for key := range 100 {
		sh.slot(sh.add(sh.hash(key), key)).newest = now
	}
	for range 2*100 + 1 { // two rounds: of the first it is not known what it began with
		sh.sweep(plan, now)
	}
	hand := sh.hand
	for range 1000 {
		sh.sweep(plan, now+int64(time.Second))
	}
	require.Equal(t, hand, sh.hand, "it rests")
	require.True(t, sh.sweep(plan, now+int64(time.Second)+1))
}
