package ratelimitredis

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bedplate/bedplate/ratelimit"
)

// Lease lets this process take permits of a key in advance, and give them out
// without asking the server. A key is asked for often if For has not passed
// since its last call of the server; only then it takes Permits at once, or as
// many as there are. What is not given out within For lapses and stays charged.
//
// Never more than N are charged in any window, as ever; but one may be given
// out up to For later than it was charged. So never more than N are admitted in
// any time of Window − For.
type Lease struct {
	// Permits is how many are taken at once. Zero turns leases off.
	Permits int

	// For is how long they may be given out. It must be shorter than the
	// windows of the limits to mean anything. Zero means 100ms.
	For time.Duration

	// Keys is how many keys may have a lease. Zero means 10000.
	Keys int
}

func (l *Lease) fill() error {
	bad := func(field string, value any) error {
		return fmt.Errorf("ratelimitredis: Lease.%s is %v, want ≥ 0", field, value)
	}
	switch {
	case l.Permits < 0:
		return bad("Permits", l.Permits)
	case l.For < 0:
		return bad("For", l.For)
	case l.Keys < 0:
		return bad("Keys", l.Keys)
	}
	l.For = or(l.For, 100*time.Millisecond)
	l.Keys = or(l.Keys, 10_000)
	return nil
}

// lease is what a key has been given in advance.
type lease struct {
	mu       sync.Mutex // guards the following
	left     int
	until    time.Duration // on the store's clock
	reset    time.Duration // likewise
	decision ratelimit.Decision
	filling  bool // somebody asks the server for more
	plan     *plan
}

// spend takes n permits from the lease of key. If it has not as many and the
// key is asked for often, it returns the lease for the caller to fill.
func (s *Store) spend(p *plan, key string, n int) (*lease, ratelimit.Decision, bool) {
	if s.leases == nil || n == 0 || !p.atMost {
		return nil, ratelimit.Decision{}, false
	}
	l, ok := s.leases.Get(key)
	if !ok {
		s.leases.Add(strings.Clone(key), &lease{plan: p})
		return nil, ratelimit.Decision{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := s.now()
	if l.plan == p && l.left >= n && now < l.until {
		l.left -= n
		d := l.decision
		d.Remaining += l.left
		d.ResetAfter = max(l.reset-now, 0)
		s.counts.leased.Add(uint64(n))
		return nil, d, true
	}
	if l.filling || l.plan != p {
		return nil, ratelimit.Decision{}, false
	}
	l.filling = true
	return l, ratelimit.Decision{}, false
}

// filled ends what spend began by returning the lease.
func (l *lease) filled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filling = false
}

// fill puts permits into the lease that were charged after start, and returns
// how many. Those that it had lapse.
func (l *lease) fill(n int, d ratelimit.Decision, start, until time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.until, l.reset = n, until, start+d.ResetAfter
	l.decision = d
	return n
}
