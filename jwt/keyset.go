package jwt

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// KeySet holds the keys of a service: one signs, and all verify that are in
// their time. Issuers, Verifiers and Sessions follow its changes at once. It is
// safe for use by many goroutines.
type KeySet struct {
	mu      sync.Mutex    // guards changes: writes of now, and longest
	longest time.Duration // the longest life of a token that an Issuer of this set gives

	// now is what verifying and signing look at. Written under mu, whole.
	now atomic.Pointer[ring]
}

// ring is an immutable list of keys in the order in which they sign. The last
// whose time has come is the one that does.
type ring struct {
	keys []placed
}

// placed is a key with its times. A zero until is no end.
type placed struct {
	key      Key
	signFrom time.Time
	until    time.Time // verifies until then
}

// NewKeySet returns a KeySet in which the last of keys signs, and the others
// verify until they are retired. Ids must differ, secrets as well.
func NewKeySet(keys ...Key) (*KeySet, error) {
	if len(keys) == 0 {
		return nil, errors.New("jwt: a KeySet needs a key")
	}
	r := &ring{}
	for _, k := range keys {
		if err := r.check(k); err != nil {
			return nil, err
		}
		r.keys = append(r.keys, placed{key: k})
	}
	s := &KeySet{}
	s.now.Store(r)
	return s, nil
}

// MustNewKeySet is NewKeySet for package variables and tests: it panics where
// NewKeySet returns an error.
func MustNewKeySet(keys ...Key) *KeySet {
	s, err := NewKeySet(keys...)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// check reports as an error that k cannot join the ring.
func (r *ring) check(k Key) error {
	if k.open == nil {
		return errors.New("jwt: the zero Key is no key")
	}
	for _, p := range r.keys {
		if p.key.id == k.id {
			return fmt.Errorf("jwt: two keys have the id %q", k.id)
		}
		if p.key.same(k) {
			return fmt.Errorf("jwt: keys %q and %q have the same secret", p.key.id, k.id)
		}
	}
	return nil
}

// Rotation says when the next key takes over.
type Rotation struct {
	// SignFrom is when Next begins to sign. Until then it only verifies, so
	// that all processes have it before the first token that it signed. Zero
	// means now, which suits a single process.
	SignFrom time.Time

	// Overlap is how long the key before it goes on verifying after that. It
	// must be as long as the longest life of a token of the set's Issuers and
	// Sessions. Zero means that and five minutes; it is an error where the set
	// has no Issuer that tells.
	Overlap time.Duration
}

const spareOverlap = 5 * time.Minute

// Rotate adds next: it verifies from now on and signs from r.SignFrom on, when
// the key before it stops signing; r.Overlap later that is gone. Rotations may be
// scheduled ahead, each after the last. On failure the set is as it was.
func (s *KeySet) Rotate(next Key, r Rotation) error {
	now := time.Now()
	if r.SignFrom.IsZero() {
		r.SignFrom = now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.now.Load().without(now)
	if err := old.check(next); err != nil {
		return err
	}
	if r.Overlap == 0 && s.longest > 0 {
		r.Overlap = s.longest + spareOverlap
	}
	if r.Overlap <= 0 || r.Overlap < s.longest {
		return fmt.Errorf("jwt: Rotation.Overlap is %v, want ≥ %v, the longest life of a token", r.Overlap, max(s.longest, time.Second))
	}
	last := &old.keys[len(old.keys)-1]
	if r.SignFrom.Before(last.signFrom) || r.SignFrom.Before(now) {
		return fmt.Errorf("jwt: Rotation.SignFrom is %v, want ≥ now and ≥ that of the last rotation, %v", r.SignFrom, last.signFrom)
	}
	last.until = r.SignFrom.Add(r.Overlap)
	old.keys = append(old.keys, placed{key: next, signFrom: r.SignFrom})
	s.now.Store(old)
	return nil
}

// Retire removes a key at once: tokens that it signed are refused from now on.
// It is an error if the set has no such key, and if no other key could sign; rotate
// to one first.
func (s *KeySet) Retire(id string) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.now.Load().without(now)
	i := slices.IndexFunc(r.keys, func(p placed) bool { return p.key.id == id })
	if i < 0 {
		return fmt.Errorf("jwt: no key has the id %q", id)
	}
	signer := r.signer(now)
	if r.keys[signer].key.id == id && signer == 0 {
		return fmt.Errorf("jwt: no other key can sign in place of %q", id)
	}
	gone := r.keys[i]
	r.keys = slices.Delete(r.keys, i, i+1)
	switch {
	case i == 0 || i < signer: // it no longer signed, so none signs in its place
	case i == len(r.keys):
		r.keys[i-1].until = time.Time{} // the last one signs for as long as nothing replaces it
	default:
		r.keys[i-1].until = r.keys[i].signFrom.Add(r.keys[i-1].until.Sub(gone.signFrom))
	}
	s.now.Store(r)
	return nil
}

// without returns a copy that the caller may change, without the keys that are
// gone.
func (r *ring) without(now time.Time) *ring {
	keys := slices.Clone(r.keys)
	return &ring{slices.DeleteFunc(keys, func(p placed) bool { return !p.verifies(now) })}
}

func (p *placed) verifies(now time.Time) bool { return p.until.IsZero() || now.Before(p.until) }

// signer returns the place of the key that signs now. There is always one: the
// first key began before the set, or was signing when it became the first.
func (r *ring) signer(now time.Time) int {
	i := len(r.keys) - 1
	for i > 0 && r.keys[i].signFrom.After(now) {
		i--
	}
	return i
}

// named returns the place of the key for tokens with that kid, or -1: the one of
// the name, else the one without.
func (r *ring) named(id string, now time.Time) int {
	unnamed := -1
	for i := range r.keys {
		switch p := &r.keys[i]; {
		case !p.verifies(now):
		case p.key.id == id:
			return i
		case p.key.id == "":
			unnamed = i
		}
	}
	return unnamed
}

// outlast makes the set remember that tokens of its keys live for ttl. It is an
// error if a key that still signs would be gone before a token of its end.
func (s *KeySet) outlast(ttl time.Duration) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.now.Load()
	for i := r.signer(now); i < len(r.keys)-1; i++ {
		if overlap := r.keys[i].until.Sub(r.keys[i+1].signFrom); overlap < ttl {
			return fmt.Errorf("jwt: key %q is to be gone %v after it stops signing, tokens are to live %v", r.keys[i].key.id, overlap, ttl)
		}
	}
	s.longest = max(s.longest, ttl)
	return nil
}

// KeyState is how far a key is on its way.
type KeyState uint8

// The states of a key, in their order.
const (
	Published  KeyState = iota // verifies, and will sign
	Signing                    // verifies and signs
	VerifyOnly                 // verifies, and will not sign again
)

// String returns the name of the state.
func (k KeyState) String() string {
	switch k {
	case Published:
		return "published"
	case Signing:
		return "signing"
	case VerifyOnly:
		return "verify only"
	}
	return fmt.Sprintf("KeyState(%d)", uint8(k))
}

// KeyInfo tells about one key of a KeySet.
type KeyInfo struct {
	Key         Key       // of which only the ID prints
	State       KeyState  // now
	SignFrom    time.Time // zero: from the beginning
	VerifyUntil time.Time // zero: no end yet
}

// Keys returns the keys that verify now, in the order in which they sign.
func (s *KeySet) Keys() []KeyInfo {
	now := time.Now()
	r := s.now.Load()
	signer := r.signer(now)
	var out []KeyInfo
	for i := range r.keys {
		p := &r.keys[i]
		if !p.verifies(now) {
			continue
		}
		info := KeyInfo{Key: p.key, SignFrom: p.signFrom, VerifyUntil: p.until}
		switch {
		case i == signer:
			info.State = Signing
		case i < signer:
			info.State = VerifyOnly
		}
		out = append(out, info)
	}
	return out
}
