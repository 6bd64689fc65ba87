package memwatchhttp

import (
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// endpoint is one path below the handler's own.
type endpoint struct {
	name    string
	post    bool // POST alone; else GET and HEAD
	guarded bool // refused to other sites, as it costs
	endless bool // lasts until somebody ends it
	serve   http.HandlerFunc
}

func (e endpoint) allows(method string) bool {
	if e.post {
		return method == http.MethodPost
	}
	return method == http.MethodGet || method == http.MethodHead
}

func (e endpoint) allowed() string {
	if e.post {
		return "POST"
	}
	return "GET, HEAD"
}

// routes are all there is. A request's path is only ever looked up here.
func (h *Handler) routes() map[string]endpoint {
	all := []endpoint{
		{name: "stream", guarded: true, endless: true, serve: h.stream},
		{name: "report.json", serve: h.reportJSON},
		{name: "report.txt", serve: h.reportText},
		{name: "samples.json", serve: h.samplesJSON},
	}
	for _, a := range assets {
		all = append(all, endpoint{name: a.name, serve: a.serve})
	}
	if !h.cfg.ReadOnly {
		all = append(all, endpoint{name: "confirm", post: true, guarded: true, serve: h.confirm})
		for _, name := range profiles() {
			all = append(all, endpoint{name: "profile/" + name, guarded: true, serve: h.profile(name)})
		}
	}
	byName := make(map[string]endpoint, len(all))
	for _, e := range all {
		byName[e.name] = e
	}
	return byName
}

// within returns the part of a request's path below the place where the handler
// is mounted. An http.ServeMux tells that place by the request's pattern; behind
// http.StripPrefix, or without a mux, the path is below it already.
func within(r *http.Request) string {
	whole := strings.TrimPrefix(r.URL.Path, "/")
	_, pattern, _ := strings.Cut(r.Pattern, "/") // behind method and host
	rest := whole
	for pattern != "" && pattern != "{$}" {
		var want, have string
		want, pattern, _ = strings.Cut(pattern, "/")
		wild := strings.HasPrefix(want, "{")
		if wild && strings.HasSuffix(want, "...}") {
			break
		}
		have, rest, _ = strings.Cut(rest, "/")
		if have != want && !wild {
			return whole
		}
	}
	return rest
}

// foreign reports whether a browser sends the request for another site. The
// method does not matter here: what is guarded costs, whether or not it changes
// anything.
func (h *Handler) foreign(r *http.Request) bool {
	asked := *r
	asked.Method = http.MethodPost
	return h.cfg.CSRF.Check(&asked) != nil
}

// secure sets the fields that every answer has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// refuse answers with a line of text, which holds nothing of the request.
func refuse(w http.ResponseWriter, status int, text string) {
	http.Error(w, text, status)
}

// retryAfter says when to come again, in whole seconds.
func retryAfter(w http.ResponseWriter, d time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
}

// answer writes a body that is known as a whole, to HEAD its fields alone.
func answer(w http.ResponseWriter, r *http.Request, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // to a reader that has gone
}

// slash redirects a request for the page whose path does not end in a slash,
// so that the page's relative addresses are right. It reports whether it has.
// Only a mount by StripPrefix without a slash needs it.
func slash(w http.ResponseWriter, r *http.Request) bool {
	p, _, _ := strings.Cut(r.RequestURI, "?")
	if p == "" || strings.HasSuffix(p, "/") {
		return false
	}
	w.Header().Set("Location", "./"+path.Base(p)+"/")
	w.WriteHeader(http.StatusPermanentRedirect)
	return true
}
