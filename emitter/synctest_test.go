package emitter_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
)

// These are used in two bubbles and outside of any.
var (
	sharedTopic   = emitter.MustNew[int](emitter.Config{SlowAfter: time.Hour})
	sharedEmitter = emitter.MustNewEmitter(emitter.Config{Name: "shared"})
)

// A channel or timer that one bubble left in a package-level topic would kill
// the process in the next.
func TestSynctestSafe(t *testing.T) {
	use := func(t *testing.T) {
		got := 0
		pause := func() { <-time.After(2 * time.Second) }
		sub, err := sharedTopic.Subscribe(emitter.SubConfig{Async: true, Queue: 1}, func(context.Context, int) error {
			pause()
			got++
			return nil
		})
		require.NoError(t, err)
		for v := range 5 {
			sharedTopic.Emit(v)
			sharedEmitter.Emit("x", v)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = sharedEmitter.Wait(ctx, "x", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, sub.Drain(t.Context()))
		require.Equal(t, 5, got)
	}
	for range 3 {
		synctest.Test(t, use)
	}
	require.False(t, sharedTopic.Emit(1))
	require.Empty(t, sharedEmitter.EventNames())
}

// A queue that is full for five seconds is reported with the place of the
// subscription, once a minute, whoever notices: an emit that drops or one that
// waits.
func TestSlowListenerIsReported(t *testing.T) {
	for _, policy := range []emitter.Overflow{emitter.Block, emitter.DropOldest, emitter.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, logger := newLogged()
				topic := emitter.MustNew[int](emitter.Config{Name: "orders", Logger: logger})
				g, sub := subscribe(t, topic, emitter.SubConfig{Name: "index", Queue: 2, Overflow: policy})
				ctx, cancel := context.WithCancel(t.Context())
				flood := func() {
					for ctx.Err() == nil {
						_ = topic.EmitContext(ctx, 1)
						time.Sleep(100 * time.Millisecond)
					}
				}
				go flood()
				time.Sleep(4900 * time.Millisecond)
				synctest.Wait()
				require.Empty(t, log.String())
				time.Sleep(500 * time.Millisecond)
				synctest.Wait()
				require.Equal(t, 1, log.lines("slow listener"), log)
				for _, part := range []string{"topic=orders", "listener=index", "async_test.go:", "queued=2", "policy=" + policy.String()} {
					require.Contains(t, log.String(), part)
				}
				time.Sleep(58 * time.Second)
				require.Equal(t, 1, log.lines("slow listener"))
				time.Sleep(3 * time.Second)
				synctest.Wait()
				require.Equal(t, 2, log.lines("slow listener"))
				cancel()
				sub.Off()
				g.open()
				time.Sleep(time.Second) // for the flood to end
			})
		})
	}
}

// A listener that keeps up in the end is not reported, nor is one of Latest.
func TestSlowListenerThatCatchesUpIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, logger := newLogged()
		topic := emitter.MustNew[int](emitter.Config{Logger: logger, SlowAfter: 3 * time.Second})
		for _, policy := range []emitter.Overflow{emitter.DropNewest, emitter.Latest} {
			cfg := emitter.SubConfig{Async: true, Overflow: policy}
			if policy == emitter.DropNewest {
				cfg.Queue = 4
			}
			_, err := topic.Subscribe(cfg, func(context.Context, int) error {
				time.Sleep(100 * time.Millisecond)
				return nil
			})
			require.NoError(t, err)
		}
		for range 20 { // bursts that overflow, and pauses that empty the queue
			for v := range 10 {
				topic.Emit(v)
			}
			time.Sleep(time.Second)
		}
		require.Empty(t, log.String())
		require.NoError(t, topic.Drain(t.Context()))
	})
}

// Wait and Events under a deadline, and with everything that ends them.
func TestWaitAndEventsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := new(emitter.Topic[int])
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			time.Sleep(500 * time.Millisecond)
			topic.Emit(1)
			topic.Emit(2)
		}()
		v, err := topic.Wait(ctx, func(v int) bool { return v > 1 })
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.Zero(t, topic.Len())

		_, err = topic.Wait(ctx, nil)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Zero(t, topic.Len())

		ends := map[error]func(){
			emitter.ErrRemoved: func() { topic.Clear() },
			emitter.ErrClosed:  func() { _ = topic.Close() },
		}
		for _, want := range []error{emitter.ErrRemoved, emitter.ErrClosed} {
			go func() {
				time.Sleep(time.Second)
				ends[want]()
			}()
			_, err = topic.Wait(t.Context(), nil)
			require.Equal(t, want, err)
		}
	})
}

func TestEventsEnd(t *testing.T) {
	ends := map[string]func(*emitter.Topic[int], context.CancelFunc){
		"ctx":   func(_ *emitter.Topic[int], cancel context.CancelFunc) { cancel() },
		"clear": func(t *emitter.Topic[int], _ context.CancelFunc) { t.Clear() },
		"close": func(t *emitter.Topic[int], _ context.CancelFunc) { _ = t.Close() },
		"drain": func(t *emitter.Topic[int], _ context.CancelFunc) { _ = t.Drain(context.Background()) },
		"break": nil,
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			topic := new(emitter.Topic[int])
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				time.Sleep(time.Second)
				for v := range 3 {
					topic.Emit(v)
				}
				time.Sleep(time.Second)
				if end != nil {
					end(topic, cancel)
				}
			}()
			var got []int
			for v := range topic.Events(ctx) {
				got = append(got, v)
				if end == nil && v == 2 {
					break
				}
			}
			require.Equal(t, []int{0, 1, 2}, got, name)
			require.Zero(t, topic.Len(), name)
			time.Sleep(time.Hour)
		})
	}
}

// A loop that ends while an emit waits for it sets the emit free, and Drain
// waits for a loop to have had what there is.
func TestEventsBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := new(emitter.Topic[int])
		events, err := topic.EventsWith(t.Context(), emitter.SubConfig{Queue: 1})
		require.NoError(t, err)
		through := 0
		go func() {
			for v := range 10 {
				topic.Emit(v)
				through++
			}
		}()
		time.Sleep(time.Second) // nobody listens yet: all are gone
		synctest.Wait()
		require.Equal(t, 10, through)
		through = 0
		go func() {
			time.Sleep(time.Second)
			for v := range 10 {
				topic.Emit(v)
				through++
			}
		}()
		for v := range events {
			if v == 3 {
				synctest.Wait()
				require.Equal(t, 5, through, "one in the queue")
				require.ErrorIs(t, topic.EmitContext(t.Context(), 99), emitter.ErrFull, "the loop would wait for itself")
				break
			}
		}
		synctest.Wait()
		require.Equal(t, 10, through)
		require.Zero(t, topic.Len())

		var got []int
		drained, seen := errBoom, 0
		go func() {
			time.Sleep(time.Second)
			topic.Emit(1)
			topic.Emit(2)
			drained = topic.Drain(t.Context())
			seen = len(got)
		}()
		for v := range topic.Events(t.Context()) {
			time.Sleep(time.Minute)
			got = append(got, v)
		}
		synctest.Wait()
		require.NoError(t, drained)
		require.Equal(t, 2, seen, "the loop had had both")
		require.Equal(t, []int{1, 2}, got)
	})
}

func TestEventsWithPolicyAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := new(emitter.Topic[int])
		feed := func() {
			time.Sleep(time.Second)
			for v := range 5 {
				topic.Emit(v)
			}
		}
		latest, err := topic.EventsWith(t.Context(), emitter.SubConfig{Overflow: emitter.Latest})
		require.NoError(t, err)
		go feed()
		for v := range latest {
			require.Equal(t, 4, v)
			break
		}
		once, err := topic.EventsWith(t.Context(), emitter.SubConfig{Once: true})
		require.NoError(t, err)
		for range 2 { // each range subscribes anew
			go feed()
			var got []int
			for v := range once {
				got = append(got, v)
			}
			require.Equal(t, []int{0}, got)
			time.Sleep(time.Minute)
		}
		_, err = topic.EventsWith(t.Context(), emitter.SubConfig{Queue: -1})
		require.EqualError(t, err, "emitter: SubConfig.Queue is -1, want ≥ 0")
		require.Zero(t, topic.Len())
	})
}

// Until ends a subscription with its ctx, and leaves nothing there.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topic emitter.Topic[int]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sub := topic.On(func(int) {}).Until(ctx).Until(t.Context())
		once := topic.Once(func(int) {}).Until(ctx)
		require.True(t, topic.Emit(1))
		require.False(t, once.Active())
		require.True(t, sub.Active())
		time.Sleep(time.Second)
		synctest.Wait()
		require.False(t, sub.Active())
		require.False(t, topic.Emit(1))
		require.False(t, topic.On(func(int) {}).Until(ctx).Active(), "it was done before")
		gone := topic.On(func(int) {})
		gone.Off()
		require.Same(t, gone, gone.Until(t.Context()))
	})
}
