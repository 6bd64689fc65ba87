// Command pool shows what a pool of connections does for its callers when they
// come in a rush, when the server restarts, and when somebody forgets to give
// one back. The server is in this process, and speaks a small protocol over TCP.
//
//	go run ./examples/pool
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/bedplate/bedplate/pool"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(w io.Writer) error {
	ctx := context.Background()
	db := &server{handshake: 15 * time.Millisecond, query: 200 * time.Microsecond, limit: 20}
	if err := db.start(); err != nil {
		return err
	}
	defer db.stop()

	leaks := make(chan pool.Leak, 16)
	p, err := pool.New(pool.Config[*conn]{
		Name:    "db",
		Create:  func(ctx context.Context) (*conn, error) { return dial(ctx, db.addr) },
		Destroy: func(c *conn) error { return c.Close() },
		Check: func(ctx context.Context, c *conn) error {
			_, err := c.ask(ctx, "ping")
			return err
		},
		IsBroken:  func(err error) bool { return !errors.Is(err, errBusiness) },
		Max:       20, // as many as the server takes
		LeakAfter: 200 * time.Millisecond,
		Hooks:     pool.Hooks{OnLeak: func(l pool.Leak) { leaks <- l }},
	})
	if err != nil {
		return err
	}

	fmt.Fprintln(w, "1. Five connections are ready, and fifty callers come at once. A new connection takes 15 ms.")
	if err := p.Warm(ctx, 5); err != nil {
		return err
	}
	took := rush(ctx, p, 50)
	slices.Sort(took)
	fmt.Fprintf(w, "   served %d; median %v, slowest %v\n", len(took), took[len(took)/2].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond))
	all, _ := db.seen()
	fmt.Fprintf(w, "   connections made for it: %d, instead of 45\n", all-5)

	fmt.Fprintln(w, "2. The server goes away. Callers are told why, at once, and do not all knock at its door.")
	db.stop()
	failed, waited := failures(ctx, p, 1000)
	before := p.Stats()
	fmt.Fprintf(w, "   %d of 1000 failed, attempts to connect: %d, longest wait: %v\n", failed.count, before.CreateFailed, waited.Round(time.Millisecond))
	fmt.Fprintf(w, "   %v\n", failed.last)

	fmt.Fprintln(w, "3. It is back, and so is the pool, by itself.")
	if err := db.start(); err != nil {
		return err
	}
	back := time.Now()
	for p.Stats().Idle == 0 && time.Since(back) < 10*time.Second {
		time.Sleep(time.Millisecond)
	}
	took = rush(ctx, p, 50)
	fmt.Fprintf(w, "   served %d\n", len(took))

	fmt.Fprintln(w, "4. Somebody forgets to release. The pool says who.")
	forgotten, err := forget(ctx, p)
	if err != nil {
		return err
	}
	leak := <-leaks
	fmt.Fprintf(w, "   connection %d has been held for %v by %s\n", leak.Holder.ID, leak.Holder.Held.Round(10*time.Millisecond), leak.Holder.Caller)

	fmt.Fprintln(w, "5. Shutdown waits for those who hold one, up to a deadline, and names them.")
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	fmt.Fprintf(w, "   drain: %v\n", p.Drain(short))
	fmt.Fprintf(w, "   late release: %v, and again: %v\n", forgotten.Release(), forgotten.Release())
	fmt.Fprintf(w, "   close: %v\n", p.Close())

	_, most := db.seen()
	s := p.Stats()
	fmt.Fprintf(w, "%s: %d acquired, %d created, %d connections at most at one time, %d left\n", s.Name, s.Acquired, s.Created, most, s.Total)
	return nil
}

var errBusiness = errors.New("no such row")

// rush has n callers query at once, and returns how long each took.
func rush(ctx context.Context, p *pool.Pool[*conn], n int) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range n {
		start := time.Now()
		wg.Go(func() {
			answer, err := pool.Use(ctx, p, func(ctx context.Context, c *conn) (string, error) { return c.ask(ctx, "select") })
			if err != nil || answer != "select" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
		})
	}
	wg.Wait()
	return took
}

// failure is what callers of a server that is away were told.
type failure struct {
	count int
	last  error
}

// failures has n callers query one after the other, and returns how many failed,
// and the longest of their waits.
func failures(ctx context.Context, p *pool.Pool[*conn], n int) (f failure, longest time.Duration) {
	for range n {
		start := time.Now()
		err := p.With(ctx, func(ctx context.Context, c *conn) error {
			_, err := c.ask(ctx, "select")
			return err
		})
		longest = max(longest, time.Since(start))
		if err != nil {
			f.count++
			f.last = err
		}
	}
	return f, longest
}

// forget acquires and goes away.
func forget(ctx context.Context, p *pool.Pool[*conn]) (pool.Lease[*conn], error) {
	return p.Acquire(ctx)
}
