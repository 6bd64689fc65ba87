package jwt

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// stamp is what a new token has of the registered claims. has knows presence by
// a bit a claim, since a map may have a claim that is empty.
type stamp struct {
	Registered
	has uint16
}

func (s *stamp) present(c int) bool { return s.has&(1<<c) != 0 }

// text returns the place of a claim that is a string.
func (s *stamp) text(c int) *string {
	switch c {
	case claimIss:
		return &s.Issuer
	case claimSub:
		return &s.Subject
	case claimJti:
		return &s.ID
	}
	return &s.Session
}

// date returns the place of a claim that is a date.
func (s *stamp) date(c int) *Date {
	switch c {
	case claimExp:
		return &s.Expires
	case claimNbf:
		return &s.NotBefore
	case claimIat:
		return &s.IssuedAt
	}
	return &s.AuthTime
}

// own puts into s the registered claims that v has of its own, where it has them
// not empty.
func (p *plan) own(s *stamp, v reflect.Value) error {
	*s = stamp{}
	switch {
	case p.free:
		return s.ofMap(v.Interface().(map[string]any))
	case p.registered != nil:
		s.Registered = *field(v, p.registered).Addr().Interface().(*Registered)
		s.has = s.filled()
		return nil
	}
	for c := range claims {
		if index := p.top.members[c].index; index != nil {
			if f := field(v, index); !empty(f) {
				s.take(c, f)
			}
		}
	}
	return nil
}

// filled returns the bits of the claims that are not empty.
func (r *Registered) filled() uint16 {
	var has uint16
	for c, there := range [claims]bool{
		claimIss: r.Issuer != "", claimSub: r.Subject != "", claimAud: len(r.Audience) > 0,
		claimExp: r.Expires != 0, claimNbf: r.NotBefore != 0, claimIat: r.IssuedAt != 0,
		claimJti: r.ID != "", claimSid: r.Session != "", claimAuthTime: r.AuthTime != 0,
	} {
		if there {
			has |= 1 << c
		}
	}
	return has
}

func (s *stamp) ofMap(m map[string]any) error {
	for c, name := range claimNames {
		if x, ok := m[name]; ok && !s.takeAny(c, x) {
			return refuseClaim(ErrClaim, name)
		}
	}
	return nil
}

func (s *stamp) take(c int, f reflect.Value) {
	s.has |= 1 << c
	switch {
	case f.Kind() == reflect.Slice:
		s.Audience = f.Convert(audienceType).Interface().(Audience)
	case f.Kind() == reflect.Int64:
		*s.date(c) = Date(f.Int())
	case c == claimAud:
		s.Audience = Audience{f.String()}
	default:
		*s.text(c) = f.String()
	}
}

// takeAny takes a value out of a map, and reports whether it has a type for
// claim c.
func (s *stamp) takeAny(c int, x any) bool {
	v := reflect.ValueOf(x)
	switch n := x.(type) {
	case float64: // as it comes out of a token
		if math.IsNaN(n) || n > farthest || n < -farthest {
			return false
		}
		v = reflect.ValueOf(Date(math.Floor(n)))
	case int:
		v = reflect.ValueOf(Date(n))
	case []any:
		auds := make([]string, len(n))
		for i := range n {
			var ok bool
			if auds[i], ok = n[i].(string); !ok {
				return false
			}
		}
		v = reflect.ValueOf(auds)
	}
	if x == nil || fits(c, v.Type()) != nil {
		return false
	}
	s.take(c, v)
	return true
}

// complete adds what the Issuer has to say, and refuses what contradicts it.
func (i *Issuer[T]) complete(s *stamp, now time.Time) error {
	today := DateOf(now)
	if i.cfg.Issuer != "" {
		if s.present(claimIss) && s.Issuer != i.cfg.Issuer {
			return refuseClaim(ErrConflict, "iss")
		}
		s.Issuer = i.cfg.Issuer
		s.has |= 1 << claimIss
	}
	if len(i.cfg.Audience) > 0 {
		if s.present(claimAud) && !slices.Equal(s.Audience, i.cfg.Audience) {
			return refuseClaim(ErrConflict, "aud")
		}
		s.Audience = i.cfg.Audience
		s.has |= 1 << claimAud
	}
	if !s.present(claimIat) {
		s.IssuedAt = today
	} else if s.IssuedAt > today {
		return refuseClaim(ErrConflict, "iat")
	}
	end := s.IssuedAt + Date(i.cfg.TTL/time.Second)
	if !s.present(claimExp) {
		s.Expires = end
	}
	s.has |= 1<<claimIat | 1<<claimExp
	if s.Expires > end || s.Expires <= today {
		return refuseClaim(ErrConflict, "exp")
	}
	if s.present(claimNbf) && s.NotBefore >= s.Expires {
		return refuseClaim(ErrConflict, "nbf")
	}
	if i.cfg.RandomID && !s.present(claimJti) {
		s.ID = randomID()
		s.has |= 1 << claimJti
	}
	return nil
}

// append appends the claims that are present, each with a comma.
func (s *stamp) append(dst []byte) ([]byte, error) {
	var err error
	for c := range claims {
		if !s.present(c) {
			continue
		}
		dst = append(dst, claimPrefixes[c]...)
		switch c {
		case claimAud:
			dst, err = appendAudience(dst, s.Audience)
		case claimExp, claimNbf, claimIat, claimAuthTime:
			dst = strconv.AppendInt(dst, int64(*s.date(c)), 10)
		default:
			dst, err = appendText(dst, *s.text(c))
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return dst, nil
}

func appendAudience(dst []byte, auds []string) ([]byte, error) {
	if len(auds) == 1 {
		return appendText(dst, auds[0])
	}
	dst = append(dst, '[')
	for _, a := range auds {
		var err error
		if dst, err = appendText(dst, a); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return closed(dst, ']'), nil
}
