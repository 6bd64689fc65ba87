// Package store keeps accounts, links and sessions in SQLite or in PostgreSQL,
// over a pool of connections. The two differ in how a connection is made and
// used; every statement is written once, in the SQL that both understand.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/pool"
)

// Sentinels for errors.Is.
var (
	ErrNotFound = errors.New("store: not found")
	ErrExists   = errors.New("store: exists already")

	// ErrUnavailable says that the database could not be asked: there is no
	// connection, or the one in use broke.
	ErrUnavailable = errors.New("store: database unavailable")

	// errRefused is how the database answers while Break is on.
	errRefused = errors.New("store: the database refuses, as somebody wanted to see")
)

// User is an account.
type User struct {
	ID       string
	Email    string
	Password string // as the caller has hashed it
	Created  time.Time
}

// Link is a short link.
type Link struct {
	Slug    string
	Owner   string // User.ID
	URL     string
	Hits    int64
	Created time.Time
}

// Config describes a Store.
type Config struct {
	Path string // of the SQLite file, which is made if need be
	URL  string // of a PostgreSQL database, which takes the place of the file
	Max  int    // connections; zero means 8
}

// Store is safe for use by many goroutines. Make one with Open, and Drain it.
type Store struct {
	kind   string
	engine engine
	broken atomic.Bool            // written by Break
	last   atomic.Pointer[string] // why there was no connection, written by the pool's hook
}

// engine is a pool of connections, whatever they are.
type engine interface {
	use(ctx context.Context, fn func(context.Context, conn) error) error
	broke(err error) bool

	Stats() pool.Stats
	Health(ctx context.Context) error
	Reset()
	Drain(ctx context.Context) error
	Close() error
}

// conn is one connection. Arguments and destinations are strings, int64s and
// []byte; in a statement they are $1, $2, in the order of their first use.
type conn interface {
	// exec runs a statement and returns how many rows it has changed.
	exec(ctx context.Context, sql string, args ...any) (int64, error)

	// query calls row for each row of the result, which scan reads.
	query(ctx context.Context, row func(scan func(dest ...any) error) error, sql string, args ...any) error

	// atomically runs fn in a transaction.
	atomically(ctx context.Context, fn func() error) error
}

// Open connects to the database and makes the tables that it lacks.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Max == 0 {
		cfg.Max = 8
	}
	s := &Store{kind: "sqlite"}
	open := s.openSQLite
	if cfg.URL != "" {
		s.kind, open = "postgres", s.openPostgres
	}
	var err error
	if s.engine, err = open(cfg); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("making the tables: %w", err), s.engine.Close())
	}
	return s, nil
}

// schema makes what is missing. Processes that start together do so one after
// the other: SQLite has one writer anyway, PostgreSQL gets a lock first.
var schema = []string{
	`CREATE TABLE IF NOT EXISTS users (
		id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL, created BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS links (
		slug TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES users (id), url TEXT NOT NULL,
		hits BIGINT NOT NULL, created BIGINT NOT NULL)`,
	`CREATE INDEX IF NOT EXISTS links_of_owner ON links (owner, slug)`,
	`CREATE TABLE IF NOT EXISTS sessions (
		subject TEXT NOT NULL, session TEXT NOT NULL, token TEXT NOT NULL, previous TEXT NOT NULL,
		replaced BIGINT NOT NULL, expires BIGINT NOT NULL, successor BYTEA,
		PRIMARY KEY (subject, session))`,
}

func (s *Store) migrate(ctx context.Context) error {
	statements := schema
	if s.kind == "postgres" {
		statements = append([]string{`SELECT pg_advisory_xact_lock(7365727669636501)`}, schema...)
	}
	return s.use(ctx, func(ctx context.Context, c conn) error {
		return c.atomically(ctx, func() error {
			for _, sql := range statements {
				if _, err := c.exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Kind is "sqlite" or "postgres".
func (s *Store) Kind() string { return s.kind }

// Stats are those of the pool of connections.
func (s *Store) Stats() pool.Stats { return s.engine.Stats() }

// LastError is why the last attempt to connect failed, empty if it did not.
func (s *Store) LastError() string {
	if text := s.last.Load(); text != nil {
		return *text
	}
	return ""
}

// Health returns nil if the database answers.
func (s *Store) Health(ctx context.Context) error { return s.classify(s.engine.Health(ctx)) }

// Break lets the database refuse, until it is called with false: there are no
// new connections, and those there are break. It is for demonstrations.
func (s *Store) Break(on bool) {
	if s.broken.Swap(on) != on && on {
		s.engine.Reset()
	}
}

// Drain waits for the connections in use and closes all of them.
func (s *Store) Drain(ctx context.Context) error { return s.engine.Drain(ctx) }

// use calls fn with a connection.
func (s *Store) use(ctx context.Context, fn func(context.Context, conn) error) error {
	return s.classify(s.engine.use(ctx, func(ctx context.Context, c conn) error {
		if err := s.refusal(); err != nil {
			return err
		}
		return fn(ctx, c)
	}))
}

// refusal is the error of every connection while Break is on.
func (s *Store) refusal() error {
	if s.broken.Load() {
		return errRefused
	}
	return nil
}

// broke reports whether err says that a connection is of no use any more.
func (s *Store) broke(err error) bool {
	return errors.Is(err, errRefused) || s.engine.broke(err)
}

// classify adds ErrUnavailable to errors that are not about the statement.
func (s *Store) classify(err error) error {
	if err == nil {
		return nil
	}
	if _, refused := errors.AsType[*pool.AcquireError](err); refused || errors.Is(err, pool.ErrClosed) || s.broke(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// change runs a statement that changes one row. It fails with otherwise if the
// statement has found none.
func (s *Store) change(ctx context.Context, otherwise error, sql string, args ...any) error {
	return s.use(ctx, func(ctx context.Context, c conn) error {
		n, err := c.exec(ctx, sql, args...)
		if err == nil && n == 0 {
			err = otherwise
		}
		return err
	})
}

// get reads one row. It fails with ErrNotFound if there is none.
func (s *Store) get(ctx context.Context, dest []any, sql string, args ...any) error {
	return s.use(ctx, func(ctx context.Context, c conn) error {
		found := false
		err := c.query(ctx, func(scan func(...any) error) error {
			found = true
			return scan(dest...)
		}, sql, args...)
		if err == nil && !found {
			err = ErrNotFound
		}
		return err
	})
}

// CreateUser adds an account. It fails with ErrExists if there is one with this
// address.
func (s *Store) CreateUser(ctx context.Context, u User) error {
	return s.change(ctx, ErrExists, `INSERT INTO users (id, email, password, created) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, u.ID, u.Email, u.Password, u.Created.UnixMilli())
}

// UserByEmail finds an account, or fails with ErrNotFound.
func (s *Store) UserByEmail(ctx context.Context, email string) (User, error) {
	u := User{Email: email}
	var created int64
	err := s.get(ctx, []any{&u.ID, &u.Password, &created}, `SELECT id, password, created FROM users WHERE email = $1`, email)
	u.Created = time.UnixMilli(created)
	return u, err
}

// Profile is an account and how many links it has.
func (s *Store) Profile(ctx context.Context, id string) (User, int64, error) {
	u := User{ID: id}
	var created, links int64
	err := s.get(ctx, []any{&u.Email, &created, &links}, `SELECT email, created,
		(SELECT count(*) FROM links WHERE owner = users.id) FROM users WHERE id = $1`, id)
	u.Created = time.UnixMilli(created)
	return u, links, err
}

const insertLink = `INSERT INTO links (slug, owner, url, hits, created) VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING`

// CreateLink adds a link. It fails with ErrExists if its slug is taken.
func (s *Store) CreateLink(ctx context.Context, l Link) error {
	return s.change(ctx, ErrExists, insertLink, l.Slug, l.Owner, l.URL, l.Created.UnixMilli())
}

// CreateLinks adds many links, all those whose slug is free or, on failure,
// none. It returns the indexes of those whose slug was taken.
func (s *Store) CreateLinks(ctx context.Context, links []Link) (taken []int, err error) {
	err = s.use(ctx, func(ctx context.Context, c conn) error {
		return c.atomically(ctx, func() error {
			taken = nil
			for i, l := range links {
				n, err := c.exec(ctx, insertLink, l.Slug, l.Owner, l.URL, l.Created.UnixMilli())
				if err != nil {
					return err
				}
				if n == 0 {
					taken = append(taken, i)
				}
			}
			return nil
		})
	})
	return taken, err
}

// Link finds a link, or fails with ErrNotFound.
func (s *Store) Link(ctx context.Context, slug string) (Link, error) {
	l := Link{Slug: slug}
	var created int64
	err := s.get(ctx, []any{&l.Owner, &l.URL, &l.Hits, &created},
		`SELECT owner, url, hits, created FROM links WHERE slug = $1`, slug)
	l.Created = time.UnixMilli(created)
	return l, err
}

// Newest lists up to n links of an account, the newest first.
func (s *Store) Newest(ctx context.Context, owner string, n int) ([]Link, error) {
	return s.links(ctx, `SELECT slug, owner, url, hits, created FROM links WHERE owner = $1
		ORDER BY created DESC, slug LIMIT $2`, owner, int64(n))
}

// After lists up to n links of an account by slug, beginning after one.
func (s *Store) After(ctx context.Context, owner, slug string, n int) ([]Link, error) {
	return s.links(ctx, `SELECT slug, owner, url, hits, created FROM links WHERE owner = $1 AND slug > $2
		ORDER BY slug LIMIT $3`, owner, slug, int64(n))
}

func (s *Store) links(ctx context.Context, sql string, args ...any) (links []Link, err error) {
	err = s.use(ctx, func(ctx context.Context, c conn) error {
		return c.query(ctx, func(scan func(...any) error) error {
			var l Link
			var created int64
			err := scan(&l.Slug, &l.Owner, &l.URL, &l.Hits, &created)
			l.Created = time.UnixMilli(created)
			links = append(links, l)
			return err
		}, sql, args...)
	})
	return links, err
}

// DeleteLink removes a link of an account, or fails with ErrNotFound.
func (s *Store) DeleteLink(ctx context.Context, owner, slug string) error {
	return s.change(ctx, ErrNotFound, `DELETE FROM links WHERE slug = $1 AND owner = $2`, slug, owner)
}

// AddHits adds to the hits of links, all or none.
func (s *Store) AddHits(ctx context.Context, hits map[string]int64) error {
	slugs := make([]string, 0, len(hits))
	for slug := range hits {
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs) // two processes that lock the same rows do so in one order
	return s.use(ctx, func(ctx context.Context, c conn) error {
		return c.atomically(ctx, func() error {
			for _, slug := range slugs {
				if _, err := c.exec(ctx, `UPDATE links SET hits = hits + $1 WHERE slug = $2`, hits[slug], slug); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
