package stream

import (
	"context"
	"time"
)

// Batch returns a Stream of slices of up to n consecutive items. With a delay
// a batch is emitted when it is full or when its first item has waited that
// long, also while the source is silent; the source then runs on a goroutine
// of its own, and fills the next batch while one is being emitted. Without, a
// batch waits until it is full. The last one, which the end of s or its
// failure cuts short, is emitted before that. Each slice is the receiver's to
// keep.
func Batch[T any](s Stream[T], n int, delay time.Duration) Stream[[]T] {
	return batch(s, "Batch", n, 0, nil, delay)
}

// BatchBy is Batch with a further limit: what the items of a batch weigh
// together, such as their bytes. An item that would be too much begins the
// next batch; one that is too heavy by itself is a batch alone.
func BatchBy[T any](s Stream[T], n, weight int, weigh func(T) int, delay time.Duration) Stream[[]T] {
	if err := atLeast("BatchBy", "weight", weight, 1); err != nil {
		return Fail[[]T](err)
	}
	if weigh == nil {
		return Fail[[]T](absent("BatchBy", "weigh"))
	}
	return batch(s, "BatchBy", n, weight, weigh, delay)
}

func batch[T any](s Stream[T], where string, n, weight int, weigh func(T) int, delay time.Duration) Stream[[]T] {
	if err := atLeast(where, "n", n, 1); err != nil {
		return Fail[[]T](err)
	}
	if err := notNegative(where, "delay", delay); err != nil {
		return Fail[[]T](err)
	}
	if delay == 0 {
		return full(s, n, weight, weigh)
	}
	return func(ctx context.Context, emit func([]T) error) error {
		q := newQueue[T](n, 1)
		q.weight, q.weigh, q.delay = weight, weigh, delay
		return q.gather(ctx, false, emit, s)
	}
}

// full makes batches that wait until they are full, which needs no goroutine.
func full[T any](s Stream[T], n, weight int, weigh func(T) int) Stream[[]T] {
	s = owned(s)
	return func(ctx context.Context, emit func([]T) error) error {
		b := batcher[T]{emit: emit}
		add := func(v T) error {
			b.items = append(b.items, v)
			if len(b.items) < n {
				return nil
			}
			return b.flush()
		}
		if weigh != nil {
			light := add
			add = func(v T) error {
				if err := b.makeRoom(weigh(v), weight); err != nil {
					return err
				}
				return light(v)
			}
		}
		err := s(ctx, add)
		if b.failed || len(b.items) == 0 || ctx.Err() != nil {
			return err
		}
		if failed := b.flush(); failed != nil {
			return failed
		}
		return err
	}
}

// A batcher holds the items of the next batch.
type batcher[T any] struct {
	emit   func([]T) error
	items  []T // with the room that the last batch needed
	weighs int // together, if that is limited
	failed bool
}

// makeRoom flushes what is there if an item that weighs w would be too much.
func (b *batcher[T]) makeRoom(w, most int) error {
	if len(b.items) > 0 && b.weighs+w > most {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.weighs += w
	return nil
}

func (b *batcher[T]) flush() error {
	out := b.items
	b.items, b.weighs = make([]T, 0, len(out)), 0
	err := b.emit(out)
	b.failed = err != nil
	return err
}

// Buffer lets s run on a goroutine of its own, ahead of what comes behind it
// by at least n items and at most twice as many, if it can.
func (s Stream[T]) Buffer(n int) Stream[T] {
	if err := atLeast("Buffer", "n", n, 1); err != nil {
		return Fail[T](err)
	}
	return merge(n, s)
}

// Merge returns a Stream of the items of all streams given as they come: each
// runs on a goroutine of its own. Those of one stay in order. The first that
// fails stops the others.
func Merge[T any](streams ...Stream[T]) Stream[T] {
	return merge(mergeBuffer, streams...)
}

// mergeBuffer is how many items may wait in a Merge, and once more as many
// that were taken together.
const mergeBuffer = 64

func merge[T any](n int, from ...Stream[T]) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		return newQueue[T](n, len(from)).gather(ctx, true, func(items []T) error {
			for _, v := range items {
				if err := emit(v); err != nil {
					return err
				}
			}
			return nil
		}, from...)
	}
}
