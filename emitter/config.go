package emitter

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	defaultMaxListeners = 10 // of an Emitter
	defaultSlowAfter    = 5 * time.Second
	slowAgain           = time.Minute // between two reports of the same slow listener
	defaultQueue        = 1024
	defaultEvents       = 64 // queue of Events
)

// Config describes a Topic or an Emitter. The zero Config is usable.
type Config struct {
	// Name appears in errors, changes, logs and Stats. Empty leaves it out. In
	// an Emitter each topic has the name of its event instead.
	Name string

	// MaxListeners is how many listeners a topic (or each name of an Emitter)
	// may have before a warning is logged, as that many are likely a leak: it
	// names the place of the subscription that crossed the line. Zero means 10
	// for an Emitter, and no limit for a Topic. Nothing is ever refused.
	MaxListeners int

	// SlowAfter is how long the queue of an asynchronous listener may be full
	// before a warning is logged, with the place where it subscribed, at most
	// once a minute. Zero means 5 seconds. The policy Latest is exempt, since
	// it expects to miss events.
	SlowAfter time.Duration

	// Track makes every subscription tracked, as SubConfig.Track does for one.
	Track bool

	// Logger takes the warnings, and the failures that nobody else takes. Nil
	// means slog.Default().
	Logger *slog.Logger

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// check reports the first field that makes no sense.
func (c Config) check() error {
	switch {
	case c.MaxListeners < 0:
		return fmt.Errorf("emitter: Config.MaxListeners is %d, want ≥ 0", c.MaxListeners)
	case c.SlowAfter < 0:
		return fmt.Errorf("emitter: Config.SlowAfter is %v, want ≥ 0", c.SlowAfter)
	}
	return nil
}

// SubConfig describes a subscription. The zero SubConfig is a synchronous
// listener behind all those that are there.
type SubConfig struct {
	// Name appears in errors, changes and logs in place of the name of the
	// function.
	Name string

	// Priority orders the listeners: higher ones are called first, equal ones
	// in the order in which they subscribed. It may be negative.
	Priority int

	// Prepend puts the listener before those of the same priority.
	Prepend bool

	// Once ends the subscription with its first event. The listener is called
	// at most once, also if it panics, emits the same event, or several
	// goroutines emit at once.
	Once bool

	// Track counts the calls in flight, so that Close and Drain can wait for
	// them. It costs two atomic operations a call. Asynchronous listeners are
	// tracked anyway.
	Track bool

	// Async calls the listener in a goroutine of its own, one event at a time
	// and in order. The goroutine exists only while there are events.
	Async bool

	// Queue is how many events may wait for an asynchronous listener, the one
	// in hand not counted. Zero means 1024. It must be zero or 1 with Latest,
	// zero with Unbounded, and zero without Async.
	Queue int

	// Overflow says what happens to an event that finds the queue full. The
	// zero value is Block. It must be zero without Async.
	Overflow Overflow
}

// withDefaults fills in the length of the queue.
func (c SubConfig) withDefaults(queue int) SubConfig {
	switch {
	case !c.Async || c.Queue != 0:
	case c.Overflow == Latest:
		c.Queue = 1
	case c.Overflow != Unbounded:
		c.Queue = queue
	}
	return c
}

// check reports the first field that makes no sense.
func (c SubConfig) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("emitter: SubConfig.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Queue < 0:
		return bad("Queue", c.Queue, "≥ 0")
	case c.Overflow < Block || c.Overflow > Unbounded:
		return bad("Overflow", c.Overflow, "one of the constants")
	case !c.Async && c.Queue != 0:
		return bad("Queue", c.Queue, "0 without Async")
	case !c.Async && c.Overflow != Block:
		return bad("Overflow", c.Overflow, "zero without Async")
	case c.Overflow == Latest && c.Queue > 1:
		return bad("Queue", c.Queue, "0 or 1 with Latest")
	case c.Overflow == Unbounded && c.Queue != 0:
		return bad("Queue", c.Queue, "0 with Unbounded")
	}
	return nil
}

// Overflow says what happens to an event that finds the queue of an
// asynchronous listener full.
type Overflow int

// The policies. Whatever is dropped is counted in SubStats.Dropped.
const (
	// Block makes the emit wait until there is room, the subscription ends, or
	// its ctx is done. Nobody is passed in the wait. An emit from the listener
	// itself, which would wait for itself, is a *FullError instead.
	Block Overflow = iota

	// DropNewest drops the event that found no room.
	DropNewest

	// DropOldest drops the event that has waited longest.
	DropOldest

	// Latest keeps the newest event alone: a listener that falls behind hears
	// how things are, not how they were.
	Latest

	// Fail drops the event and makes it a *FullError of the emit.
	Fail

	// Unbounded lets the queue grow. A warning is logged at 1024 events and at
	// each doubling after that.
	Unbounded
)

// String returns the name of the policy.
func (o Overflow) String() string {
	names := [...]string{"Block", "DropNewest", "DropOldest", "Latest", "Fail", "Unbounded"}
	if o < 0 || int(o) >= len(names) {
		return fmt.Sprintf("Overflow(%d)", int(o))
	}
	return names[o]
}
