package emitter

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
)

// Topic is one kind of event, with its listeners. The zero Topic is ready for
// use and must not be copied after that; New makes one with a Config. All
// methods may be called by any goroutine, also from inside listeners.
type Topic[T any] struct {
	list atomic.Pointer[backing[T]] // nil means no listeners; written with core.mu held
	core core
}

// New returns a Topic as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field.
func New[T any](cfg Config) (*Topic[T], error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t := new(Topic[T])
	t.core.cfg = &cfg
	return t, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[T any](cfg Config) *Topic[T] {
	t, err := New[T](cfg)
	if err != nil {
		panic(err.Error())
	}
	return t
}

// On adds a listener behind those that are there. An emit that runs does not
// call it, the next one does. After Close the subscription has ended at once.
//
// The cost is one allocation of 80 bytes, and that of a lock; it does not depend
// on how many listeners there are, and neither does that of Off.
func (t *Topic[T]) On(fn func(T)) *Sub {
	return t.plain(&node[T]{fn: fn}, fn == nil, false)
}

// Once is On for the next event alone.
func (t *Topic[T]) Once(fn func(T)) *Sub {
	return t.plain(&node[T]{fn: fn, Sub: Sub{once: true}}, fn == nil, false)
}

// Prepend is On that puts the listener before those that are there.
func (t *Topic[T]) Prepend(fn func(T)) *Sub {
	return t.plain(&node[T]{fn: fn}, fn == nil, true)
}

// OnErr is On for a listener that takes the ctx of EmitContext (the background
// in an Emit) and may fail, or veto with ErrStop.
func (t *Topic[T]) OnErr(fn func(context.Context, T) error) *Sub {
	return t.plain(&node[T]{fnc: fn}, fn == nil, false)
}

func (t *Topic[T]) plain(n *node[T], isNil, prepend bool) *Sub {
	if isNil {
		panic("emitter: fn is nil")
	}
	if t.add(n, prepend) != nil {
		return dead()
	}
	return &n.Sub
}

// Subscribe adds a listener as described by cfg. It fails, and adds nothing, if
// a field of cfg has a value that makes no sense, or with ErrClosed after Close.
//
// The ctx of a synchronous listener is that of the emit. An asynchronous one
// has one of its own, which Close cancels, since the emit may be long over.
func (t *Topic[T]) Subscribe(cfg SubConfig, fn func(context.Context, T) error) (*Sub, error) {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	n, err := t.prepare(&cfg, fn, 0)
	if err != nil {
		return nil, err
	}
	if err := t.add(n, cfg.Prepend); err != nil {
		return nil, err
	}
	return &n.Sub, nil
}

// prepare makes the node of a Subscribe, which add is then to make a listener.
// source is that of the user's function where fn is made from it, else zero.
func (t *Topic[T]) prepare(cfg *SubConfig, fn func(context.Context, T) error, source uintptr) (*node[T], error) {
	*cfg = cfg.withDefaults(defaultQueue)
	n, err := newNode(*cfg, fn, source)
	if err == nil && cfg.Async {
		m := newMailbox[T](&t.core, &n.Sub, n.describe, *cfg)
		m.listener(fn)
		n.fnc = m.push
	}
	return n, err
}

// newNode makes the node of a checked SubConfig, but for its mailbox.
func newNode[T any](cfg SubConfig, fn func(context.Context, T) error, source uintptr) (*node[T], error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Priority > math.MaxInt32 || cfg.Priority < math.MinInt32 {
		return nil, fmt.Errorf("emitter: SubConfig.Priority is %d, want -2147483648 to 2147483647", cfg.Priority)
	}
	n := &node[T]{fnc: fn, Sub: Sub{once: cfg.Once, track: cfg.Track || cfg.Async, priority: int32(cfg.Priority)}}
	if cfg.Name != "" || source != 0 || cfg.Async {
		if source == 0 {
			source = reflect.ValueOf(fn).Pointer()
		}
		n.more = &more{name: cfg.Name, source: source}
	}
	return n, nil
}

// add makes n a listener. If it fails nobody has seen n, and it may be added
// elsewhere.
func (t *Topic[T]) add(n *node[T], prepend bool) error {
	c := &t.core
	n.topic = t
	n.track = n.track || c.config().Track
	switch {
	case n.mailbox() != nil && !n.once:
		n.state.Store(queued)
	case n.once || n.track || n.fnc != nil:
		n.state.Store(special)
	}
	c.mu.Lock()
	if err := c.openLocked(); err != nil {
		c.mu.Unlock()
		return err
	}
	t.insertLocked(n, prepend)
	limit, warn := c.addedLocked(&n.Sub)
	c.mu.Unlock()
	if warn {
		c.warnMany(limit)
	}
	c.tellChanges()
	return nil
}

// openLocked is nil if there may be listeners.
func (c *core) openLocked() error {
	switch {
	case c.closed:
		return ErrClosed
	case c.retired:
		return errRetired
	}
	return nil
}

// Clear ends all subscriptions, as Off does for each, and reports how many it
// ended.
func (t *Topic[T]) Clear() int {
	ended := 0
	for _, n := range t.list.Load().all() {
		if n.Off() {
			ended++
		}
		t.unlist(&n.Sub) // if another Off has only come as far as to mark it
	}
	return ended
}

// Len is how many listeners there are.
func (t *Topic[T]) Len() int {
	t.core.mu.Lock()
	defer t.core.mu.Unlock()
	return t.core.live
}

// SetMaxListeners sets Config.MaxListeners anew, with zero for no limit. A
// larger limit than that of the last warning allows another one. It panics if n
// is negative.
func (t *Topic[T]) SetMaxListeners(n int) { t.core.setLimit(n) }

// Close ends all subscriptions, drops what waits in queues, and returns when no
// call of a tracked or asynchronous listener is in flight; called from inside a
// listener it does not wait. From then on Emit reports false, EmitContext and
// Subscribe give ErrClosed, and On and its like a subscription that has ended.
// It is idempotent and always returns nil.
func (t *Topic[T]) Close() error {
	t.refuse()
	t.Clear()
	for _, s := range t.core.waitFor() {
		_ = s.Close() // it has ended and is tracked: nil
	}
	return nil
}

// Drain is Close that lets asynchronous listeners handle what waits in their
// queues. It returns nil when they have. When ctx is done first, the rest is
// dropped, and the error says how much that was and matches the error of ctx
// and its cause. From inside a listener it does not wait and returns ErrInside.
func (t *Topic[T]) Drain(ctx context.Context) error {
	t.refuse()
	return drain(ctx, t.core.topicName(), t.retreat())
}

// refuse lets nobody subscribe from now on.
func (t *Topic[T]) refuse() {
	t.core.mu.Lock()
	t.core.closed = true
	t.core.mu.Unlock()
}

// retreat ends all subscriptions for emits, and returns those that still have
// something to do.
func (t *Topic[T]) retreat() []*Sub {
	for _, n := range t.list.Load().all() {
		n.retreat()
		t.unlist(&n.Sub) // as in Clear
	}
	return t.core.waitFor()
}

// drain waits until the listeners of subs have handled what there is.
func drain(ctx context.Context, name string, subs []*Sub) error {
	if len(subs) > 0 && insideListener() {
		return ErrInside
	}
	for i, s := range subs {
		select {
		case <-s.whenIdle():
			continue
		case <-ctx.Done():
		}
		events, calls := 0, 0
		for _, s := range subs[i:] {
			if !s.idle() {
				calls++
				events += s.Stats().Queued
				s.abandon()
			}
		}
		if calls > 0 {
			return fmt.Errorf("emitter: %sdrain left %d events and %d listeners at work: %w",
				prefix(name), events, calls, ctxError(ctx))
		}
	}
	return nil
}

// waitFor lists the subscriptions that Close waits for.
func (c *core) waitFor() []*Sub {
	c.mu.Lock()
	defer c.mu.Unlock()
	subs := make([]*Sub, 0, len(c.busy))
	for s := range c.busy {
		subs = append(subs, s)
	}
	return slices.Clip(subs)
}

// closedError is ErrClosed after Close, else nil.
func (t *Topic[T]) closedError() error {
	if t.core.parent != nil {
		return t.core.parent.closedError()
	}
	t.core.mu.Lock()
	defer t.core.mu.Unlock()
	if t.core.closed {
		return ErrClosed
	}
	return nil
}

// standIn returns a topic that has the config and the name of one of e, for
// what has to be made before the listener is: it never has any itself.
func standIn[T any](e *Emitter, name string) *Topic[T] {
	return &Topic[T]{core: core{parent: e, name: name}}
}

func (t *Topic[T]) base() *core { return &t.core }
