package bulkhead

import (
	"context"
	"time"
)

// reason is taken off the slots word once for each reason to ask the mutex:
// that somebody waits, that the next release is to be measured, that the
// bulkhead is closed. It is above every count of free slots, so one reason
// makes the word negative and sends everybody to the mutex.
const reason = 1 << 32

// freeIn returns the free slots in a value of the slots word. They are its low
// half, as a signed number: reasons change the high half only.
func freeIn(word int64) int { return int(int32(word)) }

// take takes n ≥ 1 slots if they are free and nobody waits, and reports
// whether it did. That the word holds everything is what makes it correct: the
// swap succeeds only if, in that instant, there was still no reason to wait.
func (b *Bulkhead) take(n int) bool {
	for {
		word := b.slots.Load()
		if word < int64(n) {
			return false
		}
		if b.slots.CompareAndSwap(word, word-int64(n)) {
			return true
		}
	}
}

// release gives n slots back. If somebody has a reason to know (the word stays
// negative), the slots are theirs: no newcomer can take them, because the word
// is negative for it as well, until giveLocked has looked at the queue.
func (b *Bulkhead) release(n int) {
	if b.slots.Add(int64(n)) < 0 {
		b.releaseSlow(n)
	}
}

// acquire takes n slots, waiting for them if need be, and returns the time of
// the admission if anybody will ask for it.
//
// The wait is here and not in a function of its own because a goroutine that
// was parked returns slowly: the processor has forgotten where to.
func (b *Bulkhead) acquire(ctx context.Context, n int) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, ctxError(ctx)
	}
	var wait time.Duration
	if n < 1 || n > b.heaviest || !b.take(n) {
		w, err := b.enqueue(n, b.timeLeft(ctx))
		if err != nil {
			b.tellRefused(n, err)
			return 0, err
		}
		if w != nil {
			switch done := ctx.Done(); {
			case b.cfg.MaxWait > 0:
				b.await(ctx, w)
			case done == nil:
				<-w.ready // at a third of the cost of a select
			default:
				select {
				case <-w.ready:
				case <-done:
					b.leave(w, 0)
				}
			}
			// w is out of the queue, so what it says no longer changes.
			if ctx.Err() != nil {
				// That counts even if the slots came first: who cancels and
				// then sees a slot come back must not see the cancelled take
				// it.
				if w.err == nil {
					b.release(n)
				}
				return 0, ctxError(ctx)
			}
			if w.err != nil {
				b.tellRefused(n, w.err)
				return 0, w.err
			}
			wait = w.wait
		}
	}
	if b.observed {
		return b.admitted(n, wait), nil
	}
	return 0, nil
}

// timeLeft returns the time until the deadline of ctx, or a negative one if
// there is none that counts.
func (b *Bulkhead) timeLeft(ctx context.Context) time.Duration {
	if !b.cfg.IgnoreDeadline {
		if deadline, ok := ctx.Deadline(); ok {
			return max(time.Until(deadline), 0)
		}
	}
	return -1
}

// admitted reports an admission and returns its time. A hook that panics or
// exits does not keep the slots.
func (b *Bulkhead) admitted(n int, wait time.Duration) time.Duration {
	if hook := b.cfg.Hooks.OnAcquired; hook != nil {
		returned := false
		defer func() {
			if !returned {
				b.release(n)
			}
		}()
		hook(Acquired{Name: b.cfg.Name, Weight: n, Wait: wait})
		returned = true
	}
	if b.timed {
		return b.now()
	}
	return 0
}

// finish gives back the slots of a call that was admitted at start and ended
// with err, or by a panic or Goexit if it has not returned.
func (b *Bulkhead) finish(n int, start time.Duration, err error, returned bool) {
	if !b.timed {
		b.release(n)
		return
	}
	b.finishTimed(n, start, err, returned)
}

// finishTimed is finish for a bulkhead that has to know the time of the call.
func (b *Bulkhead) finishTimed(n int, start time.Duration, err error, returned bool) {
	now := b.now()
	held := max(now-start, 0)
	func() {
		defer b.release(n) // whatever the user's Overload does
		if b.adaptive != nil {
			v := ignored
			switch {
			case returned && err == nil:
				v = good
			case returned && b.cfg.Adaptive.Overload(err):
				v = overloaded
			}
			b.adapt(now, held, v)
		}
	}()
	if b.adaptive != nil {
		b.tellLimit()
	}
	if hook := b.cfg.Hooks.OnReleased; hook != nil {
		hook(Released{Name: b.cfg.Name, Weight: n, Held: held})
	}
}

// adapt shows a finished call to the adaptive limit and applies what follows.
func (b *Bulkhead) adapt(now, held time.Duration, v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limit, ok := b.adaptive.sample(now, held, b.inUseLocked(), v); ok && !b.closed {
		b.resizeLocked(limit)
	}
}
