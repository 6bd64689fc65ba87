package stream

import (
	"context"
	"sync"
	"time"
)

// A queue carries items between goroutines: any number put, one takes. It is
// bounded, and what it holds is taken all at once, so that lock and wake-up
// are shared by many items when there are many.
//
// Those who put wait in a sync.Cond and need no ctx: the one who takes frees
// them when it leaves, and until then there is nowhere to go with an item. The
// one who takes waits in a channel, beside its ctx and a timer.
type queue[T any] struct {
	max    int           // items, ≥ 1
	weight int           // of them together; 0: no limit
	weigh  func(T) int   // set if weight is
	delay  time.Duration // how long items may wait for more of them; 0: not at all

	wake chan struct{} // for the one who takes; has room for one

	mu     sync.Mutex  // guards what follows
	room   sync.Cond   // where those wait who put
	items  []T         // put and not yet taken
	weighs int         // what items weigh together
	first  time.Time   // when items[0] was put; set if delay is
	timer  *time.Timer // goes off when items[0] has waited for delay, or when one before it had
	full   bool        // somebody waits for room
	asleep bool        // the one who takes waits for wake
	left   int         // how many may still put
	err    error       // of the first who ended with one; the others are to end
	gone   bool        // nobody takes any more
}

func newQueue[T any](size, putters int) *queue[T] {
	q := &queue[T]{max: size, left: putters, wake: make(chan struct{}, 1)}
	q.room.L = &q.mu
	return q
}

// put adds v when there is room. It returns errGone if nobody takes any more
// or another has failed.
func (q *queue[T]) put(v T) error {
	w := 0
	if q.weigh != nil {
		w = q.weigh(v)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.gone && q.err == nil && !q.fitsLocked(w) {
		q.full = true
		q.wakeLocked()
		q.room.Wait()
	}
	if q.gone || q.err != nil {
		return errGone
	}
	q.items = append(q.items, v)
	q.weighs += w
	if len(q.items) == 1 {
		q.firstLocked()
	} else if len(q.items) == q.max {
		q.wakeLocked()
	}
	return nil
}

// fitsLocked tells whether there is room for an item. One that is too heavy by
// itself fits when it is alone.
func (q *queue[T]) fitsLocked(w int) bool {
	return len(q.items) == 0 || len(q.items) < q.max && (q.weight == 0 || q.weighs+w <= q.weight)
}

// firstLocked is what put does with an item that is not to wait, or the first of
// those that may: who takes them need not be woken before that one has waited.
func (q *queue[T]) firstLocked() {
	if q.delay == 0 || q.max == 1 {
		q.wakeLocked()
		return
	}
	q.first = time.Now()
	if q.timer == nil {
		q.timer = time.NewTimer(q.delay)
		q.wakeLocked() // to wait for it too
	} else {
		q.timer.Reset(q.delay)
	}
}

func (q *queue[T]) wakeLocked() {
	if q.asleep {
		q.asleep = false
		q.wake <- struct{}{}
	}
}

// end tells that one of those who put has ended.
func (q *queue[T]) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left--
	if err != nil && q.err == nil {
		q.err = err
		q.room.Broadcast()
	}
	q.wakeLocked()
}

// leave tells that nobody takes any more.
func (q *queue[T]) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = true
	q.room.Broadcast()
	if q.timer != nil {
		q.timer.Stop()
	}
}

// take waits for items and returns them all. With a delay it waits until the
// queue is full or the oldest item is as old as that. It leaves spare, which
// may be nil, as the memory for the next ones. After the last item it returns
// none, and the error of the first who ended with one; items put before that
// come out first. A done ctx ends it at once.
func (q *queue[T]) take(ctx context.Context, spare []T) ([]T, error) {
	for {
		if err := ended(ctx); err != nil {
			return nil, err
		}
		q.mu.Lock()
		over := q.left == 0 || q.err != nil
		n := len(q.items)
		if n > 0 && (over || q.delay == 0 || q.full || n == q.max || time.Since(q.first) >= q.delay) {
			items := q.items
			q.items, q.weighs, q.full = spare, 0, false
			q.room.Broadcast()
			q.mu.Unlock()
			return items, nil
		}
		if n == 0 && over {
			defer q.mu.Unlock()
			return nil, q.err
		}
		q.asleep = true
		var late <-chan time.Time
		if q.timer != nil {
			late = q.timer.C
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
			continue
		case <-late:
		case <-ctx.Done():
		}
		q.mu.Lock()
		if !q.asleep {
			<-q.wake // sent in the meantime
		}
		q.asleep = false
		q.mu.Unlock()
	}
}

// gather runs each of some streams on a goroutine of its own and gives what
// comes out of q to each, on the runner's. Items are kept for that.
func (q *queue[T]) gather(ctx context.Context, reuse bool, each func([]T) error, from ...Stream[T]) error {
	inner, cancel := context.WithCancel(ctx)
	var c crew
	for _, s := range from {
		c.start(func() error { return owned(s)(inner, q.put) }, q.end)
	}
	return c.run(func() error {
		var spare []T
		for {
			items, err := q.take(ctx, spare)
			if len(items) == 0 {
				return err
			}
			if err := each(items); err != nil {
				return err
			}
			if reuse {
				clear(items)
				spare = items[:0]
			} else {
				spare = make([]T, 0, len(items))
			}
		}
	}, func() { cancel(); q.leave() })
}
