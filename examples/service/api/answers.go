package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/workerpool"
)

// handlerFunc is a handler that leaves its errors to serve.
type handlerFunc func(http.ResponseWriter, *http.Request) error

// serve makes an http.Handler of fn: it bounds the time and the body of the
// request, and answers with fn's error.
func (a *API) serve(fn handlerFunc, within time.Duration, body int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, body)
		if err := fn(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// refusal is an error with a status of its own, which the client may read.
type refusal struct {
	status int
	text   string
}

func refuse(status int, text string) error { return &refusal{status, text} }

func (e *refusal) Error() string { return e.text }

// failure is the body of an answer that is no success. Guard names what has
// refused the request, if something has.
type failure struct {
	Error string `json:"error"`
	Guard string `json:"guard,omitempty"`
}

// fail answers with err. This is the one place that knows what each guard's
// refusal means to a client, so that handlers need not.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, body := http.StatusInternalServerError, failure{Error: "something went wrong"}
	if own, ok := errors.AsType[*refusal](err); ok {
		status, body.Error = own.status, own.text
	} else if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status, body.Error = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", large.Limit)
	} else if errors.Is(err, store.ErrNotFound) || errors.Is(err, lru.ErrNotFound) {
		status, body.Error = http.StatusNotFound, "there is no such thing"
	} else if errors.Is(err, store.ErrExists) {
		status, body.Error = http.StatusConflict, "there is one already"
	} else if guard, text := guardOf(err); guard != "" {
		status, body = http.StatusServiceUnavailable, failure{text, guard}
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter(err)))
	} else if r.Context().Err() != nil {
		status, body = http.StatusServiceUnavailable, failure{"this took too long", "timeout"}
		w.Header().Set("Retry-After", "1")
	}
	if status == http.StatusInternalServerError {
		a.cfg.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	writeJSON(w, status, body)
}

// guardOf names the guard that err comes from, and says so to the client.
func guardOf(err error) (guard, text string) {
	switch {
	case errors.Is(err, breaker.ErrOpen):
		return "breaker", "the upstream is down"
	case errors.Is(err, bulkhead.ErrFull), errors.Is(err, bulkhead.ErrClosed):
		return "bulkhead", "too many at once"
	case errors.Is(err, workerpool.ErrFull), errors.Is(err, workerpool.ErrDropped), errors.Is(err, workerpool.ErrClosed):
		return "workerpool", "too much to compute"
	case errors.Is(err, store.ErrUnavailable):
		return "pool", "the database is away"
	}
	if _, ok := errors.AsType[*retry.Error](err); ok {
		return "retry", "the upstream does not answer as it should"
	}
	return "", ""
}

// retryAfter is when to come again, in seconds, as the refusal says.
func retryAfter(err error) int {
	var hint interface{ RetryAfter() time.Duration }
	if errors.As(err, &hint) {
		return int(min(max(1, math.Ceil(hint.RetryAfter().Seconds())), 3600))
	}
	return 1
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}

// readJSON reads the body of r, which must be one JSON value and nothing else.
func readJSON(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("there is more than one value")
	}
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return refuse(http.StatusBadRequest, "the body is not the JSON that is wanted: "+err.Error())
}
