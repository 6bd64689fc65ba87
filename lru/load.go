package lru

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// flight is a load of one key that others may wait for.
type flight[V any] struct {
	call  *call
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

// call is what the flights of one call of a loader have in common.
type call struct {
	// interested counts the callers that still want the result. Whoever comes
	// or leaves writes it. Once 0 it stays 0: the load is cancelled, and
	// whoever comes then begins another.
	interested atomic.Int64

	// cancel ends the loader's context. It is set before the load's own caller
	// can leave, so before interested can be 0.
	cancel context.CancelCauseFunc
}

func (c *call) join() bool {
	for {
		n := c.interested.Load()
		if n == 0 {
			return false
		}
		if c.interested.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *call) leave(cause error) {
	if c.interested.Add(-1) == 0 {
		c.cancel(cause)
	}
}

// GetOrLoad returns the value of key. If there is none it calls load, stores
// what that returns, as Set does, and returns it. However many callers want the
// same key at one time, one of them calls its load, on its own goroutine, and
// the others wait for the result.
//
// A caller whose ctx ends while it waits returns at once. The context of load
// has the values of the ctx of the caller that runs it, and ends when nobody
// wants the result any more: one caller's end does not take the load from the
// others. So the caller that runs a load may return later than its own ctx ends,
// if others wait for it.
//
// An error of load is returned as it is, by all who waited, and nothing is
// stored, but see Config.NegativeTTL, StaleFor and RefreshAhead. A panic or
// Goexit passes through the caller that ran load; those who waited get
// ErrAborted. A Set, Delete or Clear of the key during the load wins: the
// result is returned, and not stored. A load that asks the cache for its own
// key waits for itself.
//
// If ctx is done before, GetOrLoad does nothing and returns its error, which
// also matches context.Cause. It panics if load is nil. A hit does not
// allocate.
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, key K, load func(context.Context, K) (V, error)) (value V, err error) {
	if load == nil {
		panic("lru: load is nil")
	}
	if ctx.Err() != nil {
		return value, ctxError(ctx)
	}
	hash := c.hash(key)
	if !same(key, key) {
		return load(ctx, key) // no other caller can want the same
	}
	s := c.shard(hash)
	s.mu.Lock()
	slot, found := s.look(hash, key)
	switch found {
	case present:
		value = s.nodes[slot].value
		s.unlock()
		return value, nil
	case negative:
		err = s.refusals[slot]
		s.unlock()
		return value, err
	case due:
		value = s.nodes[slot].value
		return c.refresh(ctx, s, hash, key, value, load)
	}
	if f := s.flights[key]; f != nil && !c.single && f.call.join() {
		s.unlock()
		return f.wait(ctx)
	}
	f := s.begin(key, new(call))
	s.unlock()
	return c.run(ctx, s, hash, key, f, load)
}

// look is get for loads: it tells more.
func (s *store[K, V]) look(hash uint64, key K) (slot uint32, found verdict) {
	slot = s.find(hash, key)
	if slot != 0 {
		found = present
		if s.deadlines != nil {
			found = s.judge(slot)
		}
	}
	if found == present || found == due {
		s.hits++
		s.touch(slot)
	} else {
		s.misses++
	}
	return slot, found
}

// begin enters a flight. Its call's interest is for the caller's own.
func (s *shard[K, V]) begin(key K, c *call) *flight[V] {
	f := &flight[V]{call: c, done: make(chan struct{})}
	c.interested.CompareAndSwap(0, 1)
	if s.flights == nil {
		s.flights = make(map[K]*flight[V])
	}
	s.flights[key] = f
	return f
}

// wait is for those who joined.
func (f *flight[V]) wait(ctx context.Context) (value V, err error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		f.call.leave(context.Cause(ctx))
		return value, ctxError(ctx)
	}
}

// embark makes the context of a load on behalf of ctx. end must be called when
// the load has ended.
func (c *call) embark(ctx context.Context) (loadCtx context.Context, end func()) {
	loadCtx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if ctx.Done() == nil {
		return loadCtx, func() { c.cancel(nil) }
	}
	stop := context.AfterFunc(ctx, func() { c.leave(context.Cause(ctx)) })
	return loadCtx, func() { stop(); c.cancel(nil) }
}

// run calls load and lands its result.
func (c *Cache[K, V]) run(ctx context.Context, s *shard[K, V], hash uint64, key K, f *flight[V], load func(context.Context, K) (V, error)) (value V, err error) {
	loadCtx, end := f.call.embark(ctx)
	defer end()
	f.err = ErrAborted // unless load returns
	var cost int64
	defer func() {
		s.mu.Lock()
		s.loads++
		c.landLocked(s, hash, key, f, cost)
		value, err = f.value, f.err
		s.unlock()
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctxError(ctx), err)
		}
	}()
	value, err = load(loadCtx, key)
	if err == nil {
		cost = c.cost(key, value)
	}
	f.value, f.err = value, err
	return value, err
}

// cover makes a value that is over, but not for too long, the outcome of a
// failed load.
func (s *shard[K, V]) cover(hash uint64, key K, f *flight[V]) {
	if f.err == nil || s.rules.stale == 0 || errors.Is(f.err, ErrNotFound) {
		return
	}
	slot := s.find(hash, key)
	if slot == 0 || s.deadlines == nil {
		return
	}
	d := s.deadlines[slot]
	if d&negativeFlag == 0 && (d == 0 || s.now() < d>>flagBits+s.rules.stale) {
		f.value, f.err = s.nodes[slot].value, nil
		s.staleServed++
	}
}

// landLocked stores the outcome of a load, unless somebody wrote the key or began
// another load meanwhile, and hands it to those who wait.
func (c *Cache[K, V]) landLocked(s *shard[K, V], hash uint64, key K, f *flight[V], cost int64) {
	wanted := s.flights[key] == f
	missing := f.err != nil && errors.Is(f.err, ErrNotFound)
	if wanted {
		delete(s.flights, key)
	}
	switch {
	case f.err == nil && wanted:
		s.put(hash, key, f.value, cost, c.ttl)
	case missing && wanted:
		s.drop(hash, key, Deleted)
		if c.cfg.NegativeTTL > 0 {
			s.deny(hash, key, f.err, int64(c.cfg.NegativeTTL))
		}
	case f.err != nil && !missing:
		s.loadErrors++
		s.settle(hash, key)
		s.cover(hash, key, f)
	}
	close(f.done)
}

// settle keeps an entry whose refresh failed from being refreshed again.
func (s *store[K, V]) settle(hash uint64, key K) {
	if s.deadlines == nil {
		return
	}
	if slot := s.find(hash, key); slot != 0 && s.deadlines[slot] != 0 {
		s.deadlines[slot] |= settledFlag
	}
}

// refresh begins a load although there is a value, unless one is under way. It
// is called with mu held and returns without it.
func (c *Cache[K, V]) refresh(ctx context.Context, s *shard[K, V], hash uint64, key K, value V, load func(context.Context, K) (V, error)) (V, error) {
	if f := s.flights[key]; f != nil {
		s.unlock()
		return value, nil
	}
	f := s.begin(key, new(call))
	s.refreshes++
	s.unlock()
	if c.runner.Load().start(ctx, func(ctx context.Context) { _, _ = c.run(ctx, s, hash, key, f, load) }) {
		return value, nil
	}
	fresh, err := c.run(ctx, s, hash, key, f, load)
	if err == nil || errors.Is(err, ErrNotFound) {
		return fresh, err
	}
	return value, nil
}
