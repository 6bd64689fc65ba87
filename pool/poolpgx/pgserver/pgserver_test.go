package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server keeps its files and its port over a restart, and leaves nothing
// behind.
func TestServerLifecycle(t *testing.T) {
	t.Setenv("TMPDIR", short(t))
	ctx := t.Context()
	s, err := pgserver.Start(ctx, pgserver.Config{MaxConnections: 3})
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer s.Stop()
	ask := func(sql string) (v string, err error) {
		c, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return "", err
		}
		defer c.Close(ctx)
		err = c.QueryRow(ctx, sql).Scan(&v)
		return v, err
	}
	limit, err := ask("show max_connections")
	require.NoError(t, err)
	require.Equal(t, "3", limit)
	c, err := pgx.Connect(ctx, s.URL())
	require.NoError(t, err)
	_, err = c.Exec(ctx, "create table kept as select 'x'::text as v")
	require.NoError(t, err)
	require.NoError(t, s.Halt())
	require.Error(t, c.Ping(ctx), "its connections have ended")
	_ = c.Close(ctx)
	_, err = ask("select 1")
	require.ErrorContains(t, err, "refused")
	require.Error(t, s.Pause(), "it does not run")
	require.NoError(t, s.Restart(ctx))
	kept, err := ask("select v from kept")
	require.NoError(t, err)
	require.Equal(t, "x", kept)

	require.NoError(t, s.Pause())
	hurried, cancel := context.WithTimeout(ctx, 1e8)
	defer cancel()
	_, err = pgx.Connect(hurried, s.URL())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, s.Stop(), "also when it is paused")
	require.NoError(t, s.Stop())
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "pgserver-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// short returns a folder whose path has room for the name of a socket, and into
// which another user may look.
func short(t *testing.T) string {
	dir, err := os.MkdirTemp("", "pg")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestStartFailsForAContextThatIsDone(t *testing.T) {
	t.Setenv("TMPDIR", short(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pgserver.Start(ctx, pgserver.Config{})
	require.Error(t, err)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "pgserver-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func Example() {
	ctx := context.Background()
	s, err := pgserver.Start(ctx, pgserver.Config{MaxConnections: 20})
	if err != nil { // ErrNotInstalled where there is no PostgreSQL
		fmt.Println("PostgreSQL")
		return
	}
	defer s.Stop()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(ctx)
	var version string
	if err := conn.QueryRow(ctx, "select split_part(version(), ' ', 1)").Scan(&version); err != nil {
		fmt.Println(err)
	}
	fmt.Println(version)
	// Output: PostgreSQL
}
