package bulkhead

import "time"

const (
	// fewTurns is how many releases must have been seen before a caller is
	// refused on the strength of the estimate.
	fewTurns = 4

	// longestTurn bounds what is believed of one measurement. Beyond it are
	// the differences between the clocks of two synctest bubbles.
	longestTurn = time.Hour
)

// turns estimates how long one slot takes to come back while somebody waits
// for it: the time that passed with callers waiting, divided by the slots
// released in that time. It is measured only then, by releases that are slow
// anyway, so the uncontended path reads no clock. It includes how many slots
// work side by side and how long each is held, without knowing either.
//
// The sums are halved whenever they cover more than two turnovers of the
// bulkhead, so the estimate forgets at the pace at which things happen.
// All fields are guarded by Bulkhead.mu.
type turns struct {
	last     time.Duration // the observation before, or the beginning of the wait
	released int           // slots released since last
	time     float64       // nanoseconds
	units    float64       // slots released in that time
	seen     int           // observations, up to fewTurns
}

// begin starts a measurement: from now on somebody waits.
func (t *turns) begin(now time.Duration) { t.last, t.released = now, 0 }

// observe ends a measurement, and starts the next.
func (t *turns) observe(now time.Duration, limit int) {
	passed, released := now-t.last, t.released
	if passed < 0 || passed > longestTurn {
		t.begin(now)
		return
	}
	if released == 0 {
		return // granted by Resize, or together with another
	}
	t.begin(now)
	t.time += float64(passed)
	t.units += float64(released)
	t.seen = min(t.seen+1, fewTurns)
	if t.units > 2*float64(max(limit, 8)) {
		t.time /= 2
		t.units /= 2
	}
}

// known reports whether the estimate is good enough to refuse somebody.
func (t *turns) known() bool { return t.seen >= fewTurns }

// expected returns how long units slots will take to come back, or 0 if
// nothing is known. When a measurement is under way and has already taken
// longer than usual, it counts: a dependency that hangs shows before its first
// call has returned.
func (t *turns) expected(units int64, now time.Duration, underway bool) time.Duration {
	if t.units == 0 || units <= 0 {
		return 0
	}
	each := t.time / t.units
	if passed := now - t.last; underway && passed > 0 && passed <= longestTurn {
		each = max(each, (t.time+float64(passed))/(t.units+float64(t.released+1)))
	}
	return time.Duration(min(each*float64(units), float64(24*time.Hour)))
}

// expectedLocked estimates when a caller that comes now would have n slots.
func (b *Bulkhead) expectedLocked(n int, now time.Duration) time.Duration {
	units := int64(n) - freeIn(b.slots.Load())
	if !b.overloadedLocked(now) {
		units += b.queue.weight
	}
	return b.turns.expected(units, now, b.watching || b.queue.len > 0)
}

// fullLocked makes the error for a caller that is refused n slots, and sees to
// it that the next release is measured, so that the estimate in the next such
// error is fresh.
func (b *Bulkhead) fullLocked(why Reason, n int, now time.Duration) *FullError {
	err := &FullError{
		Name:     b.cfg.Name,
		Reason:   why,
		Weight:   n,
		Limit:    b.limit,
		InUse:    b.inUseLocked(),
		Waiting:  b.queue.len,
		Expected: b.expectedLocked(n, now),
	}
	if b.queue.len == 0 && !b.watching {
		// Only if the slots are still missing: were they free by now, the
		// next release could be that of a call that has yet to begin.
		word := b.slots.Load()
		if freeIn(word) < int64(n) && b.slots.CompareAndSwap(word, word-reason) {
			b.watching = true
			b.turns.begin(now)
		}
	}
	return err
}
