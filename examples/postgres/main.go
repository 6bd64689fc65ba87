// Command postgres shows a pool of PostgreSQL connections under load while the
// server does what servers do: it ends connections, restarts, and says that
// there are enough of them.
//
//	cd examples/postgres && go run .
//
// It uses the server of DATABASE_URL, without restarting it; or else starts one
// of its own, if PostgreSQL is installed; or else says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/pool/poolpgx"
	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) (err error) {
	url := os.Getenv("DATABASE_URL")
	var own *pgserver.Server
	if url == "" {
		own, err = pgserver.Start(ctx, pgserver.Config{MaxConnections: 10})
		if errors.Is(err, pgserver.ErrNotInstalled) {
			fmt.Fprintln(w, "There is no PostgreSQL here: DATABASE_URL is not set, and initdb and postgres are not installed.")
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.Stop()) }()
		url = own.URL()
		fmt.Fprintln(w, "A server of our own, which takes ten connections.")
	}
	cfg, err := poolpgx.Config(url)
	if err != nil {
		return err
	}
	cfg.Name, cfg.Max, cfg.MinIdle, cfg.CheckAfter = "db", 8, 1, 50*time.Millisecond
	db, err := pool.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Warm(ctx, 4); err != nil {
		return err
	}
	version, err := ask(ctx, db, "select split_part(version(), ' on ', 1)")
	if err != nil {
		return err
	}
	fmt.Fprintln(w, version)

	fmt.Fprintln(w, "1. Fifty callers on eight connections.")
	report(w, db, load(ctx, db, 50, 10))

	fmt.Fprintln(w, "2. An operator ends all idle connections. Nobody notices.")
	if err := terminate(ctx, db, url); err != nil {
		return err
	}
	report(w, db, load(ctx, db, 50, 10))

	fmt.Fprintln(w, "3. Somebody leaves a transaction open. The next one does not find it.")
	if err := db.With(ctx, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "begin")
		return err
	}); err != nil {
		return err
	}
	if err := db.With(ctx, func(_ context.Context, c *pgx.Conn) error {
		fmt.Fprintf(w, "   transaction status: %c, for idle\n", c.PgConn().TxStatus())
		return nil
	}); err != nil {
		return err
	}

	if own != nil {
		fmt.Fprintln(w, "4. The server restarts under load.")
		restarted := make(chan error, 1)
		time.AfterFunc(100*time.Millisecond, func() { restarted <- own.Restart(ctx) })
		l := load(ctx, db, 16, 500)
		if err := <-restarted; err != nil {
			return err
		}
		report(w, db, l)
		if l.last != nil {
			fmt.Fprintf(w, "   one of the errors: %v\n", l.last)
		}
		for db.Health(ctx) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Fprintln(w, "   and now:")
		report(w, db, load(ctx, db, 50, 10))
	}

	done, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Fprintf(w, "drained: %v\n", db.Drain(done))
	return nil
}

// ask is a query with one value.
func ask(ctx context.Context, db *pool.Pool[*pgx.Conn], sql string) (string, error) {
	return pool.Use(ctx, db, func(ctx context.Context, c *pgx.Conn) (v string, err error) {
		err = c.QueryRow(ctx, sql).Scan(&v)
		return v, err
	})
}

// outcome is what a load came to.
type outcome struct {
	served, failed int64
	took           time.Duration
	last           error
}

// load has so many callers query so many times each.
func load(ctx context.Context, db *pool.Pool[*pgx.Conn], callers, times int) outcome {
	var served, failed atomic.Int64
	var last atomic.Value
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for range times {
				if _, err := ask(ctx, db, "select pg_sleep(0.001)::text"); err != nil {
					failed.Add(1)
					last.Store(err.Error())
					time.Sleep(10 * time.Millisecond)
					continue
				}
				served.Add(1)
			}
		})
	}
	wg.Wait()
	o := outcome{served: served.Load(), failed: failed.Load(), took: time.Since(start)}
	if text, ok := last.Load().(string); ok {
		o.last = errors.New(text)
	}
	return o
}

func report(w io.Writer, db *pool.Pool[*pgx.Conn], o outcome) {
	s := db.Stats()
	fmt.Fprintf(w, "   %d served, %d failed, in %v; %d connections, %d made so far\n", o.served, o.failed, o.took.Round(time.Millisecond), s.Total, s.Created)
}

// terminate ends the pool's idle connections from the outside.
func terminate(ctx context.Context, db *pool.Pool[*pgx.Conn], url string) error {
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer poolpgx.Close(admin) //nolint:errcheck // it was only read from
	var pids []uint32
	db.Evict(func(c *pgx.Conn) bool {
		pids = append(pids, c.PgConn().PID())
		return false
	})
	for _, pid := range pids {
		if _, err := admin.Exec(ctx, "select pg_terminate_backend($1)", pid); err != nil {
			return err
		}
	}
	time.Sleep(100 * time.Millisecond)
	return nil
}
