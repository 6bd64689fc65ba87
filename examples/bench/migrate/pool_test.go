package migrate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/puddle/v2"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

type conn struct {
	id     int
	closed bool
}

func connsBefore(dial func(context.Context) (*conn, error)) (query func(context.Context) (int, error), closeAll func()) {
	p, err := puddle.NewPool(&puddle.Config[*conn]{
		Constructor: dial,
		Destructor:  func(c *conn) { c.closed = true },
		MaxSize:     4,
	})
	if err != nil {
		panic(err)
	}
	return func(ctx context.Context) (int, error) {
		res, err := p.Acquire(ctx)
		if err != nil {
			return 0, err
		}
		defer res.Release()
		return res.Value().id, nil
	}, p.Close
}

func connsAfter(dial func(context.Context) (*conn, error)) (query func(context.Context) (int, error), closeAll func()) {
	p := pool.MustNew(pool.Config[*conn]{
		Create:  dial,
		Destroy: func(c *conn) error { c.closed = true; return nil },
		Max:     4,
	})
	return func(ctx context.Context) (int, error) {
		lease, err := p.Acquire(ctx)
		if err != nil {
			return 0, err
		}
		defer lease.Release()
		return lease.Value().id, nil
	}, func() { _ = p.Close() }
}

func TestPuddlePair(t *testing.T) {
	type making = func(func(context.Context) (*conn, error)) (func(context.Context) (int, error), func())
	run := func(make making) (log []string) {
		var made []*conn
		query, closeAll := make(func(context.Context) (*conn, error) {
			made = append(made, &conn{id: len(made) + 1})
			return made[len(made)-1], nil
		})
		for range 3 {
			id, err := query(t.Context())
			log = append(log, fmt.Sprint(id, err))
		}
		closeAll()
		_, err := query(t.Context())
		return append(log, fmt.Sprint(len(made), made[0].closed, err != nil))
	}
	before := run(connsBefore)
	require.Equal(t, []string{"1 <nil>", "1 <nil>", "1 <nil>", "1 true true"}, before)
	require.Equal(t, before, run(connsAfter))
}
