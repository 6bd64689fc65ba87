// Package retryhttp retries HTTP requests: a [Transport] is an
// [http.RoundTripper] that goes into an [http.Client].
//
//	client := &http.Client{Transport: retryhttp.MustNew(retryhttp.Config{
//		Retry: retry.Config{BaseDelay: 50 * time.Millisecond, AttemptTimeout: 10 * time.Second},
//	})}
//
// A request is retried if it may be sent twice: its method is idempotent (GET,
// HEAD, OPTIONS, TRACE, PUT, DELETE), or it has an Idempotency-Key header, or
// Config.Retryable says so; and its body, if any, can be sent again by GetBody,
// which [http.NewRequest] sets for the usual readers. All others are sent once.
//
// What is retried: transport errors and the statuses 429, 502, 503 and 504,
// unless Config.Failed says otherwise. A Retry-After header is obeyed in both
// its forms, seconds and date; one above Config.Retry.MaxRetryAfter ends the
// call. When there will be no further attempt, the last response is returned as
// it came, body unread, and not an error: status 503 after four attempts is
// still the server's answer.
//
// Bodies of responses that are not returned are read up to 64 KiB and closed
// before the delay begins, so that the next attempt reuses their connection.
//
// The delays, limits, budget and hooks are those of package retry. One thing
// differs: Config.Retry.AttemptTimeout ends with the response's headers, and the
// context that it needs lives until the caller closes the body.
package retryhttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bedplate/bedplate/retry"
)

// Config says how a [Transport] retries. The zero Config is sound.
type Config struct {
	// Retry says how often, with which delays and within which limits. Its If
	// is asked about transport errors only. Its AttemptTimeout limits an
	// attempt up to the response's headers.
	Retry retry.Config

	// Base makes the attempts. nil means [http.DefaultTransport].
	Base http.RoundTripper

	// Retryable reports whether a request may be sent more than once. nil means
	// those with an idempotent method or an Idempotency-Key header.
	Retryable func(*http.Request) bool

	// Failed reports whether a response is worth another attempt. It must not
	// read the body. nil means statuses 429, 502, 503 and 504.
	Failed func(*http.Response) bool
}

// A Transport is an [http.RoundTripper] that retries. It may be shared by any
// number of goroutines and clients.
type Transport struct {
	retrier        *retry.Retrier
	attemptTimeout time.Duration
	base           http.RoundTripper
	retryable      func(*http.Request) bool
	failed         func(*http.Response) bool
}

// New returns a Transport. On failure it returns an error that names the field
// of Config.Retry that is out of its bounds.
func New(cfg Config) (*Transport, error) {
	t := &Transport{base: cfg.Base, retryable: cfg.Retryable, failed: cfg.Failed}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	if t.retryable == nil {
		t.retryable = idempotent
	}
	if t.failed == nil {
		t.failed = overloaded
	}
	if worth := cfg.Retry.If; worth != nil {
		cfg.Retry.If = func(err error) bool {
			_, answered := err.(*StatusError) // about which failed has decided
			return answered || worth(err)
		}
	}
	// The Retrier would end the context with the attempt, before the caller has
	// read the body. So the Transport keeps the time itself.
	if cfg.Retry.AttemptTimeout > 0 {
		t.attemptTimeout, cfg.Retry.AttemptTimeout = cfg.Retry.AttemptTimeout, 0
	}
	var err error
	if t.retrier, err = retry.New(cfg.Retry); err != nil {
		return nil, fmt.Errorf("retryhttp: %w", err)
	}
	return t, nil
}

// MustNew is [New] for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Transport {
	t, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// Stats returns the counters of the Transport's retries.
func (t *Transport) Stats() retry.Stats {
	return t.retrier.Stats()
}

// CloseIdleConnections closes those of the base transport; it is what
// [http.Client.CloseIdleConnections] calls.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip sends the request until it is answered. On success, or when a
// response of a failed attempt is the last, it returns that response, and the
// caller must close its body. On failure the error is that of
// [retry.Retrier.Do] and matches the last attempt's error. The request is not
// modified.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	rewindable := req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
	if !rewindable || !t.retryable(req) {
		if t.attemptTimeout == 0 {
			return t.base.RoundTrip(req)
		}
		return t.attempt(req.Context(), req)
	}
	var resp *http.Response
	var final error
	sent := false
	for a := range t.retrier.Attempts(req.Context(), &final) {
		try, err := again(req, a)
		if err == nil {
			sent = true
			resp, err = t.attempt(a.Context(), try) //nolint:bodyclose // the caller closes the one returned, discard the others
		}
		if err == nil && t.failed(resp) {
			err = &StatusError{resp.StatusCode, retryAfter(resp)}
		}
		if more := a.Done(permanent(err)); more && resp != nil {
			resp.Body.(interface{ discard() }).discard()
			resp = nil
		}
	}
	if !sent && req.Body != nil {
		_ = req.Body.Close() // RoundTrip must close it, sent or not
	}
	if resp != nil {
		return resp, nil
	}
	return nil, final
}

// again returns the request of the attempt a: the caller's own for the first.
func again(req *http.Request, a *retry.Attempt) (*http.Request, error) {
	if a.Number() == 1 {
		return req, nil
	}
	try := req.WithContext(a.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, retry.Permanent(fmt.Errorf("retryhttp: body cannot be sent again: %w", err))
		}
		try.Body = body
	}
	return try, nil
}

// attempt sends req once, in a context that ends when the headers take longer
// than the AttemptTimeout, or else with the response's body.
func (t *Transport) attempt(ctx context.Context, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timedOut := func() bool { return false }
	if t.attemptTimeout > 0 {
		timer := time.AfterFunc(t.attemptTimeout, func() { cancel(retry.ErrAttemptTimeout) })
		timedOut = func() bool { return !timer.Stop() && context.Cause(ctx) == retry.ErrAttemptTimeout }
	}
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if timedOut() {
		cancel(nil) // it has been; this is for vet
		if err == nil {
			_ = resp.Body.Close()
		}
		return nil, fmt.Errorf("%w: %w", context.DeadlineExceeded, retry.ErrAttemptTimeout)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if resp.Body == nil { // http.Client forgives this in a RoundTripper
		resp.Body = http.NoBody
	}
	resp.Body = hold(resp.Body, cancel)
	return resp, nil
}

// idempotent is the default of Config.Retryable. The methods are those that
// RFC 9110, section 9.2.2, defines as idempotent.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("Idempotency-Key") != "" || req.Header.Get("X-Idempotency-Key") != ""
}

// permanent marks the transport errors that another attempt cannot mend.
func permanent(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return retry.Permanent(err)
	}
	return err
}
