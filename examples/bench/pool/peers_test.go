package poolbench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/puddle/v2"
	commons "github.com/jolestar/go-commons-pool/v2"

	"github.com/bedplate/bedplate/pool"
)

// A peer is another pool, or a floor.
type peer struct {
	name    string
	static  bool // it is filled at first and does not grow
	patient bool // its callers wait for as long as it takes
	make    func(max int, dial func()) instance
}

// instance is one pool of a peer.
type instance struct {
	// loop takes a resource, calls inside if it is not nil, and gives the
	// resource back, for as long as next says. It is written out for each peer,
	// so that none pays for a closure around each call that its users would not
	// pay for.
	loop func(ctx context.Context, next func() bool, inside func())

	// try does so once, and reports whether it got a resource before ctx was
	// done.
	try func(ctx context.Context, inside func()) bool

	inUse func() int
	close func()
}

type thing struct{ _ [64]byte }

// peers are used as their own documentation says, with checks, resets and
// timeouts as their defaults are.
var peers = []peer{
	{name: "bedplate", make: func(max int, dial func()) instance {
		p := pool.MustNew(pool.Config[*thing]{
			Max:    max,
			Create: func(context.Context) (*thing, error) { dial(); return new(thing), nil },
		})
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					l, err := p.Acquire(ctx)
					must(err)
					if inside != nil {
						inside()
					}
					must(l.Release())
				}
			},
			try: func(ctx context.Context, inside func()) bool {
				l, err := p.Acquire(ctx)
				if err != nil {
					return false
				}
				inside()
				must(l.Release())
				return true
			},
			inUse: func() int { return p.Stats().InUse },
			close: func() { must(p.Close()) },
		}
	}},
	{name: "puddle", make: func(max int, dial func()) instance {
		p, err := puddle.NewPool(&puddle.Config[*thing]{
			Constructor: func(context.Context) (*thing, error) { dial(); return new(thing), nil },
			Destructor:  func(*thing) {},
			MaxSize:     int32(max),
		})
		must(err)
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					r, err := p.Acquire(ctx)
					must(err)
					if inside != nil {
						inside()
					}
					r.Release()
				}
			},
			try: func(ctx context.Context, inside func()) bool {
				r, err := p.Acquire(ctx)
				if err != nil {
					return false
				}
				inside()
				r.Release()
				return true
			},
			inUse: func() int { return int(p.Stat().AcquiredResources()) },
			close: p.Close,
		}
	}},
	{name: "databasesql", make: func(max int, dial func()) instance {
		db := sql.OpenDB(connector(dial))
		db.SetMaxOpenConns(max)
		db.SetMaxIdleConns(max)
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					c, err := db.Conn(ctx)
					must(err)
					if inside != nil {
						inside()
					}
					must(c.Close())
				}
			},
			try: func(ctx context.Context, inside func()) bool {
				c, err := db.Conn(ctx)
				if err != nil {
					return false
				}
				inside()
				must(c.Close())
				return true
			},
			inUse: func() int { return db.Stats().InUse },
			close: func() { must(db.Close()) },
		}
	}},
	{name: "redigo", make: func(max int, dial func()) instance {
		p := &redis.Pool{
			MaxActive: max, MaxIdle: max, Wait: true,
			DialContext: func(context.Context) (redis.Conn, error) { dial(); return redisConn{}, nil },
		}
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					c, err := p.GetContext(ctx)
					must(err)
					if inside != nil {
						inside()
					}
					must(c.Close())
				}
			},
			try: func(ctx context.Context, inside func()) bool {
				c, err := p.GetContext(ctx)
				if err != nil {
					return false
				}
				inside()
				must(c.Close())
				return true
			},
			inUse: func() int { return p.ActiveCount() - p.IdleCount() },
			close: func() { must(p.Close()) },
		}
	}},
	{name: "commons", patient: true, make: func(max int, dial func()) instance {
		ctx := context.Background()
		cfg := commons.NewDefaultPoolConfig()
		cfg.MaxTotal, cfg.MaxIdle = max, max
		p := commons.NewObjectPool(ctx, commons.NewPooledObjectFactorySimple(
			func(context.Context) (any, error) { dial(); return new(thing), nil }), cfg)
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					v, err := p.BorrowObject(ctx)
					must(err)
					if inside != nil {
						inside()
					}
					must(p.ReturnObject(ctx, v))
				}
			},
			inUse: p.GetNumActive,
			close: func() { p.Close(ctx) },
		}
	}},
	{name: "floor-mutex", static: true, make: func(max int, dial func()) instance {
		var mu sync.Mutex
		back := sync.NewCond(&mu)
		var idle []*thing
		for range max {
			dial()
			idle = append(idle, new(thing))
		}
		return instance{
			loop: func(_ context.Context, next func() bool, inside func()) {
				for next() {
					mu.Lock()
					for len(idle) == 0 {
						back.Wait()
					}
					v := idle[len(idle)-1]
					idle = idle[:len(idle)-1]
					mu.Unlock()
					if inside != nil {
						inside()
					}
					mu.Lock()
					idle = append(idle, v)
					mu.Unlock()
					back.Signal()
				}
			},
			close: func() {},
		}
	}},
	{name: "floor-channel", static: true, make: func(max int, dial func()) instance {
		idle := make(chan *thing, max)
		for range max {
			dial()
			idle <- new(thing)
		}
		return instance{
			loop: func(ctx context.Context, next func() bool, inside func()) {
				for next() {
					var v *thing
					select {
					case v = <-idle:
					case <-ctx.Done():
						panic(ctx.Err())
					}
					if inside != nil {
						inside()
					}
					idle <- v
				}
			},
			try: func(ctx context.Context, inside func()) bool {
				select {
				case v := <-idle:
					inside()
					idle <- v
					return true
				case <-ctx.Done():
					return false
				}
			},
			close: func() {},
		}
	}},
}

// connector is a database/sql driver that does nothing.
type connector func()

func (c connector) Connect(context.Context) (driver.Conn, error) { c(); return sqlConn{}, nil }
func (c connector) Driver() driver.Driver                        { return nil }

type sqlConn struct{}

func (sqlConn) Prepare(string) (driver.Stmt, error) { return nil, errNothing }
func (sqlConn) Begin() (driver.Tx, error)           { return nil, errNothing }
func (sqlConn) Close() error                        { return nil }

// redisConn is a redis.Conn that does nothing.
type redisConn struct{}

func (redisConn) Close() error                   { return nil }
func (redisConn) Err() error                     { return nil }
func (redisConn) Do(string, ...any) (any, error) { return nil, nil }
func (redisConn) Send(string, ...any) error      { return nil }
func (redisConn) Flush() error                   { return nil }
func (redisConn) Receive() (any, error)          { return nil, errNothing }
func (redisConn) ReceiveContext(context.Context) (any, error) {
	return nil, errNothing
}
func (redisConn) DoContext(context.Context, string, ...any) (any, error) { return nil, nil }

var errNothing = errors.New("this connection does nothing")

func must(err error) {
	if err != nil {
		panic(err)
	}
}
