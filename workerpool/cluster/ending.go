package cluster

import "time"

// Ending: a process is asked by a frame, then by SIGTERM, then killed, each time
// with a deadline, and in the end forgotten.

// because sets the reason of an end, unless there is an earlier one.
func (p *proc) because(r Reason) {
	if p.reason == "" {
		p.reason = r
	}
}

// end asks a process to end, unless it is ending.
func (m *machine) end(now time.Duration, p *proc, reason Reason) {
	if p.phase >= draining {
		return
	}
	p.because(reason)
	p.phase, p.until = draining, now+m.rule.stopTimeout
	m.emit(action{kind: actDrain, proc: p.id, slot: p.slot, reason: p.reason, wait: m.rule.stopTimeout})
}

func (m *machine) signal(now time.Duration, p *proc, s signal) {
	p.phase, p.until = dying, now+m.rule.killAfter
	m.emit(action{kind: actSignal, proc: p.id, slot: p.slot, signal: s})
}

func (m *machine) kill(now time.Duration, p *proc) {
	p.phase, p.until = killed, now+abandonAfter
	m.emit(action{kind: actSignal, proc: p.id, slot: p.slot, signal: sigKill})
}

// stop asks every process to end. Called again it loses patience: who was asked
// is sent SIGTERM.
func (m *machine) stop(now time.Duration) {
	again := m.stopping
	m.stopping = true
	m.queue, m.busy = nil, nil
	if m.reloading {
		m.reloaded(reloadCut)
	}
	for i := range m.slots {
		m.slots[i].startAt = never
	}
	for _, p := range m.all() {
		if again && p.phase == draining {
			p.forced = true
			m.signal(now, p, sigTerm)
		}
		m.end(now, p, ReasonStop)
	}
}

// killAll is stop for those who have no time. forced tells whether that counts
// against the processes.
func (m *machine) killAll(now time.Duration, forced bool) {
	m.stop(now)
	for _, p := range m.all() {
		if p.phase < killed {
			p.forced = p.forced || forced
			m.kill(now, p)
		}
	}
}

// overdue ends a phase that has lasted too long. Each step is rougher than the
// one before.
func (m *machine) overdue(now time.Duration, p *proc) {
	switch p.phase {
	case starting:
		p.because(ReasonStart)
		m.signal(now, p, sigQuit)
	case draining:
		p.forced = true
		m.signal(now, p, sigTerm)
	case dying:
		m.kill(now, p)
	case killed:
		m.leave(now, p, actAbandoned)
	}
}
