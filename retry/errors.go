package retry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The reasons for giving up, besides the error of the context. [Error] matches
// one of them by errors.Is.
var (
	// ErrExhausted means that Config.MaxAttempts attempts have failed.
	ErrExhausted = errors.New("retry: attempts exhausted")
	// ErrElapsed means that the next attempt would begin after Config.MaxElapsed.
	ErrElapsed = errors.New("retry: time elapsed")
	// ErrBudget means that the Budget allowed no retry.
	ErrBudget = errors.New("retry: budget spent")
	// ErrRetryAfter means that the error asked for a delay above
	// Config.MaxRetryAfter.
	ErrRetryAfter = errors.New("retry: asked to wait too long")
)

var (
	// ErrAttemptTimeout is the context's cause in an attempt that passed
	// Config.AttemptTimeout.
	ErrAttemptTimeout = errors.New("retry: attempt timed out")
	// ErrUnaccepted is the error of an attempt whose value [DoUntil] refused.
	ErrUnaccepted = errors.New("retry: result not accepted")

	// errNotDone stands for the error of an attempt in the loop form that
	// ended without Done.
	errNotDone = errors.New("retry: attempt ended without Done")
)

// An Error is returned when a call wanted another attempt and could not make
// it. It matches, by errors.Is and errors.As, the last attempt's error, Reason,
// and the earlier attempts' errors, searched in this order.
type Error struct {
	// Name is Config.Name.
	Name string
	// Attempts is the number of attempts made.
	Attempts int
	// Waited is the sum of the delays between them.
	Waited time.Duration
	// Reason says why there was no other attempt: ErrExhausted, ErrElapsed,
	// ErrBudget, ErrRetryAfter or the error of the caller's context.
	Reason error

	errs []error // the latest attempts' errors, oldest first
}

// Error returns the reason, the number of attempts and the last one's error.
func (e *Error) Error() string {
	name, plural := "", "s"
	if e.Name != "" {
		name = e.Name + ": "
	}
	if e.Attempts == 1 {
		plural = ""
	}
	reason := strings.TrimPrefix(fmt.Sprint(e.Reason), "retry: ")
	return fmt.Sprintf("retry: %s%s after %d attempt%s, last error: %v", name, reason, e.Attempts, plural, e.Last())
}

// Last returns the error of the last attempt as fn returned it. It is nil only
// in an Error that did not come from this package.
func (e *Error) Last() error {
	if len(e.errs) == 0 {
		return nil
	}
	return e.errs[len(e.errs)-1]
}

// Errors returns the errors of the attempts, oldest first: all of them up to
// eight attempts, after that the latest eight.
func (e *Error) Errors() []error {
	return slices.Clone(e.errs)
}

// Unwrap returns the last attempt's error, Reason, and the earlier errors from
// the newest to the oldest.
func (e *Error) Unwrap() []error {
	all := make([]error, 0, len(e.errs)+1)
	for _, err := range slices.Backward(e.errs) {
		all = append(all, err)
	}
	if e.Reason != nil {
		all = slices.Insert(all, min(1, len(all)), e.Reason)
	}
	return all
}

// Permanent marks err as not to be retried: a call whose attempt fails with an
// error that has the mark anywhere in its tree returns that error at once,
// exactly as fn returned it. The mark changes neither the text nor what
// errors.Is and errors.As find, and it holds for outer retries as well.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// ctxErr is the error of a done context. It matches both ctx.Err() and, where
// the caller gave one, the cause.
func ctxErr(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
