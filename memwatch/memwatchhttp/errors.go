package memwatchhttp

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is the cause with which Close, and Drain at its deadline, cancel
// the requests that are still there. Later ones are answered with 503.
var ErrClosed = errors.New("memwatchhttp: closed")

// DrainError says what Drain has left behind at its deadline.
type DrainError struct {
	Left []string // the paths of the requests below the handler's own, sorted
	Err  error    // of the context, and its cause
}

// Error returns what was left in words.
func (e *DrainError) Error() string {
	return fmt.Sprintf("memwatchhttp: drain left %d requests (%s): %v", len(e.Left), strings.Join(e.Left, ", "), e.Err)
}

// Unwrap returns Err.
func (e *DrainError) Unwrap() error { return e.Err }

// ctxError is the error of a done ctx. It matches ctx.Err() and the cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
