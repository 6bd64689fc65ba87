package emitternats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/bedplate/bedplate/emitter"
)

// Defaults of the StreamConfig fields that are left zero.
const (
	defaultPrefetch   = 16
	defaultRetryDelay = time.Second
)

// giveBackTime bounds how long the end of a subscription takes.
const giveBackTime = time.Second

// StreamConfig describes a Stream. JetStream is required, and Stream and Durable
// are to subscribe.
type StreamConfig struct {
	// JetStream is that of the user's connection.
	JetStream jetstream.JetStream

	// Stream is the name of the stream that has the subjects. It must exist: how
	// it stores and for how long is for whoever runs the server.
	Stream string

	// Durable is the name under which the server remembers what was handled.
	// Processes that share it share the messages; those with names of their own
	// get all of them. The server's consumer is made if it is not there, and made
	// to fit this configuration if it is.
	Durable string

	// AckWait is how long the server waits for a message to be handled before it
	// gives it to somebody again. It must be longer than the listeners take with
	// Prefetch messages. Zero means the server's 30 seconds.
	AckWait time.Duration

	// RetryDelay is how long a message that failed is held back. Zero means a
	// second.
	RetryDelay time.Duration

	// MaxDeliver is how often one message is tried at most. Zero means for ever.
	MaxDeliver int

	// Prefetch is how many messages are fetched at once. Zero means 16.
	Prefetch int
}

// Stream publishes to and subscribes from a stream of JetStream. It implements
// emitter.Publisher and emitter.Subscriber and is safe for use by many
// goroutines.
type Stream struct {
	cfg StreamConfig
}

// NewStream returns a Stream as described by cfg. It fails if a field of cfg is
// missing or has a value that makes no sense, and the error names the field.
func NewStream(cfg StreamConfig) (*Stream, error) {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("emitternats: StreamConfig.%s is %v, want %s", field, value, want)
	}
	switch {
	case cfg.JetStream == nil:
		return nil, bad("JetStream", "nil", "that of a connection")
	case cfg.AckWait < 0:
		return nil, bad("AckWait", cfg.AckWait, "≥ 0")
	case cfg.RetryDelay < 0:
		return nil, bad("RetryDelay", cfg.RetryDelay, "≥ 0")
	case cfg.MaxDeliver < 0:
		return nil, bad("MaxDeliver", cfg.MaxDeliver, "≥ 0")
	case cfg.Prefetch < 0:
		return nil, bad("Prefetch", cfg.Prefetch, "≥ 0")
	case (cfg.Stream == "") != (cfg.Durable == ""):
		return nil, errors.New("emitternats: StreamConfig has one of Stream and Durable, want both to subscribe, or none")
	}
	if cfg.Prefetch == 0 {
		cfg.Prefetch = defaultPrefetch
	}
	if cfg.RetryDelay == 0 {
		cfg.RetryDelay = defaultRetryDelay
	}
	if cfg.MaxDeliver == 0 {
		cfg.MaxDeliver = -1
	}
	return &Stream{cfg}, nil
}

// MustNewStream is NewStream for package variables: it panics where that returns
// an error.
func MustNewStream(cfg StreamConfig) *Stream {
	s, err := NewStream(cfg)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// Publish stores m, and returns nil when the server says that it has. On failure
// it may have stored it all the same; to publish m again is safe within the
// duplicate window of the stream, since its ID tells.
func (s *Stream) Publish(ctx context.Context, subject string, m emitter.Message) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	_, err := s.cfg.JetStream.PublishMsg(ctx, encode(subject, m))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctxError(ctx)
	}
	return fmt.Errorf("emitternats: publish to %s: %w", subject, err)
}

// Subscribe calls fn with the messages of subject, one after the other in this
// goroutine: those that the durable name has not handled yet, and then new ones.
// One for which fn returns nil is handled, another comes again after RetryDelay.
// See the package on when Subscribe returns; it then gives back what it had
// fetched, for which it takes a second at most.
func (s *Stream) Subscribe(ctx context.Context, subject string, fn func(context.Context, emitter.Message) error) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if s.cfg.Durable == "" {
		return errors.New("emitternats: StreamConfig.Durable is empty, want a name to subscribe")
	}
	err := s.subscribe(ctx, subject, fn)
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return fmt.Errorf("emitternats: subscribe to %s: %w", subject, err)
}

func (s *Stream) subscribe(ctx context.Context, subject string, fn func(context.Context, emitter.Message) error) error {
	consumer, err := s.cfg.JetStream.CreateOrUpdateConsumer(ctx, s.cfg.Stream, jetstream.ConsumerConfig{
		Durable:       s.cfg.Durable,
		FilterSubject: subject,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       s.cfg.AckWait,
		MaxDeliver:    s.cfg.MaxDeliver,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(s.cfg.Prefetch))
	if err != nil {
		return err
	}
	defer giveBack(messages)
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case err == nil:
			// What cannot be told to the server it finds out by AckWait.
			if fn(ctx, decode(msg.Headers(), msg.Data())) == nil {
				_ = msg.Ack()
			} else {
				_ = msg.NakWithDelay(s.cfg.RetryDelay)
			}
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			// The server is away, or was; the client asks again when it is back.
		default:
			return err
		}
	}
}

// giveBack ends the subscription, and gives the messages that were fetched and
// not handled back to the server, so that another subscriber need not wait for
// AckWait to get them. If the server is away, AckWait it is.
func giveBack(messages jetstream.MessagesContext) {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	defer messages.Stop()
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		_ = msg.Nak()
	}
}
