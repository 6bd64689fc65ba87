package memwatchhttp

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// How old a report may be for a request by hand, and at most for a page that is
// live, where it is ten intervals.
const (
	handAge = time.Second
	maxAge  = 10 * time.Second
)

func liveAge(interval time.Duration) time.Duration {
	return max(handAge, min(maxAge, 10*min(interval, maxAge)))
}

// reports keeps the newest report for all who want one.
type reports struct {
	watcher *memwatch.Watcher

	mu      sync.Mutex // guards all below; held over an analysis, whose result is what the next in line wants
	made    time.Time
	last    memwatch.Report
	version uint64 // grows with each report
	event   []byte // of the last one
}

// status is what the page is told at each report.
type status struct {
	Report  memwatch.Report `json:"report"`
	Running bool            `json:"running"` // the watcher's Run goes on, as far as its samples tell
}

// within returns a report that is not older than age. It analyses if there is
// none: some milliseconds, on behalf of all who come meanwhile.
func (s *reports) within(age time.Duration) (r memwatch.Report, event []byte, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == 0 || time.Since(s.made) >= age {
		s.setLocked(s.watcher.Analyze())
	}
	return s.last, s.event, s.version
}

// keep makes r, which Confirm has made, the newest report.
func (s *reports) keep(r memwatch.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(r)
}

func (s *reports) setLocked(r memwatch.Report) {
	s.made, s.last = time.Now(), r
	s.version++
	data, err := json.Marshal(status{r, running(s.watcher, s.made)})
	if err != nil {
		data = []byte("{}") // a report is all numbers and text: it can't be
	}
	s.event = append(append([]byte("event: report\ndata: "), data...), "\n\n"...)
}

// running tells whether samples still come: the newest is not older than three
// times what lies between it and the one before.
func running(w *memwatch.Watcher, now time.Time) bool {
	var newest, before time.Time
	for s := range w.Samples() {
		before, newest = newest, s.Time
	}
	switch {
	case newest.IsZero():
		return false
	case before.IsZero():
		return now.Sub(newest) < time.Minute
	}
	return now.Sub(newest) <= 3*newest.Sub(before)+time.Second
}

func (h *Handler) reportJSON(w http.ResponseWriter, r *http.Request) {
	report, _, _ := h.reports.within(handAge)
	answerJSON(w, r, report)
}

func (h *Handler) reportText(w http.ResponseWriter, r *http.Request) {
	report, _, _ := h.reports.within(handAge)
	answer(w, r, "text/plain; charset=utf-8", []byte(report.String()))
}

// samplesJSON gives what the Watcher has sampled, since a time if asked.
func (h *Handler) samplesJSON(w http.ResponseWriter, r *http.Request) {
	since, ok := parseSince(r.URL.RawQuery)
	if !ok {
		refuse(w, http.StatusBadRequest, "since must be a time such as 2026-11-27T12:00:00Z")
		return
	}
	samples := []memwatch.Sample{} // not null
	for s := range h.cfg.Watcher.Samples() {
		if s.Time.After(since) {
			samples = append(samples, s)
		}
	}
	answerJSON(w, r, samples)
}

// confirm forces two collections and gives the report of what they left, which
// all pages get as well.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	if !h.begin(w) {
		return
	}
	defer h.costly.end()
	report, err := h.cfg.Watcher.Confirm(r.Context())
	if err != nil { // by Close; or the one who asked has gone
		refuse(w, http.StatusServiceUnavailable, "cancelled")
		return
	}
	h.counts.confirms.Add(1)
	h.reports.keep(report)
	answerJSON(w, r, report)
}

func answerJSON(w http.ResponseWriter, r *http.Request, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		refuse(w, http.StatusInternalServerError, "no JSON")
		return
	}
	answer(w, r, "application/json", append(data, '\n'))
}
