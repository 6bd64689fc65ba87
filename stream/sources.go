package stream

import (
	"context"
	"errors"
	"io"
	"iter"
)

// lookEvery is a mask: sources that never wait look at ctx before every eighth
// item, the first among them, since to look takes as long as a stage does.
const lookEvery = 7

// Of returns a Stream of the items given. Of(slice...) streams a slice, which
// must not change while it runs.
func Of[T any](items ...T) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		for i, v := range items {
			if i&lookEvery == 0 && ctx.Err() != nil {
				return ctxError(ctx)
			}
			if err := emit(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// Range returns a Stream of the integers from first to before end.
func Range(first, end int) Stream[int] {
	return func(ctx context.Context, emit func(int) error) error {
		for i := first; i < end; i++ {
			if (i-first)&lookEvery == 0 && ctx.Err() != nil {
				return ctxError(ctx)
			}
			if err := emit(i); err != nil {
				return err
			}
		}
		return nil
	}
}

// From returns a Stream of what seq yields. A seq that waits does not notice
// ctx while it does; Generate and Chan do.
func From[T any](seq iter.Seq[T]) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		i := 0
		for v := range seq {
			if i&lookEvery == 0 && ctx.Err() != nil {
				return ctxError(ctx)
			}
			i++
			if err := emit(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// From2 returns a Stream of what seq yields. An error ends it and is returned;
// the value beside the error is dropped.
func From2[T any](seq iter.Seq2[T, error]) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		i := 0
		for v, err := range seq {
			if err != nil {
				return err
			}
			if i&lookEvery == 0 && ctx.Err() != nil {
				return ctxError(ctx)
			}
			i++
			if err := emit(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// Chan returns a Stream of what comes from ch until it is closed. It does not
// drain ch when the run ends earlier.
func Chan[T any](ch <-chan T) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		for {
			if ctx.Err() != nil {
				return ctxError(ctx)
			}
			select {
			case v, ok := <-ch:
				if !ok {
					return nil
				}
				if err := emit(v); err != nil {
					return err
				}
			case <-ctx.Done():
			}
		}
	}
}

// Generate returns a Stream of what next returns until it returns io.EOF.
// Another error ends the Stream and is returned as it is. next must heed ctx.
func Generate[T any](next func(context.Context) (T, error)) Stream[T] {
	if next == nil {
		return Fail[T](absent("Generate", "next"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		for {
			if ctx.Err() != nil {
				return ctxError(ctx)
			}
			v, err := next(ctx)
			if err == io.EOF { // a wrapped io.EOF is a failure, as for io.Reader
				return nil
			}
			if err != nil {
				return err
			}
			if err := emit(v); err != nil {
				return err
			}
		}
	}
}

// Fail returns a Stream that has no items and fails with err.
func Fail[T any](err error) Stream[T] {
	if err == nil {
		err = errors.New("stream: Fail: err is nil")
	}
	return func(context.Context, func(T) error) error { return err }
}
