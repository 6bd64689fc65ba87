package ratelimitredis_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// exampleClient returns a client of a server within the process.
func exampleClient() (*redis.Client, func()) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		panic(err)
	}
	c := redis.NewClient(&redis.Options{Addr: m.Addr(), ContextTimeoutEnabled: true})
	return c, func() { _ = c.Close(); m.Close() }
}

func Example() {
	client, stop := exampleClient()
	defer stop()
	login := func(ctx context.Context, store *ratelimitredis.Store) error {
		d, err := store.Take(ctx, "alice", 1)
		if err == nil && !d.Allowed {
			return fmt.Errorf("come again in %v", d.RetryAfter)
		}
		return err
	}

	store, err := ratelimitredis.New(ratelimitredis.Config{
		Name:   "logins",
		Client: client,
		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Minute), ratelimit.Per(50, 24*time.Hour)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	for range 6 {
		if err := login(context.Background(), store); err != nil {
			fmt.Println("the sixth is refused")
		}
	}
	fmt.Println(store.Stats().Allowed, store.Stats().Limited)
	// Output:
	// the sixth is refused
	// 5 1
}

// One line makes a middleware share its budgets with other processes.
func ExampleMustNew() {
	client, stop := exampleClient()
	defer stop()
	store := ratelimitredis.MustNew(ratelimitredis.Config{
		Name: "api", Client: client, Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)},
	})
	defer store.Close()
	m := ratelimithttp.MustNew(ratelimithttp.Config{
		Store: store, // instead of Limits
	})
	for range 2 {
		w := httptest.NewRecorder()
		m.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("RateLimit"))
	}
	// Output:
	// 404 "default";r=0;t=60
	// 429 "default";r=0;t=60
}

// What was taken can be given back, and a key be forgotten.
func ExampleStore_Refund() {
	client, stop := exampleClient()
	defer stop()
	store := ratelimitredis.MustNew(ratelimitredis.Config{Client: client, Limits: []ratelimit.Limit{ratelimit.Per(10, time.Hour)}})
	ctx := context.Background()
	_, _ = store.Take(ctx, "alice", 10)
	_ = store.Refund(ctx, "alice", 3)
	d, _ := store.Take(ctx, "alice", 0)
	fmt.Println(d.Remaining)
	_ = store.Reset(ctx, "alice")
	d, _ = store.Take(ctx, "alice", 0)
	fmt.Println(d.Remaining)
	fmt.Println(store.Drain(ctx))
	// Output:
	// 3
	// 10
	// <nil>
}
