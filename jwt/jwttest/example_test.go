package jwttest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwttest"
)

// The test of an implementation, here of the one in memory.
func TestStore(t *testing.T) {
	var store jwt.RefreshStore
	jwttest.Suite{
		Open: func(*testing.T) jwt.RefreshStore {
			store = jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{})
			return store
		},
		Another: func(*testing.T) jwt.RefreshStore { return store },
	}.Run(t)
}

// A test of your own sends each bad token to your handler; here a Verifier stands
// for it.
func Example() {
	t := new(testing.T) // yours
	key := jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer."))
	claims := map[string]any{"iss": "https://auth.example", "aud": "api", "sub": "alice"}
	verifier := jwt.MustNewVerifier[map[string]any](jwt.VerifierConfig{
		Keys: jwt.MustNewKeySet(key), Issuer: jwt.Is("https://auth.example"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is("JWT"),
	})
	for _, bad := range jwttest.BadTokens(t, key, claims) {
		if _, err := verifier.Verify(context.Background(), bad.Token); !errors.Is(err, bad.Err) {
			fmt.Println(bad.Name, err)
		}
	}

	mint := jwttest.Mint{Key: key}
	for _, tok := range []string{
		mint.Expired(t, claims, time.Minute), mint.NotYetValid(t, claims, time.Hour), mint.Forged(t, claims), mint.None(t, claims),
		mint.Token(t, map[string]any{"sub": 5}), mint.Raw([]byte(`{"alg":"HS256","kid":"k"}`), []byte("null")),
	} {
		_, err := verifier.Verify(context.Background(), tok)
		e, _ := errors.AsType[*jwt.Error](err)
		fmt.Println(e.Code)
	}
	fmt.Println(len(mint.Bad(t, claims)))
	run := jwttest.Suite.Run // as TestStore does
	_ = run
	// Output:
	// jwt: token has expired
	// jwt: token is not valid yet
	// jwt: signature does not hold
	// jwt: token is not header.payload.signature with a signature of 43 characters
	// jwt: a registered claim is missing or has the wrong type
	// jwt: payload is not a strict JSON object in canonical base64url that fits the claims
	// 21
}
