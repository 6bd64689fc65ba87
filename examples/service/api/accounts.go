package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
	"github.com/bedplate/bedplate/lru"
)

// Claims are what the tokens say of a user.
type Claims struct {
	jwt.Registered
	Email string `json:"email"`
}

const issuer, audience = "bedplate-example", "links"

// accounts is what makes and checks tokens.
type accounts struct {
	sessions *jwt.Sessions[Claims]
	guard    *jwthttp.Guard[Claims]
	refresh  *jwthttp.Refresher[Claims]
	alive    *lru.Cache[string, bool] // sessions, by sid
	nobody   string                   // a hash for accounts that do not exist
}

func newAccounts(a *API) (accounts, error) {
	var acc accounts
	acc.nobody = hashPassword("", a.cfg.Rounds)
	// A logout is to end access tokens, too, so every request wants to know
	// whether its session lives. The database is asked at most every five seconds
	// a session; and while it is away, those that lived lately go on.
	acc.alive = lru.MustNew(lru.Config[string, bool]{
		Name: "sessions", Capacity: 10_000, TTL: 5 * time.Second, Jitter: 0.2, StaleFor: 5 * time.Minute,
	})
	var err error
	if acc.sessions, err = jwt.NewSessions(jwt.SessionsConfig[Claims]{
		Keys: a.cfg.Keys, Store: a.cfg.Store.Sessions(), Issuer: issuer, Audience: []string{audience},
		AccessTTL: 5 * time.Minute,
		Hooks: jwt.Hooks{OnReuse: func(r jwt.Reuse) {
			acc.alive.Set(r.Session, false)
			a.tokens.reused.Add(1)
			a.emit("refresh.reused", "a refresh token of user %s was used twice; the session is over", r.Subject)
		}},
	}); err != nil {
		return acc, err
	}
	verifier, err := jwt.NewVerifier[Claims](jwt.VerifierConfig{
		Keys: a.cfg.Keys, Issuer: jwt.Is(issuer), Audience: jwt.Is(audience), Subject: jwt.Present(), Type: jwt.Is(jwt.AccessType),
		Revocation: jwt.RevocationFunc(a.sessionOver), Cache: 1024,
	})
	if err != nil {
		return acc, err
	}
	if acc.guard, err = jwthttp.New(jwthttp.Config[Claims]{
		Verifier: verifier, OnError: func(*http.Request, error) { a.tokens.rejected.Add(1) },
	}); err != nil {
		return acc, err
	}
	acc.refresh, err = jwthttp.NewRefresher(jwthttp.RefreshConfig[Claims]{Sessions: acc.sessions})
	return acc, err
}

// tokenCounts counts what became of tokens.
type tokenCounts struct{ logins, refreshed, reused, rejected atomic.Uint64 }

// refreshes counts the answers of the refresher.
func (t *tokenCounts) refreshes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(sw, r)
		if sw.status == http.StatusOK {
			t.refreshed.Add(1)
		}
	})
}

// sessionOver reports whether the session of a token has ended.
func (a *API) sessionOver(ctx context.Context, claims jwt.Registered) (bool, error) {
	alive, err := a.accounts.alive.GetOrLoad(ctx, claims.Session, func(ctx context.Context, session string) (bool, error) {
		return a.cfg.Store.Sessions().Alive(ctx, claims.Subject, session)
	})
	return !alive, err
}

// user is who sends r, behind the guard.
func user(r *http.Request) Claims {
	claims, _ := jwthttp.From[Claims](r.Context())
	return claims
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func readCredentials(r *http.Request) (c credentials, err error) {
	if err := readJSON(r, &c); err != nil {
		return c, err
	}
	c.Email = strings.ToLower(c.Email)
	address, err := mail.ParseAddress(c.Email)
	switch {
	case err != nil || address.Address != c.Email || len(c.Email) > 254:
		return c, refuse(http.StatusBadRequest, "email is not an address")
	case len(c.Password) < 8 || len(c.Password) > 128:
		return c, refuse(http.StatusBadRequest, fmt.Sprintf("password has %d bytes, want 8 to 128", len(c.Password)))
	}
	return c, nil
}

func (a *API) register(w http.ResponseWriter, r *http.Request) error {
	c, err := readCredentials(r)
	if err != nil {
		return err
	}
	hash, err := compute(r.Context(), a.logins, func(context.Context) (string, error) {
		return hashPassword(c.Password, a.cfg.Rounds), nil
	})
	if err != nil {
		return err
	}
	u := store.User{ID: rand.Text(), Email: c.Email, Password: hash, Created: time.Now()}
	if err := a.cfg.Store.CreateUser(r.Context(), u); err != nil {
		if errors.Is(err, store.ErrExists) {
			return refuse(http.StatusConflict, "there is an account with this address")
		}
		return err
	}
	a.emit("account.created", "%s has an account", u.Email)
	return a.logIn(w, r, u)
}

func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	c, err := readCredentials(r)
	if err != nil {
		return err
	}
	u, err := a.cfg.Store.UserByEmail(r.Context(), c.Email)
	if errors.Is(err, store.ErrNotFound) {
		u.Password = a.accounts.nobody // takes as long as a wrong password
	} else if err != nil {
		return err
	}
	right, err := compute(r.Context(), a.logins, func(context.Context) (bool, error) {
		return checkPassword(c.Password, u.Password), nil
	})
	if err != nil {
		return err
	}
	if !right || u.ID == "" {
		return refuse(http.StatusUnauthorized, "the address or the password is wrong")
	}
	a.emit("login", "%s has logged in", u.Email)
	return a.logIn(w, r, u)
}

// logIn answers with the tokens of a new session.
func (a *API) logIn(w http.ResponseWriter, r *http.Request, u store.User) error {
	pair, err := a.accounts.sessions.Start(r.Context(), Claims{Registered: jwt.Registered{Subject: u.ID}, Email: u.Email})
	if err != nil {
		return err
	}
	a.tokens.logins.Add(1)
	a.accounts.refresh.WritePair(w, pair)
	return nil
}

// logout ends the session of the token that the request comes with: its refresh
// token at once, and its access tokens here at once, elsewhere in five seconds.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	claims := user(r)
	if err := a.accounts.sessions.Revoke(r.Context(), claims.Subject, claims.Session); err != nil {
		return err
	}
	a.accounts.alive.Set(claims.Session, false)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) profile(w http.ResponseWriter, r *http.Request) error {
	u, links, err := a.cfg.Store.Profile(r.Context(), user(r).Subject)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": u.ID, "email": u.Email, "created": u.Created, "links": links})
	return nil
}

// sweepSessions removes sessions that are over.
func (a *API) sweepSessions(ctx context.Context) {
	every(ctx, 10*time.Minute, func() {
		if err := a.cfg.Store.ForgetExpired(ctx); err != nil {
			a.cfg.Logger.Warn("removing old sessions", "err", err)
		}
	})
}
