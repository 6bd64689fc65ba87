package migrate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

type claimsBefore struct {
	golangjwt.RegisteredClaims
	Role string `json:"role"`
}

func tokensBefore(secret []byte) (sign func(user, role string) (string, error), verify func(string) (user, role string, err error)) {
	sign = func(user, role string) (string, error) {
		now := time.Now()
		return golangjwt.NewWithClaims(golangjwt.SigningMethodHS256, claimsBefore{
			RegisteredClaims: golangjwt.RegisteredClaims{
				Issuer: "https://auth.example", Audience: golangjwt.ClaimStrings{"api"}, Subject: user,
				IssuedAt: golangjwt.NewNumericDate(now), ExpiresAt: golangjwt.NewNumericDate(now.Add(time.Hour)),
			},
			Role: role,
		}).SignedString(secret)
	}
	verify = func(token string) (user, role string, err error) {
		var claims claimsBefore
		_, err = golangjwt.ParseWithClaims(token, &claims, func(*golangjwt.Token) (any, error) { return secret, nil },
			golangjwt.WithValidMethods([]string{"HS256"}), golangjwt.WithExpirationRequired(),
			golangjwt.WithIssuer("https://auth.example"), golangjwt.WithAudience("api"))
		if err != nil {
			return "", "", err // claims are filled in all the same
		}
		return claims.Subject, claims.Role, nil
	}
	return sign, verify
}

type claimsAfter struct {
	jwt.Registered
	Role string `json:"role"`
}

func tokensAfter(secret []byte) (sign func(user, role string) (string, error), verify func(string) (user, role string, err error)) {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("", secret))
	issuer := jwt.MustNewIssuer[claimsAfter](jwt.IssuerConfig{
		Keys: keys, Issuer: "https://auth.example", Audience: []string{"api"}, TTL: time.Hour,
	})
	verifier := jwt.MustNewVerifier[claimsAfter](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Is("https://auth.example"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is("JWT"),
	})
	sign = func(user, role string) (string, error) {
		return issuer.Sign(claimsAfter{Registered: jwt.Registered{Subject: user}, Role: role})
	}
	verify = func(token string) (user, role string, err error) {
		claims, err := verifier.Verify(context.Background(), token)
		return claims.Subject, claims.Role, err
	}
	return sign, verify
}

// TestGolangJWTPair: each takes the other's tokens, and neither a forged or an
// expired one, so a service can change over while tokens are about.
func TestGolangJWTPair(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789ABCDEF")
	signBefore, verifyBefore := tokensBefore(secret)
	signAfter, verifyAfter := tokensAfter(secret)
	forged, _ := tokensBefore([]byte("another secret, as long as the 1st"))
	for _, sign := range []func(string, string) (string, error){signBefore, signAfter} {
		token, err := sign("alice", "admin")
		require.NoError(t, err)
		for _, verify := range []func(string) (string, string, error){verifyBefore, verifyAfter} {
			user, role, err := verify(token)
			require.NoError(t, err)
			require.Equal(t, []string{"alice", "admin"}, []string{user, role})

			bad, err := forged("mallory", "admin")
			require.NoError(t, err)
			user, role, err = verify(bad)
			require.True(t, errors.Is(err, golangjwt.ErrTokenSignatureInvalid) || errors.Is(err, jwt.ErrSignature), err)
			require.Empty(t, user+role)
		}
	}
	expired, err := golangjwt.NewWithClaims(golangjwt.SigningMethodHS256, claimsBefore{RegisteredClaims: golangjwt.RegisteredClaims{
		Issuer: "https://auth.example", Audience: golangjwt.ClaimStrings{"api"}, Subject: "alice",
		ExpiresAt: golangjwt.NewNumericDate(time.Now().Add(-time.Hour)),
	}}).SignedString(secret)
	require.NoError(t, err)
	_, _, err = verifyBefore(expired)
	require.ErrorIs(t, err, golangjwt.ErrTokenExpired)
	_, _, err = verifyAfter(expired)
	require.ErrorIs(t, err, jwt.ErrExpired)
}
