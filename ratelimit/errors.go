package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sentinels for errors.Is.
var (
	// ErrLimited matches every *LimitedError.
	ErrLimited = errors.New("ratelimit: limited")

	// ErrTooLarge matches a *LimitedError for more permits at once than the
	// rule ever admits.
	ErrTooLarge = errors.New("ratelimit: more than the limit at once")

	// ErrStore matches the errors of a Store that could not be asked.
	ErrStore = errors.New("ratelimit: no answer from the store")
)

// Reason says why a caller was refused.
type Reason int

// The reasons in a LimitedError.
const (
	// Exceeded: the permits are not there now.
	Exceeded Reason = iota + 1

	// TooLarge: more permits than the rule ever admits at once.
	TooLarge

	// TurnTooLate: the permits come after the caller's deadline or MaxWait.
	TurnTooLate

	// QueueFull: no more callers may wait for the key.
	QueueFull
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case Exceeded:
		return "limit exceeded"
	case TooLarge:
		return "more than the limit at once"
	case TurnTooLate:
		return "turn too late"
	case QueueFull:
		return "queue full"
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// LimitedError is the refusal of a caller. It matches ErrLimited, and
// ErrTooLarge if that is the Reason.
type LimitedError struct {
	Name     string   // Config.Name
	Reason   Reason   // why
	Permits  int      // how many the caller wanted
	Decision Decision // which rule, and when to come again
}

// Error returns the refusal in words.
func (e *LimitedError) Error() string {
	d := &e.Decision
	rule := ""
	if d.Rule != "" {
		rule = " of " + d.Rule
	}
	s := fmt.Sprintf("ratelimit: %s%s, %d per %v%s", prefix(e.Name), e.Reason, d.Limit, d.Window, rule)
	if d.RetryAfter > 0 && d.RetryAfter != Never {
		s += fmt.Sprintf(", retry in %v", d.RetryAfter)
	}
	return s
}

// Is reports whether target is ErrLimited, or ErrTooLarge and that is why.
func (e *LimitedError) Is(target error) bool {
	return target == ErrLimited || target == ErrTooLarge && e.Reason == TooLarge
}

// RetryAfter returns when to come again: Never if that is useless.
func (e *LimitedError) RetryAfter() time.Duration { return e.Decision.RetryAfter }

// prefix is the name as it begins an error text.
func prefix(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
