package e2e

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bedplate/bedplate/examples/service/web"
)

// fake is a service that only says what a test tells it to: for what a real one
// says seldom or never.
type fake struct {
	server *httptest.Server

	mu     sync.Mutex // guards what follows
	events []string   // sent to each reader of /live, in order, and kept open then
	news   chan struct{}
	posted []string // path and body of each POST
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newFake(t *testing.T) *fake {
	f := &fake{news: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.HandleFunc("GET /live", f.live)
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		_, _ = fmt.Fprint(body, r.URL.Path)
		buf := make([]byte, 1000)
		n, _ := r.Body.Read(buf)
		_, _ = fmt.Fprint(body, " ", string(buf[:n]))
		f.mu.Lock()
		f.posted = append(f.posted, body.String())
		answer := f.answer
		f.mu.Unlock()
		if answer == nil || !answer(w, r) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	f.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

// send appends an event to what readers get. v is marshalled unless it is a
// string.
func (f *fake) send(kind string, v any) {
	data, ok := v.(string)
	if !ok {
		data = js(v)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf("event: %s\ndata: %s\n\n", kind, data))
	close(f.news)
	f.news = make(chan struct{})
}

func (f *fake) live(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for sent := 0; ; {
		f.mu.Lock()
		next, news := f.events[sent:], f.news
		f.mu.Unlock()
		for _, e := range next {
			if _, err := fmt.Fprint(w, e); err != nil {
				return
			}
			sent++
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}

// moment is a plausible state of a service under load, at a time in seconds.
func moment(sec float64, faults map[string]bool) map[string]any {
	n := func(perSecond float64) uint64 { return uint64(perSecond * sec) }
	wave := func(period, low, high float64) int {
		return int(low + (high-low)*(0.5+0.5*math.Sin(sec*2*math.Pi/period)) + 0.5)
	}
	hist := make([]uint64, 28)
	for i := range 6 {
		hist[i+4] = n(float64(int(12) >> i))
	}
	state, retryAfter := "closed", int64(0)
	if faults["fail"] {
		state, retryAfter = "open", int64((3-math.Mod(sec, 3))*1e9)
		if math.Mod(sec, 3) > 2.5 {
			state, retryAfter = "half-open", 0
		}
	}
	use, wait := wave(5, 1, 4), 0
	if faults["hang"] {
		use, wait = 8, wave(7, 3, 12)
	}
	live := 12<<20 + int(3e6*math.Mod(sec, 4)/4)
	verdict, sites := "none", []any{}
	if faults["leak"] {
		live += int(1e6 * math.Max(0, sec-30))
		verdict, sites = "leak", []any{map[string]any{"site": "main.go:214 main.(*leak).keep", "rate": 1.02e6}}
	}
	pool := map[string]any{"name": "sqlite", "max": 8, "in_use": wave(3, 0, 5), "idle": 3, "creating": 0, "closing": 0, "checking": 0,
		"waiting": 0, "acquired": n(60), "created": 8, "create_failed": 0, "waits": map[string]any{"buckets": hist}, "last_error": ""}
	if faults["database"] {
		pool["in_use"], pool["idle"], pool["creating"], pool["waiting"] = 0, 0, 2, wave(4, 2, 6)
		pool["create_failed"], pool["last_error"] = n(4), "connect: the database is stopped (code 08006)"
	}
	limited := n(0)
	flooder := map[string]any{"user": "flood@example.com", "used": 20, "limit": 100, "refused": 0}
	if faults["flood"] {
		limited = n(80)
		flooder["used"], flooder["refused"] = 100, limited
	}
	return map[string]any{
		"t": 1795780000000 + int64(sec*1000), "uptime": sec, "pid": 4711, "worker": 1,
		"workers": []any{
			map[string]any{"id": 0, "pid": 4710, "restarts": 0, "rss": 31 << 20, "ready": true},
			map[string]any{"id": 1, "pid": 4711, "restarts": 0, "rss": 33 << 20, "ready": true},
			map[string]any{"id": 2, "pid": 4719, "restarts": 2, "rss": 28 << 20, "ready": !faults["kill"]},
		},
		"db": "sqlite", "limiter": "memory", "load": map[string]any{"on": true, "rps": 120}, "faults": faults,
		"can":       map[string]bool{"kill": true},
		"http":      map[string]any{"requests": n(130), "ok": n(110), "client_errors": n(3), "refused": n(8), "failed": n(0.4), "inflight": wave(3, 2, 9), "p50": 0.8, "p99": 14 + 4*math.Sin(sec)},
		"breaker":   map[string]any{"state": state, "threshold": 5, "stats": map[string]any{"consecutive_failures": wave(9, 0, 3), "failures": n(2), "refused": n(12), "opened": 3, "open_for_ns": 3e9, "retry_after_ns": retryAfter, "probes": 1, "probe_successes": 1}},
		"retry":     map[string]any{"retries": n(6), "recovered": n(4), "gave_up": n(1), "over_budget": n(0.5), "attempts": []uint64{n(20), n(5), n(2)}, "budget": map[string]any{"tokens": float64(wave(11, 6, 19)), "max": 20}},
		"bulkhead":  map[string]any{"limit": 8, "in_use": use, "waiting": wait, "queue": 16, "refused_queue_full": n(2), "waits": map[string]any{"buckets": hist}},
		"pool":      pool,
		"cache":     map[string]any{"capacity": 4096, "len": wave(40, 1200, 2900), "hits": n(95), "misses": n(7), "loads": n(6), "evicted": n(2), "load_errors": 0, "stale_served": 0},
		"ratelimit": map[string]any{"stats": map[string]any{"allowed": n(120), "limited": limited, "keys": 12}, "users": []any{flooder, map[string]any{"user": "ada@example.com", "used": wave(9, 20, 80), "limit": 100, "refused": 0}, map[string]any{"user": "grace@example.com", "used": wave(13, 5, 60), "limit": 100, "refused": 0}}},
		"workerpool": map[string]any{"max": 2, "workers": 2, "running": wave(2, 0, 2), "queued": wave(6, 0, 5), "queue": 64, "completed": n(14),
			"waits": map[string]any{"buckets": hist}, "runs": map[string]any{"buckets": hist}},
		"emitter": map[string]any{"listeners": 3, "queued": 0, "subs": []any{map[string]any{"delivered": n(9), "dropped": 0}}},
		"memory":  map[string]any{"live": live, "goal": 2 * live, "limit": 512 << 20, "rss": 61 << 20, "goroutines": wave(5, 40, 60), "verdict": verdict, "sites": sites},
		"jwt":     map[string]any{"logins": n(1), "refreshed": n(0.3), "reused": 0, "rejected": n(0.1)},
		"stream":  map[string]any{"running": 0, "items": 20000},
	}
}

// minute sends a minute of moments, the last of them with faults on for `since`
// seconds.
func (f *fake) minute(faults map[string]bool, since float64) {
	for sec := 100.0; sec <= 160; sec += 0.25 {
		on := map[string]bool{}
		if sec > 160-since {
			on = faults
		}
		f.send("state", moment(sec, on))
	}
	for i, e := range []string{"link.created|ada@example.com made /l/go", "login|grace@example.com", "breaker|open: 12 of 20 calls failed", "import.done|10 000 links, 10 refused", "fault|fail is on"} {
		kind, words, _ := strings.Cut(e, "|")
		f.send("audit", map[string]any{"t": 1795780000000 + int64(100+i*9)*1000, "kind": kind, "text": words})
	}
}
