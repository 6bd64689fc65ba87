package ratelimit_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// The model of a queue: a log of grants, and a list of those who wait. Time
// goes by in whole milliseconds, one after the other.
type queueModel struct {
	oracle
	now     time.Duration
	waiting []*modelWaiter
}

type modelWaiter struct {
	n       int
	granted bool
	gone    bool
}

// serve lets in whoever is first, as long as there are permits.
func (m *queueModel) serve() {
	for len(m.waiting) > 0 && m.wait(m.waiting[0].n, m.now) == 0 {
		m.add(m.waiting[0].n, m.now)
		m.waiting[0].granted = true
		m.waiting = m.waiting[1:]
	}
}

func (m *queueModel) arrive(n int) *modelWaiter {
	w := &modelWaiter{n: n}
	m.waiting = append(m.waiting, w)
	m.serve()
	return w
}

func (m *queueModel) take(n int) bool {
	if len(m.waiting) > 0 || m.wait(n, m.now) > 0 {
		return false
	}
	m.add(n, m.now)
	return true
}

func (m *queueModel) cancel(w *modelWaiter) {
	w.gone = true
	m.waiting = slices.DeleteFunc(m.waiting, func(other *modelWaiter) bool { return other == w })
	m.serve()
}

func (m *queueModel) pass(d time.Duration) {
	for range d / time.Millisecond {
		m.now += time.Millisecond
		m.serve()
	}
}

// caller is one who waits on the real thing.
type caller struct {
	cancel context.CancelFunc
	done   bool
	err    error
}

func call(t *testing.T, wait func(context.Context, int) error, n int) *caller {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &caller{cancel: cancel}
	go func() {
		c.err = wait(ctx, n)
		c.done = true
	}()
	synctest.Wait()
	return c
}

// compareQueue runs the operations that data encodes on a limiter and on the
// model, and requires that the same callers are served after each.
func compareQueue(t *testing.T, data []byte, single bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const limit, window = 4, 100 * time.Millisecond
		p := newPair(0, ratelimit.Per(limit, window))
		wait := func(ctx context.Context, n int) error { return p.keyed.WaitN(ctx, "k", n) }
		take := func(n int) bool { return p.keyed.Take("k", n).Allowed }
		refund := func(n int) { p.keyed.Refund("k", n) }
		if single {
			wait, take, refund = p.single.WaitN, func(n int) bool { return p.single.Take(n).Allowed }, p.single.Refund
		}
		m := &queueModel{oracle: oracle{limit: limit, window: window}}
		var models []*modelWaiter
		var callers []*caller
		for step, op := range data {
			n := int(op>>4)%limit + 1
			switch op & 0xf {
			case 0, 1, 2, 3, 4:
				models = append(models, m.arrive(n))
				callers = append(callers, call(t, wait, n))
			case 5, 6:
				require.Equal(t, m.take(n), take(n), "step %d of %x", step, data)
			case 7, 8:
				if len(m.waiting) > 0 {
					w := m.waiting[int(op>>4)%len(m.waiting)]
					m.cancel(w)
					callers[slices.Index(models, w)].cancel()
				}
			case 9:
				refund(n)
				m.refund(n, m.now)
				m.serve()
			default:
				pause := time.Duration(op>>4)*7*time.Millisecond + time.Millisecond
				time.Sleep(pause)
				m.pass(pause)
			}
			synctest.Wait()
			for i, w := range models {
				require.Equal(t, w.granted || w.gone, callers[i].done, "caller %d after step %d of %x", i, step, data)
				if w.gone {
					require.ErrorIs(t, callers[i].err, context.Canceled)
				} else {
					require.NoError(t, callers[i].err)
				}
			}
			require.Equal(t, len(m.waiting), p.waiting(), "after step %d of %x", step, data)
		}
		require.LessOrEqual(t, worst(m.log, window), limit)
		for i, w := range models {
			if !w.granted {
				callers[i].cancel()
			}
		}
		synctest.Wait()
		require.Zero(t, p.waiting())
	})
}

func TestQueueBehavesAsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for round := range 300 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compareQueue(t, data, round%2 == 0)
	}
}

// FuzzQueue is the same for operations that somebody else makes up.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0x35, 0x10, 0x20, 0x07, 0xfa}, true) // two wait, the first leaves
	f.Add([]byte{0x35, 0x30, 0x09, 0xfa, 0xfa}, false)
	f.Fuzz(func(t *testing.T, data []byte, single bool) {
		compareQueue(t, data[:min(len(data), 100)], single)
	})
}

// Waiting under several rules, one of them GCRA: each turn is the earliest
// that all of them allow.
func TestTurnsFollowAllRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(0,
			ratelimit.Per(2, time.Second),
			ratelimit.Rate(10, 10*time.Second, 4),
			ratelimit.Limit{N: 1, Window: time.Hour, Shadow: true},
		)
		start := time.Now()
		var turns []time.Duration
		for range 9 {
			require.NoError(t, p.keyed.Wait(t.Context(), "k"))
			turns = append(turns, time.Since(start))
		}
		second := time.Second
		require.Equal(t, []time.Duration{0, 0, second, second, second, 2 * second, 3 * second, 4 * second, 5 * second}[:4], turns[:4])
		for i, turn := range turns[5:] {
			require.GreaterOrEqual(t, turn, time.Duration(i+2)*second)
		}
		require.Equal(t, turns[0], turns[1])

		// All at once instead of one after the other: the same times.
		var reserved []time.Duration
		for range 9 {
			r, err := p.single.Reserve(1)
			require.NoError(t, err)
			reserved = append(reserved, r.Delay())
		}
		require.Equal(t, turns, reserved)
	})
}

func TestWaitersInAWideWindowAreServedInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 510
		p := newPair(0, ratelimit.Per(limit, 255*time.Second))
		require.True(t, p.keyed.Take("k", 300).Allowed)
		time.Sleep(100 * time.Second)
		require.True(t, p.keyed.Take("k", 210).Allowed)
		start := time.Now()
		require.NoError(t, p.keyed.WaitN(t.Context(), "k", 290))
		require.InDelta(t, 155, time.Since(start).Seconds(), 1.01)
		require.GreaterOrEqual(t, time.Since(start), 155*time.Second)
		require.NoError(t, p.keyed.WaitN(t.Context(), "k", 200))
		require.InDelta(t, 255, time.Since(start).Seconds(), 1.01)
		for _, n := range []int{300, 210, 500, 10, 200} {
			r, err := p.single.Reserve(n)
			require.NoError(t, err)
			require.GreaterOrEqual(t, r.Delay(), time.Duration(0))
		}
		require.Equal(t, 3, p.waiting())
		time.Sleep(time.Hour)
		require.Zero(t, p.waiting())
		require.Equal(t, limit, p.single.Peek().Remaining)
	})
}
