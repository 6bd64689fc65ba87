package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrOpen is what every refusal matches. The error itself is an
	// *OpenError.
	ErrOpen = errors.New("breaker: open")

	// ErrTimeout is what the end of Config.CallTimeout matches. The error
	// itself is a *TimeoutError.
	ErrTimeout = errors.New("breaker: call timed out")
)

// OpenError is a refusal: fn was not called. One value serves all refusals of
// one stay in a state, so it must not be changed.
type OpenError struct {
	Name  string // of the breaker
	State State  // Open, or HalfOpen when all probes are out
	Rule  Rule   // what opened the breaker last

	opened  time.Time     // when the open time began
	openFor time.Duration // 0 when no end is known
}

// Error returns the name, the state, and the time left or what is awaited.
func (e *OpenError) Error() string {
	detail := "forced"
	switch {
	case e.State == HalfOpen:
		detail = "waiting for probes"
	case e.openFor > 0:
		detail = "retry after " + e.RetryAfter().Round(time.Millisecond).String()
	}
	return prefix(e.Name) + "open, " + detail
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter returns the time left until the breaker admits probes, as of
// now. It is zero when that time is over or not known: while probes are out,
// and while the breaker is forced open. It reads the clock.
func (e *OpenError) RetryAfter() time.Duration {
	passed := time.Since(e.opened)
	if e.elapsed(passed) {
		return 0
	}
	return e.openFor - passed
}

// elapsed reports whether passed uses up the open time. A clock that reads
// earlier than the opening is not the clock the breaker was opened by (a test
// bubble has its own); then the time counts as over, for it could otherwise
// last decades.
func (e *OpenError) elapsed(passed time.Duration) bool {
	return passed >= e.openFor || passed < 0
}

// TimeoutError is the cause of fn's context when Config.CallTimeout ends a
// call, and with Config.Detach the error that the caller gets.
type TimeoutError struct {
	Name  string        // of the breaker
	After time.Duration // the call timeout
}

// Error returns the name and the timeout.
func (e *TimeoutError) Error() string {
	return prefix(e.Name) + "call timed out, after " + e.After.String()
}

// Is reports whether target is ErrTimeout or context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Timeout returns true, as net.Error has it.
func (e *TimeoutError) Timeout() bool { return true }

func prefix(name string) string {
	if name == "" {
		return "breaker: "
	}
	return "breaker: " + name + ": "
}

// ctxError returns an error that matches both ctx.Err() and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
