package workerpool

import "time"

// Hooks are called outside all locks, on the goroutine that caused the event.
// Each may be nil. A hook that panics does so on that goroutine, which may be
// a worker: the process ends. Drain and Close wait for hooks, so a hook must not
// call them.
type Hooks struct {
	// OnPanic takes the panics of tasks that nobody waits for, those of Go,
	// TryGo and GoKey. Without it such a panic ends the process, as in any
	// goroutine. The others are the outcome of a Future, Map, Stream or Group.
	OnPanic func(*PanicError)

	// OnDropped is called after a task was accepted and will never run.
	OnDropped func(Dropped)

	// OnInitFailed is called after a worker of a Stateful could not make its state.
	OnInitFailed func(InitFailed)
}

// Dropped tells that an accepted task will never run.
type Dropped struct {
	Name   string // Config.Name
	Reason Reason // why
	Err    error  // the outcome of the task
}

// InitFailed tells that a worker could not make its state. It tries again.
type InitFailed struct {
	Name    string        // Config.Name
	Err     error         // of the init function; a *PanicError if it panicked
	Attempt int           // 1 for the first
	RetryIn time.Duration // how long the worker waits before it tries again
}
