package stream

import (
	"context"
	"errors"
	"iter"
)

// A Stream is a recipe for a sequence of items. To call it is to run it: it
// calls emit with each item, in order, one at a time and on the caller's
// goroutine, until there are no more, emit fails or ctx is done. It returns nil
// after the last item, the error of emit as it is, or why there are no more.
//
// Nothing happens before the run, all state belongs to the run, and when it
// returns every goroutine that it started has ended. So a Stream may be run
// again, or by several goroutines at once, as far as its source can be.
//
// An item of type []byte is valid until emit returns. The stages and sinks of
// this package that keep items copy those of this type; a function of yours
// that keeps one must copy it too.
//
// A Stream of your own is a function that keeps these rules; in particular it
// returns when emit has failed, and heeds ctx wherever it waits.
type Stream[T any] func(ctx context.Context, emit func(T) error) error

// Run runs s and calls f with each item. It returns nil at the end of s, or
// else the first cause: the error of f, of a stage or of the source as it is,
// or that of ctx. A nil f discards the items.
func (s Stream[T]) Run(ctx context.Context, f func(T) error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	if f == nil {
		f = func(T) error { return nil }
	}
	return s(ctx, f)
}

// All returns s as an iterator for a range loop. The error is nil with each
// item; a run that fails yields the zero T and its error last. Leaving the
// loop stops the run, and the loop ends when the run has.
func (s Stream[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := new(stopError)
		stopped := false
		err := s.Run(ctx, func(v T) error {
			if stopped || !yield(v, nil) {
				stopped = true
				return left
			}
			return nil
		})
		if err != nil && !stopped {
			var zero T
			yield(zero, err)
		}
	}
}

// Collect returns all items. On failure it returns those before it with the
// error. The memory is that of the items; Take bounds it.
func (s Stream[T]) Collect(ctx context.Context) ([]T, error) {
	var all []T
	err := owned(s).Run(ctx, func(v T) error {
		all = append(all, v)
		return nil
	})
	return all, err
}

// First returns the first item and stops the run. It reports false if there is
// none, which is no error.
func (s Stream[T]) First(ctx context.Context) (v T, found bool, err error) {
	err = owned(s).Take(1).Run(ctx, func(item T) error {
		v, found = item, true
		return nil
	})
	return v, found, err
}

// Count returns how many items there are. On failure it returns how many came
// before it.
func (s Stream[T]) Count(ctx context.Context) (int, error) {
	n := 0
	err := s.Run(ctx, func(T) error {
		n++
		return nil
	})
	return n, err
}

// Reduce folds all items into one value, beginning with initial. On failure it
// returns what came of the items before it.
func Reduce[T, R any](ctx context.Context, s Stream[T], initial R, f func(R, T) R) (R, error) {
	if f == nil {
		return initial, absent("Reduce", "f")
	}
	err := s.Run(ctx, func(v T) error {
		initial = f(initial, v)
		return nil
	})
	return initial, err
}

// stopError is how a stage that needs no more items ends its source. Each run
// of such a stage has its own, so that it takes no other's for its own. It is
// not of size zero: pointers to such values may be equal.
type stopError struct{ _ byte }

func (*stopError) Error() string { return "stream: no more items are wanted" }

// unless returns err, or nil if err is stop.
func unless(err error, stop *stopError) error {
	if err != nil && errors.Is(err, stop) {
		return nil
	}
	return err
}

// failure returns err unless it only says that no more items are wanted, by
// whoever it was.
func failure(err error) error {
	if _, ok := errors.AsType[*stopError](err); ok || err == errGone {
		return nil
	}
	return err
}

// ended returns nil, or why ctx is done.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return ctxError(ctx)
}
