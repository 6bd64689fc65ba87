package retry

import "time"

// Hooks are functions that a [Retrier] calls on events, in the goroutine of the
// call and in its order. A nil one is not called. A hook that panics ends the
// call as if fn had panicked.
type Hooks struct {
	// OnRetry is called when an attempt has failed and another one will
	// follow, before the delay.
	OnRetry func(RetryEvent)
}

// RetryEvent describes a retry.
type RetryEvent struct {
	// Name is Config.Name.
	Name string
	// Attempt is the number of the attempt that failed, 1 for the first.
	Attempt int
	// Err is its error.
	Err error
	// Delay is how long the call now waits.
	Delay time.Duration
}
