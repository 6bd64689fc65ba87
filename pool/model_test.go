package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// The model: a pool in the plainest words, for one goroutine and a world in
// which nothing but waiting takes time.

const (
	modelStale = time.Second              // CheckAfter
	modelIdle  = 14500 * time.Millisecond // IdleTimeout: between three and four steps
	modelStep  = 4 * time.Second          // what time moves by: as long as four back-offs
	modelFails = 3                        // most failures in a row
)

type modelRes struct {
	id         int
	broken     bool // its Check fails
	suspect    bool // another one was found broken since it was last known to work
	old        bool // made before a Reset
	used, seen int  // steps of time
}

type modelCaller struct {
	state string // "waiting", "holding", "gone", "cancelled", "down", "closed", "none"
	res   *modelRes
}

type model struct {
	max, made, now  int
	fails           int  // how many of the next Creates fail
	pausing         bool // one has, and the next is not due
	wanted, closed  bool // somebody was refused because it was down
	idle            []*modelRes
	callers         []*modelCaller
	destroyed, lent int
}

func (m *model) in(state string) (found []*modelCaller) {
	for _, c := range m.callers {
		if c.state == state {
			found = append(found, c)
		}
	}
	return found
}

func (m *model) total() int { return len(m.idle) + len(m.in("holding")) }

func (m *model) suspectAll() {
	for _, r := range m.idle {
		r.suspect = true
	}
}

// create tries to make one more.
func (m *model) create() {
	m.wanted = false
	if m.fails > 0 {
		m.fails--
		m.pausing = true
		if m.total() == 0 {
			for _, c := range m.in("waiting") {
				c.state = "down"
			}
		}
		return
	}
	m.pausing = false
	m.made++
	m.idle = append(m.idle, &modelRes{id: m.made, used: m.now, seen: m.now})
}

// takeIdle takes the one used last that works, checking those that may not.
func (m *model) takeIdle(check bool) *modelRes {
	for len(m.idle) > 0 {
		r := m.idle[len(m.idle)-1]
		stale := r.suspect || time.Duration(m.now-r.seen)*modelStep >= modelStale
		if stale && !check {
			return nil
		}
		m.idle = m.idle[:len(m.idle)-1]
		if !stale {
			return r
		}
		if !r.broken {
			r.seen, r.suspect = m.now, false
			return r
		}
		m.destroyed++
		m.suspectAll()
	}
	return nil
}

// settle serves those who wait, first come first served.
func (m *model) settle() {
	for !m.closed && len(m.in("waiting")) > 0 {
		if r := m.takeIdle(true); r != nil {
			m.give(m.in("waiting")[0], r)
		} else if m.total() < m.max && !m.pausing {
			m.create()
		} else {
			return
		}
	}
}

func (m *model) give(c *modelCaller, r *modelRes) { c.state, c.res = "holding", r; m.lent++ }

func (m *model) acquire() {
	c := &modelCaller{state: "waiting"}
	m.callers = append(m.callers, c)
	switch {
	case m.closed:
		c.state = "closed"
	case m.total() == 0 && m.pausing:
		c.state, m.wanted = "down", true
	}
	m.settle()
}

func (m *model) try() {
	c := &modelCaller{state: "none"}
	m.callers = append(m.callers, c)
	if m.closed || len(m.in("waiting")) > 0 {
		return
	}
	if r := m.takeIdle(false); r != nil {
		m.give(c, r)
	} else if len(m.idle) > 0 { // it is checked
		if r := m.idle[len(m.idle)-1]; r.broken {
			m.idle = m.idle[:len(m.idle)-1]
			m.destroyed++
			m.suspectAll()
		} else {
			r.seen, r.suspect = m.now, false
		}
	} else if m.total() < m.max && !m.pausing {
		m.create()
	}
}

func (m *model) end(c *modelCaller, how string) {
	c.state = "gone"
	switch {
	case how == "detach":
	case how == "discard" || m.closed || c.res.old || m.total()+1 > m.max:
		m.destroyed++
	default:
		c.res.used, c.res.seen, c.res.suspect = m.now, m.now, false
		m.idle = append(m.idle, c.res)
	}
	m.settle()
}

// step lets time pass.
func (m *model) step() {
	for try := true; try; try = m.pausing { // at the beginning of the step
		m.pausing = false
		if m.wanted && m.total() == 0 && !m.closed {
			m.create()
		}
		m.settle()
	}
	m.now++
	keep := m.idle[:0]
	for _, r := range m.idle {
		if time.Duration(m.now-r.used)*modelStep >= modelIdle {
			m.destroyed++
		} else {
			keep = append(keep, r)
		}
	}
	m.idle = keep
}

func (m *model) reset() {
	m.destroyed += len(m.idle)
	m.idle, m.pausing = nil, false
	for _, c := range m.in("holding") {
		c.res.old = true
	}
	if m.wanted && m.total() == 0 && !m.closed {
		m.create()
	}
	m.settle()
}

func (m *model) resize(n int) {
	m.max = n
	for len(m.idle) > 0 && m.total() > n {
		m.idle = m.idle[1:]
		m.destroyed++
	}
	m.settle()
}

func (m *model) evict() {
	before := len(m.idle)
	m.idle = slices.DeleteFunc(m.idle, func(r *modelRes) bool { return r.id%2 == 0 })
	m.destroyed += before - len(m.idle)
}

func (m *model) close() {
	m.closed = true
	m.destroyed += len(m.idle)
	m.idle = nil
	for _, c := range m.in("waiting") {
		c.state = "closed"
	}
}

// state names the real caller's state as the model does.
func (c *caller) state() string {
	switch {
	case !c.settled():
		return "waiting"
	case c.err() == nil:
		return "holding"
	case errors.Is(c.err(), pool.ErrClosed):
		return "closed"
	case errors.Is(c.err(), pool.ErrDown):
		return "down"
	case errors.Is(c.err(), context.Canceled):
		return "cancelled"
	case errors.Is(c.err(), errNone):
		return "none"
	case errors.Is(c.err(), pool.ErrReleased):
		return "gone"
	}
	return c.err().Error()
}

var errNone = errors.New("TryAcquire reported false")

// run is a pool beside its model.
type run struct {
	t       *testing.T
	p       *pool.Pool[*res]
	w       *world
	m       *model
	callers []*caller          // as m.callers
	ended   []pool.Lease[*res] // leases that must not do anything any more
	most    int                // the largest Max so far
}

// pick returns one of the callers in a state, if there are any.
func (r *run) pick(state string, arg int) (i int, ok bool) {
	var found []int
	for i, c := range r.m.callers {
		if c.state == state {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return 0, false
	}
	return found[arg%len(found)], true
}

// end ends the lease of one who holds, in the pool and in the model.
func (r *run) end(how string, arg int) {
	i, ok := r.pick("holding", arg)
	if !ok {
		return
	}
	c := r.callers[i]
	switch how {
	case "release":
		require.NoError(r.t, c.lease().Release())
	case "discard":
		require.NoError(r.t, c.lease().Discard())
	case "detach":
		require.NoError(r.t, r.w.detach(c.lease()))
	}
	r.ended = append(r.ended, c.lease())
	c.got.err = pool.ErrReleased
	r.m.end(r.m.callers[i], how)
}

// apply does one operation on both.
func (r *run) apply(op byte) {
	arg := int(op >> 4)
	switch op & 0xf {
	case 0, 1, 2, 3:
		r.m.acquire()
		r.callers = append(r.callers, call(r.t, r.p))
	case 4:
		r.m.try()
		c := &caller{cancel: func() {}, got: answer{settled: true}}
		var ok bool
		if c.got.lease, ok = r.p.TryAcquire(); !ok {
			c.got.err = errNone
		}
		r.callers = append(r.callers, c)
	case 5, 6:
		r.end("release", arg)
	case 7:
		r.end("discard", arg)
	case 8:
		r.end([]string{"detach", "release"}[arg%2], arg)
	case 9:
		if i, ok := r.pick("waiting", arg); ok {
			r.callers[i].cancel()
			r.m.callers[i].state = "cancelled"
		}
	case 10:
		r.m.fails = arg % (modelFails + 1)
		r.w.set(func(w *world) { w.fails = r.m.fails })
	case 11:
		synctest.Wait()
		_ = pause(context.Background(), modelStep)
		synctest.Wait()
		r.m.step()
	case 12:
		r.m.reset()
		r.p.Reset()
	case 13: // one that is idle breaks, unnoticed
		if len(r.m.idle) > 0 {
			victim := r.m.idle[arg%len(r.m.idle)]
			victim.broken = true
			r.w.made[victim.id-1].broken.Store(true)
		}
	case 14:
		if n := arg%4 + 1; !r.m.closed {
			require.NoError(r.t, r.p.Resize(n, 0))
			r.m.resize(n)
			r.most = max(r.most, n)
		}
	case 15:
		if arg == 0 { // seldom, as little happens afterwards
			r.m.close()
			require.NoError(r.t, r.p.Close())
		} else {
			r.p.Evict(func(v *res) bool { return v.id%2 == 0 })
			r.m.evict()
		}
	}
}

// verify requires the same of both.
func (r *run) verify(when string) {
	synctest.Wait()
	t, m := r.t, r.m
	for i, c := range m.callers {
		require.Equal(t, c.state, r.callers[i].state(), "caller %d %s", i, when)
		if c.state == "holding" {
			require.Equal(t, c.res.id, r.callers[i].lease().Value().id, "caller %d %s", i, when)
			r.callers[i].lease().Value().use(t, nil)
		}
	}
	for _, l := range r.ended { // a stale lease is harmless, whoever has the resource now
		require.Equal(t, pool.ErrReleased, l.Release(), when)
		require.Equal(t, pool.ErrReleased, l.Discard(), when)
	}
	s := r.p.Stats()
	require.Equal(t,
		[]int{m.total(), len(m.in("holding")), len(m.idle), len(m.in("waiting"))},
		[]int{s.Total, s.InUse, s.Idle, s.Waiting}, when)
	require.Zero(t, s.Checking+s.Creating+s.Closing, when)
	destroyed := s.DestroyedIdle + s.DestroyedExpired + s.DestroyedBroken + s.DestroyedDiscarded + s.DestroyedEvicted +
		s.DestroyedOutdated + s.DestroyedSurplus + s.DestroyedReclaimed + s.DestroyedClosed
	require.EqualValues(t, m.destroyed, destroyed, when)
	require.EqualValues(t, m.made, s.Created, when)
	require.EqualValues(t, m.lent, s.Acquired, when)
	// None lost, and never too many.
	require.Equal(t, s.Total, r.w.get(now), when)
	require.LessOrEqual(t, r.w.get(most), r.most, when)
}

// compare runs the operations that data encodes on a pool and on the model, and
// requires the same of both after each.
func compare(t *testing.T, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{
			Max: 3, CheckAfter: modelStale, IdleTimeout: modelIdle, MaxLifetime: 1 << 62, AcquireTimeout: 1 << 62,
			Backoff: time.Second, MaxBackoff: time.Second, CreateWindow: 1, MaxCreating: 1,
		})
		r := &run{t: t, p: p, w: w, m: &model{max: 3}, most: 3}
		for step, op := range data {
			r.apply(op)
			r.verify(fmt.Sprintf("after step %d of %x", step, data))
		}
		for {
			if _, ok := r.pick("holding", 0); !ok {
				break
			}
			r.end("release", 0)
			r.verify("at the end of " + fmt.Sprintf("%x", data))
		}
	})
}

func TestPoolBehavesAsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compare(t, data)
	}
}
