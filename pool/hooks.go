package pool

import "time"

// Hooks are called outside all locks, on the goroutine that caused the event.
type Hooks struct {
	// OnCreated is called after Create has returned, with a resource or not.
	OnCreated func(Created)

	// OnDestroyed is called after Destroy has returned.
	OnDestroyed func(Destroyed)

	// OnAcquired is called before a caller gets its resource.
	OnAcquired func(Acquired)

	// OnReleased is called after a resource was given back. It makes each
	// acquire and each release read the clock.
	OnReleased func(Released)

	// OnRefused is called before a caller is told that it gets no resource. A
	// caller whose own ctx was cancelled was not refused.
	OnRefused func(Refused)

	// OnLeak is called once for a resource that is held for Config.LeakAfter,
	// and for one that was reclaimed.
	OnLeak func(Leak)
}

// Created tells that an attempt to create a resource has ended.
type Created struct {
	Name string        // Config.Name
	ID   uint64        // of the resource; the first one of a pool is 1
	Took time.Duration // how long Create took
	Err  error         // what it returned
}

// Destroyed tells that a resource is gone.
type Destroyed struct {
	Name   string        // Config.Name
	ID     uint64        // of the resource
	Reason Reason        // why
	Age    time.Duration // since it was created
	Err    error         // what Destroy returned
}

// Refused tells that a caller gets no resource.
type Refused struct {
	Name string // Config.Name
	Err  error  // what the caller is told
}

// Acquired tells that a caller gets a resource.
type Acquired struct {
	Name   string        // Config.Name
	ID     uint64        // of the resource
	Waited time.Duration // 0 if the caller did not have to wait
}

// Released tells that a caller has given a resource back.
type Released struct {
	Name string        // Config.Name
	ID   uint64        // of the resource
	Held time.Duration // how long the caller had it
}

// Leak tells of a resource that somebody seems to have forgotten.
type Leak struct {
	Name      string // Config.Name
	Holder    Holder // who has it, and since when
	Reclaimed bool   // its Lease was dropped, and the pool has taken it back
}

// Reason says why a resource was destroyed.
type Reason int

// The reasons in Destroyed and Stats.
const (
	// Idle: it was idle for Config.IdleTimeout.
	Idle Reason = iota
	// Expired: it was as old as Config.MaxLifetime allows.
	Expired
	// Broken: its Check or Reset failed, With got an error from it for which
	// Config.IsBroken says so, or its function panicked.
	Broken
	// Discarded: its holder called Lease.Discard.
	Discarded
	// Evicted: the function given to Evict chose it.
	Evicted
	// Outdated: it was made before the last Reset.
	Outdated
	// Surplus: Resize has left no room for it.
	Surplus
	// Reclaimed: its Lease was dropped without being released.
	Reclaimed
	// Closed: the pool was closed.
	Closed

	reasons = iota
)

// String returns the reason in one word.
func (r Reason) String() string {
	if r < 0 || r >= reasons {
		return "unknown"
	}
	return [reasons]string{
		"idle", "expired", "broken", "discarded", "evicted", "outdated", "surplus", "reclaimed", "closed",
	}[r]
}
