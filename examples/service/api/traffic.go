package api

import (
	"net/http"
	"sync"
	"time"

	"github.com/bedplate/bedplate/examples/service/latency"
)

// traffic counts requests and measures them over the last five seconds.
type traffic struct {
	mu       sync.Mutex // guards what follows
	counts   requestCounts
	latency  [slots]latency.Histogram // of one second each, in a ring
	second   int64                    // which one latency[second%slots] is
	started  time.Time
	inflight int
}

const slots = 5

// requestCounts are in the state as they are.
type requestCounts struct {
	Requests     uint64 `json:"requests"`
	OK           uint64 `json:"ok"`            // below 400
	ClientErrors uint64 `json:"client_errors"` // 400 to 499 without 429
	Refused      uint64 `json:"refused"`       // 429 and 503
	Failed       uint64 `json:"failed"`        // other 500 and above
}

// httpState is what the state has of the traffic. Times are in milliseconds.
type httpState struct {
	requestCounts
	Inflight int     `json:"inflight"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

// advanceLocked empties the slots of seconds that have passed.
func (t *traffic) advanceLocked() *latency.Histogram {
	now := int64(time.Since(t.started) / time.Second)
	for n := min(now-t.second, slots); n > 0; n-- {
		t.latency[(now-n+1)%slots] = latency.Histogram{}
	}
	t.second = max(now, t.second)
	return &t.latency[t.second%slots]
}

func (t *traffic) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started.IsZero() {
		t.started = time.Now()
	}
	t.inflight++
}

func (t *traffic) end(status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inflight--
	t.counts.Requests++
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		t.counts.Refused++
	case status >= 500:
		t.counts.Failed++
	case status >= 400:
		t.counts.ClientErrors++
	default:
		t.counts.OK++
	}
	t.advanceLocked().Add(took)
}

func (t *traffic) state() httpState {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started.IsZero() {
		t.advanceLocked()
	}
	var sum latency.Histogram
	for i := range t.latency {
		sum.Merge(&t.latency[i])
	}
	return httpState{t.counts, t.inflight, sum.Quantile(0.5), sum.Quantile(0.99)}
}

// counted counts the requests that next serves.
func (t *traffic) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.begin()
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusInternalServerError}
		defer func() { t.end(sw.status, time.Since(began)) }() // a panic is a 500
		next.ServeHTTP(sw, r)
		if !sw.wrote {
			sw.status = http.StatusOK
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader remembers status.
func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is a status of 200 if there was none.
func (w *statusWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
