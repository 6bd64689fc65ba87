package poolpgx_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/pool/poolpgx"
)

// open is how a service makes its pool.
func open() (*pool.Pool[*pgx.Conn], error) {
	cfg, err := poolpgx.Config(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	cfg.Name, cfg.Max, cfg.MinIdle = "db", 20, 2
	return pool.New(cfg)
}

// count is a query of it.
func count(ctx context.Context, db *pool.Pool[*pgx.Conn]) (int, error) {
	n, err := pool.Use(ctx, db, func(ctx context.Context, c *pgx.Conn) (n int, err error) {
		err = c.QueryRow(ctx, "select count(*) from orders").Scan(&n)
		return n, err
	})
	return n, err
}

func Example() {
	db, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // this example does without a server
	_, err = count(ctx, db)
	fmt.Println(err, db.Stats().Max)
	// Output: context canceled 20
}

func ExampleConfig() {
	cfg, err := poolpgx.Config("postgres://app@localhost:5432/shop")
	fmt.Println(cfg.Check != nil, cfg.Reset != nil, err)
	// Output: true true <nil>
}

func ExampleConfigFor() {
	cc, err := pgx.ParseConfig("host=localhost user=app")
	if err != nil {
		fmt.Println(err)
		return
	}
	cc.RuntimeParams["application_name"] = "shop"
	p := pool.MustNew(poolpgx.ConfigFor(cc))
	fmt.Println(p.Close())
	// Output: <nil>
}

func ExampleIsBroken() {
	fmt.Println(poolpgx.IsBroken(errors.New("no such order")), poolpgx.IsBroken(pgx.ErrNoRows))
	// Output: false false
}
