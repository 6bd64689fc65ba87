package stream

import (
	"context"
	"time"
)

// Throttle lets no more than n items pass in any span of the given length: it
// holds an item back until the n-th before it is that old, and with it the
// source. Up to n pass at once. The memory is that of n times.
func (s Stream[T]) Throttle(n int, span time.Duration) Stream[T] {
	if err := atLeast("Throttle", "n", n, 1); err != nil {
		return Fail[T](err)
	}
	if err := notNegative("Throttle", "span", span); err != nil {
		return Fail[T](err)
	}
	return func(ctx context.Context, emit func(T) error) error {
		var passed []time.Time // the last n, oldest at next once there are n
		next := 0
		return s(ctx, func(v T) error {
			if len(passed) < n {
				passed = append(passed, time.Now())
				return emit(v)
			}
			if err := pause(ctx, span-time.Since(passed[next])); err != nil {
				return err
			}
			passed[next] = time.Now()
			next = (next + 1) % n
			return emit(v)
		})
	}
}

// pause waits for d, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ended(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ended(ctx)
	case <-ctx.Done():
		return ctxError(ctx)
	}
}

// Timeout fails with a *TimeoutError when s gives no item for as long as idle,
// its end included. The time that what comes behind takes for an item does not
// count. Then the ctx that s runs with is cancelled, and s is waited for: a
// source that ignores ctx is not left behind. It costs some 100 ns an item.
func (s Stream[T]) Timeout(idle time.Duration) Stream[T] {
	if idle <= 0 {
		return Fail[T](notPositive("Timeout", "idle", idle))
	}
	return func(ctx context.Context, emit func(T) error) error {
		inner, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		expired := make(chan struct{})
		timer := time.AfterFunc(idle, func() {
			cancel(ErrTimeout)
			close(expired)
		})
		var items int64
		disarm := func() error {
			if timer.Stop() {
				return nil
			}
			<-expired // its goroutine ends with the run
			return &TimeoutError{Idle: idle, Items: items}
		}
		armed := true // while s runs, but not what comes behind
		defer func() {
			if armed { // s has panicked
				_ = disarm()
			}
		}()
		var failed error // what emit returned
		err := s(inner, func(v T) error {
			if failed != nil {
				return failed
			}
			armed = false
			if failed = disarm(); failed != nil {
				return failed
			}
			items++
			if failed = emit(v); failed != nil {
				return failed
			}
			timer.Reset(idle)
			armed = true
			return nil
		})
		late, _ := failed.(*TimeoutError)
		if armed {
			armed = false
			late, _ = disarm().(*TimeoutError)
		}
		if late == nil {
			return err
		}
		if done := ended(ctx); done != nil {
			return done
		}
		return late
	}
}
