package hedge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// call is the state of one call and of its attempts, which share ctx. The first
// attempt runs in the caller's goroutine, or in one of its own if detached; the
// extra ones run in the goroutine of the timer that starts them.
type call[T any] struct {
	h     *Hedger
	fn    func(context.Context) (T, error)
	delay time.Duration // 0 starts no extra attempts

	//bedplate:allow ctx: a call lives no longer than its attempts, to which it gives this context.
	ctx    context.Context
	cancel context.CancelCauseFunc

	extra sync.WaitGroup // extra attempts; waited for unless detached
	done  chan struct{}  // closed with settled; nil unless detached

	mu       sync.Mutex // guards the following
	timer    *time.Timer
	started  int  // attempts that were started
	running  int  // attempts that have not returned
	closed   bool // no further attempt may start
	settled  bool // no attempt can change the result any more
	won      bool // the result is that of a success
	returned bool // the caller is gone, what runs is abandoned
	value    T    // the result: of the winner, or else of the first attempt
	err      error
}

// cooperative makes the first attempt here and returns when all have.
func (c *call[T]) cooperative(ctx context.Context) (T, error) {
	c.start()
	returned := false
	defer func() {
		c.cancel(ErrLost)
		if !returned {
			c.unwind()
		}
	}()
	c.attempt(1)
	c.extra.Wait()
	returned = true
	return c.result(ctx)
}

// unwind leaves nothing behind when the first attempt has ended by a panic or
// Goexit: no attempt, and no success that nobody will be given.
func (c *call[T]) unwind() {
	c.extra.Wait()
	c.mu.Lock()
	won := c.won
	c.mu.Unlock()
	if won {
		c.discard(c.value)
	}
}

// detached makes all attempts elsewhere and returns with the first success,
// the last failure, or the end of ctx.
func (c *call[T]) detached(ctx context.Context) (T, error) {
	c.done = make(chan struct{})
	c.start()
	go c.attempt(1)
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	defer c.cancel(ErrLost)
	c.mu.Lock()
	c.closeLocked()
	c.settled, c.returned = true, true
	c.h.abandoned.Add(int64(c.running))
	c.mu.Unlock()
	return c.result(ctx)
}

// start books the first attempt and sets the timer of the second.
func (c *call[T]) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.running = 1, 1
	if c.delay > 0 {
		c.timer = time.AfterFunc(c.delay, c.hedge)
	}
}

// hedge is run by the timer. It makes an extra attempt, if that is still wanted
// and the budget allows it, and sets the timer of the next.
func (c *call[T]) hedge() {
	// The budget may be the user's code and is asked outside the lock. If the
	// call ends in between, a token is spent on nothing.
	if !c.h.cfg.Budget.Withdraw() {
		c.h.overBudget.Add(1)
		return
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.started++
	c.running++
	c.extra.Add(1)
	n := c.started
	if n < c.h.cfg.MaxAttempts {
		c.timer.Reset(c.delay)
	}
	c.mu.Unlock()
	defer c.extra.Done()
	c.h.hedges.Add(1)
	c.attempt(n)
}

// attempt calls fn for attempt n, and books what it returned even if it did
// not return.
func (c *call[T]) attempt(n int) {
	var v T
	err := ErrGoexit
	var begin time.Time
	if c.h.measured != nil && n == 1 {
		begin = time.Now()
	}
	defer func() { c.ended(n, begin, v, err) }()
	if n > 1 && c.h.cfg.Hooks.OnHedge != nil {
		c.h.cfg.Hooks.OnHedge(HedgeEvent{Name: c.h.cfg.Name, Attempt: n, Delay: c.delay})
	}
	v, err = c.fn(c.ctx)
}

// ended books the outcome of attempt n.
func (c *call[T]) ended(n int, begin time.Time, v T, err error) {
	var took time.Duration
	measured := !begin.IsZero()
	if measured {
		took = time.Since(begin)
	}
	c.mu.Lock()
	lost := c.won
	win := err == nil && !c.settled
	if win || n == 1 && !c.won {
		c.won, c.value, c.err = win, v, err
	}
	if win || n == 1 {
		// Extra attempts are for a first one that is slow. If it has failed,
		// those that run already may still succeed.
		c.closeLocked()
	}
	c.running--
	if win || c.running == 0 {
		c.settleLocked()
	}
	if c.returned {
		c.h.abandoned.Add(-1)
	}
	c.mu.Unlock()

	switch {
	case measured && lost: // it would have taken longer, nobody knows how long
		c.h.measured.record(2 * took)
	case measured && err == nil:
		c.h.measured.record(took)
	}
	switch {
	case win:
		c.cancel(ErrLost)
		if n > 1 {
			c.h.wins.Add(1)
		}
	case err == nil:
		c.discard(v)
	}
}

// closeLocked lets no further attempt start.
func (c *call[T]) closeLocked() {
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
}

// settleLocked makes the result final and wakes a detached caller.
func (c *call[T]) settleLocked() {
	if !c.settled && c.done != nil {
		close(c.done)
	}
	c.settled = true
}

// discard gives away a success that is not the result.
func (c *call[T]) discard(v T) {
	c.h.discarded.Add(1)
	c.h.cfg.Discard(v)
}

// result returns what the caller gets. A wait for other attempts that ctx cut
// short is part of the error.
func (c *call[T]) result(ctx context.Context) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.won:
		return c.value, nil
	case c.err == nil: // ctx was done before any attempt was
		return c.value, ctxErr(ctx)
	case c.started > 1 && ctx.Err() != nil && !errors.Is(c.err, context.Cause(ctx)):
		return c.value, fmt.Errorf("%w: %w", ctxErr(ctx), c.err)
	}
	return c.value, c.err
}

// closeValue is the default of Config.Discard.
func closeValue(value any) {
	if c, ok := value.(io.Closer); ok {
		_ = c.Close()
	}
}
