package jwt

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const defaultMaxBytes = 8 << 10

// VerifierConfig describes a Verifier. Keys and the four Expectations are
// required: what is not to be checked is waived by Any.
type VerifierConfig struct {
	// Keys verify.
	Keys *KeySet

	// Issuer, Audience and Subject say what iss, aud and sub must be, and Type
	// what typ in the header must be, as a media type: "at+jwt" and
	// "application/AT+JWT" are the same.
	Issuer, Audience, Subject, Type Expectation

	// NoExpiry takes tokens without exp, which live for as long as their key.
	// An exp that is there counts all the same.
	NoExpiry bool

	// Leeway is how much the clocks of issuers may differ from this one. Zero
	// means not at all; 30 seconds are usual between machines.
	Leeway time.Duration

	// MaxBytes bounds the length of a token. Zero means 8192, which is about
	// what servers take as a header.
	MaxBytes int

	// Revocation is asked about each token that has passed all checks but
	// Validate. Tokens without jti are refused then. Nil means that no token is
	// revoked before its end.
	Revocation Revocation

	// Cache is how many verified tokens are remembered, so that their
	// signatures are not computed again. Their times, their key, Revocation and
	// Validate are checked each time as if they were not. Zero means none; each
	// takes about the length of its token and 300 bytes.
	Cache int
}

// Verifier checks tokens and returns their claims as a T, a struct or
// map[string]any. If *T has a method Validate(context.Context) error, that is
// the last check. It is safe for use by many goroutines.
type Verifier[T any] struct {
	cfg   VerifierConfig
	plan  *plan
	desks sync.Pool // of *desk[T]
	cache *cache[T]

	// heads are the headers that our own Issuers would write; written by
	// whoever finds that the keys have changed.
	heads atomic.Pointer[heads]
}

// scratch is what one Verify works with.
type scratch struct {
	decoder
	tok []byte // a token that came as a string
	buf []byte // the decoded payload
}

// desk is a scratch with room for the claims of Verify, which reflection would
// move to the heap. Where code of the user's sees them before they are returned it
// is not used, lest that keeps a pointer.
type desk[T any] struct {
	scratch
	claims T
}

// heads are the usual headers, in their encoded form, for one ring of keys.
type heads struct {
	ring *ring
	list []head
}

type head struct {
	text string
	typ  string
	at   int // place in the ring
}

// NewVerifier returns a Verifier as described by cfg. It fails if a field has a
// value that makes no sense or is missing, naming it, and if T has a field that
// no claim fits.
func NewVerifier[T any](cfg VerifierConfig) (*Verifier[T], error) {
	if cfg.Keys == nil {
		return nil, errors.New("jwt: VerifierConfig.Keys is nil, want a KeySet")
	}
	for _, f := range []struct {
		name string
		want Expectation
	}{{"Issuer", cfg.Issuer}, {"Audience", cfg.Audience}, {"Subject", cfg.Subject}, {"Type", cfg.Type}} {
		if f.want.kind == unsaid {
			return nil, fmt.Errorf("jwt: VerifierConfig.%s is not set, want jwt.Is, jwt.Present or, to waive it, jwt.Any", f.name)
		}
		if slices.Contains(f.want.values, "") {
			return nil, fmt.Errorf("jwt: VerifierConfig.%s is jwt.Is of the empty string, want a value", f.name)
		}
	}
	switch {
	case cfg.Leeway < 0:
		return nil, fmt.Errorf("jwt: VerifierConfig.Leeway is %v, want ≥ 0", cfg.Leeway)
	case cfg.MaxBytes < 0:
		return nil, fmt.Errorf("jwt: VerifierConfig.MaxBytes is %d, want ≥ 0", cfg.MaxBytes)
	case cfg.Cache < 0 || cfg.Cache > 1<<24:
		return nil, fmt.Errorf("jwt: VerifierConfig.Cache is %d, want 0 to %d", cfg.Cache, 1<<24)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	types := make([]string, len(cfg.Type.values))
	for i, typ := range cfg.Type.values {
		types[i] = mediaType(typ)
	}
	cfg.Type.values = types
	p, err := compile(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	v := &Verifier[T]{cfg: cfg, plan: p}
	v.desks.New = func() any { return new(desk[T]) }
	if cfg.Cache > 0 {
		v.cache = makeCache[T](cfg.Cache)
	}
	return v, nil
}

// MustNewVerifier is NewVerifier for package variables: it panics where
// NewVerifier returns an error.
func MustNewVerifier[T any](cfg VerifierConfig) *Verifier[T] {
	v, err := NewVerifier[T](cfg)
	if err != nil {
		panic(err.Error())
	}
	return v
}

// Verify checks tok and returns its claims. If it is refused, the claims are
// zero and the error is an *Error that matches one of the sentinels, or that of
// a done ctx. Cost: one HMAC and, without slices and such in T, one allocation: a
// string that all strings of the claims are parts of.
func (v *Verifier[T]) Verify(ctx context.Context, tok string) (T, error) {
	if len(tok) > v.cfg.MaxBytes {
		var none T
		if ctx.Err() != nil {
			return none, ctxError(ctx)
		}
		return none, refuse(ErrTooLarge)
	}
	d := v.desks.Get().(*desk[T])
	d.tok = append(d.tok[:0], tok...)
	if v.plan.foreign {
		return v.verifyApart(ctx, d)
	}
	_, err := v.verify(ctx, &d.scratch, d.tok, &d.claims)
	claims := d.claims
	v.release(d)
	return claims, err
}

// verifyApart is Verify into claims of their own.
func (v *Verifier[T]) verifyApart(ctx context.Context, d *desk[T]) (T, error) {
	var claims T
	_, err := v.verify(ctx, &d.scratch, d.tok, &claims)
	v.release(d)
	return claims, err
}

// VerifyInto is Verify for tokens in bytes and claims that the caller has. It
// begins by making *claims zero, and leaves it so on failure. It keeps no part of
// tok.
func (v *Verifier[T]) VerifyInto(ctx context.Context, tok []byte, claims *T) error {
	d := v.desks.Get().(*desk[T])
	_, err := v.verify(ctx, &d.scratch, tok, claims)
	v.release(d)
	return err
}

// release gives d back without what it had of the claims, unless a large token
// has made it large. If Validate panics it is not given back.
func (v *Verifier[T]) release(d *desk[T]) {
	const large = 64 << 10
	var none T
	d.claims = none
	d.end()
	if cap(d.buf)+cap(d.tok) <= large {
		v.desks.Put(d)
	}
}

// verify does the checks in their order. The claims are written to *claims once
// the signature holds, and wiped if a later check fails.
func (v *Verifier[T]) verify(ctx context.Context, s *scratch, tok []byte, claims *T) (reg *registered, err error) {
	var zero T
	*claims = zero
	if ctx.Err() != nil {
		return nil, ctxError(ctx)
	}
	passed := false
	defer func() {
		if !passed { // also if the user's code panics
			*claims = zero
		}
	}()
	if len(tok) > v.cfg.MaxBytes {
		return nil, refuse(ErrTooLarge)
	}
	now := time.Now()
	keys := v.cfg.Keys.now.Load()
	if v.cache != nil {
		if e := v.cache.get(tok, keys); e != nil {
			if !keys.keys[e.at].verifies(now) {
				return nil, refuse(ErrKey)
			}
			if err = v.recall(s, e, claims); err == nil {
				err = v.judge(ctx, &e.reg, e.typ, claims, now)
			}
			passed = err == nil
			return &e.reg, err
		}
	}
	typ, at, payload, err := v.authenticate(s, keys, tok, now)
	if err != nil {
		return nil, err
	}
	s.buf = payload
	if err := v.read(s, claims); err != nil {
		return nil, err
	}
	if err := v.judge(ctx, &s.reg, typ, claims, now); err != nil {
		return nil, err
	}
	if v.cache != nil {
		v.cache.put(tok, keys, at, typ, s, claims, v.plan.shared)
	}
	passed = true
	return &s.reg, nil
}
