package jwt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// small and large are claims as services have them: a payload of about 110 and
// of about 1,900 bytes.
type small struct {
	jwt.Registered
	User int64  `json:"id"`
	Role string `json:"role"`
}

type large struct {
	jwt.Registered
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

func smallClaims() small {
	return small{Registered: jwt.Registered{Subject: "user-12345"}, User: 12345, Role: "admin"}
}

func largeClaims() large {
	c := large{
		Registered: jwt.Registered{Subject: "user-12345"}, Name: "Ada Lovelace", Email: "ada@example.com", Verified: true,
		Roles: []string{"admin", "editor", "viewer"}, Meta: map[string]string{"department": "engineering", "office": "London", "floor": "3"},
	}
	for i := range 32 {
		c.Permissions = append(c.Permissions, fmt.Sprintf("resource-%02d:read-write", i))
	}
	for i := range 10 {
		c.Tenants = append(c.Tenants, tenant{int64(1000 + i), fmt.Sprintf("tenant number %d", i), []string{"member", "billing"}})
	}
	return c
}

func pairFor[T any](b testing.TB, cfg jwt.VerifierConfig) (*jwt.Issuer[T], *jwt.Verifier[T]) {
	cfg.Keys = jwt.MustNewKeySet(jwt.MustNewKey("", make([]byte, 32)))
	i := jwt.MustNewIssuer[T](jwt.IssuerConfig{Keys: cfg.Keys, Issuer: "https://auth.example.com", Audience: []string{"api"}, TTL: time.Hour})
	cfg.Issuer, cfg.Audience, cfg.Subject, cfg.Type = jwt.Is("https://auth.example.com"), jwt.Is("api"), jwt.Present(), jwt.Is("JWT")
	return i, jwt.MustNewVerifier[T](cfg)
}

func BenchmarkVerify(b *testing.B) {
	b.Run("size=small", func(b *testing.B) { benchVerify(b, smallClaims(), jwt.VerifierConfig{}) })
	b.Run("size=large", func(b *testing.B) { benchVerify(b, largeClaims(), jwt.VerifierConfig{}) })
	b.Run("size=small/cached", func(b *testing.B) { benchVerify(b, smallClaims(), jwt.VerifierConfig{Cache: 100}) })
	b.Run("size=large/cached", func(b *testing.B) { benchVerify(b, largeClaims(), jwt.VerifierConfig{Cache: 100}) })
}

func benchVerify[T any](b *testing.B, claims T, cfg jwt.VerifierConfig) {
	i, v := pairFor[T](b, cfg)
	tok, err := i.Sign(claims)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), tok); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReject(b *testing.B) {
	i, v := pairFor[small](b, jwt.VerifierConfig{})
	tok, _ := i.Sign(smallClaims())
	bad := tok[:len(tok)-5] + "AAAAA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), bad); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkSign(b *testing.B) {
	b.Run("size=small", func(b *testing.B) { benchSign(b, smallClaims()) })
	b.Run("size=large", func(b *testing.B) { benchSign(b, largeClaims()) })
}

func benchSign[T any](b *testing.B, claims T) {
	i, _ := pairFor[T](b, jwt.VerifierConfig{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Sign(claims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyInto(b *testing.B) {
	i, v := pairFor[small](b, jwt.VerifierConfig{})
	claims := smallClaims()
	tok, err := i.AppendSign(nil, &claims)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := v.VerifyInto(b.Context(), tok, &claims); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyParallel shows that nothing is shared but the pools.
func BenchmarkVerifyParallel(b *testing.B) {
	for _, cache := range []int{0, 100} {
		b.Run(fmt.Sprint("cache=", cache), func(b *testing.B) {
			i, v := pairFor[small](b, jwt.VerifierConfig{Cache: cache})
			tok, err := i.Sign(smallClaims())
			if err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := v.Verify(ctx, tok); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkVerifyHeaders shows what a header costs that is not as ours.
func BenchmarkVerifyHeaders(b *testing.B) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	for name, head := range map[string]string{"usual": plainHead, "turned": `{"typ":"JWT","alg":"HS256"}`} {
		b.Run("header="+name, func(b *testing.B) {
			tok := forge(head, good)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), tok); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyMap(b *testing.B) {
	benchVerify(b, map[string]any{"sub": "alice", "id": 7}, jwt.VerifierConfig{})
}

func BenchmarkAppendSign(b *testing.B) {
	i, _ := pairFor[small](b, jwt.VerifierConfig{})
	claims := smallClaims()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = i.AppendSign(dst[:0], &claims); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := jwt.MustNewSessions(jwt.SessionsConfig[user]{
		Keys: keys(), Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "i", Audience: []string{"a"},
	})
	p, err := s.Start(b.Context(), alice())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, err = s.Refresh(b.Context(), p.Refresh); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDenylist(b *testing.B) {
	d := jwt.MustNewDenylist(1000)
	for n := range 1000 {
		if err := d.Revoke(fmt.Sprint(n), time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if revoked, _ := d.Revoked(b.Context(), jwt.Registered{ID: "500"}); !revoked {
			b.Fatal("not revoked")
		}
	}
}
