package pool

import (
	"context"
	"fmt"
	"math"
)

// warming is a call of Warm that waits.
type warming struct {
	n      int
	answer chan error // holds one; sent under Pool.mu when it is taken out of Pool.warming
}

// Warm creates resources until there are n, those in use included, and returns
// when there are. If an attempt fails before that, its error is returned at
// once, as is that of ctx when it is done first; creations that have begun go
// on. An n above Max is an error.
func (p *Pool[T]) Warm(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	w := &warming{n: n, answer: make(chan error, 1)}
	p.mu.Lock()
	if p.draining {
		p.unlockQuiet()
		return ErrClosed
	}
	if n < 0 || n > p.max {
		most := p.max
		p.unlockQuiet()
		return fmt.Errorf("pool: Warm of %d, want 0 to %d", n, most)
	}
	p.readLocked()
	p.pokeLocked(p.now) // this is a use: MinIdle is kept from now on
	p.warming = append(p.warming, w)
	p.tellWarmingLocked(nil)
	p.unlock()
	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
	}
	p.mu.Lock()
	for i, other := range p.warming {
		if other == w {
			p.warming = append(p.warming[:i], p.warming[i+1:]...)
			break
		}
	}
	p.unlockQuiet()
	return ctxError(ctx)
}

// tellWarmingLocked answers those calls of Warm for which there is enough, or
// all of them with err.
func (p *Pool[T]) tellWarmingLocked(err error) {
	if len(p.warming) == 0 {
		return
	}
	live := p.liveLocked()
	waiting := p.warming[:0]
	for _, w := range p.warming {
		switch {
		case live >= w.n:
			w.answer <- nil
		case err == ErrClosed:
			w.answer <- err
		case err != nil:
			w.answer <- fmt.Errorf("pool: %swarm: %d of %d ready: %w", prefix(p.cfg.Name), live, w.n, err)
		default:
			waiting = append(waiting, w)
		}
	}
	clear(p.warming[len(waiting):])
	p.warming = waiting
}

// Resize sets Max and MinIdle. Growing serves those who wait. Shrinking takes
// nothing from anybody: idle resources are destroyed, longest unused first, and
// those in use when they are released, until there are no more than max. Values
// that make no sense are an error and change nothing, as does ErrClosed.
func (p *Pool[T]) Resize(maximum, minIdle int) error {
	if maximum < 1 || maximum > math.MaxInt32 {
		return fmt.Errorf("pool: Resize to a Max of %d, want 1 to 2147483647", maximum)
	}
	if minIdle < 0 || minIdle > maximum {
		return fmt.Errorf("pool: Resize to a MinIdle of %d, want 0 to Max, which is %d", minIdle, maximum)
	}
	p.mu.Lock()
	if p.draining {
		p.unlockQuiet()
		return ErrClosed
	}
	p.readLocked()
	p.max, p.minIdle = maximum, minIdle
	for p.idle.len > 0 && len(p.all)-p.closing > p.max {
		s := p.idle.bottom
		p.removeIdleLocked(s)
		p.destroyLocked(s, Surplus)
	}
	p.sweepByLocked(p.now) // more of them may be beyond MinIdle now
	p.unlock()
	return nil
}

// Reset gives up every resource that exists now: the idle ones are destroyed,
// those in use when they are released, and those that are being created or
// checked when that is done. It is for a failover, or new credentials. Callers
// notice nothing but that resources are new.
func (p *Pool[T]) Reset() {
	p.mu.Lock()
	p.readLocked()
	for p.idle.len > 0 {
		s := p.idle.top
		p.removeIdleLocked(s)
		p.destroyLocked(s, Outdated)
	}
	for _, s := range p.all {
		if s.state != closing {
			s.doomLocked(Outdated)
		}
	}
	p.createErr, p.failures, p.retryAt = nil, 0, 0 // what was down may be another server
	p.unlock()
}

// Evict destroys those idle resources for which choose returns true, and returns
// how many. It looks at one after the other, and the others can be acquired
// meanwhile; those in use are never seen. choose must not keep its argument.
func (p *Pool[T]) Evict(choose func(v T) bool) int {
	p.mu.Lock()
	candidates := make([]*slot[T], 0, p.idle.len)
	for s := p.idle.bottom; s != nil; s = s.prev {
		candidates = append(candidates, s)
	}
	p.unlockQuiet()
	evicted := 0
	for _, s := range candidates {
		if p.evict(s, choose) {
			evicted++
		}
	}
	return evicted
}

// evict takes s, if it is still idle, for as long as choose takes.
func (p *Pool[T]) evict(s *slot[T], choose func(v T) bool) (chosen bool) {
	p.mu.Lock()
	if s.state != idle {
		p.unlockQuiet()
		return false
	}
	p.removeIdleLocked(s)
	s.state, s.kept = checking, true
	p.checking++
	p.unlockQuiet()
	defer func() { // also when choose panics
		p.mu.Lock()
		p.lookLocked()
		p.checking--
		if chosen {
			s.doomLocked(Evicted)
		}
		p.placeLocked(s)
		p.unlock()
	}()
	return choose(s.value)
}

// Health returns nil if the pool can give out a working resource: it acquires
// one and has it checked, however lately it was used. The error is as for
// Acquire, or that of Check, after which the resource is destroyed. A pool whose
// resources are all in use is not healthy before one comes back.
func (p *Pool[T]) Health(ctx context.Context) error {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	if p.cfg.Check == nil {
		l.giveBack(leaseReleased)
		return nil
	}
	// On a goroutine of its own, so that a caller that leaves does not break
	// off the check, and the resource with it.
	answer := make(chan error, 1)
	p.mu.Lock()
	p.running++
	p.unlockQuiet()
	go func() {
		defer p.exit()
		err := errGoexit
		defer func() {
			how := leaseReleased
			if err != nil {
				how = leaseBroken
			}
			l.giveBack(how)
			answer <- err
		}()
		ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CheckTimeout)
		defer cancel()
		err = p.cfg.Check(ctx, l.s.value)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctxError(ctx)
	}
}
