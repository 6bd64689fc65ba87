package ratelimitredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/ratelimit"
)

// OnError says how to decide when the server does not answer.
type OnError uint8

// The ways to decide. Each decision made so is Degraded.
const (
	// FallbackLocal limits each key within this process, to the part of the
	// limits that Config.Instances leaves to it. It is the default.
	FallbackLocal OnError = iota

	// FailOpen admits.
	FailOpen

	// FailClosed refuses, with a *StoreError.
	FailClosed
)

// String returns the name of the way.
func (o OnError) String() string {
	switch o {
	case FallbackLocal:
		return "fallback local"
	case FailOpen:
		return "fail open"
	case FailClosed:
		return "fail closed"
	}
	return fmt.Sprintf("OnError(%d)", uint8(o))
}

// call sends r and waits for its result, up to Config.Timeout. An error is that
// of ctx, ErrClosed or a *StoreError.
func (s *Store) call(ctx context.Context, r *request) ([]int64, error) {
	permit, err := s.circuit.Allow()
	if err != nil {
		return nil, s.failure(err)
	}
	defer permit.Record(breaker.Ignored, nil) // does nothing if there is a verdict
	r.done = make(chan struct{})
	if !s.line.enter(r) {
		return nil, ErrClosed
	}
	timer := time.NewTimer(s.cfg.Timeout)
	defer timer.Stop()
	select {
	case <-r.done:
		var reply []int64
		if reply, err = r.reply(); err == nil {
			permit.Record(breaker.Success, nil)
			return reply, nil
		}
	case <-timer.C:
		s.line.leave(r)
		err = ErrTimeout
	case <-ctx.Done():
		s.line.leave(r)
		return nil, ctxError(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", ErrTimeout, err) // the pipeline's, which is the same
	}
	permit.Record(breaker.Failure, nil)
	s.counts.failed.Add(1)
	failed := s.failure(err)
	if s.cfg.OnFailure != nil {
		s.cfg.OnFailure(failed)
	}
	return nil, failed
}

// failure makes the error of a call.
func (s *Store) failure(err error) *StoreError {
	e := &StoreError{Name: s.cfg.Name, Err: err}
	var hint interface{ RetryAfter() time.Duration }
	if errors.As(err, &hint) {
		e.after = hint.RetryAfter()
	}
	return e
}

// without decides without the server, for the reason err. What is no failure
// of the server is returned.
func (s *Store) without(p *plan, key string, n int, err error) (ratelimit.Decision, error) {
	if !errors.Is(err, ratelimit.ErrStore) {
		return ratelimit.Decision{}, err
	}
	s.counts.degraded.Add(1)
	d := ratelimit.Decision{Degraded: true}
	switch s.cfg.OnError {
	case FailClosed:
		return d, err
	case FailOpen:
		d.Allowed, d.Unlimited = true, true
	default:
		d = s.local.Take(local{p.source, key}, n)
		d.Degraded = true
	}
	return d, nil
}

// local is a key of the limiter that stands in for the server. Budgets of
// different plans are apart, as they are there.
type local struct {
	plan *ratelimit.Plan
	key  string
}
