package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// Five attempts in any minute, and fifty in any day, for each user.
func Example() {
	var logins = ratelimit.MustNew(ratelimit.Config[string]{
		Name:   "logins",
		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Minute), ratelimit.Per(50, 24*time.Hour)},
	})

	for range 5 {
		fmt.Print(logins.Allow("alice"), " ")
	}
	d := logins.Take("alice", 1)
	fmt.Println(d.Allowed, d.Limit, d.RetryAfter.Round(time.Second))
	fmt.Println(logins.Allow("bob"))
	// Output:
	// true true true true true false 5 1m0s
	// true
}

func login() error {
	var logins = ratelimit.MustNew(ratelimit.Config[string]{
		Name:   "logins",
		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Minute), ratelimit.Per(50, 24*time.Hour)},
	})

	if !logins.Allow("alice") {
		return errors.New("later")
	}
	return nil
}

func ExampleLimiter_Allow() {
	fmt.Println(login())
	// Output: <nil>
}

func ExampleNew() {
	_, err := ratelimit.New(ratelimit.Config[int]{MaxKeys: -1})
	fmt.Println(err)
	_, err = ratelimit.NewSingle(ratelimit.SingleConfig{MaxWait: -time.Second})
	fmt.Println(err)
	// Output:
	// ratelimit: Config.MaxKeys is -1, want ≥ 0
	// ratelimit: Config.MaxWait is -1s, want ≥ 0
}

// GCRA admits at an even rate after a burst; Take says when to come again.
func ExampleRate() {
	l := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Rate(10, time.Second, 3)}})
	at := time.Now()
	for range 4 {
		d := l.TakeAt(1, at)
		fmt.Println(d.Allowed, d.Remaining, d.RetryAfter)
	}
	fmt.Println(l.AllowAt(at.Add(100 * time.Millisecond)))
	// Output:
	// true 2 0s
	// true 1 0s
	// true 0 0s
	// false 0 100ms
	// true
}

func ExampleNewPlan() {
	gold, err := ratelimit.NewPlan(ratelimit.Per(1000, time.Hour))
	fmt.Println(gold.Limits()[0].N, err)
	l := ratelimit.MustNew(ratelimit.Config[string]{
		Limits: []ratelimit.Limit{ratelimit.Per(10, time.Hour)},
		PlanFor: func(user string) *ratelimit.Plan {
			switch user {
			case "gold":
				return gold
			case "root":
				return ratelimit.Unlimited()
			case "mallory":
				return ratelimit.MustNewPlan(ratelimit.Per(0, time.Hour))
			}
			return nil
		},
	})
	for _, user := range []string{"gold", "root", "mallory", "other"} {
		d := l.Peek(user)
		fmt.Println(user, d.Allowed, d.Unlimited, d.Limit)
	}
	// Output:
	// 1000 <nil>
	// gold true false 1000
	// root true true 0
	// mallory false false 0
	// other true false 10
}

// What happened in the past, or happens in batches, has its own time.
func ExampleLimiter_AllowAt() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)}})
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	fmt.Println(l.AllowAt("a", noon))
	fmt.Println(l.AllowAt("a", noon.Add(-time.Hour)), "time does not go back")
	fmt.Println(l.TakeAt("a", 1, noon.Add(30*time.Second)).RetryAfter.Round(time.Second))
	fmt.Println(l.AllowAt("a", noon.Add(61*time.Second)))
	// Output:
	// true
	// false time does not go back
	// 30s
	// true
}

func ExampleLimiter_TakeAtMost() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(10, time.Minute)}})
	l.Take("a", 7)
	n, d := l.TakeAtMost("a", 5)
	fmt.Println(n, d.Remaining)
	// Output: 3 0
}

// A request that failed on our side is not charged.
func ExampleLimiter_Refund() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(10, time.Minute)}})
	l.Take("a", 4)
	l.Refund("a", 1)
	fmt.Println(l.Peek("a").Remaining)
	l.Reset("a")
	fmt.Println(l.Peek("a").Remaining)
	// Output:
	// 7
	// 10
}

func ExampleLimiter_Wait() {
	ctx := context.Background()
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, 5*time.Millisecond)}})
	start := time.Now()
	for range 3 {
		if err := l.Wait(ctx, "a"); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(time.Since(start) >= 10*time.Millisecond)
	fmt.Println(errors.Is(l.WaitN(ctx, "a", 2), ratelimit.ErrTooLarge))
	// Output:
	// true
	// true
}

func ExampleLimiter_Reserve() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)}})
	l.Allow("a")
	r, err := l.Reserve("a", 1)
	fmt.Println(r.Delay().Round(time.Minute), err)
	fmt.Println(r.Cancel())
	// Output:
	// 1m0s <nil>
	// true
}

func send(context.Context) error { return nil }

func ExampleLimiter_Do() {
	ctx := context.Background()
	l := ratelimit.MustNew(ratelimit.Config[string]{Name: "mail", Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)}})
	fmt.Println(l.Do(ctx, "alice", send))
	err := l.Do(ctx, "alice", send)
	var limited *ratelimit.LimitedError
	fmt.Println(errors.As(err, &limited), limited.RetryAfter().Round(time.Minute))
	// Output:
	// <nil>
	// true 1m0s
}

type tenant struct{}

func ExampleWrapKey() {
	l := ratelimit.MustNew(ratelimit.Config[string]{})
	tenantOf := func(ctx context.Context) string { return ctx.Value(tenant{}).(string) }
	fetch := ratelimit.WrapKey(l, tenantOf, func(context.Context) (string, error) { return "page", nil })
	ctx := context.WithValue(context.Background(), tenant{}, "acme")
	fmt.Println(fetch(ctx))
	fmt.Println(ratelimit.DoKey(ctx, l, "acme", func(context.Context) (int, error) { return 42, nil }))
	fmt.Println(l.Peek("acme").Remaining)
	// Output:
	// page <nil>
	// 42 <nil>
	// 98
}

// One budget for a whole process, around a function.
func ExampleWrap() {
	ctx := context.Background()
	l := ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Minute)}})
	fetch := ratelimit.Wrap(l, func(context.Context) (string, error) { return "page", nil })
	fmt.Println(fetch(ctx))
	fmt.Println(ratelimit.DoValue(ctx, l, func(context.Context) (int, error) { return 42, nil }))
	fmt.Println(errors.Is(l.Do(ctx, send), ratelimit.ErrLimited))
	// Output:
	// page <nil>
	// 42 <nil>
	// true
}

// Run brings memory back even when no calls come.
func ExampleLimiter_Run() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Millisecond)}})
	l.Allow("a")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	fmt.Println(l.Run(ctx))
	fmt.Println(l.Stats().Keys)
	// Output:
	// context deadline exceeded
	// 0
}

func ExampleLimiter_Stats() {
	l := ratelimit.MustNew(ratelimit.Config[string]{Name: "api", Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)}})
	l.Allow("a")
	l.Allow("a")
	text, _ := json.Marshal(l.Stats())
	fmt.Println(string(text))
	// Output: {"name":"api","keys":1,"waiting":0,"allowed":1,"limited":1,"shadowed":0,"overflowed":0,"forgotten":0}
}

// What takes a Store works with one in memory, and with one that processes
// share.
func ExampleMemory() {
	var store ratelimit.Store = ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{
		Limits: []ratelimit.Limit{ratelimit.Per(2, time.Minute)},
	})}

	for range 3 {
		d, err := store.Take(context.Background(), "alice", 1)
		fmt.Println(d.Allowed, d.Remaining, err)
	}
	// Output:
	// true 1 <nil>
	// true 0 <nil>
	// false 0 <nil>
}
