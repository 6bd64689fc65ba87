// Package jwthttp guards http.Handlers with tokens of package jwt, and refreshes
// sessions over HTTP.
//
//	guard := jwthttp.MustNew(jwthttp.Config[Claims]{Verifier: verifier, Realm: "api"})
//	mux.Handle("/api/profile", guard.Handler(profile))
//
// A handler behind it gets the claims by their type:
//
//	claims, ok := jwthttp.From[Claims](r.Context())
//
// # Answers
//
// They are those of RFC 6750. A request without credentials is answered with 401
// and a challenge without an error; one that is ambiguous or malformed (two
// Authorization fields, a header and a cookie that differ, a token with characters
// that no token has) with 400 invalid_request; a token that is refused with 401
// invalid_token; claims that do not suffice with 403 insufficient_scope. If a store
// of revocations cannot be asked, the answer is 503. Descriptions come from a fixed
// table: nothing of a request or an error is echoed. Config.OnError gets the error
// itself, for the log.
//
// # Cookies
//
// With Config.Cookie a token may come in a cookie as well. Requests that browsers
// send by themselves are then guarded by http.CrossOriginProtection, and so are all
// that a Refresher with a cookie gets, since its answer logs in. A token is
// never taken from the query, where logs and Referer fields would have it.
package jwthttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/bedplate/bedplate/jwt"
)

// Config describes a Guard. Verifier is required.
type Config[T any] struct {
	// Verifier checks the tokens.
	Verifier *jwt.Verifier[T]

	// Realm is named in challenges. Empty means "api".
	Realm string

	// Cookie is the name of a cookie that may hold the token instead of the
	// Authorization field. Empty means that there is none.
	Cookie string

	// CSRF decides which requests with a cookie other sites may cause. Nil means
	// http.NewCrossOriginProtection: only those that change nothing.
	CSRF *http.CrossOriginProtection

	// Optional lets requests without credentials pass, without claims. Bad
	// credentials are refused all the same.
	Optional bool

	// Scopes returns the scopes that claims grant. RequireScope needs it.
	Scopes func(T) []string

	// OnError is told why a request was refused, after the answer. Nil means
	// that nobody is.
	OnError func(*http.Request, error)
}

// Guard lets requests with a good token pass. It is safe for use by many
// goroutines.
type Guard[T any] struct {
	cfg Config[T]
}

// New returns a Guard as described by cfg. It fails if a field has a value that
// makes no sense, naming it.
func New[T any](cfg Config[T]) (*Guard[T], error) {
	if cfg.Realm == "" {
		cfg.Realm = "api"
	}
	switch {
	case cfg.Verifier == nil:
		return nil, errors.New("jwthttp: Config.Verifier is nil, want a Verifier")
	case strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }):
		return nil, fmt.Errorf("jwthttp: Config.Realm is %q, want visible ASCII without quotes and backslashes", cfg.Realm)
	}
	if cfg.CSRF == nil {
		cfg.CSRF = http.NewCrossOriginProtection()
	}
	return &Guard[T]{cfg}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[T any](cfg Config[T]) *Guard[T] {
	g, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return g
}

// claimsKey is the key of claims of type T in a context.
type claimsKey[T any] struct{}

// From returns the claims of the request that ctx belongs to, and whether there
// are any of that type.
func From[T any](ctx context.Context) (T, bool) {
	claims, ok := ctx.Value(claimsKey[T]{}).(T)
	return claims, ok
}

// Handler returns next behind the Guard.
func (g *Guard[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Authorization")
		if g.cfg.Cookie != "" {
			w.Header().Add("Vary", "Cookie")
		}
		token, err := g.token(r)
		if err == nil && token == "" {
			if g.cfg.Optional {
				next.ServeHTTP(w, r)
				return
			}
			err = errNone
		}
		if err == nil {
			var claims T
			if claims, err = g.cfg.Verifier.Verify(r.Context(), token); err == nil {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey[T]{}, claims)))
				return
			}
		}
		g.refuse(w, r, err, nil)
	})
}

// token finds the one token of r. It is empty if there is none.
func (g *Guard[T]) token(r *http.Request) (string, error) {
	token, err := bearer(r.Header)
	if err != nil || g.cfg.Cookie == "" {
		return token, err
	}
	cookies := r.CookiesNamed(g.cfg.Cookie)
	switch {
	case len(cookies) == 0:
		return token, nil
	case len(cookies) > 1, !isToken(cookies[0].Value), token != "" && token != cookies[0].Value:
		return "", errAmbiguous
	case token == "":
		if err := g.cfg.CSRF.Check(r); err != nil {
			return "", &crossOriginError{err}
		}
	}
	return cookies[0].Value, nil
}

// bearer returns the token in the Authorization field. Another scheme is no
// credentials of ours.
func bearer(h http.Header) (string, error) {
	fields := h.Values("Authorization")
	if len(fields) == 0 {
		return "", nil
	}
	if len(fields) > 1 {
		return "", errAmbiguous
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.TrimLeft(token, " ")
	if !isToken(token) {
		return "", errAmbiguous
	}
	return token, nil
}

// isToken reports whether s is a b64token (RFC 6750, 2.1).
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Require returns a middleware that wants the claims to pass check, within the
// Guard's Handler. An error is answered with 403, and so is a request without
// claims with 401.
func (g *Guard[T]) Require(check func(*http.Request, T) error) func(http.Handler) http.Handler {
	return g.require(nil, check)
}

// RequireScope returns a middleware that wants the claims to grant all of these
// scopes, within the Guard's Handler. It panics if there is no Config.Scopes, or if
// a scope is none by RFC 6749, 3.3.
func (g *Guard[T]) RequireScope(scopes ...string) func(http.Handler) http.Handler {
	if g.cfg.Scopes == nil {
		panic("jwthttp: RequireScope needs Config.Scopes")
	}
	for _, s := range scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			panic(fmt.Sprintf("jwthttp: scope is %q, want visible ASCII without quotes and backslashes", s))
		}
	}
	return g.require(scopes, func(_ *http.Request, claims T) error {
		has := g.cfg.Scopes(claims)
		for _, s := range scopes {
			if !slices.Contains(has, s) {
				return errScope
			}
		}
		return nil
	})
}

func (g *Guard[T]) require(scopes []string, check func(*http.Request, T) error) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, ok := From[T](r.Context())
			if !ok {
				g.refuse(w, r, errNone, nil)
				return
			}
			if err := check(r, claims); err != nil {
				g.refuse(w, r, &insufficient{err}, scopes)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
