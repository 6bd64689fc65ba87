package jwt

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"
)

const (
	// minSecret is what RFC 7518, 3.2 demands for HS256: the size of the hash.
	minSecret = 32
	maxKeyID  = 128
	sigLen    = 43 // characters of a signature
)

// Key is a secret for HS256 and its name, the kid. Printed with any verb of fmt,
// as a part of something larger, by slog or as JSON it shows its name alone; only
// Secret and JWK give the bytes. It is immutable, copies share the bytes, and the
// zero Key is none.
type Key struct {
	id string

	// Behind a function, since fmt prints the unexported fields of a struct
	// without asking their methods. Nil is no key.
	open func() *material
}

// material is what a Key hides: the secret, and HMACs that have it mixed in.
type material struct {
	secret []byte
	macs   sync.Pool // of *mac
}

// mac is an HMAC with room for its results. Reset brings the two states back
// that come of the secret, so the secret is hashed once for each mac, not for
// each token.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
	enc [sigLen]byte
}

// NewKey returns a Key with a copy of secret, which the caller may wipe. The
// secret must have 32 bytes at least (RFC 7518, 3.2) and be random: a password is
// no secret, whatever its length. Longer than 64 bytes brings nothing.
//
// id, the kid, has up to 128 visible characters of ASCII or spaces, without
// quotes and backslashes. A Key without id signs tokens without a kid, and
// verifies those that name no other key of its KeySet.
func NewKey(id string, secret []byte) (Key, error) {
	if err := checkKeyID(id); err != nil {
		return Key{}, err
	}
	if len(secret) < minSecret {
		return Key{}, fmt.Errorf("jwt: secret of key %q has %d bytes, want ≥ %d (RFC 7518, 3.2)", id, len(secret), minSecret)
	}
	m := &material{secret: slices.Clone(secret)}
	m.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, m.secret)} }
	return Key{id: id, open: func() *material { return m }}, nil
}

// MustNewKey is NewKey for package variables and tests: it panics where NewKey
// returns an error.
func MustNewKey(id string, secret []byte) Key {
	k, err := NewKey(id, secret)
	if err != nil {
		panic(err.Error())
	}
	return k
}

// GenerateKey returns a Key with a new random secret of 32 bytes.
func GenerateKey(id string) (Key, error) {
	secret := make([]byte, minSecret)
	_, _ = rand.Read(secret) // never fails: it ends the program if there is no randomness
	return NewKey(id, secret)
}

func checkKeyID(id string) error {
	if len(id) > maxKeyID {
		return fmt.Errorf("jwt: key id has %d bytes, want ≤ %d", len(id), maxKeyID)
	}
	for _, c := range []byte(id) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return fmt.Errorf("jwt: key id %q has %q, want visible ASCII without quotes and backslashes", id, c)
		}
	}
	return nil
}

// ID returns the kid.
func (k Key) ID() string { return k.id }

// Secret returns a copy of the secret, to store it where secrets are stored. It
// is nil for the zero Key.
func (k Key) Secret() []byte {
	if k.open == nil {
		return nil
	}
	return slices.Clone(k.open().secret)
}

// String names the key and says that the rest is redacted.
func (k Key) String() string {
	if k.open == nil {
		return "jwt.Key(none)"
	}
	return fmt.Sprintf("jwt.Key(kid=%q, redacted)", k.id)
}

// GoString is String for the verb %#v.
func (k Key) GoString() string { return k.String() }

// MarshalText is String for encoding/json and others.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is String for log/slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// same reports whether both have the same secret.
func (k Key) same(other Key) bool {
	return subtle.ConstantTimeCompare(k.open().secret, other.open().secret) == 1
}

// sign puts the signature of input into m.enc.
func (m *mac) sign(input []byte) {
	m.Reset()
	_, _ = m.Write(input) // a hash never fails
	base64.RawURLEncoding.Encode(m.enc[:], m.Sum(m.sum[:0]))
}

// appendSignature appends the signature of input, encoded.
func (k Key) appendSignature(dst, input []byte) []byte {
	pool := &k.open().macs
	m := pool.Get().(*mac)
	m.sign(input)
	dst = append(dst, m.enc[:]...)
	pool.Put(m)
	return dst
}

// verify reports whether signature is that of input, in time that depends on
// nothing but their lengths. It compares what is encoded: there is one encoding
// of a signature, and any other is wrong.
func (k Key) verify(input, signature []byte) bool {
	pool := &k.open().macs
	m := pool.Get().(*mac)
	m.sign(input)
	ok := subtle.ConstantTimeCompare(m.enc[:], signature) == 1
	pool.Put(m)
	return ok
}

// headFor returns the encoded header of tokens of that type, and its dot.
func (k Key) headFor(typ string) ([]byte, error) {
	h := []byte(`{"alg":"HS256"`)
	if k.id != "" {
		h = append(append(append(h, `,"kid":"`...), k.id...), '"')
	}
	if typ != "" {
		var err error
		if h, err = appendText(append(h, `,"typ":`...), typ); err != nil {
			return nil, err
		}
	}
	return append(appendEncoded(nil, append(h, '}')), '.'), nil
}
