package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bedplate/bedplate/examples/service/latency"
)

// Report is what a Generator has counted.
type Report struct {
	For      time.Duration     // since the first request
	Requests uint64            // sent
	Status   map[string]uint64 // by class: 2xx, 3xx, 4xx, 5xx, and 429 and 503 by themselves
	Lost     uint64            // that got no answer
	Skipped  uint64            // that were due while too many others were under way
	Refused  map[string]uint64 // by the guard that the answer names
	P50, P99 float64           // in milliseconds, of those answered
}

// String is the report in a few lines.
func (r Report) String() string {
	if r.Requests == 0 && r.Skipped == 0 {
		return "load: none"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "load: %d requests in %v, %.0f a second; %d got no answer, %d were due and not sent\n",
		r.Requests, r.For.Round(100*time.Millisecond), float64(r.Requests)/max(r.For.Seconds(), 0.001), r.Lost, r.Skipped)
	fmt.Fprintf(&b, "  status: %s\n", list(r.Status))
	fmt.Fprintf(&b, "  time: p50 %.1f ms, p99 %.1f ms\n", r.P50, r.P99)
	fmt.Fprintf(&b, "  refused by: %s", list(r.Refused))
	return b.String()
}

func list(counts map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// tally counts answers.
type tally struct {
	mu      sync.Mutex // guards what follows
	began   time.Time
	counted Report
	latency latency.Histogram
}

func (t *tally) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began.IsZero() {
		t.began = time.Now()
		t.counted.Status, t.counted.Refused = make(map[string]uint64), make(map[string]uint64)
	}
}

func (t *tally) skip() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted.Skipped++
}

func (t *tally) unanswered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted.Requests++
	t.counted.Lost++
}

func (t *tally) answered(status int, body []byte, took time.Duration) {
	class, guard := fmt.Sprintf("%dxx", status/100), ""
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		var refusal struct {
			Guard string `json:"guard"`
		}
		_ = json.Unmarshal(body, &refusal) // what is none has no guard
		class, guard = strconv.Itoa(status), refusal.Guard
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted.Requests++
	t.counted.Status[class]++
	if guard != "" {
		t.counted.Refused[guard]++
	}
	t.latency.Add(took)
}

func (t *tally) report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.counted
	r.Status, r.Refused = maps.Clone(r.Status), maps.Clone(r.Refused)
	if !t.began.IsZero() {
		r.For = time.Since(t.began)
	}
	r.P50, r.P99 = t.latency.Quantile(0.5), t.latency.Quantile(0.99)
	return r
}
