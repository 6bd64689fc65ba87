package pool_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/pool"
)

// conn stands for a connection in the examples.
type conn struct{ id int }

// numbered returns a Create that numbers what it makes.
func numbered() func(context.Context) (*conn, error) {
	var n atomic.Int64
	return func(context.Context) (*conn, error) { return &conn{id: int(n.Add(1))}, nil }
}

// A server of lines, a pool of connections to it, and calls that share them.
func Example() {
	ln, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if listenErr != nil {
		fmt.Println(listenErr)
		return
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()

	ctx := context.Background()
	var dialer net.Dialer
	addr := ln.Addr().String()
	request := []byte("hello")

	conns := pool.MustNew(pool.Config[net.Conn]{
		Name:    "cache",
		Create:  func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
		Destroy: net.Conn.Close,
		Max:     20,
	})
	defer conns.Close()

	err := conns.With(ctx, func(ctx context.Context, c net.Conn) error {
		_, err := c.Write(request)
		return err
	})
	fmt.Println(err, conns.Stats().Idle)
	// Output: <nil> 1
}

func ExamplePool_Acquire() {
	var dialer net.Dialer
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	conns := pool.MustNew(pool.Config[net.Conn]{
		Create:  func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", ln.Addr().String()) },
		Destroy: net.Conn.Close,
	})
	defer conns.Close()

	send := func(ctx context.Context) error {
		l, err := conns.Acquire(ctx)
		if err != nil {
			return err
		}
		defer l.Release()
		c := l.Value()

		_, err = c.Write([]byte("hello"))
		return err
	}
	fmt.Println(send(context.Background()))
	// Output: <nil>
}

func ExampleNew() {
	_, err := pool.New(pool.Config[*conn]{Create: numbered(), Max: 5, MinIdle: 8})
	fmt.Println(err)
	// Output: pool: Config.MinIdle is 8, want ≤ Max, which is 5
}

func ExampleMustNew() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	fmt.Println(p.Stats().Max, p.Stats().Total)
	// Output: 10 0
}

func ExampleUse() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	id, err := pool.Use(context.Background(), p, func(_ context.Context, c *conn) (int, error) { return c.id, nil })
	fmt.Println(id, err)
	// Output: 1 <nil>
}

// A resource whose call panics, or fails as IsBroken says, is not used again.
func ExamplePool_With() {
	p := pool.MustNew(pool.Config[*conn]{
		Create:   numbered(),
		IsBroken: func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) },
	})
	defer p.Close()
	for _, err := range []error{nil, errors.New("no such row"), io.ErrUnexpectedEOF, nil} {
		err := p.With(context.Background(), func(_ context.Context, c *conn) error {
			fmt.Print("connection ", c.id, ": ")
			return err
		})
		fmt.Println(err)
	}
	// Output:
	// connection 1: <nil>
	// connection 1: no such row
	// connection 1: unexpected EOF
	// connection 2: <nil>
}

func ExamplePool_TryAcquire() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered(), Max: 1})
	defer p.Close()
	if err := p.Warm(context.Background(), 1); err != nil {
		fmt.Println(err)
	}
	l, ok := p.TryAcquire()
	_, second := p.TryAcquire()
	fmt.Println(ok, l.Value().id, second)
	_ = l.Release()
	// Output: true 1 false
}

// A lease ends once, and what is done with it later reaches nobody.
func ExampleLease_Release() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered(), Max: 1})
	defer p.Close()
	mine, _ := p.Acquire(context.Background())
	_ = mine.Release()
	yours, _ := p.Acquire(context.Background()) // the same resource
	fmt.Println(mine.Release())
	fmt.Println(p.Stats().InUse, yours.Value().id)
	fmt.Println(yours.Release())
	// Output:
	// pool: lease already released
	// 1 1
	// <nil>
}

func ExampleLease_Discard() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered(), Max: 1})
	defer p.Close()
	for range 2 {
		l, _ := p.Acquire(context.Background())
		fmt.Println(l.Value().id)
		_ = l.Discard()
	}
	// Output:
	// 1
	// 2
}

// A connection that is needed for long, to listen for notifications, leaves the
// pool and makes room.
func ExampleLease_Detach() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered(), Max: 1})
	defer p.Close()
	l, _ := p.Acquire(context.Background())
	c, err := l.Detach()
	fmt.Println(c.id, err, p.Stats().Total)
	// Output: 1 <nil> 0
}

func ExampleLease_Value() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	l, _ := p.Acquire(context.Background())
	fmt.Println(l.Value().id)
	_ = l.Release()
	func() {
		defer func() { fmt.Println(recover()) }()
		l.Value()
	}()
	// Output:
	// 1
	// pool: Value of a lease that was released
}

// At start-up: find out now if the server is there.
func ExamplePool_Warm() {
	p := pool.MustNew(pool.Config[*conn]{
		Name:   "db",
		Create: func(context.Context) (*conn, error) { return nil, errors.New("password authentication failed") },
	})
	defer p.Close()
	fmt.Println(p.Warm(context.Background(), 5))
	// Output: pool: db: warm: 0 of 5 ready: password authentication failed
}

// A timeout explains itself.
func ExampleAcquireError() {
	p := pool.MustNew(pool.Config[*conn]{Name: "db", Create: numbered(), Max: 2, AcquireTimeout: 20 * time.Millisecond})
	defer p.Close()
	for range 2 {
		_, _ = p.Acquire(context.Background()) // and forget to release
	}
	_, err := p.Acquire(context.Background())
	var ae *pool.AcquireError
	fmt.Println(errors.As(err, &ae), errors.Is(err, pool.ErrTimeout))
	fmt.Println(ae.InUse, "of", ae.Max, "in use, retry after", ae.RetryAfter())
	// Output:
	// true true
	// 2 of 2 in use, retry after 0s
}

func ExamplePool_Resize() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	fmt.Println(p.Resize(3, 1), p.Stats().Max)
	fmt.Println(p.Resize(0, 0))
	// Output:
	// <nil> 3
	// pool: Resize to a Max of 0, want 1 to 2147483647
}

// After a failover everything is new.
func ExamplePool_Reset() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	show := func(_ context.Context, c *conn) error {
		fmt.Println(c.id)
		return nil
	}
	_ = p.With(context.Background(), show)
	p.Reset()
	_ = p.With(context.Background(), show)
	// Output:
	// 1
	// 2
}

func ExamplePool_Evict() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered()})
	defer p.Close()
	_ = p.Warm(context.Background(), 4)
	fmt.Println(p.Evict(func(c *conn) bool { return c.id%2 == 0 }), p.Stats().Idle)
	// Output: 2 2
}

func ExamplePool_Health() {
	up := true
	p := pool.MustNew(pool.Config[*conn]{
		Create: numbered(),
		Check: func(context.Context, *conn) error {
			if !up {
				return errors.New("connection reset")
			}
			return nil
		},
	})
	defer p.Close()
	fmt.Println(p.Health(context.Background()))
	up = false
	fmt.Println(p.Health(context.Background()))
	// Output:
	// <nil>
	// connection reset
}

func ExamplePool_Holders() {
	p := pool.MustNew(pool.Config[*conn]{Create: numbered(), LeakAfter: time.Minute})
	defer p.Close()
	l, _ := p.Acquire(context.Background())
	for _, h := range p.Holders() {
		fmt.Println(h.ID, h.Held < time.Minute, h.Caller != "")
	}
	_ = l.Release()
	// Output: 1 true true
}

func ExamplePool_Drain() {
	p := pool.MustNew(pool.Config[*conn]{Name: "db", Create: numbered()})
	l, _ := p.Acquire(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { _ = l.Release() })
	fmt.Println(p.Drain(context.Background()))
	_, err := p.Acquire(context.Background())
	fmt.Println(err)
	// Output:
	// <nil>
	// pool: closed
}

func ExamplePool_Close() {
	p := pool.MustNew(pool.Config[*conn]{
		Create:  numbered(),
		Destroy: func(c *conn) error { return fmt.Errorf("connection %d: broken pipe", c.id) },
	})
	_ = p.Warm(context.Background(), 1)
	fmt.Println(p.Close())
	// Output: pool: close: connection 1: broken pipe
}

func ExamplePool_Stats() {
	p := pool.MustNew(pool.Config[*conn]{Name: "db", Create: numbered()})
	defer p.Close()
	l, _ := p.Acquire(context.Background())
	defer l.Release()
	v := expvar.Func(func() any { return p.Stats() })
	var s pool.Stats
	fmt.Println(json.Unmarshal([]byte(v.String()), &s))
	fmt.Println(s.Name, s.InUse, s.Created, s.DestroyedBroken)
	// Output:
	// <nil>
	// db 1 1 0
}

func ExampleHistogram_Bound() {
	var waits pool.Histogram // as in Stats.Waits
	fmt.Println(waits.Bound(0), waits.Bound(10))
	// Output: 1µs 1.024ms
}
