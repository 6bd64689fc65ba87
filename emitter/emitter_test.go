package emitter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

func TestBadConfigNamesTheField(t *testing.T) {
	for want, cfg := range map[string]emitter.Config{
		"emitter: Config.MaxListeners is -1, want ≥ 0": {MaxListeners: -1},
		"emitter: Config.SlowAfter is -1s, want ≥ 0":   {SlowAfter: -time.Second},
	} {
		_, err := emitter.New[int](cfg)
		require.EqualError(t, err, want)
		_, err = emitter.NewEmitter(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { emitter.MustNew[int](cfg) })
		require.PanicsWithValue(t, want, func() { emitter.MustNewEmitter(cfg) })
	}
}

func TestBadSubConfigNamesTheField(t *testing.T) {
	var topic emitter.Topic[int]
	var e emitter.Emitter
	view, err := emitter.Named[int](&e, "x")
	require.NoError(t, err)
	refused := map[string]emitter.SubConfig{
		"emitter: SubConfig.Queue is -1, want ≥ 0":                              {Queue: -1},
		"emitter: SubConfig.Queue is 3, want 0 without Async":                   {Queue: 3},
		"emitter: SubConfig.Overflow is Fail, want zero without Async":          {Overflow: emitter.Fail},
		"emitter: SubConfig.Overflow is Overflow(9), want one of the constants": {Overflow: 9, Async: true},
		"emitter: SubConfig.Queue is 2, want 0 or 1 with Latest":                {Queue: 2, Overflow: emitter.Latest, Async: true},
		"emitter: SubConfig.Queue is 1, want 0 with Unbounded":                  {Queue: 1, Overflow: emitter.Unbounded, Async: true},
	}
	if beyond := math.MaxInt32; strconv.IntSize > 32 {
		refused["emitter: SubConfig.Priority is 2147483648, want -2147483648 to 2147483647"] = emitter.SubConfig{Priority: beyond + 1}
	}
	for want, cfg := range refused {
		_, err := topic.Subscribe(cfg, func(context.Context, int) error { return nil })
		require.EqualError(t, err, want)
		_, err = e.Subscribe("x", cfg, func(context.Context, any) error { return nil })
		require.EqualError(t, err, want)
		_, err = view.Subscribe(cfg, func(context.Context, int) error { return nil })
		require.EqualError(t, err, want)
		_, err = e.SubscribeMatch("*", cfg, func(context.Context, emitter.Event) error { return nil })
		require.EqualError(t, err, want)
	}
	require.Zero(t, topic.Len())
	require.False(t, e.Emit("y", 1), "no pattern is left behind")
}

func TestNilFunctionsPanic(t *testing.T) {
	var topic emitter.Topic[int]
	var e emitter.Emitter
	view, err := emitter.Named[int](&e, "x")
	require.NoError(t, err)
	for name, call := range map[string]func(){
		"On":                     func() { topic.On(nil) },
		"Once":                   func() { topic.Once(nil) },
		"Prepend":                func() { topic.Prepend(nil) },
		"OnErr":                  func() { topic.OnErr(nil) },
		"Subscribe":              func() { _, _ = topic.Subscribe(emitter.SubConfig{}, nil) },
		"Emitter.On":             func() { e.On("x", nil) },
		"Emitter.OnErr":          func() { e.OnErr("x", nil) },
		"Emitter.Subscribe":      func() { _, _ = e.Subscribe("x", emitter.SubConfig{}, nil) },
		"Emitter.OnAny":          func() { e.OnAny(nil) },
		"Emitter.SubscribeMatch": func() { _, _ = e.SubscribeMatch("x", emitter.SubConfig{}, nil) },
		"View.On":                func() { view.On(nil) },
		"View.Subscribe":         func() { _, _ = view.Subscribe(emitter.SubConfig{}, nil) },
	} {
		require.PanicsWithValue(t, "emitter: fn is nil", call, name)
	}
}

func TestVetoEndsTheEmit(t *testing.T) {
	var failures []error
	topic := quiet[int](&failures)
	topic.OnErr(func(_ context.Context, v int) error {
		switch v {
		case 1:
			return emitter.ErrStop
		case 2:
			return fmt.Errorf("order %d is paid: %w", v, emitter.ErrStop)
		}
		return nil
	})
	calls := 0
	topic.On(func(int) { calls++ })
	require.NoError(t, topic.EmitContext(t.Context(), 1))
	require.True(t, topic.Emit(1))
	require.Zero(t, calls)
	require.Empty(t, failures, "a veto is no failure")

	err := topic.EmitContext(t.Context(), 2)
	require.ErrorIs(t, err, emitter.ErrStop)
	require.EqualError(t, err, "order 2 is paid: emitter: stop")
	require.Zero(t, calls)
	topic.Emit(2)
	require.Len(t, failures, 2)
	require.NoError(t, topic.EmitContext(t.Context(), 3))
	require.Equal(t, 1, calls)

	var e emitter.Emitter
	e.OnErr("x", func(context.Context, any) error { return emitter.ErrStop })
	e.OnAny(func(string, any) { t.Error("called") })
	require.True(t, e.Emit("x", 1), "it holds for the patterns too")
}

func TestAllErrorsAreReturned(t *testing.T) {
	var topic emitter.Topic[int]
	other := errors.New("other")
	topic.OnErr(func(context.Context, int) error { return errBoom })
	topic.On(func(int) { panic(other) })
	topic.OnErr(func(context.Context, int) error { return errCause })
	err := topic.EmitContext(t.Context(), 1)
	for _, want := range []error{errBoom, other, errCause} {
		require.ErrorIs(t, err, want)
	}
	require.EqualValues(t, 3, topic.Stats().Failures)
}

func TestHookThatPanicsIsLoggedAndJoined(t *testing.T) {
	log, logger := newLogged()
	topic := emitter.MustNew[int](emitter.Config{Name: "t", Logger: logger, Hooks: emitter.Hooks{OnError: func(error) { panic("hook down") }}})
	topic.On(func(int) { panic(errBoom) })
	require.True(t, topic.Emit(1))
	require.Equal(t, 1, log.lines("hook down\""))
	err := topic.EmitContext(t.Context(), 1)
	require.ErrorIs(t, err, errBoom)
	require.ErrorContains(t, err, "Hooks.OnError panicked: hook down")
}

// The hooks hear of changes in their order, one at a time, also when many
// goroutines make them: what starts with the first listener and stops with the
// last is right in the end.
func TestHooksHearOfChangesInOrder(t *testing.T) {
	var log []emitter.Change
	inside := false
	hook := func(c emitter.Change) {
		require.False(t, inside)
		inside = true
		log = append(log, c)
		runtime.Gosched()
		inside = false
	}
	topic := emitter.MustNew[int](emitter.Config{Name: "t", Hooks: emitter.Hooks{OnSubscribe: hook, OnUnsubscribe: hook}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				topic.On(func(int) {}).Off()
			}
		})
	}
	wg.Wait()
	require.Len(t, log, 800)
	before := 0
	for _, c := range log {
		require.Equal(t, "t", c.Topic)
		require.Contains(t, []int{before - 1, before + 1}, c.Listeners)
		before = c.Listeners
	}
	require.Zero(t, before)
}

func TestHookPanicPassesThroughAndLosesNoChange(t *testing.T) {
	var log []string
	topic := emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{
		OnSubscribe: func(c emitter.Change) {
			log = append(log, c.Listener)
			if c.Listener == "a" {
				panic("hook")
			}
		},
	}})
	add := func(name string) {
		_, err := topic.Subscribe(emitter.SubConfig{Name: name}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
	}
	require.PanicsWithValue(t, "hook", func() { add("a") })
	add("b")
	require.Equal(t, []string{"a", "b"}, log)
}

func TestStatsAreJSON(t *testing.T) {
	topic := emitter.MustNew[int](emitter.Config{Name: "orders"})
	sub, err := topic.Subscribe(emitter.SubConfig{Name: "s", Async: true, Queue: 3}, func(context.Context, int) error { return nil })
	require.NoError(t, err)
	text, err := json.Marshal(topic.Stats())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"orders","names":1,"listeners":1,"queued":0,"failures":0}`, string(text))
	text, err = json.Marshal(sub.Stats())
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"s","queue":3,"queued":0,"delivered":0,"dropped":0}`, string(text))
	require.Equal(t, "Overflow(-1)", emitter.Overflow(-1).String())

	var e emitter.Emitter
	e.On("a", func(any) {})
	e.On("b", func(any) {})
	e.OnAny(func(string, any) {})
	require.Equal(t, emitter.Stats{Names: 2, Listeners: 3}, e.Stats())
}

func TestPatterns(t *testing.T) {
	var e emitter.Emitter
	var got []string
	add := func(pattern string) *emitter.Sub {
		sub, err := e.OnMatch(pattern, func(event string, _ any) { got = append(got, pattern+" "+event) })
		require.NoError(t, err)
		return sub
	}
	all := e.OnAny(func(event string, _ any) { got = append(got, "any "+event) })
	star, rest, exact := add("order.*"), add("order.**"), add("order.created")
	e.On("order.created", func(v any) { got = append(got, "own") })

	require.True(t, e.Emit("order.created", 1))
	require.Equal(t, []string{"own", "any order.created", "order.* order.created", "order.** order.created", "order.created order.created"}, got)
	got = nil
	require.True(t, e.Emit("order", 1), "nobody listens to that name, patterns do")
	require.Equal(t, []string{"any order", "order.** order"}, got)
	got = nil
	require.NoError(t, e.EmitContext(t.Context(), "order.item.added", 1))
	require.Equal(t, []string{"any order.item.added", "order.** order.item.added"}, got)
	require.Equal(t, []string{"order.created"}, e.EventNames())

	for _, sub := range []*emitter.Sub{all, star, rest, exact} {
		require.True(t, sub.Off())
	}
	got = nil
	require.False(t, e.Emit("order", 1))
	require.True(t, e.Emit("order.created", 1))
	require.Equal(t, []string{"own"}, got)

	for pattern, want := range map[string]string{
		"**.x": `emitter: pattern "**.x" has ** in part 1, want it last`,
		"a.b*": `emitter: pattern "a.b*" has "b*" in part 2, want * or ** alone`,
	} {
		_, err := e.OnMatch(pattern, func(string, any) {})
		require.EqualError(t, err, want)
	}
}

// A name that is emitted and has no listener leaves nothing behind, nor does one
// whose listeners have gone.
func TestNamesAreForgotten(t *testing.T) {
	var e emitter.Emitter
	e.OnAny(func(string, any) {})
	grown := func(use func(name string)) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 20000 {
			use("name " + strconv.Itoa(i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if after.HeapAlloc < before.HeapAlloc {
			return 0
		}
		return after.HeapAlloc - before.HeapAlloc
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, use := range map[string]func(string){
		"emit":    func(name string) { e.Emit(name, 1) },
		"on, off": func(name string) { e.On(name, func(any) {}).Off() },
		"once":    func(name string) { e.Once(name, func(any) {}); e.Emit(name, 1) },
		"pattern": func(name string) {
			sub, err := e.OnMatch(name, func(string, any) {})
			require.NoError(t, err)
			sub.Off()
		},
		"wait": func(name string) { _, _ = e.Wait(ctx, name, nil) },
	} {
		require.Less(t, grown(use), uint64(1<<20), what)
	}
	require.True(t, e.Emit("still there", 1))
}

func TestNamedTiesANameToAType(t *testing.T) {
	var failures []error
	e := emitter.MustNewEmitter(emitter.Config{Hooks: emitter.Hooks{OnError: func(err error) { failures = append(failures, err) }}})
	var got []any
	e.On("n", func(v any) { got = append(got, v) })
	view, err := emitter.Named[int](e, "n")
	require.NoError(t, err)
	again, err := emitter.Named[int](e, "n")
	require.NoError(t, err)
	_, err = emitter.Named[string](e, "n")
	require.Equal(t, &emitter.TypeError{Name: "n", Want: "int", Got: "string"}, err)
	require.ErrorIs(t, err, emitter.ErrType)

	view.On(func(v int) { got = append(got, v+1) })
	again.Prepend(func(v int) { got = append(got, v-1) })
	view.Once(func(v int) { got = append(got, v*10) })
	sub, err := view.Subscribe(emitter.SubConfig{Name: "last", Priority: -1}, func(_ context.Context, v int) error {
		got = append(got, -v)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "last", sub.Stats().Name)
	require.Equal(t, 5, view.Len())
	require.True(t, view.Emit(7))
	require.Equal(t, []any{6, 7, 8, 70, -7}, got)

	got = nil
	require.True(t, e.Emit("n", 1))
	require.Equal(t, []any{0, 1, 2, -1}, got)
	got = nil
	require.False(t, e.Emit("n", "one"))
	require.EqualError(t, e.EmitContext(t.Context(), "n", nil), "emitter: n: wrong type nil, want int")
	require.Empty(t, got)
	require.Len(t, failures, 2)
	require.ErrorIs(t, failures[0], emitter.ErrType)

	view.OnErr(func(context.Context, int) error { return errBoom })
	require.ErrorIs(t, view.EmitContext(t.Context(), 1), errBoom)
	e.RemoveAllListeners()
	require.False(t, view.Emit(1))
	_, err = emitter.Named[string](e, "n")
	require.Error(t, err, "a type is for good")

	errs, err := emitter.Named[error](e, "error")
	require.NoError(t, err)
	var heard []error
	errs.On(func(err error) { heard = append(heard, err) })
	e.On("x", func(any) { panic(errBoom) })
	e.Emit("x", 1)
	e.Emit("error", nil) // an interface may be nil
	require.Len(t, heard, 2)
	require.ErrorIs(t, heard[0], errBoom)
	require.NoError(t, heard[1])
}

func TestNamedWaitAndEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e emitter.Emitter
		view, err := emitter.Named[int](&e, "n")
		require.NoError(t, err)
		feed := func() {
			synctest.Wait()
			for v := range 5 {
				view.Emit(v)
			}
		}
		go feed()
		v, err := view.Wait(t.Context(), func(v int) bool { return v == 3 })
		require.NoError(t, err)
		require.Equal(t, 3, v)
		go feed()
		var got []int
		for v := range view.Events(t.Context()) {
			if got = append(got, v); v == 4 {
				break
			}
		}
		require.Equal(t, []int{0, 1, 2, 3, 4}, got)
		require.Zero(t, view.Len())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err = view.Wait(ctx, nil)
		require.Equal(t, context.Canceled, err)
		require.Zero(t, v)
	})
}

// Goexit in a listener of a name, and in one of a pattern, keeps nobody from the
// event.
func TestGoexitReachesThePatterns(t *testing.T) {
	var e emitter.Emitter
	calls := 0
	e.On("x", func(any) { runtime.Goexit() })
	e.On("x", func(any) { calls++ })
	for _, pattern := range []string{"*", "**", "x"} {
		_, err := e.OnMatch(pattern, func(string, any) {
			if calls++; pattern == "*" {
				runtime.Goexit()
			}
		})
		require.NoError(t, err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { e.Emit("x", 1) })
	wg.Wait()
	require.Equal(t, 4, calls)
	wg.Go(func() { e.Emit("y", 1) })
	wg.Wait()
	require.Equal(t, 6, calls)
}

func TestEmitterDrainAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emitter.MustNewEmitter(emitter.Config{Name: "bus"})
		var handled atomic.Int64
		slow := func(context.Context, any) error { time.Sleep(time.Second); handled.Add(1); return nil }
		_, err := e.Subscribe("a", emitter.SubConfig{Async: true}, slow)
		require.NoError(t, err)
		_, err = e.SubscribeMatch("**", emitter.SubConfig{Async: true}, func(ctx context.Context, ev emitter.Event) error { return slow(ctx, ev) })
		require.NoError(t, err)
		for range 3 {
			e.Emit("a", 1)
		}
		require.NoError(t, e.Drain(t.Context()))
		require.EqualValues(t, 6, handled.Load())
		require.False(t, e.Emit("a", 1))
		require.NoError(t, e.Close())
	})
	synctest.Test(t, func(t *testing.T) {
		e := emitter.MustNewEmitter(emitter.Config{Name: "bus"})
		for _, name := range []string{"a", "b"} {
			_, err := e.Subscribe(name, emitter.SubConfig{Async: true}, func(ctx context.Context, _ any) error { <-ctx.Done(); return nil })
			require.NoError(t, err)
			for range 3 {
				e.Emit(name, 1)
				synctest.Wait()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.EqualError(t, e.Drain(ctx), "emitter: bus: drain left 4 events and 2 listeners at work: context deadline exceeded")
		require.NoError(t, e.Close())
	})
}

// A match that panics is a failure like any other, and the wait goes on.
func TestWaitWithAMatchThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []error
		topic := quiet[int](&failures)
		go func() {
			synctest.Wait()
			for v := range 3 {
				topic.Emit(v)
			}
		}()
		v, err := topic.Wait(t.Context(), func(v int) bool {
			if v == 0 {
				panic(errBoom)
			}
			return v == 2
		})
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.Len(t, failures, 1)
		require.ErrorContains(t, failures[0], "emitter_test.go:")
	})
}
