package emitternats_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/emitter/emitternats"
)

var (
	errBoom  = errors.New("boom")
	errCause = errors.New("cause")
)

// start runs an Import in the background and returns when its subscription is
// there; end ends it and returns its error.
func start[T any](t *testing.T, conn *nats.Conn, s emitter.Subscriber, subject string, topic *emitter.Topic[T]) (end func() error) {
	t.Helper()
	before := conn.NumSubscriptions()
	ctx, cancel := context.WithCancelCause(context.Background())
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { err = emitter.Import(ctx, s, subject, emitter.JSON[T](), topic) })
	end = sync.OnceValue(func() error { cancel(errCause); wg.Wait(); return err })
	t.Cleanup(func() { _ = end() })
	require.Eventually(t, func() bool { return conn.NumSubscriptions() > before }, 5*time.Second, time.Millisecond)
	require.NoError(t, conn.Flush())
	return end
}

func export[T any](t *testing.T, topic *emitter.Topic[T], p emitter.Publisher, subject string) {
	t.Helper()
	sub, err := emitter.Export(topic, p, subject, emitter.JSON[T](), emitter.SubConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sub.Close() })
}

// Two topics that are exported and imported are one: each event once on each
// side, and no echo.
func TestCoreBothWays(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			var topics [2]*emitter.Topic[int]
			var heard [2]record[int]
			var ends []func() error
			for i := range topics {
				topics[i] = new(emitter.Topic[int])
				topics[i].On(heard[i].add)
				conn := connect(t, url)
				core := emitternats.MustNew(emitternats.Config{Conn: conn})
				export(t, topics[i], core, n.subject)
				ends = append(ends, start(t, conn, core, n.subject, topics[i]))
			}
			for v := range 100 {
				topics[v%2].Emit(v)
			}
			for i := range heard {
				require.Len(t, heard[i].until(t, 100), 100)
			}
			topics[0].Emit(100)
			for i := range heard {
				require.Len(t, heard[i].until(t, 101), 101, "an echo would have come by now")
			}
			for _, end := range ends {
				err := end()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)
			}
		})
	}
}

// A group shares the messages, and an error of the listener is reported.
func TestCoreGroupAndErrors(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			conn := connect(t, url)
			var heard, failed record[error]
			for range 2 {
				topic := emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) {}}})
				topic.OnErr(func(context.Context, int) error { heard.add(nil); return errBoom })
				start(t, conn, emitternats.MustNew(emitternats.Config{Conn: conn, Group: "g", OnError: failed.add}), n.subject, topic)
			}
			core := emitternats.MustNew(emitternats.Config{Conn: conn, Confirm: true})
			for range 20 {
				require.NoError(t, core.Publish(t.Context(), n.subject, emitter.Message{Data: []byte("1")}))
			}
			require.Len(t, heard.until(t, 20), 20)
			for _, err := range failed.until(t, 20) {
				require.ErrorIs(t, err, errBoom)
			}
		})
	}
}

// A message comes as it was sent, whichever way; what a stranger sent has data
// alone.
func TestMessagesComeAsTheyWereSent(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			conn := connect(t, url)
			js := makeStream(t, conn, n, jetstream.MemoryStorage)
			sent := emitter.Message{
				ID: "id", Origin: "here", Time: time.Date(2026, 11, 27, 1, 2, 3, 4, time.UTC),
				Header: map[string]string{"traceparent": "00-1"}, Data: []byte{0, 1, 255},
			}
			subscribers := map[string]emitter.Subscriber{
				"core":   emitternats.MustNew(emitternats.Config{Conn: conn}),
				"stream": emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js, Stream: n.stream, Durable: n.durable}),
			}
			for kind, s := range subscribers {
				ctx, cancel := context.WithCancel(t.Context())
				var got record[emitter.Message]
				var wg sync.WaitGroup
				wg.Go(func() {
					_ = s.Subscribe(ctx, n.subject+"."+kind, func(_ context.Context, m emitter.Message) error {
						got.add(m)
						return nil
					})
				})
				publisher := s.(emitter.Publisher)
				require.Eventually(t, func() bool { // core forgets what nobody subscribes to yet
					require.NoError(t, publisher.Publish(ctx, n.subject+"."+kind, sent))
					return len(got.get()) > 0
				}, 5*time.Second, 10*time.Millisecond)
				require.Equal(t, sent, got.get()[0], kind)
				before := len(got.get())
				require.NoError(t, conn.Publish(n.subject+"."+kind, []byte("bare")))
				require.Eventually(t, func() bool {
					all := got.get()
					return string(all[len(all)-1].Data) == "bare"
				}, 5*time.Second, 5*time.Millisecond)
				all := got.get()
				require.Greater(t, len(all), before)
				require.Equal(t, emitter.Message{Data: []byte("bare")}, all[len(all)-1])
				cancel()
				wg.Wait()
			}
		})
	}
}

// A message that fails comes again; one published twice is stored once; a durable
// name goes on where it was.
func TestStreamRedeliversAndDeduplicates(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			conn := connect(t, url)
			js := makeStream(t, conn, n, jetstream.MemoryStorage)
			stream := emitternats.MustNewStream(emitternats.StreamConfig{
				JetStream: js, Stream: n.stream, Durable: n.durable, RetryDelay: 50 * time.Millisecond, AckWait: 5 * time.Second,
			})
			for range 3 {
				require.NoError(t, stream.Publish(t.Context(), n.subject, emitter.Message{ID: "same", Data: []byte("1")}))
			}
			require.NoError(t, stream.Publish(t.Context(), n.subject, emitter.Message{ID: "other", Data: []byte("2")}))

			topic := emitter.MustNew[int](emitter.Config{Hooks: emitter.Hooks{OnError: func(error) {}}})
			var heard record[int]
			var once sync.Once
			topic.OnErr(func(_ context.Context, v int) (err error) {
				heard.add(v)
				once.Do(func() { err = errBoom })
				return err
			})
			end := start(t, conn, stream, n.subject, topic)
			require.Equal(t, []int{1, 2, 1}, heard.until(t, 3))
			require.ErrorIs(t, end(), context.Canceled)

			require.NoError(t, stream.Publish(t.Context(), n.subject, emitter.Message{ID: "third", Data: []byte("3")}))
			start(t, conn, stream, n.subject, topic)
			require.Equal(t, []int{1, 2, 1, 3}, heard.until(t, 4), "what was handled does not come again")
		})
	}
}

// The server goes away and comes back, with its store: subscriptions go on, and
// what is exported meanwhile is not lost where a stream keeps it.
func TestReconnect(t *testing.T) {
	dir := t.TempDir()
	server := embed(t, -1, dir)
	at, err := url.Parse(server.ClientURL())
	require.NoError(t, err)
	port, err := strconv.Atoi(at.Port())
	require.NoError(t, err)
	n := unique(t)
	conn := connect(t, server.ClientURL())
	js := makeStream(t, conn, n, jetstream.FileStorage)
	core := emitternats.MustNew(emitternats.Config{Conn: conn})
	stream := emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js, Stream: n.stream, Durable: n.durable})

	var viaCore, viaStream record[int]
	a, b := new(emitter.Topic[int]), new(emitter.Topic[int])
	a.On(viaCore.add)
	b.On(viaStream.add)
	endCore := start(t, conn, core, n.subject+".core", a)
	endStream := start(t, conn, stream, n.subject+".stream", b)
	publish := func(p emitter.Publisher, subject string, v int) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return p.Publish(ctx, subject, emitter.Message{ID: strconv.Itoa(v), Data: []byte(strconv.Itoa(v))}) == nil
	}
	require.True(t, publish(core, n.subject+".core", 1))
	require.True(t, publish(stream, n.subject+".stream", 1))
	viaCore.until(t, 1)
	viaStream.until(t, 1)

	stop(server)
	require.Eventually(t, func() bool { return !conn.IsConnected() }, 5*time.Second, time.Millisecond)
	require.True(t, publish(core, n.subject+".core", 2), "the client keeps it until it is back")
	server = embed(t, port, dir)
	require.Eventually(t, conn.IsConnected, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []int{1, 2}, viaCore.until(t, 2))
	require.Eventually(t, func() bool { return publish(stream, n.subject+".stream", 2) }, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, []int{1, 2}, viaStream.until(t, 2))
	require.ErrorIs(t, endCore(), errCause)
	require.ErrorIs(t, endStream(), errCause)
	stop(server)
}

// A connection or a consumer that goes away for good ends the subscription with
// an error.
func TestSubscribeEndsWithItsGround(t *testing.T) {
	server := embed(t, -1, t.TempDir())
	n := unique(t)
	conn, other := connect(t, server.ClientURL()), connect(t, server.ClientURL())
	js := makeStream(t, other, n, jetstream.MemoryStorage)
	gone := make(chan error, 2)
	ignore := func(context.Context, emitter.Message) error { return nil }
	go func() {
		gone <- emitternats.MustNew(emitternats.Config{Conn: conn}).Subscribe(t.Context(), n.subject, ignore)
	}()
	require.Eventually(t, func() bool { return conn.NumSubscriptions() == 1 }, 5*time.Second, time.Millisecond)
	conn.Close()
	err := <-gone
	require.ErrorIs(t, err, nats.ErrConnectionClosed)
	require.ErrorContains(t, err, "emitternats: subscribe to "+n.subject)

	stream := emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js, Stream: n.stream, Durable: n.durable})
	go func() { gone <- stream.Subscribe(t.Context(), n.subject, ignore) }()
	require.Eventually(t, func() bool {
		c, err := js.Consumer(t.Context(), n.stream, n.durable)
		return err == nil && c.CachedInfo().NumWaiting > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, js.DeleteConsumer(t.Context(), n.stream, n.durable))
	require.ErrorIs(t, <-gone, jetstream.ErrConsumerDeleted)

	lost := emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js, Stream: "NONE", Durable: "d"})
	require.ErrorIs(t, lost.Subscribe(t.Context(), n.subject, ignore), jetstream.ErrStreamNotFound)
	require.ErrorIs(t, lost.Publish(t.Context(), "nobody.stores.this", emitter.Message{}), jetstream.ErrNoStreamResponse)
	require.ErrorIs(t, emitternats.MustNew(emitternats.Config{Conn: conn}).Publish(t.Context(), n.subject, emitter.Message{}), nats.ErrConnectionClosed)
}

// Done before the call: an error that matches the cause, and nothing is sent.
func TestContractDoneBeforeCall(t *testing.T) {
	conn := connect(t, embed(t, -1, t.TempDir()).ClientURL())
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	fail := func(context.Context, emitter.Message) error { t.Error("called"); return nil }
	core := emitternats.MustNew(emitternats.Config{Conn: conn, Confirm: true})
	stream := emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js, Stream: "S", Durable: "D"})
	before := conn.Stats().OutMsgs
	for _, err := range []error{
		core.Publish(ctx, "s", emitter.Message{}), core.Subscribe(ctx, "s", fail),
		stream.Publish(ctx, "s", emitter.Message{}), stream.Subscribe(ctx, "s", fail),
	} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
	}
	require.Equal(t, before, conn.Stats().OutMsgs)
	require.Zero(t, conn.NumSubscriptions())
}

func TestBadConfigNamesTheField(t *testing.T) {
	_, err := emitternats.New(emitternats.Config{})
	require.EqualError(t, err, "emitternats: Config.Conn is nil, want a connection")
	require.PanicsWithValue(t, err.Error(), func() { emitternats.MustNew(emitternats.Config{}) })

	conn := connect(t, embed(t, -1, t.TempDir()).ClientURL())
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	for want, cfg := range map[string]emitternats.StreamConfig{
		"emitternats: StreamConfig.JetStream is nil, want that of a connection": {},
		"emitternats: StreamConfig.AckWait is -1ns, want ≥ 0":                   {JetStream: js, AckWait: -1},
		"emitternats: StreamConfig.RetryDelay is -1ns, want ≥ 0":                {JetStream: js, RetryDelay: -1},
		"emitternats: StreamConfig.MaxDeliver is -1, want ≥ 0":                  {JetStream: js, MaxDeliver: -1},
		"emitternats: StreamConfig.Prefetch is -1, want ≥ 0":                    {JetStream: js, Prefetch: -1},
		"emitternats: StreamConfig has one of Stream and Durable, want both to subscribe, or none": {
			JetStream: js, Stream: "S"},
	} {
		_, err := emitternats.NewStream(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { emitternats.MustNewStream(cfg) })
	}
	publishOnly := emitternats.MustNewStream(emitternats.StreamConfig{JetStream: js})
	require.EqualError(t, publishOnly.Subscribe(t.Context(), "s", nil), "emitternats: StreamConfig.Durable is empty, want a name to subscribe")
}
