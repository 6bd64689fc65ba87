package workerpool

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered is an entry that can be told from others.
func numbered(n int) entry {
	j := &job{parent: context.Background()}
	j.stamp = 1
	j.kids.Store(int32(n))
	return entryOf(j)
}

func numberOf(e entry) int { return int(e.job().kids.Load()) }

func newQueue() *queue {
	q := new(queue)
	q.init()
	return q
}

// The queue agrees with a slice, whatever is done to it in whatever order.
func TestQueueAgreesWithASlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		q := newQueue()
		if rnd.IntN(2) == 0 { // indexes wrap around
			q.head, q.seen = ^uint32(20), ^uint32(20)
			q.fresh = q.head
			q.tail.Store(q.head)
		}
		var want []entry
		put := 0
		for range 400 {
			switch op := rnd.IntN(12); {
			case op < 5:
				for range 1 + rnd.IntN(40) {
					e := numbered(put)
					put++
					q.put(e)
					want = append(want, e)
				}
			case op < 8:
				for range 1 + rnd.IntN(40) {
					e, ok := q.take(0)
					if q.held {
						require.False(t, ok && q.nexts > 0)
						e, ok = q.takeHeld()
					}
					require.Equal(t, len(want) > 0, ok)
					if !ok {
						break
					}
					require.Equal(t, numberOf(want[0]), numberOf(e))
					want = want[1:]
				}
			case op == 8:
				q.seize()
				if len(want) > 0 {
					i := rnd.IntN(len(want))
					q.remove(want[i].job())
					q.remove(want[i].job()) // gone already
					want = append(append([]entry{}, want[:i]...), want[i+1:]...)
				}
				if q.dead == 0 {
					q.release()
				}
			case op == 9:
				q.seize()
			case op == 10:
				if q.dead == 0 {
					q.release()
				}
			case op == 11:
				q.shrink()
			}
			requireQueue(t, q, want)
		}
	}
}

// requireQueue checks the invariants that the comments of queue state.
func requireQueue(t *testing.T, q *queue, want []entry) {
	t.Helper()
	require.Equal(t, len(want), q.len())
	require.GreaterOrEqual(t, q.lenAtMost(), len(want))
	require.Equal(t, 0, len(q.slots)&(len(q.slots)-1), "a power of two")
	require.GreaterOrEqual(t, len(q.slots), int(q.tail.Load()-q.head))
	if q.held {
		require.Zero(t, q.nexts, "who has seized the queue has all entries in their slots")
		if len(want) > 0 {
			require.Equal(t, numberOf(want[0]), numberOf(*q.front()))
		} else {
			require.Nil(t, q.front())
		}
	} else {
		require.Zero(t, q.dead, "no taker meets an empty slot")
	}
	full := 0
	for i := range q.slots {
		if q.slots[i].full() {
			full++
		}
	}
	require.Equal(t, len(want), full+int(q.nexts), "nothing that was taken is kept alive")
}

func TestQueueGivesFreshEntriesOnce(t *testing.T) {
	q := newQueue()
	fresh := func() (got []int) {
		q.seize()
		q.eachFresh(func(i uint32, e *entry) {
			require.Equal(t, i, e.job().seq)
			got = append(got, numberOf(*e))
		})
		q.release()
		return got
	}
	require.Empty(t, fresh())
	for i := range 5 {
		q.put(numbered(i))
	}
	_, _ = q.take(0)
	require.Equal(t, []int{1, 2, 3, 4}, fresh())
	require.Empty(t, fresh())
	q.put(numbered(5))
	require.Equal(t, []int{5}, fresh())
	for range 5 {
		_, ok := q.take(0)
		require.True(t, ok)
	}
	_, ok := q.take(0)
	require.False(t, ok)
	q.put(numbered(6))
	require.Equal(t, []int{6}, fresh())
}

func TestQueueCountsFunctions(t *testing.T) {
	q := newQueue()
	q.take(3)
	q.take(0)
	q.take(1)
	require.EqualValues(t, 4, q.functions())
}

func TestQueueShrinksWhenEmpty(t *testing.T) {
	q := newQueue()
	for i := range 1000 {
		q.put(numbered(i))
	}
	require.Len(t, q.slots, 1024)
	q.shrink()
	require.Len(t, q.slots, 1024, "it is not empty")
	for range 1000 {
		q.take(0)
	}
	q.shrink()
	require.Len(t, q.slots, minRing)
	require.False(t, q.held)
}

// Producers under one lock and takers under the other: each entry is taken
// once, and those of one producer in their order, also while the queue is
// seized over and over.
func TestQueueUnderConcurrency(t *testing.T) {
	const producers, takers, each = 3, 3, 3000
	q := newQueue()
	var mu sync.Mutex // stands for Pool.mu
	var wg sync.WaitGroup
	var got [takers][]int
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				mu.Lock()
				q.put(numbered(p*each + i))
				mu.Unlock()
			}
		})
	}
	for k := range takers {
		wg.Go(func() {
			for idle := 0; idle < 1000; {
				e, ok := q.take(1)
				if !ok {
					idle++
					mu.Lock()
					if q.held {
						q.release()
					}
					n := q.len()
					mu.Unlock()
					if n > 0 {
						idle = 0
					}
					continue
				}
				idle = 0
				got[k] = append(got[k], numberOf(e))
			}
		})
	}
	wg.Go(func() {
		for range 500 {
			mu.Lock()
			q.seize()
			if e, ok := q.takeHeld(); ok {
				q.put(e) // to the end: out of order, so it is left out below
				e.job().stamp = 2
			}
			q.release()
			mu.Unlock()
		}
	})
	wg.Wait()
	for e, ok := q.take(0); ok; e, ok = q.take(0) {
		got[0] = append(got[0], numberOf(e))
	}
	seen := make(map[int]bool)
	for _, list := range got {
		for _, n := range list {
			require.False(t, seen[n], "taken twice")
			seen[n] = true
		}
	}
	require.Len(t, seen, producers*each)
}

func TestSameComparesAnyContext(t *testing.T) {
	type plain struct{ context.Context }
	type odd struct {
		context.Context
		values []int // cannot be compared
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other, stop := context.WithCancel(t.Context())
	defer stop()
	require.True(t, same(context.Background(), context.Background()))
	require.True(t, same(ctx, ctx))
	require.False(t, same(ctx, other))
	require.False(t, same(context.Background(), ctx))
	require.False(t, same(ctx, context.Background()))
	require.False(t, same(context.Background(), context.TODO()))
	require.False(t, same(odd{ctx, nil}, odd{ctx, nil}))
	require.False(t, same(plain{odd{ctx, nil}}, plain{odd{ctx, nil}}))
}

func TestHistogramBucketsHoldWhatTheirBoundsSay(t *testing.T) {
	var h histogram
	for i := range Buckets {
		bound := Histogram{}.Bound(i)
		h.add(bound)
		s := h.snapshot()
		require.EqualValues(t, 1, s.Buckets[i], "the bound %v belongs to its bucket", bound)
		if i < Buckets-2 {
			h.add(bound + 1)
			require.EqualValues(t, 1, h.snapshot().Buckets[i+1])
			h.buckets[i+1].Store(0)
		}
	}
	h.add(-5)
	require.EqualValues(t, 2, h.snapshot().Buckets[0])
}

func TestSamplesAreOneInSampleEveryOnAverage(t *testing.T) {
	for _, every := range []int{1, 2, 64, 1000} {
		p := &Pool{cfg: Config{SampleEvery: every}, chance: 12345}
		sum := 0
		for range 20000 {
			p.sampleLocked()
			require.GreaterOrEqual(t, p.untilDue, 1)
			require.Less(t, p.untilDue, 2*every)
			sum += p.untilDue
		}
		require.InEpsilon(t, every, float64(sum)/20000, 0.05)
	}
}

func TestLineKeepsItsOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var l line
	var want []*caller
	for range 2000 {
		if len(want) == 0 || rnd.IntN(2) == 0 {
			c := &caller{inside: rnd.IntN(4) == 0}
			l.add(c)
			want = append(want, c)
		} else {
			i := rnd.IntN(len(want))
			l.remove(want[i])
			want = append(append([]*caller{}, want[:i]...), want[i+1:]...)
		}
		require.Equal(t, len(want), l.len)
		c := l.first
		var inside *caller
		for _, w := range want {
			require.Same(t, w, c)
			if inside == nil && w.inside {
				inside = w
			}
			c = c.next
		}
		require.Nil(t, c)
		require.Equal(t, inside, l.firstInside())
	}
}
