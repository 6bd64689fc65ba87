package breaker

import "time"

// Hooks are called outside all locks, one at a time for each breaker, in the
// order of the transitions, by the goroutine of a caller: usually of the one
// that caused the transition, or of one that is delivering an earlier one just
// then. They may call the breaker. A hook that panics does so in that caller;
// the breaker is unharmed and the hooks that are still due are called.
type Hooks struct {
	// OnStateChange is called exactly once for each transition.
	OnStateChange func(StateChange)
}

// StateChange is one transition.
type StateChange struct {
	Name string // of the breaker
	From State  // before
	To   State  // after; never the same
	Rule Rule   // why

	// OpenFor is how long the breaker will stay open, if To is Open and the
	// mode is not ForceOpen.
	OpenFor time.Duration
	// Err is the error of the call that decided, or nil if no call or no
	// error did.
	Err error
	// Shadow says that the breaker only watches and refuses nothing.
	Shadow bool
}

// deliver calls the hooks that are due, unless another goroutine does.
func (b *Breaker) deliver() {
	for b.due.Load() {
		b.mu.Lock()
		if b.delivering || len(b.queue) == 0 {
			b.mu.Unlock()
			return
		}
		change := b.queue[0]
		b.queue = b.queue[1:]
		b.delivering = true
		b.mu.Unlock()
		b.call(change)
	}
}

// call runs one hook. If that panics or exits the goroutine, the rest is
// delivered all the same, while the stack unwinds.
func (b *Breaker) call(change queuedChange) {
	returned := false
	defer func() {
		b.mu.Lock()
		b.delivering = false
		if len(b.queue) == 0 {
			b.queue = nil
			b.due.Store(false)
		}
		b.mu.Unlock()
		if !returned {
			b.deliver()
		}
	}()
	change.hook(change.StateChange)
	returned = true
}

// queuedChange is a transition with the hook of the moment it happened.
type queuedChange struct {
	StateChange
	hook func(StateChange)
}
