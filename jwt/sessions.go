package jwt

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"
)

// The types of the tokens that Sessions gives, which keep one from passing for
// the other.
const (
	AccessType  = "at+jwt" // RFC 9068
	RefreshType = "rt+jwt"
)

// SessionsConfig describes Sessions. Keys, Store, Issuer and Audience are
// required.
type SessionsConfig[T any] struct {
	// Keys sign and verify the tokens of both types.
	Keys *KeySet

	// Store remembers the sessions.
	Store RefreshStore

	// Issuer is iss in all tokens, and aud in refresh tokens.
	Issuer string

	// Audience is aud in access tokens.
	Audience []string

	// AccessTTL is how long access tokens live, zero means 15 minutes;
	// RefreshTTL how long a session may rest, zero means 7 days; MaxSession how
	// long a session lasts whatever happens, zero means 30 days.
	AccessTTL, RefreshTTL, MaxSession time.Duration

	// Grace is how long a used refresh token gets the pair again that it got
	// the first time, for clients that refresh in two places at once or lose
	// an answer. Zero means 10s; below zero, none.
	Grace time.Duration

	// Leeway is that of a VerifierConfig, for refresh tokens.
	Leeway time.Duration

	// Load returns the claims for the next pair, given those of the last. An
	// error that matches ErrRejected says that there shall be none; any other
	// that it cannot be said now, with ErrUnavailable, and the refresh token
	// stays good. Nil means that claims stay as they are.
	Load func(ctx context.Context, last T) (T, error)

	// Hooks are called when something happened that somebody should see.
	Hooks Hooks
}

// Sessions gives pairs of a short access token and a refresh token that works
// once, and ends a session whose refresh token was used twice. T must have a
// string claim "sub". It is a Revocation as well: a Verifier with it refuses
// access tokens of sessions that are over. It is safe for use by many goroutines.
type Sessions[T any] struct {
	cfg      SessionsConfig[T]
	access   *Issuer[T]
	refresh  *Issuer[T]
	verifier *Verifier[T] // of refresh tokens
}

// Pair is what a client gets. As JSON it holds the tokens; printed or logged it
// does not.
type Pair struct {
	Access         string    `json:"access_token"`    // for requests
	Refresh        string    `json:"refresh_token"`   // for Refresh, once
	AccessExpires  time.Time `json:"access_expires"`  // when Access ends
	RefreshExpires time.Time `json:"refresh_expires"` // when Refresh ends
	Session        string    `json:"session"`         // the sid of both
}

// String tells of the Pair without its tokens.
func (p Pair) String() string {
	return fmt.Sprintf("jwt.Pair(session=%q, redacted)", p.Session)
}

// GoString is String for the verb %#v.
func (p Pair) GoString() string { return p.String() }

// LogValue is String for log/slog.
func (p Pair) LogValue() slog.Value { return slog.StringValue(p.String()) }

// NewSessions returns Sessions as described by cfg. It fails if a field has a
// value that makes no sense or is missing, naming it.
func NewSessions[T any](cfg SessionsConfig[T]) (*Sessions[T], error) {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("jwt: SessionsConfig.%s is %v, want %s", field, value, want)
	}
	or := func(d *time.Duration, byDefault time.Duration) {
		if *d == 0 {
			*d = byDefault
		}
	}
	or(&cfg.AccessTTL, 15*time.Minute)
	or(&cfg.RefreshTTL, 7*24*time.Hour)
	or(&cfg.MaxSession, 30*24*time.Hour)
	or(&cfg.Grace, 10*time.Second)
	switch {
	case cfg.Store == nil:
		return nil, bad("Store", "nil", "a RefreshStore")
	case cfg.Issuer == "":
		return nil, bad("Issuer", "empty", "a name")
	case len(cfg.Audience) == 0:
		return nil, bad("Audience", "empty", "a name")
	case cfg.AccessTTL < time.Second:
		return nil, bad("AccessTTL", cfg.AccessTTL, "≥ 1s")
	case cfg.RefreshTTL < cfg.AccessTTL:
		return nil, bad("RefreshTTL", cfg.RefreshTTL, "≥ AccessTTL")
	case cfg.MaxSession < cfg.RefreshTTL:
		return nil, bad("MaxSession", cfg.MaxSession, "≥ RefreshTTL")
	}
	s := &Sessions[T]{cfg: cfg}
	var err error
	if s.access, err = NewIssuer[T](IssuerConfig{
		Keys: cfg.Keys, Issuer: cfg.Issuer, Audience: cfg.Audience, Type: AccessType, TTL: cfg.AccessTTL,
	}); err != nil {
		return nil, err
	}
	if !s.access.plan.free && s.access.plan.top.members[claimSub].index == nil {
		return nil, fmt.Errorf("jwt: claims of type %v have no field for sub, Sessions need one", reflect.TypeFor[T]())
	}
	if s.refresh, err = NewIssuer[T](IssuerConfig{
		Keys: cfg.Keys, Issuer: cfg.Issuer, Audience: []string{cfg.Issuer}, Type: RefreshType, TTL: cfg.RefreshTTL,
		MaxBytes: defaultMaxBytes, // or Refresh would refuse what Start gave
	}); err != nil {
		return nil, err
	}
	s.verifier, err = NewVerifier[T](VerifierConfig{
		Keys: cfg.Keys, Issuer: Is(cfg.Issuer), Audience: Is(cfg.Issuer), Subject: Present(), Type: Is(RefreshType),
		Leeway: cfg.Leeway,
	})
	return s, err
}

// MustNewSessions is NewSessions for package variables: it panics where
// NewSessions returns an error.
func MustNewSessions[T any](cfg SessionsConfig[T]) *Sessions[T] {
	s, err := NewSessions(cfg)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// Start begins a session for the subject of claims, who has proved who he is by
// other means, and returns its first pair. Of the registered claims only sub
// counts.
func (s *Sessions[T]) Start(ctx context.Context, claims T) (Pair, error) {
	if ctx.Err() != nil {
		return Pair{}, ctxError(ctx)
	}
	var own stamp
	if err := s.access.plan.own(&own, reflect.ValueOf(&claims).Elem()); err != nil {
		return Pair{}, err
	}
	if own.Subject == "" {
		return Pair{}, refuseClaim(ErrClaim, "sub")
	}
	now := time.Now()
	r := Registered{Subject: own.Subject, Session: randomID(), AuthTime: DateOf(now)}
	pair, id, err := s.mint(r, &claims, now)
	if err != nil {
		return Pair{}, err
	}
	res, err := s.cfg.Store.Rotate(ctx, RefreshStep{
		Subject: r.Subject, Session: r.Session, To: id, Live: pair.RefreshExpires.Sub(now),
	})
	switch {
	case err != nil:
		return Pair{}, unavailable(ctx, err)
	case res.Outcome != Rotated:
		return Pair{}, &Error{Code: ErrUnavailable, Err: fmt.Errorf("jwt: store answered %v to a beginning", res.Outcome)}
	}
	return pair, nil
}

// Refresh takes a refresh token and returns the next pair. The token is of no use
// afterwards, but for Config.Grace, in which it returns the same pair again. If
// it is used later its session is over, OnReuse is called and the error matches
// ErrReused. ErrRevoked says that the session is over, ErrUnavailable that the
// store did not answer and the token is as good as before, as far as is known. No
// refresh moves the end of the session.
func (s *Sessions[T]) Refresh(ctx context.Context, token string) (Pair, error) {
	var claims T
	last, err := s.open(ctx, token, &claims)
	if err != nil {
		return Pair{}, err
	}
	if s.cfg.Load != nil {
		if claims, err = s.cfg.Load(ctx, claims); errors.Is(err, ErrRejected) {
			return Pair{}, &Error{Code: ErrRejected, Err: err}
		} else if err != nil {
			return Pair{}, unavailable(ctx, err)
		}
	}
	now := time.Now()
	pair, id, err := s.mint(last, &claims, now)
	if err != nil {
		return Pair{}, err
	}
	box, err := successorBox(token)
	if err != nil {
		return Pair{}, err
	}
	plain, err := json.Marshal(pair)
	if err != nil {
		return Pair{}, err
	}
	res, err := s.cfg.Store.Rotate(ctx, RefreshStep{
		Subject: last.Subject, Session: last.Session, From: last.ID, To: id,
		Live: pair.RefreshExpires.Sub(now), Grace: max(s.cfg.Grace, 0), Successor: box.Seal(nil, nil, plain, nil),
	})
	if err != nil {
		return Pair{}, unavailable(ctx, err)
	}
	switch res.Outcome {
	case Rotated:
		return pair, nil
	case Replayed:
		if plain, err = box.Open(nil, nil, res.Successor, nil); err == nil {
			pair = Pair{}
			err = json.Unmarshal(plain, &pair)
		}
		if err != nil {
			return Pair{}, &Error{Code: ErrUnavailable, Err: err}
		}
		return pair, nil
	case Reused:
		if s.cfg.Hooks.OnReuse != nil {
			s.cfg.Hooks.OnReuse(Reuse{last.Subject, last.Session, last.ID})
		}
		return Pair{}, refuse(ErrReused)
	}
	return Pair{}, refuse(ErrRevoked)
}

// open verifies a refresh token.
func (s *Sessions[T]) open(ctx context.Context, token string, claims *T) (Registered, error) {
	sc := s.verifier.desks.Get().(*desk[T])
	defer s.verifier.release(sc)
	if len(token) <= s.verifier.cfg.MaxBytes {
		sc.tok = append(sc.tok[:0], token...)
	} else {
		sc.tok = append(sc.tok[:0], token[:s.verifier.cfg.MaxBytes+1]...) // refused by its length
	}
	reg, err := s.verifier.verify(ctx, &sc.scratch, sc.tok, claims)
	if err != nil {
		return Registered{}, err
	}
	// An empty jti would begin a session and not go on with one.
	for _, c := range [...]int{claimJti, claimSid, claimAuthTime} {
		if !reg.present(c) || c != claimAuthTime && reg.texts[c] == "" {
			return Registered{}, refuseClaim(ErrClaim, claimNames[c])
		}
	}
	return reg.public(), nil
}

// mint makes the next pair of the session in last, and the id of its refresh
// token.
func (s *Sessions[T]) mint(last Registered, claims *T, now time.Time) (Pair, string, error) {
	now = now.Truncate(time.Second)
	end := last.AuthTime.Time().Add(s.cfg.MaxSession).Truncate(time.Second)
	if !now.Before(end) {
		return Pair{}, "", &Error{Code: ErrExpired, Claim: "auth_time", At: end, Now: now}
	}
	until := func(ttl time.Duration) time.Time {
		if t := now.Add(ttl); t.Before(end) {
			return t
		}
		return end
	}
	p := Pair{Session: last.Session, AccessExpires: until(s.access.cfg.TTL), RefreshExpires: until(s.refresh.cfg.TTL)}
	id := randomID()
	var err error
	if p.Access, err = s.sign(s.access, last, randomID(), claims, now, p.AccessExpires); err != nil {
		return Pair{}, "", err
	}
	p.Refresh, err = s.sign(s.refresh, last, id, claims, now, p.RefreshExpires)
	return p, id, err
}

func (s *Sessions[T]) sign(i *Issuer[T], last Registered, id string, claims *T, now, exp time.Time) (string, error) {
	sh := i.sheets.Get().(*sheet[T])
	sh.stamp = stamp{
		Registered: Registered{
			Issuer: i.cfg.Issuer, Subject: last.Subject, Audience: i.cfg.Audience, Expires: DateOf(exp), IssuedAt: DateOf(now),
			ID: id, Session: last.Session, AuthTime: last.AuthTime,
		},
		has: 1<<claimIss | 1<<claimSub | 1<<claimAud | 1<<claimExp | 1<<claimIat | 1<<claimJti | 1<<claimSid | 1<<claimAuthTime,
	}
	tok, err := i.append(nil, sh, reflect.ValueOf(claims).Elem(), now)
	i.release(sh)
	return string(tok), err
}

// successorBox encrypts what the holders of a used refresh token get, so that a
// store has no tokens in it: the key comes of the token alone.
func successorBox(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "bedplate jwt successor", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Revoke ends a session, as a logout does. Its access tokens live on to their
// end, unless Verifiers have the Sessions as their Revocation.
func (s *Sessions[T]) Revoke(ctx context.Context, subject, session string) error {
	if session == "" {
		return errors.New("jwt: no session to revoke; RevokeSubject ends all of them")
	}
	return s.revoke(ctx, subject, session)
}

// RevokeSubject ends all sessions of a subject, as a change of password should.
func (s *Sessions[T]) RevokeSubject(ctx context.Context, subject string) error {
	return s.revoke(ctx, subject, "")
}

func (s *Sessions[T]) revoke(ctx context.Context, subject, session string) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if err := s.cfg.Store.Revoke(ctx, subject, session); err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

// Revoked reports whether the session of an access token is over. It makes
// Sessions a Revocation, at the cost of one question to the store a token. A
// token without a session counts as revoked.
func (s *Sessions[T]) Revoked(ctx context.Context, claims Registered) (bool, error) {
	if claims.Session == "" || claims.Subject == "" {
		return true, nil
	}
	alive, err := s.cfg.Store.Alive(ctx, claims.Subject, claims.Session)
	return !alive, err
}

// unavailable makes the error of a store or of Load. If ctx is done it is that of
// ctx.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return &Error{Code: ErrUnavailable, Err: err}
}
