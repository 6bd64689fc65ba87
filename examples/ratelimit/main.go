// Command ratelimit floods a real HTTP server for three seconds and counts
// what it lets through: in every window of a second, wherever it begins, never
// more than the limit.
//
//	go run ./examples/ratelimit
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimithttp"
)

const (
	limit    = 20
	window   = time.Second
	duration = 3 * time.Second
	clients  = 4
)

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	// Each user may make 20 requests in any second. What a stricter rule would
	// refuse is reported, and nothing else.
	m := ratelimithttp.MustNew(ratelimithttp.Config{
		Name: "api",
		Limits: []ratelimit.Limit{
			ratelimit.Per(limit, window),
			{Name: "half", N: limit / 2, Window: window, Shadow: true},
		},
		User: func(r *http.Request) (string, bool) { u := r.Header.Get("User"); return u, u != "" },
	})
	start := time.Now()
	var mu sync.Mutex
	served := map[string][]event{} // the requests of each user that were admitted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came := time.Since(start)
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			user := r.Header.Get("User")
			served[user] = append(served[user], event{came, time.Since(start)})
		})).ServeHTTP(w, r)
	}))
	defer server.Close()

	fmt.Fprintf(w, "1. For %v %d clients flood as mallory, and one comes ten times a second as alice. Each may have %d in any %v.\n", duration, clients, limit, window)
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var wg sync.WaitGroup
	var answers [clients + 1]map[int]int
	for i := range clients {
		wg.Go(func() { answers[i] = flood(ctx, server, "mallory", 0) })
	}
	wg.Go(func() { answers[clients] = flood(ctx, server, "alice", 100*time.Millisecond) })
	wg.Wait()
	mallory := map[int]int{}
	for _, a := range answers[:clients] {
		for status, n := range a {
			mallory[status] += n
		}
	}
	fmt.Fprintf(w, "   mallory: %d served, %d refused\n", mallory[200], mallory[429])
	fmt.Fprintf(w, "   alice: %d served, %d refused\n", answers[clients][200], answers[clients][429])

	fmt.Fprintln(w, "2. Served in each second, and the most in any second, wherever it begins:")
	mu.Lock()
	for _, user := range []string{"mallory", "alice"} {
		perSecond := make([]int, duration/window+1)
		for _, e := range served[user] {
			perSecond[min(int(e.served/window), len(perSecond)-1)]++
		}
		fmt.Fprintf(w, "   %-8s %v, most %d of %d\n", user, perSecond[:duration/window], most(served[user]), limit)
	}
	mu.Unlock()

	fmt.Fprintln(w, "3. A refusal says when to come again, and coming then is enough:")
	for refused := false; !refused; {
		res := get(context.Background(), server, "bob")
		if refused = res.status == http.StatusTooManyRequests; refused {
			fmt.Fprintf(w, "   %d, RateLimit: %s, Retry-After: %s\n", res.status, res.fields.Get("RateLimit"), res.fields.Get("Retry-After"))
		}
	}
	time.Sleep(window)
	fmt.Fprintf(w, "   after a second: %d\n", get(context.Background(), server, "bob").status)

	s := m.Limiter().Stats()
	fmt.Fprintf(w, "%s: %d allowed, %d limited; the shadow rule of half the limit would have refused %d more\n", s.Name, s.Allowed, s.Limited, s.Shadowed)
}

// flood makes requests until ctx is done, and counts the answers by status.
func flood(ctx context.Context, server *httptest.Server, user string, pause time.Duration) map[int]int {
	count := map[int]int{}
	for ctx.Err() == nil {
		if res := get(ctx, server, user); res.status != 0 {
			count[res.status]++
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + 200*time.Microsecond):
		}
	}
	return count
}

// answer is what a client sees.
type answer struct {
	status int
	fields http.Header
}

// get makes one request and returns the answer, the zero one if there was none.
func get(ctx context.Context, server *httptest.Server, user string) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		return answer{}
	}
	req.Header.Set("User", user)
	res, err := server.Client().Do(req)
	if err != nil {
		return answer{}
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return answer{res.StatusCode, res.Header}
}

// event is an admitted request. When exactly it was admitted only the limiter
// knows: between these two.
type event struct{ came, served time.Duration }

// most returns the most events that were in one window for certain, wherever it
// begins.
func most(events []event) int {
	n := 0
	for _, first := range events {
		in := 0
		for _, e := range events {
			if e.came >= first.came && e.served < first.came+window {
				in++
			}
		}
		n = max(n, in)
	}
	return n
}
