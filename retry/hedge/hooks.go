package hedge

import "time"

// Hooks are functions that a [Hedger] calls on events. A nil one is not called.
type Hooks struct {
	// OnHedge is called before each extra attempt, in its goroutine.
	OnHedge func(HedgeEvent)
}

// HedgeEvent describes an extra attempt.
type HedgeEvent struct {
	// Name is Config.Name.
	Name string
	// Attempt is its number, 2 for the first extra one.
	Attempt int
	// Delay is how long the attempt before it went unanswered.
	Delay time.Duration
}
