package jwt

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Denylist is a Revocation by jti in the memory of this process. It is bounded,
// and never forgets a token before its end. It is safe for use by many
// goroutines.
type Denylist struct {
	mu  sync.RWMutex // guards ids
	ids expiring[string, struct{}]
}

// NewDenylist returns a Denylist for up to capacity tokens; zero means 100,000,
// which take about 20 MB.
func NewDenylist(capacity int) (*Denylist, error) {
	if capacity < 0 {
		return nil, fmt.Errorf("jwt: capacity of a Denylist is %d, want ≥ 0", capacity)
	}
	if capacity == 0 {
		capacity = 100_000
	}
	return &Denylist{ids: makeExpiring[string, struct{}](capacity)}, nil
}

// MustNewDenylist is NewDenylist for package variables: it panics where
// NewDenylist returns an error.
func MustNewDenylist(capacity int) *Denylist {
	d, err := NewDenylist(capacity)
	if err != nil {
		panic(err.Error())
	}
	return d
}

// Revoke refuses the tokens with that jti until a time, which is their exp and
// the Verifiers' Leeway. It fails with ErrFull if there are too many, and then
// the token is not revoked.
func (d *Denylist) Revoke(id string, until time.Time) error {
	now := time.Now()
	if id == "" {
		return fmt.Errorf("jwt: the empty id cannot be revoked, no token that a Denylist is asked about has it")
	}
	if !now.Before(until) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if it := d.ids.get(id, now); it != nil && it.end.After(until) {
		return nil
	}
	if !d.ids.put(id, struct{}{}, until, now) {
		return ErrFull
	}
	return nil
}

// Revoked reports whether the jti in claims was revoked.
func (d *Denylist) Revoked(_ context.Context, claims Registered) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.ids.get(claims.ID, time.Now()) != nil, nil
}
