package emitter_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// gate is an asynchronous listener that takes one event for each pass.
type gate struct {
	got  []int
	pass chan struct{}
}

func (g *gate) listen(_ context.Context, v int) error {
	<-g.pass
	g.got = append(g.got, v)
	return nil
}

// open lets everything through from now on.
func (g *gate) open() { close(g.pass); synctest.Wait() }

func (g *gate) one() { g.pass <- struct{}{}; synctest.Wait() }

// subscribe adds a gate with one event in its hand.
func subscribe(t *testing.T, topic *emitter.Topic[int], cfg emitter.SubConfig) (*gate, *emitter.Sub) {
	t.Helper()
	g := &gate{pass: make(chan struct{})}
	cfg.Async = true
	sub, err := topic.Subscribe(cfg, g.listen)
	require.NoError(t, err)
	topic.Emit(0)
	synctest.Wait()
	return g, sub
}

// Each policy with a queue of three and six events too many.
func TestAsyncPolicies(t *testing.T) {
	for _, c := range []struct {
		policy  emitter.Overflow
		queue   int
		want    []int
		dropped uint64
		failed  int
	}{
		{emitter.DropNewest, 3, []int{0, 1, 2, 3}, 3, 0},
		{emitter.DropOldest, 3, []int{0, 4, 5, 6}, 3, 0},
		{emitter.Latest, 1, []int{0, 6}, 5, 0},
		{emitter.Fail, 3, []int{0, 1, 2, 3}, 3, 3},
		{emitter.Unbounded, 0, []int{0, 1, 2, 3, 4, 5, 6}, 0, 0},
	} {
		t.Run(c.policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var topic emitter.Topic[int]
				g, sub := subscribe(t, &topic, emitter.SubConfig{Name: "g", Queue: c.queue, Overflow: c.policy})
				failed := 0
				for v := 1; v <= 6; v++ {
					if err := topic.EmitContext(t.Context(), v); err != nil {
						require.ErrorIs(t, err, emitter.ErrFull)
						require.EqualError(t, err, "emitter: queue full: listener g, 3 waiting")
						failed++
					}
				}
				require.Equal(t, c.failed, failed)
				require.Equal(t, emitter.SubStats{
					Name: "g", Queue: c.queue, Queued: len(c.want) - 1, Delivered: 1, Dropped: c.dropped,
				}, sub.Stats())
				require.Equal(t, len(c.want)-1, topic.Stats().Queued)
				g.open()
				require.Equal(t, c.want, g.got)
				require.Equal(t, emitter.SubStats{
					Name: "g", Queue: c.queue, Delivered: uint64(len(c.want)), Dropped: c.dropped,
				}, sub.Stats())
			})
		})
	}
}

// Block holds emits up, lets them in in the order in which they came, and drops
// nothing.
func TestAsyncBlockIsFirstInFirstOut(t *testing.T) {
	for _, queue := range []int{1, 2, 3, 64, 200} {
		synctest.Test(t, func(t *testing.T) {
			var topic emitter.Topic[int]
			g, sub := subscribe(t, &topic, emitter.SubConfig{Queue: queue})
			want := []int{0}
			for v := 1; v <= queue; v++ {
				topic.Emit(v)
				want = append(want, v)
			}
			var through atomic.Int64
			for v := queue + 1; v <= queue+5; v++ {
				go func() {
					topic.Emit(v)
					through.Add(1)
				}()
				synctest.Wait()
				want = append(want, v)
			}
			require.Zero(t, through.Load())
			require.Equal(t, queue, sub.Stats().Queued)
			for i := range 5 {
				g.one()
				require.EqualValues(t, i+1, through.Load(), "one event more taken, one emit more let in")
				require.Equal(t, queue, sub.Stats().Queued)
			}
			g.open()
			require.Equal(t, want, g.got)
			require.Zero(t, sub.Stats().Dropped)
		})
	}
}

// Ending a subscription nobody reads returns at once and frees blocked emits;
// what waited is dropped.
func TestAsyncOffFreesBlockedEmits(t *testing.T) {
	ends := map[string]func(*emitter.Topic[int], *emitter.Sub){
		"Off":   func(_ *emitter.Topic[int], s *emitter.Sub) { s.Off() },
		"Clear": func(t *emitter.Topic[int], _ *emitter.Sub) { t.Clear() },
		"Until": func(_ *emitter.Topic[int], s *emitter.Sub) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			s.Until(ctx)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var topic emitter.Topic[int]
				g, sub := subscribe(t, &topic, emitter.SubConfig{Queue: 1})
				topic.Emit(1)
				var through atomic.Int64
				for range 3 {
					go func() { topic.Emit(2); through.Add(1) }()
				}
				synctest.Wait()
				require.Zero(t, through.Load())
				end(&topic, sub)
				synctest.Wait()
				require.EqualValues(t, 3, through.Load())
				require.Equal(t, emitter.SubStats{Queue: 1, Delivered: 1, Dropped: 4}, sub.Stats())
				g.open()
				require.Equal(t, []int{0}, g.got)
				require.NoError(t, sub.Close())
			})
		})
	}
}

// Close waits for the call in flight, and cancels its ctx.
func TestAsyncCloseWaitsForTheCallInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topic emitter.Topic[int]
		var ended time.Time
		sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = time.Now()
			return nil
		})
		require.NoError(t, err)
		topic.Emit(1)
		topic.Emit(2)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, sub.Close())
		require.Equal(t, time.Second, ended.Sub(start))
		require.Equal(t, time.Second, time.Since(start))
		require.EqualValues(t, 1, sub.Stats().Delivered)
		require.Zero(t, topic.Len())
	})
}

// A listener may close itself, its topic, and wait for neither.
func TestAsyncCloseByTheListenerItself(t *testing.T) {
	closes := map[string]func(*emitter.Topic[int], *emitter.Sub) error{
		"Sub.Close":   func(_ *emitter.Topic[int], s *emitter.Sub) error { return s.Close() },
		"Topic.Close": func(t *emitter.Topic[int], _ *emitter.Sub) error { return t.Close() },
		"Sub.Drain":   func(_ *emitter.Topic[int], s *emitter.Sub) error { return s.Drain(context.Background()) },
		"Topic.Drain": func(t *emitter.Topic[int], _ *emitter.Sub) error { return t.Drain(context.Background()) },
	}
	for name, closes := range closes {
		for _, async := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				var failures []error
				topic := quiet[int](&failures)
				var sub *emitter.Sub
				calls := 0
				sub, err := topic.Subscribe(emitter.SubConfig{Async: async, Track: true}, func(context.Context, int) error {
					calls++
					return closes(topic, sub)
				})
				require.NoError(t, err)
				err = topic.EmitContext(t.Context(), 1)
				synctest.Wait()
				if name == "Sub.Drain" || name == "Topic.Drain" {
					require.Equal(t, []error{emitter.ErrInside}, failures)
				} else {
					require.Empty(t, failures)
				}
				if async {
					require.NoError(t, err, "what comes later is not returned")
				}
				require.Equal(t, 1, calls)
				require.False(t, sub.Active())
				require.NoError(t, sub.Close())
			})
		}
	}
}

// Drain refuses new events, hands out those that wait, and returns then.
func TestAsyncDrainDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topic emitter.Topic[int]
		g, sub := subscribe(t, &topic, emitter.SubConfig{Queue: 5})
		for v := 1; v <= 5; v++ {
			topic.Emit(v)
		}
		var drained atomic.Bool
		go func() {
			drained.Store(sub.Drain(t.Context()) == nil)
		}()
		synctest.Wait()
		require.False(t, topic.Emit(6))
		require.False(t, drained.Load())
		g.open()
		require.True(t, drained.Load())
		require.Equal(t, []int{0, 1, 2, 3, 4, 5}, g.got)
	})
}

// A listener that emits to itself while its queue is full would wait for itself.
func TestAsyncBlockDoesNotWaitForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures []error
		topic := quiet[int](&failures)
		var got []int
		sub, err := topic.Subscribe(emitter.SubConfig{Name: "self", Async: true, Queue: 2}, func(_ context.Context, v int) error {
			got = append(got, v)
			for i := range 3 {
				if v == 0 {
					topic.Emit(i + 1)
				}
			}
			return nil
		})
		require.NoError(t, err)
		topic.Emit(0)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2}, got)
		require.Len(t, failures, 1)
		var full *emitter.FullError
		require.ErrorAs(t, failures[0], &full)
		require.Equal(t, &emitter.FullError{Listener: "self", Queue: 2, Self: true}, full)
		require.ErrorContains(t, full, "the listener itself emits")
		require.EqualValues(t, 1, sub.Stats().Dropped)
	})
}

// Neither a panic nor a Goexit ends the queue, and both keep the order.
func TestAsyncPanicAndGoexitGoOn(t *testing.T) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.Unbounded} {
		synctest.Test(t, func(t *testing.T) {
			var failures []error
			topic := quiet[int](&failures)
			var got []int
			sub, err := topic.Subscribe(emitter.SubConfig{Async: true, Overflow: policy}, func(_ context.Context, v int) error {
				got = append(got, v)
				switch v % 4 {
				case 1:
					panic(errBoom)
				case 2:
					runtime.Goexit()
				case 3:
					return errBoom
				}
				return emitter.ErrStop // which means nothing here
			})
			require.NoError(t, err)
			var want []int
			for v := range 200 {
				topic.Emit(v)
				want = append(want, v)
			}
			require.NoError(t, sub.Drain(t.Context()))
			require.Equal(t, want, got)
			require.Len(t, failures, 100)
			require.EqualValues(t, 100, topic.Stats().Failures)
			require.EqualValues(t, 200, sub.Stats().Delivered)
		})
	}
}

// A hook that calls Goexit, as a test's FailNow does, loses no event either.
func TestAsyncGoexitInTheHookGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) { runtime.Goexit() }}})
		var got []int
		sub, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(_ context.Context, v int) error {
			got = append(got, v)
			panic(errBoom)
		})
		require.NoError(t, err)
		for v := range 5 {
			topic.Emit(v)
		}
		require.NoError(t, sub.Drain(t.Context()))
		require.Equal(t, []int{0, 1, 2, 3, 4}, got)

		var after atomic.Int64
		topic = emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) { runtime.Goexit() }}})
		for range 3 {
			topic.On(func(int) { after.Add(1); panic(errBoom) })
		}
		go topic.Emit(1)
		synctest.Wait()
		require.EqualValues(t, 3, after.Swap(0))
		go func() { _ = topic.EmitContext(context.Background(), 1) }()
		synctest.Wait()
		require.EqualValues(t, 3, after.Load())
	})
}

// Once and Async together: one event, delivered although the subscription is
// over by then; Close waits for it.
func TestAsyncOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topic emitter.Topic[int]
		g := &gate{pass: make(chan struct{})}
		sub, err := topic.Subscribe(emitter.SubConfig{Once: true, Async: true}, g.listen)
		require.NoError(t, err)
		require.True(t, topic.Emit(1))
		require.False(t, topic.Emit(2))
		require.Zero(t, topic.Len())
		require.False(t, sub.Active())
		synctest.Wait()
		var closed atomic.Bool
		go func() { closed.Store(topic.Close() == nil) }()
		synctest.Wait()
		require.False(t, closed.Load())
		g.open()
		require.True(t, closed.Load())
		require.Equal(t, []int{1}, g.got)
	})
}

// Events do not wait for a tick, and an idle subscription has no goroutine.
func TestAsyncIdleHasNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	var topics []*emitter.Topic[int]
	for range 100 {
		topic := new(emitter.Topic[int])
		_, err := topic.Subscribe(emitter.SubConfig{Async: true}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
		topic.Emit(1)
		topics = append(topics, topic)
	}
	for _, topic := range topics {
		require.NoError(t, topic.Drain(t.Context()))
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 }, time.Second, time.Millisecond)
}

// A burst gives its memory back.
func TestAsyncUnboundedReportsGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logger := newLogged()
		topic := emitter.MustNew[int](emitter.Config{Name: "burst", Logger: logger})
		g, sub := subscribe(t, topic, emitter.SubConfig{Overflow: emitter.Unbounded})
		for v := 1; v < 5000; v++ {
			topic.Emit(v)
		}
		require.Equal(t, 3, log.lines("grows"), "at 1024, 2048 and 4096")
		require.Contains(t, log.String(), "topic=burst")
		require.Contains(t, log.String(), "async_test.go:")
		require.Equal(t, 4999, sub.Stats().Queued)
		g.open()
		require.Len(t, g.got, 5000)
	})
}
