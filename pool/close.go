package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Drain refuses new callers with ErrClosed from now on, waits until those who
// already wait have had their turn and every resource has come back, and then
// closes the pool, whose error it returns.
//
// When ctx is done first, the pool is closed at once: callers still waiting are
// refused with ErrClosed, resources still in use are left to their holders and
// destroyed when they are released, and the error names the holders, the one who
// has held longest first, and matches the error of ctx and its cause. Close waits
// for what Drain has not waited for. Drain may be called again, and by many.
func (p *Pool[T]) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	p.tellWarmingLocked(ErrClosed)
	idle := make(chan struct{})
	p.drainers = append(p.drainers, idle)
	p.unlock()

	select {
	case <-idle:
		return p.Close()
	default:
	}
	select {
	case <-idle:
		return p.Close()
	case <-ctx.Done():
	}

	p.mu.Lock()
	for i, d := range p.drainers {
		if d == idle {
			p.drainers = append(p.drainers[:i], p.drainers[i+1:]...)
			break
		}
	}
	p.readLocked()
	waiting, holders := p.waitingLocked(), p.heldLocked()
	p.closeLocked()
	p.unlock()
	if waiting == 0 && len(holders) == 0 {
		return p.Close() // the last came back in the same moment
	}
	return fmt.Errorf("pool: %sdrain left %d in use and refused %d waiting%s: %w",
		prefix(p.cfg.Name), len(holders), waiting, list(holders), ctxError(ctx))
}

// Close refuses new callers and those who wait with ErrClosed, destroys what is
// idle, ends the ctx of the creations and checks that run, and returns when they
// and the other goroutines of the pool have ended, or after
// Config.CloseTimeout. It does not wait for resources in use: each is destroyed
// by the goroutine that releases it. The error is what the Destroys have
// returned, or says what still runs. Close is idempotent.
func (p *Pool[T]) Close() error {
	p.mu.Lock()
	p.closeLocked()
	ended := make(chan struct{})
	if p.running == 0 {
		close(ended)
	} else {
		p.closers = append(p.closers, ended)
	}
	p.unlock()

	timeout := time.NewTimer(p.cfg.CloseTimeout)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
	}

	p.mu.Lock()
	defer p.unlockQuiet()
	errs := append([]error(nil), p.destroyErr...)
	if p.running > 0 {
		errs = append(errs, fmt.Errorf("pool: %d functions of the Config still run after %v", p.running, p.cfg.CloseTimeout))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("pool: %sclose: %w", prefix(p.cfg.Name), errors.Join(errs...))
}

func (p *Pool[T]) closeLocked() {
	if p.closed {
		return
	}
	p.readLocked()
	p.draining, p.closed = true, true
	p.answerAllLocked(ErrClosed)
	p.tellWarmingLocked(ErrClosed)
	for p.idle.len > 0 {
		s := p.idle.top
		p.removeIdleLocked(s)
		p.destroyLocked(s, Closed)
	}
	for _, s := range p.all {
		if s.cancel != nil && (s.state == creating || s.state == checking) {
			s.cancel()
		}
	}
	if p.janitorRuns {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// exit is the end of a goroutine of the pool.
func (p *Pool[T]) exit() {
	p.mu.Lock()
	defer p.unlockQuiet()
	p.running--
	if p.closed && p.running == 0 {
		for _, c := range p.closers {
			close(c)
		}
		p.closers = nil
	}
}

// maxListed is how many holders an error names.
const maxListed = 8

// list is the holders as they stand in an error.
func list(holders []held) string {
	var b strings.Builder
	for i, h := range holders {
		if i == maxListed {
			fmt.Fprintf(&b, ", and %d more", len(holders)-i)
			break
		}
		fmt.Fprintf(&b, ", #%d held %v", h.id, round(h.span))
		if by := h.trace.caller(); by != "" {
			fmt.Fprintf(&b, " by %s", by)
		}
	}
	return b.String()
}
