package jwtredis_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwtredis"
)

func Example() {
	server, err := miniredis.Run() // yours is a real one
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer client.Close()

	store, err := jwtredis.New(jwtredis.Config{Client: client})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	res, err := store.Rotate(ctx, jwt.RefreshStep{Subject: "alice", Session: "s", To: "1", Live: time.Hour})
	fmt.Println(res.Outcome, err)
	fmt.Println(store.Alive(ctx, "alice", "s"))
	fmt.Println(store.Revoke(ctx, "alice", "s"))
	// Output:
	// rotated <nil>
	// true <nil>
	// <nil>
}
