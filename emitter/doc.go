// Package emitter is for events inside a process: a listener says what it wants
// to hear of, and whoever emits need not know who listens.
//
// # Usage
//
// A Topic is one kind of event. Its zero value is ready, also as a package
// variable:
//
//	var created emitter.Topic[Order]
//
//	sub := created.On(func(o Order) { fmt.Println("order", o.ID) })
//	defer sub.Off()
//
//	created.Emit(Order{ID: 1})
//
// Listeners are called one after the other in the goroutine that emits. One that
// is slow gets a queue and a goroutine of its own, which is a matter of its
// subscription and of nobody else:
//
//	index, err := created.Subscribe(emitter.SubConfig{
//		Name: "index", Async: true, Queue: 64, Overflow: emitter.DropOldest,
//	}, store)
//
// Listeners made by OnErr and Subscribe may fail, and veto with ErrStop;
// EmitContext returns what they said. Wait waits for one event, and Events
// iterates over them:
//
//	paid, err := created.Wait(ctx, func(o Order) bool { return o.ID == 7 })
//
//	for o := range created.Events(ctx) {
//		fmt.Println(o.ID)
//		break
//	}
//
// An Emitter has events whose names are found at run time, with listeners of
// patterns, and failures as the event "error". Named ties a name to a type:
//
//	var bus emitter.Emitter
//	bus.On("order.created", func(v any) { fmt.Println(v) })
//	bus.OnAny(func(event string, v any) { fmt.Println(event, v) })
//	orders, err := emitter.Named[Order](&bus, "order.created")
//	orders.Emit(Order{ID: 2})
//
// Export and Import carry a topic over a Publisher and a Subscriber to other
// processes; module emitter/emitternats has both for NATS.
//
// # Guarantees
//
//   - An emit calls the listeners that are there when it begins, by priority and
//     then in the order in which they subscribed, less those that end before
//     their turn. No emit that begins after Off has returned calls the listener.
//   - A once listener is called at most once over all goroutines, whatever it
//     does. It is no listener any more when it is called.
//   - No lock is held while a listener, a hook or a match runs: each may call
//     anything here, its own subscription included.
//   - A listener that panics keeps nobody from the event. The panic is a
//     *PanicError with the stack, and never silent: it goes to Hooks.OnError and
//     the listeners of "error", to the caller of EmitContext, or to the log.
//     What fails while a failure is handled is logged, and not handled again.
//   - An asynchronous listener gets its events one at a time and in the order in
//     which they were emitted. Each is delivered, or counted as dropped; the
//     queue is never longer than was asked for.
//   - Nothing is left behind by Wait and Events, or with the ctx of Until. The
//     goroutine of an asynchronous listener exists while there are events, so one
//     that is forgotten leaks none.
//   - Two warnings are logged, which are features: of more listeners than
//     MaxListeners, and of a listener whose queue stays full; both name the line
//     that subscribed.
//
// # Context
//
// EmitContext does nothing if its ctx is done, and stops between listeners and
// in the wait for a full queue when it becomes so. Its error matches the error
// of ctx, its cause, and what listeners had returned by then. Synchronous
// listeners get that ctx. An asynchronous one has a ctx of its own, without the
// values and the end of the emit's, and Close cancels it. Wait and Events end
// with their ctx.
//
// Off ends a subscription at once and does not wait. Close waits for the call in
// flight too, where calls are counted: of asynchronous listeners always, of
// others with Track. Drain lets the queue run empty before. From inside a
// listener neither waits.
//
// # When not to use it
//
// To call one known function, call it. To share work among goroutines use a
// channel or a worker pool: here every listener gets every event. Where events
// must survive the process or be replayed, use a broker, with Export and Import
// at its edge. For a value rather than events, keep the value and emit that it
// has changed.
//
// # How it works
//
// The list of listeners is read without a lock: On appends behind what readers
// look at, Off marks the subscription, and the list is made anew when more than
// half of it has gone. All calls of an emit are under one deferred recover, which
// is set up anew only after a panic.
//
// A queue is a ring under a mutex. Its listener takes many events at once,
// unless the policy may still drop them. An emit that finds it full under Block
// yields for a moment before it parks; parked ones are let in one by one.
//
// An Emitter is a map of topics, each of which remembers the patterns that match
// its name. DESIGN.md has what looks odd, and the roads not taken.
//
// # Performance
//
// Emit allocates nothing: about 12 ns for one listener, of which a bare loop
// over functions takes 5, and 1.2 times the bare loop for a hundred. It scales
// with processors, as it writes nothing that they share. On and Off together
// take about 150 ns and one allocation of 80 bytes on average, however many others there
// are. An event through a queue takes about 30 ns, and about a microsecond
// to a listener that was idle. A name costs 25 ns more than a topic.
package emitter
