package breakerhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/breaker/breakerhttp"
)

// A server that answers 503 opens the breaker of its host for as long as it
// asked for; then requests fail at once, with that time.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()

	client := &http.Client{Transport: breakerhttp.MustNew(breakerhttp.Config{
		Breaker:       breaker.Config{Name: "api", ConsecutiveFailures: 5},
		HeaderTimeout: 5 * time.Second,
	})}
	defer client.CloseIdleConnections()
	for range 6 {
		res, err := client.Get(server.URL)
		var refusal *breaker.OpenError
		switch {
		case errors.As(err, &refusal):
			fmt.Println("refused; the time is the server's:", refusal.RetryAfter() > 110*time.Second)
		case err == nil:
			fmt.Println(res.Status)
			_ = res.Body.Close()
		}
	}
	// Output:
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 503 Service Unavailable
	// 503 Service Unavailable
	// refused; the time is the server's: true
}

// The breakers are at hand, to publish them or to force one.
func ExampleTransport_Group() {
	transport := breakerhttp.MustNew(breakerhttp.Config{})
	transport.Group().Get("reports.example:443").SetMode(breaker.ForceOpen)

	client := &http.Client{Transport: transport}
	_, err := client.Get("https://reports.example:443/daily")
	fmt.Println(err)
	for host, b := range transport.Group().All() {
		fmt.Println(host, b.State())
	}
	// Output:
	// Get "https://reports.example:443/daily": breaker: reports.example:443: open, forced
	// reports.example:443 open
}

func ExampleNew() {
	_, err := breakerhttp.New(breakerhttp.Config{HeaderTimeout: -time.Second})
	fmt.Println(err)
	// Output: breakerhttp: Config.HeaderTimeout is -1s, want ≥ 0
}
