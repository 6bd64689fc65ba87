package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// Claims are what the examples sign.
type Claims struct {
	jwt.Registered
	Name string `json:"name"`
	Role string `json:"role"`
}

// Validate makes Claims check themselves.
func (c *Claims) Validate(context.Context) error {
	if c.Role == "" {
		return errors.New("no role")
	}
	return nil
}

func Example() {
	ctx := context.Background()
	key, err := jwt.GenerateKey("2026-11")
	if err != nil {
		fmt.Println(err)
		return
	}
	keys := jwt.MustNewKeySet(key)
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys, Issuer: "https://auth.example", Audience: []string{"api"}})
	verifier := jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Is("https://auth.example"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is("JWT"),
		Leeway: 30 * time.Second,
	})

	token, err := issuer.Sign(Claims{Registered: jwt.Registered{Subject: "alice"}, Role: "admin"})
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := verifier.Verify(ctx, token)
	fmt.Println(claims.Subject, claims.Role, claims.Audience.Has("api"), err)

	_, err = verifier.Verify(ctx, token[:len(token)-4]+"AAAA")
	fmt.Println(errors.Is(err, jwt.ErrSignature), err)
	// Output:
	// alice admin true <nil>
	// true jwt: signature does not hold
}

func Example_claims() {
	type Claims struct {
		jwt.Registered
		Name string `json:"name"`
		Role string `json:"role"`
	}
	c := Claims{Name: "Ada"}
	c.Expires = jwt.DateOf(time.Unix(1800000000, 0))
	fmt.Println(c.Name, c.Expires.Time().UTC().Year())
	// Output: Ada 2027
}

func ExampleSessions() {
	ctx := context.Background()
	sessions := jwt.MustNewSessions(jwt.SessionsConfig[Claims]{
		Keys:   jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer."))),
		Store:  jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}),
		Issuer: "https://auth.example", Audience: []string{"api"},
	})
	claims := Claims{Registered: jwt.Registered{Subject: "alice"}, Role: "admin"}

	pair, err := sessions.Start(ctx, claims)          // after the password was right
	pair, err = sessions.Refresh(ctx, pair.Refresh)   // before the access token ends
	err = sessions.Revoke(ctx, "alice", pair.Session) // logout
	fmt.Println(err)

	_, err = sessions.Refresh(ctx, pair.Refresh)
	fmt.Println(errors.Is(err, jwt.ErrRevoked))
	fmt.Println(sessions.RevokeSubject(ctx, "alice")) // a new password
	over, err := sessions.Revoked(ctx, jwt.Registered{Subject: "alice", Session: pair.Session})
	fmt.Println(over, err)
	// Output:
	// <nil>
	// true
	// <nil>
	// true <nil>
}

func ExampleKeySet_Rotate() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("2026-10", []byte("the secret of October, 32 bytes.")))
	_, err := jwt.NewIssuer[Claims](jwt.IssuerConfig{Keys: keys, TTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	next := jwt.MustNewKey("2026-11", []byte("the secret of November, 32 bytes"))
	err = keys.Rotate(next, jwt.Rotation{SignFrom: time.Now().Add(time.Hour)})
	for _, k := range keys.Keys() {
		fmt.Println(k.Key, k.State)
	}
	fmt.Println(err)
	fmt.Println(keys.Retire("2026-11"))
	// Output:
	// jwt.Key(kid="2026-10", redacted) signing
	// jwt.Key(kid="2026-11", redacted) published
	// <nil>
	// <nil>
}

func ExampleNewKey() {
	_, err := jwt.NewKey("old", []byte("your-secret-key"))
	fmt.Println(err)
	key, err := jwt.NewKey("new", []byte("0123456789abcdef0123456789abcdef"))
	fmt.Println(key, key.ID(), len(key.Secret()), err)
	_, err = jwt.NewKeySet(key, key)
	fmt.Println(err)
	// Output:
	// jwt: secret of key "old" has 15 bytes, want ≥ 32 (RFC 7518, 3.2)
	// jwt.Key(kid="new", redacted) new 32 <nil>
	// jwt: two keys have the id "new"
}

func ExampleParseJWK() {
	key, err := jwt.ParseJWK([]byte(`{"kty":"oct","kid":"k","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`))
	fmt.Println(key, err)
	fmt.Println(string(key.JWK()))
	keys, err := jwt.ParseJWKSet([]byte(`{"keys":[` + string(key.JWK()) + `]}`))
	fmt.Println(keys, err)
	// Output:
	// jwt.Key(kid="k", redacted) <nil>
	// {"kty":"oct","use":"sig","alg":"HS256","kid":"k","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}
	// [jwt.Key(kid="k", redacted)] <nil>
}

func ExampleVerifier_VerifyInto() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys})
	verifier, err := jwt.NewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Any(), Audience: jwt.Any(), Subject: jwt.Any(), Type: jwt.Any(), Cache: 1000,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	claims := Claims{Role: "user"}
	token, err := issuer.AppendSign(nil, &claims)
	fmt.Println(err, verifier.VerifyInto(context.Background(), token, &claims), claims.Role)
	// Output: <nil> <nil> user
}

func ExampleDenylist() {
	ctx := context.Background()
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys, RandomID: true})
	denied := jwt.MustNewDenylist(0)
	verifier := jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Any(), Audience: jwt.Any(), Subject: jwt.Any(), Type: jwt.Any(), Revocation: denied,
	})
	token, _ := issuer.Sign(Claims{Role: "user"})
	claims, err := verifier.Verify(ctx, token)
	fmt.Println(err)
	err = denied.Revoke(claims.ID, claims.Expires.Time())
	fmt.Println(err)
	_, err = verifier.Verify(ctx, token)
	fmt.Println(err)
	_, err = jwt.NewDenylist(-1)
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
	// jwt: token or session was revoked
	// jwt: capacity of a Denylist is -1, want ≥ 0
}

func ExampleRevocationFunc() {
	var r jwt.Revocation = jwt.RevocationFunc(func(_ context.Context, claims jwt.Registered) (bool, error) {
		return claims.IssuedAt < 1700000000, nil // all that was issued before a breach
	})
	fmt.Println(r.Revoked(context.Background(), jwt.Registered{IssuedAt: 1600000000}))
	// Output: true <nil>
}

func ExamplePeekUnverified() {
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))})
	token, _ := issuer.Sign(Claims{Registered: jwt.Registered{Subject: "alice"}})
	u, err := jwt.PeekUnverified(token)
	fmt.Println(u.Algorithm, u.KeyID, u.Type, u.Claims.Subject, err)
	// Output: HS256 k JWT alice <nil>
}

func ExampleError() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys})
	verifier := jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Any(), Audience: jwt.Is("api"), Subject: jwt.Any(), Type: jwt.Any(),
	})
	token, _ := issuer.Sign(Claims{Role: "user"})
	_, err := verifier.Verify(context.Background(), token)
	if e, ok := errors.AsType[*jwt.Error](err); ok {
		fmt.Println(e.Code == jwt.ErrAudience, e.Claim)
	}
	// Output: true aud
}

func ExampleMemoryStore() {
	ctx := context.Background()
	store, err := jwt.NewMemoryStore(jwt.MemoryStoreConfig{Capacity: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := store.Rotate(ctx, jwt.RefreshStep{Subject: "alice", Session: "s", To: "1", Live: time.Hour})
	fmt.Println(res.Outcome, err)
	alive, err := store.Alive(ctx, "alice", "s")
	fmt.Println(alive, err)
	fmt.Println(store.Revoke(ctx, "alice", "s"))
	// Output:
	// rotated <nil>
	// true <nil>
	// <nil>
}

func ExampleNewSessions() {
	_, err := jwt.NewSessions(jwt.SessionsConfig[Claims]{})
	fmt.Println(err)
	// Output: jwt: SessionsConfig.Store is nil, want a RefreshStore
}

func ExampleAudience() {
	b, err := jwt.Audience{"api"}.MarshalJSON()
	fmt.Println(string(b), err)
	// Output: "api" <nil>
}

func ExampleExpectation() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	_, err := jwt.NewVerifier[Claims](jwt.VerifierConfig{Keys: keys, Issuer: jwt.Is("https://auth.example", "https://old.example")})
	fmt.Println(err)
	_, err = jwt.NewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Is("https://auth.example"), Audience: jwt.Any(), Subject: jwt.Present(), Type: jwt.Is(jwt.AccessType),
	})
	fmt.Println(err)
	// Output:
	// jwt: VerifierConfig.Audience is not set, want jwt.Is, jwt.Present or, to waive it, jwt.Any
	// <nil>
}
