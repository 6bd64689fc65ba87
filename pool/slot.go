package pool

import (
	"context"
	"sync/atomic"
	"time"
)

// state is what a slot is doing. A slot is in exactly one state, and only the
// goroutine named here may use its value:
//
//	creating   the one that runs Create; there is no value yet
//	idle       nobody; the slot is in the idle list
//	checking   the one that runs Check, or Evict's function
//	leased     the holder of the lease with the slot's gen, or the one that runs Reset
//	closing    the one that runs Destroy
//
// All changes are made with Pool.mu held. From creating a slot becomes idle,
// leased or closing, or is gone if Create failed; from idle, leased or checking
// it may become any of idle, leased, checking and closing; after closing it is
// gone, and never used for another resource.
type state uint8

const (
	creating state = iota
	idle
	checking
	leased
	closing
)

// slot is the place of one resource in a pool. Everything but value and pool is
// guarded by Pool.mu.
type slot[T any] struct {
	value T
	pool  *Pool[T]

	// gen is one more for each lease that has ended. Only its writers need mu;
	// Lease.Value reads it without.
	gen atomic.Uint64

	prev, next *slot[T] // in the idle list

	until  time.Duration // if idle: it can be handed out before, without a look at the rest
	since  time.Duration // if leased: since when
	used   time.Duration // when it was last released, or created
	seen   time.Duration // when it was last known to work
	expire time.Duration // the end of its lifetime
	renew  time.Duration // when the pool begins to look for a successor
	born   time.Duration

	id     uint64
	index  int                // in Pool.all
	cancel context.CancelFunc // of the ctx of a Create or Check that runs
	trace  *trace             // who holds it, if that is kept

	state    state
	doomed   bool   // not to be used again, for the reason
	reason   Reason // if doomed or closing
	aging    bool   // if idle: counted in Pool.aging
	kept     bool   // if checking: for KeepAlive or Evict, so it goes back where it was
	reported bool   // as leaked
	gone     bool   // out of Pool.all although Destroy still runs
}

// idleList is a stack of slots, the one used last on top, linked so that one in
// the middle leaves at no cost. From the bottom up, used only grows.
type idleList[T any] struct {
	top, bottom *slot[T]
	len         int
}

func (l *idleList[T]) push(s *slot[T]) {
	s.next = l.top
	if l.top == nil {
		l.bottom = s
	} else {
		l.top.prev = s
	}
	l.top = s
	l.len++
}

func (l *idleList[T]) remove(s *slot[T]) {
	if s.prev == nil {
		l.top = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.bottom = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	l.len--
}

// insert puts s where it belongs for the time at which it was used, looking
// from the bottom: it is among the ones unused for longest.
func (l *idleList[T]) insert(s *slot[T]) {
	below := l.bottom
	for below != nil && below.used <= s.used {
		below = below.prev
	}
	// s goes between below, which is above it in the stack, and what follows.
	if below == nil {
		l.push(s)
		return
	}
	s.prev, s.next = below, below.next
	if below.next == nil {
		l.bottom = s
	} else {
		below.next.prev = s
	}
	below.next = s
	l.len++
}

// takeIdleLocked takes the idle slot that was used last, if it can be handed out
// without a check. Those that are too old to be handed out are destroyed.
func (p *Pool[T]) takeIdleLocked() *slot[T] {
	for {
		s := p.idle.top
		switch {
		case s == nil:
			return nil
		case p.now >= s.expire:
			p.removeIdleLocked(s)
			p.destroyLocked(s, Expired)
		case p.now >= after(s.seen, p.checkAfter):
			return nil // it needs a check
		default:
			p.removeIdleLocked(s)
			return s
		}
	}
}

// removeIdleLocked takes s out of the idle list.
func (p *Pool[T]) removeIdleLocked(s *slot[T]) {
	p.idle.remove(s)
	if s.aging {
		s.aging = false
		p.aging--
	}
}

// placeLocked finds the place of a slot that has become free: the first waiter,
// the idle list, or the end.
func (p *Pool[T]) placeLocked(s *slot[T]) {
	switch {
	case s.doomed:
		p.destroyLocked(s, s.reason)
	case p.closed:
		p.destroyLocked(s, Closed)
	case p.now >= s.expire:
		p.destroyLocked(s, Expired)
	case len(p.all)-p.closing > p.max:
		p.destroyLocked(s, Surplus)
	case p.grantLocked(s):
	default:
		s.state = idle
		s.until = min(s.expire, after(s.seen, p.checkAfter))
		if s.kept {
			s.kept = false
			p.idle.insert(s)
		} else {
			p.idle.push(s)
		}
		p.sweepByLocked(min(s.renew, after(s.used, p.idleSpan)))
	}
}

// sweepByLocked makes sure that the janitor sweeps at t.
func (p *Pool[T]) sweepByLocked(t time.Duration) {
	if t < p.nextSweep {
		p.nextSweep = t
		p.pokeLocked(t)
	}
}

// doomLocked keeps s, which is not idle, from being used again.
func (s *slot[T]) doomLocked(why Reason) {
	if !s.doomed {
		s.doomed, s.reason = true, why
	}
}

// removeLocked takes s out of all.
func (p *Pool[T]) removeLocked(s *slot[T]) {
	last := len(p.all) - 1
	p.all[s.index] = p.all[last]
	p.all[s.index].index = s.index
	p.all[last] = nil
	p.all = p.all[:last]
	s.gone = true
}

// destroyLocked ends s, which is in no list but all.
func (p *Pool[T]) destroyLocked(s *slot[T], why Reason) {
	s.state, s.reason = closing, why
	p.counts.destroyed[why]++
	if p.cfg.Destroy == nil && p.cfg.Hooks.OnDestroyed == nil {
		p.removeLocked(s)
		return
	}
	p.closing++
	p.running++
	go p.destroy(s)
}

// destroy runs Destroy. Until it returns, or for CloseTimeout, the resource
// counts toward Max: the server counts it as well.
func (p *Pool[T]) destroy(s *slot[T]) {
	defer p.exit()
	var err error
	if p.cfg.Destroy != nil {
		late := time.AfterFunc(p.cfg.CloseTimeout, func() { p.forget(s) })
		returned := false
		defer func() {
			late.Stop()
			if !returned { // runtime.Goexit; a panic is on its way to end the process
				p.destroyed(s, errGoexit)
			}
		}()
		err = p.cfg.Destroy(s.value)
		returned = true
	}
	p.destroyed(s, err)
}

// forget stops counting s although its Destroy still runs.
func (p *Pool[T]) forget(s *slot[T]) {
	p.mu.Lock()
	if !s.gone {
		p.closing--
		p.removeLocked(s)
	}
	p.unlock()
}

// destroyed takes note of the end of s.
func (p *Pool[T]) destroyed(s *slot[T], err error) {
	p.forget(s)
	p.mu.Lock()
	p.readLocked()
	if err != nil {
		p.counts.destroyFailed++
		if p.closed {
			p.destroyErr = append(p.destroyErr, err)
		}
	}
	age := p.now - s.born
	p.unlockQuiet()
	if hook := p.cfg.Hooks.OnDestroyed; hook != nil {
		hook(Destroyed{Name: p.cfg.Name, ID: s.id, Reason: s.reason, Age: age, Err: err})
	}
}
