package ratelimit

// Hooks are called outside all locks, on the goroutine that caused the event.
// A hook that panics does so in that goroutine; no permit is lost by it.
type Hooks struct {
	// OnLimited is called after a request for permits was refused.
	OnLimited func(Limited)

	// OnShadowed is called after a request was admitted that a shadow rule
	// would have refused.
	OnShadowed func(Shadowed)
}

// Limited tells that a request was refused.
type Limited struct {
	Name     string   // Config.Name
	Key      any      // whose; nil for a Single
	Permits  int      // how many were wanted
	Decision Decision // which rule, and when to come again
}

// Shadowed tells that a shadow rule would have refused what was admitted.
type Shadowed struct {
	Name     string   // Config.Name
	Key      any      // whose; nil for a Single
	Permits  int      // how many were taken
	Decision Decision // Decision.ShadowRule is the rule
}

// tell calls the hook that d is for.
func (h *Hooks) tell(name string, key any, n int, d *Decision) {
	switch {
	case !d.Allowed && h.OnLimited != nil:
		h.OnLimited(Limited{Name: name, Key: key, Permits: n, Decision: *d})
	case d.Allowed && d.Shadowed && h.OnShadowed != nil:
		h.OnShadowed(Shadowed{Name: name, Key: key, Permits: n, Decision: *d})
	}
}
