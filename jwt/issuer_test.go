package jwt_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// parts decodes a token without our decoder.
func parts(t *testing.T, tok string) (header, payload map[string]any) {
	t.Helper()
	p := strings.Split(tok, ".")
	require.Len(t, p, 3)
	require.Equal(t, mac(p[0]+"."+p[1], secret), p[2])
	require.NoError(t, json.Unmarshal(unb64(t, p[0]), &header))
	require.NoError(t, json.Unmarshal(unb64(t, p[1]), &payload))
	return header, payload
}

func TestIssuerWritesWhatItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := jwt.MustNewIssuer[user](jwt.IssuerConfig{
			Keys: keys(), Issuer: "https://auth", Audience: []string{"a", "b"}, Type: "at+jwt", TTL: time.Minute, RandomID: true,
		})
		tok, err := i.Sign(alice())
		require.NoError(t, err)
		header, payload := parts(t, tok)
		require.Equal(t, map[string]any{"alg": "HS256", "typ": "at+jwt"}, header)
		now := float64(time.Now().Unix())
		require.Len(t, payload["jti"], 22)
		delete(payload, "jti")
		require.Equal(t, map[string]any{
			"iss": "https://auth", "aud": []any{"a", "b"}, "sub": "alice", "iat": now, "exp": now + 60, "id": 7.0, "role": "admin",
		}, payload)
	})
}

func TestIssuerNamesItsKey(t *testing.T) {
	set := jwt.MustNewKeySet(jwt.MustNewKey("2026-11", secret))
	tok, err := issuer(set).Sign(alice())
	require.NoError(t, err)
	header, _ := parts(t, tok)
	require.Equal(t, "2026-11", header["kid"])
	require.Equal(t, "JWT", header["typ"])
}

// Claims that the caller has set are kept where they may be, and never replaced
// in silence.
func TestIssuerNeverOverridesInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, now := issuer(keys()), jwt.DateOf(time.Now())
		for _, c := range []struct {
			name string
			set  jwt.Registered
			bad  string
		}{
			{"none", jwt.Registered{}, ""},
			{"iss the same", jwt.Registered{Issuer: "https://auth"}, ""},
			{"iss another", jwt.Registered{Issuer: "https://other"}, "iss"},
			{"aud the same", jwt.Registered{Audience: jwt.Audience{"api"}}, ""},
			{"aud another", jwt.Registered{Audience: jwt.Audience{"other"}}, "aud"},
			{"aud more", jwt.Registered{Audience: jwt.Audience{"api", "other"}}, "aud"},
			{"exp earlier", jwt.Registered{Expires: now + 5}, ""},
			{"exp at the end", jwt.Registered{Expires: now + 900}, ""},
			{"exp later", jwt.Registered{Expires: now + 901}, "exp"},
			{"exp now", jwt.Registered{Expires: now}, "exp"},
			{"exp past", jwt.Registered{Expires: 5}, "exp"},
			{"iat past", jwt.Registered{IssuedAt: now - 60}, ""},
			{"iat so past that it is over", jwt.Registered{IssuedAt: now - 900}, "exp"},
			{"iat later", jwt.Registered{IssuedAt: now + 1}, "iat"},
			{"nbf later", jwt.Registered{NotBefore: now + 60}, ""},
			{"nbf after exp", jwt.Registered{NotBefore: now + 900}, "nbf"},
			{"jti", jwt.Registered{ID: "mine"}, ""},
		} {
			claims := user{Registered: c.set}
			dst := []byte("before ")
			out, err := i.AppendSign(dst, &claims)
			require.Equal(t, c.set, claims.Registered, "the caller's claims stay as they are")
			if c.bad != "" {
				require.ErrorIs(t, err, jwt.ErrConflict, c.name)
				require.ErrorContains(t, err, `"`+c.bad+`"`, c.name)
				require.Equal(t, "before ", string(out))
				continue
			}
			require.NoError(t, err, c.name)
			_, payload := parts(t, strings.TrimPrefix(string(out), "before "))
			want := map[string]any{"iss": "https://auth", "aud": "api", "iat": float64(now), "exp": float64(now + 900), "id": 0.0, "role": ""}
			for name, d := range map[string]jwt.Date{"exp": c.set.Expires, "iat": c.set.IssuedAt, "nbf": c.set.NotBefore} {
				if d != 0 {
					want[name] = float64(d)
				}
			}
			if c.set.IssuedAt != 0 {
				want["exp"] = float64(c.set.IssuedAt + 900)
			}
			if c.set.ID != "" {
				want["jti"] = c.set.ID
			}
			require.Equal(t, want, payload, c.name)
		}
	})
}

// To refresh a token by signing its claims again does not work by accident.
func TestSigningVerifiedClaimsAgainDoesNotProlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keys()
		i, v := issuer(k), jwt.MustNewVerifier[user](strict(k))
		tok, err := i.Sign(alice())
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		c, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		again, err := i.Sign(c)
		require.NoError(t, err)
		d, err := v.Verify(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, c.Expires, d.Expires)
		time.Sleep(5 * time.Minute)
		_, err = i.Sign(c)
		require.ErrorIs(t, err, jwt.ErrConflict)
	})
}

func TestNewIssuerNamesWhatIsWrong(t *testing.T) {
	for field, cfg := range map[string]jwt.IssuerConfig{
		"Keys is nil":     {},
		"TTL is -1s":      {Keys: keys(), TTL: -time.Second},
		"TTL is 1ms":      {Keys: keys(), TTL: time.Millisecond},
		"MaxBytes is -1":  {Keys: keys(), MaxBytes: -1},
		"Audience is":     {Keys: keys(), Audience: []string{"a", ""}},
		`Type is "\xff"`:  {Keys: keys(), Type: "\xff"},
		`Type is "a\xc3"`: {Keys: keys(), Type: "a\xc3"},
	} {
		_, err := jwt.NewIssuer[user](cfg)
		require.ErrorContains(t, err, "IssuerConfig."+field)
		require.Panics(t, func() { jwt.MustNewIssuer[user](cfg) })
	}
}

func TestIssuerKeepsItsOwnCopyOfTheConfig(t *testing.T) {
	aud := []string{"api"}
	i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: keys(), Audience: aud})
	aud[0] = "evil"
	tok, err := i.Sign(alice())
	require.NoError(t, err)
	_, payload := parts(t, tok)
	require.Equal(t, "api", payload["aud"])
}

// Text goes into a token as a value or a name and never as JSON.
func TestIssuerEscapesNamesAndValues(t *testing.T) {
	evil := `x","role":"admin","y":"` + "\n\x00\u2028<>&\\"
	i := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()})
	tok, err := i.Sign(map[string]any{evil: evil, "sub": evil, "aud": []string{evil, evil}, "nested": map[string]any{evil: 1}})
	require.NoError(t, err)
	m, err := jwt.MustNewVerifier[map[string]any](lax(keys())).Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, evil, m[evil])
	require.Equal(t, evil, m["sub"])
	require.Equal(t, []any{evil, evil}, m["aud"])
	require.Equal(t, map[string]any{evil: 1.0}, m["nested"])
	require.NotContains(t, m, "role")

	type named struct {
		M map[string]string `json:"m"`
		//lint:ignore SA5008 a name that has to be escaped is what is tested
		N int `json:"a\"b"` //nolint:staticcheck // as above
	}
	tok, err = jwt.MustNewIssuer[named](jwt.IssuerConfig{Keys: keys()}).Sign(named{map[string]string{evil: evil}, 5})
	require.NoError(t, err)
	got, err := jwt.MustNewVerifier[named](lax(keys())).Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, named{map[string]string{evil: evil}, 5}, got)
}

func TestIssuerRefusesWhatIsNotText(t *testing.T) {
	broken := "a\xff"
	for _, c := range []user{
		{Registered: jwt.Registered{Subject: broken}},
		{Registered: jwt.Registered{ID: broken}},
		{Role: broken},
	} {
		dst, err := issuer(keys()).AppendSign([]byte("x"), &c)
		require.ErrorContains(t, err, "not UTF-8")
		require.Equal(t, "x", string(dst))
		_, err = issuer(keys()).Sign(c)
		require.Error(t, err)
	}
	free := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()})
	for _, m := range []map[string]any{
		{broken: 1}, {"aud": []string{"a", broken}}, {"x": math.Inf(1)}, {"x": make(chan int)},
	} {
		_, err := free.Sign(m)
		require.Error(t, err)
	}
	type lists struct {
		L []string          `json:"l"`
		M map[string]string `json:"m"`
		P *string           `json:"p"`
		S struct {
			T string `json:"t"`
		} `json:"s"`
	}
	i := jwt.MustNewIssuer[lists](jwt.IssuerConfig{Keys: keys()})
	for _, c := range []lists{{L: []string{broken}}, {M: map[string]string{broken: ""}}, {M: map[string]string{"": broken}}, {P: &broken}} {
		_, err := i.Sign(c)
		require.ErrorContains(t, err, "not UTF-8")
	}
	var c lists
	c.S.T = broken
	_, err := i.Sign(c)
	require.ErrorContains(t, err, "not UTF-8")
}

func TestIssuerOfMapsTakesRegisteredClaimsOfAnyUsualType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, now := jwt.MustNewIssuer[map[string]any](jwt.IssuerConfig{Keys: keys()}), time.Now().Unix()
		for _, exp := range []any{now + 5, int(now + 5), float64(now + 5), jwt.Date(now + 5)} {
			for _, aud := range []any{"a", []string{"a"}, jwt.Audience{"a"}, []any{"a"}} {
				tok, err := i.Sign(map[string]any{"exp": exp, "aud": aud, "sub": "s", "x": 1})
				require.NoError(t, err)
				_, payload := parts(t, tok)
				require.Equal(t, map[string]any{"exp": float64(now + 5), "iat": float64(now), "aud": "a", "sub": "s", "x": 1.0}, payload)
			}
		}
		for _, m := range []map[string]any{
			{"exp": "5"}, {"exp": nil}, {"exp": true}, {"aud": 1}, {"aud": []any{1}}, {"sub": 1}, {"sub": nil}, {"iss": []string{"x"}}, {"jti": 5.0},
		} {
			_, err := i.Sign(m)
			require.ErrorIs(t, err, jwt.ErrClaim, "%v", m)
		}
	})
}

func TestSignedTokensAreCanonical(t *testing.T) {
	for n := range 200 {
		c := alice()
		c.Role = strings.Repeat("é", n)
		tok, err := issuer(keys()).Sign(c)
		require.NoError(t, err)
		_, payload := parts(t, tok)
		require.Equal(t, c.Role, payload["role"])
		got, err := jwt.MustNewVerifier[user](strict(keys())).Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, c.Role, got.Role)
	}
}

// No id comes twice.
func TestRandomIDsDiffer(t *testing.T) {
	i := jwt.MustNewIssuer[user](jwt.IssuerConfig{Keys: keys(), RandomID: true})
	seen := make(map[any]bool)
	for range 100 {
		tok, err := i.Sign(alice())
		require.NoError(t, err)
		_, payload := parts(t, tok)
		require.False(t, seen[payload["jti"]])
		seen[payload["jti"]] = true
	}
}

// Allocation promises: signing one, appending none; verifying two, the text of the
// claims and the audience.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	k := keys()
	i, v := issuer(k), jwt.MustNewVerifier[user](strict(k))
	c := alice()
	var dst []byte
	require.Zero(t, testing.AllocsPerRun(200, func() { dst, _ = i.AppendSign(dst[:0], &c) }), "AppendSign")
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _, _ = i.Sign(c) }), 1.0, "Sign")
	tok := string(dst)
	ctx := t.Context()
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _, _ = v.Verify(ctx, tok) }), 2.0, "Verify")
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _ = v.VerifyInto(ctx, dst, &c) }), 2.0, "VerifyInto")
	bad := []byte(tok[:len(tok)-3] + "AAA")
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _ = v.VerifyInto(ctx, bad, &c) }), 1.0, "a bad signature")
	cfg := strict(k)
	cfg.Cache = 4
	cached := jwt.MustNewVerifier[user](cfg)
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { _, _ = cached.Verify(ctx, tok) }), 1.0, "from the cache")
}
