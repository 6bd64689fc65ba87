package jwthttp_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

var testKeys = jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))

func verifierConfig() jwt.VerifierConfig {
	return jwt.VerifierConfig{Keys: testKeys, Issuer: jwt.Is("i"), Audience: jwt.Is("a"), Subject: jwt.Present(), Type: jwt.Is("JWT")}
}

func sign(t testing.TB, c Claims) string {
	t.Helper()
	c.Subject = "alice"
	tok, err := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: testKeys, Issuer: "i", Audience: []string{"a"}, RandomID: true}).Sign(c)
	require.NoError(t, err)
	return tok
}

// hello answers with the name in the claims.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, ok := jwthttp.From[Claims](r.Context())
	fmt.Fprint(w, c.Name, ok)
})

type fields map[string][]string

func serve(h http.Handler, method string, f fields, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://host.example/x", strings.NewReader(body))
	for name, values := range f {
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const challenge = `Bearer realm="api"`

// Every row of RFC 6750, 3: what comes, and the status and the challenge that it
// is answered with.
func TestAnswersAreThoseOfRFC6750(t *testing.T) {
	good := sign(t, Claims{Name: "Ada"})
	other := sign(t, Claims{Name: "Bob"})
	invalid := challenge + `, error="invalid_token", error_description="the token is invalid"`
	request := challenge + `, error="invalid_request", error_description="the credentials are malformed or ambiguous"`
	for _, c := range []struct {
		name      string
		fields    fields
		status    int
		challenge string
	}{
		{"a good token", fields{"Authorization": {"Bearer " + good}}, 200, ""},
		{"scheme in lower case", fields{"Authorization": {"bearer " + good}}, 200, ""},
		{"scheme in upper case", fields{"Authorization": {"BEARER " + good}}, 200, ""},
		{"more spaces", fields{"Authorization": {"Bearer   " + good}}, 200, ""},
		{"in the cookie", fields{"Cookie": {"t=" + good}}, 200, ""},
		{"in both, the same", fields{"Authorization": {"Bearer " + good}, "Cookie": {"t=" + good}}, 200, ""},
		{"nothing", nil, 401, challenge},
		{"another scheme", fields{"Authorization": {"Basic dTpw"}}, 401, challenge},
		{"a scheme that begins alike", fields{"Authorization": {"BearerX " + good}}, 401, challenge},
		{"no scheme", fields{"Authorization": {good}}, 401, challenge},
		{"an empty field", fields{"Authorization": {""}}, 401, challenge},
		{"another cookie", fields{"Cookie": {"u=" + good}}, 401, challenge},
		{"no token", fields{"Authorization": {"Bearer"}}, 400, request},
		{"an empty token", fields{"Authorization": {"Bearer "}}, 400, request},
		{"padding alone", fields{"Authorization": {"Bearer =="}}, 400, request},
		{"a space after", fields{"Authorization": {"Bearer " + good + " "}}, 400, request},
		{"a second token", fields{"Authorization": {"Bearer " + good + " " + good}}, 400, request},
		{"a comma", fields{"Authorization": {"Bearer " + good + ", Basic x"}}, 400, request},
		{"a tab", fields{"Authorization": {"Bearer\t" + good}}, 401, challenge},
		{"quotes", fields{"Authorization": {`Bearer "` + good + `"`}}, 400, request},
		{"other characters", fields{"Authorization": {"Bearer é"}}, 400, request},
		{"two fields", fields{"Authorization": {"Bearer " + good, "Bearer " + good}}, 400, request},
		{"two fields of two schemes", fields{"Authorization": {"Basic x", "Bearer " + good}}, 400, request},
		{"header and cookie differ", fields{"Authorization": {"Bearer " + good}, "Cookie": {"t=" + other}}, 400, request},
		{"two cookies", fields{"Cookie": {"t=" + good + "; t=" + other}}, 400, request},
		{"two cookies alike", fields{"Cookie": {"t=" + good + "; t=" + good}}, 400, request},
		{"an empty cookie", fields{"Cookie": {"t="}}, 400, request},
		{"a bad signature", fields{"Authorization": {"Bearer " + good[:len(good)-3] + "AAA"}}, 401, invalid},
		{"no JWT", fields{"Authorization": {"Bearer abc"}}, 401, invalid},
		{"padded", fields{"Authorization": {"Bearer " + good + "="}}, 401, invalid},
		{"of none", fields{"Authorization": {"Bearer eyJhbGciOiJub25lIn0.e30."}}, 401, invalid},
		{"too long", fields{"Authorization": {"Bearer " + strings.Repeat("a", 9000)}}, 401, invalid},
		{"three fields", fields{"Authorization": {"", "", "Bearer " + good}}, 400, request},
		{"joined by a comma", fields{"Authorization": {"Bearer " + good + ",Bearer " + good}}, 400, request},
		{"parameters", fields{"Authorization": {"Bearer token=" + good}}, 400, request},
		{"another scheme and a cookie", fields{"Authorization": {"Basic dTpw"}, "Cookie": {"t=" + good}}, 200, ""},
		{"an empty field and a cookie", fields{"Authorization": {""}, "Cookie": {"t=" + good}}, 200, ""},
		{"no token and a cookie", fields{"Authorization": {"Bearer"}, "Cookie": {"t=" + good}}, 400, request},
		{"a bad header and a good cookie", fields{"Authorization": {"Bearer abc"}, "Cookie": {"t=" + good}}, 400, request},
		{"two cookie fields", fields{"Cookie": {"t=" + good, "t=" + good}}, 400, request},
		{"two cookies, one of them broken", fields{"Cookie": {"t=\"x; t=" + good}}, 200, ""},
		{"a cookie in quotes", fields{"Cookie": {`t="` + good + `"`}}, 200, ""},
		{"a cookie in another case", fields{"Cookie": {"T=" + good}}, 401, challenge},
		{"a space before the scheme", fields{"Authorization": {" Bearer " + good}}, 401, challenge},
		{"NUL in the token", fields{"Authorization": {"Bearer " + good + "\x00"}}, 400, request},
		{"a newline in the token", fields{"Authorization": {"Bearer " + good + "\r\nX-Evil: 1"}}, 400, request},
		{"a challenge's end in the token", fields{"Authorization": {`Bearer x", error="none`}}, 400, request},
		{"a scheme of a homoglyph", fields{"Authorization": {"Веarer " + good}}, 401, challenge},
		{"a scheme that folds to ours", fields{"Authorization": {"BeaREr " + good}}, 200, ""},
		{"a scheme with a long s", fields{"Authorization": {"Bearerſ " + good}}, 401, challenge},
		{"the token in another field", fields{"X-Authorization": {"Bearer " + good}, "Proxy-Authorization": {"Bearer " + good}}, 401, challenge},
		{"huge", fields{"Authorization": {"Bearer " + strings.Repeat("a.", 500_000)}}, 401, invalid},
		{"huge, of spaces", fields{"Authorization": {"Bearer" + strings.Repeat(" ", 1_000_000)}}, 400, request},
		{"a bad cookie", fields{"Cookie": {"t=abc"}}, 401, invalid},
	} {
		var told error
		g := jwthttp.MustNew(jwthttp.Config[Claims]{
			Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Cookie: "t", OnError: func(_ *http.Request, err error) { told = err },
		})
		w := serve(g.Handler(hello), "GET", c.fields, "")
		require.Equal(t, c.status, w.Code, c.name)
		require.Equal(t, c.challenge, w.Header().Get("WWW-Authenticate"), c.name)
		require.Equal(t, []string{"Authorization", "Cookie"}, w.Header().Values("Vary"))
		if c.status == 200 {
			require.Equal(t, "Adatrue", w.Body.String(), c.name)
			require.NoError(t, told)
			continue
		}
		require.Error(t, told, c.name)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.NotContains(t, w.Body.String(), "abc")
	}
}

func TestDescriptionsTellWhatTheClientMayKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked, failure := false, error(nil)
		cfg := verifierConfig()
		cfg.Revocation = jwt.RevocationFunc(func(context.Context, jwt.Registered) (bool, error) { return revoked, failure })
		h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](cfg), Realm: "my realm"}).Handler(hello)
		tok := fields{"Authorization": {"Bearer " + sign(t, Claims{})}}
		later := fields{"Authorization": {"Bearer " + sign(t, Claims{Registered: jwt.Registered{NotBefore: jwt.DateOf(time.Now().Add(time.Minute))}})}}

		require.Equal(t, 200, serve(h, "GET", tok, "").Code)
		w := serve(h, "GET", later, "")
		require.Equal(t, `Bearer realm="my realm", error="invalid_token", error_description="the token is not valid yet"`, w.Header().Get("WWW-Authenticate"))
		revoked = true
		w = serve(h, "GET", tok, "")
		require.Equal(t, 401, w.Code)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), `"the token was revoked"`)
		failure = errors.New("secret: the database is at 10.0.0.7")
		w = serve(h, "GET", tok, "")
		require.Equal(t, 503, w.Code, "it fails closed")
		require.Empty(t, w.Header().Get("WWW-Authenticate"))
		require.NotContains(t, w.Body.String(), "10.0.0.7")
		time.Sleep(15 * time.Minute)
		w = serve(h, "GET", tok, "")
		require.Equal(t, 401, w.Code)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), `"the token has expired"`)
	})
}

func TestOptionalLetsThoseWithoutCredentialsPass(t *testing.T) {
	h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Optional: true}).Handler(hello)
	w := serve(h, "GET", nil, "")
	require.Equal(t, "false", w.Body.String())
	require.Equal(t, []string{"Authorization"}, w.Header().Values("Vary"))
	require.Equal(t, "Adatrue", serve(h, "GET", fields{"Authorization": {"Bearer " + sign(t, Claims{Name: "Ada"})}}, "").Body.String())
	require.Equal(t, 401, serve(h, "GET", fields{"Authorization": {"Bearer abc"}}, "").Code)
	require.Equal(t, 400, serve(h, "GET", fields{"Authorization": {"Bearer "}}, "").Code)
}

// A browser's requests from other sites change nothing by a cookie; by a header,
// which only scripts of the own site set, they are none of ours.
func TestCookiesAreGuardedAgainstOtherSites(t *testing.T) {
	h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Cookie: "t"}).Handler(hello)
	tok := sign(t, Claims{Name: "Ada"})
	for _, c := range []struct {
		method, site, origin string
		status               int
	}{
		{"GET", "cross-site", "https://evil.example", 200},
		{"HEAD", "cross-site", "", 200},
		{"POST", "same-origin", "", 200},
		{"POST", "none", "", 200},
		{"POST", "", "", 200}, // no browser
		{"POST", "", "https://host.example", 200},
		{"POST", "cross-site", "", 403},
		{"POST", "same-site", "", 403},
		{"POST", "", "https://evil.example", 403},
		{"DELETE", "cross-site", "https://evil.example", 403},
	} {
		f := fields{"Cookie": {"t=" + tok}}
		if c.site != "" {
			f["Sec-Fetch-Site"] = []string{c.site}
		}
		if c.origin != "" {
			f["Origin"] = []string{c.origin}
		}
		w := serve(h, c.method, f, "")
		require.Equal(t, c.status, w.Code, c)
		if c.status == 403 {
			require.Contains(t, w.Body.String(), "cross_origin")
			require.Empty(t, w.Header().Get("WWW-Authenticate"))
		}
		delete(f, "Cookie")
		f["Authorization"] = []string{"Bearer " + tok}
		require.Equal(t, 200, serve(h, c.method, f, "").Code)
	}
}

// What a request says its method really is changes nothing of what other sites may
// cause: the method is that of the request.
func TestMethodsAreNotOverridden(t *testing.T) {
	h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Cookie: "t"}).Handler(hello)
	cookie := []string{"t=" + sign(t, Claims{Name: "Ada"})}
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		f := fields{"Cookie": cookie, "Sec-Fetch-Site": {"cross-site"}, name: {"GET"}}
		require.Equal(t, 403, serve(h, "POST", f, "_method=GET").Code, name)
		f[name] = []string{"POST"}
		require.Equal(t, 200, serve(h, "GET", f, "").Code, name)
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE", "PROPFIND", "post", ""} {
		f := fields{"Cookie": cookie, "Sec-Fetch-Site": {"cross-site"}}
		want := 403
		if method == "" { // which is GET
			want = 200
		}
		require.Equal(t, want, serve(h, method, f, "").Code, method)
	}
}

// Over a real HTTP/2 connection: the same answers, and pseudo fields are none.
func TestGuardOverHTTP2(t *testing.T) {
	h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Cookie: "t"}).Handler(hello)
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	good := sign(t, Claims{Name: "Ada"})
	for name, c := range map[string]struct {
		fields fields
		status int
	}{
		"a token":       {fields{"Authorization": {"Bearer " + good}}, 200},
		"nothing":       {nil, 401},
		"two fields":    {fields{"Authorization": {"Bearer " + good, "Bearer " + good}}, 400},
		"cookie crumbs": {fields{"Cookie": {"a=b", "t=" + good, "c=d"}}, 200},
		"two crumbs":    {fields{"Cookie": {"t=" + good, "t=" + good}}, 400},
		"a bad one":     {fields{"Authorization": {"Bearer abc"}}, 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		require.NoError(t, err)
		maps.Copy(r.Header, c.fields)
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 2, res.ProtoMajor)
		require.Equal(t, c.status, res.StatusCode, name)
	}
	server.Client().CloseIdleConnections()
}

func TestQueriesAreNoSource(t *testing.T) {
	h := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig())}).Handler(hello)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/?access_token="+sign(t, Claims{}), nil))
	require.Equal(t, 401, w.Code)
}

func TestClaimsAreFoundByTheirType(t *testing.T) {
	type others struct{ jwt.Registered }
	g := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig())})
	var ctx context.Context
	h := g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }))
	require.Equal(t, 200, serve(h, "GET", fields{"Authorization": {"Bearer " + sign(t, Claims{})}}, "").Code)
	_, ok := jwthttp.From[others](ctx)
	require.False(t, ok)
	_, ok = jwthttp.From[*Claims](ctx)
	require.False(t, ok)
	c, ok := jwthttp.From[Claims](ctx)
	require.True(t, ok)
	require.Equal(t, "alice", c.Subject)
	_, ok = jwthttp.From[Claims](t.Context())
	require.False(t, ok)
}

func TestRequireWantsMore(t *testing.T) {
	var told error
	g := jwthttp.MustNew(jwthttp.Config[Claims]{
		Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Optional: true,
		Scopes:  func(c Claims) []string { return strings.Fields(c.Scope) },
		OnError: func(_ *http.Request, err error) { told = err },
	})
	cause := errors.New("the reason, which is internal")
	admin := g.Handler(g.Require(func(_ *http.Request, c Claims) error {
		if c.Role != "admin" {
			return cause
		}
		return nil
	})(hello))
	scoped := g.Handler(g.RequireScope("read", "write")(hello))
	with := func(c Claims) fields { return fields{"Authorization": {"Bearer " + sign(t, c)}} }

	require.Equal(t, 200, serve(admin, "GET", with(Claims{Role: "admin"}), "").Code)
	w := serve(admin, "GET", with(Claims{Role: "user"}), "")
	require.Equal(t, 403, w.Code)
	require.Equal(t, challenge+`, error="insufficient_scope", error_description="the token does not grant this"`, w.Header().Get("WWW-Authenticate"))
	require.NotContains(t, w.Body.String(), "internal")
	require.ErrorIs(t, told, cause)
	w = serve(admin, "GET", nil, "")
	require.Equal(t, 401, w.Code)
	require.Equal(t, challenge, w.Header().Get("WWW-Authenticate"))

	for scope, status := range map[string]int{"read write": 200, "write x read": 200, "read": 403, "readwrite": 403, "": 403, "READ WRITE": 403} {
		w = serve(scoped, "GET", with(Claims{Scope: scope}), "")
		require.Equal(t, status, w.Code, scope)
		if status == 403 {
			require.True(t, strings.HasSuffix(w.Header().Get("WWW-Authenticate"), `, scope="read write"`))
		}
	}
	require.Panics(t, func() { g.RequireScope("a b") })
	require.Panics(t, func() { g.RequireScope(`"`) })
	require.Panics(t, func() {
		jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig())}).RequireScope("a")
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	_, err := jwthttp.New(jwthttp.Config[Claims]{})
	require.ErrorContains(t, err, "Config.Verifier is nil")
	for _, realm := range []string{`a"b`, "a\nb", `a\b`, "é"} {
		_, err = jwthttp.New(jwthttp.Config[Claims]{Verifier: jwt.MustNewVerifier[Claims](verifierConfig()), Realm: realm})
		require.ErrorContains(t, err, "Config.Realm")
	}
	require.Panics(t, func() { jwthttp.MustNew(jwthttp.Config[Claims]{}) })
	require.Panics(t, func() { jwthttp.MustNewRefresher(jwthttp.RefreshConfig[Claims]{}) })
	_, err = jwthttp.NewRefresher(jwthttp.RefreshConfig[Claims]{Sessions: new(jwt.Sessions[Claims]), Cookie: "refresh"})
	require.ErrorContains(t, err, "__Host-")
}
