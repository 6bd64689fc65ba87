// Package emitterbench compares bedplate's emitter with its peers and with the
// least that Go can do, on the same work in one process.
package emitterbench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eventbus "github.com/asaskevich/EventBus"
	"github.com/cskr/pubsub/v2"
	ebu "github.com/jilio/ebu"
	kelindar "github.com/kelindar/event"
	"github.com/maniartech/signals"
	mustafaturan "github.com/mustafaturan/bus/v3"
	"github.com/stretchr/testify/require"
	"github.com/teivah/broadcast"

	"github.com/bedplate/bedplate/emitter"
)

// order is the event: its number, which is small, so that no peer pays for an
// allocation when it becomes an any.
type order int

// Type is what kelindar wants of an event.
func (order) Type() uint32 { return 1 }

// A bus is a peer with its listeners. emit runs for as long as next says; it is
// written out for each peer, so that none pays for a closure around each emit
// that its users would not pay for.
type bus struct {
	emit func(next func() bool, v order)
	// churn adds a listener and removes it again. It is nil where the peer
	// cannot remove one of several alike.
	churn func(next func() bool, fn func(order))
	close func()
}

// sync peers call the listeners in the goroutine that emits.
var syncPeers = []struct {
	peer string
	make func(listeners []func(order)) bus
}{
	{"bedplate", func(listeners []func(order)) bus {
		t := new(emitter.Topic[order])
		for _, fn := range listeners {
			t.On(fn)
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					t.Emit(v)
				}
			},
			churn: func(next func() bool, fn func(order)) {
				for next() {
					t.On(fn).Off()
				}
			},
		}
	}},
	{"signals", func(listeners []func(order)) bus {
		s := signals.NewSync[order]()
		for _, fn := range listeners {
			s.AddListener(func(_ context.Context, v order) { fn(v) })
		}
		ctx := context.Background()
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					s.Emit(ctx, v)
				}
			},
			churn: func(next func() bool, fn func(order)) {
				l := func(_ context.Context, v order) { fn(v) }
				for next() {
					s.AddListener(l, "key")
					s.RemoveListener("key")
				}
			},
		}
	}},
	{"mustafaturan", func(listeners []func(order)) bus {
		b, err := mustafaturan.NewBus(mustafaturan.Next(func() string { return "id" }))
		must(err)
		b.RegisterTopics("order")
		for i, fn := range listeners {
			b.RegisterHandler(strconv.Itoa(i), mustafaturan.Handler{
				Handle: func(_ context.Context, e mustafaturan.Event) { fn(e.Data.(order)) }, Matcher: "order",
			})
		}
		ctx := context.Background()
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					must(b.Emit(ctx, "order", v))
				}
			},
			churn: func(next func() bool, fn func(order)) {
				h := mustafaturan.Handler{Handle: func(_ context.Context, e mustafaturan.Event) { fn(e.Data.(order)) }, Matcher: "order"}
				for next() {
					b.RegisterHandler("key", h)
					b.DeregisterHandler("key")
				}
			},
		}
	}},
	{"ebu", func(listeners []func(order)) bus {
		b := ebu.New()
		for _, fn := range listeners {
			must(ebu.Subscribe(b, fn))
		}
		return bus{emit: func(next func() bool, v order) {
			for next() {
				ebu.Publish(b, v)
			}
		}}
	}},
	{"asaskevich", func(listeners []func(order)) bus {
		b := eventbus.New()
		for _, fn := range listeners {
			must(b.Subscribe("order", fn))
		}
		return bus{emit: func(next func() bool, v order) {
			for next() {
				b.Publish("order", v)
			}
		}}
	}},
	{"floor-atomic", func(listeners []func(order)) bus {
		var list atomic.Pointer[[]func(order)]
		list.Store(&listeners)
		return bus{emit: func(next func() bool, v order) {
			for next() {
				for _, fn := range *list.Load() {
					fn(v)
				}
			}
		}}
	}},
}

// async peers give the event to a goroutine of the listener.
var asyncPeers = []struct {
	peer string
	make func(listeners []func(order)) bus
}{
	{"bedplate", func(listeners []func(order)) bus {
		t := new(emitter.Topic[order])
		for _, fn := range listeners {
			_, err := t.Subscribe(emitter.SubConfig{Async: true}, func(_ context.Context, v order) error { fn(v); return nil })
			must(err)
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					t.Emit(v)
				}
			},
			close: func() { t.Close() },
		}
	}},
	{"kelindar", func(listeners []func(order)) bus {
		d := kelindar.NewDispatcher()
		var cancel []func()
		for _, fn := range listeners {
			cancel = append(cancel, kelindar.Subscribe(d, fn))
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					kelindar.Publish(d, v)
				}
			},
			close: func() {
				for _, c := range cancel {
					c()
				}
				d.Close()
			},
		}
	}},
	{"teivah", func(listeners []func(order)) bus {
		r := broadcast.NewRelay[order]()
		for _, fn := range listeners {
			l := r.Listener(1024)
			go func() {
				for v := range l.Ch() {
					fn(v)
				}
			}()
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					r.Notify(v)
				}
			},
			close: r.Close,
		}
	}},
	{"cskr", func(listeners []func(order)) bus {
		ps := pubsub.New[string, order](1024)
		for _, fn := range listeners {
			ch := ps.Sub("order")
			go func() {
				for v := range ch {
					fn(v)
				}
			}()
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					ps.Pub(v, "order")
				}
			},
			close: ps.Shutdown,
		}
	}},
	{"floor-channel", func(listeners []func(order)) bus {
		var channels []chan order
		for _, fn := range listeners {
			ch := make(chan order, 1024)
			channels = append(channels, ch)
			go func() {
				for v := range ch {
					fn(v)
				}
			}()
		}
		return bus{
			emit: func(next func() bool, v order) {
				for next() {
					for _, ch := range channels {
						ch <- v
					}
				}
			},
			close: func() {
				for _, ch := range channels {
					close(ch)
				}
			},
		}
	}},
}

// seen is written by the listeners of the benchmarks if they get a negative
// event, which they never do: the compiler cannot know that.
var seen atomic.Int64

// idle makes n listeners that do nothing.
func idle(n int) []func(order) {
	listeners := make([]func(order), n)
	for i := range listeners {
		listeners[i] = func(v order) {
			if v < 0 {
				seen.Add(int64(i))
			}
		}
	}
	return listeners
}

// BenchmarkEmitterEmit emits to listeners that do nothing.
func BenchmarkEmitterEmit(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		for _, r := range syncPeers {
			b.Run(fmt.Sprintf("listeners=%d/peer=%s", n, r.peer), func(b *testing.B) {
				b.ReportAllocs()
				r.make(idle(n)).emit(b.Loop, 1)
			})
		}
	}
}

// BenchmarkEmitterEmitParallel does so from every processor at once.
func BenchmarkEmitterEmitParallel(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		for _, r := range syncPeers {
			b.Run(fmt.Sprintf("listeners=%d/peer=%s", n, r.peer), func(b *testing.B) {
				b.ReportAllocs()
				t := r.make(idle(n))
				b.RunParallel(func(pb *testing.PB) { t.emit(pb.Next, 1) })
			})
		}
	}
}

// BenchmarkEmitterOnOff adds a listener beside others and removes it.
func BenchmarkEmitterOnOff(b *testing.B) {
	for _, n := range []int{0, 100} {
		for _, r := range syncPeers {
			t := r.make(idle(n))
			if t.churn == nil {
				continue
			}
			b.Run(fmt.Sprintf("others=%d/peer=%s", n, r.peer), func(b *testing.B) {
				b.ReportAllocs()
				t.churn(b.Loop, idle(1)[0])
			})
		}
	}
}

// BenchmarkEmitterAsync emits to one listener in another goroutine, until it has
// had every event.
func BenchmarkEmitterAsync(b *testing.B) {
	for _, r := range asyncPeers {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			left := b.N
			done := make(chan struct{})
			t := r.make([]func(order){func(order) {
				if left--; left == 0 {
					close(done)
				}
			}})
			defer t.close()
			b.ResetTimer()
			t.emit(times(b.N), 1)
			<-done
		})
	}
}

// BenchmarkEmitterLatency is the time from an emit to the listener in another
// goroutine and back by a channel, one event at a time.
func BenchmarkEmitterLatency(b *testing.B) {
	for _, r := range asyncPeers {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			var sum time.Duration
			var start time.Time
			back := make(chan time.Duration)
			t := r.make([]func(order){func(order) { back <- time.Since(start) }})
			defer t.close()
			for b.Loop() {
				once := times(1)
				start = time.Now()
				t.emit(once, 1)
				sum += <-back
			}
			b.ReportMetric(float64(sum.Nanoseconds())/float64(b.N)/1e3, "µs/latency")
		})
	}
}

// times returns a next that says yes n times.
func times(n int) func() bool {
	return func() bool {
		n--
		return n >= 0
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork emits a hundred events in every row: each of three
// listeners gets each event once and in order, and a removed one gets none.
func TestRowsDoTheSameWork(t *testing.T) {
	const events, n = 100, 3
	check := func(t *testing.T, async bool, build func([]func(order)) bus) {
		var got [n][]order
		var wg sync.WaitGroup
		wg.Add(n * events)
		listeners := make([]func(order), n)
		for i := range listeners {
			listeners[i] = func(v order) {
				got[i] = append(got[i], v)
				wg.Done()
			}
		}
		b := build(listeners)
		if b.churn != nil {
			b.churn(times(3), func(order) { t.Error("a removed listener was called") })
		}
		var want []order
		for v := range order(events) {
			b.emit(times(1), v)
			want = append(want, v)
			if !async {
				require.Len(t, got[n-1], int(v)+1, "the listeners have returned before the emit has")
			}
		}
		wg.Wait()
		for i := range got {
			require.Equal(t, want, got[i])
		}
		if b.close != nil {
			b.close()
		}
	}
	for _, r := range syncPeers {
		t.Run("sync="+r.peer, func(t *testing.T) { check(t, false, r.make) })
	}
	for _, r := range asyncPeers {
		t.Run("async="+r.peer, func(t *testing.T) { check(t, true, r.make) })
	}
}
