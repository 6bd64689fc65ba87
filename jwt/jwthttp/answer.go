package jwthttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/bedplate/bedplate/jwt"
)

var (
	errNone      = errors.New("jwthttp: no credentials")
	errAmbiguous = errors.New("jwthttp: credentials are malformed, or there are several")
	errScope     = errors.New("jwthttp: scope does not suffice")
)

// crossOriginError is the refusal of a request that another site caused.
type crossOriginError struct{ error }

func (e *crossOriginError) Unwrap() error { return e.error }

// insufficient is the refusal of claims that are good but not good enough.
type insufficient struct{ error }

func (e *insufficient) Unwrap() error { return e.error }

// answer is what a client is told: never more than is in the table below.
type answer struct {
	status int
	code   string // of RFC 6750, 3.1; empty in a challenge without error
	text   string
	bare   bool // without a challenge
}

// answerTo finds the answer to an error.
func answerTo(err error) answer {
	switch _, forged := errors.AsType[*crossOriginError](err); {
	case forged:
		return answer{status: http.StatusForbidden, code: "cross_origin", text: "the request came from another site", bare: true}
	case errors.Is(err, errNone):
		return answer{status: http.StatusUnauthorized}
	case errors.Is(err, errAmbiguous):
		return answer{status: http.StatusBadRequest, code: "invalid_request", text: "the credentials are malformed or ambiguous"}
	}
	if _, ok := errors.AsType[*insufficient](err); ok {
		return answer{status: http.StatusForbidden, code: "insufficient_scope", text: "the token does not grant this"}
	}
	refused, ok := errors.AsType[*jwt.Error](err)
	if !ok || refused.Code == jwt.ErrUnavailable {
		// The store, or a ctx that is done.
		return answer{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", text: "the token cannot be checked now", bare: true}
	}
	text := "the token is invalid"
	switch refused.Code {
	case jwt.ErrExpired:
		text = "the token has expired"
	case jwt.ErrNotYetValid:
		text = "the token is not valid yet"
	case jwt.ErrRevoked, jwt.ErrReused:
		text = "the token was revoked"
	}
	return answer{status: http.StatusUnauthorized, code: "invalid_token", text: text}
}

// refuse answers r and tells OnError.
func (g *Guard[T]) refuse(w http.ResponseWriter, r *http.Request, err error, scopes []string) {
	a := answerTo(err)
	if !a.bare {
		challenge := `Bearer realm="` + g.cfg.Realm + `"`
		if a.code != "" {
			challenge += `, error="` + a.code + `", error_description="` + a.text + `"`
		}
		if len(scopes) > 0 {
			challenge += `, scope="` + strings.Join(scopes, " ") + `"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	a.write(w)
	if g.cfg.OnError != nil {
		g.cfg.OnError(r, err)
	}
}

// write writes the answer as JSON in the form of RFC 6749, 5.2.
func (a answer) write(w http.ResponseWriter) {
	code := a.code
	if code == "" {
		code = "unauthorized"
	}
	writeJSON(w, a.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{code, a.text})
}

// writeJSON writes an answer that no cache may keep.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}
