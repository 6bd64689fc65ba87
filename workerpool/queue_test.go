package workerpool

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered is an entry that can be told from others.
func numbered(n int) entry {
	j := &job{parent: context.Background()}
	j.stamp = 1
	j.life.Store(int32(n))
	return entryOf(j)
}

func numberOf(e entry) int { return int(e.job().life.Load()) }

func newQueue() *queue {
	q := new(queue)
	q.init()
	return q
}

// fullSlots is the number of slots of q, spare ones included, that keep
// something alive.
func fullSlots(q *queue) (n int) {
	for _, list := range [][]*chunk{q.chunks[q.gone:], q.spare} {
		for _, c := range list {
			for i := range c.slots {
				if c.slots[i].full() {
					n++
				}
			}
		}
	}
	return n
}

// next takes what is first for w, as a worker does.
func (q *queue) next(w *worker) (entry, bool) {
	if w.chunk != nil {
		if e, ok := w.chunk.take(0); ok {
			return e, true
		}
	}
	if q.dead > 0 {
		q.seize()
		return q.takeFirst()
	}
	q.show(w, q.offer())
	return w.chunk.take(0)
}

// The queue agrees with a slice, whatever is done to it in whatever order.
func TestQueueAgreesWithASlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		q := newQueue()
		if rnd.IntN(2) == 0 { // indexes wrap around
			q.base = ^uint32(20)
			q.tail, q.seen, q.fresh = q.base, q.base, q.base
		}
		var want []entry
		workers := []*worker{new(worker), new(worker), new(worker)}
		put := 0
		for range 250 {
			w := workers[rnd.IntN(len(workers))]
			switch op := rnd.IntN(12); {
			case op < 5:
				for range 1 + rnd.IntN(100) {
					e := numbered(put)
					put++
					q.put(e)
					want = append(want, e)
				}
			case op < 8:
				for range 1 + rnd.IntN(120) {
					e, ok := q.next(w)
					require.Equal(t, len(want) > 0, ok)
					if !ok {
						break
					}
					require.Equal(t, numberOf(want[0]), numberOf(e))
					want = want[1:]
				}
			case op == 8:
				q.seize()
				for range min(len(want), 1+rnd.IntN(60)) {
					i := rnd.IntN(len(want))
					q.remove(want[i].job())
					q.remove(want[i].job()) // gone already
					want = append(append([]entry{}, want[:i]...), want[i+1:]...)
				}
			case op == 9:
				q.seize()
				requireQueue(t, q, want)
				if e, ok := q.takeFirst(); ok {
					require.Equal(t, numberOf(want[0]), numberOf(e))
					want = want[1:]
				}
			case op == 10:
				q.show(w, nil)
			case op == 11:
				q.shrink()
			}
			requireQueue(t, q, want)
			requireChunks(t, q, workers)
		}
	}
}

// requireQueue checks the invariants that the comments of queue and chunk state.
func requireQueue(t *testing.T, q *queue, want []entry) {
	t.Helper()
	require.Equal(t, len(want), q.len())
	require.GreaterOrEqual(t, q.lenAtMost(), len(want))
	require.Equal(t, len(want), fullSlots(q), "nothing that was taken is kept alive")
	require.Same(t, q.last, q.chunks[len(q.chunks)-1])
	require.Equal(t, q.tail, q.base+uint32(len(q.chunks)-q.gone-1)*chunkLen+q.filled)
	for i, c := range q.chunks {
		if i < q.gone {
			require.Nil(t, c)
			continue
		}
		word := c.word.Load()
		require.LessOrEqual(t, taken(word), offered(word))
		if i > q.gone {
			require.Zero(t, offered(word), "only what is in the first chunk is offered")
		}
		if q.dead > 0 {
			require.Equal(t, taken(word), offered(word), "nothing is offered while there are empty slots")
		}
	}
	word := q.first().word.Load()
	require.LessOrEqual(t, offered(word), min(q.tail-q.base, chunkLen))
	for i := taken(word); i < offered(word); i++ {
		require.True(t, q.first().slots[i].full(), "no taker meets an empty slot")
	}
	if taken(word) == offered(word) && len(want) > 0 {
		require.Equal(t, numberOf(want[0]), numberOf(*q.front()))
	}
}

// requireChunks checks that a chunk that serves again is nobody's.
func requireChunks(t *testing.T, q *queue, workers []*worker) {
	t.Helper()
	users := make(map[*chunk]int)
	for _, w := range workers {
		if w.chunk != nil {
			users[w.chunk]++
		}
	}
	for c, n := range users {
		require.Equal(t, n, c.users)
	}
	for _, c := range q.chunks[q.gone:] {
		require.Equal(t, users[c], c.users)
		require.False(t, slices.Contains(q.spare, c))
	}
	require.LessOrEqual(t, len(q.spare), spares)
	for i, c := range q.spare {
		require.Zero(t, users[c])
		require.Zero(t, c.users)
		require.False(t, slices.Contains(q.spare[:i], c))
	}
}

func TestQueueGivesFreshEntriesOnce(t *testing.T) {
	q := newQueue()
	w := new(worker)
	fresh := func() (got []int) {
		q.seize()
		q.eachFresh(func(i uint32, e *entry) {
			require.Equal(t, i, e.job().seq)
			got = append(got, numberOf(*e))
		})
		return got
	}
	require.Empty(t, fresh())
	for i := range 5 {
		q.put(numbered(i))
	}
	_, _ = q.next(w)
	require.Equal(t, []int{1, 2, 3, 4}, fresh())
	require.Empty(t, fresh())
	q.put(numbered(5))
	require.Equal(t, []int{5}, fresh())
	for range 5 {
		_, ok := q.next(w)
		require.True(t, ok)
	}
	_, ok := q.next(w)
	require.False(t, ok)
	q.put(numbered(6))
	require.Equal(t, []int{6}, fresh())
}

// What takers say that they have run is in the books, whether their chunk is in
// use or not, and only if they have taken something.
func TestQueueCountsFunctions(t *testing.T) {
	q := newQueue()
	w := new(worker)
	for range 2*chunkLen + 2 {
		q.put(numbered(1))
	}
	for n := range uint64(2*chunkLen + 2) {
		q.show(w, q.offer())
		_, ok := w.chunk.take(1)
		require.True(t, ok)
		require.Equal(t, n+1, q.functions())
	}
	_, ok := w.chunk.take(1)
	require.False(t, ok)
	require.EqualValues(t, 2*chunkLen+2, q.functions())
}

func TestQueueSeizedOffersNothing(t *testing.T) {
	q := newQueue()
	w, other := new(worker), new(worker)
	for i := range 3 {
		q.put(numbered(i))
	}
	q.show(w, q.offer())
	q.show(other, q.offer())
	e, ok := w.chunk.take(0)
	require.True(t, ok)
	require.Zero(t, numberOf(e))
	q.seize()
	q.seize()
	for _, w := range []*worker{w, other} {
		_, ok = w.chunk.take(0)
		require.False(t, ok)
	}
	e, ok = q.takeFirst()
	require.True(t, ok)
	require.Equal(t, 1, numberOf(e))
	q.offer()
	e, ok = other.chunk.take(0)
	require.True(t, ok)
	require.Equal(t, 2, numberOf(e))
}

// A chunk that is used up serves again once no worker looks at it any more.
func TestQueueUsesItsChunksAgain(t *testing.T) {
	q := newQueue()
	w, late := new(worker), new(worker)
	q.show(late, q.offer())
	first := late.chunk
	pass := func() {
		for i := range chunkLen {
			q.put(numbered(i))
			_, ok := q.next(w)
			require.True(t, ok)
		}
	}
	pass()
	pass()
	require.Empty(t, q.spare, "one worker may still read from the first chunk")
	q.show(late, q.offer())
	require.Len(t, q.spare, 1)
	require.Same(t, first, q.spare[0])
	pass()
	require.Same(t, first, q.last)
}

func TestQueueShrinks(t *testing.T) {
	q := newQueue()
	w := new(worker)
	for i := range 5000 {
		q.put(numbered(i))
	}
	for i := range 5000 {
		e, ok := q.next(w)
		require.True(t, ok)
		require.Equal(t, i, numberOf(e))
	}
	require.Len(t, q.spare, spares)
	q.shrink()
	require.Empty(t, q.spare)
	require.Less(t, cap(q.chunks), 8)
	q.put(numbered(5000))
	e, ok := q.next(w)
	require.True(t, ok)
	require.Equal(t, 5000, numberOf(e))
}

// Producers and takers, and somebody who seizes the queue over and over: each
// entry is taken once, and those of one producer in their order.
func TestQueueUnderConcurrency(t *testing.T) {
	const producers, takers, each = 3, 3, 3000
	q := newQueue()
	var mu sync.Mutex // stands for Pool.mu
	var wg sync.WaitGroup
	var got [takers][]entry
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
			w := new(worker)
			for len(got[k]) < producers*each/takers {
				if w.chunk != nil {
					if e, ok := w.chunk.take(1); ok {
						got[k] = append(got[k], e)
						continue
					}
				}
				mu.Lock()
				q.show(w, q.offer())
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for range 500 {
			mu.Lock()
			q.seize()
			if e, ok := q.takeFirst(); ok {
				e.job().stamp = 2 // it goes to the end: it is left out below
				q.put(e)
			}
			mu.Unlock()
		}
	})
	wg.Wait()
	require.Zero(t, q.len())
	require.EqualValues(t, producers*each, q.functions())
	seen := make(map[int]bool)
	for _, list := range got {
		last := [producers]int{-1, -1, -1}
		for _, e := range list {
			n := numberOf(e)
			require.False(t, seen[n], "taken twice")
			seen[n] = true
			if e.job().stamp == 1 {
				require.Greater(t, n, last[n/each], "out of order")
				last[n/each] = n
			}
		}
	}
	require.Len(t, seen, producers*each)
}

// What is called comparable can be compared, and tasks get a ctx of their own
// parent also if it cannot.
func TestComparableContexts(t *testing.T) {
	type plain struct{ context.Context }
	type odd struct {
		context.Context
		values []int // cannot be compared
	}
	type key struct{}
	value := func(i int) context.Context { return context.WithValue(context.Background(), key{}, i) }
	for _, ctx := range []context.Context{context.Background(), value(0), &odd{value(0), nil}} {
		require.True(t, canCompare(ctx))
	}
	contexts := []context.Context{value(0), odd{value(1), nil}, odd{value(2), nil}, plain{odd{value(3), nil}}, plain{value(4)}, value(5)}
	for _, ctx := range contexts[1:5] {
		require.False(t, canCompare(ctx))
	}
	p := MustNew(Config{Max: 1})
	defer p.Close()
	var got []any
	for _, ctx := range contexts {
		for range 2 {
			require.NoError(t, p.Go(ctx, func(ctx context.Context) { got = append(got, ctx.Value(key{})) }))
		}
	}
	require.NoError(t, p.Drain(context.Background()))
	require.Equal(t, []any{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}, got)
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
