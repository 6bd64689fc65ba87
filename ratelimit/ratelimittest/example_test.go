package ratelimittest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimittest"
)

// The test of an implementation, here of the one in memory.
func TestStore(t *testing.T) {
	ratelimittest.Suite{
		Open: func(t *testing.T, limits ...ratelimit.Limit) ratelimit.Store {
			return ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{Limits: limits})}
		},
	}.Run(t)
}

func Example() {
	// A test function calls Suite.Run, as TestStore does beside this Example.
	run := ratelimittest.Suite.Run
	_ = run

	var store ratelimit.Store = ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{})}
	d, err := store.Take(context.Background(), "alice", 1)
	fmt.Println(d.Allowed, d.Remaining, err)
	// Output: true 99 <nil>
}
