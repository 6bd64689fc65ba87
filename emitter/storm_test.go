package emitter_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// Listeners come and go, of every kind and by every way, while others emit with
// contexts that end. A listener that has been told to end, by a goroutine that
// emits afterwards, is not called; nothing is left in the end.
func TestStormTopic(t *testing.T) {
	for round := range 30 {
		topic := emitter.MustNew[int](emitter.Config{Track: round%2 == 0, Hooks: emitter.Hooks{OnError: func(error) {}}})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 60 {
					ctx, cancel := context.WithCancel(t.Context())
					var ended, called atomic.Bool
					listen := func(context.Context, int) error {
						if ended.Load() {
							called.Store(true)
						}
						if i%9 == 0 {
							panic(errBoom)
						}
						return nil
					}
					sub, err := topic.Subscribe(emitter.SubConfig{
						Priority: rand.IntN(3), Prepend: i%2 == 0, Once: i%5 == 0, Track: i%3 == 0,
						Async: i%4 == 0,
					}, listen)
					if err != nil {
						cancel()
						continue
					}
					sub.Until(ctx)
					topic.Emit(i)
					_ = topic.EmitContext(ctx, i)
					switch i % 4 {
					case 0:
						_ = sub.Close()
						ended.Store(true)
						topic.Emit(i)
						require.False(t, called.Load())
					case 1:
						sub.Off()
					case 2:
						cancel()
					case 3:
						_ = sub.Drain(ctx)
					}
					cancel()
				}
			})
		}
		wg.Go(func() {
			for range 20 {
				topic.Len()
				topic.Stats()
				topic.Clear()
			}
		})
		wg.Wait()
		require.NoError(t, topic.Close())
		require.Zero(t, topic.Len())
	}
}

// A queue of one, with emits that give up, a listener that fails, and an end in
// the middle: every event is delivered or dropped, and nobody hangs.
func TestStormQueueLosesCountOfNothing(t *testing.T) {
	for round := range 60 {
		policy := emitter.Overflow(round % 6)
		cfg := emitter.SubConfig{Async: true, Overflow: policy}
		if policy != emitter.Latest && policy != emitter.Unbounded {
			cfg.Queue = 1 + round%3
		}
		topic := emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) {}}})
		var delivered atomic.Int64
		sub, err := topic.Subscribe(cfg, func(_ context.Context, v int) error {
			delivered.Add(1)
			if v%7 == 0 {
				panic(errBoom)
			}
			return nil
		})
		require.NoError(t, err)
		var sent, wg = atomic.Int64{}, sync.WaitGroup{}
		for range 3 {
			wg.Go(func() {
				for v := range 100 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(50))*time.Microsecond)
					if ctx.Err() == nil {
						sent.Add(1)
						_ = topic.EmitContext(ctx, v)
					}
					cancel()
				}
			})
		}
		if round%4 == 0 {
			wg.Go(func() { _ = sub.Close() })
		}
		wg.Wait()
		require.NoError(t, topic.Drain(t.Context()))
		s := sub.Stats()
		require.EqualValues(t, delivered.Load(), s.Delivered)
		require.Zero(t, s.Queued)
		require.LessOrEqual(t, s.Delivered+s.Dropped, uint64(sent.Load()))
		if round%4 != 0 {
			// One whose ctx was done before it got to the listener is in neither.
			require.GreaterOrEqual(t, s.Delivered+s.Dropped+300, uint64(sent.Load()))
		}
	}
}

// Names come and go while they are emitted, waited for and counted.
func TestStormEmitter(t *testing.T) {
	for range 10 {
		e := emitter.MustNewEmitter(emitter.Config{})
		var heard, once atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 200 {
					name := strconv.Itoa(rand.IntN(3))
					sub := e.On(name, func(any) { heard.Add(1) })
					e.Once(name, func(any) { once.Add(1) })
					require.True(t, e.Emit(name, i), "there is one at least")
					if i%10 == 0 {
						pattern, err := e.OnMatch("*", func(string, any) {})
						require.NoError(t, err)
						ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
						_, _ = e.Wait(ctx, name, nil)
						cancel()
						pattern.Off()
					}
					e.EventNames()
					require.True(t, sub.Off())
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, once.Load(), int64(800))
		e.RemoveAllListeners()
		require.Empty(t, e.EventNames())
		require.Equal(t, emitter.Stats{}, e.Stats())
		require.NoError(t, e.Close())
	}
}

// Loops over events begin and end while others emit.
func TestStormEvents(t *testing.T) {
	var topic emitter.Topic[int]
	stop := make(chan struct{})
	var emits, loops sync.WaitGroup
	for range 2 {
		emits.Go(func() {
			for v := 0; ; v++ {
				select {
				case <-stop:
					return
				default:
					topic.Emit(v)
				}
			}
		})
	}
	for i := range 4 {
		loops.Go(func() {
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				n := 0
				for range topic.Events(ctx) {
					if n++; n == 1+i*10 {
						break
					}
				}
				cancel()
			}
		})
	}
	loops.Wait()
	close(stop)
	emits.Wait()
	require.Zero(t, topic.Len())
}

// Two topics that emit to each other through their queues, both of one: the
// chain of back-pressure is broken by contexts, and all comes to rest.
func TestStormQueuesThatFeedEachOther(t *testing.T) {
	topics := [2]*emitter.Topic[int]{}
	var calls atomic.Int64
	for i := range topics {
		topics[i] = emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) {}}})
	}
	for i, topic := range topics {
		_, err := topic.Subscribe(emitter.SubConfig{Async: true, Queue: 1}, func(ctx context.Context, v int) error {
			calls.Add(1)
			if v == 0 {
				return nil
			}
			ctx, cancel := context.WithTimeout(ctx, 100*time.Microsecond)
			defer cancel()
			_ = topics[1-i].EmitContext(ctx, v-1)
			return topics[1-i].EmitContext(ctx, v-1)
		})
		require.NoError(t, err)
	}
	topics[0].Emit(8)
	topics[1].Emit(8)
	for _, topic := range topics {
		require.NoError(t, topic.Drain(t.Context()))
	}
	require.GreaterOrEqual(t, calls.Load(), int64(2))
}
