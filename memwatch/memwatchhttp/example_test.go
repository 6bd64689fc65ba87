package memwatchhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

func Example() {
	watcher := memwatch.MustNew(memwatch.Config{Name: "api"})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go watcher.Run(ctx)

	mux := http.NewServeMux()
	test := httptest.NewUnstartedServer(mux)
	server := test.Config

	page := memwatchhttp.MustNew(memwatchhttp.Config{Watcher: watcher})
	mux.Handle("/debug/memwatch/", page)
	server.RegisterOnShutdown(func() { page.Close() })

	test.Start()
	defer test.Close()
	for _, name := range []string{"", "report.txt"} {
		resp, err := http.Get(test.URL + "/debug/memwatch/" + name)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	}
	// Output:
	// 200 OK text/html; charset=utf-8
	// 200 OK text/plain; charset=utf-8
}

// guard stands for the middleware that a service has.
type guard struct{}

func (guard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// The page behind a service's own authentication.
func Example_guarded() {
	page := memwatchhttp.MustNew(memwatchhttp.Config{Watcher: memwatch.MustNew(memwatch.Config{})})
	defer page.Close()
	mux := http.NewServeMux()
	var guard guard
	mux.Handle("/debug/memwatch/", guard.Handler(page))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/memwatch/", nil))
	fmt.Println(w.Code)
	// Output: 401
}

// A Config that makes no sense is an error that names the field.
func ExampleNew() {
	_, err := memwatchhttp.New(memwatchhttp.Config{Watcher: memwatch.MustNew(memwatch.Config{}), MaxStreams: -1})
	fmt.Println(err)
	// Output: memwatchhttp: Config.MaxStreams is -1, want ≥ 0
}

// A server that shuts down waits for what is asked for already.
func ExampleHandler_Drain() {
	page := memwatchhttp.MustNew(memwatchhttp.Config{Watcher: memwatch.MustNew(memwatch.Config{})})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(page.Drain(ctx), page.Stats().Streams)
	// Output: <nil> 0
}
