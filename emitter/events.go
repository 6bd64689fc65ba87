package emitter

import (
	"context"
	"iter"
	"reflect"
	"sync/atomic"
)

// Wait returns the next event for which match holds; nil matches any. On
// failure the value is the zero value of T, and the error that of ctx, which
// also matches its cause, or ErrClosed or ErrRemoved, when no event can come
// any more. No listener is left behind. An event that came before ctx was done
// is returned.
//
// match runs in the goroutine that emits; a panic in it is that of a listener.
func (t *Topic[T]) Wait(ctx context.Context, match func(T) bool) (T, error) {
	return wait(ctx, t, t.add, match)
}

func wait[T any](ctx context.Context, t *Topic[T], add func(*node[T], bool) error, match func(T) bool) (v T, err error) {
	if ctx.Err() != nil {
		return v, ctxError(ctx)
	}
	found := make(chan T, 1)
	ended := make(chan struct{})
	var taken atomic.Bool // one event is enough; written by compare-and-swap
	n := &node[T]{Sub: Sub{more: &more{onEnd: func() { close(ended) }}}}
	n.fn = func(v T) {
		if (match == nil || match(v)) && taken.CompareAndSwap(false, true) {
			found <- v
		}
	}
	if match != nil {
		n.more.source = reflect.ValueOf(match).Pointer()
	}
	if err := add(n, false); err != nil {
		return v, err
	}
	defer n.Off()
	select {
	case v = <-found:
		return v, nil
	case <-ended:
		err = ErrRemoved
		if t.closedError() != nil {
			err = ErrClosed
		}
	case <-ctx.Done():
		err = ctxError(ctx)
	}
	select {
	case v = <-found:
		return v, nil
	default:
		return v, err
	}
}

// Events iterates over the events from now on, until ctx is done, the loop
// breaks, or there can be no more (Close, Clear). Up to 64 of them wait for the
// loop; after that emits wait for it too. No listener is left behind. Each range
// over the sequence subscribes anew, when it begins.
func (t *Topic[T]) Events(ctx context.Context) iter.Seq[T] {
	return events(ctx, t, t.add, SubConfig{Async: true, Queue: defaultEvents})
}

// EventsWith is Events with the queue, the policy, the priority and the name of
// cfg, whose Async is taken as true. With Once the sequence ends after one
// event. An error names the field of cfg that makes no sense.
func (t *Topic[T]) EventsWith(ctx context.Context, cfg SubConfig) (iter.Seq[T], error) {
	cfg.Async = true
	cfg = cfg.withDefaults(defaultEvents)
	if _, err := newNode[T](cfg, nil, 1); err != nil {
		return nil, err
	}
	return events(ctx, t, t.add, cfg), nil
}

// events is EventsWith after the check.
func events[T any](ctx context.Context, t *Topic[T], add func(*node[T], bool) error, cfg SubConfig) iter.Seq[T] {
	return func(yield func(T) bool) {
		if ctx.Err() != nil {
			return
		}
		n, err := newNode[T](cfg, nil, reflect.ValueOf(yield).Pointer())
		if err != nil {
			return // cannot be: cfg was checked
		}
		n.more.pull = true
		m := newMailbox[T](&t.core, &n.Sub, n.describe, cfg)
		n.fnc = m.push
		signal := make(chan struct{}, 1)
		m.wake = func() {
			select {
			case signal <- struct{}{}:
			default:
			}
		}
		ended := make(chan struct{})
		n.more.onEnd = func() { close(ended) }
		if add(n, cfg.Prepend) != nil {
			return
		}
		defer m.leaveReader()
		m.pull(ctx, yield, signal, ended)
	}
}

// pull gives the events to yield in this goroutine.
func (m *mailbox[T]) pull(ctx context.Context, yield func(T) bool, signal, ended <-chan struct{}) {
	if m.overflow == Block {
		m.reader.Store(goroutine())
	}
	for {
		select {
		case <-signal:
		default:
			select {
			case <-signal:
			case <-ctx.Done():
				return
			case <-ended:
				// What waits now is all there will be. It has been signalled
				// before the end, or there is none.
				select {
				case <-signal:
				default:
					return
				}
			}
		}
		for m.fetch() > 0 {
			for m.hand.n > 0 {
				if ctx.Err() != nil || !m.begin() || !yield(m.hand.get()) {
					return
				}
			}
		}
		if m.sub.once && !m.sub.Active() {
			return
		}
	}
}

// leaveReader ends the subscription of a loop that is over, and lets go of the
// mailbox if the loop had not.
func (m *mailbox[T]) leaveReader() {
	m.sub.Off()
	m.shut() // Drain has ended it without that
	m.hand = ring[T]{}
	m.mu.Lock()
	busy := m.busy
	m.busy = false
	m.mu.Unlock()
	if busy {
		m.sub.returned()
	}
}
