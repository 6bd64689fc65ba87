//go:build !race

package emitter_test

import (
	"context"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

func TestEmitDoesNotAllocate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var topic emitter.Topic[int]
	var e emitter.Emitter
	for range 10 {
		topic.On(func(int) {})
		topic.OnErr(func(context.Context, int) error { return nil })
		e.On("x", func(any) {})
	}
	_, err := topic.Subscribe(emitter.SubConfig{Track: true}, func(context.Context, int) error { return nil })
	require.NoError(t, err)
	e.OnAny(func(string, any) {})
	type box struct{ _ int }
	view, err := emitter.Named[*box](&e, "y")
	require.NoError(t, err)
	view.On(func(*box) {})
	value := new(box)
	for name, emit := range map[string]func(){
		"Emit":                 func() { topic.Emit(1) },
		"EmitContext":          func() { _ = topic.EmitContext(ctx, 1) },
		"Emitter.Emit":         func() { e.Emit("x", 1) },
		"Emitter.EmitContext":  func() { _ = e.EmitContext(ctx, "x", 1) },
		"Emitter.Emit, nobody": func() { e.Emit("nobody", 1) },
		"View.Emit":            func() { view.Emit(value) },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, emit), name)
	}
}

// An asynchronous emit allocates while its queue and what empties it grow to
// their size, and then no more.
func TestAsyncEmitDoesNotAllocate(t *testing.T) {
	var topic emitter.Topic[int]
	done := make(chan struct{}, 1)
	sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(context.Context, int) error {
		done <- struct{}{}
		return nil
	})
	require.NoError(t, err)
	one := func() { topic.Emit(1); <-done }
	for range 1000 {
		one()
	}
	require.Less(t, testing.AllocsPerRun(1000, one), 0.5)
	require.NoError(t, sub.Drain(t.Context()))
}

func TestOnAllocatesOnce(t *testing.T) {
	var topic emitter.Topic[int]
	fn := func(int) {}
	for range 100 {
		topic.On(fn)
	}
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { topic.On(fn).Off() }), 1.5)
	require.LessOrEqual(t, unsafe.Sizeof(emitter.Sub{}), uintptr(56))
}
