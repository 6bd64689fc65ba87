// Package poolpgx keeps connections to PostgreSQL, made by pgx, in a
// pool.Pool.
//
// # Usage
//
// Take a Config, say how many connections there may be, and make the pool:
//
//	cfg, err := poolpgx.Config(os.Getenv("DATABASE_URL"))
//	if err != nil {
//		return err
//	}
//	cfg.Name, cfg.Max, cfg.MinIdle = "db", 20, 2
//	db, err := pool.New(cfg)
//
// and then
//
//	n, err := pool.Use(ctx, db, func(ctx context.Context, c *pgx.Conn) (n int, err error) {
//		err = c.QueryRow(ctx, "select count(*) from orders").Scan(&n)
//		return n, err
//	})
//
// # What it adds
//
//   - A connection is pinged before it is handed out, if it was not used for
//     pool.Config.CheckAfter.
//   - A transaction that was left open is rolled back when the connection is
//     released, before anybody else gets it. That takes no round trip if there
//     is none.
//   - A connection that the server has ended is destroyed, and all others are
//     pinged before they are used again.
//   - A connection counts toward Max until the server has ended it, so a pool
//     may have as many as the server allows. That holds as well for one that pgx
//     closes in the background because a query was cancelled.
//
// # When not to use it
//
// pgxpool is pgx's own pool. It has Query and Exec on the pool itself, and more
// hooks. This one is for those who need what package pool has: a line that is
// first come, first served, few dials in a rush, errors that say who holds what,
// leaks that are named.
//
// Behind a proxy that shares sessions between clients (PgBouncer, by transaction)
// neither knows what the session is.
//
// Package pgserver starts a PostgreSQL server for a test.
package poolpgx
