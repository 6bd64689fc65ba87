package emitter

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestRingIsAQueue(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		var ring ring[*int]
		var want []*int
		for i := range 300 {
			switch op := r.IntN(4); {
			case op < 2 || len(want) == 0:
				ring.put(&i)
				want = append(want, &i)
			default:
				require.Same(t, want[0], ring.get())
				want = want[1:]
			}
			require.Equal(t, len(want), ring.n)
			held := 0
			for _, p := range ring.buf {
				if p != nil {
					held++
				}
			}
			require.Equal(t, len(want), held, "what was taken is not held on to")
		}
	}
}

// boxed makes a mailbox with size events in its queue that nobody empties.
func boxed(t *testing.T, o Overflow, size int) (*mailbox[int], *node[int]) {
	topic := MustNew[int](Config{Logger: slog.New(slog.DiscardHandler)})
	cfg := SubConfig{Async: true, Queue: size, Overflow: o}
	n, err := newNode[int](cfg, nil, 1)
	require.NoError(t, err)
	m := newMailbox[int](&topic.core, &n.Sub, func() string { return "test" }, cfg)
	m.wake = func() {}
	n.fnc = m.push
	require.NoError(t, topic.add(n, false))
	for v := range size {
		require.NoError(t, topic.EmitContext(t.Context(), v))
	}
	return m, n
}

// The end of a subscription between any two steps of the one who empties its
// queue: each event is delivered or dropped, and none is both.
func TestMailboxShutBetweenSteps(t *testing.T) {
	for _, o := range []Overflow{Block, DropOldest, Fail} {
		for at := range 8 {
			m, n := boxed(t, o, 3)
			begun := uint64(0)
			steps := 0
			step := func() {
				if steps++; steps-1 == at {
					require.True(t, n.Off())
				}
			}
			step()
			for m.fetch() > 0 {
				step()
				for m.hand.n > 0 && m.begin() {
					m.hand.get()
					begun++
					step()
				}
			}
			require.Zero(t, m.hand.n, "what was dropped is not held on to")
			s := m.stats()
			require.Equal(t, begun, s.Delivered, "policy %v, step %d", o, at)
			require.EqualValues(t, 3, s.Delivered+s.Dropped)
			require.Zero(t, s.Queued)
			require.True(t, n.idle())
			if at == 0 {
				require.EqualValues(t, 3, s.Dropped)
			}
		}
	}
}

// A Goexit between any two events puts back what was in the hand, in order, and
// after the end of the subscription nothing.
func TestMailboxPutBack(t *testing.T) {
	for at := range 4 {
		m, _ := boxed(t, Block, 3)
		require.Equal(t, 3, m.fetch())
		for range at {
			require.True(t, m.begin())
			m.hand.get()
		}
		for v := range at {
			require.NoError(t, m.push(t.Context(), 3+v)) // behind them
		}
		m.putBack()
		s := m.stats()
		require.EqualValues(t, at, s.Delivered)
		require.Equal(t, 3, s.Queued)
		require.Equal(t, 3, m.fetch())
		for v := range 3 {
			require.True(t, m.begin())
			require.Equal(t, at+v, m.hand.get())
		}
		require.Zero(t, m.fetch())
		require.EqualValues(t, 3+at, m.stats().Delivered)
	}
	m, n := boxed(t, Block, 3)
	m.fetch()
	n.Off()
	m.putBack()
	require.Zero(t, m.hand.n)
	require.Equal(t, SubStats{Queue: 3, Dropped: 3}, m.stats())
}

// What an emit remembers of the hand is never less than what is in it, so that
// the queue is never longer than it may be, and room is found where there is
// any. Whoever shuts the mailbox on the way finds every event in one count.
func TestMailboxKnowsItsRoom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		policy := []Overflow{DropNewest, Fail, DropOldest, Latest}[seed%4]
		size := 1
		if policy != Latest {
			size += r.IntN(9)
		}
		m, n := boxed(t, policy, size)
		waiting := make([]int, size)
		for v := range waiting {
			waiting[v] = v
		}
		begun, dropped := 0, 0
		for v := size; v < 200; v++ {
			if m.hand.n == 0 && r.IntN(3) == 0 {
				if got := m.fetch(); got > 0 && m.single {
					require.Equal(t, waiting[0], m.hand.buf[m.hand.head])
					waiting = waiting[1:]
				}
			}
			for m.hand.n > 0 && r.IntN(2) == 0 {
				require.True(t, m.begin())
				if got := m.hand.get(); !m.single {
					require.Equal(t, waiting[0], got)
					waiting = waiting[1:]
				}
				begun++
			}
			require.True(t, m.offer(v) || m.push(t.Context(), v) == nil || policy == Fail)
			switch {
			case len(waiting) < size:
				waiting = append(waiting, v)
			case policy == DropOldest || policy == Latest:
				waiting = append(waiting[1:], v)
				dropped++
			default:
				dropped++
			}
			require.LessOrEqual(t, m.left.Load(), int64(m.bound))
			s := m.stats()
			require.Equal(t, len(waiting), s.Queued, "policy %v, seed %d, event %d", policy, seed, v)
			require.EqualValues(t, dropped, s.Dropped)
			if !m.single { // else one that is in the hand counts as delivered
				require.EqualValues(t, begun, s.Delivered)
			}
		}
		require.True(t, n.Off())
		require.False(t, m.offer(0), "it has ended")
		s := m.stats()
		require.EqualValues(t, dropped+len(waiting), s.Dropped)
		require.EqualValues(t, 200, s.Delivered+s.Dropped)
	}
}

// Only events that go into the queue as they are may pass by node.invoke.
func TestStateSaysWhatAnEmitMayDo(t *testing.T) {
	fn := func(context.Context, int) error { return nil }
	for want, cfgs := range map[uint32][]SubConfig{
		queued:  {{Async: true}, {Async: true, Overflow: Latest}},
		special: {{}, {Track: true}, {Once: true}, {Async: true, Once: true}},
	} {
		for _, cfg := range cfgs {
			var topic Topic[int]
			sub, err := topic.Subscribe(cfg, fn)
			require.NoError(t, err)
			require.Equal(t, want, sub.state.Load(), "%+v", cfg)
			require.True(t, sub.Active())
			require.True(t, topic.Emit(1))
			require.True(t, sub.Off() || cfg.Once)
			require.False(t, topic.Emit(1))
			require.NoError(t, topic.Close())
		}
	}
	var topic Topic[int]
	require.Equal(t, plain, topic.On(func(int) {}).state.Load())
}

// A queue that was long gives its array back when it is empty.
func TestMailboxGivesLongArraysBack(t *testing.T) {
	m, _ := boxed(t, Unbounded, 0)
	fill := func() {
		for v := range 10 * large {
			require.NoError(t, m.push(t.Context(), v))
		}
	}
	fill()
	for range 2 { // one array for each
		require.Equal(t, 10*large, m.fetch())
		if m.stats().Delivered == 0 {
			fill()
		}
		for m.hand.n > 0 {
			require.True(t, m.begin())
			m.hand.get()
		}
	}
	require.Greater(t, len(m.ring.buf), large)
	require.Greater(t, len(m.hand.buf), large)
	require.Zero(t, m.fetch())
	require.Nil(t, m.ring.buf)
	require.Nil(t, m.hand.buf)
}

// What emits write for each event shares no cache line with what the one who
// empties the queue writes or reads for each.
func TestMailboxSidesAreApart(t *testing.T) {
	var m mailbox[int]
	const line = 64
	require.GreaterOrEqual(t, unsafe.Offsetof(m.mu), unsafe.Offsetof(m.reader)+line)
	for _, theirs := range []uintptr{unsafe.Offsetof(m.left), unsafe.Offsetof(m.waiting), unsafe.Offsetof(m.hand)} {
		require.GreaterOrEqual(t, theirs, unsafe.Offsetof(m.slow)+unsafe.Sizeof(m.slow)+line)
	}
	require.GreaterOrEqual(t, unsafe.Sizeof(m), unsafe.Offsetof(m.hand)+unsafe.Sizeof(m.hand)+line)
}
