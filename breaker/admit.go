package breaker

import "time"

// grant is what admission leaves for settlement.
type grant struct {
	word    word    // as the call was admitted
	start   int64   // of the call, if stamped
	flight  *flight // which the call must leave, or nil
	ticket  uint32  // of the lease, if the call is a probe
	stamped bool    // whether the clock was read at admission
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
	b.refused.Add(1)
	return refusal
}

// admitAtTurn makes the transitions that the clock demands, and then decides
// under the lock.
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
			if b.tickets++; b.tickets == 0 {
				b.tickets++ // zero means no probe
			}
			b.leases = append(b.leases, lease{now, b.tickets})
			g.ticket = b.tickets
			admitted = true
		}
	}
	switch {
	case admitted:
	case w.mode() == Shadow:
		b.shadowRefused.Add(1)
	default:
		b.refused.Add(1)
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
