// Package jwttest makes the tokens that a service must refuse, for its own tests,
// and tests implementations of jwt.RefreshStore.
//
//	for _, bad := range jwttest.BadTokens(t, key, claims) {
//		if _, err := verifier.Verify(context.Background(), bad.Token); !errors.Is(err, bad.Err) {
//			fmt.Println(bad.Name, err)
//		}
//	}
//
// All of it is made with the standard library alone, and none of it with a
// jwt.Issuer, which would refuse to.
package jwttest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// Mint signs whatever it is told to.
type Mint struct {
	// Key signs, and names its kid in headers. It is required.
	Key jwt.Key

	// Type is typ in headers. Empty means "JWT".
	Type string
}

// Token returns a token with these claims, anything that encoding/json takes as
// an object. Unlike an Issuer it adds and checks nothing.
func (m Mint) Token(t testing.TB, claims any) string {
	t.Helper()
	return m.Raw(m.header(), marshal(t, claims))
}

// Raw returns a token of a header and a payload that need not be JSON, with the
// signature that fits.
func (m Mint) Raw(header, payload []byte) string {
	input := encode(header) + "." + encode(payload)
	return input + "." + m.sign(input)
}

// Expired returns a token whose exp was ago before now.
func (m Mint) Expired(t testing.TB, claims any, ago time.Duration) string {
	t.Helper()
	return m.changed(t, claims, map[string]any{"exp": time.Now().Add(-ago).Unix(), "iat": time.Now().Add(-ago - time.Hour).Unix()})
}

// NotYetValid returns a token that is good from in after now on, for an hour.
func (m Mint) NotYetValid(t testing.TB, claims any, in time.Duration) string {
	t.Helper()
	nbf := time.Now().Add(in)
	return m.changed(t, claims, map[string]any{"nbf": nbf.Unix(), "exp": nbf.Add(time.Hour).Unix()})
}

// Forged returns a token that somebody without the key has signed.
func (m Mint) Forged(t testing.TB, claims any) string {
	t.Helper()
	input := encode(m.header()) + "." + encode(marshal(t, m.fresh(t, claims)))
	other := make([]byte, 32)
	_, _ = rand.Read(other) // never fails
	return input + "." + sign(input, other)
}

// None returns a token of algorithm none, without a signature.
func (m Mint) None(t testing.TB, claims any) string {
	t.Helper()
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(marshal(t, m.fresh(t, claims))) + "."
}

// Bad is a token that must be refused.
type Bad struct {
	Name  string // what is wrong with it
	Token string // to be sent
	Err   error  // what a Verifier says of it
}

// BadTokens returns one token for each way in which one that key has signed can be
// wrong. The claims should be good; they get an exp an hour from now, where it
// is not what is wrong.
func BadTokens(t testing.TB, key jwt.Key, claims any) []Bad {
	t.Helper()
	return Mint{Key: key}.Bad(t, claims)
}

// Bad is BadTokens for tokens of m.Type.
func (m Mint) Bad(t testing.TB, claims any) []Bad {
	t.Helper()
	good := m.fresh(t, claims)
	payload := marshal(t, good)
	tok := m.Raw(m.header(), payload)
	dot := strings.LastIndexByte(tok, '.')
	part := func(header string) string { return m.Raw([]byte(header), payload) }
	twice := slices.Concat(payload[:len(payload)-1], []byte(`,"exp":4000000000}`))
	without := maps.Clone(good)
	delete(without, "exp")
	return []Bad{
		{"empty", "", jwt.ErrMalformed},
		{"without signature", tok[:dot+1], jwt.ErrMalformed},
		{"cut off", tok[:len(tok)-1], jwt.ErrMalformed},
		{"with a fourth part", tok + ".x", jwt.ErrMalformed},
		{"padded", tok + "=", jwt.ErrMalformed},
		{"too long", tok + strings.Repeat("A", 1<<16), jwt.ErrTooLarge},
		{"header twice alg", part(`{"alg":"HS256","alg":"none"}`), jwt.ErrHeader},
		{"header with crit", part(`{"alg":"HS256","crit":["x"]}`), jwt.ErrCritical},
		{"unsecured", m.None(t, claims), jwt.ErrMalformed},
		{"algorithm none", part(`{"alg":"none"}`), jwt.ErrAlgorithm},
		{"algorithm HS512", part(`{"alg":"HS512"}`), jwt.ErrAlgorithm},
		{"forged", m.Forged(t, claims), jwt.ErrSignature},
		{"signed with another payload", m.swapped(tok), jwt.ErrSignature},
		{"payload no object", m.Raw(m.header(), []byte(`null`)), jwt.ErrPayload},
		{"payload with a name twice", m.Raw(m.header(), twice), jwt.ErrPayload},
		{"without exp", m.Token(t, without), jwt.ErrClaim},
		{"exp a string", m.changed(t, claims, map[string]any{"exp": "4000000000"}), jwt.ErrClaim},
		{"expired", m.Expired(t, claims, time.Hour), jwt.ErrExpired},
		{"not yet valid", m.NotYetValid(t, claims, time.Hour), jwt.ErrNotYetValid},
		{"from another issuer", m.changed(t, claims, map[string]any{"iss": "https://evil.example"}), jwt.ErrIssuer},
		{"for another audience", m.changed(t, claims, map[string]any{"aud": "somebody else"}), jwt.ErrAudience},
	}
}

// swapped puts another payload under the signature of tok.
func (m Mint) swapped(tok string) string {
	parts := strings.Split(tok, ".")
	return parts[0] + "." + encode([]byte(`{"sub":"admin","exp":4000000000}`)) + "." + parts[2]
}

func (m Mint) header() []byte {
	h := map[string]string{"alg": "HS256", "typ": m.Type}
	if m.Type == "" {
		h["typ"] = "JWT"
	}
	if m.Key.ID() != "" {
		h["kid"] = m.Key.ID()
	}
	b, _ := json.Marshal(h) // texts alone
	return b
}

func (m Mint) sign(input string) string { return sign(input, m.Key.Secret()) }

func sign(input string, secret []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return encode(h.Sum(nil))
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func marshal(t testing.TB, claims any) []byte {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatalf("claims cannot be written: %v", err)
	}
	return b
}

// fresh returns claims as a map, good for an hour.
func (m Mint) fresh(t testing.TB, claims any) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(marshal(t, claims)))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil || out == nil {
		t.Fatalf("claims are no object: %v", err)
	}
	out["exp"] = time.Now().Add(time.Hour).Unix()
	return out
}

func (m Mint) changed(t testing.TB, claims any, change map[string]any) string {
	t.Helper()
	out := m.fresh(t, claims)
	maps.Copy(out, change)
	return m.Token(t, out)
}
