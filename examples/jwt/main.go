// Command jwt logs in to a server, reads a profile, refreshes the tokens, and
// shows what becomes of a refresh token that is used twice.
//
//	go run ./examples/jwt
//
// Server and client are real and talk over TCP; the program ends by itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/jwt/jwthttp"
)

// Claims are what the tokens say of a user.
type Claims struct {
	jwt.Registered
	Name string `json:"name"`
	Role string `json:"role"`
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// grace is short here, so that nobody waits for the replay to be one.
const grace = 200 * time.Millisecond

func run(ctx context.Context, out io.Writer) error {
	handler, err := newServer(out)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	c := &client{base: "http://" + l.Addr().String(), out: out}
	err = c.story(ctx)
	http.DefaultClient.CloseIdleConnections()
	err = errors.Join(err, server.Close())
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// newServer has the routes of a service with logins.
func newServer(out io.Writer) (http.Handler, error) {
	key, err := jwt.GenerateKey("2026-11") // yours comes from where secrets are kept
	if err != nil {
		return nil, err
	}
	keys, err := jwt.NewKeySet(key)
	if err != nil {
		return nil, err
	}
	const issuer, audience = "https://auth.example", "api"
	sessions, err := jwt.NewSessions(jwt.SessionsConfig[Claims]{
		Keys: keys, Store: jwt.MustNewMemoryStore(jwt.MemoryStoreConfig{}), Issuer: issuer, Audience: []string{audience}, Grace: grace,
		Hooks: jwt.Hooks{OnReuse: func(r jwt.Reuse) {
			fmt.Fprintf(out, "server: a refresh token of user %s was used twice, the session is over\n", r.Subject)
		}},
	})
	if err != nil {
		return nil, err
	}
	verifier, err := jwt.NewVerifier[Claims](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Is(issuer), Audience: jwt.Is(audience), Subject: jwt.Present(), Type: jwt.Is(jwt.AccessType),
		Leeway: 30 * time.Second, Revocation: sessions,
	})
	if err != nil {
		return nil, err
	}
	guard, err := jwthttp.New(jwthttp.Config[Claims]{Verifier: verifier})
	if err != nil {
		return nil, err
	}
	refresh, err := jwthttp.NewRefresher(jwthttp.RefreshConfig[Claims]{Sessions: sessions})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("username") != "ada" || r.FormValue("password") != "analytical" { // yours compares hashes
			http.Error(w, "wrong name or password", http.StatusUnauthorized)
			return
		}
		pair, err := sessions.Start(r.Context(), Claims{Registered: jwt.Registered{Subject: "7"}, Name: "Ada", Role: "admin"})
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		refresh.WritePair(w, pair)
	})
	mux.Handle("POST /refresh", refresh)
	mux.Handle("GET /api/profile", guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwthttp.From[Claims](r.Context())
		_ = json.NewEncoder(w).Encode(map[string]string{"id": claims.Subject, "name": claims.Name, "role": claims.Role})
	})))
	return mux, nil
}

// client is a user's program.
type client struct {
	base string
	out  io.Writer
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// story does what the program is there to show.
func (c *client) story(ctx context.Context) error {
	if err := c.profile(ctx, "without a token", ""); err != nil {
		return err
	}
	first, err := c.post(ctx, "login", "/login", url.Values{"username": {"ada"}, "password": {"analytical"}})
	if err != nil {
		return err
	}
	if err := c.profile(ctx, "with the access token", first.Access); err != nil {
		return err
	}
	if err := c.profile(ctx, "with a forged token", first.Access[:len(first.Access)-8]+"AAAAAAAA"); err != nil {
		return err
	}
	if err := c.profile(ctx, "with the refresh token", first.Refresh); err != nil {
		return err
	}
	second, err := c.post(ctx, "refresh", "/refresh", url.Values{"refresh_token": {first.Refresh}})
	if err != nil {
		return err
	}
	again, err := c.post(ctx, "the same at once, as from a second tab", "/refresh", url.Values{"refresh_token": {first.Refresh}})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "the second tab got the same tokens: %v\n", again == second)
	if err := c.profile(ctx, "with the new access token", second.Access); err != nil {
		return err
	}
	select {
	case <-time.After(2 * grace):
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := c.post(ctx, "the first refresh token, replayed later", "/refresh", url.Values{"refresh_token": {first.Refresh}}); err != nil {
		return err
	}
	if _, err := c.post(ctx, "the newest refresh token", "/refresh", url.Values{"refresh_token": {second.Refresh}}); err != nil {
		return err
	}
	return c.profile(ctx, "with the last access token", second.Access)
}

func (c *client) profile(ctx context.Context, what, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/profile", nil)
	if err != nil {
		return err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	body, err := c.do("profile "+what, r)
	if err == nil {
		fmt.Fprintf(c.out, "  %s\n", strings.TrimSpace(string(body)))
	}
	return err
}

func (c *client) post(ctx context.Context, what, path string, form url.Values) (tokens, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return tokens{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := c.do(what, r)
	var out tokens
	if err == nil {
		_ = json.Unmarshal(body, &out) // errors are JSON as well, without tokens
	}
	return out, err
}

// do sends r and prints how it was answered.
func (c *client) do(what string, r *http.Request) ([]byte, error) {
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	fmt.Fprintf(c.out, "%s: %s\n", what, res.Status)
	if challenge := res.Header.Get("WWW-Authenticate"); challenge != "" {
		fmt.Fprintf(c.out, "  %s\n", challenge)
	}
	return io.ReadAll(io.LimitReader(res.Body, 1<<20))
}
