package emitter

// Hooks are called outside all locks. A hook that panics does so in the
// goroutine that caused the event, except OnError, whose panic is logged.
type Hooks struct {
	// OnSubscribe is called after a listener was added. Change.Listeners is 1
	// for the first one: the time to begin what only listeners need.
	OnSubscribe func(Change)

	// OnUnsubscribe is called after a listener was removed, in whatever way.
	// Change.Listeners is 0 for the last one. All changes of one topic come one
	// at a time and in the order in which they happened, though a change may be
	// told by another goroutine that changes the topic at the same time.
	OnUnsubscribe func(Change)

	// OnError is called for each failure of a listener: the error it returned,
	// a *PanicError, a *FullError, a *TypeError, or an error of Import. Without
	// it (and without a listener of "error" in an Emitter) a failure that is not
	// returned by EmitContext is logged.
	OnError func(error)
}

// Change tells that a listener was added or removed.
type Change struct {
	Topic     string // name of the topic, or of the event
	Listener  string // SubConfig.Name
	Listeners int    // how many there were after it
}
