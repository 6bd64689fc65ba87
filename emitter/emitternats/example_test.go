package emitternats_test

import (
	"context"
	"fmt"
	"os"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/emitter/emitternats"
)

// Order is the event of the examples.
type Order struct{ ID int }

// local gives a connection to a server inside this process.
func local() (conn *nats.Conn, end func()) {
	dir, err := os.MkdirTemp("", "emitternats-")
	if err != nil {
		panic(err)
	}
	server, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
	if err != nil {
		panic(err)
	}
	server.Start()
	if !server.ReadyForConnections(10 * time.Second) {
		panic("no server")
	}
	closed := make(chan struct{})
	conn, err = nats.Connect(server.ClientURL(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		panic(err)
	}
	return conn, func() {
		conn.Close()
		<-closed
		stop(server)
		os.RemoveAll(dir)
	}
}

func Example() {
	conn, end := local()
	defer end()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var created emitter.Topic[Order]

	events := emitternats.MustNew(emitternats.Config{Conn: conn})

	export, err := emitter.Export(&created, events, "order.created", emitter.JSON[Order](), emitter.SubConfig{})
	go emitter.Import(ctx, events, "order.created", emitter.JSON[Order](), &created)

	// Another process, here in the same.
	var elsewhere emitter.Topic[Order]
	heard := make(chan Order)
	elsewhere.On(func(o Order) { heard <- o })
	go emitter.Import(ctx, events, "order.created", emitter.JSON[Order](), &elsewhere)
	for conn.NumSubscriptions() < 2 {
		<-time.After(time.Millisecond)
	}
	created.Emit(Order{ID: 1})
	fmt.Println(<-heard, err, export.Close())
	// Output: {1} <nil> <nil>
}

// Events that are stored, and heard at least once by whoever goes by the name.
func ExampleNewStream() {
	conn, end := local()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	js, err := jetstream.New(conn)
	fmt.Println(err)
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"order.*"}})
	fmt.Println(err)

	stream, err := emitternats.NewStream(emitternats.StreamConfig{JetStream: js, Stream: "ORDERS", Durable: "billing"})
	fmt.Println(err)
	fmt.Println(stream.Publish(ctx, "order.created", emitter.Message{ID: "1", Data: []byte(`{"ID":7}`)}))

	billing := new(emitter.Topic[Order])
	billing.On(func(o Order) {
		fmt.Println("bill", o.ID)
		cancel()
	})
	fmt.Println(emitter.Import(ctx, stream, "order.created", emitter.JSON[Order](), billing))
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// bill 7
	// context canceled
}
