package poolpgx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/bedplate/bedplate/pool"
)

// closeTimeout is how long Close waits for the server. It is less than what the
// pool allows by default, so that the connection is closed when that is over.
const closeTimeout = 4 * time.Second

// cancelAgain is how long Close waits for a query that it has cancelled.
const cancelAgain = 200 * time.Millisecond

// Config returns a configuration of a pool of connections to connString, a URL
// or keywords and values as libpq takes them, with Create, Destroy, Check,
// Reset and IsBroken filled in. The rest is the caller's, Max above all. It fails
// if connString makes no sense; it does not connect.
func Config(connString string) (pool.Config[*pgx.Conn], error) {
	cc, err := pgx.ParseConfig(connString)
	if err != nil {
		return pool.Config[*pgx.Conn]{}, fmt.Errorf("poolpgx: %w", err)
	}
	return ConfigFor(cc), nil
}

// ConfigFor is Config for a configuration of pgx, with its tracers, TLS and
// hooks. It takes a copy.
func ConfigFor(cc *pgx.ConnConfig) pool.Config[*pgx.Conn] {
	cc = cc.Copy()
	return pool.Config[*pgx.Conn]{
		Create:   func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, cc) },
		Destroy:  Close,
		Check:    Check,
		Reset:    Reset,
		IsBroken: IsBroken,
	}
}

// Check reports whether the server answers: an empty query, one round trip.
func Check(ctx context.Context, c *pgx.Conn) error { return c.Ping(ctx) }

// Reset makes a connection ready for the next caller. One that is not in a
// transaction is so already, which costs no round trip. A transaction that was
// left open, failed or not, is rolled back. A connection that is closed, or that
// has a result that was not read to its end, is an error.
//
// It leaves the session as it is: settings, temporary tables, advisory locks,
// LISTEN. Callers that change those put them back, or Discard.
func Reset(ctx context.Context, c *pgx.Conn) error {
	pc := c.PgConn()
	switch {
	case pc.IsClosed():
		return errors.New("poolpgx: the connection is closed")
	case pc.IsBusy():
		return errors.New("poolpgx: a result was not read to its end")
	case pc.TxStatus() == 'I':
		return nil
	}
	if _, err := pc.Exec(ctx, "rollback").ReadAll(); err != nil {
		return err
	}
	if s := pc.TxStatus(); s != 'I' {
		return fmt.Errorf("poolpgx: transaction status is %q after rollback", s)
	}
	return nil
}

// Close ends a connection, and returns when the server has ended its side, or
// after four seconds: until then it counts toward max_connections there. A query
// that still runs is cancelled.
func Close(c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	pc := c.PgConn()
	if pc.IsClosed() {
		// pgx closes a connection by itself when a ctx ends in the middle of a
		// query, and does so in the background.
		select {
		case <-pc.CleanupDone():
		case <-ctx.Done():
		}
		return nil
	}
	pc.Frontend().Send(&pgproto3.Terminate{})
	deadline, _ := ctx.Deadline()
	if pc.Conn().SetDeadline(deadline) == nil && pc.Frontend().Flush() == nil && awaitEnd(ctx, pc, deadline) {
		// Nothing is left to close on the server. Over TLS, Close complains
		// that it can't say goodbye to one that has hung up, as it was asked to.
		_ = c.Close(ctx)
		return nil
	}
	return c.Close(ctx)
}

// awaitEnd waits for the server to close the socket, which it does when the
// process for this connection has ended. What it still says is nobody's
// business. A query that runs is cancelled, again and again, as a request that
// arrives before the query has begun does nothing. It tells whether the server
// has closed.
func awaitEnd(ctx context.Context, pc *pgconn.PgConn, deadline time.Time) (ended bool) {
	for busy := pc.IsBusy(); ; {
		until := deadline
		if busy {
			_ = pc.CancelRequest(ctx)
			if again := time.Now().Add(cancelAgain); again.Before(until) {
				until = again
			}
		}
		if pc.Conn().SetReadDeadline(until) != nil {
			return false
		}
		_, err := io.Copy(io.Discard, pc.Conn())
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(deadline) {
			// Over TLS, a server that hangs up without a word is an unexpected end.
			return err == nil || errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

// IsBroken reports whether err, as a method of a connection has returned it,
// means that the connection cannot be used any more: the server has ended it, is
// going down, or cannot be reached. An error in a statement does not, nor does
// a ctx that has ended; the connection that pgx has closed for that is found by
// Reset.
func IsBroken(err error) bool {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Severity == "FATAL" || pe.Severity == "PANIC" || strings.HasPrefix(pe.Code, "08") || strings.HasPrefix(pe.Code, "57P")
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
