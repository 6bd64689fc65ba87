package emitter

import (
	"fmt"
	"sync"
)

// core is the part of a topic that is the same for every type.
type core struct {
	cfg    *Config  // nil means the zero Config; not written after construction
	parent *Emitter // nil for a Topic of its own; not written after construction
	name   string   // of the event, if there is a parent; not written after construction
	retire func()   // called when the last listener is gone; not written after construction

	failures failures // of a Topic of its own

	// mu guards all below, and the writing of the list of listeners. It is
	// never held over a function of the user or a wait. A mailbox's lock may be
	// taken under it, not the other way around.
	mu      sync.Mutex
	live    int  // listeners in the list
	closed  bool // nobody can subscribe any more
	retired bool // forgotten by its parent, for good
	pinned  bool // not to be retired
	limit   int  // from SetMaxListeners, plus one; zero if never called
	warned  int  // the limit at which the last warning was given, 0 before the first
	changes []change
	telling bool // a goroutine is delivering changes

	// busy has the subscriptions for which Close has to wait: those that are
	// tracked or asynchronous, from the start until they have ended and their
	// last call has returned.
	busy map[*Sub]struct{}

	origin string // marks what Export sent, "" before the first
}

// change is a Change not yet told.
type change struct {
	Change
	added bool
}

// config is the Config that holds for c.
func (c *core) config() *Config {
	switch {
	case c.parent != nil:
		return &c.parent.cfg
	case c.cfg != nil:
		return c.cfg
	}
	return &zero
}

// topicName is the name that errors and logs give to c.
func (c *core) topicName() string {
	if c.parent != nil {
		return c.name
	}
	return c.config().Name
}

// tell tells a failure, and returns what went wrong while it was told.
func (c *core) tell(who func() string, err error, returned bool) error {
	x := failure{err: err, topic: c.topicName(), who: who, returned: returned}
	if c.parent != nil {
		return c.parent.failed(x)
	}
	return c.failures.tell(c.config(), x, nil)
}

// addedLocked takes note of a listener that has come, and reports whether a
// warning is due because there are more than limit now.
func (c *core) addedLocked(s *Sub) (limit int, warn bool) {
	c.live++
	s.listed = true
	if s.track {
		if c.busy == nil {
			c.busy = make(map[*Sub]struct{})
		}
		c.busy[s] = struct{}{}
	}
	c.noteLocked(s, true)
	limit = c.limitLocked()
	if limit == 0 || c.live <= limit || c.warned >= limit {
		return 0, false
	}
	c.warned = limit
	return limit, true
}

// limitLocked is how many listeners there may be without a warning, 0 for any
// number.
func (c *core) limitLocked() int {
	switch {
	case c.limit > 0:
		return c.limit - 1
	case c.parent != nil:
		return c.parent.maxListeners()
	}
	return c.config().MaxListeners
}

// warnMany logs that there are more listeners than limit.
func (c *core) warnMany(limit int) {
	c.config().logger().Warn("emitter: possible leak: more listeners than expected",
		"topic", c.topicName(), "listeners", limit+1, "limit", limit, "subscribed_at", callSite())
}

// setLimit implements SetMaxListeners.
func (c *core) setLimit(n int) {
	checkLimit(n)
	c.mu.Lock()
	c.limit = n + 1
	c.mu.Unlock()
}

func checkLimit(n int) {
	if n < 0 {
		panic(fmt.Sprintf("emitter: SetMaxListeners of %d, want ≥ 0", n))
	}
}

// noteLocked appends a change if a hook wants it.
func (c *core) noteLocked(s *Sub, added bool) {
	hooks := &c.config().Hooks
	if added && hooks.OnSubscribe == nil || !added && hooks.OnUnsubscribe == nil {
		return
	}
	c.changes = append(c.changes, change{Change{c.topicName(), s.name(), c.live}, added})
}

// tellChanges calls the hooks for the changes that were noted, one at a time
// and in order: if a goroutine (maybe this one, further up) is at it already,
// that one does.
func (c *core) tellChanges() {
	hooks := &c.config().Hooks
	if hooks.OnSubscribe == nil && hooks.OnUnsubscribe == nil {
		return
	}
	c.mu.Lock()
	if c.telling {
		c.mu.Unlock()
		return
	}
	c.telling = true
	defer func() { // also if a hook panics
		c.telling = false
		c.mu.Unlock()
	}()
	for len(c.changes) > 0 {
		next := c.changes[0]
		c.changes = c.changes[1:]
		c.mu.Unlock()
		hook := hooks.OnUnsubscribe
		if next.added {
			hook = hooks.OnSubscribe
		}
		func() {
			defer c.mu.Lock()
			hook(next.Change)
		}()
	}
	c.changes = nil
}
