package poolpgx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/pool/poolpgx"
	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

// shared is the server of the tests that do no harm to one.
var shared struct {
	sync.Once

	url    string
	server *pgserver.Server // if it is ours
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// skip ends a test for which there is no server, and fails it for any other
// reason.
func skip(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip("no PostgreSQL: DATABASE_URL is not set, and initdb and postgres are not installed")
	}
	require.NoError(t, err)
}

// serverURL is that of a server that others may use as well: DATABASE_URL, or one
// that is started for the tests.
func serverURL(t *testing.T) string {
	t.Helper()
	shared.Do(func() {
		if shared.url = os.Getenv("DATABASE_URL"); shared.url != "" {
			return
		}
		if shared.server, shared.err = pgserver.Start(context.Background(), pgserver.Config{}); shared.err == nil {
			shared.url = shared.server.URL()
		}
	})
	skip(t, shared.err)
	return shared.url
}

// ownServer is one that the test may stop, restart and fill.
func ownServer(t *testing.T, cfg pgserver.Config) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), cfg)
	skip(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// newPool returns a pool that change has had its say in.
func newPool(t *testing.T, url string, change func(*pool.Config[*pgx.Conn])) *pool.Pool[*pgx.Conn] {
	t.Helper()
	cfg, err := poolpgx.Config(url)
	require.NoError(t, err)
	if change != nil {
		change(&cfg)
	}
	p, err := pool.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		require.Zero(t, p.Stats().Total)
	})
	return p
}

// query is a call as services make it.
func query(ctx context.Context, p *pool.Pool[*pgx.Conn], sql string, args ...any) (v string, err error) {
	return pool.Use(ctx, p, func(ctx context.Context, c *pgx.Conn) (v string, err error) {
		err = c.QueryRow(ctx, sql, args...).Scan(&v)
		return v, err
	})
}

// admin is a connection beside the pool.
func admin(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = poolpgx.Close(c) })
	return c
}

// terminate ends another connection and waits until the server has.
func terminate(t *testing.T, c *pgx.Conn, pid uint32) {
	t.Helper()
	var done bool
	require.NoError(t, c.QueryRow(t.Context(), "select pg_terminate_backend($1)", pid).Scan(&done))
	require.True(t, done)
	until(t, func() bool {
		var n int
		require.NoError(t, c.QueryRow(t.Context(), "select count(*) from pg_stat_activity where pid = $1", pid).Scan(&n))
		return n == 0
	})
}

// until asks again and again.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not come to that within ten seconds")
}
