package jwthttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bedplate/bedplate/jwt"
)

// RefreshConfig describes a Refresher. Sessions is required.
type RefreshConfig[T any] struct {
	// Sessions give the tokens.
	Sessions *jwt.Sessions[T]

	// Cookie is the name of the cookie that holds the refresh token, out of
	// reach of scripts. It must begin with __Host-, which makes browsers keep it
	// from other hosts and from plain HTTP. Empty means that refresh tokens come
	// and go in bodies.
	Cookie string

	// CSRF decides which requests other sites may cause where there is a Cookie.
	// Nil means http.NewCrossOriginProtection.
	CSRF *http.CrossOriginProtection

	// OnError is told why a refresh was refused, after the answer. Nil means
	// that nobody is.
	OnError func(*http.Request, error)
}

// Refresher is a handler that takes a refresh token and answers with the next
// pair, as RFC 6749, 6 has it: POST, with a form or JSON that has refresh_token,
// or with the cookie alone. It takes no access token, and belongs behind no Guard.
type Refresher[T any] struct {
	cfg RefreshConfig[T]
}

// maxBody bounds the body of a refresh.
const maxBody = 16 << 10

// NewRefresher returns a Refresher as described by cfg. It fails if a field has a
// value that makes no sense, naming it.
func NewRefresher[T any](cfg RefreshConfig[T]) (*Refresher[T], error) {
	switch {
	case cfg.Sessions == nil:
		return nil, errors.New("jwthttp: RefreshConfig.Sessions is nil, want Sessions")
	case cfg.Cookie != "" && !strings.HasPrefix(cfg.Cookie, "__Host-"):
		return nil, fmt.Errorf("jwthttp: RefreshConfig.Cookie is %q, want a name that begins with __Host-", cfg.Cookie)
	}
	if cfg.CSRF == nil {
		cfg.CSRF = http.NewCrossOriginProtection()
	}
	return &Refresher[T]{cfg}, nil
}

// MustNewRefresher is NewRefresher for package variables: it panics where
// NewRefresher returns an error.
func MustNewRefresher[T any](cfg RefreshConfig[T]) *Refresher[T] {
	h, err := NewRefresher(cfg)
	if err != nil {
		panic(err.Error())
	}
	return h
}

// ServeHTTP refreshes.
func (h *Refresher[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer{status: http.StatusMethodNotAllowed, code: "invalid_request", text: "only POST refreshes"}.write(w)
		return
	}
	token, err := h.token(w, r)
	if err == nil {
		var pair jwt.Pair
		if pair, err = h.cfg.Sessions.Refresh(r.Context(), token); err == nil {
			h.WritePair(w, pair)
			return
		}
	}
	h.refuse(w, r, err)
}

// token finds the one refresh token of r.
//
// With a cookie no request of another site passes, whatever is in its body: the
// answer sets the cookie, and a token of somebody else's would log its owner in.
func (h *Refresher[T]) token(w http.ResponseWriter, r *http.Request) (string, error) {
	if h.cfg.Cookie != "" {
		if err := h.cfg.CSRF.Check(r); err != nil {
			return "", &crossOriginError{err}
		}
	}
	token, err := inBody(http.MaxBytesReader(w, r.Body, maxBody), r.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	if h.cfg.Cookie != "" {
		cookies := r.CookiesNamed(h.cfg.Cookie)
		if len(cookies) > 1 || len(cookies) == 1 && token != "" && token != cookies[0].Value {
			return "", errAmbiguous
		}
		if len(cookies) == 1 {
			token = cookies[0].Value
		}
	}
	if !isToken(token) {
		return "", errAmbiguous
	}
	return token, nil
}

// inBody reads the refresh token in a form or in JSON. It is empty if the body
// is.
func inBody(body io.Reader, contentType string) (string, error) {
	data, err := io.ReadAll(body)
	if err != nil || len(data) == 0 {
		return "", err
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", errAmbiguous
	}
	switch media {
	case "application/json":
		return inJSON(data)
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(data))
		grant := form["grant_type"]
		if err != nil || len(form["refresh_token"]) > 1 || len(grant) > 1 || len(grant) == 1 && grant[0] != "refresh_token" {
			return "", errAmbiguous
		}
		return form.Get("refresh_token"), nil
	}
	return "", errAmbiguous
}

// inJSON reads the refresh token in an object. It takes a name once, and exactly,
// as for tokens: what is read here must be what anybody else reads.
func inJSON(data []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return "", errAmbiguous
	}
	seen := make(map[string]string)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", errAmbiguous
		}
		var value any
		if d.Decode(&value) != nil {
			return "", errAmbiguous
		}
		if _, twice := seen[name.(string)]; twice {
			return "", errAmbiguous
		}
		text, ok := value.(string)
		if !ok && (name == "refresh_token" || name == "grant_type") {
			return "", errAmbiguous
		}
		seen[name.(string)] = text
	}
	if _, err := d.Token(); err != nil {
		return "", errAmbiguous
	}
	if _, err := d.Token(); err != io.EOF {
		return "", errAmbiguous
	}
	if grant, ok := seen["grant_type"]; ok && grant != "refresh_token" {
		return "", errAmbiguous
	}
	return seen["refresh_token"], nil
}

// refuse answers as RFC 6749, 5.2 has it.
func (h *Refresher[T]) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a := answerTo(err)
	if a.code == "invalid_token" {
		a.status, a.code = http.StatusBadRequest, "invalid_grant"
		if h.cfg.Cookie != "" {
			h.setCookie(w, "", time.Unix(1, 0))
		}
	} else if a.status != http.StatusServiceUnavailable && a.status != http.StatusForbidden {
		a = answer{status: http.StatusBadRequest, code: "invalid_request", text: "there must be one refresh token"}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		a = answer{status: http.StatusRequestEntityTooLarge, code: "invalid_request", text: "the body is too large"}
	}
	a.write(w)
	if h.cfg.OnError != nil {
		h.cfg.OnError(r, err)
	}
}

// WritePair answers a login with a pair, in the form in which refreshes are
// answered (RFC 6749, 5.1). With a Cookie the refresh token goes there and not into
// the body.
func (h *Refresher[T]) WritePair(w http.ResponseWriter, pair jwt.Pair) {
	body := struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int64  `json:"expires_in"`
		Refresh string `json:"refresh_token,omitempty"`
	}{pair.Access, "Bearer", int64(max(time.Until(pair.AccessExpires), 0) / time.Second), pair.Refresh}
	if h.cfg.Cookie != "" {
		body.Refresh = ""
		h.setCookie(w, pair.Refresh, pair.RefreshExpires)
	}
	w.Header().Set("Pragma", "no-cache") // RFC 6749, 5.1
	writeJSON(w, http.StatusOK, body)
}

func (h *Refresher[T]) setCookie(w http.ResponseWriter, value string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: h.cfg.Cookie, Value: value, Path: "/", Expires: expires, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}
