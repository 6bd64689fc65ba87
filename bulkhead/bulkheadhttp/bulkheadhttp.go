// Package bulkheadhttp puts a bulkhead in front of an http.Handler, so that
// one slow route cannot take all the memory and connections of a server.
//
//	reports := bulkhead.MustNew(bulkhead.Config{Name: "reports", Limit: 4, MaxWait: time.Second})
//	mux.Handle("/reports/", bulkheadhttp.Handler(reports, reportHandler))
//
// A request holds its slot until the handler returns or panics. A request that
// gets no slot is answered with 503 Service Unavailable and a Retry-After
// header in whole seconds.
package bulkheadhttp

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/bulkhead"
)

// Handler returns a handler that runs next with one slot of b, waiting for it
// as b is configured and for as long as the request lives. Without a slot,
// next is not called and the answer is 503 with a Retry-After of what the
// refusal estimates, rounded up to whole seconds and at least one.
//
// The slot comes back when next returns, also if it panics, which net/http
// recovers. For the adaptive limit of b a request whose context ended with
// context.DeadlineExceeded counts as overload, and one that was cancelled by
// its client does not count.
//
// Handler panics if b or next is nil.
func Handler(b *bulkhead.Bulkhead, next http.Handler) http.Handler {
	if b == nil {
		panic("bulkheadhttp: b is nil")
	}
	if next == nil {
		panic("bulkheadhttp: next is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ran := false
		err := b.Do(r.Context(), func(ctx context.Context) error {
			ran = true
			next.ServeHTTP(w, r)
			return ctx.Err()
		})
		if !ran {
			refuse(w, err)
		}
	})
}

// refuse answers a request that got no slot because of err.
func refuse(w http.ResponseWriter, err error) {
	var after time.Duration
	var hint interface{ RetryAfter() time.Duration }
	if errors.As(err, &hint) {
		after = hint.RetryAfter()
	}
	seconds := max(int64(math.Ceil(after.Seconds())), 1)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}
