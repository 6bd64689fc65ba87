package ratelimit

import (
	"math"
	"time"
)

// Never is the RetryAfter of what no waiting makes possible.
const Never = time.Duration(math.MaxInt64)

// Decision is the answer to a request for permits. It is a value: nothing in
// it changes afterwards.
type Decision struct {
	// Allowed tells whether the permits were taken.
	Allowed bool

	// Unlimited tells that no rule holds for the key. All fields below are
	// then zero.
	Unlimited bool

	// Rule is the Limit.Name of the rule that binds, and Index its place
	// among the limits: of those that refuse, the one with the longest
	// RetryAfter; if none does, the one with the fewest permits left. Limit,
	// Window and Remaining are of that rule.
	Rule  string
	Index int

	// Limit is how many events that rule admits: N, or the Burst of GCRA.
	Limit int

	// Window is that of the rule.
	Window time.Duration

	// Remaining is how many more events that rule would admit now.
	Remaining int

	// RetryAfter is 0 if Allowed. Else it is how long to wait until the same
	// request is admitted if nothing else comes, exact but for the grain of
	// the rule (see Limit); Never if there is no such time.
	RetryAfter time.Duration

	// ResetAfter is how long it takes until that rule has forgotten every
	// event, if nothing else comes.
	ResetAfter time.Duration

	// Shadowed tells that a shadow rule would have refused, and ShadowRule
	// is the Name of the first that would.
	Shadowed   bool
	ShadowRule string

	// Overflow tells that the key had no place of its own, because MaxKeys
	// others have, and was treated as Config.Overflow says.
	Overflow bool

	// Degraded tells that the Store could not be asked, and that the decision
	// was made without it.
	Degraded bool
}
