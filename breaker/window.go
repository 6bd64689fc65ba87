package breaker

// windows holds what the closed calls of one generation are recorded in. It is
// built at the first of them and dropped with the generation.
type windows struct {
	rules  *rules       // those it was built for
	count  *countWindow // nil without that rule, as the others
	time   *timeWindow
	flight *flight
}

func newWindows(r *rules) *windows {
	w := &windows{rules: r}
	if r.countWindow > 0 {
		w.count = newCountWindow(int(r.countWindow))
	}
	if r.timed() {
		w.time = newTimeWindow(r.window)
	}
	if r.slowInFlight > 0 {
		w.flight = newFlight(r.slowCall)
	}
	return w
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

// adopt takes over from old the windows whose shape r leaves as it was.
func (w *windows) adopt(old *windows) {
	if w.count != nil && old.count != nil && w.count.size == old.count.size {
		w.count = old.count
	}
	if w.time != nil && old.time != nil && w.time.width == old.time.width {
		w.time = old.time
	}
	if w.flight != nil && old.flight != nil && w.flight.width == old.flight.width {
		w.flight = old.flight
	}
}

// add records a result and returns the event of the rule that it trips, if
// any. Rules are weighed on bad results only: a good one makes nothing worse.
func (w *windows) add(now int64, failed, slow bool) (trip event, tripped bool) {
	r := w.rules
	if w.time != nil {
		w.time.add(now, failed, slow)
	}
	if w.count != nil {
		if calls, failures := w.count.add(failed); failed && calls >= int(r.countMinCalls) && failures >= int(r.countFailures) {
			return evTripCount, true
		}
	}
	if w.time == nil || !failed && !slow {
		return 0, false
	}
	calls, failures, slows := w.time.sum(now)
	switch {
	case calls < uint64(r.minCalls):
		return 0, false
	case failed && r.failureRate > 0 && float64(failures)/float64(calls) >= r.failureRate:
		return evTripFailureRate, true
	case slow && r.slowRate > 0 && float64(slows)/float64(calls) >= r.slowRate:
		return evTripSlowRate, true
	}
	return 0, false
}

func (w *windows) stats(now int64, s *Stats) {
	if w.count != nil {
		s.CountCalls, s.CountFailures = w.count.counts()
	}
	if w.time != nil {
		calls, failures, slows := w.time.sum(now)
		s.WindowCalls, s.WindowFailures, s.WindowSlow = int(calls), int(failures), int(slows)
	}
	if w.flight != nil {
		s.InFlight, s.SlowInFlight = w.flight.counts(now)
	}
}
