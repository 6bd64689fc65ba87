package emitter_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// The tests of this file are the cases with which Node tests its own
// EventEmitter, written anew. What differs is said there: a removal takes effect
// at once, handles take the place of functions, and newListener and
// removeListener are hooks.

// add-listeners: the hooks hear of each listener, and listeners get the value.
func TestNodeAddListeners(t *testing.T) {
	var added []emitter.Change
	e := emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{
		OnSubscribe: func(c emitter.Change) { added = append(added, c) },
	}})
	times := 0
	e.On("hello", func(v any) {
		times++
		require.Equal(t, [2]string{"a", "b"}, v)
	})
	e.Once("foo", func(any) { t.Error("foo was never emitted") })
	require.Equal(t, []emitter.Change{{Topic: "hello", Listeners: 1}, {Topic: "foo", Listeners: 1}}, added)
	e.Emit("hello", [2]string{"a", "b"})
	require.Equal(t, 1, times)
}

// check-listener-leaks: the warning comes with the eleventh, or the limit set.
func TestNodeCheckListenerLeaks(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Logger: logger})
	for range 10 {
		e.On("default", func(any) {})
	}
	require.Zero(t, log.lines("default"))
	e.On("default", func(any) {})
	require.Equal(t, 1, log.lines("default"))

	e.SetMaxListeners(5)
	for range 5 {
		e.On("specific", func(any) {})
	}
	require.Zero(t, log.lines("specific"))
	e.On("specific", func(any) {})
	require.Equal(t, 1, log.lines("specific"))

	e.SetMaxListeners(0)
	for range 1000 {
		e.On("unlimited", func(any) {})
	}
	require.Zero(t, log.lines("unlimited"))
}

// listener-count: by name, once listeners included, strangers zero.
func TestNodeListenerCount(t *testing.T) {
	var e emitter.Emitter
	e.On("foo", func(any) {})
	e.On("foo", func(any) {})
	e.On("baz", func(any) {})
	e.Once("foo", func(any) {})
	require.Equal(t, 3, e.ListenerCount("foo"))
	require.Equal(t, 0, e.ListenerCount("bar"))
	require.Equal(t, 1, e.ListenerCount("baz"))
}

// listeners-side-effects: to ask for a name does not make it one.
func TestNodeAskingHasNoSideEffects(t *testing.T) {
	var e emitter.Emitter
	require.Zero(t, e.ListenerCount("foo"))
	require.Zero(t, e.RemoveAllListeners("foo"))
	require.False(t, e.Emit("foo", nil))
	_, err := e.Subscribe("foo", emitter.SubConfig{Queue: -1}, func(context.Context, any) error { return nil })
	require.Error(t, err)
	require.Empty(t, e.EventNames())
	e.On("foo", func(any) {})
	require.Equal(t, []string{"foo"}, e.EventNames())
}

// modify-in-emit: listeners added in an emit wait for the next, those removed are
// not called.
func TestNodeModifyInEmit(t *testing.T) {
	var e emitter.Emitter
	var calls []string
	var two, three *emitter.Sub
	callback3 := func(any) { calls = append(calls, "callback3"); three.Off() }
	callback2 := func(any) { calls = append(calls, "callback2"); two.Off() }
	var one *emitter.Sub
	one = e.On("foo", func(any) {
		calls = append(calls, "callback1")
		two = e.On("foo", callback2)
		three = e.On("foo", callback3)
		one.Off()
	})
	require.Equal(t, 1, e.ListenerCount("foo"))
	e.Emit("foo", nil)
	require.Equal(t, 2, e.ListenerCount("foo"))
	require.Equal(t, []string{"callback1"}, calls)
	e.Emit("foo", nil)
	require.Equal(t, 0, e.ListenerCount("foo"))
	require.Equal(t, []string{"callback1", "callback2", "callback3"}, calls)
	e.Emit("foo", nil)
	require.Len(t, calls, 3)

	e.On("foo", func(any) { e.RemoveAllListeners("foo") })
	e.On("foo", func(any) { t.Error("it was removed before its turn") })
	require.True(t, e.Emit("foo", nil))
	require.Equal(t, 0, e.ListenerCount("foo"))
}

// num-args: whatever the value, it comes as it is.
func TestNodeValuesComeAsTheyAre(t *testing.T) {
	var e emitter.Emitter
	var got []any
	e.On("numArgs", func(v any) { got = append(got, v) })
	want := []any{nil, 0, "", []int(nil), struct{}{}, errBoom, 300}
	for _, v := range want {
		e.Emit("numArgs", v)
	}
	require.Equal(t, want, got)
}

// once: one call, none after a removal, and it is gone before it runs.
func TestNodeOnce(t *testing.T) {
	var e emitter.Emitter
	times := 0
	e.Once("hello", func(v any) {
		times++
		require.Equal(t, "a", v)
		require.False(t, e.Emit("hello", "b"))
	})
	for range 4 {
		e.Emit("hello", "a")
	}
	require.Equal(t, 1, times)
	e.Once("foo", func(any) { t.Error("it was removed") }).Off()
	e.Emit("foo", nil)
}

// prepend: before those that are there, once as well.
func TestNodePrepend(t *testing.T) {
	var e emitter.Emitter
	i := 0
	e.On("foo", func(any) { require.Equal(t, 2, i); i++ })
	e.Prepend("foo", func(any) { require.Equal(t, 1, i); i++ })
	_, err := e.Subscribe("foo", emitter.SubConfig{Prepend: true, Once: true}, func(context.Context, any) error {
		require.Equal(t, 0, i)
		i++
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, e.EmitContext(t.Context(), "foo", nil))
	require.Equal(t, 3, i)
}

// remove-all-listeners: of a name, of all; the hook hears of each.
func TestNodeRemoveAllListeners(t *testing.T) {
	var removed []emitter.Change
	e := emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{
		OnUnsubscribe: func(c emitter.Change) { removed = append(removed, c) },
	}})
	e.On("foo", func(any) {})
	e.On("bar", func(any) {})
	e.On("baz", func(any) {})
	e.On("baz", func(any) {})
	e.OnAny(func(string, any) {})
	require.Equal(t, 2, e.RemoveAllListeners("baz"))
	require.Equal(t, []emitter.Change{{Topic: "baz", Listeners: 1}, {Topic: "baz", Listeners: 0}}, removed)
	require.Equal(t, []string{"bar", "foo"}, e.EventNames())
	require.Zero(t, e.RemoveAllListeners("baz"))
	require.Equal(t, 3, e.RemoveAllListeners())
	require.Empty(t, e.EventNames())
	require.False(t, e.Emit("foo", nil), "the listener of all is gone too")
}

// remove-listeners: one of equal functions, twice, inside of another, in the
// middle of an emit.
func TestNodeRemoveListeners(t *testing.T) {
	var removed int
	e := emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{
		OnUnsubscribe: func(emitter.Change) { removed++ },
	}})
	calls := 0
	listener := func(any) { calls++ }
	first := e.On("hello", listener)
	e.On("hello", listener)
	require.True(t, e.Off(first))
	require.False(t, e.Off(first))
	require.Equal(t, 1, removed)
	require.Equal(t, 1, e.ListenerCount("hello"))
	e.Emit("hello", nil)
	require.Equal(t, 1, calls)

	var second *emitter.Sub
	e.On("world", func(any) { second.Off() })
	second = e.On("world", func(any) { t.Error("it was removed before its turn") })
	e.Emit("world", nil)
	require.Equal(t, 1, e.ListenerCount("world"))
}

// A hook may change what it hears of: removed inside the hook of its addition.
func TestNodeChangeInsideTheHook(t *testing.T) {
	var log []string
	var e *emitter.Emitter
	e = emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{
		OnSubscribe: func(c emitter.Change) {
			log = append(log, "+"+c.Topic)
			if c.Topic == "a" {
				e.On("b", func(any) {})
				e.RemoveAllListeners("a")
			}
		},
		OnUnsubscribe: func(c emitter.Change) { log = append(log, "-"+c.Topic) },
	}})
	e.On("a", func(any) {})
	require.Equal(t, []string{"+a", "+b", "-a"}, log)
	require.Equal(t, []string{"b"}, e.EventNames())
}

// special-event-names: there are none but "error".
func TestNodeSpecialEventNames(t *testing.T) {
	var e emitter.Emitter
	names := []string{"", "*", "**", ".", "__proto__", "hasOwnProperty", "newListener", "toString", "\xff"}
	heard := 0
	for _, name := range names {
		require.False(t, e.Emit(name, 1))
		e.On(name, func(v any) { require.Equal(t, name, v); heard++ })
		require.True(t, e.Emit(name, name))
	}
	require.Equal(t, len(names), heard, "an emit of * reaches the name * alone")
	require.Len(t, e.EventNames(), len(names))
}

// errors: an "error" with nobody to take it is never silent. Node throws; here it
// is logged, or returned if there is somebody to return it to.
func TestNodeErrorWithoutListener(t *testing.T) {
	log, logger := newLogged()
	e := emitter.MustNewEmitter(emitter.Config{Logger: logger})
	require.False(t, e.Emit("error", errBoom))
	require.Equal(t, 1, log.lines("error event without a listener"))
	require.Contains(t, log.String(), "boom")
	require.Equal(t, errBoom, e.EmitContext(t.Context(), "error", errBoom))
	require.False(t, e.Emit("error", "not even an error"))
	require.NoError(t, e.EmitContext(t.Context(), "error", "not even an error"))

	var got []any
	e.On("error", func(v any) { got = append(got, v) })
	require.True(t, e.Emit("error", errBoom))
	require.NoError(t, e.EmitContext(t.Context(), "error", errBoom))
	require.Equal(t, []any{errBoom, errBoom}, got)
	require.Equal(t, 2, log.lines("error event"))
}

// error-monitor: a hook sees all failures, and takes none from the listeners.
func TestNodeErrorMonitor(t *testing.T) {
	var monitor []error
	e := emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{OnError: func(err error) { monitor = append(monitor, err) }}})
	e.OnErr("data", func(context.Context, any) error { return errBoom })
	e.Emit("data", 1)
	var got []any
	e.On("error", func(v any) { got = append(got, v) })
	e.Emit("data", 1)
	require.Equal(t, []error{errBoom, errBoom}, monitor)
	require.Equal(t, []any{errBoom}, got)
	require.EqualValues(t, 2, e.Stats().Failures)
}

// events-once: the value, an abort before and during, and no listener left.
func TestNodeEventsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e emitter.Emitter
		go func() {
			synctest.Wait()
			e.Emit("myevent", 41)
			e.Emit("myevent", 42)
		}()
		v, err := e.Wait(t.Context(), "myevent", nil)
		require.NoError(t, err)
		require.Equal(t, 41, v)
		require.Zero(t, e.ListenerCount("myevent"))

		aborted, abort := context.WithCancelCause(t.Context())
		reason := errors.New("reason")
		go func() {
			synctest.Wait()
			abort(reason)
		}()
		for range 2 {
			_, err = e.Wait(aborted, "myevent", nil)
			require.ErrorIs(t, err, reason)
			require.Empty(t, e.EventNames())
		}
		// An abort after the event changes nothing.
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			e.Emit("myevent", 43)
			cancel()
		}()
		v, err = e.Wait(ctx, "myevent", nil)
		require.NoError(t, err)
		require.Equal(t, 43, v)
	})
}

// events-on-async-iterator: values in order, a break and an abort clean up.
func TestNodeEventsOnAsyncIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e emitter.Emitter
		go func() {
			synctest.Wait()
			e.Emit("foo", "bar")
			e.Emit("bar", 24) // not this name
			e.Emit("foo", 42)
		}()
		var got []any
		for v := range e.Events(t.Context(), "foo") {
			if got = append(got, v); v == 42 {
				break
			}
		}
		require.Equal(t, []any{"bar", 42}, got)
		require.Zero(t, e.ListenerCount("foo"))

		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			e.Emit("foo", 1)
			synctest.Wait()
			cancel()
		}()
		for range e.Events(ctx, "foo") {
			require.Equal(t, 1, e.ListenerCount("foo"))
		}
		require.Zero(t, e.ListenerCount("foo"))
	})
}
