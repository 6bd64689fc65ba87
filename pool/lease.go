package pool

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errGoexit stands for the error of a function that did not return.
var errGoexit = errors.New("pool: a function of the Config called runtime.Goexit")

// Lease is the right to use one resource until it is released. It is a small
// value that may be copied: all copies are the same lease, which ends once.
// What is done with it after that fails with ErrReleased and touches nothing,
// whoever has the resource by then.
//
// The value must not be used after the lease has ended: the lease cannot see
// who has kept it. The zero Lease has ended.
type Lease[T any] struct {
	s    *slot[T]
	gen  uint64
	drop *tracker // collected with the last copy, if Config.ReclaimLeaked
}

// Value returns the resource. It panics if the lease has ended, since the
// resource may be somebody else's by now.
func (l Lease[T]) Value() T {
	if l.s == nil || l.s.gen.Load() != l.gen {
		panic("pool: Value of a lease that was released")
	}
	return l.s.value
}

// Release gives the resource back, to the caller that has waited for longest if
// there is one. With a Config.Reset it returns when that has. It returns nil, or
// ErrReleased if the lease had ended already. It takes one lock and does not
// allocate.
func (l Lease[T]) Release() error {
	s := l.s
	if s == nil {
		return ErrReleased
	}
	p := s.pool
	p.mu.Lock()
	if s.gen.Load() == l.gen && p.fast.Load() && !s.doomed && p.now < s.expire {
		s.gen.Store(l.gen + 1)
		p.inUse--
		s.state = idle
		s.used, s.seen = p.now, p.now
		s.until = min(s.expire, after(p.now, p.checkAfter))
		p.idle.push(s)
		p.sweepByLocked(min(s.renew, after(p.now, p.idleSpan)))
		p.unlockQuiet()
		return nil
	}
	return l.endLocked(leaseReleased)
}

// Discard ends the lease, and destroys the resource instead of keeping it for
// others. It returns nil, or ErrReleased if the lease had ended already.
func (l Lease[T]) Discard() error { return l.end(leaseDiscarded) }

// Detach ends the lease and gives the resource to the caller for good: the pool
// forgets it, makes room for another, and does not destroy it. On failure the
// error is ErrReleased and the value is the zero value of T.
func (l Lease[T]) Detach() (T, error) {
	if err := l.end(leaseDetached); err != nil {
		var zero T
		return zero, err
	}
	return l.s.value, nil
}

// ending says how a lease ends.
type ending uint8

const (
	leaseReleased  ending = iota
	leaseDiscarded        // by the caller
	leaseBroken           // its resource is, and so may be others
	leaseUnfit            // its resource is, and that says nothing of others
	leaseUnused           // its caller had left when it was granted
	leaseDetached
)

// giveBack ends the lease of With.
func (l Lease[T]) giveBack(how ending) {
	if how == leaseReleased {
		_ = l.Release()
	} else {
		_ = l.end(how)
	}
}

// putBack ends a lease that nobody has seen.
func (l Lease[T]) putBack() { _ = l.end(leaseUnused) }

// end ends the lease.
func (l Lease[T]) end(how ending) error {
	if l.s == nil {
		return ErrReleased
	}
	l.s.pool.mu.Lock()
	return l.endLocked(how)
}

// endLocked ends the lease with Pool.mu held, and unlocks it. Whoever moves gen
// on has the slot for himself.
func (l Lease[T]) endLocked(how ending) error {
	s, p := l.s, l.s.pool
	if s.gen.Load() != l.gen {
		p.counts.stale++
		p.unlockQuiet()
		return ErrReleased
	}
	p.lookLocked()
	s.gen.Store(l.gen + 1)
	held := p.now - s.since
	s.trace, s.reported = nil, false
	if how == leaseReleased && p.cfg.Reset != nil && !s.doomed && !p.closed {
		p.unlockQuiet()
		how = p.reset(s)
		p.mu.Lock()
		p.lookLocked()
	}
	p.retire(s, how)
	l.drop.stop()
	if hook := p.cfg.Hooks.OnReleased; hook != nil && how != leaseUnused {
		hook(Released{Name: p.cfg.Name, ID: s.id, Held: held})
	}
	return nil
}

// retire does with the slot of an ended lease what has to be done, with mu held,
// and unlocks it. After Close it destroys the resource on this goroutine, as the
// pool starts no more of its own.
func (p *Pool[T]) retire(s *slot[T], how ending) {
	p.inUse--
	why, bad := s.reason, s.doomed
	switch how {
	case leaseDetached:
		p.removeLocked(s)
		p.counts.detached++
		p.unlock()
		return
	case leaseDiscarded:
		why, bad = Discarded, true
	case leaseBroken:
		why, bad = Broken, true
		p.suspectLocked()
	case leaseUnfit:
		why, bad = Broken, true
	case leaseReleased:
		s.used, s.seen = p.now, p.now
	case leaseUnused:
		s.kept = true
	}
	switch {
	case p.closed:
		if !bad {
			why = Closed
		}
		p.counts.destroyed[why]++
		s.state, s.reason = closing, why
		p.removeLocked(s)
		p.unlock()
		var err error
		if p.cfg.Destroy != nil {
			err = p.cfg.Destroy(s.value)
		}
		p.destroyed(s, err)
		return
	case bad:
		p.destroyLocked(s, why)
	default:
		p.placeLocked(s)
	}
	p.unlock()
}

// suspectLocked makes no idle resource count as known to work: one was found
// broken, and what broke it may have broken all.
func (p *Pool[T]) suspectLocked() {
	if p.cfg.Check == nil {
		return
	}
	for s := p.idle.top; s != nil; s = s.next {
		s.seen, s.until = longAgo, longAgo
	}
}

// reset runs Reset, and returns how the lease ends by that.
func (p *Pool[T]) reset(s *slot[T]) ending {
	ctx := &lateContext{timeout: p.cfg.CheckTimeout}
	defer ctx.end()
	returned := false
	defer func() {
		if !returned { // it panicked, or called runtime.Goexit: pass it on
			p.mu.Lock()
			p.retire(s, leaseUnfit)
		}
	}()
	err := p.cfg.Reset(ctx, s.value)
	returned = true
	if err != nil {
		return leaseUnfit
	}
	return leaseReleased
}

// lateContext is the ctx of a Reset. Most Resets look at the resource and find
// nothing to do, so it becomes a real context when it is first asked for
// anything, and its time runs from then.
type lateContext struct {
	context.Context // made under once

	once    sync.Once
	timeout time.Duration
	cancel  context.CancelFunc // as Context
}

// ended is a context that is done.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (c *lateContext) get() context.Context {
	c.once.Do(func() { c.Context, c.cancel = context.WithTimeout(context.Background(), c.timeout) })
	return c.Context
}

// end cancels the context, also if somebody kept it who has not looked yet.
func (c *lateContext) end() {
	c.once.Do(func() { c.Context, c.cancel = ended, func() {} })
	c.cancel()
}

// The methods of context.Context.

func (c *lateContext) Deadline() (time.Time, bool) { return c.get().Deadline() }
func (c *lateContext) Done() <-chan struct{}       { return c.get().Done() }
func (c *lateContext) Err() error                  { return c.get().Err() }
func (c *lateContext) Value(key any) any           { return c.get().Value(key) }

// deliver is what is left to do for a caller that gets a lease, after the lock.
func (p *Pool[T]) deliver(l Lease[T], waited time.Duration) Lease[T] {
	if p.cfg.LeakAfter > 0 {
		tr := capture()
		p.mu.Lock()
		l.s.trace = tr
		p.sweepByLocked(after(l.s.since, p.cfg.LeakAfter))
		p.unlockQuiet()
	}
	if p.cfg.ReclaimLeaked {
		l.drop = p.track(l)
	}
	if hook := p.cfg.Hooks.OnAcquired; hook != nil {
		delivered := false
		defer func() {
			if !delivered {
				l.giveBack(leaseReleased)
			}
		}()
		hook(Acquired{Name: p.cfg.Name, ID: l.s.id, Waited: waited})
		delivered = true
	}
	return l
}
