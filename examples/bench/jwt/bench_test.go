// Package jwtbench compares bedplate's jwt with its peers: the same tokens, into
// structs, with exp, iss and aud checked, in one process.
package jwtbench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cristalhq "github.com/cristalhq/jwt/v5"
	jose "github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	golangjwt "github.com/golang-jwt/jwt/v5"
	kataras "github.com/kataras/jwt"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

const iss, aud = "https://auth.example.com", "api"

var (
	key  = []byte("0123456789abcdef0123456789ABCDEF")
	keys = jwt.MustNewKeySet(jwt.MustNewKey("", key))
)

// small and large are claims beside the registered ones: payloads of about 140
// and about 2,000 bytes.
type small struct {
	ID   int64  `json:"id"`
	Role string `json:"role"`
}

type large struct {
	Name        string            `json:"name"`
	Email       string            `json:"email"`
	Verified    bool              `json:"email_verified"`
	Roles       []string          `json:"roles"`
	Permissions []string          `json:"permissions"`
	Tenants     []tenant          `json:"tenants"`
	Meta        map[string]string `json:"meta"`
}

type tenant struct {
	ID    int64    `json:"id"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
}

func smallBody() small { return small{12345, "admin"} }

func largeBody() large {
	c := large{
		Name: "Ada Lovelace", Email: "ada@example.com", Verified: true, Roles: []string{"admin", "editor", "viewer"},
		Meta: map[string]string{"department": "engineering", "office": "London", "floor": "3"},
	}
	for i := range 32 {
		c.Permissions = append(c.Permissions, fmt.Sprintf("resource-%02d:read-write", i))
	}
	for i := range 10 {
		c.Tenants = append(c.Tenants, tenant{int64(1000 + i), fmt.Sprintf("tenant number %d", i), []string{"member", "billing"}})
	}
	return c
}

// A peer verifies tokens and signs claims with a body B.
type peer[B any] struct {
	verify func(tok string) (B, error)
	sign   func(B) (string, error)
}

// smallPeers and largePeers give every peer, by name. The types that hold the body beside the
// registered claims are written out below, as each peer wants them.
func smallPeers() map[string]peer[small] {
	return map[string]peer[small]{
		"bedplate":   bedplate(func(c *oursSmall) *small { return &c.small }, func(c *oursSmall) *jwt.Registered { return &c.Registered }),
		"golang-jwt": golang(func() *golangSmall { return new(golangSmall) }, func(c *golangSmall) *small { return &c.small }, func(c *golangSmall) *golangjwt.RegisteredClaims { return &c.RegisteredClaims }),
		"cristalhq":  cristal(func(c *cristalSmall) *small { return &c.small }, func(c *cristalSmall) *cristalhq.RegisteredClaims { return &c.RegisteredClaims }),
		"kataras":    kata[small](),
		"go-jose":    joses[small](),
	}
}

func largePeers() map[string]peer[large] {
	return map[string]peer[large]{
		"bedplate":   bedplate(func(c *oursLarge) *large { return &c.large }, func(c *oursLarge) *jwt.Registered { return &c.Registered }),
		"golang-jwt": golang(func() *golangLarge { return new(golangLarge) }, func(c *golangLarge) *large { return &c.large }, func(c *golangLarge) *golangjwt.RegisteredClaims { return &c.RegisteredClaims }),
		"cristalhq":  cristal(func(c *cristalLarge) *large { return &c.large }, func(c *cristalLarge) *cristalhq.RegisteredClaims { return &c.RegisteredClaims }),
		"kataras":    kata[large](),
		"go-jose":    joses[large](),
	}
}

// The registered claims come first everywhere, then the body.
type (
	oursSmall struct {
		jwt.Registered
		small
	}
	oursLarge struct {
		jwt.Registered
		large
	}
	golangSmall struct {
		golangjwt.RegisteredClaims
		small
	}
	golangLarge struct {
		golangjwt.RegisteredClaims
		large
	}
	cristalSmall struct {
		cristalhq.RegisteredClaims
		small
	}
	cristalLarge struct {
		cristalhq.RegisteredClaims
		large
	}
)

var order = []string{"bedplate", "golang-jwt", "cristalhq", "kataras", "go-jose"}

func verifierConfig() jwt.VerifierConfig {
	return jwt.VerifierConfig{Keys: keys, Issuer: jwt.Is(iss), Audience: jwt.Is(aud), Subject: jwt.Present(), Type: jwt.Is("JWT")}
}

func bedplate[C, B any](body func(*C) *B, reg func(*C) *jwt.Registered) peer[B] {
	i := jwt.MustNewIssuer[C](jwt.IssuerConfig{Keys: keys, Issuer: iss, Audience: []string{aud}, TTL: time.Hour})
	v := jwt.MustNewVerifier[C](verifierConfig())
	return peer[B]{
		func(tok string) (B, error) {
			c, err := v.Verify(context.Background(), tok)
			return *body(&c), err
		},
		func(b B) (string, error) {
			var c C
			reg(&c).Subject = "user-12345"
			*body(&c) = b
			return i.Sign(c)
		},
	}
}

func golang[C golangjwt.Claims, B any](fresh func() C, body func(C) *B, reg func(C) *golangjwt.RegisteredClaims) peer[B] {
	p := golangParser()
	find := func(*golangjwt.Token) (any, error) { return key, nil }
	return peer[B]{
		func(tok string) (B, error) {
			c := fresh()
			_, err := p.ParseWithClaims(tok, c, find)
			return *body(c), err
		},
		func(b B) (string, error) {
			c, now := fresh(), time.Now()
			*reg(c) = golangjwt.RegisteredClaims{
				Issuer: iss, Subject: "user-12345", Audience: golangjwt.ClaimStrings{aud},
				ExpiresAt: golangjwt.NewNumericDate(now.Add(time.Hour)), IssuedAt: golangjwt.NewNumericDate(now),
			}
			*body(c) = b
			return golangjwt.NewWithClaims(golangjwt.SigningMethodHS256, c).SignedString(key)
		},
	}
}

func golangParser() *golangjwt.Parser {
	return golangjwt.NewParser(golangjwt.WithValidMethods([]string{"HS256"}), golangjwt.WithIssuer(iss), golangjwt.WithAudience(aud), golangjwt.WithExpirationRequired())
}

var errClaims = errors.New("claims do not hold")

func cristal[C, B any](body func(*C) *B, reg func(*C) *cristalhq.RegisteredClaims) peer[B] {
	v, err := cristalhq.NewVerifierHS(cristalhq.HS256, key)
	s, err2 := cristalhq.NewSignerHS(cristalhq.HS256, key)
	if err = errors.Join(err, err2); err != nil {
		panic(err)
	}
	builder := cristalhq.NewBuilder(s)
	return peer[B]{
		func(tok string) (B, error) {
			var c C
			err := cristalhq.ParseClaims([]byte(tok), v, &c)
			r := reg(&c)
			if err == nil && (!r.IsValidAt(time.Now()) || !r.IsIssuer(iss) || !r.IsForAudience(aud)) {
				err = errClaims
			}
			return *body(&c), err
		},
		func(b B) (string, error) {
			var c C
			now := time.Now()
			*reg(&c) = cristalhq.RegisteredClaims{
				Issuer: iss, Subject: "user-12345", Audience: cristalhq.Audience{aud},
				ExpiresAt: cristalhq.NewNumericDate(now.Add(time.Hour)), IssuedAt: cristalhq.NewNumericDate(now),
			}
			*body(&c) = b
			t, err := builder.Build(&c)
			if err != nil {
				return "", err
			}
			return t.String(), nil
		},
	}
}

func kata[B any]() peer[B] {
	return peer[B]{
		func(tok string) (B, error) {
			var b B
			t, err := kataras.Verify(kataras.HS256, key, []byte(tok), kataras.Expected{Issuer: iss, Audience: kataras.Audience{aud}})
			if err == nil {
				err = t.Claims(&b)
			}
			return b, err
		},
		func(b B) (string, error) {
			t, err := kataras.Sign(kataras.HS256, key, b, kataras.MaxAge(time.Hour), kataras.Claims{Issuer: iss, Subject: "user-12345", Audience: kataras.Audience{aud}})
			return string(t), err
		},
	}
}

func joses[B any]() peer[B] {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		panic(err)
	}
	return peer[B]{
		func(tok string) (B, error) {
			var b B
			var r josejwt.Claims
			t, err := josejwt.ParseSigned(tok, []jose.SignatureAlgorithm{jose.HS256})
			if err == nil {
				err = t.Claims(key, &r, &b)
			}
			if err == nil {
				err = r.ValidateWithLeeway(josejwt.Expected{Issuer: iss, AnyAudience: josejwt.Audience{aud}, Time: time.Now()}, 0)
			}
			return b, err
		},
		func(b B) (string, error) {
			now := time.Now()
			return josejwt.Signed(s).Claims(josejwt.Claims{
				Issuer: iss, Subject: "user-12345", Audience: josejwt.Audience{aud}, Expiry: josejwt.NewNumericDate(now.Add(time.Hour)), IssuedAt: josejwt.NewNumericDate(now),
			}).Claims(b).Serialize()
		},
	}
}

// TestAllDoTheSameWork: every peer reads what every peer signs, to the same
// claims, and refuses a bad signature.
func TestAllDoTheSameWork(t *testing.T) {
	sameWork(t, smallPeers(), smallBody())
	sameWork(t, largePeers(), largeBody())
}

func sameWork[B any](t *testing.T, peers map[string]peer[B], body B) {
	require.Len(t, peers, len(order))
	for from, signer := range peers {
		tok, err := signer.sign(body)
		require.NoError(t, err, from)
		u, err := jwt.PeekUnverified(tok)
		require.NoError(t, err)
		require.Equal(t, "user-12345", u.Claims.Subject, from)
		require.Equal(t, iss, u.Claims.Issuer, from)
		require.True(t, u.Claims.Audience.Has(aud), from)
		require.WithinDuration(t, time.Now().Add(time.Hour), u.Claims.Expires.Time(), 5*time.Second, from)
		for to, verifier := range peers {
			got, err := verifier.verify(tok)
			require.NoError(t, err, "%s reads %s", to, from)
			require.Equal(t, body, got)
			_, err = verifier.verify(bad(tok))
			require.Error(t, err, "%s reads a bad one of %s", to, from)
		}
	}
}

func bad(tok string) string {
	if strings.HasSuffix(tok, "AAAA") {
		return tok[:len(tok)-4] + "BBBB"
	}
	return tok[:len(tok)-4] + "AAAA"
}

func BenchmarkJWTVerifySmall(b *testing.B) { benchVerify(b, smallPeers(), smallBody()) }
func BenchmarkJWTVerifyLarge(b *testing.B) { benchVerify(b, largePeers(), largeBody()) }
func BenchmarkJWTSignSmall(b *testing.B)   { benchSign(b, smallPeers(), smallBody()) }
func BenchmarkJWTSignLarge(b *testing.B)   { benchSign(b, largePeers(), largeBody()) }

// token is the one that all verify, as golang-jwt writes it.
func token[B any](b *testing.B, peers map[string]peer[B], body B) string {
	tok, err := peers["golang-jwt"].sign(body)
	if err != nil {
		b.Fatal(err)
	}
	return tok
}

func benchVerify[B any](b *testing.B, peers map[string]peer[B], body B) {
	tok := token(b, peers, body)
	for _, name := range order {
		b.Run("peer="+name, func(b *testing.B) {
			verify := peers[name].verify
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(tok); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchSign[B any](b *testing.B, peers map[string]peer[B], body B) {
	for _, name := range order {
		b.Run("peer="+name, func(b *testing.B) {
			sign := peers[name].sign
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sign(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkJWTReject is a bad signature under the small claims.
func BenchmarkJWTReject(b *testing.B) {
	peers := smallPeers()
	tok := bad(token(b, peers, smallBody()))
	for _, name := range order {
		b.Run("peer="+name, func(b *testing.B) {
			verify := peers[name].verify
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(tok); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

type byHandKey struct{}

// byHand is the middleware that people write around golang-jwt.
func byHand(next http.Handler) http.Handler {
	p := golangParser()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		c := new(golangSmall)
		if _, err := p.ParseWithClaims(tok, c, func(*golangjwt.Token) (any, error) { return key, nil }); err != nil {
			http.Error(w, "invalid token", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), byHandKey{}, c)))
	})
}

// middlewares are handlers whose inner one takes the claims and answers nothing.
func middlewares() map[string]http.Handler {
	g := jwthttp.MustNew(jwthttp.Config[oursSmall]{Verifier: jwt.MustNewVerifier[oursSmall](verifierConfig())})
	return map[string]http.Handler{
		"bedplate": g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, ok := jwthttp.From[oursSmall](r.Context()); !ok || c.small.ID != 12345 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})),
		"golang-jwt": byHand(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, ok := r.Context().Value(byHandKey{}).(*golangSmall); !ok || c.small.ID != 12345 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})),
	}
}

// empty is a ResponseWriter that costs nothing.
type empty struct {
	header http.Header
	status int
}

func (e *empty) Header() http.Header         { return e.header }
func (e *empty) Write(b []byte) (int, error) { return len(b), nil }
func (e *empty) WriteHeader(status int)      { e.status = status }

func TestMiddlewaresDoTheSameWork(t *testing.T) {
	tok, err := smallPeers()["golang-jwt"].sign(smallBody())
	require.NoError(t, err)
	for name, h := range middlewares() {
		for send, status := range map[string]int{"Bearer " + tok: 200, "Bearer " + bad(tok): 401, "": 401} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", send)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, name)
		}
	}
}

func BenchmarkJWTMiddleware(b *testing.B) {
	tok := token(b, smallPeers(), smallBody())
	for _, name := range order[:2] {
		b.Run("peer="+name, func(b *testing.B) {
			h := middlewares()[name]
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+tok)
			w := &empty{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			if w.status != 0 {
				b.Fatal(w.status)
			}
		})
	}
}
