package retryhttp_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/retryhttp"
)

var discardLog = log.New(io.Discard, "", 0)

// busy is a server that answers every third request.
func busy() *httptest.Server {
	n := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "hello")
	}))
}

func Example() {
	server := busy()
	defer server.Close()
	client := &http.Client{Transport: retryhttp.MustNew(retryhttp.Config{
		Retry: retry.Config{BaseDelay: 50 * time.Millisecond, AttemptTimeout: 10 * time.Second},
	})}
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK hello
}

func ExampleNew() {
	_, err := retryhttp.New(retryhttp.Config{Retry: retry.Config{MaxAttempts: -1}})
	fmt.Println(err)
	// Output: retryhttp: retry: Config.MaxAttempts is -1, want ≥ 0
}

func ExampleMustNew() {
	server := busy()
	defer server.Close()
	// POST is retried only if the caller says that it may be sent twice.
	transport := retryhttp.MustNew(retryhttp.Config{
		Retry: retry.Config{BaseDelay: time.Millisecond},
		Base:  &http.Transport{},
	})
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	req, _ := http.NewRequest("POST", server.URL, nil)
	req.Header.Set("Idempotency-Key", "order-17")
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	fmt.Printf("%+v\n", transport.Stats())
	// Output:
	// 200 OK
	// {Name: Retries:2 Recovered:1 GaveUp:0 OverBudget:0 Suppressed:0}
}

func ExampleStatusError() {
	server := busy()
	defer server.Close()
	client := &http.Client{Transport: retryhttp.MustNew(retryhttp.Config{
		Retry: retry.Config{BaseDelay: time.Millisecond, Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
			if status, ok := errors.AsType[*retryhttp.StatusError](e.Err); ok {
				fmt.Println(status.StatusCode, "retry after", status.RetryAfter())
			}
		}}},
	})}
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output:
	// 503 retry after 0s
	// 503 retry after 0s
	// 200
}
