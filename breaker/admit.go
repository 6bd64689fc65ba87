package breaker

import "time"

// grant is what admission leaves for settlement.
type grant struct {
	word    word    // as the call was admitted
	start   int64   // of the call, if stamped
	flight  *flight // which the call must leave, or nil
	ticket  uint32  // of the lease, if the call is a probe
	stamped bool
}

// lease is the place of a probe.
type lease struct {
	start  int64
	ticket uint32
}

// admit grants a call or returns the refusal.
func (b *Breaker) admit(r *rules) (grant, error) {
	if w := b.load(); w.state() == Closed && r.slowCall == 0 {
		return grant{word: w}, nil
	}
	return b.admitSlowly(r)
}

// admitSlowly is admit where the clock or the lock is needed.
func (b *Breaker) admitSlowly(r *rules) (grant, error) {
	w := b.load()
	if refusal := b.refuse(w); refusal != nil {
		return grant{}, refusal
	}
	now := b.now()
	if w.state() == Closed {
		g := grant{word: w, start: now, stamped: true}
		if r.slowInFlight == 0 || w.forced() {
			return g, nil
		}
		if win := b.windowsOf(w); win != nil && win.flight != nil {
			if win.flight.enter(now) < int(r.slowInFlight) {
				g.flight = win.flight
				return g, nil
			}
			win.flight.leave(now)
		}
	}
	return b.admitAtTurn(now)
}

// refuse returns the refusal of an open breaker, or nil if its time may be
// over or it refuses nothing.
func (b *Breaker) refuse(w word) *OpenError {
	if w.state() != Open {
		return nil
	}
	// The refusal can be of a later stay than w. If that is HalfOpen it has no
	// open time and counts as elapsed, so that the lock decides.
	refusal := b.refusal.Load()
	if refusal == nil || w.mode() == Shadow || w.mode() == Auto && refusal.elapsed(time.Since(refusal.opened)) {
		return nil
	}
	b.rejected.Add(1)
	return refusal
}

// admitAtTurn makes the transitions that the clock demands, and then decides.
func (b *Breaker) admitAtTurn(now int64) (g grant, err error) {
	b.mu.Lock()
	b.advanceLocked(now)
	r, w := b.rules.Load(), b.load()
	g = grant{word: w, start: now, stamped: true}
	admitted := w.state() == Closed
	if admitted && r.slowInFlight > 0 && !w.forced() {
		g.flight = b.windowsLocked().flight
		g.flight.enter(now)
	}
	if w.state() == HalfOpen {
		if next, _ := step(w, evProbe, r.limits); next != w {
			b.word.Store(uint64(next))
			b.tickets++
			b.leases = append(b.leases, lease{now, b.tickets})
			g.ticket = b.tickets
			admitted = true
		}
	}
	switch {
	case admitted:
	case w.mode() == Shadow:
		b.shadowRejected.Add(1)
	default:
		b.rejected.Add(1)
		err = b.refusal.Load()
	}
	b.mu.Unlock()
	if err == nil {
		// A hook that panics must not take the place of a probe with it.
		delivered := false
		defer func() {
			if !delivered {
				b.settle(g, Ignored, nil)
			}
		}()
		b.deliver()
		delivered = true
		return g, nil
	}
	b.deliver()
	return g, err
}

// succeed records a success of a call that was admitted at w and was not slow.
// It trips nothing, and so needs no more than this.
func (b *Breaker) succeed(w word) {
	if w.forced() {
		return
	}
	win := b.windowsOf(w)
	if win == nil {
		return
	}
	if win.count != nil {
		win.count.succeed()
	}
	if win.time != nil {
		win.time.succeed(b)
	}
}

// settle ends a granted call with a verdict.
func (b *Breaker) settle(g grant, o Outcome, err error) {
	if g.flight != nil {
		g.flight.leave(g.start)
	}
	b.count(g, o, err)
}

// count is the verdict's part of settle.
func (b *Breaker) count(g grant, o Outcome, err error) {
	w, r := b.load(), b.rules.Load()
	if o == Success && w == g.word && w.clean() && !r.windowed {
		return // nothing happened meanwhile, and nothing is to be written
	}
	failed := o != Success && o != Ignored
	switch {
	case failed:
		b.failures.Add(1)
	case o == Ignored:
		b.ignored.Add(1)
	}
	switch {
	case w.generation() != g.word.generation() || w.forced():
		return // a result from before the last transition says nothing now
	case g.ticket != 0:
		b.countProbe(g, o, err)
		return
	case w.state() != Closed || o == Ignored:
		return
	}
	trip, tripped := event(0), false
	if r.windowed {
		win := b.windowsOf(g.word)
		if win == nil {
			return
		}
		now, slow := int64(0), false
		if win.time != nil {
			now = b.now()
			slow = r.slow(g, now)
		}
		trip, tripped = win.add(now, failed, slow)
	}
	e := evSuccess
	if failed {
		e = evFailure
	}
	if next, _ := step(w, e, r.limits); next == w && !tripped {
		return
	}
	by := causeOf(failed, err)
	b.mu.Lock()
	if b.load().generation() == g.word.generation() {
		b.applyLocked(e, by)
	}
	if tripped && b.load().generation() == g.word.generation() {
		b.applyLocked(trip, by)
	}
	b.mu.Unlock()
	b.deliver()
}

// slow reports whether a call that ends now was slow.
func (r *rules) slow(g grant, now int64) bool {
	return r.slowCall > 0 && g.stamped && now-g.start >= int64(r.slowCall)
}

// countProbe ends a probe, unless its lease is over.
func (b *Breaker) countProbe(g grant, o Outcome, err error) {
	by := causeOf(o != Success && o != Ignored, err)
	b.mu.Lock()
	now := b.now()
	b.advanceLocked(now)
	if b.load().generation() == g.word.generation() && b.endLeaseLocked(g.ticket) {
		e := evFailure
		switch {
		case o == Ignored:
			e = evIgnored
		case o == Success && b.rules.Load().slow(g, now):
			e = evProbeSlow
		case o == Success:
			e = evSuccess
		}
		b.applyLocked(e, by)
	}
	b.mu.Unlock()
	b.deliver()
}

// endLeaseLocked removes a lease and reports whether there was one.
func (b *Breaker) endLeaseLocked(ticket uint32) bool {
	for i, l := range b.leases {
		if l.ticket == ticket {
			b.leases = append(b.leases[:i], b.leases[i+1:]...)
			return true
		}
	}
	return false
}

// windowsOf returns what calls of w's generation are recorded in, or nil if
// that has passed. It looks at the word after the pointer: transitionLocked
// drops the windows first and moves the word last, so windows of another
// generation are either seen to be so or belong to nobody any more.
func (b *Breaker) windowsOf(w word) *windows {
	if win := b.win.Load(); win != nil && b.load().generation() == w.generation() {
		return win
	}
	return b.makeWindowsOf(w)
}

// makeWindowsOf is windowsOf for the first use, or the last.
func (b *Breaker) makeWindowsOf(w word) *windows {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.load().generation() != w.generation() {
		return nil
	}
	return b.windowsLocked()
}

// windowsLocked returns the windows of the current generation, which it makes
// if this is their first use.
func (b *Breaker) windowsLocked() *windows {
	win := b.win.Load()
	if win == nil {
		win = newWindows(b.rules.Load())
		b.win.Store(win)
	}
	return win
}
