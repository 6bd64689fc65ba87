package jwt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// RefreshStore remembers for each session which refresh token is the one to be
// used next. A session that a store does not have is over. Package jwttest tests
// implementations, package jwtredis is one for several processes.
type RefreshStore interface {
	// Rotate takes one step of a session, at once and as a whole:
	//
	//   - step.From is empty: the session begins, with step.To as its token.
	//     Rotated.
	//   - step.From is its token: step.To takes its place, and step.Successor is
	//     remembered. Rotated.
	//   - step.From is the token before, and was replaced no longer than
	//     step.Grace ago: Replayed, with what was remembered then.
	//   - step.From is any other: the session is over. Reused.
	//   - There is no such session: Gone.
	//
	// After Rotated the session lives for step.Live.
	Rotate(ctx context.Context, step RefreshStep) (RefreshResult, error)

	// Revoke ends a session of a subject, or with an empty session all of
	// them. That there is none is no error.
	Revoke(ctx context.Context, subject, session string) error

	// Alive reports whether there is such a session.
	Alive(ctx context.Context, subject, session string) (bool, error)
}

// RefreshStep is one use of a refresh token, or the beginning of a session.
type RefreshStep struct {
	Subject   string        // whose session it is
	Session   string        // its sid, random
	From      string        // the token that is used; empty at the beginning
	To        string        // the token that takes its place
	Live      time.Duration // until the end of To
	Grace     time.Duration // how long From may be used again
	Successor []byte        // what those get who do; opaque
}

// Outcome says what became of a RefreshStep.
type Outcome uint8

// The outcomes. The zero Outcome is none, so that a store that forgets to say
// admits nobody.
const (
	Rotated Outcome = iota + 1
	Replayed
	Reused
	Gone
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	switch o {
	case Rotated:
		return "rotated"
	case Replayed:
		return "replayed"
	case Reused:
		return "reused"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// RefreshResult is the answer to a RefreshStep.
type RefreshResult struct {
	Outcome   Outcome // what became of the step
	Successor []byte  // with Replayed
}

// MemoryStoreConfig describes a MemoryStore. All fields are optional.
type MemoryStoreConfig struct {
	// Capacity is how many sessions there may be. One more fails with ErrFull
	// rather than end that of somebody else. Zero means 100,000, which take
	// about 100 MB, as each remembers its last pair of tokens.
	Capacity int

	// PerSubject is how many sessions a subject may have. One more ends the
	// oldest of them. Zero means 32.
	PerSubject int
}

// MemoryStore is a RefreshStore in the memory of this process: a restart ends
// all sessions. It is safe for use by many goroutines.
type MemoryStore struct {
	perSubject int

	mu       sync.Mutex // guards the following
	sessions expiring[sessionKey, *session]
	subjects map[string][]string // sessions of each, the oldest first
}

type sessionKey struct{ subject, id string }

type session struct {
	token     string    // to be used next
	before    string    // the one before it, empty at the beginning
	replaced  time.Time // when it was
	successor []byte
}

// NewMemoryStore returns a MemoryStore as described by cfg. It fails if a field
// is negative, naming it.
func NewMemoryStore(cfg MemoryStoreConfig) (*MemoryStore, error) {
	switch {
	case cfg.Capacity < 0:
		return nil, fmt.Errorf("jwt: MemoryStoreConfig.Capacity is %d, want ≥ 0", cfg.Capacity)
	case cfg.PerSubject < 0:
		return nil, fmt.Errorf("jwt: MemoryStoreConfig.PerSubject is %d, want ≥ 0", cfg.PerSubject)
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = 100_000
	}
	if cfg.PerSubject == 0 {
		cfg.PerSubject = 32
	}
	m := &MemoryStore{
		perSubject: cfg.PerSubject,
		sessions:   makeExpiring[sessionKey, *session](cfg.Capacity),
		subjects:   make(map[string][]string),
	}
	m.sessions.gone = m.unlistLocked
	return m, nil
}

// MustNewMemoryStore is NewMemoryStore for package variables: it panics where
// NewMemoryStore returns an error.
func MustNewMemoryStore(cfg MemoryStoreConfig) *MemoryStore {
	m, err := NewMemoryStore(cfg)
	if err != nil {
		panic(err.Error())
	}
	return m
}

// Rotate is that of RefreshStore. A beginning fails with ErrFull if there is no
// room.
func (m *MemoryStore) Rotate(ctx context.Context, step RefreshStep) (RefreshResult, error) {
	if ctx.Err() != nil {
		return RefreshResult{}, ctxError(ctx)
	}
	now := time.Now()
	k := sessionKey{step.Subject, step.Session}
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.sessions.get(k, now)
	if step.From == "" {
		if it != nil {
			return RefreshResult{Outcome: Gone}, nil // a session begins once
		}
		return m.beginLocked(k, step, now)
	}
	if it == nil {
		return RefreshResult{Outcome: Gone}, nil
	}
	s := it.value
	switch {
	case step.From == s.token:
		next := &session{token: step.To, before: s.token, replaced: now, successor: bytes.Clone(step.Successor)}
		m.sessions.put(k, next, now.Add(step.Live), now)
		return RefreshResult{Outcome: Rotated}, nil
	case step.From == s.before && now.Sub(s.replaced) <= step.Grace:
		return RefreshResult{Replayed, bytes.Clone(s.successor)}, nil
	}
	m.endLocked(k)
	return RefreshResult{Outcome: Reused}, nil
}

func (m *MemoryStore) beginLocked(k sessionKey, step RefreshStep, now time.Time) (RefreshResult, error) {
	for _, id := range slices.Clone(m.subjects[k.subject]) {
		if one := (sessionKey{k.subject, id}); m.sessions.get(one, now) == nil {
			m.endLocked(one) // it has run out, and makes room before another does
		}
	}
	if ids := m.subjects[k.subject]; len(ids) >= m.perSubject {
		m.endLocked(sessionKey{k.subject, ids[0]})
	}
	if !m.sessions.put(k, &session{token: step.To}, now.Add(step.Live), now) {
		return RefreshResult{}, ErrFull
	}
	m.subjects[k.subject] = append(m.subjects[k.subject], k.id)
	return RefreshResult{Outcome: Rotated}, nil
}

func (m *MemoryStore) endLocked(k sessionKey) {
	m.sessions.remove(k)
	m.unlistLocked(k)
}

func (m *MemoryStore) unlistLocked(k sessionKey) {
	ids := m.subjects[k.subject]
	if i := slices.Index(ids, k.id); i >= 0 {
		ids = slices.Delete(ids, i, i+1)
	}
	if len(ids) == 0 {
		delete(m.subjects, k.subject)
	} else {
		m.subjects[k.subject] = ids
	}
}

// Revoke is that of RefreshStore.
func (m *MemoryStore) Revoke(ctx context.Context, subject, session string) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if session != "" {
		m.endLocked(sessionKey{subject, session})
		return nil
	}
	for _, id := range m.subjects[subject] {
		m.sessions.remove(sessionKey{subject, id})
	}
	delete(m.subjects, subject)
	return nil
}

// Alive is that of RefreshStore.
func (m *MemoryStore) Alive(ctx context.Context, subject, session string) (bool, error) {
	if ctx.Err() != nil {
		return false, ctxError(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions.get(sessionKey{subject, session}, time.Now()) != nil, nil
}
