package breaker

import (
	"errors"
	"math/rand/v2"
	"time"
)

// apply runs one event through the state machine.
func (b *Breaker) apply(e event) {
	b.mu.Lock()
	b.applyLocked(e, nil)
	b.mu.Unlock()
	b.deliver()
}

func (b *Breaker) applyLocked(e event, err error) {
	old := b.load()
	next, rule := step(old, e, b.rules.Load().limits)
	if rule != 0 {
		b.transitionLocked(old, next, rule, b.now(), err)
	} else if next != old {
		b.word.Store(uint64(next))
	}
}

// advanceLocked makes the transitions that are due by the clock alone. A
// lapsed lease re-opens as of the moment it lapsed, so a breaker that nobody
// asked meanwhile may pass on to HalfOpen at once.
func (b *Breaker) advanceLocked(now int64) {
	for w := b.load(); !w.forced(); w = b.load() {
		limits, at, e := b.rules.Load().limits, now, evElapsed
		switch w.state() {
		case Closed:
			win := b.win.Load()
			if win == nil || win.flight == nil {
				return
			}
			if _, slow := win.flight.counts(now); slow < int(win.rules.slowInFlight) {
				return
			}
			e = evTripSlowInFlight
		case Open:
			refusal := b.refusal.Load()
			if !refusal.elapsed(b.base.Add(time.Duration(now)).Sub(refusal.opened)) {
				return
			}
		case HalfOpen:
			if len(b.leases) == 0 {
				return
			}
			// As for the open time, a clock that reads less than the start
			// is another one, and ends the lease.
			held, term := now-b.leases[0].start, int64(b.rules.Load().probeTimeout)
			if held >= 0 && held < term {
				return
			}
			if held >= 0 {
				at = b.leases[0].start + term
			}
			e = evProbeExpired
		}
		next, rule := step(w, e, limits)
		b.transitionLocked(w, next, rule, at, nil)
	}
}

// transitionLocked begins a new generation. The windows go first and the word
// comes last: see windowsOf.
func (b *Breaker) transitionLocked(old, next word, rule Rule, at int64, err error) {
	r := b.rules.Load()
	from, to := old.state(), next.state()
	b.win.Store(nil)
	b.leases = b.leases[:0]
	var refusal *OpenError
	switch to {
	case Closed:
		b.reopens = 0
	case HalfOpen:
		refusal = &OpenError{Name: b.name, State: HalfOpen, Rule: b.refusal.Load().Rule}
	case Open:
		if from == HalfOpen {
			b.reopens++
		}
		refusal = &OpenError{Name: b.name, State: Open, Rule: rule, opened: b.base.Add(time.Duration(at))}
		if next.mode() != ForceOpen {
			refusal.openFor = r.drawOpenFor(b.reopens, err)
		}
	}
	b.refusal.Store(refusal)
	b.word.Store(uint64(next))
	if from == to {
		return
	}
	if to == Open {
		b.opened++
	}
	if r.onStateChange != nil {
		change := StateChange{Name: b.name, From: from, To: to, Rule: rule, Err: err, Shadow: next.mode() == Shadow}
		if to == Open {
			change.OpenFor = refusal.openFor
		}
		b.queue = append(b.queue, queuedChange{change, r.onStateChange})
		b.due.Store(true)
	}
}

// drawOpenFor returns the open time after that many failed recoveries in a
// row, opened by err.
func (r *rules) drawOpenFor(reopens uint, err error) time.Duration {
	ceiling := or(r.maxOpenFor, 10*r.openFor)
	var shortest, longest time.Duration
	if server, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok && server.RetryAfter() > 0 {
		// Never earlier than the server asked for.
		shortest = min(server.RetryAfter(), ceiling)
		longest = shortest + shortest/10
	} else {
		d := r.openFor
		for ; reopens > 0 && d < r.maxOpenFor; reopens-- {
			d = min(2*d, r.maxOpenFor)
		}
		shortest, longest = d-d/10, d+d/10
		if r.noJitter {
			return d
		}
	}
	longest = min(longest, ceiling)
	if r.noJitter || longest <= shortest {
		return shortest
	}
	return shortest + rand.N(longest-shortest+1)
}
