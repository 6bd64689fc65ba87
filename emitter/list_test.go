package emitter

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkList compares the list of a topic with its invariants: it holds those that
// are listed, in the order of priority, counts the dead, and keeps no more of
// them than of the living.
func checkList(t *testing.T, topic *Topic[int], want []*Sub) {
	t.Helper()
	c := &topic.core
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, len(want), c.live)
	b := topic.list.Load()
	if len(want) == 0 {
		require.Nil(t, b)
		return
	}
	var listed []*Sub
	dead := 0
	for _, n := range b.all() {
		if n.listed {
			listed = append(listed, &n.Sub)
		} else {
			require.Equal(t, off, n.state.Load())
			dead++
		}
	}
	require.Equal(t, dead, b.dead)
	require.LessOrEqual(t, b.dead, c.live)
	require.True(t, slices.Equal(want, listed), "those that are listed, in order")
	require.True(t, slices.IsSortedFunc(b.all(), func(x, y *node[int]) int { return int(y.priority) - int(x.priority) }))
}

func TestListKeepsItsInvariants(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var topic Topic[int]
		var want []*Sub
		for range 150 {
			if len(want) > 0 && r.IntN(5) < 2+int(seed%2) {
				i := r.IntN(len(want))
				require.True(t, want[i].Off())
				want = slices.Delete(slices.Clone(want), i, i+1)
			} else {
				cfg := SubConfig{Priority: r.IntN(3), Prepend: r.IntN(4) == 0}
				sub, err := topic.Subscribe(cfg, func(context.Context, int) error { return nil })
				require.NoError(t, err)
				at := slices.IndexFunc(want, func(s *Sub) bool {
					return int(s.priority) < cfg.Priority || int(s.priority) == cfg.Priority && cfg.Prepend
				})
				if at < 0 {
					at = len(want)
				}
				want = slices.Insert(slices.Clone(want), at, sub)
			}
			checkList(t, &topic, want)
		}
	}
}

// A handle that is marked as ended and not yet counted may be met by a rebuild,
// which must leave it to be counted later.
func TestListRebuildMeetsOneMarkedAndNotCounted(t *testing.T) {
	var topic Topic[int]
	var subs []*Sub
	for range 6 {
		subs = append(subs, topic.On(func(int) {}))
	}
	subs[5].state.Store(off) // Off has come this far
	for _, s := range subs[:4] {
		require.True(t, s.Off()) // the fourth makes the list anew
	}
	require.Equal(t, 2, topic.Len())
	subs[5].end(box.shut) // and goes on
	checkList(t, &topic, subs[4:5])
	subs[4].Off()
	checkList(t, &topic, nil)
}

// Nor does Close or Drain leave it in the count: what they end has ended, though
// the Off of another goroutine is still on its way.
func TestCloseMeetsOneMarkedAndNotCounted(t *testing.T) {
	for _, end := range []func(*Topic[int]) error{
		(*Topic[int]).Close,
		func(topic *Topic[int]) error { return topic.Drain(t.Context()) },
	} {
		var topic Topic[int]
		s := topic.On(func(int) {})
		s.state.Store(off) // Off has come this far
		require.NoError(t, end(&topic))
		checkList(t, &topic, nil)
		s.end(box.shut) // and goes on
		checkList(t, &topic, nil)
	}
}

// An emit goes on with the list it began with, whatever becomes of it.
func TestListOfAnEmitIsItsOwn(t *testing.T) {
	var topic Topic[int]
	for range 3 {
		topic.On(func(int) {})
	}
	all := topic.list.Load().all()
	for range 100 {
		topic.On(func(int) {})
	}
	topic.Prepend(func(int) {})
	require.Len(t, all, 3)
	for _, n := range all {
		require.Equal(t, plain, n.state.Load())
	}
	topic.Clear()
	for _, n := range all {
		require.Equal(t, off, n.state.Load())
	}
}

// A list that shrinks lets go of the functions, and a topic without listeners of
// its memory.
func TestListLetsGo(t *testing.T) {
	var topic Topic[int]
	var subs []*Sub
	for range 1000 {
		subs = append(subs, topic.On(func(int) {}))
	}
	for _, s := range subs[:990] {
		s.Off()
	}
	require.LessOrEqual(t, len(topic.list.Load().all()), 20)
	topic.Clear()
	require.Nil(t, topic.list.Load())
	require.Nil(t, topic.core.busy)
}

func TestGoroutineTellsGoroutinesApart(t *testing.T) {
	var mu sync.Mutex
	seen := map[uint64]bool{goroutine(): true}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			seen[goroutine()] = true
			seen[goroutine()] = true
		})
	}
	wg.Wait()
	require.Len(t, seen, 21)
	require.NotContains(t, seen, uint64(0))
}

// The functions that call listeners are known by name: each of them is, however
// deep the listener stands on the stack.
func TestInsideListenerKnowsEveryWayIn(t *testing.T) {
	require.False(t, insideListener())
	require.Equal(t, "github.com/bedplate/bedplate/emitter.", self())
	var deep func(n int) bool
	deep = func(n int) bool {
		if n > 0 {
			return deep(n - 1)
		}
		return insideListener()
	}
	inside := make(chan bool, 1)
	look := func(context.Context, int) error { inside <- deep(200); return nil }
	kinds := map[string]SubConfig{"plain": {}, "tracked": {Track: true}, "once": {Once: true}, "async": {Async: true}}
	for kind, cfg := range kinds {
		for range 2 {
			var topic Topic[int]
			sub, err := topic.Subscribe(cfg, look)
			require.NoError(t, err)
			require.True(t, topic.Emit(1))
			require.True(t, <-inside, kind)
			sub.Off()
			_, err = topic.Subscribe(cfg, look)
			require.NoError(t, err)
			require.NoError(t, topic.EmitContext(t.Context(), 1))
			require.True(t, <-inside, kind)
			require.NoError(t, topic.Close())
		}
	}
	var topic Topic[int]
	topic.On(func(v int) { _ = look(t.Context(), v) })
	topic.Emit(1)
	require.True(t, <-inside)
	topic.On(func(int) { panic("the one after it is called by rescue") })
	topic.On(func(v int) { inside <- deep(0) })
	topic.core.cfg = &Config{Hooks: Hooks{OnError: func(error) {}}}
	go topic.Emit(1)
	require.True(t, <-inside)
	require.True(t, <-inside)
}

func TestPlaces(t *testing.T) {
	require.Equal(t, "unknown", place(0))
	var topic Topic[int]
	n := &node[int]{fn: func(int) {}}
	require.NoError(t, topic.add(n, false))
	require.Contains(t, n.describe(), "TestPlaces.func1 (")
	require.Contains(t, n.describe(), "list_test.go:")
	require.NotContains(t, callSite(), "emitter/topic.go")
}

// A topic that an Emitter has let go of takes no listener any more.
func TestRetiredTopicRefuses(t *testing.T) {
	var e Emitter
	sub := e.On("x", func(any) {})
	old := e.find("x")
	sub.Off()
	require.Nil(t, e.find("x"))
	require.Equal(t, errRetired, old.topic.add(&node[any]{fn: func(any) {}}, false))
	require.False(t, old.pin())
	e.names.Store("x", old) // as it is found by one who was a moment too early
	e.On("x", func(any) {})
	require.NotSame(t, old, e.find("x"))
	e.RemoveAllListeners()
	e.names.Store("x", old)
	view, err := Named[int](&e, "x")
	require.NoError(t, err)
	view.On(func(int) {}).Off()
	require.NotNil(t, e.find("x"), "a bound name stays")

	match, err := e.OnMatch("a.*", func(string, any) {})
	require.NoError(t, err)
	p := e.patterns.Load().list[0]
	match.Off()
	require.Nil(t, e.patterns.Load())
	e.forget(p) // twice is harmless
	e.patterns.Store(&patterns{[]*pattern{p}})
	_, err = e.OnMatch("a.*", func(string, any) {})
	require.NoError(t, err)
	require.NotSame(t, p, e.patterns.Load().list[0])
}

func TestErrorTexts(t *testing.T) {
	for want, err := range map[string]error{
		"emitter: t: listener f panicked: 1":                                        &PanicError{Topic: "t", Listener: "f", Value: 1},
		"emitter: t: queue full: listener f, 3 waiting":                             &FullError{Topic: "t", Listener: "f", Queue: 3},
		"emitter: n: wrong type string, want int":                                   &TypeError{Name: "n", Want: "int", Got: "string"},
		"emitter: listener f panicked: context canceled":                            &PanicError{Listener: "f", Value: context.Canceled},
		"emitter: queue full: listener f, 0 waiting, and the listener itself emits": &FullError{Listener: "f", Self: true},
	} {
		require.EqualError(t, err, want)
	}
	require.ErrorIs(t, &PanicError{Value: context.Canceled}, context.Canceled)
	require.ErrorIs(t, &FullError{}, ErrFull)
	require.NotErrorIs(t, &FullError{}, ErrType)
	require.ErrorIs(t, &TypeError{}, ErrType)
	require.NoError(t, join(nil))
	one := errors.New("one")
	require.Same(t, one, join([]error{one}))
}
