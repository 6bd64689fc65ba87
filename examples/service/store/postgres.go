package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/bedplate/bedplate/pool/poolpgx"
)

// openPostgres makes the pool; poolpgx knows how.
func (s *Store) openPostgres(cfg Config) (engine, error) {
	pc, err := poolpgx.Config(cfg.URL)
	if err != nil {
		return nil, err
	}
	return newEngine(s, cfg, pc, func(c *pgx.Conn) conn { return pgConn{c} })
}

type pgConn struct{ *pgx.Conn }

func (c pgConn) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := c.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

func (c pgConn) query(ctx context.Context, row func(scan func(...any) error) error, sql string, args ...any) error {
	rows, err := c.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (c pgConn) atomically(ctx context.Context, fn func() error) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	if err := fn(); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	return tx.Commit(ctx)
}
