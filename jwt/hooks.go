package jwt

// Hooks are called by Sessions, outside every lock. Nil ones are not.
type Hooks struct {
	// OnReuse is called when a refresh token was used again after its time:
	// somebody has stolen it, or was stolen from. The session is over by then.
	OnReuse func(Reuse)
}

// Reuse tells of a refresh token that was used twice.
type Reuse struct {
	Subject string // whose session it was
	Session string // its sid
	TokenID string // the jti that was used again
}
