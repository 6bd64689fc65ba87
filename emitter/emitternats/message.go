package emitternats

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/bedplate/bedplate/emitter"
)

// The headers that carry what is not the data of a message.
const (
	headerID     = nats.MsgIdHdr
	headerOrigin = "Emitter-Origin"
	headerTime   = "Emitter-Time"
)

// encode makes m a message of NATS. Fields that are empty have no header.
func encode(subject string, m emitter.Message) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = m.Data
	for key, value := range m.Header {
		msg.Header.Set(key, value)
	}
	set := func(key, value string) {
		if value != "" {
			msg.Header.Set(key, value)
		}
	}
	set(headerID, m.ID)
	set(headerOrigin, m.Origin)
	if !m.Time.IsZero() {
		set(headerTime, m.Time.UTC().Format(time.RFC3339Nano))
	}
	return msg
}

// decode is the reverse. A time that is none stays zero: the message is a
// stranger's, and its data may be good.
func decode(header nats.Header, data []byte) emitter.Message {
	m := emitter.Message{ID: header.Get(headerID), Origin: header.Get(headerOrigin), Data: data}
	m.Time, _ = time.Parse(time.RFC3339Nano, header.Get(headerTime))
	for key := range header {
		if key == headerID || key == headerOrigin || key == headerTime {
			continue
		}
		if m.Header == nil {
			m.Header = make(map[string]string)
		}
		m.Header[key] = header.Get(key)
	}
	return m
}

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
