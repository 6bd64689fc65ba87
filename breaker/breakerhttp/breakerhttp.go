// Package breakerhttp puts a circuit breaker for each host in front of an
// http.RoundTripper.
//
//	client := &http.Client{Transport: breakerhttp.MustNew(breakerhttp.Config{
//		Breaker:       breaker.Config{Name: "api", ConsecutiveFailures: 5},
//		HeaderTimeout: 5 * time.Second,
//	})}
//
// Network errors, status 5xx and status 429 are failures; other statuses are
// successes; requests that their own context ends are ignored. A Retry-After
// header on a failing response, in seconds or as a date, sets the open time if
// that response opens the breaker.
//
// While the breaker of a host is open, requests to it fail with a
// *breaker.OpenError, which http.Client wraps in a *url.Error: errors.Is with
// breaker.ErrOpen and errors.As with an interface{ RetryAfter() time.Duration }
// find it.
//
// # When a request is over
//
// The verdict is given when the response headers arrive: that is when the
// status is known, and a body may be read for as long as a stream lasts, or
// never. So a body that breaks off is not a failure, and a probe counts as
// ended at its headers. HeaderTimeout likewise covers the time to the headers
// only; it leaves the body alone, and the request's context lives until the
// body is closed or read to its end.
package breakerhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/breaker"
)

// Config configures a Transport.
type Config struct {
	// Breaker configures the breaker of each host, whose name is Name, a
	// slash and the host. CallTimeout and Detach must be zero: the call is
	// the transport's here, see HeaderTimeout.
	Breaker breaker.Config

	// MaxHosts and IdleFor bound the group of breakers, as MaxBreakers and
	// IdleFor of breaker.GroupConfig do.
	MaxHosts int
	IdleFor  time.Duration

	// Base makes the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Key returns what shares a breaker with req. Nil means the host and
	// port of its URL.
	Key func(req *http.Request) string

	// Failed says whether a response is a failure of the host. Nil means
	// status 429, and 500 and above.
	Failed func(res *http.Response) bool

	// HeaderTimeout cancels a request whose response headers have not
	// arrived by then, with a *breaker.TimeoutError, and counts it as
	// failed. Zero means no timeout.
	HeaderTimeout time.Duration
}

// Transport is an http.RoundTripper with a breaker for each host.
type Transport struct {
	group         *breaker.Group[string]
	base          http.RoundTripper
	key           func(*http.Request) string
	failed        func(*http.Response) bool
	headerTimeout time.Duration
}

// New returns a Transport. It returns an error that names the field if cfg has
// a value out of bounds.
func New(cfg Config) (*Transport, error) {
	switch {
	case cfg.HeaderTimeout < 0:
		return nil, fmt.Errorf("breakerhttp: Config.HeaderTimeout is %v, want ≥ 0", cfg.HeaderTimeout)
	case cfg.Breaker.CallTimeout != 0:
		return nil, fmt.Errorf("breakerhttp: Config.Breaker.CallTimeout is %v, want 0: use HeaderTimeout", cfg.Breaker.CallTimeout)
	case cfg.MaxHosts < 0:
		return nil, fmt.Errorf("breakerhttp: Config.MaxHosts is %d, want ≥ 0", cfg.MaxHosts)
	case cfg.IdleFor < 0:
		return nil, fmt.Errorf("breakerhttp: Config.IdleFor is %v, want ≥ 0", cfg.IdleFor)
	}
	group, err := breaker.NewGroup[string](breaker.GroupConfig{
		Breaker:     cfg.Breaker,
		MaxBreakers: cfg.MaxHosts,
		IdleFor:     cfg.IdleFor,
	})
	if err != nil {
		return nil, fmt.Errorf("breakerhttp: Config.Breaker: %w", err)
	}
	t := &Transport{group: group, base: cfg.Base, key: cfg.Key, failed: cfg.Failed, headerTimeout: cfg.HeaderTimeout}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.key == nil {
		t.key = func(req *http.Request) string { return req.URL.Host }
	}
	if t.failed == nil {
		t.failed = func(res *http.Response) bool {
			return res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500
		}
	}
	return t, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Transport {
	t, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// Group returns the breakers, by host unless Config.Key says otherwise.
func (t *Transport) Group() *breaker.Group[string] { return t.group }

// CloseIdleConnections closes those of the base, if it can. http.Client asks for
// it by this name.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip makes the request if the breaker of its host admits it, and else
// returns a *breaker.OpenError. It does not change req.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	b := t.group.Get(t.key(req))
	permit, err := b.Allow()
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	defer permit.Record(breaker.Failure, nil) // for a panic
	res, err := t.send(req, b.Name())
	switch {
	case err == nil && t.failed(res):
		permit.Record(breaker.Failure, statusError(res))
	case err == nil:
		permit.Record(breaker.Success, nil)
	case isTimeout(err):
		permit.Record(breaker.Failure, err)
	default:
		permit.Done(req.Context(), err)
	}
	return res, err
}

// send makes the request within the header timeout.
func (t *Transport) send(req *http.Request, name string) (*http.Response, error) {
	if t.headerTimeout == 0 {
		return t.base.RoundTrip(req)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timeout := &breaker.TimeoutError{Name: name, After: t.headerTimeout}
	timer := time.AfterFunc(t.headerTimeout, func() { cancel(timeout) })
	res, err := t.base.RoundTrip(req.WithContext(ctx))
	if timer.Stop() {
		if err == nil {
			res.Body = keepAlive(res.Body, cancel)
			return res, nil
		}
		cancel(nil)
		return nil, err
	}
	cancel(timeout) // in case the timer's goroutine has not come to it yet
	if err == nil { // too late: the body is cut off already
		res.Body.Close()
		err = ctx.Err()
	}
	if context.Cause(ctx) == timeout {
		err = timeout
	}
	return nil, err
}

func isTimeout(err error) bool {
	_, ok := err.(*breaker.TimeoutError)
	return ok
}

// statusError is the error that a failing response stands for.
func statusError(res *http.Response) error {
	e := &StatusError{StatusCode: res.StatusCode}
	if h := res.Header.Get("Retry-After"); h == "" {
		return e
	} else if seconds, err := strconv.ParseInt(h, 10, 64); err == nil {
		const most = int64(1<<63-1) / int64(time.Second)
		e.retryAfter = time.Duration(max(0, min(seconds, most))) * time.Second
	} else if at, err := http.ParseTime(h); err == nil {
		e.retryAfter = max(0, time.Until(at))
	}
	return e
}

// StatusError is the error in breaker.StateChange when a response changed the
// state. RoundTrip returns the response, not this.
type StatusError struct {
	StatusCode int // of the response
	retryAfter time.Duration
}

// Error returns the status in words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("breakerhttp: status %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}

// RetryAfter returns what the response asked for, or zero.
func (e *StatusError) RetryAfter() time.Duration { return e.retryAfter }

// keepAlive calls cancel once body is closed or has ended, and not before: the
// transport reads the body under the request's context.
func keepAlive(body io.ReadCloser, cancel context.CancelCauseFunc) io.ReadCloser {
	b := &cancelBody{body, cancel}
	if w, ok := body.(io.Writer); ok { // an upgraded connection
		return struct {
			*cancelBody
			io.Writer
		}{b, w}
	}
	return b
}

type cancelBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *cancelBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.cancel(nil)
	}
	return n, err
}

func (b *cancelBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
