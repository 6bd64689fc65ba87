package memwatchhttp

import (
	"bytes"
	"net/http"
	"runtime/pprof"
	"sync"
	"time"
)

// burst is how many costly requests may come at once.
const burst = 4

// profileTimeout is how long a profile may take to be written to its reader.
const profileTimeout = time.Minute

// pace lets costly requests begin one at a time, and no more than burst at once
// and one in every thereafter.
type pace struct {
	every time.Duration

	mu   sync.Mutex // guards all below; held for nanoseconds
	busy bool
	full time.Time // when burst more may begin
}

// begin lets a request begin, or says after what time to come again. Who may
// begin must end.
func (p *pace) begin(now time.Time) (retry time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(p.every)
	if wait := full.Sub(now) - burst*p.every; wait > 0 {
		return wait, false
	}
	if p.busy {
		return time.Second, false
	}
	p.busy, p.full = true, full
	return 0, true
}

func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
}

// begin is pace.begin, with its answer to who may not.
func (h *Handler) begin(w http.ResponseWriter) bool {
	retry, ok := h.costly.begin(time.Now())
	if !ok {
		h.counts.refused.Add(1)
		retryAfter(w, retry)
		refuse(w, http.StatusTooManyRequests, "too many profiles and confirmations; see Retry-After")
	}
	return ok
}

// profiles are the names of those offered: goroutineleak only where the runtime
// has it.
func profiles() []string {
	var names []string
	for _, name := range []string{"heap", "allocs", "goroutine", "goroutineleak"} {
		if pprof.Lookup(name) != nil {
			names = append(names, name)
		}
	}
	return names
}

// profile serves one profile. It is made as a whole before it is sent, so that
// a slow reader keeps no other from the next one.
func (h *Handler) profile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		debug, ok := parseDebug(r.URL.RawQuery)
		if !ok {
			refuse(w, http.StatusBadRequest, "the only parameter is debug, 0 or 1")
			return
		}
		var text []byte
		if r.Method != http.MethodHead { // it costs too much to know how long it would be
			if text, ok = h.collect(w, name, debug); !ok {
				return
			}
		}
		contentType := "text/plain; charset=utf-8"
		if debug == 0 {
			contentType = "application/octet-stream"
			w.Header().Set("Content-Disposition", `attachment; filename="`+name+time.Now().UTC().Format("-20060102-150405")+`.pb.gz"`)
		}
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Type", contentType)
			return
		}
		// Without a deadline the server's own holds.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(profileTimeout))
		answer(w, r, contentType, text)
	}
}

// collect makes a profile, unless it must not now; that it has answered then.
func (h *Handler) collect(w http.ResponseWriter, name string, debug int) ([]byte, bool) {
	if !h.begin(w) {
		return nil, false
	}
	defer h.costly.end()
	var text bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&text, debug); err != nil {
		refuse(w, http.StatusServiceUnavailable, "the runtime has no profile now")
		return nil, false
	}
	h.counts.profiles.Add(1)
	return text.Bytes(), true
}
