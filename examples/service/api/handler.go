package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

const (
	usualTime = 10 * time.Second
	usualBody = 64 << 10
)

// Handler returns the service. What surrounds a handler stands here, from the
// outside in: counting, origin, token, limit, time and body.
func (a *API) Handler() http.Handler {
	usual := func(fn handlerFunc) http.Handler { return a.serve(fn, usualTime, usualBody) }
	mux := http.NewServeMux()

	// By account.
	own := http.NewServeMux()
	own.Handle("GET /api/profile", usual(a.profile))
	own.Handle("GET /api/links", usual(a.listLinks))
	own.Handle("POST /api/links", usual(a.createLink))
	own.Handle("DELETE /api/links/{slug}", usual(a.deleteLink))
	own.Handle("GET /api/links/{slug}/qr.png", usual(a.qr))
	own.Handle("GET /api/links/{slug}/preview", usual(a.preview))
	own.Handle("POST /api/links/import", a.serve(a.importLinks, importWithin, importBody))
	own.Handle("GET /api/links/export.csv", a.serve(a.exportLinks, importWithin, usualBody))
	own.Handle("POST /logout", usual(a.logout))
	own.Handle("/", http.HandlerFunc(nothing))
	guarded := a.accounts.guard.Handler(a.byUser(own))
	mux.Handle("/api/", guarded)
	mux.Handle("/logout", guarded)

	// By address.
	auth := http.NewServeMux()
	auth.Handle("POST /register", usual(a.register))
	auth.Handle("POST /login", usual(a.login))
	auth.Handle("POST /refresh", a.tokens.refreshes(a.accounts.refresh))
	auth.Handle("/", http.HandlerFunc(nothing))
	for _, path := range []string{"/register", "/login", "/refresh"} {
		mux.Handle(path, byAddress(a.cfg.Limits.Auth, auth))
	}
	open := ratelimit.Memory{Limiter: ratelimit.MustNew(ratelimit.Config[string]{
		Name: "open", Limits: []ratelimit.Limit{OpenLimit}, MaxKeys: 100_000,
	})}
	mux.Handle("GET /l/{slug}", byAddress(open, usual(a.follow)))

	// For those who look after it, and break it.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, "alive") })
	mux.Handle("GET /readyz", usual(a.ready))
	mux.Handle("GET /metrics", a.metrics())
	mux.Handle("POST /break/{fault}", usual(a.breakIt))
	mux.Handle("POST /load", usual(a.setLoad))
	if a.cfg.Page != nil {
		mux.Handle("/", a.cfg.Page) // and the files that the page asks for
	} else {
		mux.Handle("/", http.HandlerFunc(nothing))
		mux.HandleFunc("GET /{$}", listRoutes)
	}

	// Who watches does so for hours, which is no latency of a request.
	outer := http.NewServeMux()
	outer.HandleFunc("GET /live", a.live)
	outer.Handle("/debug/memwatch/", a.page)
	outer.Handle("/", a.requests.counted(mux))
	return a.leaving(sameOrigin(outer))
}

// sameOrigin refuses what pages of other sites send, because the service is on
// the machine of somebody who visits such pages.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusForbidden, failure{Error: "this comes from another site"})
	}))
	return protection.Handler(next)
}

// leaving lets every answer close its connection once the service is about to
// end, so that no client sends its next request into a connection that closes.
func (a *API) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// ready says whether requests should be sent here. A database that is away is no
// reason to say no: what is in the cache is served, and another process would
// have the same trouble.
func (a *API) ready(w http.ResponseWriter, _ *http.Request) error {
	if a.draining.Load() {
		return refuse(http.StatusServiceUnavailable, "about to end")
	}
	writeJSON(w, http.StatusOK, "ready")
	return nil
}

func nothing(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusNotFound, failure{Error: fmt.Sprintf("there is nothing for %s at this address", r.Method)})
}

func listRoutes(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = strings.NewReader(routes).WriteTo(w) // the client may have left
}

const routes = `POST /register /login {email,password} · POST /refresh {refresh_token} · POST /logout
GET /api/profile · GET POST /api/links · DELETE /api/links/{slug}
GET /api/links/{slug}/qr.png · GET /api/links/{slug}/preview
POST /api/links/import (CSV) · GET /api/links/export.csv
GET /l/{slug}
GET /live · POST /break/{fail,hang,flood,leak,database,kill} {on} · POST /load {on,rps}
GET /healthz /readyz /metrics /debug/memwatch/
`
