package memwatch

import "time"

// ladder makes a level that does not flicker of readings that do. A higher
// level counts once readings have been above the present one for the time
// rise, a lower one once they have been below it for the time fall; then the
// level is the one that all of these readings reached.
//
// Invariant: at most one of up and down is pending, since a reading that
// enters a higher level does not leave the present one.
type ladder struct {
	rise, fall time.Duration
	level      Level
	since      time.Time // when level was entered; zero before the first step
	up, down   pending
}

// pending is a change that has not lasted long enough yet.
type pending struct {
	on    bool
	since time.Time
	to    Level
}

// step takes a reading: the level that it would enter, and the one that it
// would stay in, which is no lower. It reports whether the level has changed.
func (l *ladder) step(now time.Time, enter, stay Level) bool {
	if l.since.IsZero() {
		l.since = now
	}
	switch {
	case enter > l.level:
		l.down.on = false
		l.up.extend(now, enter, min(l.up.to, enter))
		return l.settle(now, &l.up, l.rise)
	case stay < l.level:
		l.up.on = false
		l.down.extend(now, stay, max(l.down.to, stay))
		return l.settle(now, &l.down, l.fall)
	}
	l.up.on, l.down.on = false, false
	return false
}

func (p *pending) extend(now time.Time, first, next Level) {
	if p.on {
		p.to = next
		return
	}
	*p = pending{on: true, since: now, to: first}
}

func (l *ladder) settle(now time.Time, p *pending, wait time.Duration) bool {
	if now.Sub(p.since) < wait {
		return false
	}
	p.on = false
	l.level, l.since = p.to, now
	return true
}
