package emitter_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// The model: a topic in the plainest words, for one goroutine. What a listener
// does when it is called is a list of operations.

type modelListener struct {
	id, priority int
	once, gone   bool
	kind         byte // see act
	arg          int
}

type model struct {
	list   []*modelListener // in the order of calls
	closed bool
	next   int
	calls  []int // ids in the order in which they were called
}

func (m *model) add(priority int, prepend, once bool, kind byte, arg int) *modelListener {
	l := &modelListener{id: m.next, priority: priority, once: once, kind: kind, arg: arg}
	m.next++
	if m.closed {
		l.gone = true
		return l
	}
	at := 0
	for at < len(m.list) && (m.list[at].priority > priority || m.list[at].priority == priority && !prepend) {
		at++
	}
	m.list = slices.Insert(slices.Clone(m.list), at, l)
	return l
}

func (m *model) off(l *modelListener) bool {
	if l.gone {
		return false
	}
	l.gone = true
	m.list = slices.DeleteFunc(slices.Clone(m.list), func(other *modelListener) bool { return other == l })
	return true
}

func (m *model) clear() {
	for _, l := range m.list {
		m.off(l)
	}
}

// emit returns whether anybody was called, and the errors.
func (m *model) emit(act func(*modelListener) error) (heard bool, failed int) {
	for _, l := range m.list { // the list of the beginning: changes make a new one
		if l.gone {
			continue
		}
		if l.once {
			m.off(l)
		}
		heard = true
		m.calls = append(m.calls, l.id)
		switch err := act(l); {
		case err == nil:
		case err == emitter.ErrStop:
			return heard, failed
		case errors.Is(err, emitter.ErrStop):
			return heard, failed + 1
		default:
			failed++
		}
	}
	return heard, failed
}

// world is the model beside the topic: every operation is done on both, and what
// can be seen of them compared.
type world struct {
	t     *testing.T
	topic *emitter.Topic[int]
	subs  []*emitter.Sub
	m     *model
	ls    []*modelListener
	calls []int
	lost  int // failures that were told
}

const maxNesting = 2

var errVeto = errors.Join(errBoom, emitter.ErrStop)

// act is what a listener does: nothing, panic, fail, veto, end itself, end
// another, add one, emit, clear.
func act(kind byte, off func(), end func(), add func(), emit func(), clear func()) error {
	switch kind % 10 {
	case 1:
		panic(errBoom)
	case 2:
		return errBoom
	case 3:
		return emitter.ErrStop
	case 4:
		off()
	case 5:
		end()
	case 6:
		add()
	case 7:
		emit()
	case 8:
		clear()
	case 9:
		return errVeto
	}
	return nil
}

// add makes a listener in both.
func (w *world) add(flags, kind, arg byte) {
	cfg := emitter.SubConfig{Priority: int(flags&3) - 1, Prepend: flags&4 != 0, Once: flags&8 != 0, Track: flags&16 != 0}
	id := len(w.subs)
	var depth int
	var sub *emitter.Sub
	listen := func(_ context.Context, v int) error {
		w.calls = append(w.calls, id)
		depth = v
		return act(kind, func() { sub.Off() }, func() { w.subs[int(arg)%len(w.subs)].Off() },
			func() { w.subs = append(w.subs, w.topic.On(w.silent(len(w.subs)))) },
			func() {
				if depth < maxNesting {
					w.topic.Emit(depth + 1)
				}
			},
			func() { w.topic.Clear() })
	}
	sub, err := w.topic.Subscribe(cfg, listen)
	if err != nil {
		require.Equal(w.t, emitter.ErrClosed, err)
		sub = new(emitter.Topic[int]).On(func(int) {})
		sub.Off()
	}
	w.subs = append(w.subs, sub)
	w.ls = append(w.ls, w.m.add(cfg.Priority, cfg.Prepend, cfg.Once, kind, int(arg)))
}

func (w *world) silent(id int) func(int) { return func(int) { w.calls = append(w.calls, id) } }

// emitModel emits on the model, with nested emits.
func (w *world) emitModel(depth int) (bool, int) {
	return w.m.emit(func(l *modelListener) (err error) {
		defer func() {
			if recover() != nil {
				err = errBoom
			}
		}()
		return act(l.kind, func() { w.m.off(l) }, func() { w.m.off(w.ls[l.arg%len(w.ls)]) },
			func() { w.ls = append(w.ls, w.m.add(0, false, false, 0, 0)) },
			func() {
				if depth < maxNesting {
					w.emitModel(depth + 1)
				}
			}, w.m.clear)
	})
}

// compare runs the operations that data encodes on both.
func compare(t *testing.T, data []byte) {
	w := &world{t: t, m: &model{}}
	w.topic = emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) { w.lost++ }}})
	for ; len(data) >= 3; data = data[3:] {
		op, a, b := data[0], data[1], data[2]
		switch op % 8 {
		default:
			if len(w.subs) < 40 {
				w.add(op>>3, a, b)
			}
		case 4:
			if len(w.subs) > 0 {
				i := int(a) % len(w.subs)
				require.Equal(t, w.m.off(w.ls[i]), w.subs[i].Off())
			}
		case 5, 6:
			before := w.lost
			heard, failed := w.emitModel(0)
			if op&8 == 0 {
				require.Equal(t, heard, w.topic.Emit(0))
			} else {
				err := w.topic.EmitContext(t.Context(), 0)
				switch {
				case w.m.closed:
					require.Equal(t, emitter.ErrClosed, err)
				case failed == 0:
					require.NoError(t, err)
				default:
					require.ErrorIs(t, err, errBoom)
				}
			}
			require.GreaterOrEqual(t, w.lost-before, failed, "every failure is told, those of nested emits too")
		case 7:
			if a == 0 && b%8 == 0 {
				w.m.clear()
				w.m.closed = true
				require.NoError(t, w.topic.Close())
			}
		}
		require.Equal(t, w.m.calls, w.calls, "the same calls in the same order")
		require.Equal(t, len(w.m.list), w.topic.Len())
		require.Len(t, w.subs, len(w.ls))
		for i, l := range w.ls {
			require.Equal(t, !l.gone, w.subs[i].Active())
		}
		w.calls, w.m.calls = nil, nil
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 5))
		data := make([]byte, 3*(1+r.IntN(60)))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		compare(t, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
