package emitter_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// The tests of this file are the defects of a well-known emitter of seventy
// lines, each as the behaviour that is right.

var errBoom = errors.New("boom")

// logged is a Logger that keeps what it is given.
type logged struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) lines(part string) int { return strings.Count(l.String(), part) }

func newLogged() (*logged, *slog.Logger) {
	l := new(logged)
	return l, slog.New(slog.NewTextHandler(l, nil))
}

// quiet makes a topic whose failures are counted and not logged.
func quiet[T any](failures *[]error) *emitter.Topic[T] {
	var mu sync.Mutex
	return emitter.MustNew[T](emitter.Config{Hooks: emitter.Hooks{OnError: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		*failures = append(*failures, err)
	}}})
}

// 1: a once listener that throws was kept, and ran with each event.
func TestSeed1OnceThatPanicsRunsOnce(t *testing.T) {
	var failures []error
	topic := quiet[int](&failures)
	calls := 0
	topic.Once(func(int) { calls++; panic(errBoom) })
	for range 3 {
		topic.Emit(1)
	}
	require.Equal(t, 1, calls)
	require.Len(t, failures, 1)
	require.ErrorIs(t, failures[0], errBoom)
}

// 1: at most once over all goroutines.
func TestSeed1OnceRunsOnceOverAllGoroutines(t *testing.T) {
	for range 200 {
		var topic emitter.Topic[int]
		var calls, heard atomic.Int64
		topic.Once(func(int) { calls.Add(1) })
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if topic.Emit(1) {
					heard.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.EqualValues(t, 1, heard.Load())
	}
}

// 2: removal by index, while a nested emit removed as well, took a permanent
// listener out.
func TestSeed2NestedEmitKeepsPermanentListeners(t *testing.T) {
	var topic emitter.Topic[int]
	var order []string
	topic.Once(func(v int) {
		order = append(order, "once a")
		if v == 1 {
			topic.Emit(2)
		}
	})
	topic.On(func(int) { order = append(order, "on") })
	topic.Once(func(int) { order = append(order, "once b") })
	topic.Emit(1)
	require.Equal(t, 1, topic.Len())
	require.Equal(t, []string{"once a", "on", "once b", "on"}, order)
	topic.Emit(3)
	require.Equal(t, "on", order[len(order)-1])
}

// 3: off inside a once listener made it run twice; off takes effect at once.
func TestSeed3OffInsideOnceAndOffOfOneNotYetReached(t *testing.T) {
	var topic emitter.Topic[int]
	var calls []string
	var self, later *emitter.Sub
	self = topic.Once(func(int) {
		calls = append(calls, "self")
		require.False(t, self.Off(), "its event has come: there is nothing to end")
		require.True(t, later.Off())
	})
	later = topic.On(func(int) { calls = append(calls, "later") })
	topic.On(func(int) { calls = append(calls, "last") })
	topic.Emit(1)
	require.Equal(t, []string{"self", "last"}, calls)
	topic.Emit(1)
	require.Equal(t, []string{"self", "last", "last"}, calls)
}

// 4: an error listener that throws overflowed the stack.
func TestSeed4ErrorListenerThatPanicsIsLoggedOnceAndJoined(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Logger: logger})
	calls := 0
	e.On("error", func(any) { calls++; panic("handler down") })
	e.On("data", func(any) { panic(errBoom) })

	err := e.EmitContext(t.Context(), "data", 1)
	require.ErrorIs(t, err, errBoom)
	require.ErrorContains(t, err, "handler down")
	require.Equal(t, 1, calls)
	require.Equal(t, 1, log.lines("handler down\""), log)

	require.True(t, e.Emit("data", 1))
	require.Equal(t, 2, calls)
	require.Equal(t, 2, log.lines("handler down\""), log)

	require.True(t, e.Emit("error", errBoom))
	require.Equal(t, 3, calls, "a failure of a listener of error is not emitted")
}

// 4: a handler that emits what fails does not recurse for ever.
func TestSeed4HandlerThatEmitsWhatFailsEnds(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Logger: logger})
	calls := 0
	e.On("error", func(any) { calls++; e.Emit("data", 1) })
	e.On("data", func(any) { panic(errBoom) })
	e.Emit("data", 1)
	require.Equal(t, 8, calls)
	require.Equal(t, 1, log.lines("inside the handling of failures"))

	topic := new(emitter.Topic[int])
	depth := 0
	topic = emitter.MustNew[int](emitter.Config{Logger: logger, Hooks: emitter.Hooks{OnError: func(error) {
		depth++
		topic.Emit(1)
	}}})
	topic.On(func(int) { panic(errBoom) })
	topic.Emit(1)
	require.Equal(t, 8, depth)
}

// 5: without an error listener the error was swallowed.
func TestSeed5FailureWithoutHandlerIsLoggedOrReturned(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Name: "bus", Logger: logger})
	e.On("data", explode)
	require.True(t, e.Emit("data", 1))
	require.Equal(t, 1, log.lines("listener failed"))
	require.Contains(t, log.String(), "topic=data")
	require.Contains(t, log.String(), "emitter_test.explode", "the stack")
	require.Contains(t, log.String(), "seed_test.go", "the place")

	err := e.EmitContext(t.Context(), "data", 1)
	require.ErrorIs(t, err, errBoom)
	require.Equal(t, 1, log.lines("listener failed"), "what is returned is not logged")

	topic := emitter.MustNew[int](emitter.Config{Name: "created", Logger: logger})
	topic.OnErr(func(context.Context, int) error { return errBoom })
	topic.Emit(1)
	require.Contains(t, log.String(), "topic=created")
	require.Contains(t, log.String(), "TestSeed5")
}

func explode(any) { panic(errBoom) }

// 6: a once listener that emits its own event ran three times.
func TestSeed6ReentrantOnceRunsOnce(t *testing.T) {
	var topic emitter.Topic[int]
	calls := 0
	topic.Once(func(v int) {
		calls++
		if v < 3 {
			require.False(t, topic.Emit(v+1))
		}
	})
	require.True(t, topic.Emit(1))
	require.Equal(t, 1, calls)
}

// 7: after the last once listener the name was still there and emit was true.
func TestSeed7NamesWithoutListenersAreNoNames(t *testing.T) {
	var e emitter.Emitter
	e.Once("x", func(any) { require.Empty(t, e.EventNames(), "not while it runs either") })
	require.Equal(t, []string{"x"}, e.EventNames())
	require.True(t, e.Emit("x", nil))
	require.Empty(t, e.EventNames())
	require.False(t, e.Emit("x", nil))
	require.Zero(t, e.ListenerCount("x"))
	require.Equal(t, emitter.Stats{}, e.Stats())
}

// 8: once never warned, and on warned with every further listener.
func TestSeed8OneWarningWithThePlaceThatCrossedTheLine(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Logger: logger})
	for range 10 {
		e.Once("x", func(any) {})
	}
	require.Empty(t, log.String())
	e.Once("x", func(any) {})
	for range 10 {
		e.On("x", func(any) {})
	}
	require.Equal(t, 1, log.lines("possible leak"))
	for _, part := range []string{"topic=x", "listeners=11", "limit=10", "seed_test.go:"} {
		require.Contains(t, log.String(), part)
	}

	e.SetMaxListeners(30) // a larger limit arms it again
	for range 20 {
		e.On("x", func(any) {})
	}
	require.Equal(t, 2, log.lines("possible leak"))
	require.Contains(t, log.String(), "listeners=31")

	e.SetMaxListeners(0)
	for range 100 {
		e.On("y", func(any) {})
	}
	require.Equal(t, 2, log.lines("possible leak"))

	topic := emitter.MustNew[int](emitter.Config{Logger: logger})
	for range 100 {
		topic.On(func(int) {})
	}
	require.Equal(t, 2, log.lines("possible leak"), "a Topic has no limit of its own")
	topic.SetMaxListeners(100)
	topic.On(func(int) {})
	require.Equal(t, 3, log.lines("possible leak"))
	require.Panics(t, func() { topic.SetMaxListeners(-1) })
	require.Panics(t, func() { e.SetMaxListeners(-1) })
}

// 9: a listener added during an emit is called by the next one.
func TestSeed9AddedDuringEmitHearsTheNext(t *testing.T) {
	var topic emitter.Topic[int]
	var heard []int
	topic.Once(func(int) { topic.On(func(v int) { heard = append(heard, v) }) })
	topic.Emit(1)
	require.Empty(t, heard)
	topic.Emit(2)
	require.Equal(t, []int{2}, heard)
}

// 10: functions cannot be compared, so there are handles.
func TestSeed10HandlesTellEqualClosuresApart(t *testing.T) {
	var topic emitter.Topic[int]
	var heard []int
	var subs []*emitter.Sub
	for i := range 4 {
		subs = append(subs, topic.On(func(int) { heard = append(heard, i) }))
	}
	require.True(t, subs[1].Active())
	require.True(t, subs[1].Off())
	require.False(t, subs[1].Off(), "it is idempotent, and says what it did")
	require.False(t, subs[1].Active())
	topic.Emit(1)
	require.Equal(t, []int{0, 2, 3}, heard)
}

// 11: every method may be called by any goroutine and from inside listeners.
func TestSeed11EverythingFromInsideAListener(t *testing.T) {
	var topic emitter.Topic[int]
	var calls int
	topic.Once(func(int) {
		calls++
		sub := topic.On(func(int) { calls++ })
		topic.Emit(0)
		require.Equal(t, 1, topic.Len())
		require.NoError(t, topic.EmitContext(t.Context(), 0))
		sub.Off()
		topic.SetMaxListeners(3)
		topic.Prepend(func(int) {})
		require.Equal(t, 1, topic.Clear())
		require.Equal(t, emitter.Stats{}, topic.Stats())
		require.NoError(t, topic.Close())
	})
	topic.Emit(1)
	require.Equal(t, 3, calls)
}
