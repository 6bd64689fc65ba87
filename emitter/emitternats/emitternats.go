package emitternats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/bedplate/bedplate/emitter"
)

// Config describes a Core. Conn is required.
type Config struct {
	// Conn is the connection. It stays the user's, who closes it.
	Conn *nats.Conn

	// Group is the queue group in which Subscribe takes part: each message goes
	// to one of its members. Empty means to all who subscribe.
	Group string

	// Confirm makes Publish wait until the server has the message, which takes a
	// round trip. Otherwise it returns when the client has it.
	Confirm bool

	// OnError is called with what goes wrong without ending Subscribe: an error
	// of the function that gets the messages, for which there is no second try
	// here, and messages that were lost because it was slow. Nil leaves it at
	// what the Topic reports.
	OnError func(error)
}

// Core publishes and subscribes by core NATS. It implements emitter.Publisher
// and emitter.Subscriber and is safe for use by many goroutines.
type Core struct {
	cfg Config
}

// New returns a Core as described by cfg. It fails if a required field is
// missing, and the error names it.
func New(cfg Config) (*Core, error) {
	if cfg.Conn == nil {
		return nil, errors.New("emitternats: Config.Conn is nil, want a connection")
	}
	return &Core{cfg}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Core {
	c, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return c
}

// Publish sends m. On failure the message may have been sent all the same if
// Confirm is set, and has not otherwise.
func (c *Core) Publish(ctx context.Context, subject string, m emitter.Message) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if err := c.cfg.Conn.PublishMsg(encode(subject, m)); err != nil {
		return fmt.Errorf("emitternats: publish to %s: %w", subject, err)
	}
	if !c.cfg.Confirm {
		return nil
	}
	if err := flush(ctx, c.cfg.Conn); err != nil {
		return fmt.Errorf("emitternats: publish to %s: confirm: %w", subject, err)
	}
	return nil
}

// flush waits until the server has what was sent. The client wants a deadline:
// a ctx without one gets that of the client's own Flush.
func flush(ctx context.Context, conn *nats.Conn) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, conn.Opts.Timeout, nats.ErrTimeout)
		defer cancel()
	}
	if err := conn.FlushWithContext(ctx); err != nil {
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		return err
	}
	return nil
}

// Subscribe calls fn with the messages of subject, which may have the wildcards
// of NATS, one after the other in this goroutine. See the package on when it
// returns.
func (c *Core) Subscribe(ctx context.Context, subject string, fn func(context.Context, emitter.Message) error) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	sub, err := c.cfg.Conn.QueueSubscribeSync(subject, c.cfg.Group)
	if err != nil {
		return fmt.Errorf("emitternats: subscribe to %s: %w", subject, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is gone, and the subscription with it
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
			if err := fn(ctx, decode(msg.Header, msg.Data)); err != nil {
				c.report(fmt.Errorf("emitternats: message of %s: %w", msg.Subject, err))
			}
		case ctx.Err() != nil:
			return ctxError(ctx)
		case errors.Is(err, nats.ErrSlowConsumer):
			c.report(fmt.Errorf("emitternats: subscribe to %s: messages lost: %w", subject, err))
		default:
			return fmt.Errorf("emitternats: subscribe to %s: %w", subject, err)
		}
	}
}

func (c *Core) report(err error) {
	if c.cfg.OnError != nil {
		c.cfg.OnError(err)
	}
}
