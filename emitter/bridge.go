package emitter

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Message is an event on its way between processes.
type Message struct {
	// ID is the same for every copy of the message: what a broker or a receiver
	// needs to tell a repetition.
	ID string

	// Origin tells where the event was emitted. It is random, one for each Topic
	// that exports in each process.
	Origin string

	// Time is when it was exported.
	Time time.Time

	// Header is for those on the way, such as a trace context. It may be nil.
	Header map[string]string

	// Data is the event as the Codec has encoded it.
	Data []byte
}

// Publisher sends messages. Users and adapters implement it.
type Publisher interface {
	// Publish returns nil when the broker has m, as far as it tells.
	Publish(ctx context.Context, subject string, m Message) error
}

// PublisherFunc makes a function a Publisher.
type PublisherFunc func(ctx context.Context, subject string, m Message) error

// Publish calls f.
func (f PublisherFunc) Publish(ctx context.Context, subject string, m Message) error {
	return f(ctx, subject, m)
}

// Subscriber receives messages. Users and adapters implement it.
type Subscriber interface {
	// Subscribe calls fn for each message, one after the other, until ctx is
	// done or it cannot go on, and returns why, when fn does not run any more. An
	// error of fn asks for the message again, where the broker can do that.
	Subscribe(ctx context.Context, subject string, fn func(context.Context, Message) error) error
}

// SubscriberFunc makes a function a Subscriber.
type SubscriberFunc func(ctx context.Context, subject string, fn func(context.Context, Message) error) error

// Subscribe calls f.
func (f SubscriberFunc) Subscribe(ctx context.Context, subject string, fn func(context.Context, Message) error) error {
	return f(ctx, subject, fn)
}

// Codec makes bytes of events, and events of bytes. Both functions are required.
type Codec[T any] struct {
	Encode func(T) ([]byte, error)      // of a value that a listener may hold too: not to be changed
	Decode func(data []byte) (T, error) // of bytes that a stranger may have sent
}

// JSON is the Codec of encoding/json.
func JSON[T any]() Codec[T] {
	return Codec[T]{
		Encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		Decode: func(data []byte) (v T, err error) {
			err = json.Unmarshal(data, &v)
			return v, err
		},
	}
}

// A passport is what an imported event carries in its ctx, so that an Export of
// the same topic knows it.
type passport struct {
	subject string
	m       Message
}

type passportKey struct{}

// parcel is an event in the queue of an Export.
type parcel[T any] struct {
	v        T
	passport *passport // nil if it was emitted here
}

// Export publishes the events of t to subject. It is an asynchronous
// subscription with the queue, the policy and the name of cfg, so that a broker
// that is slow or down does not hold up those who emit, and ends as any other.
// What fails (to encode, to publish) goes where the errors of listeners go; to
// try again is for the Publisher.
//
// An event that Import has brought to t is not sent to the subject from which it
// came. To another subject it goes on as it was: with its ID, Origin, Time and
// Header.
func Export[T any](t *Topic[T], p Publisher, subject string, codec Codec[T], cfg SubConfig) (*Sub, error) {
	if err := codec.check(); err != nil {
		return nil, err
	}
	cfg.Async = true
	cfg = cfg.withDefaults(defaultQueue)
	n, err := newNode[T](cfg, nil, reflect.ValueOf(codec.Encode).Pointer())
	if err != nil {
		return nil, err
	}
	origin := t.core.id()
	send := func(ctx context.Context, x parcel[T]) error {
		data, err := codec.Encode(x.v)
		if err != nil {
			return fmt.Errorf("emitter: export to %s: encode: %w", subject, err)
		}
		m := Message{ID: rand.Text(), Origin: origin, Time: time.Now()}
		if x.passport != nil {
			m = x.passport.m
		}
		m.Data = data
		if err := p.Publish(ctx, subject, m); err != nil {
			return fmt.Errorf("emitter: export to %s: %w", subject, err)
		}
		return nil
	}
	m := newMailbox[parcel[T]](&t.core, &n.Sub, n.describe, cfg)
	m.listener(send)
	n.fnc = func(ctx context.Context, v T) error {
		from, _ := ctx.Value(passportKey{}).(*passport)
		if from != nil && from.subject == subject {
			return nil
		}
		return m.push(ctx, parcel[T]{v, from})
	}
	if err := t.add(n, cfg.Prepend); err != nil {
		return nil, err
	}
	return &n.Sub, nil
}

// Import emits on t what comes from subject, until ctx is done or s gives up,
// and returns why. Listeners get a ctx that derives from that of s. If one of
// them fails, the error goes back to s, which may bring the message again. Data
// that cannot be decoded goes to Hooks.OnError, and is not asked for again,
// since it would not get better. What t itself has exported is passed over.
func Import[T any](ctx context.Context, s Subscriber, subject string, codec Codec[T], t *Topic[T]) error {
	if err := codec.check(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	own := t.core.id()
	return s.Subscribe(ctx, subject, func(ctx context.Context, m Message) error {
		if m.Origin == own {
			return nil
		}
		v, err := codec.Decode(m.Data)
		if err != nil {
			_ = t.core.tell(nil, fmt.Errorf("emitter: import from %s: decode message %q: %w", subject, m.ID, err), false)
			return nil
		}
		return t.EmitContext(context.WithValue(ctx, passportKey{}, &passport{subject, m}), v)
	})
}

func (c Codec[T]) check() error {
	if c.Encode == nil || c.Decode == nil {
		return errors.New("emitter: Codec.Encode or Codec.Decode is nil")
	}
	return nil
}

// id is the Origin of what this topic exports.
func (c *core) id() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.origin == "" {
		c.origin = rand.Text()
	}
	return c.origin
}
