package cluster

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

// writeTimeout is how long the other side may leave a frame unread. A socket
// that takes nothing for so long is broken, and closed.
const writeTimeout = 10 * time.Second

// A link is one end of a control socket. What is sent goes through a bounded
// outbox that one goroutine writes, so no sender ever waits on the socket.
type link struct {
	conn  net.Conn
	out   *mailbox
	limit int           // of the body of a frame that comes in
	wrote chan struct{} // closed when the writer has ended
}

// newLink takes over conn and starts the writer. The caller must close the link.
func newLink(conn net.Conn, limit int) *link {
	l := &link{
		conn:  conn,
		out:   newMailbox(1024, max(4<<20, 2*limit)),
		limit: limit,
		wrote: make(chan struct{}),
	}
	go l.write()
	return l
}

func (l *link) write() {
	defer close(l.wrote)
	var buf []byte
	for {
		f, err := l.out.take(context.Background())
		if err != nil {
			return
		}
		buf = appendFrame(buf[:0], f)
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := l.conn.Write(buf); err != nil {
			l.out.close(ErrGone, true)
			_ = l.conn.Close()
			return
		}
		if cap(buf) > framePiece {
			buf = nil
		}
	}
}

// send waits for room in the outbox until ctx is done.
func (l *link) send(ctx context.Context, kind frameKind, body []byte) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return l.out.put(ctx, frame{kind, body})
}

// control sends one of the few frames that must not wait for room.
func (l *link) control(kind frameKind, body []byte) error {
	return l.out.force(frame{kind, body})
}

// read gives each frame that comes in to handle, until the stream or handle
// ends with an error. It returns nil when the other side has closed, or died.
func (l *link) read(handle func(frame) error) error {
	r := bufio.NewReader(l.conn)
	for {
		f, err := readFrame(r, l.limit)
		if err == nil {
			err = handle(f)
		}
		if errors.Is(err, errFrame) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // however a stream ends, the other side is gone
		}
	}
}

// close sends what is in the outbox, for at most so long, and closes the
// socket. Afterwards send returns ErrGone.
func (l *link) close(flush time.Duration) {
	l.out.close(ErrGone, flush <= 0)
	if flush > 0 {
		timer := time.NewTimer(flush)
		defer timer.Stop()
		select {
		case <-l.wrote:
		case <-timer.C:
		}
	}
	_ = l.conn.Close()
	<-l.wrote
}
