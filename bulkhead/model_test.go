package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

// The model: a bulkhead in the plainest words, for one goroutine.

type modelCaller struct {
	n     int
	state string // "waiting", "holding", "gone", "full", "weight", "closed", "cancelled"
}

type model struct {
	limit, maxWaiting int
	closed            bool
	callers           []*modelCaller // in the order of arrival
}

func (m *model) in(state string) (callers, slots int) {
	for _, c := range m.callers {
		if c.state == state {
			callers++
			slots += c.n
		}
	}
	return callers, slots
}

// settle lets waiters in, oldest first, up to the first that does not fit.
func (m *model) settle() {
	for _, c := range m.callers {
		if c.state == "waiting" && c.n > m.limit {
			c.state = "weight"
		}
	}
	for _, c := range m.callers {
		if c.state != "waiting" {
			continue
		}
		if _, inUse := m.in("holding"); inUse+c.n > m.limit {
			return
		}
		c.state = "holding"
	}
}

func (m *model) arrive(n int, try bool) *modelCaller {
	c := &modelCaller{n: n, state: "waiting"}
	waiting, _ := m.in("waiting")
	_, inUse := m.in("holding")
	switch fits := waiting == 0 && inUse+n <= m.limit; {
	case m.closed:
		c.state = "closed"
	case n < 1 || n > m.limit:
		c.state = "weight"
	case fits:
		c.state = "holding"
	case try || waiting >= m.maxWaiting:
		c.state = "full"
	}
	m.callers = append(m.callers, c)
	return c
}

func (m *model) leave(c *modelCaller, state string) { c.state = state; m.settle() }

func (m *model) close() {
	m.closed = true
	for _, c := range m.callers {
		if c.state == "waiting" {
			c.state = "closed"
		}
	}
}

// state names the real caller's state as the model does.
func (c *caller) state() string {
	switch {
	case c.gone:
		return "gone"
	case !c.settled:
		return "waiting"
	case c.err == nil:
		return "holding"
	case errors.Is(c.err, bulkhead.ErrFull):
		return "full"
	case errors.Is(c.err, bulkhead.ErrWeight):
		return "weight"
	case errors.Is(c.err, bulkhead.ErrClosed):
		return "closed"
	case errors.Is(c.err, context.Canceled):
		return "cancelled"
	}
	return c.err.Error()
}

// compare runs the operations that data encodes on a bulkhead and on the model,
// and requires the same of both after each.
func compare(t *testing.T, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		const limit, maxWaiting = 4, 5
		b := bulkhead.MustNew(bulkhead.Config{Limit: limit, MaxWaiting: maxWaiting})
		m := &model{limit: limit, maxWaiting: maxWaiting}
		var callers []*caller // as m.callers
		// pick returns one of those in state, if there are any.
		pick := func(state string, arg int) (i int, ok bool) {
			var found []int
			for i, c := range m.callers {
				if c.state == state {
					found = append(found, i)
				}
			}
			if len(found) == 0 {
				return 0, false
			}
			return found[arg%len(found)], true
		}
		for step, op := range data {
			arg := int(op >> 4)
			switch op & 0xf {
			case 0, 1, 2, 3, 4:
				m.arrive(arg%6, false) // no weight and too much of it included
				callers = append(callers, call(b, arg%6))
			case 5, 6:
				want := m.arrive(arg%6, true)
				if want.state != "holding" {
					want.state = "full" // TryAcquire gives no reasons
				}
				c := &caller{cancel: func() {}, settled: true}
				var ok bool
				if c.permit, ok = b.TryAcquireN(arg % 6); !ok {
					c.err = bulkhead.ErrFull
				}
				callers = append(callers, c)
			case 7, 8, 9, 10:
				if i, ok := pick("holding", arg); ok {
					callers[i].release()
					callers[i].gone = true
					m.leave(m.callers[i], "gone")
				}
			case 11, 12:
				if i, ok := pick("waiting", arg); ok {
					callers[i].cancel()
					m.leave(m.callers[i], "cancelled")
				}
			case 13, 14:
				if b.Resize(arg%7+1) == nil {
					m.limit = arg%7 + 1
					m.settle()
				}
			case 15:
				if arg == 0 { // seldom, as little happens afterwards
					require.NoError(t, b.Close())
					m.close()
				}
			}
			synctest.Wait()
			for i, c := range m.callers {
				require.Equal(t, c.state, callers[i].state(), "caller %d after step %d of %x", i, step, data)
			}
			waiting, _ := m.in("waiting")
			_, inUse := m.in("holding")
			s := b.Stats()
			require.Equal(t, []int{m.limit, waiting, inUse}, []int{s.Limit, s.Waiting, s.InUse}, "after step %d of %x", step, data)
		}
		for {
			i, ok := pick("holding", 0)
			if !ok {
				break
			}
			callers[i].release()
			m.leave(m.callers[i], "gone")
		}
		requireIdle(t, b)
	})
}

func TestBulkheadBehavesAsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compare(t, data)
	}
}
