package bulkhead

import (
	"context"
	"time"
)

// A waiter is a caller that waits for n slots. It is in the queue until it is
// granted its slots, is refused, or leaves.
type waiter struct {
	n          int32
	queued     bool // guarded by Bulkhead.mu, as are prev and next
	prev, next *waiter
	ready      chan struct{} // closed when it is granted or refused
	since      time.Duration // when it began to wait
	wait       time.Duration // how long it waited; written before ready is closed
	err        error         // why it was refused, nil if granted; as wait
}

// queue is a list of waiters, oldest first, linked through the waiters so that
// one in the middle leaves at no cost.
type queue struct {
	first, last *waiter
	len         int
	weight      int64 // the sum of what they wait for
}

func (q *queue) push(w *waiter) {
	if q.len == 0 {
		q.first = w
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

// enqueue makes a waiter for n slots, or returns nil if it could take them
// after all, or the error if it is refused.
func (b *Bulkhead) enqueue(n int, left time.Duration) (*waiter, error) {
	var w *waiter
	if !b.cfg.NoWait {
		// Made before the lock is taken, at the risk of making it in vain,
		// because everybody who waits or releases has to pass through the lock.
		w = &waiter{n: int32(n), ready: make(chan struct{})}
	}
	now := b.now()
	b.mu.Lock()
	defer b.unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if most := min(b.limit, b.heaviest); n < 1 || n > most {
		return nil, &WeightError{Name: b.cfg.Name, Weight: n, Limit: most}
	}
	if b.takeLocked(n) {
		return nil, nil
	}
	if why := b.refusalLocked(n, now, left); why != 0 {
		b.countsLocked().refusals[why]++
		return nil, b.fullLocked(why, n, now)
	}
	if b.queue.len == 0 {
		// A slot may have come back by now, without anybody noticing. Either
		// it is found here, or its release finds the reason put here.
		for {
			word := b.slots.Load()
			if freeIn(word) >= int64(n) {
				if b.slots.CompareAndSwap(word, word-int64(n)) {
					return nil, nil
				}
			} else if b.slots.CompareAndSwap(word, word-reason) {
				break
			}
		}
		b.busySince = now
		b.turns.begin(now)
	}
	w.since = now
	b.queue.push(w)
	if b.overloadedLocked(now) {
		b.giveLocked(now) // the newest is next, and it may fit where the oldest does not
	}
	return w, nil
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
	b.dropLocked(oldest, b.fullLocked(QueueFull, int(oldest.n), now))
	return 0
}

// await waits for w to be granted or refused, for ctx, or for MaxWait.
func (b *Bulkhead) await(ctx context.Context, w *waiter) {
	timer := time.NewTimer(b.cfg.MaxWait)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-ctx.Done():
		b.leave(w, 0)
	case <-timer.C:
		b.leave(w, WaitTooLong)
	}
}

// leave takes w out of the queue, unless it was granted or refused in the same
// moment. It does so for the reason why, or for the caller's ctx if that is
// zero.
func (b *Bulkhead) leave(w *waiter, why Reason) {
	b.mu.Lock()
	defer b.unlock()
	if !w.queued {
		return
	}
	now := b.now()
	if why != 0 {
		err := b.fullLocked(why, int(w.n), now)
		err.Waited = b.cfg.MaxWait
		b.dropLocked(w, err)
	} else {
		b.countsLocked().cancelled++
		b.dropLocked(w, context.Canceled) // acquire returns what ctx says instead
	}
	// It may have been the one that did not fit, with lighter ones behind it.
	b.giveLocked(now)
}

// dropLocked takes w out of the queue with err as its answer.
func (b *Bulkhead) dropLocked(w *waiter, err error) {
	b.queue.remove(w)
	if b.queue.len == 0 {
		b.slots.Add(reason)
	}
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
		if freeIn(b.slots.Load()) < int64(w.n) {
			return
		}
		b.queue.remove(w)
		change := -int64(w.n)
		if b.queue.len == 0 {
			change += reason
		}
		b.slots.Add(change)
		b.turns.observe(now, b.limit)
		w.wait = max(now-w.since, 0)
		b.countsLocked().waits.observe(w.wait)
		close(w.ready)
	}
}

// releaseSlow deals with slots that came back while somebody had a reason to
// know. The slots are already in the word.
func (b *Bulkhead) releaseSlow(n int) {
	b.mu.Lock()
	b.turns.released += n
	if b.watching || b.queue.len > 0 {
		now := b.now()
		if b.watching {
			b.turns.observe(now, b.limit)
			b.watching = false
			b.slots.Add(reason)
		}
		b.giveLocked(now)
	}
	b.tellIdleLocked()
	b.unlock()
}

// takeLocked takes n slots if nobody waits for them.
func (b *Bulkhead) takeLocked(n int) bool {
	for b.queue.len == 0 {
		word := b.slots.Load()
		if freeIn(word) < int64(n) {
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
	defer b.unlock()
	return !b.closed && b.takeLocked(n)
}

// resizeLocked moves the limit, and the free slots with it.
func (b *Bulkhead) resizeLocked(limit int) {
	if limit == b.limit {
		return
	}
	if b.cfg.Hooks.OnLimitChange != nil {
		b.changes = append(b.changes, LimitChange{Name: b.cfg.Name, From: b.limit, To: limit})
	}
	b.slots.Add(int64(limit - b.limit))
	b.limit = limit
	b.most = max(b.most, limit)
	for w := b.queue.first; w != nil; {
		next := w.next
		if int(w.n) > limit {
			b.dropLocked(w, &WeightError{Name: b.cfg.Name, Weight: int(w.n), Limit: limit})
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

// inUseLocked returns how many slots are in use. A debt counts as a slot, since
// it may be covered by one, but not beyond what can be in use.
func (b *Bulkhead) inUseLocked() int {
	inUse := int64(b.limit) - freeIn(b.slots.Load())
	if inUse <= int64(b.limit) {
		b.most = b.limit
	}
	return int(min(inUse, int64(b.most)))
}

// overloadedLocked reports whether the newest waiter goes first.
func (b *Bulkhead) overloadedLocked(now time.Duration) bool {
	return b.cfg.LIFOAfter > 0 && b.queue.len > 0 && now-b.busySince >= b.cfg.LIFOAfter
}
