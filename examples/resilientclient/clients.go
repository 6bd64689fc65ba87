package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/retry"
)

// A call gets one item. Both clients have this shape, and so has every stage
// of the guarded one.
type call func(context.Context) (string, error)

// statusError is an answer that is not a success. Its RetryAfter is found by
// the retry and by the breaker without either knowing this type.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return "the server answered " + strconv.Itoa(e.code) + " " + http.StatusText(e.code)
}

func (e *statusError) RetryAfter() time.Duration { return e.after }

// fetcher is the bare client: one request, no guard. It reads the whole body,
// so that the connection can be used again.
func fetcher(client *http.Client, url string, sent func()) call {
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/item", nil)
		if err != nil {
			return "", err
		}
		sent()
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		if err != nil {
			return "", err
		}
		if res.StatusCode != http.StatusOK {
			seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
			return "", &statusError{res.StatusCode, time.Duration(seconds) * time.Second}
		}
		return string(body), nil
	}
}

// guards holds the three guards of the guarded client, for their numbers.
type guards struct {
	retry    *retry.Retrier
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
}

// attemptTimeout bounds one attempt; the caller's own deadline bounds them all.
const attemptTimeout = 500 * time.Millisecond

var errAttemptTimeout = errors.New("the attempt took too long")

// newGuards makes the guards of one dependency.
func newGuards() (*guards, error) {
	// Retries are a luxury: a few per caller, and none to speak of while the
	// dependency is down, because failures empty the budget.
	budget, err := retry.NewBudget(retry.BudgetConfig{MaxTokens: 50, Ratio: 0.1})
	if err != nil {
		return nil, err
	}
	r, err := retry.New(retry.Config{
		Name: "items", MaxAttempts: 3,
		BaseDelay: 20 * time.Millisecond, MaxDelay: 200 * time.Millisecond,
		Budget: budget,
	})
	if err != nil {
		return nil, err
	}
	// Half of the calls failed, or 10 hang at this moment: stop calling. Probe
	// after 300 ms, then less and less often, unless the server names a time.
	b, err := breaker.New(breaker.Config{
		Name:        "items",
		FailureRate: 0.5, Window: 2 * time.Second, MinCalls: 20,
		SlowCall: 350 * time.Millisecond, SlowInFlight: 10,
		OpenFor: 300 * time.Millisecond, MaxOpenFor: time.Second,
		Probes: 3, SuccessThreshold: 5,
		Classify: func(ctx context.Context, err error) breaker.Outcome {
			// A full bulkhead says nothing about the dependency.
			if errors.Is(err, bulkhead.ErrFull) {
				return breaker.Ignored
			}
			return breaker.DefaultClassify(ctx, err)
		},
	})
	if err != nil {
		return nil, err
	}
	// At most 16 calls at once, which is plenty while they take 5 ms; a short
	// queue absorbs a burst and no more.
	bh, err := bulkhead.New(bulkhead.Config{
		Name: "items", Limit: 16, MaxWaiting: 16, MaxWait: 100 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return &guards{r, b, bh}, nil
}

// guard puts fetch behind retry ▸ breaker ▸ bulkhead ▸ attempt timeout.
func (g *guards) guard(fetch call) call {
	timed := func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, attemptTimeout, errAttemptTimeout)
		defer cancel()
		body, err := fetch(ctx)
		if err != nil && errors.Is(context.Cause(ctx), errAttemptTimeout) {
			// net/http reports the deadline; say whose it was.
			err = fmt.Errorf("%w: %w", errAttemptTimeout, err)
		}
		return body, err
	}
	return retry.Wrap(g.retry, breaker.Wrap(g.breaker, bulkhead.Wrap(g.bulkhead, timed)))
}
