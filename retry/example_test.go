package retry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/bedplate/bedplate/retry"
)

// flaky returns a function that fails n times before it answers.
func flaky(n int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if n > 0 {
			n--
			return "", errors.New("connection reset")
		}
		return "hello", nil
	}
}

func Example() {
	r := retry.MustNew(retry.Config{MaxAttempts: 3, BaseDelay: time.Millisecond})
	greeting, err := retry.DoValue(context.Background(), r, flaky(2))
	fmt.Println(greeting, err)
	_, err = retry.DoValue(context.Background(), r, flaky(10))
	fmt.Println(err)
	// Output:
	// hello <nil>
	// retry: attempts exhausted after 3 attempts, last error: connection reset
}

func ExampleNew() {
	_, err := retry.New(retry.Config{MaxAttempts: -1})
	fmt.Println(err)
	// Output: retry: Config.MaxAttempts is -1, want ≥ 0
}

var users = retry.MustNew(retry.Config{
	Name:      "users",
	BaseDelay: 50 * time.Millisecond,
	Budget:    retry.MustNewBudget(retry.BudgetConfig{}),
})

func ExampleMustNew() {
	fmt.Println(retry.DoValue(context.Background(), users, flaky(0)))
	// Output: hello <nil>
}

func ExampleRetrier_Do() {
	r := retry.MustNew(retry.Config{NoDelay: true})
	n := 0
	err := r.Do(context.Background(), func(context.Context) error {
		if n++; n < 3 {
			return errors.New("version conflict")
		}
		return nil
	})
	fmt.Println(n, err)
	// Output: 3 <nil>
}

func ExampleRetrier_Do_deadline() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r := retry.MustNew(retry.Config{BaseDelay: time.Minute, MaxDelay: time.Minute, Jitter: retry.NoJitter})
	errRefused := errors.New("connection refused")
	err := r.Do(ctx, func(context.Context) error { return errRefused })
	fmt.Println("context done:", ctx.Err() != nil)
	fmt.Println(errors.Is(err, errRefused), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// context done: false
	// true true
}

func ExampleDoValue() {
	r := retry.MustNew(retry.Config{BaseDelay: time.Millisecond})
	fmt.Println(retry.DoValue(context.Background(), r, flaky(1)))
	// Output: hello <nil>
}

func ExampleDoUntil() {
	r := retry.MustNew(retry.Config{MaxAttempts: 10, BaseDelay: time.Millisecond, Backoff: retry.Constant})
	progress := 0
	poll := func(context.Context) (int, error) { progress += 40; return progress, nil }
	fmt.Println(retry.DoUntil(context.Background(), r, poll, func(p int) bool { return p >= 100 }))
	// Output: 120 <nil>
}

func ExampleWrap() {
	r := retry.MustNew(retry.Config{BaseDelay: time.Millisecond})
	get := retry.Wrap(r, flaky(2))
	fmt.Println(get(context.Background()))
	// Output: hello <nil>
}

func ExampleRetrier_Attempts() {
	r := retry.MustNew(retry.Config{BaseDelay: time.Millisecond})
	get := flaky(2)
	fetch := func(ctx context.Context) (greeting string, err error) {
		var failure error
		for a := range r.Attempts(ctx, &err) {
			greeting, failure = get(a.Context())
			a.Done(failure)
		}
		return greeting, err
	}
	fmt.Println(fetch(context.Background()))

	// Done says whether another attempt will follow.
	get = flaky(1)
	for a := range r.Attempts(context.Background(), nil) {
		_, err := get(a.Context())
		fmt.Printf("attempt %d: %v, more: %v\n", a.Number(), err, a.Done(err))
	}
	// Output:
	// hello <nil>
	// attempt 1: connection reset, more: true
	// attempt 2: <nil>, more: false
}

func ExamplePermanent() {
	r := retry.MustNew(retry.Config{})
	err := r.Do(context.Background(), func(context.Context) error {
		return fmt.Errorf("row 7: %w", retry.Permanent(errors.New("no such user")))
	})
	fmt.Println(err)
	// Output: row 7: no such user
}

func ExampleFromContext() {
	r := retry.MustNew(retry.Config{BaseDelay: time.Millisecond})
	get := flaky(1)
	_, _ = retry.DoValue(context.Background(), r, func(ctx context.Context) (string, error) {
		if info, ok := retry.FromContext(ctx); ok {
			fmt.Printf("attempt %d, because of: %v\n", info.Attempt, info.Err)
		}
		return get(ctx)
	})
	// Output: attempt 2, because of: connection reset
}

func ExampleExponential() {
	for n := 1; n <= 5; n++ {
		fmt.Print(retry.Exponential(n, time.Second), " ")
	}
	// Output: 1s 2s 4s 8s 16s
}

func ExampleFibonacci() {
	for n := 1; n <= 5; n++ {
		fmt.Print(retry.Fibonacci(n, time.Second), " ")
	}
	// Output: 1s 2s 3s 5s 8s
}

func ExampleConstant() {
	fmt.Println(retry.Constant(7, time.Second))
	// Output: 1s
}

func ExampleBackoff() {
	linear := func(retry int, base time.Duration) time.Duration { return base * time.Duration(retry) }
	r := retry.MustNew(retry.Config{
		BaseDelay: time.Millisecond, Backoff: linear, Jitter: retry.NoJitter,
		Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) { fmt.Print(e.Delay, " ") }},
	})
	_, _ = retry.DoValue(context.Background(), r, flaky(3))
	// Output: 1ms 2ms 3ms
}

func ExampleBudget_Withdraw() {
	// A Budget also serves loops of one's own.
	budget := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 4, Ratio: 0.5})
	fmt.Println(budget.Withdraw(), budget.Withdraw(), budget.Tokens())
	budget.Deposit()
	fmt.Println(budget.Tokens())
	// Output:
	// true false 2
	// 2.5
}

func ExampleNewBudget() {
	budget, err := retry.NewBudget(retry.BudgetConfig{MaxTokens: 4})
	if err != nil {
		panic(err)
	}
	r := retry.MustNew(retry.Config{MaxAttempts: 10, NoDelay: true, Budget: budget})
	_, err = retry.DoValue(context.Background(), r, flaky(100))
	fmt.Println(err)
	fmt.Println(errors.Is(err, retry.ErrBudget), budget.Tokens())
	// Output:
	// retry: budget spent after 2 attempts, last error: connection reset
	// true 2
}

func ExampleError() {
	r := retry.MustNew(retry.Config{MaxAttempts: 2, NoDelay: true})
	n := 0
	err := r.Do(context.Background(), func(context.Context) error { n++; return fmt.Errorf("failure %d", n) })
	if e, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println(e.Attempts, e.Errors(), e.Last(), e.Reason)
	}
	// Output: 2 [failure 1 failure 2] failure 2 retry: attempts exhausted
}

func ExampleHooks() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	r := retry.MustNew(retry.Config{
		Name: "users", BaseDelay: time.Millisecond, Jitter: retry.NoJitter,
		Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
			log.Warn("retrying", "call", e.Name, "attempt", e.Attempt, "delay", e.Delay, "err", e.Err)
		}},
	})
	_, _ = retry.DoValue(context.Background(), r, flaky(2))
	// Output:
	// level=WARN msg=retrying call=users attempt=1 delay=1ms err="connection reset"
	// level=WARN msg=retrying call=users attempt=2 delay=2ms err="connection reset"
}

func ExampleRetrier_Stats() {
	r := retry.MustNew(retry.Config{BaseDelay: time.Millisecond})
	_, _ = retry.DoValue(context.Background(), r, flaky(2))
	fmt.Printf("%+v\n", r.Stats())
	// Output: {Name: Retries:2 Recovered:1 GaveUp:0 OverBudget:0 Suppressed:0}
}
