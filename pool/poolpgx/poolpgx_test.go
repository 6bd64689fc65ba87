package poolpgx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/pool/poolpgx"
)

func TestConfigChecksItsArgument(t *testing.T) {
	_, err := poolpgx.Config("postgres://host:port/")
	require.ErrorContains(t, err, "poolpgx: ")
	cfg, err := poolpgx.Config("postgres://user@localhost/db")
	require.NoError(t, err)
	require.NotNil(t, cfg.Create)
	require.NotNil(t, cfg.Destroy)
	require.NotNil(t, cfg.Check)
	require.NotNil(t, cfg.Reset)
	require.NotNil(t, cfg.IsBroken)
}

func TestIsBroken(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("mine"), false},
		{pgx.ErrNoRows, false},
		{context.Canceled, false},
		{fmt.Errorf("timeout: %w", context.DeadlineExceeded), false},
		{&pgconn.PgError{Severity: "ERROR", Code: "42601"}, false}, // syntax
		{&pgconn.PgError{Severity: "ERROR", Code: "57014"}, false}, // a cancelled query
		{&pgconn.PgError{Severity: "FATAL", Code: "57P01"}, true},  // terminated
		{&pgconn.PgError{Severity: "ERROR", Code: "57P03"}, true},  // starting up
		{&pgconn.PgError{Severity: "ERROR", Code: "08006"}, true},  // connection failure
		{&pgconn.PgError{Severity: "PANIC", Code: "XX000"}, true},  // the server is gone
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true},        // half an answer
		{io.EOF, true},        // none
		{net.ErrClosed, true}, //
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true}, // reset
	} {
		require.Equal(t, c.want, poolpgx.IsBroken(c.err), "%v", c.err)
	}
}

// A connection that the server has ended while it was idle is noticed before it
// is handed out: the caller gets another, and no error.
func TestTerminatedWhileIdle(t *testing.T) {
	url := serverURL(t)
	p := newPool(t, url, func(c *pool.Config[*pgx.Conn]) { c.Max, c.CheckAfter = 3, 1 })
	require.NoError(t, p.Warm(t.Context(), 3))
	other := admin(t, url)
	before, err := query(t.Context(), p, "select pg_backend_pid()::text")
	require.NoError(t, err)
	for _, pid := range pids(t, p) {
		terminate(t, other, pid)
	}
	after, err := query(t.Context(), p, "select pg_backend_pid()::text")
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	until(t, func() bool { return p.Stats().DestroyedBroken == 3 })
}

// pids are those of the idle connections.
func pids(t *testing.T, p *pool.Pool[*pgx.Conn]) (out []uint32) {
	t.Helper()
	require.Zero(t, p.Evict(func(c *pgx.Conn) bool {
		out = append(out, c.PgConn().PID())
		return false
	}))
	return out
}

// One that the server ends while it is used is an error for its holder, and for
// nobody else, although the others were used a moment ago.
func TestTerminatedWhileHeld(t *testing.T) {
	url := serverURL(t)
	p := newPool(t, url, func(c *pool.Config[*pgx.Conn]) { c.Max, c.CheckAfter = 3, time.Hour })
	require.NoError(t, p.Warm(t.Context(), 3))
	other := admin(t, url)
	err := p.With(t.Context(), func(ctx context.Context, c *pgx.Conn) error {
		for _, pid := range append(pids(t, p), c.PgConn().PID()) {
			terminate(t, other, pid)
		}
		_, err := c.Exec(ctx, "select 1")
		return err
	})
	require.Error(t, err)
	require.True(t, poolpgx.IsBroken(err), "%v", err)
	for range 10 {
		_, err := query(t.Context(), p, "select 'x'")
		require.NoError(t, err)
	}
	require.NoError(t, p.Health(t.Context()))
}

// What a holder leaves behind is put right before the next one has it.
func TestResetEndsTransactions(t *testing.T) {
	p := newPool(t, serverURL(t), func(c *pool.Config[*pgx.Conn]) { c.Max = 1 })
	pid, err := query(t.Context(), p, "select pg_backend_pid()::text")
	require.NoError(t, err)
	for _, leave := range []string{
		"begin",
		"begin; create temp table left_behind (n int)",
		"begin; select pg_advisory_xact_lock(4711)",
		"begin; select 1/0",
	} {
		err := p.With(t.Context(), func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.PgConn().Exec(ctx, leave).ReadAll()
			require.NotEqual(t, byte('I'), c.PgConn().TxStatus(), leave)
			return err
		})
		if err != nil {
			require.ErrorContains(t, err, "division by zero")
		}
		require.NoError(t, p.With(t.Context(), func(ctx context.Context, c *pgx.Conn) error {
			require.Equal(t, byte('I'), c.PgConn().TxStatus(), leave)
			var table *string
			require.NoError(t, c.QueryRow(ctx, "select to_regclass('left_behind')::text").Scan(&table))
			require.Nil(t, table)
			return nil
		}))
	}
	same, err := query(t.Context(), p, "select pg_backend_pid()::text")
	require.NoError(t, err)
	require.Equal(t, pid, same, "and it is the same connection")
}

// A result that was not read, and a query that was broken off, cost the
// connection.
func TestResetRefusesWhatCannotBePutRight(t *testing.T) {
	p := newPool(t, serverURL(t), func(c *pool.Config[*pgx.Conn]) { c.Max = 2 })
	require.NoError(t, p.With(t.Context(), func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Query(ctx, "select generate_series(1, 100000)") //nolint:rowserrcheck // it is left open, which is the point
		return err
	}))
	require.EqualValues(t, 1, p.Stats().DestroyedBroken)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := query(ctx, p, "select pg_sleep(60)::text")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualValues(t, 2, p.Stats().DestroyedBroken)
	_, err = query(t.Context(), p, "select 'x'")
	require.NoError(t, err)
	until(t, func() bool { return p.Stats().Closing == 0 })
}

// Close comes back when the server has ended the connection, whatever it was at.
func TestCloseWaitsForTheServer(t *testing.T) {
	url := serverURL(t)
	other := admin(t, url)
	for name, prepare := range map[string]func(c *pgx.Conn){
		"idle": func(*pgx.Conn) {},
		"busy": func(c *pgx.Conn) {
			c.PgConn().Exec(context.Background(), "select pg_sleep(60)")
			require.True(t, c.PgConn().IsBusy())
		},
		"broken off": func(c *pgx.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := c.Exec(ctx, "select pg_sleep(60)")
			require.Error(t, err)
		},
		"closed": func(c *pgx.Conn) { require.NoError(t, c.Close(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			pid := c.PgConn().PID()
			prepare(c)
			require.NoError(t, poolpgx.Close(c))
			require.True(t, c.IsClosed())
			if name == "closed" {
				return // pgx itself does not wait
			}
			var n int
			require.NoError(t, other.QueryRow(t.Context(), "select count(*) from pg_stat_activity where pid = $1", pid).Scan(&n))
			require.Zero(t, n)
			require.NoError(t, poolpgx.Close(c), "again")
		})
	}
}

func TestConnectErrorIsWhatCallersAreTold(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	p := newPool(t, "postgres://nobody@"+addr+"/x?sslmode=disable", nil)
	_, err = query(t.Context(), p, "select 'x'")
	require.ErrorIs(t, err, pool.ErrDown)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorIs(t, p.Warm(t.Context(), 1), syscall.ECONNREFUSED)
}
