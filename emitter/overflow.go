package emitter

import (
	"context"
	"math/bits"
	"time"
)

// block waits with v until there is room. It is called with mu held, and gives
// it back.
//
// At first it only lets others run for a moment, so that a listener that is
// quick enough makes room for many events: if it had to wake a blocked emit for
// each of them, both would do little else.
func (m *mailbox[T]) block(ctx context.Context, v T) error {
	if len(m.gate) == 0 {
		m.mu.Unlock()
		pause()
		m.mu.Lock()
		if len(m.gate) == 0 && !m.ended && m.queuedLocked() < m.size {
			m.putLocked(v)
			m.mu.Unlock()
			return nil
		}
	}
	if m.reader.Load() == goroutine() {
		m.counts.dropped++
		err := m.fullErrorLocked(true)
		m.mu.Unlock()
		return err
	}
	e := &entrant[T]{v: v, done: make(chan struct{})}
	m.gate = append(m.gate, e)
	m.waiting.Store(int32(len(m.gate)))
	m.admitLocked() // left may have changed before waiting was seen
	late := m.slow.full()
	timer := time.NewTimer(m.slow.due())
	m.mu.Unlock()
	defer timer.Stop()
	for {
		if late {
			m.reportSlow("emitter: slow listener blocks an emit")
		}
		select {
		case <-e.done:
			return nil
		case <-timer.C:
			m.mu.Lock()
			late = m.slow.full()
			timer.Reset(m.slow.due())
			m.mu.Unlock()
		case <-ctx.Done():
			if m.leave(e) {
				return errCut
			}
			return nil
		}
	}
}

// leave takes e away from the gate, and reports false if it has left already.
func (m *mailbox[T]) leave(e *entrant[T]) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.in {
		return false
	}
	for i, other := range m.gate {
		if other == e {
			m.gate = append(m.gate[:i:i], m.gate[i+1:]...)
			break
		}
	}
	m.waiting.Store(int32(len(m.gate)))
	m.counts.dropped++
	return true
}

// reportSlow logs that the listener does not keep up. It is called without mu.
func (m *mailbox[T]) reportSlow(msg string) {
	s := m.stats()
	m.core.config().logger().Warn(msg, "topic", m.core.topicName(), "listener", m.who(),
		"subscribed_at", m.slow.site, "queued", s.Queued, "dropped", s.Dropped, "policy", m.overflow.String())
}

// slowness is what a mailbox knows of how its listener keeps up. The clock is
// read only while the queue is full. All but site is guarded by mailbox.mu.
type slowness struct {
	site     string // where the listener subscribed; never written
	after    time.Duration
	since    time.Time // since when the queue is full; zero if it is not
	reported time.Time
	grownTo  int // bits of the length that was last reported
}

// full takes note that the queue is full, and reports whether that is worth a
// report now.
func (s *slowness) full() bool {
	now := time.Now()
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < s.limit() || !s.reported.IsZero() && now.Sub(s.reported) < slowAgain {
		return false
	}
	s.reported = now
	return true
}

// due is how long it is until full may be worth a report. It is called while the
// queue is full.
func (s *slowness) due() time.Duration {
	wait := s.limit() - time.Since(s.since)
	if !s.reported.IsZero() {
		wait = max(wait, slowAgain-time.Since(s.reported))
	}
	return max(wait, time.Millisecond)
}

func (s *slowness) limit() time.Duration {
	if s.after == 0 {
		return defaultSlowAfter
	}
	return s.after
}

// relieved takes note that n of size events wait. The queue of a slow listener
// is full most of the time, not always: half empty is what ends that.
func (s *slowness) relieved(n, size int) {
	if n <= size/2 {
		s.since = time.Time{}
	}
}

// grown reports whether a queue of n events is worth a report: at 1024 and each
// doubling.
func (s *slowness) grown(n int) bool {
	if n < 1024 || bits.Len(uint(n)) <= s.grownTo {
		return false
	}
	s.grownTo = bits.Len(uint(n))
	return true
}
