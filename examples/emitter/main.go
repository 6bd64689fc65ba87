// Command emitter shows events in a process: listeners of all kinds, a veto, a
// panic that harms nobody, a slow listener with a queue, names with patterns,
// and a topic that two processes share.
//
//	go run ./examples/emitter
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/bedplate/bedplate/emitter"
)

type order struct {
	ID   int
	Item string
}

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	logger := slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: brief}))
	typed(w, logger)
	queued(w, logger)
	named(w, logger)
	shared(w)
}

// brief leaves out what differs from run to run.
func brief(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "stack" || a.Key == "subscribed_at" || a.Key == "listener" {
		return slog.Attr{}
	}
	return a
}

func typed(w io.Writer, logger *slog.Logger) {
	fmt.Fprintln(w, "1. A topic: on, once, prepend, and a listener that may veto.")
	ctx := context.Background()
	created := emitter.MustNew[order](emitter.Config{Name: "created", Logger: logger})
	mail := created.On(func(o order) { fmt.Fprintf(w, "   mail: order %d\n", o.ID) })
	created.Once(func(order) { fmt.Fprintln(w, "   the first order ever!") })
	created.Prepend(func(o order) { fmt.Fprintf(w, "   --- %s\n", o.Item) })
	_, err := created.Subscribe(emitter.SubConfig{Name: "check", Priority: 10}, func(_ context.Context, o order) error {
		if o.Item == "" {
			return fmt.Errorf("order %d is empty: %w", o.ID, emitter.ErrStop)
		}
		return nil
	})
	must(err)
	created.Emit(order{1, "tea"})
	created.Emit(order{2, "milk"})
	err = created.EmitContext(ctx, order{3, ""})
	fmt.Fprintf(w, "   vetoed: %v (%v)\n", err, errors.Is(err, emitter.ErrStop))

	fmt.Fprintln(w, "2. A listener that panics keeps nobody from the event, and is reported.")
	bad := created.Prepend(func(order) { panic("no printer") })
	created.Emit(order{4, "sugar"})
	bad.Off()
	fmt.Fprintf(w, "   mail off: %v, again: %v; %d listeners\n", mail.Off(), mail.Off(), created.Len())
	must(created.Close())
}

func queued(w io.Writer, logger *slog.Logger) {
	fmt.Fprintln(w, "3. A listener that is slow has a queue of its own, and a policy for when it is full.")
	prices := emitter.MustNew[int](emitter.Config{Name: "prices", Logger: logger})
	hold := make(chan struct{})
	var heard []int
	screen, err := prices.Subscribe(emitter.SubConfig{Name: "screen", Async: true, Overflow: emitter.Latest},
		func(_ context.Context, v int) error {
			<-hold
			heard = append(heard, v)
			return nil
		})
	must(err)
	prices.Emit(1)
	for screen.Stats().Delivered == 0 {
		<-time.After(time.Millisecond) // until 1 is in its hand
	}
	for v := 2; v <= 100; v++ {
		prices.Emit(v)
	}
	close(hold)
	must(prices.Drain(context.Background()))
	fmt.Fprintf(w, "   of 1 to 100 the screen heard %v and dropped %d\n", heard, screen.Stats().Dropped)
}

func named(w io.Writer, logger *slog.Logger) {
	fmt.Fprintln(w, "4. Names found at run time, with patterns, types and the event error.")
	bus := emitter.MustNewEmitter(emitter.Config{Name: "bus", MaxListeners: 2, Logger: logger})
	bus.On("error", func(v any) { fmt.Fprintf(w, "   error: %v\n", errors.Unwrap(v.(error))) })
	_, err := bus.OnMatch("order.*", func(event string, v any) { fmt.Fprintf(w, "   audit: %s %v\n", event, v) })
	must(err)
	orders, err := emitter.Named[order](bus, "order.created")
	must(err)
	orders.On(func(o order) { fmt.Fprintf(w, "   stock: one %s less\n", o.Item) })
	orders.Emit(order{5, "salt"})
	bus.On("ping", func(any) { panic(errors.New("no pong")) })
	bus.Emit("ping", nil)
	_, err = emitter.Named[string](bus, "order.created")
	fmt.Fprintf(w, "   %v\n", err)
	for range 4 {
		bus.On("tick", func(any) {}) // a leak: warned of once
	}
	fmt.Fprintf(w, "   names: %v\n", bus.EventNames())
	must(bus.Close())
}

// shared has the two processes in one, and a broker of ten lines; module
// emitter/emitternats has a real one.
func shared(w io.Writer) {
	fmt.Fprintln(w, "5. Two processes share a topic; nobody hears an echo.")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wire emitter.Topic[emitter.Message]
	publish := emitter.PublisherFunc(func(_ context.Context, _ string, m emitter.Message) error {
		wire.Emit(m)
		return nil
	})
	receive := emitter.SubscriberFunc(func(ctx context.Context, _ string, fn func(context.Context, emitter.Message) error) error {
		sub := wire.OnErr(func(_ context.Context, m emitter.Message) error { return fn(ctx, m) })
		defer sub.Off()
		<-ctx.Done()
		return ctx.Err()
	})
	heard := make(chan string, 10)
	var topics [2]emitter.Topic[order]
	for i := range topics {
		topics[i].On(func(o order) { heard <- fmt.Sprintf("process %d: %s", i, o.Item) })
		_, err := emitter.Export(&topics[i], publish, "orders", emitter.JSON[order](), emitter.SubConfig{})
		must(err)
		go func() { _ = emitter.Import(ctx, receive, "orders", emitter.JSON[order](), &topics[i]) }()
	}
	for wire.Len() < len(topics) {
		<-time.After(time.Millisecond)
	}
	topics[0].Emit(order{6, "oil"})
	fmt.Fprintf(w, "   %s\n   %s\n", <-heard, <-heard)
	for i := range topics {
		must(topics[i].Drain(ctx))
	}
	fmt.Fprintf(w, "   and %d more\n", len(heard))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
