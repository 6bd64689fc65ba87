package emitter_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

var errCause = errors.New("cause")

// entries are the ways in that take a ctx and may wait. The topic has a listener
// that blocks as soon as one event is in its hand and one in its queue.
var entries = map[string]func(context.Context, *emitter.Topic[int]) error{
	"EmitContext": func(ctx context.Context, t *emitter.Topic[int]) error { return t.EmitContext(ctx, 1) },
	"Wait": func(ctx context.Context, t *emitter.Topic[int]) error {
		_, err := t.Wait(ctx, nil)
		return err
	},
}

// stuck returns a topic on which an EmitContext waits until release is called.
func stuck(t *testing.T) (topic *emitter.Topic[int], sub *emitter.Sub, release func()) {
	topic = new(emitter.Topic[int])
	hang := make(chan struct{})
	sub, err := topic.Subscribe(emitter.SubConfig{Async: true, Queue: 1}, func(context.Context, int) error {
		<-hang
		return nil
	})
	require.NoError(t, err)
	topic.Emit(1)
	synctest.Wait()
	topic.Emit(2)
	return topic, sub, sync.OnceFunc(func() { close(hang) })
}

// Done before the call: no listener is called, and nobody waits.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	topic := new(emitter.Topic[int])
	topic.On(func(int) { t.Error("called") })
	var e emitter.Emitter
	e.On("x", func(any) { t.Error("called") })
	for name, enter := range entries {
		require.Equal(t, context.Canceled, enter(ctx, topic), name)
	}
	require.Equal(t, context.Canceled, e.EmitContext(ctx, "x", 1))
	_, err := e.Wait(ctx, "x", nil)
	require.Equal(t, context.Canceled, err)
	for range topic.Events(ctx) {
		t.Error("an event")
	}
	require.Equal(t, 1, topic.Len())
	require.Equal(t, context.Canceled, emitter.Import(ctx, nil, "s", emitter.JSON[int](), topic))
}

// Done while waiting: prompt return, and nothing is left behind.
func TestContractDoneWhileWaiting(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topic, sub, release := stuck(t)
				ctx, cancel := context.WithCancel(t.Context())
				var err error
				go func() { err = enter(ctx, topic) }()
				synctest.Wait()
				require.NoError(t, err)
				start := time.Now()
				cancel()
				synctest.Wait()
				require.Equal(t, context.Canceled, err)
				require.Zero(t, time.Since(start))
				require.Equal(t, 1, topic.Len())
				require.Equal(t, 1, sub.Stats().Queued)
				release()
				require.NoError(t, sub.Drain(t.Context()))
			})
		})
	}
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topic, sub, release := stuck(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				var err error
				go func() { err = enter(ctx, topic) }()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				err = enter(ctx, topic)
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)

				late, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				require.Equal(t, context.DeadlineExceeded, enter(late, topic))
				release()
				require.NoError(t, sub.Close())
			})
		})
	}
}

// What a listener has returned before ctx was done is matched as well.
func TestContractErrorMatchesListenersToo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	topic := new(emitter.Topic[int])
	topic.OnErr(func(context.Context, int) error { cancel(errCause); return errBoom })
	topic.On(func(int) { t.Error("called") })
	err := topic.EmitContext(ctx, 1)
	for _, target := range []error{errBoom, errCause, context.Canceled} {
		require.ErrorIs(t, err, target)
	}
}

type key struct{}

// A synchronous listener's ctx is the caller's.
func TestContractFnContextDerives(t *testing.T) {
	ctx := context.WithValue(t.Context(), key{}, "v")
	topic := new(emitter.Topic[int])
	var e emitter.Emitter
	seen := 0
	look := func(ctx context.Context) error {
		require.Equal(t, "v", ctx.Value(key{}))
		seen++
		return nil
	}
	topic.OnErr(func(ctx context.Context, _ int) error { return look(ctx) })
	_, err := topic.Subscribe(emitter.SubConfig{Track: true, Once: true}, func(ctx context.Context, _ int) error { return look(ctx) })
	require.NoError(t, err)
	e.OnErr("x", func(ctx context.Context, _ any) error { return look(ctx) })
	_, err = e.SubscribeMatch("*", emitter.SubConfig{}, func(ctx context.Context, _ emitter.Event) error { return look(ctx) })
	require.NoError(t, err)
	require.NoError(t, topic.EmitContext(ctx, 1))
	require.NoError(t, e.EmitContext(ctx, "x", 1))
	require.Equal(t, 4, seen)
}

// Cancelling one emit leaves others, and the asynchronous listener, alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := new(emitter.Topic[int])
		var got []int
		hang := make(chan struct{})
		sub, err := topic.Subscribe(emitter.SubConfig{Async: true, Queue: 1}, func(ctx context.Context, v int) error {
			<-hang
			require.NoError(t, ctx.Err())
			got = append(got, v)
			return nil
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, topic.EmitContext(ctx, 1))
		synctest.Wait()
		require.NoError(t, topic.EmitContext(ctx, 2))
		var first, second error
		go func() { first = topic.EmitContext(ctx, 3) }()
		synctest.Wait()
		go func() { second = topic.EmitContext(context.Background(), 4) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, first)
		close(hang)
		synctest.Wait()
		require.NoError(t, second)
		require.NoError(t, sub.Drain(t.Context()))
		require.Equal(t, []int{1, 2, 4}, got)
		require.EqualValues(t, 1, sub.Stats().Dropped)
	})
}

// A listener's error comes back as it is, also one of the package's own.
func TestContractFnErrorUnwrapped(t *testing.T) {
	for _, want := range []error{errBoom, emitter.ErrClosed, context.Canceled} {
		topic := new(emitter.Topic[int])
		topic.OnErr(func(context.Context, int) error { return want })
		require.Equal(t, want, topic.EmitContext(t.Context(), 1))
		var e emitter.Emitter
		e.OnErr("x", func(context.Context, any) error { return want })
		require.Equal(t, want, e.EmitContext(t.Context(), "x", 1))
	}
}

// A panic is an error of the emit, since one listener must not take the others
// and the emitter down; a Goexit passes through, after the others had the event.
func TestContractPanicAndGoexit(t *testing.T) {
	var failures []error
	topic := quiet[int](&failures)
	var after atomic.Int64
	topic.On(func(v int) {
		switch v {
		case 1:
			panic(errBoom)
		case 2:
			runtime.Goexit()
		}
	})
	_, err := topic.Subscribe(emitter.SubConfig{Track: true}, func(_ context.Context, v int) error {
		if v == 3 {
			runtime.Goexit()
		}
		after.Add(1)
		return nil
	})
	require.NoError(t, err)
	topic.On(func(int) { after.Add(1) })

	require.True(t, topic.Emit(1))
	require.EqualValues(t, 2, after.Swap(0))
	var p *emitter.PanicError
	require.ErrorAs(t, failures[0], &p)
	require.Contains(t, string(p.Stack), "TestContractPanicAndGoexit")
	require.Contains(t, p.Listener, "contract_test.go:")
	err = topic.EmitContext(t.Context(), 1)
	require.ErrorIs(t, err, errBoom)
	require.EqualValues(t, 2, after.Swap(0))

	emits := map[string]func(v int){
		"Emit":        func(v int) { topic.Emit(v) },
		"EmitContext": func(v int) { _ = topic.EmitContext(t.Context(), v) },
	}
	for name, emit := range emits {
		for v, want := range map[int]int64{2: 2, 3: 1} {
			returned := false
			var wg sync.WaitGroup
			wg.Go(func() {
				emit(v)
				returned = true
			})
			wg.Wait()
			require.False(t, returned, name)
			require.Equal(t, want, after.Swap(0), name)
		}
	}
	require.NoError(t, topic.Close(), "the call that went away is not waited for")
}

// Close may be called again, and by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	topic := new(emitter.Topic[int])
	e := new(emitter.Emitter)
	sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(context.Context, int) error { return nil })
	require.NoError(t, err)
	e.On("x", func(any) {})
	topic.Emit(1)
	var wg sync.WaitGroup
	for range 8 {
		for _, closer := range []interface{ Close() error }{sub, topic, e} {
			wg.Go(func() {
				if err := closer.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
	}
	wg.Wait()
	for _, drainer := range []interface{ Drain(context.Context) error }{sub, topic, e} {
		require.NoError(t, drainer.Drain(t.Context()))
	}
}

// After Close and after Drain every way in is refused.
func TestContractClosedRefuses(t *testing.T) {
	closed, drained := new(emitter.Topic[int]), new(emitter.Topic[int])
	require.NoError(t, closed.Close())
	require.NoError(t, drained.Drain(t.Context()))
	fail := func(int) { t.Error("called") }
	for _, topic := range []*emitter.Topic[int]{closed, drained} {
		for name, enter := range entries {
			require.Equal(t, emitter.ErrClosed, enter(t.Context(), topic), name)
		}
		_, err := topic.Subscribe(emitter.SubConfig{}, func(context.Context, int) error { return nil })
		require.Equal(t, emitter.ErrClosed, err)
		for _, sub := range []*emitter.Sub{topic.On(fail), topic.Once(fail), topic.Prepend(fail).Until(t.Context())} {
			require.False(t, sub.Active())
			require.False(t, sub.Off())
			require.NoError(t, sub.Close())
			require.NoError(t, sub.Drain(t.Context()))
			require.Equal(t, emitter.SubStats{}, sub.Stats())
		}
		require.False(t, topic.Emit(1))
		for range topic.Events(t.Context()) {
			t.Error("an event")
		}
		_, err = emitter.Export(topic, nil, "s", emitter.JSON[int](), emitter.SubConfig{})
		require.Equal(t, emitter.ErrClosed, err)
	}

	e := new(emitter.Emitter)
	require.NoError(t, e.Close())
	require.False(t, e.On("x", func(any) {}).Active())
	require.False(t, e.OnAny(func(string, any) {}).Active())
	require.False(t, e.Emit("x", 1))
	require.Equal(t, emitter.ErrClosed, e.EmitContext(t.Context(), "x", 1))
	_, err := e.Wait(t.Context(), "x", nil)
	require.Equal(t, emitter.ErrClosed, err)
	_, err = emitter.Named[int](e, "x")
	require.Equal(t, emitter.ErrClosed, err)
	_, err = e.OnMatch("x", func(string, any) {})
	require.Equal(t, emitter.ErrClosed, err)
	for range e.Events(t.Context(), "x") {
		t.Error("an event")
	}
}

// At its deadline Drain gives up, drops what waits and says how much that was;
// the listener's ctx is cancelled, so that it can end.
func TestContractDrainDeadline(t *testing.T) {
	drains := map[string]func(context.Context, *emitter.Topic[int], *emitter.Sub) error{
		"emitter: orders: drain left 2 events and a call in flight: context deadline exceeded: cause":    func(ctx context.Context, _ *emitter.Topic[int], s *emitter.Sub) error { return s.Drain(ctx) },
		"emitter: orders: drain left 2 events and 1 listeners at work: context deadline exceeded: cause": func(ctx context.Context, t *emitter.Topic[int], _ *emitter.Sub) error { return t.Drain(ctx) },
	}
	for want, drain := range drains {
		synctest.Test(t, func(t *testing.T) {
			topic := emitter.MustNew[int](emitter.Config{Name: "orders"})
			ended := make(chan struct{})
			sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(ctx context.Context, _ int) error {
				<-ctx.Done()
				close(ended)
				return nil
			})
			require.NoError(t, err)
			for v := range 3 {
				topic.Emit(v)
				synctest.Wait()
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
			defer cancel()
			err = drain(ctx, topic, sub)
			require.EqualError(t, err, want)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errCause)
			<-ended
			synctest.Wait()
			require.Equal(t, emitter.SubStats{Queue: 1024, Delivered: 1, Dropped: 2}, sub.Stats())
			require.NoError(t, drain(ctx, topic, sub), "with nothing left to wait for, a done ctx is no failure")
		})
	}
}
