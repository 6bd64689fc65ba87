package jwt

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// Registered holds the registered claims of RFC 7519, and the two that name a
// session. Embed it in a struct of claims to see them and to set them; a struct
// without it, or with some of these fields under the same JSON names, works as
// well. The checks do not depend on it.
type Registered struct {
	Issuer    string   `json:"iss,omitempty"`       // who made the token
	Subject   string   `json:"sub,omitempty"`       // whom it is about
	Audience  Audience `json:"aud,omitempty"`       // whom it is for
	Expires   Date     `json:"exp,omitempty"`       // the first second at which it is no longer good
	NotBefore Date     `json:"nbf,omitempty"`       // the first second at which it is
	IssuedAt  Date     `json:"iat,omitempty"`       // when it was made
	ID        string   `json:"jti,omitempty"`       // its name, for Revocation
	Session   string   `json:"sid,omitempty"`       // the session that Sessions gave the token for
	AuthTime  Date     `json:"auth_time,omitempty"` // when that session began
}

// Date is a time in whole seconds since 1970, as claims have it. Zero means
// none.
type Date int64

// farthest bounds dates in both directions, 285 million years: more saturates.
const farthest = 1 << 53

// DateOf returns the Date of t, rounded down.
func DateOf(t time.Time) Date { return Date(t.Unix()) }

// Time returns d as a time.Time, which is zero if d is.
func (d Date) Time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Unix(int64(d), 0)
}

// Audience lists whom a token is for. In JSON it is a string if it has one
// element, else an array.
type Audience []string

// Has reports whether name is among them.
func (a Audience) Has(name string) bool { return slices.Contains(a, name) }

// MarshalJSON returns a string for one element, else an array.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON takes a string or an array of strings.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = Audience{""}
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// The registered claims, in the order in which they are written, and their
// places in a plan.
const (
	claimIss = iota
	claimSub
	claimAud
	claimExp
	claimNbf
	claimIat
	claimJti
	claimSid
	claimAuthTime
	claims
)

var claimNames = [claims]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time"}

// claimPrefixes are the names as they are written.
var claimPrefixes = func() (t [claims]string) {
	for c, name := range claimNames {
		t[c] = `"` + name + `":`
	}
	return t
}()

// registered is what a token has of these claims. has knows presence by a bit a
// claim, so that a zero is no absence.
type registered struct {
	has   uint16
	texts [claims]string
	dates [claims]time.Time
	auds  []string
}

func (r *registered) present(c int) bool { return r.has&(1<<c) != 0 }

// public returns r as users see it. It shares no memory with a decoder but
// strings.
func (r *registered) public() Registered {
	date := func(c int) Date {
		if !r.present(c) {
			return 0
		}
		return DateOf(r.dates[c])
	}
	return Registered{
		Issuer: r.texts[claimIss], Subject: r.texts[claimSub], Audience: slices.Clone(Audience(r.auds)),
		Expires: date(claimExp), NotBefore: date(claimNbf), IssuedAt: date(claimIat),
		ID: r.texts[claimJti], Session: r.texts[claimSid], AuthTime: date(claimAuthTime),
	}
}

// readClaim reads the registered claim c into d.reg. Null is no value of any.
func (d *decoder) readClaim(c int) error {
	d.reg.has |= 1 << c
	switch c {
	case claimAud:
		return d.readAudience()
	case claimExp, claimNbf, claimIat, claimAuthTime:
		return d.readDate(c)
	}
	if d.peek() != '"' {
		return errMismatch
	}
	var err error
	d.reg.texts[c], err = d.text()
	return err
}

func (d *decoder) readAudience() error {
	if d.peek() == '"' {
		one, err := d.text()
		d.reg.auds = append(d.reg.auds, one)
		return err
	}
	if err := d.open('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		if ok, err := d.more(']', first); !ok {
			return err
		}
		if d.peek() != '"' {
			return errMismatch
		}
		one, err := d.text()
		if err != nil {
			return err
		}
		d.reg.auds = append(d.reg.auds, one)
	}
}

// readDate takes any number that a float64 holds. What is beyond farthest
// saturates, in its direction, and never wraps.
func (d *decoder) readDate(c int) error {
	if b := d.peek(); b != '-' && (b < '0' || b > '9') {
		return errMismatch
	}
	text, err := d.number()
	if err != nil {
		return err
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		d.reg.dates[c] = time.Unix(min(max(n, -farthest), farthest), 0)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return errMismatch // 1e400
	}
	whole := math.Floor(min(max(f, -farthest), farthest))
	nanos := 0.0
	if f > -farthest && f < farthest {
		nanos = (f - whole) * 1e9
	}
	d.reg.dates[c] = time.Unix(int64(whole), int64(nanos))
	return nil
}

// Expectation says what a claim must be. The zero Expectation says nothing, and
// a Verifier with one is an error: what is not checked is waived by Any.
type Expectation struct {
	kind   expectation
	values []string
}

type expectation uint8

const (
	unsaid expectation = iota
	oneOf
	present
	anything
)

// Is expects the claim to be one of these values. An audience must hold one of
// them.
func Is(value string, more ...string) Expectation {
	return Expectation{oneOf, append([]string{value}, more...)}
}

// Present expects the claim to be there and not empty.
func Present() Expectation { return Expectation{kind: present} }

// Any expects nothing: the claim may be anything of its type, or missing.
func Any() Expectation { return Expectation{kind: anything} }

// holds reports whether got, which may be of no value, is as expected.
func (e *Expectation) holds(got ...string) bool {
	switch e.kind {
	case anything:
		return true
	case present:
		return slices.ContainsFunc(got, func(s string) bool { return s != "" })
	}
	for _, s := range got {
		if slices.Contains(e.values, s) {
			return true
		}
	}
	return false
}
