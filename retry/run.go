package retry

import (
	"context"
	"errors"
	"math"
	"time"
)

// keptErrors is how many errors of a call are kept, the latest ones. A call
// without a limit of attempts must not grow with them.
const keptErrors = 8

// run is the state of one call from its first failure on. It is used by one
// goroutine and lives on its stack, except in the loop form.
type run struct {
	attempts int               // attempts that have failed
	start    time.Time         // of the call; zero unless MaxElapsed is set
	prev     time.Duration     // the delay drawn last; DecorrelatedJitter grows from it
	waited   time.Duration     // sum of the delays begun
	timer    *time.Timer       // made at the first real wait, then reused; needs no Stop since Go 1.23
	errs     [keptErrors]error // ring: the error of attempt n is at (n-1) % keptErrors
}

// begin notes the time if something will be measured against it.
func (s *run) begin(r *Retrier) {
	if r.cfg.MaxElapsed > 0 {
		s.start = time.Now()
	}
}

// keep counts a failed attempt and keeps its error.
func (s *run) keep(err error) {
	s.errs[uint(s.attempts)%keptErrors] = err
	s.attempts++
}

// failed books the failure of an attempt and decides what follows: another
// attempt after delay, if final is nil; otherwise the call ends with final.
func (s *run) failed(ctx context.Context, r *Retrier, err error) (delay time.Duration, final error) {
	cfg := &r.cfg
	s.keep(err)
	permanent, after := inspect(err)
	if permanent {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, s.ended(ctx, r, err)
	}
	if after < 0 || cfg.If != nil && err != ErrUnaccepted && !cfg.If(err) {
		return 0, err
	}
	allowed := cfg.Budget == nil || cfg.Budget.Withdraw()
	if s.attempts == 1 && !cfg.NoDelay && !cfg.Nested && marked(ctx) {
		r.counts.suppressed.Add(1)
		return 0, err
	}
	if s.attempts >= cfg.MaxAttempts {
		return 0, s.giveUp(r, ErrExhausted)
	}
	if !cfg.NoDelay {
		s.prev = cfg.delay(s.attempts, s.prev)
		delay = s.prev
	}
	if after > 0 {
		if after > cfg.MaxRetryAfter {
			return 0, s.giveUp(r, ErrRetryAfter)
		}
		// The computed delay comes on top: it spreads the clients that were
		// all told the same moment, and never brings one back before it.
		delay = max(after, min(saturatingAdd(after, delay), cfg.MaxRetryAfter))
	}
	if delay > 0 || r.timed {
		if reason := s.tooLate(ctx, cfg, delay); reason != nil {
			return 0, s.giveUp(r, reason)
		}
	}
	if !allowed {
		r.counts.overBudget.Add(1)
		return 0, s.giveUp(r, ErrBudget)
	}
	if !cfg.NoDelay {
		r.counts.retries.Add(1)
	}
	if cfg.Hooks.OnRetry != nil {
		cfg.Hooks.OnRetry(RetryEvent{Name: cfg.Name, Attempt: s.attempts, Err: err, Delay: delay})
		if ctx.Err() != nil {
			return 0, s.giveUp(r, ctxErr(ctx))
		}
	}
	return delay, nil
}

// tooLate returns why an attempt after delay would come too late, or nil. It reads
// the clock only if there is something to compare it with.
func (s *run) tooLate(ctx context.Context, cfg *Config, delay time.Duration) error {
	if cfg.MaxElapsed > 0 && saturatingAdd(time.Since(s.start), delay) > cfg.MaxElapsed {
		return ErrElapsed
	}
	if delay > 0 {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= delay {
			return context.DeadlineExceeded
		}
	}
	return nil
}

// wait blocks for delay, or until ctx is done and returns its error.
func (s *run) wait(ctx context.Context, delay time.Duration) error {
	if s.timer == nil {
		s.timer = time.NewTimer(delay)
	} else {
		s.timer.Reset(delay)
	}
	s.waited = saturatingAdd(s.waited, delay)
	select {
	case <-s.timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return ctxErr(ctx)
	}
	return nil
}

// ended is the error of a call whose context was done when an attempt failed.
// A first attempt that says so itself needs no *Error around it.
func (s *run) ended(ctx context.Context, r *Retrier, err error) error {
	reason := ctxErr(ctx)
	if s.attempts == 1 && errors.Is(err, ctx.Err()) && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return s.giveUp(r, reason)
}

// giveUp returns the *Error of a call that wanted another attempt.
func (s *run) giveUp(r *Retrier, reason error) error {
	r.counts.gaveUp.Add(1)
	n := min(s.attempts, keptErrors)
	errs := make([]error, n)
	for i := range errs {
		errs[i] = s.errs[uint(s.attempts-n+i)%keptErrors]
	}
	return &Error{Name: r.cfg.Name, Attempts: s.attempts, Waited: s.waited, Reason: reason, errs: errs}
}

// inspect looks in err for the mark of Permanent and for a RetryAfter method.
func inspect(err error) (permanent bool, after time.Duration) {
	if plain(err) {
		return false, 0
	}
	if _, ok := errors.AsType[*permanentError](err); ok {
		return true, 0
	}
	if refusal, ok := errors.AsType[retryAfterer](err); ok {
		after = refusal.RetryAfter()
	}
	return false, after
}

// plain reports that err wraps nothing and has no RetryAfter, as most errors
// that are retried. The type switch finds that out in one cached look-up, many
// times cheaper than a search.
func plain(err error) bool {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, retryAfterer:
		return false
	}
	return true
}

// retryAfterer is the one method that connects a refusal with the retry of it,
// without an import between their packages.
type retryAfterer interface {
	error
	RetryAfter() time.Duration
}

// saturatingAdd adds two durations ≥ 0.
func saturatingAdd(a, b time.Duration) time.Duration {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return math.MaxInt64
}
