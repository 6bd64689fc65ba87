package workerpool_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// The model: a pool in the plainest words, for one goroutine.

type modelTask struct {
	id, key  int // key 0: none
	priority workerpool.Priority
	came     time.Duration // when it was accepted
	lined    int           // its place in the queue of its priority
	state    string        // "waiting" (for room), "gated", "ready", "running", "ended", "refused", "cancelled", "closed"
}

type model struct {
	max, room int
	paused    bool
	closed    bool
	tasks     []*modelTask // in the order of arrival
	started   []int
	lines     int
}

func (m *model) ready(t *modelTask) {
	m.lines++
	t.state, t.lined = "ready", m.lines
}

func (m *model) count(states ...string) int {
	n := 0
	for _, t := range m.tasks {
		if slices.Contains(states, t.state) {
			n++
		}
	}
	return n
}

func (m *model) hasRoom() bool {
	free := 0
	if !m.paused {
		free = max(0, m.max-m.count("running"))
	}
	return m.count("gated", "ready")-free < m.room
}

func (m *model) accept(t *modelTask) {
	m.ready(t)
	for _, other := range m.tasks {
		if other != t && t.key != 0 && other.key == t.key && slices.Contains([]string{"ready", "running", "gated"}, other.state) {
			t.state = "gated"
		}
	}
}

// release lets the next task with this key through.
func (m *model) release(key int) {
	for _, t := range m.tasks {
		if key != 0 && t.key == key && t.state == "gated" {
			m.ready(t)
			return
		}
	}
}

// settle lets in those for whom there is room, and starts those for whom there
// is a place. A worker that has just ended a task takes the next one first.
func (m *model) settle(now time.Duration, ended bool) {
	for ; ; ended = false {
		for _, t := range m.tasks {
			if t.state == "waiting" && m.hasRoom() && !ended {
				t.came = now
				m.accept(t)
			}
		}
		if m.paused || m.count("running") >= m.max || m.count("ready") == 0 {
			if ended {
				continue
			}
			return
		}
		fronts := map[workerpool.Priority]*modelTask{}
		for _, t := range m.tasks {
			if f := fronts[t.priority]; t.state == "ready" && (f == nil || t.lined < f.lined) {
				fronts[t.priority] = t
			}
		}
		var first *modelTask
		due := func(t *modelTask) time.Duration { return t.came - time.Duration(t.priority)*time.Second }
		for _, priority := range []workerpool.Priority{workerpool.High, workerpool.Normal, workerpool.Low} {
			if f := fronts[priority]; f != nil && (first == nil || due(f) < due(first)) {
				first = f
			}
		}
		first.state = "running"
		m.started = append(m.started, first.id)
	}
}

func (m *model) arrive(t *modelTask, wait bool) {
	m.tasks = append(m.tasks, t)
	switch {
	case m.closed:
		t.state = "closed"
	case m.count("waiting") == 0 && m.hasRoom():
		m.accept(t)
	case wait:
		t.state = "waiting"
	default:
		t.state = "refused"
	}
}

func (m *model) cancel(t *modelTask) {
	switch t.state {
	case "ready":
		t.state = "cancelled"
		m.release(t.key)
	case "gated", "waiting":
		t.state = "cancelled"
	}
}

func (m *model) close() {
	m.closed, m.paused = true, false
	for _, t := range m.tasks {
		if slices.Contains([]string{"ready", "gated", "waiting"}, t.state) {
			t.state = "closed"
		}
	}
}

// realTask is a task of the pool that is compared with one of the model.
type realTask struct {
	cancel context.CancelFunc
	end    chan struct{}
	err    error // of Submit
	future *workerpool.Future[int]
}

// compare performs the operations in both, and compares after each.
func compare(t *testing.T, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := workerpool.MustNew(workerpool.Config{Max: 2, Queue: 3, Ageing: time.Second})
		views := map[workerpool.Priority]workerpool.Target{
			workerpool.Low: p.WithPriority(workerpool.Low), workerpool.Normal: p, workerpool.High: p.WithPriority(workerpool.High),
		}
		keys := map[int]*workerpool.View{}
		m := &model{max: 2, room: 3}
		var real []*realTask
		var mu sync.Mutex
		var started []int
		seen := 0 // starts before this operation; those within it may be told in any order
		for _, op := range data {
			time.Sleep(150 * time.Millisecond)
			arg, ended := int(op>>3), false
			switch op & 7 {
			case 0, 1, 2, 3: // a task comes
				mt := &modelTask{id: len(m.tasks), priority: workerpool.Priority(arg%3 - 1), came: time.Since(begin)}
				if arg&4 != 0 {
					mt.key, mt.priority = 1+arg>>3, workerpool.Normal
				}
				rt := &realTask{end: make(chan struct{})}
				m.arrive(mt, true)
				real = append(real, rt)
				var ctx context.Context
				ctx, rt.cancel = context.WithCancel(t.Context())
				target := views[mt.priority]
				if mt.key != 0 { // a view with a limit of one is a key
					if keys[mt.key] == nil {
						keys[mt.key] = p.Limit(1)
					}
					target = keys[mt.key]
				}
				go func() {
					rt.future, rt.err = workerpool.Submit(ctx, target, func(context.Context) (int, error) {
						mu.Lock()
						started = append(started, mt.id)
						mu.Unlock()
						<-rt.end
						return mt.id, nil
					})
				}()
			case 4, 5: // a running task ends
				if i := slices.IndexFunc(m.tasks, func(t *modelTask) bool { return t.state == "running" }); i >= 0 {
					m.tasks[i].state, ended = "ended", true
					m.release(m.tasks[i].key)
					close(real[i].end)
				}
			case 6: // a task is cancelled
				if len(real) > 0 {
					i := arg % len(real)
					if f := real[i].future; f != nil {
						m.cancel(m.tasks[i])
						f.Cancel()
					} else if m.tasks[i].state == "waiting" {
						m.cancel(m.tasks[i])
						real[i].cancel()
					}
				}
			case 7:
				switch {
				case arg < 4:
					m.paused = !m.closed
					p.Pause()
				case arg < 12:
					m.paused = false
					p.Resume()
				case arg < 31:
					if n := 1 + arg%4; p.Resize(n) == nil {
						m.max = n
					}
				default:
					m.close()
					go p.Close()
				}
			}
			synctest.Wait()
			m.settle(time.Since(begin), ended)
			s := p.Stats()
			requireBooks(t, s)
			require.Equal(t, m.count("running"), s.Running, "running after %v", data)
			require.Equal(t, m.count("ready", "gated"), s.Queued, "queued after %v", data)
			require.Equal(t, m.count("waiting"), s.Waiting, "waiting after %v", data)
			slices.Sort(started[seen:])
			slices.Sort(m.started[seen:])
			seen = len(started)
			require.Equal(t, m.started, started, "order of starts after %v", data)
		}
		p.Resume()
		for len(m.tasks) > 0 && m.count("running", "ready", "gated", "waiting") > 0 {
			m.paused = false
			m.settle(time.Since(begin), false)
			i := slices.IndexFunc(m.tasks, func(t *modelTask) bool { return t.state == "running" })
			m.tasks[i].state = "ended"
			m.release(m.tasks[i].key)
			close(real[i].end)
			synctest.Wait()
		}
		m.settle(time.Since(begin), false)
		require.Len(t, started, len(m.started))
		require.NoError(t, p.Close())
		for i, rt := range real {
			requireOutcome(t, m.tasks[i], rt)
			rt.cancel()
		}
		requireIdle(t, p)
	})
}

// requireOutcome compares how a task ended with what the model says.
func requireOutcome(t *testing.T, mt *modelTask, rt *realTask) {
	t.Helper()
	if rt.future == nil {
		switch mt.state {
		case "cancelled":
			require.ErrorIs(t, rt.err, context.Canceled)
		case "closed":
			require.Equal(t, workerpool.ErrClosed, rt.err)
		default:
			t.Fatalf("%+v was not accepted: %v", mt, rt.err)
		}
		return
	}
	v, err, ok := rt.future.TryResult()
	require.True(t, ok, "%+v has no outcome", mt)
	switch mt.state {
	case "ended":
		require.NoError(t, err)
		require.Equal(t, mt.id, v)
	case "cancelled":
		require.Equal(t, workerpool.ErrCanceled, err)
	case "closed":
		require.ErrorIs(t, err, workerpool.ErrClosed)
	default:
		t.Fatalf("%+v ended with %v, %v", mt, v, err)
	}
}

func TestPoolAgreesWithModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		data := make([]byte, 1+rnd.IntN(80))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		compare(t, data)
	}
}
