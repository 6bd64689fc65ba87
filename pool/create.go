package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Creation is nobody's own: a caller that finds nothing idle waits, and the pool
// starts as many creations as it wants and may. What comes of one goes to
// whoever is first in line then. So a short rush is served by what is released
// meanwhile, and not by a connection for each caller.

// wantsLocked reports whether one more resource would be of use: to those who
// wait, beyond what is on its way to them; as one of MinIdle; to Warm; or as a
// probe of a server that was down, for those who were refused for it.
func (p *Pool[T]) wantsLocked() bool {
	coming := p.creating + p.checking
	want := p.waitingLocked()
	if p.janitorRuns && !p.draining {
		want += max(p.minIdle-(p.idle.len-p.aging), 0)
	}
	if want > coming {
		return true
	}
	live := p.liveLocked()
	for _, w := range p.warming {
		if w.n > live+p.creating {
			return true
		}
	}
	return p.wanted && live == 0 && coming == 0 && !p.draining
}

// roomLocked reports whether one more may be created.
func (p *Pool[T]) roomLocked() bool {
	return len(p.all) < p.max && p.creating < p.window
}

// liveLocked is how many resources exist that are of use.
func (p *Pool[T]) liveLocked() int { return len(p.all) - p.creating - p.closing }

// downLocked reports whether there is no use in waiting: nothing is there, and
// the next attempt is not due, or is somebody else's probe.
func (p *Pool[T]) downLocked() bool {
	return p.createErr != nil && p.liveLocked() == 0 && (p.now < p.retryAt || p.creating > 0)
}

// startCreateLocked begins an attempt to create a resource.
func (p *Pool[T]) startCreateLocked() {
	p.lastID++
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CreateTimeout)
	s := &slot[T]{pool: p, id: p.lastID, state: creating, index: len(p.all), cancel: cancel}
	p.all = append(p.all, s)
	p.creating++
	p.wanted = false
	p.running++
	go p.create(ctx, s)
}

// create runs Create.
func (p *Pool[T]) create(ctx context.Context, s *slot[T]) {
	defer p.exit()
	cancel := s.cancel
	defer cancel()
	start := time.Since(p.base)
	returned := false
	defer func() {
		if !returned {
			var none T
			p.created(s, start, none, errGoexit)
		}
	}()
	v, err := p.cfg.Create(ctx)
	returned = true
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("pool: %screate timed out after %v: %w", prefix(p.cfg.Name), p.cfg.CreateTimeout, err)
	}
	p.created(s, start, v, err)
}

// created takes note of how an attempt has ended.
func (p *Pool[T]) created(s *slot[T], start time.Duration, v T, err error) {
	p.mu.Lock()
	p.readLocked()
	took := max(p.now-start, 0)
	p.counts.create.observe(took)
	p.creating--
	s.cancel = nil
	if err != nil {
		p.failedLocked(s, err)
	} else {
		p.counts.created++
		p.createErr, p.failures, p.retryAt = nil, 0, 0
		s.value = v
		s.born, s.used, s.seen = p.now, p.now, p.now
		s.expire, s.renew = p.lifetimeLocked()
		p.placeLocked(s)
		if p.waitingLocked() > 0 {
			p.window = min(2*p.window, p.maxCreating())
		} else {
			p.window = p.cfg.CreateWindow
		}
	}
	p.tellWarmingLocked(err)
	p.unlock()
	if hook := p.cfg.Hooks.OnCreated; hook != nil {
		hook(Created{Name: p.cfg.Name, ID: s.id, Took: took, Err: err})
	}
}

func (p *Pool[T]) maxCreating() int {
	if p.cfg.MaxCreating > 0 {
		return p.cfg.MaxCreating
	}
	return p.max
}

// failedLocked takes note of a failed attempt. If there is nothing left for
// which to wait, those who waited before it began get its error; those who came
// later wait for the next one.
func (p *Pool[T]) failedLocked(s *slot[T], err error) {
	p.counts.createFailed++
	p.removeLocked(s)
	p.createErr = err
	p.window = 1
	p.retryAt = after(p.now, p.pauseLocked())
	p.failures++
	if p.liveLocked() > 0 || p.creating > 0 {
		return
	}
	for p.queue.len > 0 && p.queue.first.seq < s.id {
		p.answerLocked(p.queue.first, ErrDown, err)
	}
}

// pauseLocked is the pause before the next attempt.
func (p *Pool[T]) pauseLocked() time.Duration {
	d := p.cfg.MaxBackoff
	if f := p.failures; f < 62 && p.cfg.Backoff <= d>>f {
		d = p.cfg.Backoff << f
	}
	return d - rand.N(d/2+1)
}

// lifetimeLocked draws the end of a lifetime that begins now, and the time at
// which to look for a successor: early enough for one to be there, if some are
// to be kept ready.
func (p *Pool[T]) lifetimeLocked() (expire, renew time.Duration) {
	life := p.cfg.MaxLifetime
	if most := time.Duration(float64(life) * p.cfg.LifetimeJitter); most > 0 {
		life -= rand.N(min(most, life))
	}
	expire = after(p.now, life)
	if p.minIdle == 0 || expire == never {
		return expire, expire
	}
	return expire, expire - min(life/8, p.cfg.CreateTimeout)
}

// startCheckLocked takes the idle slot s and has it checked. The check belongs
// to nobody: a caller that leaves does not break it off, and does not break the
// resource by that.
func (p *Pool[T]) startCheckLocked(s *slot[T]) {
	p.removeIdleLocked(s)
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CheckTimeout)
	s.state, s.cancel = checking, cancel
	p.checking++
	p.running++
	go p.check(ctx, s)
}

// check runs Check.
func (p *Pool[T]) check(ctx context.Context, s *slot[T]) {
	defer p.exit()
	cancel := s.cancel
	defer cancel()
	start := time.Since(p.base)
	returned := false
	defer func() {
		if !returned {
			p.checked(s, start, errGoexit)
		}
	}()
	err := p.cfg.Check(ctx, s.value)
	returned = true
	p.checked(s, start, err)
}

// checked takes note of how a check has ended.
func (p *Pool[T]) checked(s *slot[T], start time.Duration, err error) {
	p.mu.Lock()
	p.readLocked()
	p.counts.check.observe(max(p.now-start, 0))
	p.checking--
	s.cancel = nil
	if err != nil {
		p.suspectLocked()
		s.doomLocked(Broken)
	} else {
		s.seen = p.now
	}
	p.placeLocked(s)
	p.unlock()
}
