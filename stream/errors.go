package stream

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sentinels for errors.Is.
var (
	// ErrTooLong matches every *TooLongError.
	ErrTooLong = errors.New("stream: too long")

	// ErrTooLarge is returned by Bytes and String when the limit is passed.
	ErrTooLarge = errors.New("stream: too large")

	// ErrTimeout matches every *TimeoutError.
	ErrTimeout = errors.New("stream: timeout")

	// ErrBareQuote is in the *CSVError for a quote inside an unquoted field.
	ErrBareQuote = errors.New("stream: quote in an unquoted field")

	// ErrQuote is in the *CSVError for a quoted field that is not closed, or
	// that goes on behind its closing quote.
	ErrQuote = errors.New("stream: quoted field not closed, or text behind it")

	// ErrFieldCount is in the *CSVError for a record of the wrong length.
	ErrFieldCount = errors.New("stream: wrong number of fields")

	// errGone is what a source on a goroutine of its own gets from emit when
	// nobody takes its items any more. It never leaves the package.
	errGone = errors.New("stream: consumer has ended")

	// errDied stands for a panic or Goexit on another goroutine until it is
	// raised again on the runner's. It never leaves the package.
	errDied = errors.New("stream: goroutine ended early")
)

// TooLongError says that a line, piece or record is longer than allowed. It
// matches ErrTooLong.
type TooLongError struct {
	Limit  int   // the most bytes allowed
	Offset int64 // where in the stream it begins, in bytes
	Index  int64 // how many came before it, skipped ones included
}

// Error returns the reason with its place.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("stream: piece %d at byte %d is longer than %d bytes", e.Index+1, e.Offset, e.Limit)
}

// Is reports whether target is ErrTooLong.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }

// TimeoutError says that a source gave no item in time. It matches ErrTimeout.
type TimeoutError struct {
	Idle  time.Duration // how long it was waited for
	Items int64         // how many had come before
}

// Error returns the reason.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("stream: timeout, no item for %v after %d items", e.Idle, e.Items)
}

// Is reports whether target is ErrTimeout.
func (e *TimeoutError) Is(target error) bool { return target == ErrTimeout }

// Timeout returns true, as net.Error has it.
func (e *TimeoutError) Timeout() bool { return true }

// CSVError says what is wrong with a record and where it begins. It wraps
// ErrBareQuote, ErrQuote or ErrFieldCount.
type CSVError struct {
	Record int64 // counted from 1, empty lines left out
	Line   int64 // on which the record begins, counted from 1
	Err    error // what is wrong
}

// Error returns what is wrong and where.
func (e *CSVError) Error() string {
	return fmt.Sprintf("stream: record %d on line %d: %v", e.Record, e.Line, e.Err)
}

// Unwrap returns Err.
func (e *CSVError) Unwrap() error { return e.Err }

// PanicError is the value of the panic with which a run ends after a panic on
// a goroutine that it had started. A panic on the runner's own goroutine
// passes through as it is.
type PanicError struct {
	Value any    // what was panicked with
	Stack []byte // of the goroutine that did
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("stream: panic on a goroutine of a stage: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// atLeast returns nil, or the error of an argument that is too small.
func atLeast(where, name string, value, least int) error {
	if value >= least {
		return nil
	}
	return fmt.Errorf("stream: %s: %s is %d, want ≥ %d", where, name, value, least)
}

// notNegative is atLeast for durations.
func notNegative(where, name string, d time.Duration) error {
	if d >= 0 {
		return nil
	}
	return fmt.Errorf("stream: %s: %s is %v, want ≥ 0", where, name, d)
}

// notPositive returns the error of a duration that must be longer.
func notPositive(where, name string, d time.Duration) error {
	return fmt.Errorf("stream: %s: %s is %v, want > 0", where, name, d)
}

// absent returns the error of a function that is nil.
func absent(where, name string) error {
	return fmt.Errorf("stream: %s: %s is nil", where, name)
}
