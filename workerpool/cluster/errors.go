package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Sentinels for errors.Is.
var (
	// ErrUnsupported is returned by New and NewJobs on systems that cannot
	// pass sockets to processes: all but Unix. It matches errors.ErrUnsupported.
	ErrUnsupported = fmt.Errorf("cluster: not on this system: %w", errors.ErrUnsupported)

	// ErrClosed is returned for what comes after Close or Drain, and by Run
	// if Close ended it.
	ErrClosed = errors.New("cluster: closed")

	// ErrNotRunning is returned by methods that need a master that runs, when
	// it has not begun, is stopping, or is in another process.
	ErrNotRunning = errors.New("cluster: not running")

	// ErrBusy is returned by Reload while another reload is under way, and by
	// Upgrade during another upgrade, the one that made this master included.
	ErrBusy = errors.New("cluster: busy with another reload or upgrade")

	// ErrRole is returned where a process that was started as a worker, or as
	// a new master, is about to start processes of its own before it has taken
	// that role. Without it such a program would start copies of itself for
	// ever.
	ErrRole = errors.New("cluster: role not taken")

	// ErrGone is returned by Send when the other process is gone.
	ErrGone = errors.New("cluster: the other process is gone")

	// ErrTooLarge matches the error for a message, an input or an output that
	// is larger than MaxMessage.
	ErrTooLarge = errors.New("cluster: too large")

	// ErrFull is returned by calls of Jobs when MaxWaiting others wait.
	ErrFull = errors.New("cluster: too many calls wait")

	// ErrCrashLoop matches every *CrashLoopError.
	ErrCrashLoop = errors.New("cluster: crash loop")

	// ErrForced matches every *StopError.
	ErrForced = errors.New("cluster: workers had to be forced to stop")

	// ErrPanic matches every *PanicError.
	ErrPanic = errors.New("cluster: panic in a worker process")

	// ErrLost matches every *LostError.
	ErrLost = errors.New("cluster: worker process lost")

	errFrame = errors.New("cluster: bad frame")
)

// The causes of the end of a worker's context, for context.Cause.
var (
	// ErrStopping: the master asks this worker to end, as the cluster stops or
	// another worker takes its place.
	ErrStopping = errors.New("cluster: asked to stop")

	// ErrMasterGone: the master has died, so nobody would restart this worker
	// or tell it to stop. It must end.
	ErrMasterGone = errors.New("cluster: the master is gone")
)

// CrashLoopError tells which slot was given up. It matches ErrCrashLoop.
type CrashLoopError struct {
	Name     string // Config.Name
	Slot     int    // the last slot given up
	Failures int    // how many there were within the window
	Last     string // how the last one ended
}

// Error returns the crash loop in words.
func (e *CrashLoopError) Error() string {
	return fmt.Sprintf("cluster: %scrash loop, slot %d failed %d times, the last worker: %s", prefix(e.Name), e.Slot, e.Failures, e.Last)
}

// Is reports whether target is ErrCrashLoop.
func (e *CrashLoopError) Is(target error) bool { return target == ErrCrashLoop }

// Forced is a process that did not end within Config.StopTimeout.
type Forced struct {
	Slot int    // its slot
	Pid  int    // its process
	How  string // how it ended in the end, or "abandoned" if it did not
}

// StopError lists the processes that did not end in time when the cluster
// stopped and were sent SIGTERM or SIGKILL. All of them are gone and reaped but
// those whose How is "abandoned". It matches ErrForced, and the error of the
// context whose end made Drain force them.
type StopError struct {
	Name   string   // Config.Name
	Forced []Forced // by the time of their end
	cause  error
}

// Error names the processes.
func (e *StopError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster: %s%d workers had to be forced to stop", prefix(e.Name), len(e.Forced))
	separator := ":"
	for _, f := range e.Forced {
		fmt.Fprintf(&b, "%s slot %d pid %d (%s)", separator, f.Slot, f.Pid, f.How)
		separator = ","
	}
	if e.cause != nil {
		fmt.Fprintf(&b, ": %v", e.cause)
	}
	return b.String()
}

// Is reports whether target is ErrForced.
func (e *StopError) Is(target error) bool { return target == ErrForced }

// Unwrap returns the error of the context that ended, or nil.
func (e *StopError) Unwrap() error { return e.cause }

// ReloadError tells where a reload stopped: the new worker of this slot did not
// become ready, and the old one still serves.
type ReloadError struct {
	Name string // Config.Name
	Slot int    // the slot
	Last string // how the new worker ended
}

// Error returns the failure in words.
func (e *ReloadError) Error() string {
	return fmt.Sprintf("cluster: %sreload stopped at slot %d, whose new worker did not become ready: %s", prefix(e.Name), e.Slot, e.Last)
}

// FuncError is the error that a registered function returned, as text: values
// do not cross from one process to another.
type FuncError struct {
	Func string // the name of the function
	Text string // of the error
}

// Error returns the text alone.
func (e *FuncError) Error() string { return e.Text }

// PanicError is a panic, or a runtime.Goexit, in a registered function. Its
// worker process is replaced. It matches ErrPanic.
type PanicError struct {
	Func string // the name of the function
	Text string // the value of the panic, and the stack of the worker
}

// Error returns the panic in words.
func (e *PanicError) Error() string { return fmt.Sprintf("cluster: panic in %s: %s", e.Func, e.Text) }

// Is reports whether target is ErrPanic.
func (e *PanicError) Is(target error) bool { return target == ErrPanic }

// LostError tells that the process of a call ended before it had an answer: it
// called os.Exit, crashed, or was killed by somebody. It matches ErrLost.
type LostError struct {
	Func   string // the name of the function
	Pid    int    // the process
	Status string // how it ended
}

// Error returns the loss in words.
func (e *LostError) Error() string {
	return fmt.Sprintf("cluster: the worker process %d of %s is lost: %s", e.Pid, e.Func, e.Status)
}

// Is reports whether target is ErrLost.
func (e *LostError) Is(target error) bool { return target == ErrLost }

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
