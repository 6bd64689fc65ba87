package cluster

import (
	"slices"
	"time"
)

// Replacing: one slot at a time gets a new worker, and the old one is asked to
// end when the new one is ready. So a roll never takes a worker away before
// there is another, and never needs more than one process beyond the usual
// number. Reloads and recycling share the queue.

// reload replaces every worker, and revives the slots that were given up. It
// reports false while another reload is under way, or when stopping.
func (m *machine) reload(now time.Duration) bool {
	if m.reloading || m.stopping {
		return false
	}
	m.reloading = true
	m.emit(action{kind: actReloading})
	m.queue = m.queue[:0] // each would be replaced twice
	for i := range m.want {
		m.queue = append(m.queue, wish{slot: i, reason: ReasonReload})
	}
	m.advance(now)
	return true
}

// recycle wants a worker replaced that has become too large or too old.
func (m *machine) recycle(now time.Duration, p *proc, reason Reason) {
	s := &m.slots[p.slot]
	pending := m.busy != nil && m.busy.slot == p.slot ||
		slices.ContainsFunc(m.queue, func(w wish) bool { return w.slot == p.slot })
	switch {
	case m.stopping, pending, s.current != p, p.phase != serving:
		return
	case now < s.rest:
		p.retire = s.rest
		return
	}
	m.queue = append(m.queue, wish{slot: p.slot, reason: reason})
	m.advance(now)
}

// advance begins the next replacement, if none is being made.
func (m *machine) advance(now time.Duration) {
	for m.busy == nil && len(m.queue) > 0 {
		w := m.queue[0]
		m.queue = m.queue[1:]
		if w.slot < m.want {
			m.replace(now, w)
		}
	}
	if m.reloading && m.busy == nil {
		m.reloaded(reloadDone)
	}
}

func (m *machine) replace(now time.Duration, w wish) {
	s := &m.slots[w.slot]
	if w.reason == ReasonReload {
		s.givenUp, s.history = false, restarts{}
	} else if s.current == nil || s.current.phase != serving {
		return // it has ended by itself
	}
	s.startAt = never
	p := m.spawn(now, w.slot)
	m.busy = &replacement{wish: w, fresh: p.id}
	if s.current == nil {
		s.current = p
	} else {
		s.fresh = p
	}
}

// settle ends the replacement being made. A reload ends with the first one that
// fails; who could not be recycled is left alone for a while.
func (m *machine) settle(now time.Duration, ok bool) {
	b := m.busy
	m.busy = nil
	switch {
	case ok:
	case b.reason == ReasonReload:
		m.queue = slices.DeleteFunc(m.queue, func(w wish) bool { return w.reason == ReasonReload })
		m.reloaded(b.slot)
	default:
		s := &m.slots[b.slot]
		s.rest = now + m.rule.max
		if s.current != nil && m.rule.maxAge > 0 {
			s.current.retire = s.rest // it may have become too old meanwhile
		}
	}
	m.advance(now)
}

func (m *machine) reloaded(failed int) {
	m.reloading = false
	m.emit(action{kind: actReloaded, slot: failed})
}
