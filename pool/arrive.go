package pool

import (
	"context"
	"sync/atomic"
	"time"
)

// In a storm thousands of callers want mu at nearly the same time, each to be
// put into the line. If its holder loses the processor meanwhile, each of them
// would park in front of it, and all of them would have to be handed mu, one
// after the other, before the one who releases. So while the line is long a
// caller that finds mu taken does not wait for it: it puts itself into the
// inbox, and whoever has mu puts it into the line.
//
// No one is forgotten there: a caller first puts itself in and then tries mu, and
// whoever gives mu up looks into the inbox after that. One of the two sees the
// other. So mu is unlocked by unlock and unlockQuiet alone.

// crowd is the length of a line from which on callers do not wait for mu.
const crowd = 64

// rounds is how often in a row one goroutine empties the inbox, before it
// leaves the rest to the janitor.
const rounds = 4

// inbox is a stack of waiters that are not in the queue yet, linked by next.
type inbox[T any] struct {
	top atomic.Pointer[waiter[T]] // pushed by anybody, taken as a whole with Pool.mu held
}

func (in *inbox[T]) push(w *waiter[T]) {
	for {
		w.next = in.top.Load()
		if in.top.CompareAndSwap(w.next, w) {
			return
		}
	}
}

// takeLocked empties the inbox, and returns the waiter that came first, which
// leads to the others.
func (in *inbox[T]) takeLocked() (first *waiter[T]) {
	for w := in.top.Swap(nil); w != nil; {
		next := w.next
		w.next, first = first, w
		w = next
	}
	return first
}

func (in *inbox[T]) empty() bool { return in.top.Load() == nil }

// arrive has w put into the line by whoever has mu, and waits.
func (p *Pool[T]) arrive(ctx context.Context, w *waiter[T]) (Lease[T], error) {
	w.since = time.Since(p.base)
	p.inbox.push(w)
	p.serveInbox()
	return p.await(ctx, w)
}

// serveInbox admits those in the inbox, unless somebody has mu, who will.
func (p *Pool[T]) serveInbox() {
	if p.mu.TryLock() {
		p.unlock()
	}
}

// admitLocked puts those in the inbox into the line, or answers them, as
// acquireSlow does. Those who have left meanwhile are dropped.
func (p *Pool[T]) admitLocked() {
	if p.inbox.empty() {
		return
	}
	for w := p.inbox.takeLocked(); w != nil; {
		next := w.next
		w.next = nil
		p.now = max(p.now, w.since)
		if why, cause := p.turnAwayLocked(); why != nil {
			p.replyLocked(w, why, cause)
		} else if w.fate.Load() == left {
			p.dead.Add(-1)
		} else {
			p.enqueueLocked(w)
		}
		w = next
	}
}

// unlock puts right what may have changed, works out whether the short paths
// are open, and unlocks mu. Whatever changes more than they do ends with it.
func (p *Pool[T]) unlock() {
	for round := 1; ; round++ {
		p.admitLocked()
		p.settleLocked()
		set(&p.fast, p.eager && !p.dormant && !p.draining && p.queue.len == 0 && len(p.all) <= p.max)
		set(&p.crowded, p.queue.len >= crowd)
		last := round >= rounds && !p.closed // there is no janitor after Close, and no crowd
		if last {
			p.pokeLocked(p.now)
		}
		p.mu.Unlock()
		if last || p.inbox.empty() || !p.mu.TryLock() {
			return
		}
	}
}

// unlockQuiet unlocks mu after nothing has changed that unlock would look at.
func (p *Pool[T]) unlockQuiet() {
	p.mu.Unlock()
	if !p.inbox.empty() {
		p.serveInbox()
	}
}

// set stores v if it is new: a store costs more than a look.
func set(b *atomic.Bool, v bool) {
	if b.Load() != v {
		b.Store(v)
	}
}
