package stream

import (
	"context"
	"fmt"
	"time"
)

// Retries says how Retry runs a source again.
type Retries struct {
	// Max is how many times in a row the source is run again without an item
	// in between. It must be at least 1.
	Max int

	// Delay returns how long to wait before the n-th time in a row, counted
	// from 1. Nil means not to wait.
	Delay func(n int) time.Duration

	// If tells which errors are worth it. Nil means all.
	If func(error) bool

	// Resume leaves out as many items as have already come, for sources that
	// give the same ones each time. Otherwise items may come twice.
	Resume bool
}

// Retry runs s again when it fails, from its beginning. It does not when what
// comes behind s fails, or once ctx is done. In the end it fails with the last
// error of s as it is; if ctx ends a wait, with an error that matches both.
func (s Stream[T]) Retry(r Retries) Stream[T] {
	if err := atLeast("Retry", "Retries.Max", r.Max, 1); err != nil {
		return Fail[T](err)
	}
	return func(ctx context.Context, emit func(T) error) error {
		came, inRow := 0, 0
		for {
			left := came // to leave out
			if !r.Resume {
				left = 0
			}
			err, behind := attempt(ctx, s, func(v T) error {
				if left > 0 {
					left--
					return nil
				}
				came++
				inRow = 0
				return emit(v)
			})
			if err == nil || behind || ctx.Err() != nil || inRow == r.Max || r.If != nil && !r.If(err) {
				return err
			}
			inRow++
			var d time.Duration
			if r.Delay != nil {
				d = r.Delay(inRow)
			}
			if done := pause(ctx, d); done != nil {
				return fmt.Errorf("%w: %w", done, err)
			}
		}
	}
}

// Recover goes on with the Stream that f returns when s fails. If that is nil,
// the error stays. It does not when what comes behind s fails, or once ctx is
// done. A failure of the Stream of f is final.
func (s Stream[T]) Recover(f func(error) Stream[T]) Stream[T] {
	if f == nil {
		return Fail[T](absent("Recover", "f"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		err, behind := attempt(ctx, s, emit)
		if err == nil || behind || ctx.Err() != nil {
			return err
		}
		if instead := f(err); instead != nil {
			return instead(ctx, emit)
		}
		return err
	}
}

// attempt runs s and tells whether it was emit that failed.
func attempt[T any](ctx context.Context, s Stream[T], emit func(T) error) (err error, behind bool) {
	var failed error
	err = s(ctx, func(v T) error {
		if failed == nil {
			failed = emit(v)
		}
		return failed
	})
	return err, failed != nil
}
