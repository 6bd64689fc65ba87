package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/bedplate/bedplate/pool"
)

// pooled makes an engine of a pool of any kind of connection.
type pooled[T any] struct {
	*pool.Pool[T]
	wrap     func(T) conn
	isBroken func(error) bool
}

func (p pooled[T]) use(ctx context.Context, fn func(context.Context, conn) error) error {
	return p.With(ctx, func(ctx context.Context, v T) error { return fn(ctx, p.wrap(v)) })
}

func (p pooled[T]) broke(err error) bool { return p.isBroken(err) }

// newEngine completes cfg with what both databases have in common.
func newEngine[T any](s *Store, own Config, cfg pool.Config[T], wrap func(T) conn) (engine, error) {
	cfg.Name, cfg.Max, cfg.MinIdle = s.kind, own.Max, 1
	// A request that finds no connection for so long had better be refused.
	cfg.AcquireTimeout = 2 * time.Second
	cfg.CreateTimeout = 2 * time.Second
	cfg.MaxBackoff = 500 * time.Millisecond
	create, check, broken := cfg.Create, cfg.Check, cfg.IsBroken
	cfg.Create = func(ctx context.Context) (T, error) {
		if err := s.refusal(); err != nil {
			var none T
			return none, err
		}
		return create(ctx)
	}
	cfg.Check = func(ctx context.Context, v T) error { return errors.Join(s.refusal(), check(ctx, v)) }
	cfg.IsBroken = func(err error) bool { return errors.Is(err, errRefused) || broken(err) }
	cfg.Hooks.OnCreated = func(c pool.Created) {
		text := ""
		if c.Err != nil {
			text = c.Err.Error()
		}
		s.last.Store(&text)
	}
	p, err := pool.New(cfg)
	if err != nil {
		return nil, err
	}
	return pooled[T]{p, wrap, broken}, nil
}

// sqliteConn is a connection to SQLite with the statements that it has
// prepared. All texts are constants, so there are few.
type sqliteConn struct {
	*sqlite3.Conn
	prepared map[string]*sqlite3.Stmt
}

// openSQLite makes the pool. A SQLite connection is not for several goroutines
// at once, and costs a file, a cache and its statements: just what a pool is for.
func (s *Store) openSQLite(cfg Config) (engine, error) {
	if cfg.Path == "" {
		return nil, errors.New("store: Config.Path is empty, want the name of a file")
	}
	return newEngine(s, cfg, pool.Config[*sqliteConn]{
		Create:   func(ctx context.Context) (*sqliteConn, error) { return dialSQLite(ctx, cfg.Path) },
		Destroy:  (*sqliteConn).close,
		Check:    func(ctx context.Context, c *sqliteConn) error { _, err := c.exec(ctx, `SELECT 1`); return err },
		Reset:    func(_ context.Context, c *sqliteConn) error { return c.reset() },
		IsBroken: sqliteBroken,
	}, func(c *sqliteConn) conn { return c })
}

func dialSQLite(ctx context.Context, path string) (*sqliteConn, error) {
	inner, err := sqlite3.OpenContext(ctx, path)
	if err != nil {
		return nil, err
	}
	inner.SetInterrupt(context.Background())
	// Readers and one writer do not wait for one another; a second writer, in
	// this process or in another, waits for the first.
	err = errors.Join(
		inner.BusyTimeout(5*time.Second),
		inner.Exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON`),
	)
	if err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return &sqliteConn{inner, make(map[string]*sqlite3.Stmt)}, nil
}

// reset ends what a caller may have left behind.
func (c *sqliteConn) reset() error {
	c.SetInterrupt(context.Background())
	if c.GetAutocommit() {
		return nil
	}
	return c.Exec(`ROLLBACK`)
}

func (c *sqliteConn) close() error {
	c.SetInterrupt(context.Background())
	var errs []error
	for _, stmt := range c.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.Close())...)
}

// sqliteBroken reports whether the file, and not the statement, is the trouble.
func sqliteBroken(err error) bool {
	for _, code := range []sqlite3.ErrorCode{sqlite3.IOERR, sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.CANTOPEN, sqlite3.FULL} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

func (c *sqliteConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	before := c.TotalChanges()
	err := c.query(ctx, func(func(...any) error) error { return nil }, sql, args...)
	return c.TotalChanges() - before, err
}

func (c *sqliteConn) query(ctx context.Context, row func(scan func(...any) error) error, sql string, args ...any) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.SetInterrupt(ctx)
	stmt, err := c.bind(sql, args)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() { err = interrupted(ctx, errors.Join(err, stmt.Reset(), stmt.ClearBindings())) }()
	for stmt.Step() {
		if err := row(func(dest ...any) error { return scanSQLite(stmt, dest) }); err != nil {
			return err
		}
	}
	return stmt.Err()
}

// bind finds or prepares a statement and gives it its arguments.
func (c *sqliteConn) bind(sql string, args []any) (*sqlite3.Stmt, error) {
	stmt := c.prepared[sql]
	if stmt == nil {
		var err error
		if stmt, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return nil, err
		}
		c.prepared[sql] = stmt
	}
	for i, arg := range args {
		var err error
		switch arg := arg.(type) {
		case string:
			err = stmt.BindText(i+1, arg)
		case int64:
			err = stmt.BindInt64(i+1, arg)
		case []byte:
			err = stmt.BindBlob(i+1, arg)
		default:
			err = fmt.Errorf("store: argument $%d is a %T", i+1, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return stmt, nil
}

func scanSQLite(stmt *sqlite3.Stmt, dest []any) error {
	for i, d := range dest {
		switch d := d.(type) {
		case *string:
			*d = stmt.ColumnText(i)
		case *int64:
			*d = stmt.ColumnInt64(i)
		case *[]byte:
			*d = stmt.ColumnBlob(i, nil)
		default:
			return fmt.Errorf("store: destination %d is a %T", i+1, d)
		}
	}
	return nil
}

// interrupted gives the error of ctx to a statement that ended because of it.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// atomically takes the lock of writers at once: a reader that becomes a writer
// could find that another one has been faster.
func (c *sqliteConn) atomically(ctx context.Context, fn func() error) error {
	if _, err := c.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err // reset rolls back
	}
	_, err := c.exec(ctx, `COMMIT`)
	return err
}
