package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

func TestStoreLeavesAWaitForALockWithItsContext(t *testing.T) {
	cfg := sqlite(t)
	s := open(t, cfg)
	ada := user(t, s, "ada@example.com")
	other, err := sqlite3.Open(cfg.Path)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	require.NoError(t, other.Exec(`BEGIN IMMEDIATE`))

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, s.CreateLink(short, link(ada, "one")), context.DeadlineExceeded)
	require.Less(t, time.Since(began), 4*time.Second, "less than the time for which SQLite would wait")
	require.NoError(t, other.Exec(`ROLLBACK`))
	require.NoError(t, s.CreateLink(ctx, link(ada, "one")), "what waited has left nothing behind")
}

func TestStoreSaysThatAFileIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service.db")
	require.NoError(t, os.WriteFile(path, []byte("this is not a database, and long enough to be seen as none"), 0o600))
	_, err := store.Open(ctx, store.Config{Path: path})
	require.ErrorIs(t, err, store.ErrUnavailable)
}

func TestStoreOutlivesARestartOfPostgreSQL(t *testing.T) {
	server, err := pgserver.Start(ctx, pgserver.Config{})
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	s := open(t, store.Config{URL: server.URL()})
	ada := user(t, s, "ada@example.com")

	require.NoError(t, server.Halt())
	require.Eventually(t, func() bool {
		_, err := s.UserByEmail(ctx, ada.Email)
		return errors.Is(err, store.ErrUnavailable)
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, server.Restart(ctx))
	require.Eventually(t, func() bool {
		_, err := s.UserByEmail(ctx, ada.Email)
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
}
