package jwthttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

const hostCookie = "__Host-refresh"

// shop is a refresher and what it refreshes.
func shop(t *testing.T, cookie string, store jwt.RefreshStore) (*jwthttp.Refresher[Claims], jwt.Pair, *error) {
	s := jwt.MustNewSessions(jwt.SessionsConfig[Claims]{Keys: testKeys, Store: store, Issuer: "i", Audience: []string{"a"}, Grace: -1})
	p, err := s.Start(t.Context(), Claims{Registered: jwt.Registered{Subject: "alice"}})
	require.NoError(t, err)
	told := new(error)
	return jwthttp.MustNewRefresher(jwthttp.RefreshConfig[Claims]{
		Sessions: s, Cookie: cookie, OnError: func(_ *http.Request, err error) { *told = err },
	}), p, told
}

func memory() *jwt.MemoryStore { return jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}) }

type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

func form(token string) string { return url.Values{"refresh_token": {token}}.Encode() }

var (
	asForm = []string{"application/x-www-form-urlencoded"}
	asJSON = []string{"application/json; charset=utf-8"}
)

func TestRefresherTakesBodies(t *testing.T) {
	for _, kind := range []string{"form", "json", "grant"} {
		h, p, told := shop(t, "", memory())
		body, f := form(p.Refresh), fields{"Content-Type": asForm}
		switch kind {
		case "json":
			body, f["Content-Type"] = `{"refresh_token":"`+p.Refresh+`"}`, asJSON
		case "grant":
			body += "&grant_type=refresh_token"
		}
		w := serve(h, "POST", f, body)
		require.Equal(t, 200, w.Code, kind)
		require.NoError(t, *told)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "no-cache", w.Header().Get("Pragma"))
		var got tokens
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, "Bearer", got.Type)
		require.InDelta(t, 900, got.Expires, 2)
		require.NotEqual(t, p.Refresh, got.Refresh)
		require.NotEmpty(t, got.Access)

		w = serve(h, "POST", f, body)
		require.Equal(t, 400, w.Code, "it was used")
		require.JSONEq(t, `{"error":"invalid_grant","error_description":"the token was revoked"}`, w.Body.String())
		require.ErrorIs(t, *told, jwt.ErrReused)
	}
}

func TestRefresherKeepsTheTokenInACookie(t *testing.T) {
	h, p, told := shop(t, hostCookie, memory())
	w := serve(h, "POST", fields{"Cookie": {hostCookie + "=" + p.Refresh}, "Sec-Fetch-Site": {"same-origin"}}, "")
	require.Equal(t, 200, w.Code)
	require.NotContains(t, w.Body.String(), "refresh_token")
	cookie := w.Result().Cookies()[0]
	require.Equal(t, hostCookie, cookie.Name)
	require.True(t, cookie.HttpOnly && cookie.Secure)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, "/", cookie.Path)
	require.Empty(t, cookie.Domain)

	w = serve(h, "POST", fields{"Cookie": {hostCookie + "=" + cookie.Value}, "Sec-Fetch-Site": {"cross-site"}}, "")
	require.Equal(t, 403, w.Code)
	require.Contains(t, (*told).Error(), "cross-origin")
	w = serve(h, "POST", fields{"Cookie": {hostCookie + "=" + cookie.Value}}, "")
	require.Equal(t, 200, w.Code, "what was refused was not spent")
	w = serve(h, "POST", fields{"Cookie": {hostCookie + "=" + p.Refresh}}, "")
	require.Equal(t, 400, w.Code)
	gone := w.Result().Cookies()[0]
	require.Empty(t, gone.Value, "a cookie of no use is taken back")
	require.Equal(t, int64(1), gone.Expires.Unix())
}

func TestRefresherRefuses(t *testing.T) {
	h, p, _ := shop(t, hostCookie, memory())
	cookie := hostCookie + "=" + p.Refresh
	for _, c := range []struct {
		name, method string
		fields       fields
		body         string
		status       int
		code         string
	}{
		{"GET", "GET", fields{"Cookie": {cookie}}, "", 405, "invalid_request"},
		{"nothing", "POST", nil, "", 400, "invalid_request"},
		{"the access token in the header", "POST", fields{"Authorization": {"Bearer " + p.Access}}, "", 400, "invalid_request"},
		{"the refresh token in the header", "POST", fields{"Authorization": {"Bearer " + p.Refresh}}, "", 400, "invalid_request"},
		{"an access token", "POST", fields{"Content-Type": asForm}, form(p.Access), 400, "invalid_grant"},
		{"nonsense", "POST", fields{"Content-Type": asForm}, form("abc"), 400, "invalid_grant"},
		{"no token's characters", "POST", fields{"Content-Type": asForm}, form("a b"), 400, "invalid_request"},
		{"two in the form", "POST", fields{"Content-Type": asForm}, form(p.Refresh) + "&" + form(p.Refresh), 400, "invalid_request"},
		{"another grant", "POST", fields{"Content-Type": asForm}, form(p.Refresh) + "&grant_type=password", 400, "invalid_request"},
		{"a broken form", "POST", fields{"Content-Type": asForm}, "refresh_token=%zz", 400, "invalid_request"},
		{"broken JSON", "POST", fields{"Content-Type": asJSON}, "{", 400, "invalid_request"},
		{"JSON with a number", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":1}`, 400, "invalid_request"},
		{"JSON with null", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":null}`, 400, "invalid_request"},
		{"JSON with an array", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":["` + p.Refresh + `"]}`, 400, "invalid_request"},
		{"JSON that is an array", "POST", fields{"Content-Type": asJSON}, `["` + p.Refresh + `"]`, 400, "invalid_request"},
		{"JSON with the name twice", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":"a","refresh_token":"` + p.Refresh + `"}`, 400, "invalid_request"},
		{"JSON with the name twice by an escape", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":"a","\u0072efresh_token":"` + p.Refresh + `"}`, 400, "invalid_request"},
		{"JSON with the name in another case", "POST", fields{"Content-Type": asJSON}, `{"Refresh_Token":"` + p.Refresh + `"}`, 400, "invalid_request"},
		{"JSON with another grant", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":"` + p.Refresh + `","grant_type":"password"}`, 400, "invalid_request"},
		{"JSON with data after", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":"` + p.Refresh + `"}{}`, 400, "invalid_request"},
		{"JSON cut off", "POST", fields{"Content-Type": asJSON}, `{"refresh_token":"` + p.Refresh + `"`, 400, "invalid_request"},
		{"JSON cut off in the name", "POST", fields{"Content-Type": asJSON}, `{"refresh_tok`, 400, "invalid_request"},
		{"JSON, deep", "POST", fields{"Content-Type": asJSON}, `{"x":` + strings.Repeat("[", 16000), 400, "invalid_request"},
		{"a type that is none", "POST", fields{"Content-Type": {"application/json;;"}}, `{}`, 400, "invalid_request"},
		{"a body in parts", "POST", fields{"Content-Type": {"multipart/form-data; boundary=x"}}, "--x--", 400, "invalid_request"},
		{"a semicolon in the form", "POST", fields{"Content-Type": asForm}, "a=b;" + form(p.Refresh), 400, "invalid_request"},
		{"the token in the query alone", "POST", fields{"Content-Type": asForm}, "x=y", 400, "invalid_request"},
		{"PUT", "PUT", fields{"Cookie": {cookie}}, "", 405, "invalid_request"},
		{"HEAD", "HEAD", fields{"Cookie": {cookie}}, "", 405, "invalid_request"},
		{"GET that says it is POST", "GET", fields{"Cookie": {cookie}, "X-Http-Method-Override": {"POST"}}, "", 405, "invalid_request"},
		{"another site with the cookie", "POST", fields{"Cookie": {cookie}, "Sec-Fetch-Site": {"cross-site"}}, "", 403, "cross_origin"},
		{"another site with a token of its own", "POST", fields{"Content-Type": asForm, "Sec-Fetch-Site": {"cross-site"}}, form(p.Refresh), 403, "cross_origin"},
		{"another origin with a token of its own", "POST", fields{"Content-Type": asForm, "Origin": {"https://evil.example"}}, form(p.Refresh), 403, "cross_origin"},
		{"origin null", "POST", fields{"Content-Type": asForm, "Origin": {"null"}}, form(p.Refresh), 403, "cross_origin"},
		{"text", "POST", fields{"Content-Type": {"text/plain"}}, p.Refresh, 400, "invalid_request"},
		{"no type", "POST", nil, p.Refresh, 400, "invalid_request"},
		{"two cookies", "POST", fields{"Cookie": {cookie + "; " + cookie}}, "", 400, "invalid_request"},
		{"body and cookie differ", "POST", fields{"Cookie": {cookie}, "Content-Type": asForm}, form(p.Access), 400, "invalid_request"},
		{"too much", "POST", fields{"Content-Type": asForm}, form(strings.Repeat("a", 20_000)), 413, "invalid_request"},
	} {
		w := serve(h, c.method, c.fields, c.body)
		require.Equal(t, c.status, w.Code, c.name)
		var got tokens
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, c.code, got.Error, c.name)
		require.NotContains(t, w.Body.String(), "eyJ")
		if c.status == 405 {
			require.Equal(t, "POST", w.Header().Get("Allow"))
		}
	}
	require.Equal(t, 200, serve(h, "POST", fields{"Cookie": {cookie}}, "").Code, "nothing of this has spent the token")
}

// broken is a store that begins sessions and then fails.
type broken struct{ *jwt.MemoryStore }

func (b broken) Rotate(ctx context.Context, step jwt.RefreshStep) (jwt.RefreshResult, error) {
	if step.From != "" {
		return jwt.RefreshResult{}, errors.New("secret: 10.0.0.7")
	}
	return b.MemoryStore.Rotate(ctx, step)
}

func TestRefresherFailsClosedAndKeepsTheCookie(t *testing.T) {
	h, p, told := shop(t, hostCookie, broken{memory()})
	w := serve(h, "POST", fields{"Cookie": {hostCookie + "=" + p.Refresh}}, "")
	require.Equal(t, 503, w.Code)
	require.Empty(t, w.Result().Cookies())
	require.NotContains(t, w.Body.String(), "10.0.0.7")
	require.ErrorIs(t, *told, jwt.ErrUnavailable)
}
