package ratelimitredis

import (
	"strings"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// denial is a refusal by the server, which holds until a permit comes back:
// nothing but a Refund or a Reset makes that earlier.
type denial struct {
	plan     *plan
	n        int
	until    time.Duration // on the store's clock: when the permit may be there
	surely   time.Duration // likewise: when it is there
	reset    time.Duration // likewise: when all are
	decision ratelimit.Decision
}

// repeat answers as the server did, if that is known.
func (s *Store) repeat(p *plan, key string, n int) (ratelimit.Decision, bool) {
	if s.denials == nil || n == 0 {
		return ratelimit.Decision{}, false
	}
	r, ok := s.denials.Get(key)
	if !ok || r.plan != p || r.n != n {
		return ratelimit.Decision{}, false
	}
	now := s.now()
	if now >= r.until {
		return ratelimit.Decision{}, false
	}
	d := r.decision
	d.RetryAfter, d.ResetAfter = r.surely-now, r.reset-now
	s.counts.denied.Add(1)
	return d, true
}

// remember keeps a refusal. It was given between start and now, so that the
// permit may be there RetryAfter after the one, and is after the other.
func (s *Store) remember(p *plan, key string, n int, d ratelimit.Decision, start time.Duration, returns uint64) {
	if s.denials == nil || s.returns.Load() != returns || d.RetryAfter == ratelimit.Never {
		return
	}
	now := s.now()
	left := start + d.RetryAfter - now
	if left <= 0 {
		return
	}
	key = strings.Clone(key) // it must not keep the request alive that it was cut from
	s.denials.SetTTL(key, &denial{p, n, start + d.RetryAfter, now + d.RetryAfter, now + d.ResetAfter, d}, left)
	if s.returns.Load() != returns {
		s.denials.Delete(key) // a Refund came between, and may have looked for it before
	}
}

// forget drops what is known of key, since permits came back.
func (s *Store) forget(key string) {
	if s.denials != nil {
		s.denials.Delete(key)
	}
	if s.leases != nil {
		s.leases.Delete(key)
	}
}
