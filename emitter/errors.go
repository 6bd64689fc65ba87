package emitter

import (
	"context"
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	// ErrStop is what a listener returns to veto: the listeners after it do not
	// get the event. Returned as it is, it is no failure. Wrapped in an error of
	// the listener's own it ends the emit too, and EmitContext returns that
	// error. From an asynchronous listener it means nothing.
	ErrStop = errors.New("emitter: stop")

	// ErrClosed is returned after Close and Drain of a Topic or an Emitter, and
	// to those who then wait for an event.
	ErrClosed = errors.New("emitter: closed")

	// ErrRemoved is returned by Wait when its listener was removed by Clear or
	// RemoveAllListeners, so that it can hear no event any more.
	ErrRemoved = errors.New("emitter: listener removed while waiting")

	// ErrFull matches every *FullError.
	ErrFull = errors.New("emitter: queue full")

	// ErrType matches every *TypeError.
	ErrType = errors.New("emitter: wrong type")

	// ErrUntracked is returned by Close and Drain of a synchronous subscription
	// whose calls are not counted (see SubConfig.Track). The subscription has
	// ended, but a call that had begun may still run.
	ErrUntracked = errors.New("emitter: calls in flight are not tracked")

	// ErrInside is returned by Drain when it is called from inside a listener,
	// which it would wait for.
	ErrInside = errors.New("emitter: drain inside a listener would wait for itself")

	// errRetired tells the Emitter that it has to look its topic up again.
	errRetired = errors.New("emitter: retired")
)

// PanicError is the failure of a listener that panicked.
type PanicError struct {
	Topic    string // name of the topic; empty if it has none
	Listener string // SubConfig.Name, or the function and where it stands
	Value    any    // what it panicked with
	Stack    []byte // as debug.Stack gives it, from inside the panic
}

// Error returns the panic in words, without the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("emitter: %slistener %s panicked: %v", prefix(e.Topic), e.Listener, e.Value)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// FullError tells that an asynchronous listener did not get an event, because
// its queue was full and its policy is Fail, or because it would have waited
// for itself. It matches ErrFull.
type FullError struct {
	Topic    string // name of the topic; empty if it has none
	Listener string // as in PanicError
	Queue    int    // how many events wait, as many as may
	Self     bool   // the emit came from the listener itself, which has the policy Block
}

// Error returns the refusal in words.
func (e *FullError) Error() string {
	why := ""
	if e.Self {
		why = ", and the listener itself emits"
	}
	return fmt.Sprintf("emitter: %squeue full: listener %s, %d waiting%s", prefix(e.Topic), e.Listener, e.Queue, why)
}

// Is reports whether target is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// TypeError tells that a name which Named has bound to one type was used with
// another. It matches ErrType.
type TypeError struct {
	Name string // of the event
	Want string // type to which the name is bound
	Got  string // type with which it was used
}

// Error returns both types in words.
func (e *TypeError) Error() string {
	return fmt.Sprintf("emitter: %swrong type %s, want %s", prefix(e.Name), e.Got, e.Want)
}

// Is reports whether target is ErrType.
func (e *TypeError) Is(target error) bool { return target == ErrType }

// prefix is a name as it begins an error text.
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

// join is errors.Join that leaves a lone error as it is.
func join(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
