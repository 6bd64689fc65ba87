package ratelimit

import (
	"context"
	"time"
)

// Wait takes one permit for key and waits for it if need be, in the order of
// arrival. On failure nothing was taken, and the error is that of ctx (which
// also matches context.Cause) or a *LimitedError, which matches ErrLimited: if
// the permit will not come before the ctx's deadline the caller is told at
// once, and so it is if MaxWaiting others wait. A ctx that is done before the
// call is an error even if there are permits.
func (l *Limiter[K]) Wait(ctx context.Context, key K) error { return l.WaitN(ctx, key, 1) }

// WaitN is Wait for n permits, all or none. While it waits for many, those
// behind it wait too, even if theirs were there: a stream of small requests
// would starve it otherwise.
func (l *Limiter[K]) WaitN(ctx context.Context, key K, n int) error {
	notNegative(n)
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if l.try(key, n) {
		return nil
	}
	return await(ctx, &spot[K]{l: l, key: key}, n, unbounded)
}

// Reserve takes n permits for key at the earliest time at which the limits
// allow it, which Reservation.Delay tells. Those who come later are served
// later, so a reservation that will not be used should be cancelled. On
// failure, because there never will be such a time or MaxWaiting others wait,
// nothing is taken, and the error is a *LimitedError.
func (l *Limiter[K]) Reserve(key K, n int) (Reservation, error) {
	return reserve(&spot[K]{l: l, key: key}, n)
}

// Do runs fn if key has a permit, for which it waits up to Config.MaxWait. It
// returns fn's error as it is. The permit is taken whatever becomes of fn;
// Refund gives it back. If there is none, fn is not called, and the error is
// as for Wait.
func (l *Limiter[K]) Do(ctx context.Context, key K, fn func(context.Context) error) error {
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	if err := l.admit(ctx, key); err != nil {
		return err
	}
	return fn(ctx)
}

// DoKey is Limiter.Do for a function that also returns a value. When fn is not
// called the value is the zero value of T.
func DoKey[K comparable, T any](ctx context.Context, l *Limiter[K], key K, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	if err := l.admit(ctx, key); err != nil {
		return v, err
	}
	return fn(ctx)
}

// WrapKey returns a function that runs fn through DoKey, under the key that
// keyOf finds in its ctx.
func WrapKey[K comparable, T any](l *Limiter[K], keyOf func(context.Context) K, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	if keyOf == nil {
		panic("ratelimit: keyOf is nil")
	}
	if fn == nil {
		panic("ratelimit: fn is nil")
	}
	return func(ctx context.Context) (T, error) { return DoKey(ctx, l, keyOf(ctx), fn) }
}

// admit takes the permit of a call.
func (l *Limiter[K]) admit(ctx context.Context, key K) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if l.cfg.MaxWait > 0 {
		if l.try(key, 1) {
			return nil
		}
		return await(ctx, &spot[K]{l: l, key: key}, 1, l.cfg.MaxWait)
	}
	if d := l.Take(key, 1); !d.Allowed {
		return &LimitedError{Name: l.cfg.Name, Reason: Exceeded, Permits: 1, Decision: d}
	}
	return nil
}

// try takes n permits if they are there, and leaves a refusal uncounted: what
// becomes of the request is not known yet.
func (l *Limiter[K]) try(key K, n int) bool {
	now := l.now()
	st := l.sit(key, now, true)
	if st.s == nil {
		if st.d.Allowed {
			l.stateless.count(&st.d)
		}
		return st.d.Allowed
	}
	d := st.s.take(st.p, n, now)
	d.Overflow = st.overflow
	if d.Allowed {
		st.counts.count(&d)
	}
	st.mu.Unlock()
	if d.Allowed {
		l.tell(key, n, &d)
	}
	return d.Allowed
}

// spot is the site of one key of a Limiter, for one who waits.
type spot[K comparable] struct {
	l   *Limiter[K]
	key K
	st  seat[K]
}

func (at *spot[K]) enter(now int64) (*state, *Plan, Decision) {
	at.st = at.l.sit(at.key, now, false)
	return at.st.s, at.st.p, at.st.d
}

func (at *spot[K]) exit() {
	mu := at.st.mu
	at.st = seat[K]{}
	mu.Unlock()
}

func (at *spot[K]) count(d *Decision) {
	if at.st.s == nil {
		at.l.stateless.count(d)
		return
	}
	d.Overflow = at.st.overflow
	at.st.counts.count(d)
}

func (at *spot[K]) mark() uint64  { return 0 }
func (at *spot[K]) outside() bool { return at.st.overflow }
func (at *spot[K]) clock() int64  { return at.l.now() }

func (at *spot[K]) common() settings {
	return settings{name: at.l.cfg.Name, maxWaiting: at.l.cfg.MaxWaiting}
}

func (at *spot[K]) tell(n int, d *Decision) { at.l.tell(at.key, n, d) }

// Run sweeps idle keys until ctx is done and returns the ctx's error, as Wait
// does. It is needed only where memory must come back although no calls come:
// each call cleans a little. Start it in a goroutine of your own.
func (l *Limiter[K]) Run(ctx context.Context) error {
	ticker := time.NewTicker(max(time.Duration(l.plan.horizon)/2, time.Millisecond))
	defer ticker.Stop()
	for {
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		l.sweepAll()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// sweepAll frees every idle key. It lets go of a shard's lock now and then.
func (l *Limiter[K]) sweepAll() {
	const batch = 1024
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for left := sh.n; left > 0; left -= batch {
			now := l.now()
			for range min(batch, left) {
				sh.sweep(l.plan, now)
			}
			sh.mu.Unlock()
			sh.mu.Lock()
		}
		sh.mu.Unlock()
	}
}
