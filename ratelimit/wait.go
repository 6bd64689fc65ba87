package ratelimit

import (
	"context"
	"time"
)

// site is where a key's state is: in a Limiter or in a Single.
type site interface {
	// enter locks the state. If there is none, s is nil, nothing is locked,
	// and d is the decision.
	enter(now int64) (s *state, p *Plan, d Decision)
	exit()               // unlocks what enter has locked
	count(*Decision)     // takes note of a decision, under the lock if there is one
	mark() uint64        // differs if permits were taken without the lock meanwhile
	outside() bool       // the state is shared by keys without a place; under the lock
	clock() int64        // now
	common() settings    // never changes
	tell(int, *Decision) // calls the hooks, without the lock
}

// settings are what waiting needs of a Config.
type settings struct {
	name       string
	maxWaiting int
}

// unbounded as the longest wait means as long as the ctx lives.
const unbounded = Never

// await waits for n permits: in the queue, in the order of arrival. It is
// refused at once if they come later than the ctx lives, or after longest.
func await(ctx context.Context, at site, n int, longest time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(deadline))
	}
	wake := make(chan struct{}, 1)
	tk, delay, err := enqueue(at, n, longest, wake)
	if delay <= 0 || err != nil {
		return err
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
			if giveUp(at, tk) {
				return ctxError(ctx)
			}
			return nil // its turn came in the same moment and is counted
		}
		if delay = untilTurn(at, tk); delay <= 0 {
			return nil
		}
		timer.Reset(delay)
	}
}

// enqueue takes n permits if they are there, and else a place in the queue
// unless the turn comes after longest. It returns the ticket, and in how long
// its turn is: zero if the permits are taken, or no limit holds.
func enqueue(at site, n int, longest time.Duration, wake chan struct{}) (*ticket, time.Duration, error) {
	now := at.clock()
	s, p, d := at.enter(now)
	set := at.common()
	if s == nil {
		at.count(&d)
		return &ticket{at: now}, 0, refusal(at, set.name, n, Exceeded, d)
	}
	d = s.take(p, n, now)
	reason := Exceeded
	switch {
	case d.Allowed:
	case d.RetryAfter == Never:
		if d.Limit > 0 {
			reason = TooLarge
		}
	case at.outside():
	case d.RetryAfter > longest:
		reason = TurnTooLate
	case s.waiting() && len(s.more.rare.queue) >= set.maxWaiting:
		reason = QueueFull
	default:
		tk := &ticket{n: n, wake: wake, mark: at.mark()}
		s.join(p, tk, now)
		tk.shadowed = d.Shadowed
		if wake == nil {
			turned(at, tk) // a reservation has its permits now; a waiter may leave before its turn
		}
		delay := time.Duration(tk.at - now) // of a waiter's ticket it may change from now on
		at.exit()
		return tk, delay, nil
	}
	tk := &ticket{at: s.newest, n: n, mark: at.mark()}
	at.count(&d)
	at.exit()
	return tk, 0, refusal(at, set.name, n, reason, d)
}

// refusal tells the hooks and returns the error of d, nil if d is none.
func refusal(at site, name string, n int, reason Reason, d Decision) error {
	at.tell(n, &d)
	if d.Allowed {
		return nil
	}
	return &LimitedError{Name: name, Reason: reason, Permits: n, Decision: d}
}

// giveUp leaves the queue and reports whether the turn had not come yet.
func giveUp(at site, tk *ticket) bool {
	now := at.clock()
	s, p, _ := at.enter(now)
	if s != nil {
		defer at.exit()
		if s.leave(p, tk, now) {
			return true
		}
	}
	turned(at, tk)
	return false
}

// untilTurn returns how long it still is until the turn of tk, and counts it
// when it has come.
func untilTurn(at site, tk *ticket) time.Duration {
	now := at.clock()
	if s, _, _ := at.enter(now); s != nil {
		defer at.exit()
	}
	delay := time.Duration(tk.at - now)
	if delay <= 0 {
		turned(at, tk)
	}
	return delay
}

// turned counts a request that had to wait and got its permits, under the lock
// if there is one.
func turned(at site, tk *ticket) {
	at.count(&Decision{Allowed: true, Shadowed: tk.shadowed})
}

// Reservation is the right to permits at a time to come. It belongs to one
// goroutine at a time and must not be copied (go vet tells). The zero
// Reservation is for nothing.
type Reservation struct {
	_  noCopy
	at site // nil when there is nothing to cancel
	tk *ticket
}

// Delay returns how long to wait before acting on the reservation: zero once
// its time has come. That time never changes.
func (r *Reservation) Delay() time.Duration {
	if r.at == nil {
		return 0
	}
	return time.Duration(max(r.tk.at-r.at.clock(), 0))
}

// Cancel gives the permits back, for a reservation that is not going to be
// used, and reports whether it could. Before its time it always can, and those
// who wait behind it move up. After its time it can if no permit of the key
// was taken since; otherwise to give it back could let in more than the limit,
// and it stays taken. Only the first call does anything.
func (r *Reservation) Cancel() bool {
	at := r.at
	if at == nil {
		return false
	}
	r.at = nil
	now := at.clock()
	s, p, _ := at.enter(now)
	if s == nil {
		return false
	}
	defer at.exit()
	if s.leave(p, r.tk, now) {
		return true
	}
	if s.newest != r.tk.at || at.mark() != r.tk.mark {
		return false
	}
	s.refund(p, r.tk.n, now)
	return true
}

// reserve makes a reservation, wherever its time is.
func reserve(at site, n int) (Reservation, error) {
	notNegative(n)
	tk, _, err := enqueue(at, n, unbounded, nil)
	if err != nil {
		return Reservation{}, err
	}
	return Reservation{at: at, tk: tk}, nil
}

// noCopy makes go vet report copies of a struct that has it as a field.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
