package ratelimithttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
)

// A server behind a proxy, a hundred requests in any minute for each client.
func Example() {
	mux := http.NewServeMux()

	limit := ratelimithttp.MustNew(ratelimithttp.Config{
		Limits: []ratelimit.Limit{ratelimit.Per(100, time.Minute)},
	})
	http.Handle("/", limit.Handler(mux))

	w := httptest.NewRecorder()
	limit.Handler(mux).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"), w.Header().Get("RateLimit"))
	// Output: 404 "default";q=100;w=60 "default";r=99;t=60
}

func ExampleNew() {
	m, err := ratelimithttp.New(ratelimithttp.Config{
		Limits: []ratelimit.Limit{{Name: "search", N: 1, Window: time.Minute}},
		Client: ratelimithttp.Client{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := m.Handler(http.NotFoundHandler())
	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", "192.0.2.7")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	fmt.Println(m.Limiter().Stats().Limited)
	// Output:
	// 404 ""
	// 429 "60"
	// 1
}

// A Store in place of the limits: here the one in memory, and by the same line
// the one of package ratelimitredis.
func ExampleMiddleware_store() {
	store := ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{
		Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)},
	})}

	limit := ratelimithttp.MustNew(ratelimithttp.Config{
		Store: store,
	})

	key := ratelimithttp.Key{Address: netip.MustParsePrefix("192.0.2.1/32")} // httptest's
	for range 2 {
		w := httptest.NewRecorder()
		limit.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Println(w.Code, store.Limiter.Peek(key.StoreKey()).Remaining)
	}
	// Output:
	// 404 0
	// 429 0
}

func ExampleNewTransport() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	transport, err := ratelimithttp.NewTransport(ratelimithttp.TransportConfig{
		Limits: []ratelimit.Limit{ratelimit.Per(1, time.Minute)},
	})
	fmt.Println(err)
	client := &http.Client{Transport: transport}
	defer transport.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(server.URL)
		if err == nil {
			fmt.Println(resp.StatusCode)
			resp.Body.Close()
			continue
		}
		fmt.Println("limited")
	}
	_ = ratelimithttp.MustNewTransport(ratelimithttp.TransportConfig{})
	// Output:
	// <nil>
	// 404
	// limited
}
