package jwt

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Revocation knows tokens that are refused before their end.
type Revocation interface {
	// Revoked reports whether the token with these claims was revoked. They
	// have an ID. An error refuses the token too, with ErrUnavailable.
	Revoked(ctx context.Context, claims Registered) (bool, error)
}

// RevocationFunc is a function as a Revocation.
type RevocationFunc func(ctx context.Context, claims Registered) (bool, error)

// Revoked calls f.
func (f RevocationFunc) Revoked(ctx context.Context, claims Registered) (bool, error) {
	return f(ctx, claims)
}

// authenticate finds the key of tok and checks the signature. It returns the
// typ, the place of the key in the ring and the payload, decoded into s.buf.
func (v *Verifier[T]) authenticate(s *scratch, keys *ring, tok []byte, now time.Time) (typ string, at int, payload []byte, err error) {
	head, body, signature, ok := split(tok)
	if !ok {
		return "", 0, nil, refuse(ErrMalformed)
	}
	typ, at, known := v.usual(keys, head, now)
	if !known {
		if typ, at, err = v.unusual(s, keys, head, now); err != nil {
			return "", 0, nil, err
		}
	}
	if !keys.keys[at].key.verify(tok[:len(head)+1+len(body)], signature) {
		return "", 0, nil, refuse(ErrSignature)
	}
	s.buf, ok = appendDecoded(s.buf[:0], body)
	if !ok {
		return "", 0, nil, refuse(ErrPayload)
	}
	return typ, at, s.buf, nil
}

// usual recognises a header that one of our own Issuers would have written,
// byte by byte, without reading it.
func (v *Verifier[T]) usual(keys *ring, text []byte, now time.Time) (typ string, at int, ok bool) {
	hs := v.heads.Load()
	if hs == nil || hs.ring != keys {
		hs = v.usualHeads(keys)
		v.heads.Store(hs)
	}
	for i := range hs.list {
		if h := &hs.list[i]; h.text == string(text) && keys.keys[h.at].verifies(now) {
			return h.typ, h.at, true
		}
	}
	return "", 0, false
}

func (v *Verifier[T]) usualHeads(keys *ring) *heads {
	types := v.cfg.Type.values
	if v.cfg.Type.kind != oneOf {
		types = []string{"JWT", ""}
	}
	hs := &heads{ring: keys}
	for at := range keys.keys {
		for _, typ := range types {
			for _, spelled := range slices.Compact([]string{typ, upper(typ)}) {
				if text, err := keys.keys[at].key.headFor(spelled); err == nil {
					hs.list = append(hs.list, head{string(text[:len(text)-1]), mediaType(typ), at})
				}
			}
		}
	}
	return hs
}

// upper spells the type of tokens in general as everybody does.
func upper(typ string) string {
	if typ == "jwt" {
		return "JWT"
	}
	return typ
}

// unusual reads a header of any other form.
func (v *Verifier[T]) unusual(s *scratch, keys *ring, text []byte, now time.Time) (typ string, at int, err error) {
	h, buf, err := readHeader(&s.decoder, s.buf, text)
	s.buf = buf
	if err != nil {
		return "", 0, err
	}
	if h.alg != "HS256" {
		return "", 0, refuse(ErrAlgorithm)
	}
	at = keys.named(h.kid, now)
	if at < 0 {
		return "", 0, refuse(ErrKey)
	}
	return mediaType(h.typ), at, nil
}

// read reads the payload in s.buf into *claims and s.reg.
func (v *Verifier[T]) read(s *scratch, claims *T) error {
	return v.plan.read(&s.decoder, s.buf, claims)
}

// read reads the payload in b into claims, a pointer, and d.reg.
func (p *plan) read(d *decoder, b []byte, claims any) error {
	err := d.begin(b)
	if err == nil {
		err = p.readClaims(d, reflect.ValueOf(claims).Elem())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMismatch) && slices.Contains(claimNames[:], d.claim):
		return refuseClaim(ErrClaim, d.claim)
	}
	return &Error{Code: ErrPayload, Claim: d.claim, Err: err}
}

// judge checks what the claims say: type, times, issuer, audience, subject,
// revocation, and the user's own check.
func (v *Verifier[T]) judge(ctx context.Context, r *registered, typ string, claims *T, now time.Time) error {
	if !v.cfg.Type.holds(typ) {
		return refuse(ErrType)
	}
	if err := v.checkTimes(r, now); err != nil {
		return err
	}
	switch {
	case !v.cfg.Issuer.holds(r.texts[claimIss]):
		return refuseClaim(ErrIssuer, "iss")
	case !v.cfg.Audience.holds(r.auds...):
		return refuseClaim(ErrAudience, "aud")
	case !v.cfg.Subject.holds(r.texts[claimSub]):
		return refuseClaim(ErrSubject, "sub")
	}
	if v.cfg.Revocation != nil {
		if r.texts[claimJti] == "" {
			return refuseClaim(ErrClaim, "jti") // it would be beyond revocation
		}
		revoked, err := v.cfg.Revocation.Revoked(ctx, r.public())
		if err != nil {
			return unavailable(ctx, err)
		}
		if revoked {
			return refuse(ErrRevoked)
		}
	}
	if v.plan.validates {
		if err := any(claims).(validator).Validate(ctx); err != nil {
			return &Error{Code: ErrRejected, Err: err}
		}
	}
	return nil
}

// checkTimes: a token is good from nbf on, that included, until exp, that
// excluded, and not before it was made.
func (v *Verifier[T]) checkTimes(r *registered, now time.Time) error {
	exp := r.dates[claimExp]
	switch {
	case !r.present(claimExp):
		if !v.cfg.NoExpiry {
			return refuseClaim(ErrClaim, "exp")
		}
	case !now.Before(exp.Add(v.cfg.Leeway)):
		return &Error{Code: ErrExpired, Claim: "exp", At: exp, Now: now}
	case r.present(claimNbf) && !r.dates[claimNbf].Before(exp):
		return refuseClaim(ErrClaim, "nbf") // good at no time, whatever the leeway
	}
	for _, c := range [...]int{claimNbf, claimIat} {
		if r.present(c) && r.dates[c].After(now.Add(v.cfg.Leeway)) {
			return &Error{Code: ErrNotYetValid, Claim: claimNames[c], At: r.dates[c], Now: now}
		}
	}
	return nil
}
