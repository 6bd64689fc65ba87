package memwatchhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

// Defaults of the Config fields that are left zero.
const (
	defaultInterval     = time.Second
	defaultMaxStreams   = 16
	defaultWriteTimeout = 10 * time.Second
	defaultPace         = 10 * time.Second
)

// Config describes a Handler. Watcher is required.
type Config struct {
	// Watcher is what is shown. Its Run should go on; where it does not, the
	// page says so.
	Watcher *memwatch.Watcher

	// Interval is the time between two points of the live page, at least 10 ms;
	// zero means 1 s. A report comes with every tenth of them, but neither more
	// often than once a second nor less than every ten. Nothing is sampled while
	// nobody watches.
	Interval time.Duration

	// MaxStreams is how many pages may be live at once; zero means 16. More
	// are answered with 503.
	MaxStreams int

	// WriteTimeout is how long one piece of a stream, 16 KiB and a report at
	// most, may take to be written; zero means 10 s. A reader that is slower is
	// dropped.
	WriteTimeout time.Duration

	// Pace is the time in which one more costly request, which is a profile or
	// a Confirm, is allowed; zero means 10 s. Up to four may come at once, one
	// at a time is served, and those beyond are answered with 429.
	Pace time.Duration

	// ReadOnly leaves out what costs: profiles and Confirm are not found, and
	// the page does not offer them.
	ReadOnly bool

	// CSRF decides which requests of other sites are answered by the stream,
	// the profiles and Confirm. Nil means http.NewCrossOriginProtection: none
	// that a browser sends.
	CSRF *http.CrossOriginProtection
}

// Handler serves the page and what it is made of. It is safe for use by many
// goroutines, and starts none. Make one with New or MustNew, mount it below
// any path that ends in a slash, and call Close when the server shuts down.
type Handler struct {
	cfg       Config
	endpoints map[string]endpoint
	gate      gate
	feed      feed
	reports   reports
	costly    pace
	counts    counts
}

// New returns a Handler as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field.
func New(cfg Config) (*Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = defaultMaxStreams
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = defaultWriteTimeout
	}
	if cfg.Pace == 0 {
		cfg.Pace = defaultPace
	}
	if cfg.CSRF == nil {
		cfg.CSRF = http.NewCrossOriginProtection()
	}
	h := &Handler{cfg: cfg, feed: newFeed(cfg.Watcher, cfg.Interval)}
	h.reports.watcher = cfg.Watcher
	h.costly.every = cfg.Pace
	h.gate.inside = make(map[*visit]struct{})
	h.endpoints = h.routes()
	return h, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Handler {
	h, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return h
}

func (c Config) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("memwatchhttp: Config.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Watcher == nil:
		return errors.New("memwatchhttp: Config.Watcher is nil, want a Watcher")
	case c.Interval < 0:
		return bad("Interval", c.Interval, "≥ 0")
	case c.Interval > 0 && c.Interval < 10*time.Millisecond:
		return bad("Interval", c.Interval, "≥ 10ms")
	case c.MaxStreams < 0:
		return bad("MaxStreams", c.MaxStreams, "≥ 0")
	case c.WriteTimeout < 0:
		return bad("WriteTimeout", c.WriteTimeout, "≥ 0")
	case c.Pace < 0:
		return bad("Pace", c.Pace, "≥ 0")
	}
	return nil
}

// ServeHTTP answers one request. A stream lasts until its reader goes, or is
// too slow, or Drain or Close is called.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	name := within(r)
	e, found := h.endpoints[name]
	switch {
	case !found:
		refuse(w, http.StatusNotFound, "not found")
		return
	case !e.allows(r.Method):
		w.Header().Set("Allow", e.allowed())
		refuse(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	case e.guarded && h.foreign(r):
		refuse(w, http.StatusForbidden, "requests of other sites are refused")
		return
	}
	ctx, v, err := h.gate.enter(r.Context(), e)
	switch {
	case errors.Is(err, ErrClosed):
		retryAfter(w, reconnect)
		refuse(w, http.StatusServiceUnavailable, "closed")
		return
	case err != nil:
		return // nobody is there to read an answer
	}
	defer h.gate.leave(v)
	e.serve(w, r.WithContext(ctx))
}

// Drain refuses new requests with 503 from now on, ends the streams, and waits
// until all that came before are answered. It returns nil when they are.
//
// When ctx is done first, those still there are cancelled, and the error, a
// *DrainError, says what they were and matches the error of ctx and its cause.
// Drain may be called again, and by many.
func (h *Handler) Drain(ctx context.Context) error {
	h.gate.close(false)
	select {
	case <-h.gate.empty():
		return nil
	default:
	}
	select {
	case <-h.gate.empty():
		return nil
	case <-ctx.Done():
	}
	left := h.gate.close(true)
	if len(left) == 0 {
		return nil // the last one left in the same moment
	}
	return &DrainError{Left: left, Err: ctxError(ctx)}
}

// Close refuses new requests with 503 from now on, ends the streams, and
// cancels a Confirm between its collections. It returns at once, always nil,
// and may be called again: there is no goroutine of its own to wait for, and
// those of the requests are waited for by http.Server.Shutdown, which should
// call Close by RegisterOnShutdown, as it would wait for streams otherwise.
func (h *Handler) Close() error {
	h.gate.close(true)
	return nil
}
