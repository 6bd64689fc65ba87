// Command retry shows package retry at work: delays with jitter, an error that
// is not worth another attempt, a deadline that the next delay cannot fit, a
// budget in an outage, nested retries, the loop form, and HTTP.
//
//	go run ./examples/retry
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/retryhttp"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

var errReset = errors.New("connection reset")

// flaky fails n times, then succeeds.
func flaky(n int) func(context.Context) error {
	return func(context.Context) error {
		if n--; n >= 0 {
			return errReset
		}
		return nil
	}
}

func run(w io.Writer) error {
	ctx := context.Background()

	fmt.Fprintln(w, "1. A call that fails three times. The delays are random, up to 10, 20 and 40 ms.")
	logged := retry.Config{
		Name:      "users",
		BaseDelay: 10 * time.Millisecond,
		Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
			fmt.Fprintf(w, "   attempt %d: %v; next in %v\n", e.Attempt, e.Err, e.Delay.Round(100*time.Microsecond))
		}},
	}
	users, err := retry.New(logged)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "   result: %v\n\n", users.Do(ctx, flaky(3)))

	fmt.Fprintln(w, "2. One that fails for longer. The error holds all attempts.")
	err = users.Do(ctx, flaky(100))
	fmt.Fprintf(w, "   result: %v\n   it matches the real error: %v\n\n", err, errors.Is(err, errReset))

	fmt.Fprintln(w, "3. A permanent error ends the call, and comes back as the function wrapped it.")
	err = users.Do(ctx, func(context.Context) error {
		return fmt.Errorf("row 7: %w", retry.Permanent(errors.New("no such user")))
	})
	fmt.Fprintf(w, "   result: %v\n\n", err)

	fmt.Fprintln(w, "4. A deadline in 200 ms and a delay of 10 s. There is no point in waiting for the deadline.")
	patient := retry.MustNew(retry.Config{BaseDelay: 10 * time.Second, Jitter: retry.NoJitter})
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err = patient.Do(short, flaky(1))
	fmt.Fprintf(w, "   result: %v\n   after %v\n\n", err, time.Since(begin).Round(10*time.Millisecond))

	fmt.Fprintln(w, "5. An outage, 100 calls, four attempts each. The budget pays for the first few retries only.")
	budget := retry.MustNewBudget(retry.BudgetConfig{})
	frugal := retry.MustNew(retry.Config{NoDelay: true, Budget: budget})
	attempts := 0
	for range 100 {
		err = frugal.Do(ctx, func(context.Context) error { attempts++; return errReset })
	}
	fmt.Fprintf(w, "   attempts: %d, not 400\n   the last error: %v\n\n", attempts, err)

	fmt.Fprintln(w, "6. Three layers that all retry. Inside a retry, the inner ones do not.")
	attempts = 0
	fn := func(context.Context) error { attempts++; return errReset }
	for range 3 {
		layer, inner := retry.MustNew(retry.Config{BaseDelay: time.Microsecond}), fn
		fn = func(ctx context.Context) error { return layer.Do(ctx, inner) }
	}
	_ = fn(ctx)
	fmt.Fprintf(w, "   attempts: %d, not 64\n\n", attempts)

	fmt.Fprintln(w, "7. The loop form.")
	call := flaky(2)
	for a := range users.Attempts(ctx, &err) {
		a.Done(call(a.Context()))
	}
	fmt.Fprintf(w, "   result: %v\n\n", err)

	return overHTTP(w)
}

// overHTTP sends requests to a server that is busy now and then.
func overHTTP(w io.Writer) error {
	fmt.Fprintln(w, "8. HTTP. The server is busy twice and says: retry after 1 s.")
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%3 != 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: retryhttp.MustNew(retryhttp.Config{
		Retry: retry.Config{BaseDelay: 10 * time.Millisecond, AttemptTimeout: time.Second},
	})}
	defer client.CloseIdleConnections()

	begin := time.Now()
	resp, err := client.Get(server.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintf(w, "   GET: %s after %d requests and %v\n", resp.Status, requests.Load(), time.Since(begin).Round(100*time.Millisecond))

	resp, err = client.Post(server.URL, "text/plain", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintf(w, "   POST: %s, because it might not be safe to send it twice\n", resp.Status)
	return nil
}
