package emitter_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// The tests of this file are what other event packages for Go get wrong, each as
// the behaviour that is right.

// A publish or a subscription inside a handler hung for ever.
func TestPeerEmitAndSubscribeInsideAListenerDoNotHang(t *testing.T) {
	var e emitter.Emitter
	var calls []string
	e.Once("a", func(any) {
		e.On("a", func(any) { calls = append(calls, "a") })
		e.Emit("a", nil)
		e.Emit("b", nil)
	})
	e.On("b", func(any) { calls = append(calls, "b") })
	e.Emit("a", nil)
	require.Equal(t, []string{"a", "b"}, calls)
}

// Two once and one permanent listener, three events: calls were 1, 2 and 1.
func TestPeerOnceBesideOnceKeepsThePermanent(t *testing.T) {
	var topic emitter.Topic[int]
	var calls [3]int
	topic.Once(func(int) { calls[0]++ })
	topic.Once(func(int) { calls[1]++ })
	topic.On(func(int) { calls[2]++ })
	for v := range 3 {
		topic.Emit(v)
	}
	require.Equal(t, [3]int{1, 1, 3}, calls)
}

// An unsubscription of a stranger was reported as done.
func TestPeerOffOfAStrangerChangesNothing(t *testing.T) {
	var a, b emitter.Emitter
	a.On("x", func(any) {})
	stranger := b.On("x", func(any) {})
	require.True(t, a.Off(stranger), "a handle knows where it belongs")
	require.Equal(t, 1, a.ListenerCount("x"))
	require.Zero(t, b.ListenerCount("x"))
	require.False(t, a.Off(stranger))
}

// Events waited for a tick: a millisecond of latency.
func TestPeerAsyncDeliveryNeedsNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topic emitter.Topic[time.Time]
		var late time.Duration
		_, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(_ context.Context, at time.Time) error {
			late += time.Since(at)
			return nil
		})
		require.NoError(t, err)
		for range 100 {
			topic.Emit(time.Now())
			synctest.Wait()
		}
		require.Zero(t, late)
	})
}

// Listeners' goroutines were left after cancel and Close, and after a dropped
// bus: goleak, in TestMain, watches over these.
func TestPeerNoGoroutinesAreLeft(t *testing.T) {
	for range 50 {
		var topic emitter.Topic[int]
		sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
		topic.Emit(1)
		if rand.IntN(2) == 0 {
			require.NoError(t, sub.Close())
		}
	}
}

// An emit to a listener that does not read made On hang, as a lock was held.
func TestPeerOnWhileAnEmitIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic, sub, release := stuck(t)
		go topic.Emit(3)
		synctest.Wait()
		topic.On(func(int) {}).Off()
		require.Equal(t, 1, topic.Len())
		require.Equal(t, 1, topic.Stats().Queued)
		release()
		require.NoError(t, sub.Drain(t.Context()))
	})
}

// A removal swapped the last listener into the gap.
func TestPeerOffKeepsTheOrder(t *testing.T) {
	for _, n := range []int{4, 50} {
		var topic emitter.Topic[int]
		var got []int
		subs := make(map[int]*emitter.Sub)
		for i := range n {
			subs[i] = topic.On(func(int) { got = append(got, i) })
		}
		var want []int
		for i := range n {
			if i%3 == 0 || i < n/2 {
				subs[i].Off()
			} else {
				want = append(want, i)
			}
		}
		topic.Emit(1)
		require.Equal(t, want, got)
	}
}

// Error listeners were skipped by a plain emit.
func TestPeerEmitCallsListenersOfAllKinds(t *testing.T) {
	var failures []error
	topic := quiet[int](&failures)
	var calls []string
	topic.On(func(int) { calls = append(calls, "on") })
	topic.OnErr(func(ctx context.Context, _ int) error {
		calls = append(calls, "onerr")
		require.NotNil(t, ctx)
		return errBoom
	})
	_, err := topic.Subscribe(emitter.SubConfig{Track: true}, func(context.Context, int) error {
		calls = append(calls, "subscribe")
		return nil
	})
	require.NoError(t, err)
	require.True(t, topic.Emit(1))
	require.Equal(t, []string{"on", "onerr", "subscribe"}, calls)
	require.Equal(t, []error{errBoom}, failures)
}

// Re-entrant fires hung when the lock was on, and raced with On all the same.
func TestPeerReentrantEmitUnderConcurrentOn(t *testing.T) {
	var e emitter.Emitter
	var calls atomic.Int64
	e.On("x", func(v any) {
		calls.Add(1)
		if v.(int) < 3 {
			e.Emit("x", v.(int)+1)
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 100 {
			e.Emit("x", 0)
		}
	})
	wg.Go(func() {
		for range 100 {
			e.On("x", func(any) {}).Off()
		}
	})
	wg.Wait()
	require.EqualValues(t, 400, calls.Load())
}

// Equal priorities lost their order.
func TestPeerEqualPrioritiesKeepTheirOrder(t *testing.T) {
	var topic emitter.Topic[int]
	var got []int
	var want [3][]int
	for i := range 60 {
		priority := i % 3
		_, err := topic.Subscribe(emitter.SubConfig{Priority: priority}, func(context.Context, int) error {
			got = append(got, i)
			return nil
		})
		require.NoError(t, err)
		want[priority] = append(want[priority], i)
	}
	topic.Emit(1)
	require.Equal(t, append(append(want[2], want[1]...), want[0]...), got)
}

// One panic ended the asynchronous consumer: 0 of 2 later events came.
func TestPeerAsyncListenerSurvivesAPanic(t *testing.T) {
	var failures []error
	topic := quiet[int](&failures)
	var got []int
	sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(_ context.Context, v int) error {
		got = append(got, v)
		if v == 0 {
			panic(errBoom)
		}
		return nil
	})
	require.NoError(t, err)
	for v := range 3 {
		topic.Emit(v)
	}
	require.NoError(t, sub.Drain(t.Context()))
	require.Equal(t, []int{0, 1, 2}, got)
}

// A panicking handler was swallowed, and the publish returned nil.
func TestPeerPanicIsNeverSilent(t *testing.T) {
	log, logger := newLogged()
	topic := emitter.MustNew[int](emitter.Config{Logger: logger})
	topic.On(func(int) { panic("lost?") })
	topic.Emit(1)
	require.Equal(t, 1, log.lines("lost?\""))
	var p *emitter.PanicError
	err := topic.EmitContext(t.Context(), 1)
	require.ErrorAs(t, err, &p)
	require.Equal(t, "lost?", p.Value)
	require.NoError(t, p.Unwrap())
	require.ErrorContains(t, err, "panicked: lost?")
}

// The order of asynchronous events was the scheduler's.
func TestPeerAsyncKeepsTheOrder(t *testing.T) {
	var topic emitter.Topic[int]
	var got []int
	sub, err := topic.Subscribe(emitter.SubConfig{Async: true, Queue: 7}, func(_ context.Context, v int) error {
		if rand.IntN(10) == 0 {
			runtime.Gosched()
		}
		got = append(got, v)
		return nil
	})
	require.NoError(t, err)
	for v := range 5000 {
		topic.Emit(v)
	}
	require.NoError(t, sub.Drain(t.Context()))
	require.Len(t, got, 5000)
	require.IsIncreasing(t, got)
}

// Unsubscribing a listener that had stopped reading hung while a publisher
// waited for it: see TestAsyncOffFreesBlockedEmits. And a publish that raced with
// the close sent on a closed channel.
func TestPeerEmitRacesWithClose(t *testing.T) {
	for range 100 {
		var topic emitter.Topic[int]
		_, err := topic.Subscribe(emitter.SubConfig{Async: true, Queue: 1}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for v := range 20 {
					topic.Emit(v)
				}
			})
		}
		wg.Go(func() { _ = topic.Close() })
		wg.Wait()
		require.False(t, topic.Emit(1))
	}
}

// A callback ran after the shutdown that had ended its subscription: Close waits
// for it, of synchronous listeners as well if they are tracked.
func TestPeerCloseWaitsForTheRunningCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := emitter.MustNew[int](emitter.Config{Track: true})
		var running atomic.Bool
		sub := topic.On(func(int) {
			running.Store(true)
			time.Sleep(time.Second)
			running.Store(false)
		})
		for _, end := range []func() error{sub.Close, topic.Close, func() error { return topic.Drain(t.Context()) }} {
			if sub.Active() {
				go topic.Emit(1)
				synctest.Wait()
				require.True(t, running.Load())
			}
			require.NoError(t, end())
			require.False(t, running.Load())
		}
	})
}

// Of what is not tracked, Close says that it has not waited.
func TestPeerCloseOfUntrackedSaysSo(t *testing.T) {
	var topic emitter.Topic[int]
	sub := topic.On(func(int) {})
	require.Equal(t, emitter.ErrUntracked, sub.Close())
	require.False(t, sub.Active())
	require.Equal(t, emitter.ErrUntracked, sub.Drain(t.Context()))
}

// Two listeners that close each other do not wait for each other.
func TestPeerListenersThatCloseEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := [2]*emitter.Topic[int]{}
		var subs [2]*emitter.Sub
		for i := range topics {
			topics[i] = emitter.MustNew[int](emitter.Config{Track: true})
			subs[i] = topics[i].On(func(int) {
				time.Sleep(time.Second)
				require.NoError(t, subs[1-i].Close())
			})
		}
		for _, topic := range topics {
			go topic.Emit(1)
		}
		time.Sleep(time.Minute)
		require.NoError(t, topics[0].Close())
	})
}
