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

	// MaxBytes bounds the length of a token, and so what claims cost that hold
	// one thing many times. Zero means 1 MiB. Verifiers take 8 KiB unless they
	// are told otherwise.
	MaxBytes int
}

const defaultMaxSigned = 1 << 20

// Issuer signs tokens with claims of type T, a struct or map[string]any. It is
// safe for use by many goroutines.
type Issuer[T any] struct {
	cfg    IssuerConfig
	plan   *plan
	sheets sync.Pool // of *sheet[T]

	// head is the header for the key that signed last; written by whoever
	// finds another.
	head atomic.Pointer[keyHead]
}

// sheet is what one Sign works with.
type sheet[T any] struct {
	writer
	stamp   stamp
	claims  T // of Sign, so that they need no memory of their own
	payload []byte
	token   []byte
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
	case cfg.MaxBytes < 0:
		return nil, fmt.Errorf("jwt: IssuerConfig.MaxBytes is %d, want ≥ 0", cfg.MaxBytes)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxSigned
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
	i.sheets.New = func() any { return new(sheet[T]) }
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
// error matches ErrConflict. Text that is not UTF-8 is an error as well, and so are
// claims that nest deeper than 32, as all do that refer to themselves. A token
// longer than MaxBytes matches ErrTooLarge. Cost: one HMAC and one allocation.
func (i *Issuer[T]) Sign(claims T) (string, error) {
	if i.plan.foreign {
		return i.signApart(claims)
	}
	s := i.sheets.Get().(*sheet[T])
	s.claims = claims
	var err error
	if s.token, err = i.signOwn(s.token[:0], s, &s.claims); err != nil {
		i.release(s)
		return "", err
	}
	tok := string(s.token)
	i.release(s)
	return tok, nil
}

// signApart is Sign of claims that stay where they are: methods of theirs may keep
// a pointer.
func (i *Issuer[T]) signApart(claims T) (string, error) {
	tok, err := i.AppendSign(nil, &claims)
	return string(tok), err
}

// AppendSign is Sign that appends the token to dst and allocates nothing if dst
// has room. On failure it returns dst as it was.
func (i *Issuer[T]) AppendSign(dst []byte, claims *T) ([]byte, error) {
	s := i.sheets.Get().(*sheet[T])
	out, err := i.signOwn(dst, s, claims)
	i.release(s)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// release gives s back without what it had of the claims, unless a large token
// has made it large. If a method of a claim panics it is not given back.
func (i *Issuer[T]) release(s *sheet[T]) {
	const large = 64 << 10
	if cap(s.payload)+cap(s.token) > large || cap(s.names) > large/16 {
		return
	}
	var none T
	s.claims, s.stamp = none, stamp{}
	clear(s.names[:cap(s.names)])
	i.sheets.Put(s)
}

// signOwn appends a token with these claims and what the Issuer adds.
func (i *Issuer[T]) signOwn(dst []byte, s *sheet[T], claims *T) ([]byte, error) {
	now := time.Now()
	v := reflect.ValueOf(claims).Elem()
	if err := i.plan.own(&s.stamp, v); err != nil {
		return dst, err
	}
	if err := i.complete(&s.stamp, now); err != nil {
		return dst, err
	}
	return i.append(dst, s, v, now)
}

// randomID returns 128 random bits as text.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// append appends a token with the claims in s.stamp and what v has besides.
func (i *Issuer[T]) append(dst []byte, s *sheet[T], v reflect.Value, now time.Time) ([]byte, error) {
	keys := i.cfg.Keys.now.Load()
	key := &keys.keys[keys.signer(now)].key
	head := i.head.Load()
	if head == nil || head.id != key.id {
		text, err := key.headFor(i.cfg.Type)
		if err != nil {
			return dst, err
		}
		head = &keyHead{key.id, text}
		i.head.Store(head)
	}
	s.limit = i.cfg.MaxBytes
	var err error
	if s.payload, err = i.plan.appendClaims(&s.writer, s.payload[:0], &s.stamp, v); err != nil {
		return dst, fmt.Errorf("jwt: claims cannot be written: %w", err)
	}
	if size := len(head.text) + base64.RawURLEncoding.EncodedLen(len(s.payload)) + 1 + sigLen; size > i.cfg.MaxBytes {
		return dst, fmt.Errorf("jwt: claims cannot be written: %w", ErrTooLarge)
	}
	start := len(dst)
	dst = append(dst, head.text...)
	dst = appendEncoded(dst, s.payload)
	dst = append(dst, '.')
	return key.appendSignature(dst, dst[start:len(dst)-1]), nil
}
