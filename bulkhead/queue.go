package bulkhead

import (
	"context"
	"time"
)

// A waiter is a caller that waits for n slots. It is in the queue until it is
// granted its slots, is refused, or leaves.
type waiter struct {
	n          int
	since      time.Duration // when it began to wait
	prev, next *waiter       // guarded by Bulkhead.mu, as is queued
	queued     bool
	ready      chan struct{} // closed when it is granted or refused
	wait       time.Duration // how long it waited; written before ready is closed
	err        error         // why it was refused, nil if granted; as wait
}

// queue is a list of waiters, oldest first, linked through the waiters so that
// one in the middle leaves at no cost.
type queue struct {
	first, last *waiter
	len         int
	weight      int64         // the sum of what they wait for
	since       time.Duration // since when it has not been empty
}

func (q *queue) push(w *waiter) {
	if q.len == 0 {
		q.first, q.since = w, w.since
	} else {
		w.prev, q.last.next = q.last, w
	}
	q.last = w
	q.len++
	q.weight += int64(w.n)
	w.queued = true
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.len--
	q.weight -= int64(w.n)
}

// acquireSlow is acquire for a caller that found no free slot, somebody before
// it, or the bulkhead closed. It returns how long the caller waited.
func (b *Bulkhead) acquireSlow(ctx context.Context, n int) (time.Duration, error) {
	left := time.Duration(-1) // until the deadline, if there is one that counts
	if !b.cfg.IgnoreDeadline {
		if deadline, ok := ctx.Deadline(); ok {
			left = max(time.Until(deadline), 0)
		}
	}
	var w *waiter
	if !b.cfg.NoWait {
		// Made before the lock is taken, so that it is held for less long.
		w = &waiter{n: n, ready: make(chan struct{})}
	}
	queued, err := b.enqueue(w, n, left)
	if err != nil {
		b.tellRefused(n, err)
		return 0, err
	}
	if !queued {
		return 0, nil
	}
	return b.await(ctx, w)
}

// enqueue puts w into the queue for n slots and reports true, or takes the
// slots after all and reports false, or refuses them.
func (b *Bulkhead) enqueue(w *waiter, n int, left time.Duration) (queued bool, err error) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, ErrClosed
	}
	if most := b.heaviestLocked(); n < 1 || n > most {
		return false, &WeightError{Name: b.cfg.Name, Weight: n, Limit: most}
	}
	if b.takeLocked(n) {
		return false, nil
	}
	// Between here and the push a slot may come back. Its release finds the
	// mark of the last waiter or of the watch and waits for mu, or the
	// compare-and-swap below finds the slot.
	if why := b.refusalLocked(n, now, left); why != 0 {
		return false, b.fullLocked(why, n, now)
	}
	for {
		word := b.slots.Load()
		if b.queue.len == 0 && freeIn(word) >= n {
			if b.slots.CompareAndSwap(word, word-int64(n)) {
				return false, nil
			}
			continue
		}
		if b.slots.CompareAndSwap(word, word-reason) {
			break
		}
	}
	if b.queue.len == 0 && !b.watching {
		b.turns.begin(now)
	}
	w.since = now
	b.queue.push(w)
	return true, nil
}

// refusalLocked decides whether a caller that cannot have n slots now may wait
// for them, and returns why not.
func (b *Bulkhead) refusalLocked(n int, now, left time.Duration) Reason {
	if b.cfg.NoWait {
		return QueueFull
	}
	if left >= 0 && b.turns.known() && b.expectedLocked(n, now) > left {
		return TurnTooLate
	}
	if b.queue.len < b.cfg.MaxWaiting {
		return 0
	}
	if !b.overloadedLocked(now) {
		return QueueFull
	}
	// Newest first: the oldest waiter has the least chance, so it makes room.
	oldest := b.queue.first
	b.dropLocked(oldest, b.fullLocked(QueueFull, oldest.n, now))
	return 0
}

// await waits for w to be granted or refused, for ctx, or for MaxWait.
func (b *Bulkhead) await(ctx context.Context, w *waiter) (time.Duration, error) {
	var tooLong <-chan time.Time
	if b.cfg.MaxWait > 0 {
		timer := time.NewTimer(b.cfg.MaxWait)
		defer timer.Stop()
		tooLong = timer.C
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		b.leave(w, 0)
	case <-tooLong:
		b.leave(w, WaitTooLong)
	}
	// w is out of the queue, so what it says no longer changes.
	if ctx.Err() != nil {
		// The cancellation counts even if the slots came first: whoever
		// cancels and then sees a slot come back must not see it taken by
		// the cancelled.
		if w.err == nil {
			b.release(w.n)
		}
		return 0, ctxError(ctx)
	}
	if w.err != nil {
		b.tellRefused(w.n, w.err)
		return 0, w.err
	}
	return w.wait, nil
}

// leave takes w out of the queue, unless it was granted or refused in the same
// moment. It does so for the reason why, or for the caller's ctx if that is
// zero.
func (b *Bulkhead) leave(w *waiter, why Reason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !w.queued {
		return
	}
	now := b.now()
	if why != 0 {
		err := b.fullLocked(why, w.n, now)
		err.Wait = now - w.since
		b.dropLocked(w, err)
	} else {
		b.counts.cancelled++
		b.dropLocked(w, context.Canceled) // await returns what ctx says instead
	}
	// It may have been the one that did not fit, with lighter ones behind it.
	b.giveLocked(now)
}

// dropLocked takes w out of the queue with err as its answer.
func (b *Bulkhead) dropLocked(w *waiter, err error) {
	b.queue.remove(w)
	b.slots.Add(reason)
	w.err = err
	close(w.ready)
}

// giveLocked grants free slots to waiters for as long as the next one fits.
// With a waiter in the queue nobody else can take slots, so what is free stays
// free until it is given, and the number in use never passes the limit. It
// does not go past a waiter that does not fit, or light callers would starve
// heavy ones.
func (b *Bulkhead) giveLocked(now time.Duration) {
	for b.queue.len > 0 {
		w := b.queue.first
		if b.overloadedLocked(now) {
			w = b.queue.last
		}
		if freeIn(b.slots.Load()) < w.n {
			return
		}
		b.queue.remove(w)
		b.slots.Add(reason - int64(w.n))
		w.wait = max(now-w.since, 0)
		b.counts.waited(w.wait)
		close(w.ready)
	}
}

// releaseSlow deals with slots that came back while somebody had a reason to
// know. The slots are already in the word.
func (b *Bulkhead) releaseSlow(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watching || b.queue.len > 0 {
		now := b.now()
		b.turns.observe(now, n, b.limit)
		if b.watching {
			b.watching = false
			b.slots.Add(reason)
		}
		b.giveLocked(now)
	}
	b.tellIdleLocked()
}

// takeLocked takes n slots if nobody waits for them.
func (b *Bulkhead) takeLocked(n int) bool {
	for b.queue.len == 0 {
		word := b.slots.Load()
		if freeIn(word) < n {
			return false
		}
		if b.slots.CompareAndSwap(word, word-int64(n)) {
			return true
		}
	}
	return false
}

// takeSlow is take for a word that has a reason in it, which may be no more
// than the watch.
func (b *Bulkhead) takeSlow(n int) bool {
	if b.slots.Load() >= 0 {
		return false // no reason: there were just too few slots
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed && n <= b.heaviestLocked() && b.takeLocked(n)
}

// resizeLocked moves the limit, and the free slots with it.
func (b *Bulkhead) resizeLocked(limit int) {
	if limit == b.limit {
		return
	}
	if b.cfg.Hooks.OnLimit != nil {
		b.changes = append(b.changes, LimitChange{Name: b.cfg.Name, From: b.limit, To: limit})
	}
	b.slots.Add(int64(limit - b.limit))
	b.limit = limit
	for w := b.queue.first; w != nil; {
		next := w.next
		if w.n > limit {
			b.dropLocked(w, &WeightError{Name: b.cfg.Name, Weight: w.n, Limit: limit})
		}
		w = next
	}
	b.giveLocked(b.now())
}

func (b *Bulkhead) closeLocked() {
	if !b.closed {
		b.closed = true
		b.slots.Add(-reason)
	}
}

// refuseAllLocked answers every waiter with ErrClosed.
func (b *Bulkhead) refuseAllLocked() {
	for b.queue.len > 0 {
		b.dropLocked(b.queue.first, ErrClosed)
	}
}

// tellIdleLocked wakes those who drain, once everything has come back.
func (b *Bulkhead) tellIdleLocked() {
	if len(b.drainers) > 0 && b.idleLocked() {
		for _, idle := range b.drainers {
			close(idle)
		}
		b.drainers = nil
	}
}

func (b *Bulkhead) idleLocked() bool { return b.queue.len == 0 && b.inUseLocked() == 0 }

func (b *Bulkhead) inUseLocked() int { return b.limit - freeIn(b.slots.Load()) }

// heaviestLocked is the largest weight that can be sure of its turn.
func (b *Bulkhead) heaviestLocked() int {
	if b.cfg.Adaptive.on() {
		return b.cfg.Adaptive.Min
	}
	return b.limit
}

// overloadedLocked reports whether the newest waiter goes first.
func (b *Bulkhead) overloadedLocked(now time.Duration) bool {
	return b.cfg.LIFOAfter > 0 && b.queue.len > 0 && now-b.queue.since >= b.cfg.LIFOAfter
}
