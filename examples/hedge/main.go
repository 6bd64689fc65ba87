// Command hedge shows package hedge at work: a service whose every twenty-fifth
// answer is late, called without and with extra attempts, then an outage in
// which all answers are late or missing and one budget holds back both extra
// attempts and retries.
//
//	go run ./examples/hedge
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// service answers in 1 to 3 ms, but takes 100 ms for the given share of calls.
func service(late float64) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		takes := time.Millisecond + rand.N(2*time.Millisecond)
		if rand.Float64() < late {
			takes = 100 * time.Millisecond
		}
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
			return "answer", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// measure makes calls from ten goroutines and returns the latencies, sorted.
func measure(calls int, call func(context.Context) (string, error)) (all []time.Duration, err error) {
	var mu sync.Mutex // guards all and err
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range calls / 10 {
				begin := time.Now()
				_, failure := call(context.Background())
				mu.Lock()
				all = append(all, time.Since(begin))
				if failure != nil {
					err = failure
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all, err
}

func run(w io.Writer) error {
	const calls = 2000
	show := func(what string, call func(context.Context) (string, error)) error {
		all, err := measure(calls, call)
		if err != nil {
			return err
		}
		at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(100 * time.Microsecond) }
		fmt.Fprintf(w, "%-32s p50 %-7v p95 %-7v p99 %v\n", what, at(0.5), at(0.95), at(0.99))
		return nil
	}

	fmt.Fprintf(w, "%d calls to a service that takes 100 ms for one answer in twenty-five, and 1 to 3 ms otherwise.\n\n", calls)
	if err := show("one attempt", service(0.04)); err != nil {
		return err
	}
	h, err := hedge.New(hedge.Config{Quantile: 0.95, Delay: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	if err := show("an extra one after the p95", hedge.Wrap(h, service(0.04))); err != nil {
		return err
	}
	s := h.Stats()
	fmt.Fprintf(w, "\nThat took %d extra attempts, %d of which were faster. The delay was last %v.\n", s.Hedges, s.Wins, s.Delay.Round(100*time.Microsecond))

	fmt.Fprintf(w, "\nNow the service is overloaded: every answer takes 100 ms, and every second one is an error.\n")
	fmt.Fprintf(w, "Extra attempts and retries are paid from one budget.\n\n")
	budget, err := retry.NewBudget(retry.BudgetConfig{})
	if err != nil {
		return err
	}
	h, err = hedge.New(hedge.Config{Delay: 5 * time.Millisecond, Budget: budget})
	if err != nil {
		return err
	}
	r, err := retry.New(retry.Config{BaseDelay: time.Millisecond, Budget: budget})
	if err != nil {
		return err
	}
	overloaded := service(1)
	_, err = measure(200, retry.Wrap(r, hedge.Wrap(h, func(ctx context.Context) (string, error) {
		if answer, err := overloaded(ctx); err != nil || rand.IntN(2) == 0 {
			return answer, err
		}
		return "", errors.New("out of memory")
	})))
	fmt.Fprintf(w, "200 calls, %d extra attempts and %d retries; the others were held back, so as not to add to the load.\n",
		h.Stats().Hedges, r.Stats().Retries)
	fmt.Fprintf(w, "One of the errors: %v\n", err)
	return nil
}
