package bulkhead

import (
	"context"
	"time"
)

// reason is taken off the slots word once for each reason to ask the mutex:
// that somebody waits, that the next release is to be measured, that the
// bulkhead is closed. It is above every count of free slots, so one reason
// makes the word negative and sends everybody to the mutex.
const reason = 1 << freeBits

// freeBits is the width of the count of free slots in the word. It is wider
// than a limit, as debts make the count smaller than any limit could.
const freeBits = 40

// freeIn returns the free slots in a value of the slots word, less the debts.
// They are its low bits, as a signed number: reasons change the high bits only.
func freeIn(word int64) int64 { return word << (64 - freeBits) >> (64 - freeBits) }

// takeOne takes a slot if one is free and nobody waits, and reports whether it
// did. It subtracts first and looks afterwards, because a processor that loads
// the word before it swaps has to get hold of the cache line twice when others
// want it as well. What it subtracted in vain is a debt, settled at once.
//
// It is for callers that find hint zero. Debts hide free slots, so a stream of
// callers that are refused could hide one for as long as it lasts.
func (b *Bulkhead) takeOne() bool {
	return b.slots.Add(-1) >= 0 || b.settle()
}

// settle settles the debt of a caller that subtracted a slot which was not
// there. If a slot has come back since and nobody waits, the caller keeps it,
// with nothing to write: in the word the slot and the debt have cancelled out.
// Otherwise the debt may have hidden a slot from somebody who waits by now, or
// from those who drain.
//
// That no slot has come back and that the debt is gone must be one step, hence
// the swap: of a slot that the debt has hidden in between somebody may have
// been told that it is taken, so the debtor has to take it.
func (b *Bulkhead) settle() (kept bool) {
	b.mu.Lock()
	for {
		word := b.slots.Load()
		if b.queue.len == 0 && !b.closed && freeIn(word) >= 0 {
			kept = true
			break
		}
		if b.slots.CompareAndSwap(word, word+1) {
			if b.queue.len > 0 {
				b.giveLocked(b.now())
			}
			b.tellIdleLocked()
			break
		}
	}
	b.unlock()
	return kept
}

// unlock unlocks mu after a change of what hint says.
func (b *Bulkhead) unlock() {
	hint := b.hint.Load() &^ busy
	if b.queue.len > 0 || b.watching || b.closed {
		hint |= busy
	}
	if b.hint.Load() != hint { // it is read by everybody, so written with thrift
		b.hint.Store(hint)
	}
	b.mu.Unlock()
}

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
				b.countRefused(w.err, true)
				return 0, ctxError(ctx)
			}
			if w.err != nil {
				b.countRefused(w.err, false)
				b.tellRefused(n, w.err)
				return 0, w.err
			}
			wait = w.wait
		}
	}
	if b.observed() {
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
		hook(Acquired{Name: b.cfg.Name, Weight: n, Waited: wait})
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
	defer b.unlock()
	if limit, ok := b.adaptive.sample(now, held, b.inUseLocked(), v); ok && !b.closed {
		b.resizeLocked(limit)
	}
}
