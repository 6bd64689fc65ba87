package jwthttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

// Claims are who a user is.
type Claims struct {
	jwt.Registered
	Name  string `json:"name"`
	Role  string `json:"role"`
	Scope string `json:"scope"`
}

// The three routes of a service with logins.
func Example() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	sessions := jwt.MustNewSessions(jwt.SessionsConfig[Claims]{
		Keys: keys, Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: "https://auth.example", Audience: []string{"api"},
	})
	verifier := jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Is("https://auth.example"), Audience: jwt.Is("api"), Subject: jwt.Present(), Type: jwt.Is(jwt.AccessType),
		Revocation: sessions,
	})
	refresh := jwthttp.MustNewRefresher(jwthttp.RefreshConfig[Claims]{Sessions: sessions})
	profile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := jwthttp.From[Claims](r.Context())
		fmt.Fprintln(w, claims.Name, ok)
	})
	mux := http.NewServeMux()

	guard := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: verifier, Realm: "api"})
	mux.Handle("/api/profile", guard.Handler(profile))
	mux.Handle("/refresh", refresh)
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("password") != "correct" { // yours will compare hashes
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		pair, err := sessions.Start(r.Context(), Claims{Registered: jwt.Registered{Subject: "7"}, Name: "Ada"})
		if err != nil {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		refresh.WritePair(w, pair)
	})

	post := func(path string, form url.Values) (out struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}) {
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		_ = json.Unmarshal(w.Body.Bytes(), &out)
		return out
	}
	get := func(token string) {
		r := httptest.NewRequest("GET", "/api/profile", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		fmt.Println(w.Code, strings.TrimSpace(string(body)))
	}
	first := post("/login", url.Values{"password": {"correct"}})
	get(first.Access)
	get(first.Refresh)
	second := post("/refresh", url.Values{"refresh_token": {first.Refresh}})
	get(second.Access)
	fmt.Println(post("/refresh", url.Values{"refresh_token": {second.Access}}).Error)
	// Output:
	// 200 Ada true
	// 401 {"error":"invalid_token","error_description":"the token is invalid"}
	// 200 Ada true
	// invalid_grant
}

func ExampleGuard_RequireScope() {
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("a secret of 32 bytes, or longer.")))
	issuer := jwt.MustNewIssuer[Claims](jwt.IssuerConfig{Keys: keys})
	guard, err := jwthttp.New(jwthttp.Config[Claims]{
		Verifier: jwt.MustNewVerifier[Claims](jwt.VerifierConfig{
			Keys: keys, Issuer: jwt.Any(), Audience: jwt.Any(), Subject: jwt.Any(), Type: jwt.Any(),
		}),
		Scopes: func(c Claims) []string { return strings.Fields(c.Scope) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	writer := guard.Handler(guard.RequireScope("write")(ok))
	admin := guard.Handler(guard.Require(func(_ *http.Request, c Claims) error {
		if c.Role != "admin" {
			return errors.New("not an admin")
		}
		return nil
	})(ok))

	token, _ := issuer.Sign(Claims{Role: "admin", Scope: "read"})
	for _, h := range []http.Handler{writer, admin} {
		r := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))))
	}
	_, err = jwthttp.NewRefresher(jwthttp.RefreshConfig[Claims]{})
	fmt.Println(err)
	// Output:
	// 403 Bearer realm="api", error="insufficient_scope", error_description="the token does not grant this", scope="write"
	// 200
	// jwthttp: RefreshConfig.Sessions is nil, want Sessions
}
