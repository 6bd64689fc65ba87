package breaker

import (
	"errors"
	"math/rand/v2"
	"time"
)

// apply runs one event through the state machine.
func (b *Breaker) apply(e event) {
	b.mu.Lock()
	b.applyLocked(e, cause{})
	b.mu.Unlock()
	b.deliver()
}

func (b *Breaker) applyLocked(e event, by cause) {
	old := b.load()
	next, rule := step(old, e, b.rules.Load().limits)
	if rule != 0 {
		b.transitionLocked(old, next, rule, b.now(), by)
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
		b.transitionLocked(w, next, rule, at, cause{})
	}
}

// transitionLocked begins a new generation. The windows go first and the word
// comes last: see windowsOf.
func (b *Breaker) transitionLocked(old, next word, rule Rule, at int64, by cause) {
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
			refusal.openFor = r.drawOpenFor(b.reopens, by.asked)
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
		change := StateChange{Name: b.name, From: from, To: to, Rule: rule, Err: by.err, Shadow: next.mode() == Shadow}
		if to == Open {
			change.OpenFor = refusal.openFor
		}
		b.queue = append(b.queue, queuedChange{change, r.onStateChange})
		b.due.Store(true)
	}
}

// cause is what a failed call says about why, and for how long.
type cause struct {
	err   error
	asked time.Duration // the open time that the error asks for, if positive
}

// causeOf looks into the error of a call. Its methods are the user's, so no
// lock may be held.
func causeOf(failed bool, err error) cause {
	by := cause{}
	if failed && err != nil {
		by.err = err
		if asking, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err); ok {
			by.asked = asking.RetryAfter()
		}
	}
	return by
}

// drawOpenFor returns the open time after that many failed recoveries in a
// row, if the dependency asked for that time, or for none.
func (r *rules) drawOpenFor(reopens uint, asked time.Duration) time.Duration {
	d := r.openFor
	for ; reopens > 0 && d < r.maxOpenFor; reopens-- {
		d = min(2*d, r.maxOpenFor)
	}
	ceiling, least, most := or(r.maxOpenFor, 10*r.openFor), d-d/10, d+d/10
	if asked > 0 {
		d = min(asked, ceiling)
		least, most = d, d+d/10 // never earlier than it asked for
	}
	if most = min(most, ceiling); r.noJitter || most <= least {
		return d
	}
	return least + rand.N(most-least+1)
}
