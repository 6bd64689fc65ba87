package stream

import (
	"context"
	"fmt"
	"slices"
)

// fanoutBuffer is how many items may wait for one consumer of Tee or
// Partition, and once more as many that it has taken together.
const fanoutBuffer = 64

// Tee runs s once and gives each item to every consumer, which is a function
// that runs the Stream it gets, on a goroutine of its own. The slowest sets
// the pace. A consumer that returns early gets no more; when all have, s is
// stopped. The first failure, of s or of a consumer, stops all of them and is
// returned. Consumers share the items, which they must not change.
func Tee[T any](ctx context.Context, s Stream[T], consumers ...func(context.Context, Stream[T]) error) error {
	return fanout(ctx, s, "Tee", consumers, func(f *fan[T], v T) error {
		for i := range f.queues {
			f.give(i, v)
		}
		return nil
	})
}

// Partition is Tee in which each item goes to one consumer, whose index pick
// returns, or to none if that is negative. An index that is too large is an
// error. Items for a consumer that returned early are dropped.
func Partition[T any](ctx context.Context, s Stream[T], pick func(T) int, consumers ...func(context.Context, Stream[T]) error) error {
	if pick == nil {
		return absent("Partition", "pick")
	}
	return fanout(ctx, s, "Partition", consumers, func(f *fan[T], v T) error {
		i := pick(v)
		if i >= len(f.queues) {
			return fmt.Errorf("stream: Partition: pick returned %d, want < %d", i, len(f.queues))
		}
		if i >= 0 {
			f.give(i, v)
		}
		return nil
	})
}

// A fan is the runner's side of a fanout. Only the runner uses it.
type fan[T any] struct {
	queues []*queue[T] // nil once the consumer has returned
	open   int         // how many are not nil
}

// give puts v into the queue of consumer i.
func (f *fan[T]) give(i int, v T) {
	if f.queues[i] != nil && f.queues[i].put(v) != nil {
		f.queues[i] = nil
		f.open--
	}
}

func fanout[T any](ctx context.Context, s Stream[T], where string, consumers []func(context.Context, Stream[T]) error, route func(*fan[T], T) error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s = owned(s)
	for i, f := range consumers {
		if f == nil {
			return absent(where, fmt.Sprintf("consumer %d", i))
		}
	}
	inner, cancel := context.WithCancel(ctx)
	queues := make([]*queue[T], len(consumers))
	for i := range queues {
		queues[i] = newQueue[T](fanoutBuffer, 1)
	}
	stop := func() {
		cancel()
		for _, q := range queues {
			q.leave()
		}
	}
	var c crew
	for i, consume := range consumers {
		c.start(func() error { return consume(inner, queues[i].stream()) }, func(err error) {
			if err != nil {
				// Before the queues lose items: nobody may take that for the end.
				c.fail(err)
				stop()
			}
			queues[i].leave()
		})
	}
	f := fan[T]{queues: slices.Clone(queues), open: len(queues)}
	return c.run(func() error {
		enough := new(stopError)
		c.fail(unless(s(inner, func(v T) error {
			if err := route(&f, v); err != nil {
				return err
			}
			if f.open == 0 {
				return enough
			}
			return nil
		}), enough))
		err := c.failure()
		for _, q := range queues {
			q.end(err)
		}
		c.wg.Wait()
		return c.failure()
	}, stop)
}

// stream returns the items of q as a Stream, for one run.
func (q *queue[T]) stream() Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		var spare []T
		for {
			items, err := q.take(ctx, spare)
			if len(items) == 0 {
				return err
			}
			for _, v := range items {
				if err := emit(v); err != nil {
					return err
				}
			}
			clear(items)
			spare = items[:0]
		}
	}
}
