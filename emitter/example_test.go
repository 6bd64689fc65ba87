package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/bedplate/bedplate/emitter"
)

// Order is the event of the examples.
type Order struct{ ID int }

func store(context.Context, Order) error { return nil }

func Example() {
	var created emitter.Topic[Order]

	sub := created.On(func(o Order) { fmt.Println("order", o.ID) })
	defer sub.Off()

	created.Emit(Order{ID: 1})
	// Output: order 1
}

func ExampleTopic_Subscribe() {
	var created emitter.Topic[Order]

	index, err := created.Subscribe(emitter.SubConfig{
		Name: "index", Async: true, Queue: 64, Overflow: emitter.DropOldest,
	}, store)

	for i := range 3 {
		created.Emit(Order{ID: i})
	}
	fmt.Println(err, index.Drain(context.Background()), index.Stats().Delivered)
	// Output: <nil> <nil> 3
}

func ExampleTopic_Wait() {
	ctx := context.Background()
	var created emitter.Topic[Order]
	go func() {
		for created.Len() == 0 {
			<-time.After(time.Millisecond)
		}
		for i := range 10 {
			created.Emit(Order{ID: i})
		}
	}()

	paid, err := created.Wait(ctx, func(o Order) bool { return o.ID == 7 })

	fmt.Println(paid.ID, err, created.Len())
	// Output: 7 <nil> 0
}

func ExampleTopic_Events() {
	ctx := context.Background()
	var created emitter.Topic[Order]
	go func() {
		for !created.Emit(Order{ID: 5}) {
			<-time.After(time.Millisecond)
		}
	}()

	for o := range created.Events(ctx) {
		fmt.Println(o.ID)
		break
	}
	// Output: 5
}

// The loop that falls behind hears how things are, not how they were.
func ExampleTopic_EventsWith() {
	var temperature emitter.Topic[int]
	latest, err := temperature.EventsWith(context.Background(), emitter.SubConfig{Overflow: emitter.Latest})
	fmt.Println(err)
	go func() {
		for !temperature.Emit(20) {
			<-time.After(time.Millisecond)
		}
	}()
	for v := range latest {
		if v == 20 {
			temperature.Emit(21)
			temperature.Emit(22)
			continue
		}
		fmt.Println(v)
		break
	}
	// Output:
	// <nil>
	// 22
}

func ExampleEmitter() {
	var bus emitter.Emitter
	bus.On("order.created", func(v any) { fmt.Println(v) })
	bus.OnAny(func(event string, v any) { fmt.Println(event, v) })
	orders, err := emitter.Named[Order](&bus, "order.created")
	orders.Emit(Order{ID: 2})

	fmt.Println(err, orders.Len(), bus.ListenerCount("order.created"), bus.EventNames())
	_, err = emitter.Named[string](&bus, "order.created")
	fmt.Println(err)
	// Output:
	// {2}
	// order.created {2}
	// <nil> 1 1 [order.created]
	// emitter: order.created: wrong type string, want emitter_test.Order
}

// The failures of listeners are the event "error".
func ExampleNewEmitter() {
	bus, err := emitter.NewEmitter(emitter.Config{Name: "bus", MaxListeners: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	bus.On("error", func(v any) { fmt.Println("failed:", errors.Unwrap(v.(error))) })
	sub := bus.Once("data", func(any) { panic(errors.New("no data today")) })
	fmt.Println(bus.Emit("data", 1), bus.Emit("data", 2), bus.Off(sub))
	bus.SetMaxListeners(0)
	fmt.Println(bus.RemoveAllListeners(), bus.Emit("data", 3))
	// Output:
	// failed: no data today
	// true false false
	// 1 false
}

func ExampleMustNewEmitter() {
	bus := emitter.MustNewEmitter(emitter.Config{Name: "bus"})
	_, err := bus.OnMatch("order.*", func(event string, v any) { fmt.Println("match", event, v) })
	fmt.Println(err)
	_, err = bus.SubscribeMatch("**", emitter.SubConfig{Name: "audit"}, func(_ context.Context, e emitter.Event) error {
		fmt.Println("audit", e.Name, e.Value)
		return nil
	})
	fmt.Println(err)
	bus.Emit("order.created", 1)
	bus.Emit("user.created", 2)
	fmt.Println(bus.Close(), bus.Emit("order.created", 3))
	// Output:
	// <nil>
	// <nil>
	// match order.created 1
	// audit order.created 1
	// audit user.created 2
	// <nil> false
}

// A listener may veto; those behind it do not hear of the event.
func ExampleTopic_EmitContext() {
	var deleting emitter.Topic[Order]
	deleting.OnErr(func(_ context.Context, o Order) error {
		if o.ID == 1 {
			return fmt.Errorf("order %d is paid: %w", o.ID, emitter.ErrStop)
		}
		return nil
	})
	deleting.On(func(o Order) { fmt.Println("deleting", o.ID) })
	for id := range 2 {
		err := deleting.EmitContext(context.Background(), Order{ID: id})
		fmt.Println(err, errors.Is(err, emitter.ErrStop))
	}
	// Output:
	// deleting 0
	// <nil> false
	// order 1 is paid: emitter: stop true
}

// Begin with the first listener, and stop with the last.
func ExampleNew() {
	prices, err := emitter.New[float64](emitter.Config{Name: "prices", Hooks: emitter.Hooks{
		OnSubscribe: func(c emitter.Change) {
			if c.Listeners == 1 {
				fmt.Println(c.Topic, "begin to poll")
			}
		},
		OnUnsubscribe: func(c emitter.Change) {
			if c.Listeners == 0 {
				fmt.Println(c.Topic, "stop polling")
			}
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, b := prices.On(func(float64) {}), prices.Prepend(func(float64) {})
	a.Off()
	b.Off()
	// Output:
	// prices begin to poll
	// prices stop polling
}

// The warning that there are too many listeners names the line at which they
// come to be.
func ExampleMustNew() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "subscribed_at" {
			return slog.Attr{} // they change
		}
		return a
	}}))
	ticks := emitter.MustNew[int](emitter.Config{Name: "ticks", MaxListeners: 2, Logger: logger})
	for range 5 {
		ticks.On(func(int) {})
	}
	ticks.SetMaxListeners(10)
	fmt.Println(ticks.Len(), ticks.Clear(), ticks.Stats().Listeners)
	// Output:
	// level=WARN msg="emitter: possible leak: more listeners than expected" topic=ticks listeners=3 limit=2
	// 5 5 0
}

func ExampleSub() {
	ctx, cancel := context.WithCancel(context.Background())
	ticks := emitter.MustNew[int](emitter.Config{Track: true})
	sub := ticks.On(func(v int) { fmt.Println("tick", v) }).Until(ctx)
	ticks.Emit(1)
	cancel()
	for sub.Active() { // Until ends it soon after
		<-time.After(time.Millisecond)
	}
	ticks.Emit(2)
	fmt.Println(sub.Off(), sub.Close())
	// Output:
	// tick 1
	// false <nil>
}

// A Publisher and a Subscriber may be as small as this.
func ExampleExport() {
	ctx, cancel := context.WithCancel(context.Background())
	wire := make(chan emitter.Message)
	publish := emitter.PublisherFunc(func(_ context.Context, subject string, m emitter.Message) error {
		fmt.Println(subject, string(m.Data))
		wire <- m
		return nil
	})
	receive := emitter.SubscriberFunc(func(ctx context.Context, _ string, fn func(context.Context, emitter.Message) error) error {
		return fn(ctx, <-wire)
	})

	var here, there emitter.Topic[Order]
	there.On(func(o Order) { fmt.Println("heard", o.ID); cancel() })
	export, err := emitter.Export(&here, publish, "orders", emitter.JSON[Order](), emitter.SubConfig{})
	fmt.Println(err)
	here.Emit(Order{ID: 3})
	fmt.Println(emitter.Import(ctx, receive, "orders", emitter.JSON[Order](), &there))
	fmt.Println(export.Close())
	// Output:
	// <nil>
	// orders {"ID":3}
	// heard 3
	// <nil>
	// <nil>
}

func ExamplePublisherFunc() {
	var p emitter.Publisher = emitter.PublisherFunc(func(_ context.Context, subject string, m emitter.Message) error {
		fmt.Println(subject, m.ID)
		return errors.New("no connection")
	})
	fmt.Println(p.Publish(context.Background(), "orders", emitter.Message{ID: "7"}))

	var s emitter.Subscriber = emitter.SubscriberFunc(func(ctx context.Context, subject string, fn func(context.Context, emitter.Message) error) error {
		return fn(ctx, emitter.Message{ID: "8"})
	})
	fmt.Println(s.Subscribe(context.Background(), "orders", func(_ context.Context, m emitter.Message) error {
		fmt.Println(m.ID)
		return nil
	}))
	// Output:
	// orders 7
	// no connection
	// 8
	// <nil>
}
