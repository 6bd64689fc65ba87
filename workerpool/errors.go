package workerpool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sentinels for errors.Is. The first two say that a task was not accepted: its
// function will never run. The others are the outcome of a task that was.
var (
	// ErrFull matches every *FullError.
	ErrFull = errors.New("workerpool: full")

	// ErrClosed is returned for tasks that come after Close or Drain. A task
	// that was dropped by Close or by the deadline of Drain matches it too.
	ErrClosed = errors.New("workerpool: closed")

	// ErrDropped matches every *DroppedError.
	ErrDropped = errors.New("workerpool: dropped")

	// ErrCanceled is the outcome of a task whose Future was cancelled. It
	// matches context.Canceled.
	ErrCanceled = fmt.Errorf("workerpool: task: %w", context.Canceled)

	// ErrGoexit is the outcome of a task whose function ended its goroutine by
	// runtime.Goexit, as testing.T.FailNow does.
	ErrGoexit = errors.New("workerpool: task called runtime.Goexit")
)

// FullError is the refusal of a task for want of room. It matches ErrFull.
type FullError struct {
	Name   string // Config.Name
	Queued int    // tasks that waited
	Queue  int    // how many may, as in Config; 0 with NoQueue

	// Expected is the estimated time until the tasks that waited have
	// started, from the run times that were sampled. Zero if there are none.
	Expected time.Duration
}

// Error returns the refusal in words.
func (e *FullError) Error() string {
	s := fmt.Sprintf("workerpool: %sfull, %d of %d queued", prefix(e.Name), e.Queued, e.Queue)
	if e.Expected > 0 {
		s += fmt.Sprintf(", expected to start in %v", e.Expected.Round(time.Microsecond))
	}
	return s
}

// Is reports whether target is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// RetryAfter returns Expected: when it makes sense to come again.
func (e *FullError) RetryAfter() time.Duration { return e.Expected }

// Reason says why a task was dropped.
type Reason int

// The reasons for which an accepted task never runs.
const (
	// ContextDone: its ctx was done before its turn. The outcome of the task
	// is the error of the ctx.
	ContextDone Reason = iota

	// Canceled: its Future was cancelled, or the group that it belongs to had
	// an error. The outcome is ErrCanceled, or the error of the group's ctx.
	Canceled

	// TooOld: it has waited for Config.MaxQueueAge.
	TooOld

	// Overflowed: it was the oldest when the queue was full, see DropOldest.
	Overflowed

	// Closed: the pool was closed, or a Drain has reached its deadline. The
	// outcome matches ErrClosed too.
	Closed

	reasons = iota
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case ContextDone:
		return "context done"
	case Canceled:
		return "cancelled"
	case TooOld:
		return "too old"
	case Overflowed:
		return "overflow"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("Reason(%d)", int(r))
}

// DroppedError is the outcome of a task that was accepted and dropped by the
// pool before it has run. It matches ErrDropped, and ErrClosed if Reason is
// Closed.
type DroppedError struct {
	Name   string // Config.Name
	Reason Reason // TooOld, Overflowed or Closed
}

// Error returns the outcome in words.
func (e *DroppedError) Error() string {
	return fmt.Sprintf("workerpool: %sdropped, %s", prefix(e.Name), e.Reason)
}

// Is reports whether target is ErrDropped, or ErrClosed if it was the reason.
func (e *DroppedError) Is(target error) bool {
	return target == ErrDropped || target == ErrClosed && e.Reason == Closed
}

// PanicError is the outcome of a task whose function panicked. If it did so
// with an error, errors.Is and errors.As find that error.
type PanicError struct {
	Name  string // Config.Name
	Value any    // what the function panicked with
	Stack []byte // of the goroutine at that moment, as text
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("workerpool: %stask panicked: %v\n\n%s", prefix(e.Name), e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// DrainError says what a Drain has left at its deadline. It matches the error
// of its ctx and the cause.
type DrainError struct {
	Name    string // Config.Name
	Dropped int    // tasks that have not run and never will
	Running int    // tasks that still ran; their contexts have been cancelled
	Err     error  // of the ctx
}

// Error returns the account in words.
func (e *DrainError) Error() string {
	return fmt.Sprintf("workerpool: %sdrain dropped %d and left %d running: %v", prefix(e.Name), e.Dropped, e.Running, e.Err)
}

// Unwrap returns Err.
func (e *DrainError) Unwrap() error { return e.Err }

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
