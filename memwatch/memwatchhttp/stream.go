package memwatchhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"runtime"
	"time"
)

const (
	heartbeat = 15 * time.Second // at most between two pieces of a stream
	reconnect = 2 * time.Second  // what a browser waits before it comes again
)

// greeting is the first event of each stream.
type greeting struct {
	Instance string   `json:"instance"` // another one after a restart
	Interval int64    `json:"interval_ms"`
	Page     string   `json:"page"` // version of the page this process serves
	Go       string   `json:"go"`
	Profiles []string `json:"profiles"` // those offered
	Confirm  bool     `json:"confirm"`  // offered
}

// stream sends the history from where the reader has left off, and then each
// point and report as it comes.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	out := sink{w: w, rc: http.NewResponseController(w), timeout: h.cfg.WriteTimeout}
	if err := out.rc.SetWriteDeadline(time.Time{}); err != nil {
		// A reader that reads no more would hold the goroutine for ever.
		refuse(w, http.StatusInternalServerError, "no stream: the ResponseWriter has no write deadline; does a middleware hide it?")
		return
	}
	defer h.counts.streams.Add(-1)
	if h.counts.streams.Add(1) > int64(h.cfg.MaxStreams) {
		h.counts.refused.Add(1)
		retryAfter(w, heartbeat)
		refuse(w, http.StatusServiceUnavailable, "too many pages are live")
		return
	}
	if err := h.follow(r.Context(), &out, h.resume(r)); errors.Is(err, os.ErrDeadlineExceeded) {
		h.counts.dropped.Add(1)
	}
}

// resume is the number of the point that the reader had last. A browser that
// comes again by itself says so in a field, the page in the query.
func (h *Handler) resume(r *http.Request) uint64 {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id, _ = only(r.URL.RawQuery, "after")
	}
	return h.feed.parseID(id)
}

// follow writes the stream until ctx is done or a write fails. It returns nil
// in the first case.
func (h *Handler) follow(ctx context.Context, out *sink, seq uint64) error {
	buf := h.greet(make([]byte, 0, piece+piece/4))
	var version uint64
	age := liveAge(h.cfg.Interval)
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	for {
		next := h.feed.advance(time.Now())
		if _, event, v := h.reports.within(age); v != version {
			buf, version = append(buf, event...), v
		}
		buf, seq = h.feed.after(buf, seq)
		more := len(buf) >= piece
		if len(buf) == 0 {
			buf = append(buf, ":\n\n"...)
		}
		if err := out.write(buf); err != nil {
			return err
		}
		buf = buf[:0]
		if more && ctx.Err() == nil {
			continue
		}
		timer.Reset(min(time.Until(next), heartbeat))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return out.rc.SetWriteDeadline(time.Now().Add(out.timeout)) // for what net/http has yet to write
		}
	}
}

// greet appends the begin of a stream.
func (h *Handler) greet(buf []byte) []byte {
	hello, err := json.Marshal(greeting{
		Instance: h.feed.instance, Interval: h.cfg.Interval.Milliseconds(), Page: version(), Go: runtime.Version(),
		Profiles: h.offered(), Confirm: !h.cfg.ReadOnly,
	})
	if err != nil {
		return buf // strings and numbers alone: it can't be
	}
	buf = append(buf, "retry: 2000\nevent: hello\ndata: "...)
	return append(append(buf, hello...), "\n\n"...)
}

func (h *Handler) offered() []string {
	if h.cfg.ReadOnly {
		return []string{}
	}
	return profiles()
}

// sink is a response to which every write has its own time.
type sink struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// write sends p at once, or fails when the timeout is over. Between two writes
// there is no deadline: that of HTTP/2 would end the stream although nothing
// is due.
func (s *sink) write(p []byte) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(p); err != nil {
		return err
	}
	if err := s.rc.Flush(); err != nil {
		return err
	}
	return s.rc.SetWriteDeadline(time.Time{})
}
