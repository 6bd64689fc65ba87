package load_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/examples/service/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service answers as the real one does, as far as the load can tell.
type service struct {
	requests, profiles, stale, made atomic.Int64
	status                          atomic.Int64 // of redirects
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	answer := func(status int, body any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch {
	case r.URL.Path == "/register":
		answer(http.StatusConflict, map[string]string{"error": "there is one"})
	case r.URL.Path == "/login":
		answer(http.StatusOK, map[string]string{"access_token": "old", "refresh_token": "once"})
	case r.URL.Path == "/refresh":
		answer(http.StatusOK, map[string]string{"access_token": "new", "refresh_token": "twice"})
	case strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Authorization") == "Bearer old" && s.made.Load() > 20:
		s.stale.Add(1)
		answer(http.StatusUnauthorized, nil)
	case r.URL.Path == "/api/profile":
		s.profiles.Add(1)
		answer(http.StatusTooManyRequests, map[string]string{"error": "no", "guard": "ratelimit"})
	case r.URL.Path == "/api/links" && r.Method == http.MethodPost:
		s.made.Add(1)
		answer(http.StatusCreated, map[string]string{"slug": "slug"})
	case strings.HasPrefix(r.URL.Path, "/l/"):
		http.Redirect(w, r, "http://127.0.0.1:1/", int(s.status.Load()))
	default:
		answer(http.StatusOK, nil)
	}
}

func start(t *testing.T) (*service, *load.Generator) {
	t.Helper()
	s := &service{}
	s.status.Store(http.StatusFound)
	server := httptest.NewServer(s)
	g := load.New(server.URL)
	t.Cleanup(func() {
		require.NoError(t, g.Drain(context.Background()))
		server.Close()
	})
	return s, g
}

func TestGeneratorCountsEveryAnswer(t *testing.T) {
	s, g := start(t)
	require.Equal(t, "load: none", g.Report().String())
	g.Apply(load.Mode{Load: true, RPS: 1000})
	require.Eventually(t, func() bool { return s.requests.Load() > 600 && s.stale.Load() > 0 }, 20*time.Second, time.Millisecond)
	require.NoError(t, g.Drain(context.Background()))
	r := g.Report()
	require.EqualValues(t, s.requests.Load(), r.Requests)
	var sum uint64
	for _, n := range r.Status {
		sum += n
	}
	require.Equal(t, r.Requests, sum+r.Lost)
	require.Zero(t, r.Lost)
	require.NotZero(t, r.Status["2xx"])
	require.NotZero(t, r.Status["3xx"], "redirects are not followed")
	require.NotZero(t, r.Status["4xx"])
	require.Positive(t, r.P50)
	require.GreaterOrEqual(t, r.P99, r.P50)
	require.Contains(t, r.String(), "got no answer")
}

func TestGeneratorFloodsWithOneAccountAndNamesTheGuard(t *testing.T) {
	s, g := start(t)
	g.Apply(load.Mode{Flood: true})
	require.Eventually(t, func() bool { return s.profiles.Load() > 20 }, 20*time.Second, time.Millisecond)
	g.Apply(load.Mode{})
	require.NoError(t, g.Drain(context.Background()))
	r := g.Report()
	require.EqualValues(t, s.profiles.Load(), r.Refused["ratelimit"])
	require.EqualValues(t, s.profiles.Load(), r.Status["429"])
}

func TestGeneratorDoesNotWaitForAServiceThatHangs(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	defer server.Close()
	g := load.New(server.URL)
	g.Apply(load.Mode{Load: true, RPS: 2000})
	require.Eventually(t, func() bool { return g.Report().Skipped > 100 }, 20*time.Second, time.Millisecond)
	close(held)
	require.NoError(t, g.Drain(context.Background()))
}

func TestGeneratorCountsWhatGetsNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	g := load.New(server.URL)
	g.Apply(load.Mode{Load: true, RPS: 1000})
	require.Eventually(t, func() bool { return g.Report().Lost > 10 }, 20*time.Second, time.Millisecond)
	require.NoError(t, g.Drain(context.Background()))
	g.Apply(load.Mode{Load: true, RPS: 1000}) // too late
	sent, failed := g.Sent()
	require.Equal(t, sent, failed)
}
