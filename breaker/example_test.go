package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/breaker"
)

var orders = breaker.MustNew(breaker.Config{
	Name:                "orders",
	ConsecutiveFailures: 5,
	OpenFor:             30 * time.Second,
})

type orderClient struct{}

func (orderClient) Order(context.Context, int) (string, error) { return "", errRefused }

func cached(id int) string { return fmt.Sprintf("order %d, as of yesterday", id) }

// What to do about a refusal is up to the caller, who learns of it at once.
func ExampleOpenError() {
	var client orderClient
	find := func(ctx context.Context, id int) (string, error) {
		order, err := breaker.DoValue(ctx, orders, func(ctx context.Context) (string, error) {
			return client.Order(ctx, id)
		})
		if errors.Is(err, breaker.ErrOpen) {
			return cached(id), nil
		}
		return order, err
	}
	for range 5 {
		_, _ = find(context.Background(), 7)
	}
	fmt.Println(find(context.Background(), 7))
	// Output: order 7, as of yesterday <nil>
}

// fn can tell the breaker's timeout from its caller's end.
func ExampleTimeoutError_Timeout() {
	b := breaker.MustNew(breaker.Config{Name: "orders", CallTimeout: time.Millisecond})
	_ = b.Do(context.Background(), func(ctx context.Context) error {
		<-ctx.Done()
		if timeout, ok := errors.AsType[*breaker.TimeoutError](context.Cause(ctx)); ok {
			fmt.Println(timeout, timeout.Timeout())
		}
		return ctx.Err()
	})
	// Output: breaker: orders: call timed out, after 1ms true
}

var errRefused = errors.New("connection refused")

func down(context.Context) (string, error) { return "", errRefused }

// After three failures in a row the dependency is left alone, and callers are
// told at once when to come back.
func Example() {
	b := breaker.MustNew(breaker.Config{
		Name:                "orders",
		ConsecutiveFailures: 3,
		OpenFor:             30 * time.Second,
		NoJitter:            true, // for the output below
	})
	for range 4 {
		_, err := breaker.DoValue(context.Background(), b, down)
		if refusal, ok := errors.AsType[*breaker.OpenError](err); ok {
			fmt.Println("from the cache; retry after", refusal.RetryAfter().Round(10*time.Second))
			continue
		}
		fmt.Println(err)
	}
	// Output:
	// connection refused
	// connection refused
	// connection refused
	// from the cache; retry after 30s
}

func ExampleNew() {
	_, err := breaker.New(breaker.Config{Probes: -1})
	fmt.Println(err)
	// Output: breaker: Config.Probes is -1, want ≥ 0
}

// Several rules may watch at once. The event names the one that tripped.
func ExampleMustNew() {
	b := breaker.MustNew(breaker.Config{
		Name:                "search",
		ConsecutiveFailures: 10,
		CountWindow:         20, CountFailures: 4, CountMinCalls: 8,
		FailureRate: 0.6, Window: 30 * time.Second, MinCalls: 50,
		SlowCall: 2 * time.Second, SlowRate: 0.8, SlowInFlight: 25,
		Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) {
			fmt.Printf("%s: %v, by %v\n", c.Name, c.To, c.Rule)
		}},
	})
	for i := range 8 {
		_ = b.Do(context.Background(), func(context.Context) error {
			if i%2 == 1 {
				return errRefused
			}
			return nil
		})
	}
	// Output: search: open, by count window
}

func ExampleBreaker_Do() {
	b := breaker.MustNew(breaker.Config{})
	err := b.Do(context.Background(), func(context.Context) error { return errRefused })
	fmt.Println(err)
	// Output: connection refused
}

func ExampleDoValue() {
	b := breaker.MustNew(breaker.Config{})
	price, err := breaker.DoValue(context.Background(), b, func(context.Context) (int, error) { return 42, nil })
	fmt.Println(price, err)
	// Output: 42 <nil>
}

// A result can be a failure without being an error.
func ExampleDoJudged() {
	type reply struct{ Degraded bool }
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	judge := func(ctx context.Context, r reply, err error) breaker.Outcome {
		if r.Degraded {
			return breaker.Failure
		}
		return breaker.DefaultClassify(ctx, err)
	}
	r, err := breaker.DoJudged(context.Background(), b, func(context.Context) (reply, error) {
		return reply{Degraded: true}, nil
	}, judge)
	fmt.Println(r, err, b.State())
	// Output: {true} <nil> open
}

func ExampleWrap() {
	b := breaker.MustNew(breaker.Config{})
	fetch := breaker.Wrap(b, func(context.Context) (string, error) { return "page", nil })
	page, err := fetch(context.Background())
	fmt.Println(page, err)
	// Output: page <nil>
}

// The two-step form, for a call that does not fit in a function. The deferred
// line counts only if none of the others ended the permit.
func ExampleBreaker_Allow() {
	b := breaker.MustNew(breaker.Config{})
	stream := func(ctx context.Context) error {
		p, err := b.Allow()
		if err != nil {
			return err
		}
		defer p.Record(breaker.Failure, nil)
		for range 3 { // the messages of a stream
			if ctx.Err() != nil {
				p.Record(breaker.Ignored, nil)
				return ctx.Err()
			}
		}
		p.Record(breaker.Success, nil)
		return nil
	}
	fmt.Println(stream(context.Background()), b.State())
	// Output: <nil> closed
}

func ExamplePermit_Record() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2})
	for range 2 {
		p, _ := b.Allow()
		p.Record(breaker.Failure, nil)
		p.Record(breaker.Failure, nil) // the first end counts
		fmt.Println(b.State())
	}
	// Output:
	// closed
	// open
}

func ExamplePermit_Done() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	p, _ := b.Allow()
	p.Done(context.Background(), errRefused)
	fmt.Println(b.State())
	// Output: open
}

// Answers that blame the caller say that the dependency is well.
func ExampleDefaultClassify() {
	errNotFound := errors.New("not found")
	b := breaker.MustNew(breaker.Config{
		ConsecutiveFailures: 1,
		Classify: func(ctx context.Context, err error) breaker.Outcome {
			if errors.Is(err, errNotFound) {
				return breaker.Success
			}
			return breaker.DefaultClassify(ctx, err)
		},
	})
	_ = b.Do(context.Background(), func(context.Context) error { return errNotFound })
	fmt.Println(b.State())
	_ = b.Do(context.Background(), func(context.Context) error { return errRefused })
	fmt.Println(b.State())
	// Output:
	// closed
	// open
}

func ExampleBreaker_State() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	fmt.Println(b.State())
	_, _ = breaker.DoValue(context.Background(), b, down)
	fmt.Println(b.State())
	// Output:
	// closed
	// open
}

// Try thresholds on real traffic before they can do harm.
func ExampleBreaker_SetMode() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, Mode: breaker.Shadow})
	for range 3 {
		_, err := breaker.DoValue(context.Background(), b, down)
		fmt.Println(b.Mode(), b.State(), err)
	}
	fmt.Println("would have refused", b.Stats().ShadowRefused)
	b.SetMode(breaker.Auto)
	_, err := breaker.DoValue(context.Background(), b, down)
	fmt.Println(b.Mode(), errors.Is(err, breaker.ErrOpen))
	// Output:
	// shadow open connection refused
	// shadow open connection refused
	// shadow open connection refused
	// would have refused 2
	// auto true
}

func ExampleBreaker_Mode() {
	b := breaker.MustNew(breaker.Config{})
	b.SetMode(breaker.ForceOpen)
	fmt.Println(b.Mode(), b.State())
	// Output: force-open open
}

func ExampleBreaker_Reset() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1})
	_, _ = breaker.DoValue(context.Background(), b, down)
	b.Reset()
	fmt.Println(b.State())
	// Output: closed
}

func ExampleBreaker_Reconfigure() {
	b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 100})
	fmt.Println(b.Reconfigure(breaker.Config{Name: "orders", ConsecutiveFailures: 1}))
	_, _ = breaker.DoValue(context.Background(), b, down)
	fmt.Println(b.State())
	// Output:
	// <nil>
	// open
}

// To publish them: expvar.Publish("orders", expvar.Func(func() any { return b.Stats() })).
func ExampleBreaker_Stats() {
	b := breaker.MustNew(breaker.Config{Name: "orders", CountWindow: 10})
	_, _ = breaker.DoValue(context.Background(), b, down)
	s := b.Stats()
	fmt.Println(s.Name, s.State, s.Failures, s.CountFailures, s.CountCalls)
	// Output: orders closed 1 1 1
}

func ExampleBreaker_Name() {
	fmt.Println(breaker.MustNew(breaker.Config{Name: "orders"}).Name())
	// Output: orders
}

func ExampleOpenError_RetryAfter() {
	b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Minute, NoJitter: true})
	_, _ = breaker.DoValue(context.Background(), b, down)
	_, err := breaker.DoValue(context.Background(), b, down)
	var refusal interface{ RetryAfter() time.Duration }
	fmt.Println(errors.As(err, &refusal), refusal.RetryAfter().Round(10*time.Second))
	// Output: true 1m0s
}

// A breaker for each tenant, at most a thousand at a time.
func ExampleNewGroup() {
	g, err := breaker.NewGroup[int](breaker.GroupConfig{
		Breaker:     breaker.Config{Name: "tenant", ConsecutiveFailures: 1},
		MaxBreakers: 1000,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = breaker.DoValue(context.Background(), g.Get(7), down)
	fmt.Println(g.Get(7).State(), g.Get(8).State())
	// Output: open closed
}

func ExampleMustNewGroup() {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{})
	fmt.Println(g.Stats().Breakers)
	// Output: 0
}

func ExampleGroup_Get() {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{Breaker: breaker.Config{Name: "db"}})
	fmt.Println(g.Get("replica-1").Name())
	// Output: db/replica-1
}

func ExampleGroup_All() {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{})
	_, _ = g.Get("a"), g.Get("b")
	for key, b := range g.All() {
		fmt.Println(key, b.State())
	}
	// Output:
	// b closed
	// a closed
}

func ExampleGroup_Reconfigure() {
	g := breaker.MustNewGroup[string](breaker.GroupConfig{})
	fmt.Println(g.Reconfigure(breaker.Config{FailureRate: 2}))
	// Output: breaker: Config.FailureRate is 2, want ≤ 1
}

func ExampleGroup_Stats() {
	g := breaker.MustNewGroup[int](breaker.GroupConfig{MaxBreakers: 2})
	for key := range 5 {
		g.Get(key)
	}
	fmt.Printf("%+v\n", g.Stats())
	// Output: {Breakers:2 Created:5 Evicted:3}
}
