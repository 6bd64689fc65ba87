package jwt

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// IssuerConfig describes an Issuer. Keys is required.
type IssuerConfig struct {
	// Keys sign. The KeySet remembers the longest TTL of its Issuers, which
	// bounds how fast keys may rotate.
	Keys *KeySet

	// Issuer is iss in all tokens. Empty means to leave that to the claims.
	Issuer string

	// Audience is aud in all tokens. None means to leave that to the claims.
	Audience []string

	// Type is typ in the header. Empty means "JWT". Verifiers tell tokens for
	// one purpose from those for another by it.
	Type string

	// TTL is how long a token lives: exp is iat and that. Zero means 15
	// minutes. There are no tokens that live for ever.
	TTL time.Duration

	// RandomID puts a random jti of 128 bits into tokens whose claims have
	// none. Revocation of single tokens needs it.
	RandomID bool
}

// Issuer signs tokens with claims of type T, a struct or map[string]any. It is
// safe for use by many goroutines.
type Issuer[T any] struct {
	cfg     IssuerConfig
	plan    *plan
	buffers sync.Pool // of *[]byte

	// head is the header for the key that signed last; written by whoever
	// finds another.
	head atomic.Pointer[keyHead]
}

// keyHead is the encoded header of tokens that a key signs.
type keyHead struct {
	id   string
	text []byte
}

// NewIssuer returns an Issuer as described by cfg. It fails if a field has a
// value that makes no sense, naming it, if the keys rotate too fast for the TTL,
// and if T has a field that no claim fits.
func NewIssuer[T any](cfg IssuerConfig) (*Issuer[T], error) {
	switch {
	case cfg.Keys == nil:
		return nil, fmt.Errorf("jwt: IssuerConfig.Keys is nil, want a KeySet")
	case cfg.TTL < 0 || cfg.TTL > 0 && cfg.TTL < time.Second:
		return nil, fmt.Errorf("jwt: IssuerConfig.TTL is %v, want ≥ 1s", cfg.TTL)
	case slices.Contains(cfg.Audience, ""):
		return nil, fmt.Errorf("jwt: IssuerConfig.Audience is %q, want none that is empty", cfg.Audience)
	}
	if cfg.TTL == 0 {
		cfg.TTL = 15 * time.Minute
	}
	cfg.TTL = cfg.TTL.Truncate(time.Second)
	if cfg.Type == "" {
		cfg.Type = "JWT"
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	p, err := compile(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	if _, err := (Key{}).headFor(cfg.Type); err != nil {
		return nil, fmt.Errorf("jwt: IssuerConfig.Type is %q, want UTF-8", cfg.Type)
	}
	if err := cfg.Keys.outlast(cfg.TTL); err != nil {
		return nil, err
	}
	i := &Issuer[T]{cfg: cfg, plan: p}
	i.buffers.New = func() any { return new([]byte) }
	return i, nil
}

// MustNewIssuer is NewIssuer for package variables: it panics where NewIssuer
// returns an error.
func MustNewIssuer[T any](cfg IssuerConfig) *Issuer[T] {
	i, err := NewIssuer[T](cfg)
	if err != nil {
		panic(err.Error())
	}
	return i
}

// Sign returns a token with these claims. The Issuer adds iss, aud, exp, iat and
// jti. Where the claims have one of these themselves it must be the same, or for
// exp earlier, and a past iat or an id of their own is theirs to choose; else the
// error matches ErrConflict. Text that is not UTF-8 is an error as well. Cost: one
// HMAC and two allocations.
func (i *Issuer[T]) Sign(claims T) (string, error) {
	buf := i.buffers.Get().(*[]byte)
	defer i.buffers.Put(buf)
	tok, err := i.AppendSign((*buf)[:0], &claims)
	*buf = tok[:0]
	if err != nil {
		return "", err
	}
	return string(tok), nil
}

// AppendSign is Sign that appends the token to dst and allocates nothing if dst
// has room. On failure it returns dst as it was.
func (i *Issuer[T]) AppendSign(dst []byte, claims *T) ([]byte, error) {
	now := time.Now()
	v := reflect.ValueOf(claims).Elem()
	r, err := i.plan.own(v)
	if err == nil {
		err = i.complete(&r, now)
	}
	if err != nil {
		return dst, err
	}
	return i.append(dst, &r, v, now)
}

// complete adds to r what the Issuer has to say.
func (i *Issuer[T]) complete(r *registered, now time.Time) error {
	now = now.Truncate(time.Second)
	if i.cfg.Issuer != "" {
		if r.present(claimIss) && r.texts[claimIss] != i.cfg.Issuer {
			return refuseClaim(ErrConflict, "iss")
		}
		r.setText(claimIss, i.cfg.Issuer)
	}
	if len(i.cfg.Audience) > 0 {
		if r.present(claimAud) && !slices.Equal(r.auds, i.cfg.Audience) {
			return refuseClaim(ErrConflict, "aud")
		}
		r.has |= 1 << claimAud
		r.auds = i.cfg.Audience
	}
	if r.present(claimIat) && r.dates[claimIat].After(now) {
		return refuseClaim(ErrConflict, "iat")
	}
	if !r.present(claimIat) {
		r.setDate(claimIat, now)
	}
	end := r.dates[claimIat].Add(i.cfg.TTL)
	if !r.present(claimExp) {
		r.setDate(claimExp, end)
	}
	if exp := r.dates[claimExp]; exp.After(end) || !exp.After(now) {
		return refuseClaim(ErrConflict, "exp")
	}
	if r.present(claimNbf) && !r.dates[claimNbf].Before(r.dates[claimExp]) {
		return refuseClaim(ErrConflict, "nbf")
	}
	if i.cfg.RandomID && !r.present(claimJti) {
		r.setText(claimJti, randomID())
	}
	return nil
}

func (r *registered) setText(c int, s string)    { r.has |= 1 << c; r.texts[c] = s }
func (r *registered) setDate(c int, t time.Time) { r.has |= 1 << c; r.dates[c] = t }

// randomID returns 128 random bits as text.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// append signs r and what v has besides.
func (i *Issuer[T]) append(dst []byte, r *registered, v reflect.Value, now time.Time) ([]byte, error) {
	keys := i.cfg.Keys.now.Load()
	key := keys.keys[keys.signer(now)].key
	head := i.head.Load()
	if head == nil || head.id != key.id {
		text, err := key.headFor(i.cfg.Type)
		if err != nil {
			return dst, err
		}
		head = &keyHead{key.id, text}
		i.head.Store(head)
	}
	buf := i.buffers.Get().(*[]byte)
	defer i.buffers.Put(buf)
	payload, err := i.plan.appendClaims((*buf)[:0], r, v)
	*buf = payload[:0]
	if err != nil {
		return dst, fmt.Errorf("jwt: claims cannot be written: %w", err)
	}
	start := len(dst)
	dst = append(dst, head.text...)
	dst = appendEncoded(dst, payload)
	dst = append(dst, '.')
	return key.appendSignature(dst, dst[start:len(dst)-1]), nil
}
