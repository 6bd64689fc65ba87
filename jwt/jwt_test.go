package jwt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
)

func TestVerifierReturnsWhatTheIssuerSigned(t *testing.T) {
	k := keys()
	tok, err := issuer(k).Sign(alice())
	require.NoError(t, err)
	c, err := jwt.MustNewVerifier[user](strict(k)).Verify(t.Context(), tok)
	require.NoError(t, err)
	require.Equal(t, "alice", c.Subject)
	require.Equal(t, int64(7), c.ID)
	require.Equal(t, "admin", c.Role)
	require.Equal(t, "https://auth", c.Issuer)
	require.Equal(t, jwt.Audience{"api"}, c.Audience)
	require.True(t, c.Audience.Has("api"))
	require.False(t, c.Audience.Has("other"))
	require.WithinDuration(t, time.Now().Add(15*time.Minute), c.Expires.Time(), 2*time.Second)
	require.WithinDuration(t, time.Now(), c.IssuedAt.Time(), 2*time.Second)
}

func TestVerifyIntoReusesClaimsAndForgetsTheLastOnes(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	c := alice()
	require.NoError(t, v.VerifyInto(t.Context(), []byte(forge(plainHead, `{"id":9}`)), &c))
	require.Equal(t, user{ID: 9}, c)
	tok := []byte(forge(plainHead, `{"role":"editor"}`))
	require.NoError(t, v.VerifyInto(t.Context(), tok, &c))
	clear(tok)
	require.Equal(t, user{Role: "editor"}, c, "the claims hold no part of the token's bytes")
}

// Each expectation is about its claim alone, and its refusal has its own cause.
func TestVerifierChecksWhatIsExpected(t *testing.T) {
	payload := func(iss, aud, sub string) string {
		return fmt.Sprintf(`{"exp":4000000000%s%s%s}`, iss, aud, sub)
	}
	const iss, aud, sub = `,"iss":"https://auth"`, `,"aud":["x","api"]`, `,"sub":"alice"`
	for _, c := range []struct {
		name   string
		head   string
		claims string
		change func(*jwt.VerifierConfig)
		want   error
	}{
		{"all there", plainHead, payload(iss, aud, sub), nil, nil},
		{"aud a string", plainHead, payload(iss, `,"aud":"api"`, sub), nil, nil},
		{"iss missing", plainHead, payload("", aud, sub), nil, jwt.ErrIssuer},
		{"iss another", plainHead, payload(`,"iss":"https://evil"`, aud, sub), nil, jwt.ErrIssuer},
		{"iss with a slash more", plainHead, payload(`,"iss":"https://auth/"`, aud, sub), nil, jwt.ErrIssuer},
		{"iss in another case", plainHead, payload(`,"iss":"https://AUTH"`, aud, sub), nil, jwt.ErrIssuer},
		{"iss empty", plainHead, payload(`,"iss":""`, aud, sub), nil, jwt.ErrIssuer},
		{"aud missing", plainHead, payload(iss, "", sub), nil, jwt.ErrAudience},
		{"aud another", plainHead, payload(iss, `,"aud":"web"`, sub), nil, jwt.ErrAudience},
		{"aud empty", plainHead, payload(iss, `,"aud":[]`, sub), nil, jwt.ErrAudience},
		{"aud a part of it", plainHead, payload(iss, `,"aud":"api2"`, sub), nil, jwt.ErrAudience},
		{"sub missing", plainHead, payload(iss, aud, ""), nil, jwt.ErrSubject},
		{"sub empty", plainHead, payload(iss, aud, `,"sub":""`), nil, jwt.ErrSubject},
		{"typ missing", `{"alg":"HS256"}`, payload(iss, aud, sub), nil, jwt.ErrType},
		{"typ another", `{"alg":"HS256","typ":"rt+jwt"}`, payload(iss, aud, sub), nil, jwt.ErrType},
		{"typ in another case", `{"alg":"HS256","typ":"jwt"}`, payload(iss, aud, sub), nil, nil},
		{"typ in full", `{"alg":"HS256","typ":"application/JWT"}`, payload(iss, aud, sub), nil, nil},
		{"typ with another tree", `{"alg":"HS256","typ":"text/JWT"}`, payload(iss, aud, sub), nil, jwt.ErrType},
		{"typ with two slashes", `{"alg":"HS256","typ":"application/x/jwt"}`, payload(iss, aud, sub), nil, jwt.ErrType},
		{"typ empty", `{"alg":"HS256","typ":""}`, payload(iss, aud, sub), nil, jwt.ErrType},
		{"two issuers", plainHead, payload(`,"iss":"https://old"`, aud, sub), func(c *jwt.VerifierConfig) { c.Issuer = jwt.Is("https://auth", "https://old") }, nil},
		{"one subject", plainHead, payload(iss, aud, sub), func(c *jwt.VerifierConfig) { c.Subject = jwt.Is("bob") }, jwt.ErrSubject},
		{"the subject", plainHead, payload(iss, aud, sub), func(c *jwt.VerifierConfig) { c.Subject = jwt.Is("alice") }, nil},
		{"iss present", plainHead, payload(`,"iss":"x"`, aud, sub), func(c *jwt.VerifierConfig) { c.Issuer = jwt.Present() }, nil},
		{"iss not present", plainHead, payload("", aud, sub), func(c *jwt.VerifierConfig) { c.Issuer = jwt.Present() }, jwt.ErrIssuer},
		{"aud present", plainHead, payload(iss, `,"aud":["",""]`, sub), func(c *jwt.VerifierConfig) { c.Audience = jwt.Present() }, jwt.ErrAudience},
		{"typ present", `{"alg":"HS256"}`, payload(iss, aud, sub), func(c *jwt.VerifierConfig) { c.Type = jwt.Present() }, jwt.ErrType},
		{"another typ", `{"alg":"HS256","typ":"application/AT+jwt"}`, payload(iss, aud, sub), func(c *jwt.VerifierConfig) { c.Type = jwt.Is("at+JWT") }, nil},
		{"iss waived", plainHead, payload("", aud, sub), func(c *jwt.VerifierConfig) { c.Issuer = jwt.Any() }, nil},
		{"aud waived", plainHead, payload(iss, "", sub), func(c *jwt.VerifierConfig) { c.Audience = jwt.Any() }, nil},
		{"sub waived", plainHead, payload(iss, aud, ""), func(c *jwt.VerifierConfig) { c.Subject = jwt.Any() }, nil},
		{"typ waived", `{"alg":"HS256","typ":"x"}`, payload(iss, aud, sub), func(c *jwt.VerifierConfig) { c.Type = jwt.Any() }, nil},
		{"exp missing", plainHead, `{"iss":"https://auth","aud":"api","sub":"alice"}`, nil, jwt.ErrClaim},
		{"exp waived", plainHead, `{"iss":"https://auth","aud":"api","sub":"alice"}`, func(c *jwt.VerifierConfig) { c.NoExpiry = true }, nil},
		{"exp waived but past", plainHead, `{"iss":"https://auth","aud":"api","sub":"alice","exp":1}`, func(c *jwt.VerifierConfig) { c.NoExpiry = true }, jwt.ErrExpired},
	} {
		cfg := strict(keys())
		if c.change != nil {
			c.change(&cfg)
		}
		got, err := jwt.MustNewVerifier[user](cfg).Verify(t.Context(), forge(c.head, c.claims))
		if c.want == nil {
			require.NoError(t, err, c.name)
			continue
		}
		requireCause(t, c.want, err, c.name)
		require.Zero(t, got)
	}
}

// rejecting is claims that never pass.
type rejecting struct {
	jwt.Registered
}

func (*rejecting) Validate(context.Context) error { return errCause }

// A token with many faults is refused for the first of them; with each that is
// mended the next one shows.
func TestErrorsComeInAFixedOrder(t *testing.T) {
	cfg := strict(jwt.MustNewKeySet(jwt.MustNewKey("k", secret)))
	cfg.Revocation = jwt.RevocationFunc(func(_ context.Context, r jwt.Registered) (bool, error) { return r.ID == "revoked", nil })
	v := jwt.MustNewVerifier[rejecting](cfg)
	body := func(exp, nbf, iss, aud, sub, jti string) string {
		return b64(fmt.Sprintf(`{"exp":%s,"nbf":%s,"iss":"%s","aud":"%s","sub":"%s","jti":"%s"}`, exp, nbf, iss, aud, sub, jti))
	}
	bad := strings.Repeat("A", 43)
	worst := body(`"x"`, "null", "x", "x", "", "revoked")
	for i, c := range []struct {
		tok  string
		want error
	}{
		{strings.Repeat(".", 9000), jwt.ErrTooLarge},
		{b64(`{"alg":"none"`) + "." + worst + ".." + bad, jwt.ErrMalformed},
		{b64(`{"alg":"none","crit":[],`) + "." + worst + "." + bad, jwt.ErrHeader},
		{b64(`{"alg":"none","crit":[]}`) + "." + worst + "." + bad, jwt.ErrCritical},
		{b64(`{"alg":"none"}`) + "." + worst + "." + bad, jwt.ErrAlgorithm},
		{b64(`{"alg":"HS256"}`) + "." + worst + "." + bad, jwt.ErrKey},
		{b64(`{"alg":"HS256","kid":"k"}`) + "." + worst + "." + bad, jwt.ErrSignature},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k"}`), worst+"="), jwt.ErrPayload},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k"}`), worst), jwt.ErrClaim},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k"}`), body("1", "2000000000000", "x", "x", "", "revoked")), jwt.ErrType},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("1", "2000000000000", "x", "x", "", "revoked")), jwt.ErrExpired},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "3999999999", "x", "x", "", "revoked")), jwt.ErrNotYetValid},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "1", "x", "x", "", "revoked")), jwt.ErrIssuer},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "1", "https://auth", "x", "", "revoked")), jwt.ErrAudience},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "1", "https://auth", "api", "", "revoked")), jwt.ErrSubject},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "1", "https://auth", "api", "a", "revoked")), jwt.ErrRevoked},
		{forgeRaw(b64(`{"alg":"HS256","kid":"k","typ":"JWT"}`), body("4000000000", "1", "https://auth", "api", "a", "b")), jwt.ErrRejected},
	} {
		_, err := v.Verify(t.Context(), c.tok)
		requireCause(t, c.want, err, i)
	}
}

// An expired token with a bad signature is forged, and not expired.
func TestForgedAndExpiredIsForged(t *testing.T) {
	tok := forge(plainHead, `{"exp":1}`)
	_, err := jwt.MustNewVerifier[user](lax(keys())).Verify(t.Context(), tok[:len(tok)-4]+"AAAA")
	requireCause(t, jwt.ErrSignature, err)
}

func TestNewVerifierNamesWhatIsWrong(t *testing.T) {
	for field, change := range map[string]func(*jwt.VerifierConfig){
		"Keys":     func(c *jwt.VerifierConfig) { c.Keys = nil },
		"Issuer":   func(c *jwt.VerifierConfig) { c.Issuer = jwt.Expectation{} },
		"Audience": func(c *jwt.VerifierConfig) { c.Audience = jwt.Expectation{} },
		"Subject":  func(c *jwt.VerifierConfig) { c.Subject = jwt.Is("a", "") },
		"Type":     func(c *jwt.VerifierConfig) { c.Type = jwt.Expectation{} },
		"Leeway":   func(c *jwt.VerifierConfig) { c.Leeway = -1 },
		"MaxBytes": func(c *jwt.VerifierConfig) { c.MaxBytes = -1 },
		"Cache":    func(c *jwt.VerifierConfig) { c.Cache = -1 },
	} {
		cfg := strict(keys())
		change(&cfg)
		_, err := jwt.NewVerifier[user](cfg)
		require.ErrorContains(t, err, "VerifierConfig."+field, field)
		require.Panics(t, func() { jwt.MustNewVerifier[user](cfg) })
	}
}

func TestMaxBytesCountsTheWholeToken(t *testing.T) {
	tok := forge(plainHead, good)
	cfg := lax(keys())
	cfg.MaxBytes = len(tok)
	_, err := jwt.MustNewVerifier[user](cfg).Verify(t.Context(), tok)
	require.NoError(t, err)
	cfg.MaxBytes--
	v := jwt.MustNewVerifier[user](cfg)
	_, err = v.Verify(t.Context(), tok)
	requireCause(t, jwt.ErrTooLarge, err)
	requireCause(t, jwt.ErrTooLarge, v.VerifyInto(t.Context(), []byte(tok), new(user)))
}

// Names of claims are exact: what differs in case is another claim, and no way to
// override one.
func TestClaimNamesAreExact(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	c, err := v.Verify(t.Context(), forge(plainHead, `{"sub":"alice","SUB":"root","Sub":"root","role":"user","Role":"admin","ROLE":"admin","ſub":"root"}`))
	require.NoError(t, err)
	require.Equal(t, "alice", c.Subject)
	require.Equal(t, "user", c.Role)
}

func TestRevocationIsAskedLastAndFailsClosed(t *testing.T) {
	var asked []jwt.Registered
	revoked, failure := false, error(nil)
	cfg := strict(keys())
	cfg.Cache = 16
	cfg.Revocation = jwt.RevocationFunc(func(_ context.Context, r jwt.Registered) (bool, error) {
		asked = append(asked, r)
		return revoked, failure
	})
	v := jwt.MustNewVerifier[user](cfg)
	tok := func(jti string) string {
		return forge(plainHead, fmt.Sprintf(`{"iss":"https://auth","aud":"api","sub":"alice","sid":"s","exp":%d%s}`, unix(time.Hour), jti))
	}
	_, err := v.Verify(t.Context(), tok(""))
	requireCause(t, jwt.ErrClaim, err)
	_, err = v.Verify(t.Context(), tok(`,"jti":""`))
	requireCause(t, jwt.ErrClaim, err)
	require.Empty(t, asked, "a token without an id is refused without a question")

	one := tok(`,"jti":"1"`)
	for range 2 {
		c, err := v.Verify(t.Context(), one)
		require.NoError(t, err)
		require.Equal(t, "alice", c.Subject)
	}
	require.Len(t, asked, 2, "from the cache it is asked about as well")
	require.Equal(t, "1", asked[0].ID)
	require.Equal(t, "alice", asked[0].Subject)
	require.Equal(t, "s", asked[1].Session)
	require.Equal(t, asked[0], asked[1])

	failure = errCause
	_, err = v.Verify(t.Context(), one)
	requireCause(t, jwt.ErrUnavailable, err)
	require.ErrorIs(t, err, errCause)
	failure, revoked = nil, true
	c, err := v.Verify(t.Context(), one)
	requireCause(t, jwt.ErrRevoked, err)
	require.Zero(t, c)
	expired := forge(plainHead, `{"iss":"https://auth","aud":"api","sub":"alice","exp":5,"jti":"1"}`)
	n := len(asked)
	_, err = v.Verify(t.Context(), expired)
	requireCause(t, jwt.ErrExpired, err)
	require.Len(t, asked, n)
}

// editing is claims whose Validate changes them.
type editing struct {
	jwt.Registered
	N    int    `json:"n"`
	Name string `json:"name"`
}

func (e *editing) Validate(context.Context) error {
	e.N++
	if e.Name == "mallory" {
		return errCause
	}
	return nil
}

func TestValidateIsTheLastCheck(t *testing.T) {
	for _, cache := range []int{0, 16} {
		cfg := lax(keys())
		cfg.Cache = cache
		v := jwt.MustNewVerifier[editing](cfg)
		for range 3 {
			c, err := v.Verify(t.Context(), forge(plainHead, `{"n":1,"name":"alice"}`))
			require.NoError(t, err)
			require.Equal(t, 2, c.N, "what it changes is the caller's, each time anew")
			c, err = v.Verify(t.Context(), forge(plainHead, `{"name":"mallory"}`))
			requireCause(t, jwt.ErrRejected, err)
			require.ErrorIs(t, err, errCause)
			require.Zero(t, c)
		}
	}
}

// An error says what it must and nothing of the token's values.
func TestErrorTellsNoValues(t *testing.T) {
	v := jwt.MustNewVerifier[user](strict(keys()))
	hidden := "t0psecret-value"
	for _, payload := range []string{
		`{"exp":1,"sub":"` + hidden + `"}`, `{"exp":4000000000,"iss":"` + hidden + `"}`, `{"x":"` + hidden + `","x":1}`,
		`{"exp":"` + hidden + `"}`, `{"sub":"` + hidden, `{"role":["` + hidden + `"]}`,
	} {
		_, err := v.Verify(t.Context(), forge(plainHead, payload))
		require.Error(t, err)
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("refused", "err", err)
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), log.String()} {
			require.NotContains(t, text, hidden)
			require.NotContains(t, text, b64(payload))
		}
	}
}

func TestErrorSaysByHowMuch(t *testing.T) {
	_, err := jwt.MustNewVerifier[user](lax(keys())).Verify(t.Context(), forge(plainHead, fmt.Sprintf(`{"exp":%d}`, unix(-7*time.Minute))))
	require.Regexp(t, `^jwt: token has expired: "exp" \(7m\d*s ago\)$`, err.Error())
	_, err = jwt.MustNewVerifier[user](lax(keys())).Verify(t.Context(), forge(plainHead, fmt.Sprintf(`{"nbf":%d}`, unix(time.Hour))))
	require.Regexp(t, `^jwt: token is not valid yet: "nbf" \(in (1h0m0s|59m\d+s)\)$`, err.Error())
	var e *jwt.Error
	require.ErrorAs(t, err, &e)
	require.WithinDuration(t, e.Now.Add(time.Hour), e.At, 2*time.Second)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("refused", "err", err)
	require.Contains(t, log.String(), "err.claim")
	require.Contains(t, log.String(), "err.at=")
}

// The name of a claim may be a client's: it is quoted and cut.
func TestErrorQuotesNames(t *testing.T) {
	v := jwt.MustNewVerifier[user](lax(keys()))
	_, err := v.Verify(t.Context(), forge(plainHead, `{"a\u001b[31m\n`+strings.Repeat("x", 200)+`":tru}`))
	requireCause(t, jwt.ErrPayload, err)
	require.NotContains(t, err.Error(), "\x1b")
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 300)
}

func TestDateAndAudienceAsJSON(t *testing.T) {
	require.Equal(t, jwt.Date(1300819380), jwt.DateOf(time.Unix(1300819380, 999)))
	require.True(t, jwt.Date(0).Time().IsZero())
	for text, want := range map[string]jwt.Audience{`"a"`: {"a"}, `["a","b"]`: {"a", "b"}, `[]`: {}} {
		var got jwt.Audience
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, want, got)
		back, err := json.Marshal(got)
		require.NoError(t, err)
		require.Equal(t, text, string(back))
	}
	require.Error(t, json.Unmarshal([]byte(`[1]`), new(jwt.Audience)))
	require.Error(t, json.Unmarshal([]byte(`1`), new(jwt.Audience)))
}

func TestPeekUnverified(t *testing.T) {
	u, err := jwt.PeekUnverified(forge(`{"alg":"HS256","kid":"k","typ":"at+jwt"}`, `{"sub":"alice","aud":"api","exp":5,"x":1}`))
	require.NoError(t, err)
	require.Equal(t, jwt.Unverified{
		Algorithm: "HS256", KeyID: "k", Type: "at+jwt",
		Claims:  jwt.Registered{Subject: "alice", Audience: jwt.Audience{"api"}, Expires: 5},
		Payload: []byte(`{"sub":"alice","aud":"api","exp":5,"x":1}`),
	}, u)
	u, err = jwt.PeekUnverified(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	require.NoError(t, err, "it is for finding out what a token is")
	require.Equal(t, "none", u.Algorithm)
	for tok, want := range map[string]error{
		"":                        jwt.ErrMalformed,
		strings.Repeat("A", 9000): jwt.ErrTooLarge,
		"a.b":                     jwt.ErrMalformed,
		"a.b.c.d":                 jwt.ErrMalformed,
		"!." + b64(good) + ".x":   jwt.ErrHeader,
		b64(plainHead) + ".!.x":   jwt.ErrPayload,
		b64(plainHead) + "." + b64(`{"a":1,"a":1}`) + ".x": jwt.ErrPayload,
		b64(`{"crit":[]}`) + "." + b64(good) + ".x":        jwt.ErrCritical,
		b64(plainHead) + "." + b64(`{"exp":"1"}`) + ".x":   jwt.ErrClaim,
	} {
		u, err = jwt.PeekUnverified(tok)
		requireCause(t, want, err, tok)
		require.Zero(t, u)
	}
}
