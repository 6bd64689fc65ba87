package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertT is what EventuallyWithT gives to its function.
type assertT = assert.CollectT

const (
	longest = 20 * time.Second
	often   = 10 * time.Millisecond
)

// viewer reads /live.
type viewer struct {
	mu     sync.Mutex // guards what follows
	states []map[string]any
	events []map[string]any // audit
	steps  []map[string]any // progress
	ended  bool
}

func (s *service) watch() *viewer {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/live", nil)
	require.NoError(s.t, err)
	res, err := client.Do(req)
	require.NoError(s.t, err)
	require.Equal(s.t, 200, res.StatusCode)
	require.Equal(s.t, "text/event-stream", res.Header.Get("Content-Type"))
	v := &viewer{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer res.Body.Close()
		lines, kind := bufio.NewScanner(res.Body), ""
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = name
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				v.take(kind, data)
			}
		}
		v.mu.Lock()
		v.ended = true
		v.mu.Unlock()
	}()
	s.t.Cleanup(func() { cancel(); <-done })
	return v
}

func (v *viewer) take(kind, data string) {
	var m map[string]any
	if json.Unmarshal([]byte(data), &m) != nil {
		m = map[string]any{"broken": data}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch kind {
	case "state":
		v.states = append(v.states, m)
	case "audit":
		v.events = append(v.events, m)
	case "progress":
		v.steps = append(v.steps, m)
	}
}

// state is the latest one, and how many there were.
func (v *viewer) state() (map[string]any, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.states) == 0 {
		return nil, 0
	}
	return v.states[len(v.states)-1], len(v.states)
}

// at finds a value by its path, "breaker.stats.failures"; nil if there is none.
func at(m map[string]any, path string) any {
	var v any = m
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inner[name]
	}
	return v
}

func number(m map[string]any, path string) float64 { n, _ := at(m, path).(float64); return n }

// sees waits until the latest state is as wanted.
func (v *viewer) sees(t *testing.T, what string, as func(state map[string]any) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		state, n := v.state()
		return n > 0 && as(state)
	}, longest, often, what)
}

func TestLiveShowsAllThereIsAndItMoves(t *testing.T) {
	s := start(t)
	v := s.watch()
	token := s.register("ada@example.com").Access
	s.into(s.send("POST", "/api/links", token, map[string]string{"url": "https://example.com", "slug": "mine"}), 201, nil)
	s.send("GET", "/l/mine", "", nil)
	s.send("GET", "/api/links/mine/preview", token, nil)
	v.sees(t, "requests", func(m map[string]any) bool { return number(m, "http.requests") >= 4 })
	first, _ := v.state()
	for _, path := range []string{
		"t", "uptime", "pid", "worker", "workers", "db", "limiter", "load.on", "load.rps", "load.sent", "load.failed",
		"faults.fail", "faults.hang", "faults.flood", "faults.leak", "faults.database", "faults.kill",
		"can.fail", "can.hang", "can.flood", "can.leak", "can.database", "can.kill", "why.kill",
		"http.requests", "http.ok", "http.client_errors", "http.refused", "http.failed", "http.inflight", "http.p50", "http.p99",
		"breaker.state", "breaker.threshold", "breaker.stats.failures", "breaker.stats.consecutive_failures",
		"retry.retries", "retry.attempts", "retry.budget.tokens", "retry.budget.max",
		"bulkhead.in_use", "bulkhead.waiting", "bulkhead.limit", "bulkhead.queue",
		"pool.in_use", "pool.idle", "pool.max", "pool.waiting", "pool.last_error",
		"workerpool.running", "workerpool.queued", "workerpool.completed", "workerpool.queue",
		"cache.hits", "cache.misses", "cache.stale_served", "ratelimit.stats", "ratelimit.window_ms", "ratelimit.users",
		"emitter.listeners", "emitter.subs", "stream.items", "stream.bytes",
		"memory.live", "memory.heap", "memory.goal", "memory.limit", "memory.rss", "memory.goroutines", "memory.verdict",
		"memory.class", "memory.points", "memory.missing", "memory.sites",
		"jwt.logins", "jwt.refreshed", "jwt.reused", "jwt.rejected", "jwt.sessions", "jwt.keys", "viewers.in_use",
	} {
		require.NotNil(t, at(first, path), path)
	}
	require.EqualValues(t, 7, number(first, "load.sent"))
	require.EqualValues(t, 1, number(first, "jwt.logins"))
	require.EqualValues(t, 1, number(first, "workerpool.completed"), "the password")
	require.Positive(t, number(first, "http.p99"))
	worker := first["workers"].([]any)[0].(map[string]any)
	require.Equal(t, first["pid"], worker["pid"])
	require.Equal(t, true, worker["ready"])

	_, before := v.state()
	require.Eventually(t, func() bool { _, now := v.state(); return now > before+2 }, longest, often)
	later, _ := v.state()
	for _, path := range []string{"t", "uptime"} {
		require.Greater(t, number(later, path), number(first, path), path)
	}
	var kinds []any
	v.mu.Lock()
	for _, e := range v.events {
		kinds = append(kinds, e["kind"])
	}
	v.mu.Unlock()
	require.Contains(t, kinds, "account.created")
	require.Contains(t, kinds, "link.created")
}

func TestLiveTellsWhatWasToThoseWhoComeLater(t *testing.T) {
	s := start(t)
	for range 60 {
		s.api.Tell("worker", "something")
	}
	s.api.Tell("worker", "the last one")
	v := s.watch()
	v.sees(t, "a state", func(map[string]any) bool { return true })
	v.mu.Lock()
	defer v.mu.Unlock()
	require.Len(t, v.events, 50)
	require.Equal(t, "the last one", v.events[49]["text"])
}

func TestAViewerWhoReadsNothingHoldsNobodyUp(t *testing.T) {
	s := start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET /live HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.api.State().Viewers.InUse == 1 }, longest, often)
	large := strings.Repeat("x", 64<<10)
	for range 500 { // far more than the socket and the queues hold
		s.api.Tell("worker", large)
	}
	require.Equal(t, 200, s.send("GET", "/healthz", "", nil).status)
	s.drain()
}

func TestLiveIsForSoMany(t *testing.T) {
	s := start(t)
	for range s.api.State().Viewers.Limit {
		s.watch()
	}
	require.Equal(t, "bulkhead", s.refused(s.send("GET", "/live", "", nil), 503, "too many"))
}

func TestViewersAreSentAwayAtTheEnd(t *testing.T) {
	s := start(t)
	v := s.watch()
	s.api.BeginDrain()
	require.Eventually(t, func() bool { v.mu.Lock(); defer v.mu.Unlock(); return v.ended }, longest, often)
}
