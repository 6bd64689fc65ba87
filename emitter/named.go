package emitter

import (
	"context"
	"iter"
	"reflect"
)

// View is a name of an Emitter as a Topic of its type. Named makes it.
type View[T any] struct {
	e     *Emitter
	event string
}

// binding is the type of a name.
type binding struct {
	is    reflect.Type
	takes func(any) bool
}

// mismatch is the error of using event with v.
func (b *binding) mismatch(event string, v any) error {
	got := "nil"
	if t := reflect.TypeOf(v); t != nil {
		got = t.String()
	}
	return &TypeError{Name: event, Want: b.is.String(), Got: got}
}

// Named binds event to the type T, for good, and returns a view of it. It may be
// called again. It fails with a *TypeError if the name is bound to another type,
// and with ErrClosed after Close. An Emit of a value of another type is a
// *TypeError from now on.
//
// Listeners of the view and others of the name are one list. A value that is no
// pointer may cost an allocation when it becomes an any; the check of its type
// costs a nanosecond. An Emitter does not forget the names that are bound, so do
// not bind names that strangers choose.
func Named[T any](e *Emitter, event string) (*View[T], error) {
	want := &binding{is: reflect.TypeFor[T]()}
	want.takes = func(v any) bool {
		_, ok := v.(T)
		return ok || v == nil && want.is.Kind() == reflect.Interface
	}
	for {
		n, err := e.open(event)
		if err != nil {
			return nil, err
		}
		if !n.pin() {
			e.names.CompareAndDelete(event, n)
			continue
		}
		if !n.bound.CompareAndSwap(nil, want) && n.bound.Load().is != want.is {
			return nil, &TypeError{Name: event, Want: n.bound.Load().is.String(), Got: want.is.String()}
		}
		return &View[T]{e, event}, nil
	}
}

// pin keeps n from being forgotten, and reports false if it has been.
func (n *name) pin() bool {
	c := &n.topic.core
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinned = !c.retired
	return c.pinned
}

// value is v as a T. What is not one never gets here, unless it was on its way
// when the name was bound; it is the zero value then, and ok is false.
func value[T any](v any) (x T, ok bool) {
	x, ok = v.(T)
	return x, ok || v == nil
}

// drop wraps a listener of the view for the name.
func drop[T any](event string, fn func(context.Context, T) error) func(context.Context, any) error {
	return func(ctx context.Context, v any) error {
		x, ok := value[T](v)
		if !ok {
			return (&binding{is: reflect.TypeFor[T]()}).mismatch(event, v)
		}
		return fn(ctx, x)
	}
}

// On adds a listener, as Topic.On does.
func (w *View[T]) On(fn func(T)) *Sub { return w.plain(fn, SubConfig{}) }

// Once adds a listener for the next event, as Topic.Once does.
func (w *View[T]) Once(fn func(T)) *Sub { return w.plain(fn, SubConfig{Once: true}) }

// Prepend adds a listener before the others, as Topic.Prepend does.
func (w *View[T]) Prepend(fn func(T)) *Sub { return w.plain(fn, SubConfig{Prepend: true}) }

func (w *View[T]) plain(fn func(T), cfg SubConfig) *Sub {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	call := func(_ context.Context, v T) error {
		fn(v)
		return nil
	}
	return w.added(w.e.subscribe(w.event, cfg, drop(w.event, call), reflect.ValueOf(fn).Pointer()))
}

// OnErr adds a listener that may fail, as Topic.OnErr does.
func (w *View[T]) OnErr(fn func(context.Context, T) error) *Sub {
	return w.added(w.Subscribe(SubConfig{}, fn))
}

// added is s, or a subscription that has ended.
func (*View[T]) added(s *Sub, err error) *Sub {
	if err != nil {
		return dead()
	}
	return s
}

// Subscribe adds a listener, as Topic.Subscribe does.
func (w *View[T]) Subscribe(cfg SubConfig, fn func(context.Context, T) error) (*Sub, error) {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	return w.e.subscribe(w.event, cfg, drop(w.event, fn), reflect.ValueOf(fn).Pointer())
}

// Emit calls the listeners, as Emitter.Emit does.
func (w *View[T]) Emit(v T) bool { return w.e.Emit(w.event, v) }

// EmitContext calls the listeners, as Emitter.EmitContext does.
func (w *View[T]) EmitContext(ctx context.Context, v T) error {
	return w.e.EmitContext(ctx, w.event, v)
}

// Wait waits for an event, as Topic.Wait does.
func (w *View[T]) Wait(ctx context.Context, match func(T) bool) (T, error) {
	v, err := w.e.Wait(ctx, w.event, func(v any) bool {
		x, ok := value[T](v)
		return ok && (match == nil || match(x))
	})
	x, _ := value[T](v)
	return x, err
}

// Events iterates over the events, as Topic.Events does.
func (w *View[T]) Events(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range w.e.Events(ctx, w.event) {
			if x, ok := value[T](v); ok && !yield(x) {
				return
			}
		}
	}
}

// Len is how many listeners the name has.
func (w *View[T]) Len() int { return w.e.ListenerCount(w.event) }
