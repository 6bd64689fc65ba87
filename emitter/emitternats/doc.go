// Package emitternats carries the events of an emitter.Topic over NATS: it has
// the Publisher and the Subscriber that emitter.Export and emitter.Import want.
//
// Core is for events that concern whoever is there now. Each subscriber gets
// each message once, or never if it is away:
//
//	events := emitternats.MustNew(emitternats.Config{Conn: conn})
//
//	export, err := emitter.Export(&created, events, "order.created", emitter.JSON[Order](), emitter.SubConfig{})
//	go emitter.Import(ctx, events, "order.created", emitter.JSON[Order](), &created)
//
// With both, as here, the topic is one in all processes that do so: what one
// emits is heard by the listeners of all, and nothing comes back to where it was
// emitted.
//
// Stream is for events that must not be lost. JetStream stores them, and a
// subscriber that goes by a durable name gets each at least once: again if its
// listeners fail, and if its process dies before they have returned. A message
// that is published again under the same ID within the stream's window is stored
// once.
//
// # Headers
//
// A Message becomes a NATS message with its data as it is. Its ID is the header
// Nats-Msg-Id, its Origin and Time are Emitter-Origin and Emitter-Time, and its
// Header is taken over. So what is subscribed to need not come from this
// package: what is missing is empty.
//
// # Context and errors
//
// A ctx that is done before the call is an error, and nothing happens. Subscribe
// returns when its ctx is done, with the error of ctx, which also matches its
// cause; or when the connection is closed, the stream or the consumer deleted,
// with that error. Nothing of it is left then: no goroutine, no subscription.
// While the client reconnects Subscribe waits, and a Core's Publish writes to
// the client's buffer; see nats.ReconnectBufSize.
//
// The connection is the user's, who closes it. This package starts no goroutine
// of its own.
package emitternats
