// Command quickstart is the program of the README: three guards around one
// call, each knowing nothing of the others.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/retry"
)

func main() {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: 10 * time.Millisecond})
	b := breaker.MustNew(breaker.Config{Name: "greeter", ConsecutiveFailures: 5, OpenFor: 30 * time.Second})
	bh := bulkhead.MustNew(bulkhead.Config{Name: "greeter", Limit: 10})

	greet := retry.Wrap(r, breaker.Wrap(b, bulkhead.Wrap(bh, fetch)))

	greeting, err := greet(context.Background())
	fmt.Println(greeting, err, b.State())
}

var calls int

// fetch fails twice, as a dependency that is just restarting does.
func fetch(context.Context) (string, error) {
	if calls++; calls < 3 {
		return "", errors.New("connection refused")
	}
	return "hello", nil
}
