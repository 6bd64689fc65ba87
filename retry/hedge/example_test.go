package hedge_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/retry/hedge"
)

// replicas returns a function that asks a slow replica first, then a fast one.
func replicas() func(context.Context) (string, error) {
	var n atomic.Int32
	return func(ctx context.Context) (string, error) {
		if n.Add(1) == 1 {
			<-ctx.Done() // an answer that does not come
			return "", ctx.Err()
		}
		return "answer of the second replica", nil
	}
}

func Example() {
	h := hedge.MustNew(hedge.Config{Delay: 10 * time.Millisecond})
	answer, err := hedge.DoValue(context.Background(), h, replicas())
	fmt.Println(answer, err)
	fmt.Println("extra attempts:", h.Stats().Hedges)
	// Output:
	// answer of the second replica <nil>
	// extra attempts: 1
}

func ExampleNew() {
	_, err := hedge.New(hedge.Config{Quantile: 95})
	fmt.Println(err)
	// Output: hedge: Config.Quantile is 95, want 0 to below 1
}

var search = hedge.MustNew(hedge.Config{
	Name:     "search",
	Quantile: 0.95,
	Delay:    200 * time.Millisecond,
})

func ExampleMustNew() {
	fmt.Println("until enough calls were measured:", search.Stats().Delay)
	// Output: until enough calls were measured: 200ms
}

func ExampleHedger_Do() {
	h := hedge.MustNew(hedge.Config{Delay: time.Second})
	err := h.Do(context.Background(), func(context.Context) error {
		return errors.New("an error is not hedged")
	})
	fmt.Println(err)
	// Output: an error is not hedged
}

func ExampleDoValue() {
	h := hedge.MustNew(hedge.Config{Delay: 10 * time.Millisecond})
	fmt.Println(hedge.DoValue(context.Background(), h, replicas()))
	// Output: answer of the second replica <nil>
}

func ExampleWrap() {
	h := hedge.MustNew(hedge.Config{Delay: 10 * time.Millisecond})
	get := hedge.Wrap(h, replicas())
	fmt.Println(get(context.Background()))
	// Output: answer of the second replica <nil>
}

func ExampleHedger_Stats() {
	h := hedge.MustNew(hedge.Config{Delay: 10 * time.Millisecond})
	_, _ = hedge.DoValue(context.Background(), h, replicas())
	fmt.Printf("%+v\n", h.Stats())
	// Output: {Name: Calls:1 Hedges:1 Wins:1 OverBudget:0 Discarded:0 Abandoned:0 Delay:10ms}
}

// conn is something that must be closed.
type conn struct{ name string }

func ExampleConfig_discard() {
	discarded := make(chan string, 1)
	h := hedge.MustNew(hedge.Config{
		Delay:   10 * time.Millisecond,
		Discard: func(v any) { discarded <- v.(conn).name },
	})
	var n atomic.Int32
	c, err := hedge.DoValue(context.Background(), h, func(ctx context.Context) (conn, error) {
		if n.Add(1) == 1 {
			<-ctx.Done() // too late, but connected
			return conn{"first"}, nil
		}
		return conn{"second"}, nil
	})
	fmt.Println("used:", c.name, err)
	fmt.Println("closed:", <-discarded)
	// Output:
	// used: second <nil>
	// closed: first
}

// frozen is a Budget that allows nothing.
type frozen struct{ asked chan struct{} }

func (f frozen) Withdraw() bool { close(f.asked); return false }
func (f frozen) Deposit()       {}

func ExampleBudget() {
	budget := frozen{make(chan struct{})}
	h := hedge.MustNew(hedge.Config{Delay: time.Millisecond, Budget: budget})
	_ = h.Do(context.Background(), func(context.Context) error {
		<-budget.asked // as slow as it takes
		return nil
	})
	fmt.Println("extra attempts:", h.Stats().Hedges)
	// Output: extra attempts: 0
}
