package jwt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

// An attacker without the key has many guesses at what a careless Verifier would
// take for a signature, or for a key. All of them are refused, with and without a
// cache that has the good token in it.
func TestForgeriesWithoutTheKey(t *testing.T) {
	k := jwt.MustNewKeySet(jwt.MustNewKey("a", secret), newKey(t, "b"))
	cfg := lax(k)
	cfg.Cache = 64
	verifiers := []*jwt.Verifier[user]{jwt.MustNewVerifier[user](lax(k)), jwt.MustNewVerifier[user](cfg)}
	const head = `{"alg":"HS256","kid":"a"}`
	tok := forge(head, good)
	other := forge(head, `{"sub":"mallory","exp":4000000000}`)
	p, q := strings.Split(tok, "."), strings.Split(other, ".")
	signed := func(head, payload string, key []byte) string {
		input := b64(head) + "." + b64(payload)
		return input + "." + mac(input, key)
	}
	admin := `{"sub":"alice","exp":4000000000,"role":"admin"}`
	for _, v := range verifiers {
		for range 2 {
			_, err := v.Verify(t.Context(), tok)
			require.NoError(t, err)
			_, err = v.Verify(t.Context(), other)
			require.NoError(t, err)
		}
	}
	for _, c := range []struct {
		name string
		tok  string
		want error
	}{
		{"the empty key", signed(head, admin, nil), jwt.ErrSignature},
		{"a key of zeros", signed(head, admin, make([]byte, 32)), jwt.ErrSignature},
		{"the key's name for a key", signed(head, admin, []byte("a")), jwt.ErrSignature},
		{"the key cut off", signed(head, admin, secret[:31]), jwt.ErrSignature},
		{"the key and a byte", signed(head, admin, append([]byte("x"), secret...)), jwt.ErrSignature},
		{"the key in base64", signed(head, admin, []byte(b64(string(secret)))), jwt.ErrSignature},
		{"a public key for a key", signed(head, admin, []byte("-----BEGIN PUBLIC KEY-----\n")), jwt.ErrSignature},
		{"the key of another name", signed(`{"alg":"HS256","kid":"b"}`, admin, secret), jwt.ErrSignature},
		{"signature of zeros", p[0] + "." + b64(admin) + "." + strings.Repeat("A", 43), jwt.ErrSignature},
		{"signature of another token", p[0] + "." + p[1] + "." + q[2], jwt.ErrSignature},
		{"payload of another token", p[0] + "." + q[1] + "." + p[2], jwt.ErrSignature},
		{"header of another token", b64(plainHead) + "." + p[1] + "." + p[2], jwt.ErrKey},
		{"signature of the payload alone", p[0] + "." + p[1] + "." + mac(p[1], secret), jwt.ErrSignature},
		{"signature of the header alone", p[0] + "." + p[1] + "." + mac(p[0], secret), jwt.ErrSignature},
		{"signature of both without the dot", p[0] + "." + p[1] + "." + mac(p[0]+p[1], secret), jwt.ErrSignature},
		{"signature of both decoded", p[0] + "." + p[1] + "." + mac(head+"."+good, secret), jwt.ErrSignature},
		{"signature of what comes with its dot", p[0] + "." + p[1] + "." + mac(p[0]+"."+p[1]+".", secret), jwt.ErrSignature},
		{"header and payload swapped", p[1] + "." + p[0] + "." + mac(p[1]+"."+p[0], secret), jwt.ErrAlgorithm},
		{"the dot moved", p[0] + p[1][:4] + "." + p[1][4:] + "." + p[2], jwt.ErrHeader},
		{"signature in upper case", p[0] + "." + p[1] + "." + strings.ToUpper(p[2]), jwt.ErrSignature},
		{"signature in the other alphabet", p[0] + "." + p[1] + "." + "+/" + p[2][2:], jwt.ErrSignature},
		{"signature turned round", p[0] + "." + p[1] + "." + p[2][1:] + p[2][:1], jwt.ErrSignature},
		{"signature cut off and filled", p[0] + "." + p[1] + "." + p[2][:42] + "=", jwt.ErrSignature},
		{"signature twice", p[0] + "." + p[1] + "." + p[2] + p[2], jwt.ErrMalformed},
		{"unsecured", b64(`{"alg":"none"}`) + "." + b64(admin) + ".", jwt.ErrMalformed},
		{"unsecured with the good signature", b64(`{"alg":"none","kid":"a"}`) + "." + p[1] + "." + p[2], jwt.ErrAlgorithm},
		{"no kid, where keys have names", signed(plainHead, admin, secret), jwt.ErrKey},
		{"kid of nobody", signed(`{"alg":"HS256","kid":"c"}`, admin, secret), jwt.ErrKey},
		{"kid a path", signed(`{"alg":"HS256","kid":"../../../../../dev/null"}`, admin, nil), jwt.ErrKey},
		{"kid an absolute path", signed(`{"alg":"HS256","kid":"/proc/sys/kernel/randomize_va_space"}`, admin, []byte("2\n")), jwt.ErrKey},
		{"kid SQL", signed(`{"alg":"HS256","kid":"x' UNION SELECT 'secret"}`, admin, []byte("secret")), jwt.ErrKey},
		{"kid a command", signed(`{"alg":"HS256","kid":"a; id"}`, admin, secret), jwt.ErrKey},
		{"kid a URL", signed(`{"alg":"HS256","kid":"https://evil.example/key"}`, admin, secret), jwt.ErrKey},
		{"kid with a space", signed(`{"alg":"HS256","kid":"a "}`, admin, secret), jwt.ErrKey},
		{"kid in upper case", signed(`{"alg":"HS256","kid":"A"}`, admin, secret), jwt.ErrKey},
		{"kid twice", signed(`{"alg":"HS256","kid":"c","kid":"a"}`, admin, secret), jwt.ErrHeader},
		{"kid in an array", signed(`{"alg":"HS256","kid":["a"]}`, admin, secret), jwt.ErrHeader},
		{"kid of 129 bytes", signed(`{"alg":"HS256","kid":"`+strings.Repeat("k", 129)+`"}`, admin, secret), jwt.ErrHeader},
		{"kid of 128 bytes", signed(`{"alg":"HS256","kid":"`+strings.Repeat("k", 128)+`"}`, admin, secret), jwt.ErrKey},
		{"KID", signed(`{"alg":"HS256","KID":"a"}`, admin, secret), jwt.ErrKey},
		{"a key in the header", signed(`{"alg":"HS256","kid":"a","jwk":{"kty":"oct","kid":"a","k":"`+b64("my own key")+`"}}`, admin, []byte("my own key")), jwt.ErrSignature},
		{"a key's URL in the header", signed(`{"alg":"HS256","kid":"a","jku":"https://evil.example/jwks"}`, admin, []byte("my own key")), jwt.ErrSignature},
		{"a certificate in the header", signed(`{"alg":"HS256","kid":"a","x5c":["`+b64("x")+`"],"x5u":"https://evil.example"}`, admin, []byte("my own key")), jwt.ErrSignature},
	} {
		for _, v := range verifiers {
			for range 2 {
				got, err := v.Verify(t.Context(), c.tok)
				requireCause(t, c.want, err, c.name)
				require.Zero(t, got, c.name)
			}
		}
	}
	for _, v := range verifiers { // all of that has changed nothing
		c, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, "alice", c.Subject)
	}
}

// A Verifier for large tokens is not to be overwhelmed by them: what is deep, has
// many names or is long costs in proportion, or is refused before it does.
func TestLargeHostileTokens(t *testing.T) {
	cfg := lax(keys())
	cfg.MaxBytes = 4 << 20
	structs, free := jwt.MustNewVerifier[everything](cfg), jwt.MustNewVerifier[map[string]any](cfg)
	unit := 1 << 20
	if raceEnabled {
		unit = 1 << 16 // there each byte costs twenty times as much
	}
	same := make([]string, unit/50) // names of one length that differ at their ends alone
	for i := range same {
		same[i] = fmt.Sprintf(`"%s%05d":0`, strings.Repeat("a", 40), i)
	}
	flood := strings.Join(same, ",")
	for name, c := range map[string]struct {
		payload string
		want    error
	}{
		"100,000 arrays deep":          {with(`"any":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), jwt.ErrPayload},
		"100,000 objects deep":         {with(`"any":` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)), jwt.ErrPayload},
		"100,000 trees deep":           {with(`"tree":` + strings.Repeat(`{"kids":[`, 100_000) + strings.Repeat("]}", 100_000)), jwt.ErrPayload},
		"a million brackets":           {`{"x":` + strings.Repeat("[", 1_000_000), jwt.ErrPayload},
		"a million opening braces":     {strings.Repeat("{", 1_000_000), jwt.ErrPayload},
		"names of one prefix":          {with(flood), nil},
		"names of one prefix and one":  {with(flood + "," + same[0]), jwt.ErrPayload},
		"names of one prefix below":    {with(`"any":{` + flood + `}`), nil},
		"names of one prefix in a map": {with(`"map":{` + flood + `}`), nil},
		"long text":                    {with(`"text":"` + strings.Repeat("x", unit) + `"`), nil},
		"long escapes":                 {with(`"text":"` + strings.Repeat(`\u0041`, unit/4) + `"`), nil},
		"long digits":                  {with(`"f64":0.` + strings.Repeat("1", unit)), nil},
		"long exp":                     {`{"exp":` + strings.Repeat("4", unit) + `}`, jwt.ErrClaim},
		"long exponent":                {`{"exp":1e` + strings.Repeat("0", unit) + `10}`, nil},
		"long spaces":                  {with(strings.Repeat(" ", unit) + `"x":1`), nil},
		"long audiences":               {with(`"aud":[` + strings.Repeat(`"a",`, unit/4) + `"b"]`), nil},
		"long and cut off":             {with(`"text":"` + strings.Repeat("x", unit)), jwt.ErrPayload},
	} {
		tok := forge(plainHead, c.payload)
		for _, verify := range []func() error{
			func() error { _, err := structs.Verify(t.Context(), tok); return err },
			func() error { _, err := free.Verify(t.Context(), tok); return err },
		} {
			var err error
			require.Less(t, bytesOf(func() { err = verify() }), uint64(100<<20), name)
			if c.want == nil {
				require.NoError(t, err, name)
			} else {
				requireCause(t, c.want, err, name)
			}
		}
		if len(tok) > 8192 {
			_, err := jwt.PeekUnverified(tok)
			require.ErrorIs(t, err, jwt.ErrTooLarge)
		}
	}
}

// A token is good for what it was made for and for nothing else, although all
// issuers here share one key.
func TestTokensForAnotherPurpose(t *testing.T) {
	k := keys()
	v := jwt.MustNewVerifier[user](jwt.VerifierConfig{
		Keys: k, Issuer: jwt.Is("https://auth"), Audience: jwt.Is("api"), Subject: jwt.Is("alice", "bob"), Type: jwt.Is("at+jwt"),
	})
	const head = `{"alg":"HS256","typ":"at+jwt"}`
	claims := func(iss, aud, sub string) string {
		return `{"iss":` + iss + `,"aud":` + aud + `,"sub":` + sub + `,"exp":4000000000}`
	}
	fit := claims(`"https://auth"`, `"api"`, `"alice"`)
	for _, c := range []struct {
		name, head, payload string
		want                error
	}{
		{"fits", head, fit, nil},
		{"typ as a media type", `{"alg":"HS256","typ":"application/AT+JWT"}`, fit, nil},
		{"several audiences", head, claims(`"https://auth"`, `["web","api"]`, `"bob"`), nil},
		{"a refresh token", `{"alg":"HS256","typ":"rt+jwt"}`, fit, jwt.ErrType},
		{"an ID token", plainHead, fit, jwt.ErrType},
		{"no typ", `{"alg":"HS256"}`, fit, jwt.ErrType},
		{"typ empty", `{"alg":"HS256","typ":""}`, fit, jwt.ErrType},
		{"typ with a space", `{"alg":"HS256","typ":"at+jwt "}`, fit, jwt.ErrType},
		{"typ with a parameter", `{"alg":"HS256","typ":"at+jwt;x=1"}`, fit, jwt.ErrType},
		{"typ with another slash", `{"alg":"HS256","typ":"application/application/at+jwt"}`, fit, jwt.ErrType},
		{"typ in the payload", `{"alg":"HS256"}`, fit[:len(fit)-1] + `,"typ":"at+jwt"}`, jwt.ErrType},
		{"another issuer", head, claims(`"https://evil"`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer with a slash", head, claims(`"https://auth/"`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer in another case", head, claims(`"HTTPS://auth"`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer as a prefix", head, claims(`"https://auth.evil"`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer with NUL", head, claims(`"https://auth\u0000"`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer empty", head, claims(`""`, `"api"`, `"alice"`), jwt.ErrIssuer},
		{"issuer in an array", head, claims(`["https://auth"]`, `"api"`, `"alice"`), jwt.ErrClaim},
		{"issuer under another name", head, `{"Iss":"https://auth","aud":"api","sub":"alice","exp":4000000000}`, jwt.ErrIssuer},
		{"issuer for an audience", head, claims(`"https://auth"`, `"https://auth"`, `"alice"`), jwt.ErrAudience},
		{"another audience", head, claims(`"https://auth"`, `"web"`, `"alice"`), jwt.ErrAudience},
		{"audience as a prefix", head, claims(`"https://auth"`, `"api2"`, `"alice"`), jwt.ErrAudience},
		{"audience in a list of words", head, claims(`"https://auth"`, `"web api"`, `"alice"`), jwt.ErrAudience},
		{"audiences joined", head, claims(`"https://auth"`, `"web,api"`, `"alice"`), jwt.ErrAudience},
		{"no audience", head, claims(`"https://auth"`, `[]`, `"alice"`), jwt.ErrAudience},
		{"empty audiences", head, claims(`"https://auth"`, `["",""]`, `"alice"`), jwt.ErrAudience},
		{"audience nested", head, claims(`"https://auth"`, `[["api"]]`, `"alice"`), jwt.ErrClaim},
		{"another subject", head, claims(`"https://auth"`, `"api"`, `"mallory"`), jwt.ErrSubject},
		{"subject in another case", head, claims(`"https://auth"`, `"api"`, `"Alice"`), jwt.ErrSubject},
		{"subject in another normal form", head, claims(`"https://auth"`, `"api"`, `"alic\u0065\u0301"`), jwt.ErrSubject},
		{"subject empty", head, claims(`"https://auth"`, `"api"`, `""`), jwt.ErrSubject},
	} {
		got, err := v.Verify(t.Context(), forge(c.head, c.payload))
		if c.want == nil {
			require.NoError(t, err, c.name)
			continue
		}
		requireCause(t, c.want, err, c.name)
		require.Zero(t, got)
	}
}

// What is in the cache is no way around a check, and belongs to nobody.
func TestCacheIsNoWayAround(t *testing.T) {
	type rich struct {
		jwt.Registered
		Roles []string          `json:"roles"`
		Meta  map[string]string `json:"meta"`
		Deep  *rich             `json:"deep,omitempty"`
		Any   any               `json:"any"`
	}
	synctest.Test(t, func(t *testing.T) {
		set := jwt.MustNewKeySet(jwt.MustNewKey("a", secret))
		revoked := map[string]bool{}
		cfg := lax(set)
		cfg.Cache = 16
		cfg.Revocation = jwt.RevocationFunc(func(_ context.Context, r jwt.Registered) (bool, error) {
			r.Audience[0] = "changed by the revocation"
			return revoked[r.ID], nil
		})
		v := jwt.MustNewVerifier[rich](cfg)
		i := jwt.MustNewIssuer[rich](jwt.IssuerConfig{Keys: set, Audience: []string{"api"}, TTL: time.Minute, RandomID: true})
		fresh := func() rich {
			return rich{Roles: []string{"user"}, Meta: map[string]string{"a": "b"}, Deep: &rich{Roles: []string{"x"}}, Any: []any{"y"}}
		}
		sign := func() string {
			tok, err := i.Sign(fresh())
			require.NoError(t, err)
			return tok
		}
		tok := sign()
		first, err := v.Verify(t.Context(), tok)
		require.NoError(t, err)
		id := first.ID

		// Changes of one caller are not seen by the next.
		for range 3 {
			c, err := v.Verify(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, fresh().Roles, c.Roles)
			require.Equal(t, fresh().Meta, c.Meta)
			require.Equal(t, "x", c.Deep.Roles[0])
			require.Equal(t, []any{"y"}, c.Any)
			require.Equal(t, jwt.Audience{"api"}, c.Audience)
			c.Roles[0], c.Meta["a"], c.Deep.Roles[0], c.Any.([]any)[0], c.Audience[0] = "admin", "c", "admin", "z", "web"
		}

		// The claims of a good token under another signature are another token.
		bad := []byte(tok)
		bad[len(bad)-1] ^= 1
		_, err = v.Verify(t.Context(), string(bad))
		requireCause(t, jwt.ErrSignature, err)
		p := strings.Split(tok, ".")
		_, err = v.Verify(t.Context(), p[0]+"."+b64(`{"aud":"api","jti":"x","roles":["admin"],"exp":4000000000}`)+"."+p[2])
		requireCause(t, jwt.ErrSignature, err)

		// Revoked, and expired to the second, while it is in the cache.
		revoked[id] = true
		_, err = v.Verify(t.Context(), tok)
		requireCause(t, jwt.ErrRevoked, err)
		delete(revoked, id)
		time.Sleep(time.Minute - time.Nanosecond)
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = v.Verify(t.Context(), tok)
		requireCause(t, jwt.ErrExpired, err)

		// Of a key that is gone.
		tok = sign()
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.NoError(t, set.Rotate(newKey(t, "b"), jwt.Rotation{}))
		_, err = v.Verify(t.Context(), tok)
		require.NoError(t, err)
		require.NoError(t, set.Retire("a"))
		_, err = v.Verify(t.Context(), tok)
		requireCause(t, jwt.ErrKey, err)
	})
}

// Replays and logouts at once end in what one of them alone would: a session that
// is over stays over, and no refresh outlives a logout.
func TestRefreshesAndLogoutsAtOnce(t *testing.T) {
	for range 50 {
		store := jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{})
		s := jwt.MustNewSessions(jwt.SessionsConfig[user]{Keys: keys(), Store: store, Issuer: "i", Audience: []string{"a"}})
		p, err := s.Start(t.Context(), alice())
		require.NoError(t, err)
		var mu sync.Mutex
		var got []jwt.Pair
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				if n == 3 {
					_ = s.Revoke(t.Context(), "alice", p.Session)
					return
				}
				if next, err := s.Refresh(t.Context(), p.Refresh); err == nil {
					mu.Lock()
					got = append(got, next)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for _, next := range got {
			require.Equal(t, got[0].Refresh, next.Refresh, "one successor for all")
			_, err = s.Refresh(t.Context(), next.Refresh)
			requireCause(t, jwt.ErrRevoked, err)
		}
		_, err = s.Refresh(t.Context(), p.Refresh)
		requireCause(t, jwt.ErrRevoked, err)
		revoked, err := s.Revoked(t.Context(), jwt.Registered{Subject: "alice", Session: p.Session})
		require.NoError(t, err)
		require.True(t, revoked)
	}
}
