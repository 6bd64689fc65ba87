// Package ratelimithttp limits the requests that an http.Handler serves, for
// each user or client address apart, and those that a client sends.
//
//	limit := ratelimithttp.MustNew(ratelimithttp.Config{
//		Limits: []ratelimit.Limit{ratelimit.Per(100, time.Minute)},
//	})
//	http.Handle("/", limit.Handler(mux))
//
// A request over the limit is answered with 429 Too Many Requests, a
// Retry-After field in whole seconds, rounded up, and a problem document (RFC
// 9457). Every answer has the fields RateLimit and RateLimit-Policy as the IETF
// draft "RateLimit header fields for HTTP" has them.
//
// # Who is who
//
// A request is its user's, if Config.User finds one, and else its client
// address's. That is the address of the connection, unless Config.Client says
// which proxies may be believed: whatever else stands in a header was written
// by the client, who could take another name for each request. IPv6 addresses
// count by their /64, of which one client has all; IPv4 addresses mapped into
// IPv6 are IPv4 addresses. A request whose address cannot be told is refused
// with 400, and never served unlimited.
//
// # Sharing budgets
//
// Config.Store takes the place of the limits in this process. With that of
// package ratelimitredis, processes share their budgets:
//
//	limit := ratelimithttp.MustNew(ratelimithttp.Config{
//		Store: store,
//	})
package ratelimithttp

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// Anonymous says what becomes of a request without a user.
type Anonymous uint8

// What may become of it.
const (
	// ByAddress limits it by its client address. It is the default.
	ByAddress Anonymous = iota

	// Reject answers it with 401 Unauthorized.
	Reject

	// Skip serves it without a limit.
	Skip
)

// Key is whose budget a request is charged to: that of a user or that of a
// client address, the other one being zero. The two never share one.
type Key struct {
	User    string       // as Config.User has it
	Address netip.Prefix // a network that stands for one client
}

// String returns the user or the address.
func (k Key) String() string {
	if k.Address.IsValid() {
		return k.Address.String()
	}
	return k.User
}

// StoreKey returns the key of k in a Store: a user as "user:" and its name, an
// address as "addr:" and its network.
func (k Key) StoreKey() string {
	if k.Address.IsValid() {
		return "addr:" + k.Address.String()
	}
	return "user:" + k.User
}

// Config configures a Middleware. The zero Config is usable: 100 requests in
// any minute for each client address.
type Config struct {
	// Name appears in errors, events and Stats, and names the rules that have
	// no name of their own in header fields. Empty means "default" there.
	Name string

	// Limits, PlanFor, MaxKeys, Overflow and Hooks are those of
	// ratelimit.Config. An empty user's Key has the address only.
	Limits   []ratelimit.Limit
	PlanFor  func(key Key) *ratelimit.Plan
	MaxKeys  int
	Overflow ratelimit.Overflow
	Hooks    ratelimit.Hooks

	// Store keeps the events and knows the limits, instead of the fields above,
	// which must be zero then. Its keys are those of Key.StoreKey. Requests
	// that it has no answer to are answered with 503 Service Unavailable. Nil
	// means to keep them in this process.
	Store ratelimit.Store

	// User returns the user of an authenticated request, and false if there
	// is none. An empty name is a name. Nil means that there are no users.
	User func(*http.Request) (string, bool)

	// Anonymous says what becomes of a request for which User returns false.
	// Zero means ByAddress.
	Anonymous Anonymous

	// Client says how the address of the client is found. Zero means the
	// address of the connection.
	Client Client

	// Cost returns how many permits a request takes. Nil means one. Zero is
	// free; below that counts as zero.
	Cost func(*http.Request) int

	// Refund reports whether a request that was served with that status is
	// given its permits back, such as one that failed on our side. Nil means
	// none is.
	Refund func(status int) bool

	// LegacyFields adds X-RateLimit-Limit, X-RateLimit-Remaining and
	// X-RateLimit-Reset (in seconds from now) to each answer.
	LegacyFields bool

	// NoFields leaves RateLimit and RateLimit-Policy out.
	NoFields bool

	// OnLimited writes the answer to a request over the limit. The fields,
	// Retry-After among them, are set already. Nil means status 429 and a
	// problem document.
	OnLimited func(http.ResponseWriter, *http.Request, ratelimit.Decision)
}

// Middleware limits the requests that handlers serve. It is safe for use by
// many goroutines, and may be put around several handlers, which then share
// its budgets.
type Middleware struct {
	limiter *ratelimit.Limiter[Key] // nil if there is a Store
	client  *clientFinder
	cfg     Config

	// policy is the RateLimit-Policy of the decision before; written by
	// whoever has another.
	policy atomic.Pointer[policy]
}

// New returns a Middleware as described by cfg. It fails if a field has a
// value that makes no sense, and the error names the field.
func New(cfg Config) (*Middleware, error) {
	if cfg.Anonymous > Skip {
		return nil, fmt.Errorf("ratelimithttp: Config.Anonymous is %d, want ByAddress, Reject or Skip", cfg.Anonymous)
	}
	if cfg.Anonymous != ByAddress && cfg.User == nil {
		return nil, fmt.Errorf("ratelimithttp: Config.User is nil, want a function since Anonymous is %d", cfg.Anonymous)
	}
	client, err := cfg.Client.compile()
	if err != nil {
		return nil, err
	}
	m := &Middleware{client: client}
	if cfg.Store == nil {
		m.limiter, err = ratelimit.New(ratelimit.Config[Key]{
			Name:     cfg.Name,
			Limits:   cfg.Limits,
			PlanFor:  cfg.PlanFor,
			MaxKeys:  cfg.MaxKeys,
			Overflow: cfg.Overflow,
			Hooks:    cfg.Hooks,
		})
		if err != nil {
			return nil, fmt.Errorf("ratelimithttp: Config: %w", err)
		}
	} else if field := cfg.storeKnows(); field != "" {
		return nil, fmt.Errorf("ratelimithttp: Config.%s is set, want it in the Store", field)
	}
	if cfg.Name == "" {
		cfg.Name = "default"
	}
	m.cfg = cfg
	return m, nil
}

// storeKnows returns the first field that is set and that a Store has of its
// own.
func (c *Config) storeKnows() string {
	switch {
	case c.Limits != nil:
		return "Limits"
	case c.PlanFor != nil:
		return "PlanFor"
	case c.MaxKeys != 0:
		return "MaxKeys"
	case c.Overflow != 0:
		return "Overflow"
	case c.Hooks.OnLimited != nil || c.Hooks.OnShadowed != nil:
		return "Hooks"
	}
	return ""
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Middleware {
	m, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return m
}

// Limiter returns the limiter of the requests, for Refund, Reset, Stats and
// Run. It is nil if there is a Store.
func (m *Middleware) Limiter() *ratelimit.Limiter[Key] { return m.limiter }

// Handler returns a handler that serves requests within the limits by next,
// and answers the others itself. It panics if next is nil.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("ratelimithttp: next is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, verdict := m.key(r)
		switch verdict {
		case unlimited:
			next.ServeHTTP(w, r)
			return
		case unauthorized:
			problem(w, http.StatusUnauthorized, problemUnauthorized)
			return
		case unknown:
			problem(w, http.StatusBadRequest, problemUnknown)
			return
		}
		cost := 1
		if m.cfg.Cost != nil {
			cost = max(m.cfg.Cost(r), 0)
		}
		d, err := m.take(r, key, cost)
		if err != nil {
			unavailable(w, err)
			return
		}
		m.setFields(w.Header(), &d)
		if !d.Allowed {
			w.Header().Set("Retry-After", seconds(d.RetryAfter))
			if m.cfg.OnLimited != nil {
				m.cfg.OnLimited(w, r, d)
				return
			}
			m.refuse(w, &d)
			return
		}
		if m.cfg.Refund == nil {
			next.ServeHTTP(w, r)
			return
		}
		seen := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		if m.cfg.Refund(seen.status) {
			m.refund(r, key, cost)
		}
	})
}

// take takes the permits of a request.
func (m *Middleware) take(r *http.Request, key Key, cost int) (ratelimit.Decision, error) {
	if m.limiter != nil {
		return m.limiter.Take(key, cost), nil
	}
	return m.cfg.Store.Take(r.Context(), key.StoreKey(), cost)
}

// refund gives them back. The client may have left, which is no reason not to.
// If the Store has no answer they stay taken.
func (m *Middleware) refund(r *http.Request, key Key, cost int) {
	if m.limiter != nil {
		m.limiter.Refund(key, cost)
		return
	}
	_ = m.cfg.Store.Refund(context.WithoutCancel(r.Context()), key.StoreKey(), cost)
}

// The ways in which a request has no key.
const (
	limited = iota
	unlimited
	unauthorized
	unknown
)

// key returns whose budget r is charged to.
func (m *Middleware) key(r *http.Request) (Key, int) {
	if m.cfg.User != nil {
		user, ok := m.cfg.User(r)
		switch {
		case ok:
			return Key{User: user}, limited
		case m.cfg.Anonymous == Reject:
			return Key{}, unauthorized
		case m.cfg.Anonymous == Skip:
			return Key{}, unlimited
		}
	}
	address, ok := m.client.find(r)
	if !ok {
		return Key{}, unknown
	}
	return Key{Address: address}, limited
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	sent   bool
}

// WriteHeader notes the first final status.
func (w *recorder) WriteHeader(status int) {
	if !w.sent && status >= 200 {
		w.status, w.sent = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is that of the ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	w.sent = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what the ResponseWriter can do.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Transport is an http.RoundTripper that waits for a permit before each
// request it sends, by host or as Key says.
type Transport struct {
	limiter *ratelimit.Limiter[string]
	base    http.RoundTripper
	key     func(*http.Request) string
}

// TransportConfig configures a Transport.
type TransportConfig struct {
	// Name appears in errors, events and Stats.
	Name string

	// Limits are the rules for each host. None means 100 per minute.
	Limits []ratelimit.Limit

	// MaxWait bounds how long a request waits for its permit; one whose
	// permit comes later fails at once with a *ratelimit.LimitedError. Zero
	// means not at all. The request's context bounds it too.
	MaxWait time.Duration

	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Key returns what shares a budget with req. Nil means the host and port
	// of its URL.
	Key func(req *http.Request) string
}

// NewTransport returns a Transport. It fails if a field of cfg has a value
// that makes no sense, and the error names the field.
func NewTransport(cfg TransportConfig) (*Transport, error) {
	limiter, err := ratelimit.New(ratelimit.Config[string]{Name: cfg.Name, Limits: cfg.Limits, MaxWait: cfg.MaxWait})
	if err != nil {
		return nil, fmt.Errorf("ratelimithttp: TransportConfig: %w", err)
	}
	t := &Transport{limiter: limiter, base: cfg.Base, key: cfg.Key}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.key == nil {
		t.key = func(req *http.Request) string { return req.URL.Host }
	}
	return t, nil
}

// MustNewTransport is NewTransport for package variables: it panics where
// NewTransport returns an error.
func MustNewTransport(cfg TransportConfig) *Transport {
	t, err := NewTransport(cfg)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// RoundTrip sends the request once it has a permit. On failure nothing was
// sent, and the error is that of ratelimit.Limiter.Do: a
// *ratelimit.LimitedError, with RetryAfter, or that of the request's context.
// It does not change req.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.limiter.Do(req.Context(), t.key(req), pass); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	return t.base.RoundTrip(req)
}

// CloseIdleConnections closes those of the base, if it can. http.Client asks
// for it by this name.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}
