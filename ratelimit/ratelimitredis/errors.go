package ratelimitredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// Sentinels for errors.Is.
var (
	// ErrClosed is what a Store returns after Drain or Close.
	ErrClosed = errors.New("ratelimitredis: closed")

	// ErrTimeout matches a *StoreError whose reason was that the server did not
	// answer within Config.Timeout.
	ErrTimeout = errors.New("ratelimitredis: no answer in time")
)

// StoreError tells that the server could not be asked. It matches
// ratelimit.ErrStore and what Err matches.
type StoreError struct {
	Name string // Config.Name
	Err  error  // ErrTimeout, breaker.ErrOpen, or the error of the client

	after time.Duration
}

// Error returns the failure in words.
func (e *StoreError) Error() string {
	name := ""
	if e.Name != "" {
		name = e.Name + ": "
	}
	return fmt.Sprintf("ratelimitredis: %s%v", name, e.Err)
}

// Is reports whether target is ratelimit.ErrStore.
func (e *StoreError) Is(target error) bool { return target == ratelimit.ErrStore }

// Unwrap returns Err.
func (e *StoreError) Unwrap() error { return e.Err }

// RetryAfter returns in how long the server will be asked again at the
// earliest, zero if that is at once.
func (e *StoreError) RetryAfter() time.Duration { return e.after }

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
