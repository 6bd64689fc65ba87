package jwt_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/jwt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errCause = errors.New("cause")

// secret is what most tests sign with, so that tokens can be made by hand.
var secret = []byte("0123456789abcdef0123456789ABCDEF")

const plainHead = `{"alg":"HS256","typ":"JWT"}`

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// mac signs input by the standard library alone.
func mac(input string, key []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(input))
	return b64(string(h.Sum(nil)))
}

// forge makes a token of any header and payload, with a good signature.
func forge(header, payload string) string { return forgeRaw(b64(header), b64(payload)) }

// forgeRaw is forge for parts that are encoded, or should be.
func forgeRaw(header, payload string) string {
	input := header + "." + payload
	return input + "." + mac(input, secret)
}

// keys is a set with secret as its key without a name.
func keys() *jwt.KeySet { return jwt.MustNewKeySet(jwt.MustNewKey("", secret)) }

// user is what most tests have as claims.
type user struct {
	jwt.Registered
	ID   int64  `json:"id"`
	Role string `json:"role"`
}

// lax checks nothing that it need not.
func lax(k *jwt.KeySet) jwt.VerifierConfig {
	return jwt.VerifierConfig{Keys: k, Issuer: jwt.Any(), Audience: jwt.Any(), Subject: jwt.Any(), Type: jwt.Any(), NoExpiry: true}
}

// strict checks all it can.
func strict(k *jwt.KeySet) jwt.VerifierConfig {
	return jwt.VerifierConfig{Keys: k, Issuer: jwt.Is("https://auth"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is("JWT")}
}

func issuer(k *jwt.KeySet) *jwt.Issuer[user] {
	return jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: k, Issuer: "https://auth", Audience: []string{"api"}})
}

func alice() user {
	return user{Registered: jwt.Registered{Subject: "alice"}, ID: 7, Role: "admin"}
}

// sentinels are the reasons to refuse a token, in the order of the checks.
var sentinels = []error{
	jwt.ErrTooLarge, jwt.ErrMalformed, jwt.ErrHeader, jwt.ErrCritical, jwt.ErrAlgorithm, jwt.ErrKey, jwt.ErrSignature,
	jwt.ErrPayload, jwt.ErrClaim, jwt.ErrType, jwt.ErrExpired, jwt.ErrNotYetValid, jwt.ErrIssuer, jwt.ErrAudience,
	jwt.ErrSubject, jwt.ErrRevoked, jwt.ErrReused, jwt.ErrUnavailable, jwt.ErrRejected,
}

// requireCause requires that err matches want and no other reason.
func requireCause(t *testing.T, want, err error, about ...any) {
	t.Helper()
	require.Error(t, err, about...)
	require.ErrorIs(t, err, want, about...)
	for _, s := range sentinels {
		if s != want {
			require.NotErrorIs(t, err, s, about...)
		}
	}
	var e *jwt.Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, want, e.Code, about...)
}

// unix makes the text of a date relative to now.
func unix(d time.Duration) int64 { return time.Now().Add(d).Unix() }
