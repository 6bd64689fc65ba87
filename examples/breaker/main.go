// Breaker shows one outage from the side of a caller: the dependency slows
// down, fails and recovers, while the breaker decides who may call it.
//
//	go run ./examples/breaker
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bedplate/bedplate/breaker"
)

func main() { run(os.Stdout) }

var errDown = errors.New("connection refused")

// dependency is a service whose health the story changes.
type dependency struct{ err error }

func (d *dependency) price(context.Context) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return 42, nil
}

func run(w io.Writer) {
	b := breaker.MustNew(breaker.Config{
		Name:                "prices",
		ConsecutiveFailures: 3,
		OpenFor:             200 * time.Millisecond,
		MaxOpenFor:          time.Second, // doubles while probes fail
		NoJitter:            true,        // so that each run prints the same
		SuccessThreshold:    2,
		Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) {
			fmt.Fprintf(w, "    » %s: %v → %v, because of %v", c.Name, c.From, c.To, c.Rule)
			if c.OpenFor > 0 {
				fmt.Fprintf(w, ", for %v", c.OpenFor)
			}
			fmt.Fprintln(w)
		}},
	})
	d := &dependency{}
	price := breaker.Wrap(b, d.price)
	call := func() {
		v, err := price(context.Background())
		switch {
		case errors.Is(err, breaker.ErrOpen):
			fmt.Fprintln(w, "  refused at once; a cached price will do")
		case err != nil:
			fmt.Fprintln(w, "  failed:", err)
		default:
			fmt.Fprintln(w, "  price:", v)
		}
	}

	fmt.Fprintln(w, "All is well. Calls pass, and cost nanoseconds more.")
	call()

	fmt.Fprintln(w, "The service goes down. After three failures it is left alone.")
	d.err = errDown
	for range 5 {
		call()
	}

	fmt.Fprintln(w, "When the open time is over one call is let through, as a probe. It fails.")
	wait(b)
	call()
	call()

	fmt.Fprintln(w, "The service comes back. The next probes succeed, and the breaker closes.")
	d.err = nil
	wait(b)
	for range 3 {
		call()
	}

	fmt.Fprintln(w, "A caller that hangs up says nothing about the service.")
	for range 5 {
		ctx, cancel := context.WithCancel(context.Background())
		_ = b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
	}
	s := b.Stats()
	fmt.Fprintf(w, "  %v after %d ignored, %d failed and %d refused calls\n", s.State, s.Ignored, s.Failures, s.Refused)

	fmt.Fprintln(w, "An operator can take the service out by hand.")
	b.SetMode(breaker.ForceOpen)
	call()
	b.SetMode(breaker.Auto)
	call()
}

// wait sleeps for as long as a refusal says.
func wait(b *breaker.Breaker) {
	if refusal, ok := errors.AsType[*breaker.OpenError](b.Do(context.Background(), func(context.Context) error { return nil })); ok {
		time.Sleep(refusal.RetryAfter())
	}
}
