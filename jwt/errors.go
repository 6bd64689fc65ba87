package jwt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Why a token was refused. The error of Verify is an *Error that matches exactly
// one of them: that of the first check that failed, in this order.
var (
	ErrTooLarge    = errors.New("jwt: token is too large")
	ErrMalformed   = errors.New("jwt: token is not header.payload.signature with a signature of 43 characters")
	ErrHeader      = errors.New("jwt: header is not a strict JSON object in canonical base64url")
	ErrCritical    = errors.New("jwt: header demands an extension (crit or b64)")
	ErrAlgorithm   = errors.New("jwt: algorithm is not HS256")
	ErrKey         = errors.New("jwt: no such key, or not at this time")
	ErrSignature   = errors.New("jwt: signature does not hold")
	ErrPayload     = errors.New("jwt: payload is not a strict JSON object in canonical base64url that fits the claims")
	ErrClaim       = errors.New("jwt: a registered claim is missing or has the wrong type")
	ErrType        = errors.New("jwt: token is of another type")
	ErrExpired     = errors.New("jwt: token has expired")
	ErrNotYetValid = errors.New("jwt: token is not valid yet")
	ErrIssuer      = errors.New("jwt: token is from another issuer")
	ErrAudience    = errors.New("jwt: token is for another audience")
	ErrSubject     = errors.New("jwt: token is about another subject")
	ErrRevoked     = errors.New("jwt: token or session was revoked")
	ErrReused      = errors.New("jwt: refresh token was used before; its session is revoked")
	ErrUnavailable = errors.New("jwt: store of revocations or sessions cannot be asked")
	ErrRejected    = errors.New("jwt: claims were rejected")
)

// Why something was not made.
var (
	// ErrConflict is matched where claims to be signed have a registered claim
	// that the Issuer sets otherwise.
	ErrConflict = errors.New("jwt: claim conflicts with the issuer's")

	// ErrFull is what a MemoryStore or Denylist returns that has no room for
	// another entry.
	ErrFull = errors.New("jwt: store is full")
)

// Error says why a token was refused. It never holds a part of the token but
// the name of a claim, so it may be logged; what clients are told is for
// jwthttp to say.
type Error struct {
	Code  error     // the one sentinel that it matches
	Claim string    // the claim or header parameter that failed, if it was one
	At    time.Time // the time in exp, nbf or iat, if that failed
	Now   time.Time // the time of the check, with At
	Err   error     // of the store or of Validate, or what was wrong with the JSON
}

// Error returns the reason in words.
func (e *Error) Error() string {
	text := e.Code.Error()
	if e.Claim != "" {
		text += ": " + quoted(e.Claim)
	}
	if !e.At.IsZero() {
		by := e.Now.Sub(e.At)
		if by < 0 {
			text += fmt.Sprintf(" (in %v)", -by.Round(time.Second))
		} else {
			text += fmt.Sprintf(" (%v ago)", by.Round(time.Second))
		}
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// quoted keeps control characters and length out of logs: names of claims may
// be a client's.
func quoted(name string) string {
	const most = 64
	if len(name) > most {
		return fmt.Sprintf("%.*q…", most, name)
	}
	return fmt.Sprintf("%q", name)
}

// Is reports whether target is e.Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// LogValue is Error for log/slog, in parts.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("reason", e.Code.Error())}
	if e.Claim != "" {
		attrs = append(attrs, slog.String("claim", quoted(e.Claim)))
	}
	if !e.At.IsZero() {
		attrs = append(attrs, slog.Time("at", e.At))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

func refuse(code error) error { return &Error{Code: code} }

func refuseClaim(code error, claim string) error { return &Error{Code: code, Claim: claim} }

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
