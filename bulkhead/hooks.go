package bulkhead

import "time"

// Hooks are called outside all locks, on the goroutine that caused the event.
// A hook that panics does so in that goroutine; no slot is lost by it.
type Hooks struct {
	// OnAcquired is called after a caller got its slots and before it returns
	// from Acquire, or fn runs.
	OnAcquired func(Acquired)

	// OnReleased is called after slots were given back. It makes each call
	// read the clock twice.
	OnReleased func(Released)

	// OnRefused is called before a caller is told that it does not get its
	// slots. A caller whose own ctx is done was not refused.
	OnRefused func(Refused)

	// OnLimitChange is called after the limit has changed, by Resize or by Adaptive.
	// The events of one Bulkhead come one at a time and in order.
	OnLimitChange func(LimitChange)
}

// Acquired tells that a caller got its slots.
type Acquired struct {
	Name   string        // Config.Name
	Weight int           // how many slots
	Waited time.Duration // how long it waited for them; 0 if it did not
}

// Released tells that a caller gave its slots back.
type Released struct {
	Name   string        // Config.Name
	Weight int           // how many slots
	Held   time.Duration // how long it had them
}

// Refused tells that a caller did not get its slots.
type Refused struct {
	Name   string // Config.Name
	Weight int    // how many slots
	Err    error  // what it was told; ErrFull for TryAcquire
}

// LimitChange tells that the limit has changed.
type LimitChange struct {
	Name     string // Config.Name
	From, To int    // the limit before and after
}

func (b *Bulkhead) tellRefused(n int, err error) {
	if hook := b.cfg.Hooks.OnRefused; hook != nil {
		hook(Refused{Name: b.cfg.Name, Weight: n, Err: err})
	}
}

// tellLimit delivers the limit changes that are due, unless another goroutine
// is at it, which then delivers these as well. So there is one at a time, and
// they come in order, although no lock is held.
func (b *Bulkhead) tellLimit() {
	hook := b.cfg.Hooks.OnLimitChange
	if hook == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.telling {
		return
	}
	b.telling = true
	defer func() { b.telling = false }() // also when a hook panics
	for len(b.changes) > 0 {
		change := b.changes[0]
		b.changes = b.changes[1:]
		func() {
			b.mu.Unlock()
			defer b.mu.Lock()
			hook(change)
		}()
	}
	b.changes = nil
}
