package breaker

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
	if win.count != nil && !win.count.healthy() {
		win.count.add(false)
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
