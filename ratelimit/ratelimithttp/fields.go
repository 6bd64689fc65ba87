package ratelimithttp

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

const (
	problemUnauthorized = `{"title":"Unauthorized","status":401}`
	problemUnknown      = `{"title":"Client address unknown","status":400}`
	problemUnavailable  = `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Service unavailable","status":503}`
)

// setFields sets the fields that tell a client how it stands: by the rule that
// binds, since the others are of no use to it now.
func (m *Middleware) setFields(h http.Header, d *ratelimit.Decision) {
	if d.Unlimited {
		return
	}
	reset := d.ResetAfter
	if !d.Allowed {
		reset = d.RetryAfter // Retry-After should not be earlier than the reset
	}
	if !m.cfg.NoFields {
		p := m.policyOf(d)
		var room [64]byte
		buf := append(room[:0], p.name...)
		buf = append(buf, ";r="...)
		buf = strconv.AppendInt(buf, int64(d.Remaining), 10)
		if reset != ratelimit.Never {
			buf = append(buf, ";t="...)
			buf = strconv.AppendInt(buf, wholeSeconds(reset), 10)
		}
		// One allocation for the value and one for the slices of a Header.
		values := [...]string{p.text, string(buf)}
		h["Ratelimit-Policy"] = values[0:1:1]
		h["Ratelimit"] = values[1:2:2]
	}
	if m.cfg.LegacyFields {
		h.Set("X-RateLimit-Limit", strconv.Itoa(d.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(d.Remaining))
		h.Set("X-RateLimit-Reset", seconds(reset))
	}
}

// policy is what RateLimit-Policy says of a rule.
type policy struct {
	rule   string
	limit  int
	window time.Duration
	name   string // of the rule, as fields have it
	text   string
}

// policyOf returns the policy by which d was made. Most often it is the same as
// for the decision before.
func (m *Middleware) policyOf(d *ratelimit.Decision) *policy {
	if p := m.policy.Load(); p != nil && p.limit == d.Limit && p.window == d.Window && p.rule == d.Rule {
		return p
	}
	name := d.Rule
	if name == "" {
		name = m.cfg.Name
	}
	p := &policy{rule: d.Rule, limit: d.Limit, window: d.Window, name: string(appendString(nil, name))}
	p.text = p.name + ";q=" + strconv.Itoa(d.Limit) + ";w=" + strconv.FormatInt(wholeSeconds(d.Window), 10)
	m.policy.Store(p)
	return p
}

// appendString appends s as a String of structured fields (RFC 9651), with
// those characters left out that such a String cannot have.
func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			buf = append(buf, '\\', c)
		case c >= ' ' && c < 0x7f:
			buf = append(buf, c)
		}
	}
	return append(buf, '"')
}

// refuse answers a request over the limit.
func (m *Middleware) refuse(w http.ResponseWriter, d *ratelimit.Decision) {
	name := d.Rule
	if name == "" {
		name = m.cfg.Name
	}
	var body strings.Builder
	body.WriteString(`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too many requests","status":429,"violated-policies":[`)
	body.Write(appendString(nil, name))
	body.WriteString("]}")
	problem(w, http.StatusTooManyRequests, body.String())
}

// unavailable answers a request that the Store had no answer to.
func unavailable(w http.ResponseWriter, err error) {
	var hint interface{ RetryAfter() time.Duration }
	after := time.Duration(0)
	if errors.As(err, &hint) {
		after = hint.RetryAfter()
	}
	w.Header().Set("Retry-After", seconds(after))
	problem(w, http.StatusServiceUnavailable, problemUnavailable)
}

// problem writes a problem document.
func problem(w http.ResponseWriter, status int, document string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(document))
}

// grain is what a window may hold an event too long. It is taken off, so that
// a minute does not become 61 seconds; an answer travels longer than that.
const grain = 100 * time.Microsecond

// wholeSeconds is d in seconds, rounded up, so that nobody comes early.
func wholeSeconds(d time.Duration) int64 {
	d = max(d-grain, 0)
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// seconds is d as Retry-After has it: rounded up and at least one. A year
// stands for never.
func seconds(d time.Duration) string {
	return strconv.FormatInt(min(max(wholeSeconds(d), 1), 365*24*60*60), 10)
}
