package workerpool

import (
	"context"
	"iter"
)

// Stream calls fn on the workers of t for each value of seq, and yields the
// results in the order of seq, each with its error. At most window values are
// on their way: taken from seq and their results not yet yielded. Zero means
// twice the Max of the pool.
//
// An error does not end the stream: the loop over it can go on, or break. Only
// if ctx is done, or a task is not accepted, it ends, with that error as the
// last one. When the loop is left in whatever way, tasks that have not begun
// are dropped, the ctx of the others is cancelled, and they are waited for.
//
// Values are taken from seq by the goroutine of the loop, which then cannot
// take results: where seq itself waits, results that are ready wait as well.
// It panics if window is negative.
func Stream[In, Out any](ctx context.Context, t Target, window int, seq iter.Seq[In], fn func(context.Context, In) (Out, error)) iter.Seq2[Out, error] {
	if fn == nil || seq == nil {
		panic("workerpool: fn or seq is nil")
	}
	if window < 0 {
		panic("workerpool: window is negative, want ≥ 0")
	}
	v := t.target()
	return func(yield func(Out, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		s := &stream[Out]{size: window, yield: yield}
		if s.size == 0 {
			s.size = 2 * v.pool.places()
		}
		defer func() {
			cancel(ErrCanceled)
			s.abandon()
		}()
		for in := range seq {
			if !s.readyOrFull(ctx) {
				return
			}
			f, err := Submit(ctx, v, func(ctx context.Context) (Out, error) { return fn(ctx, in) })
			if err != nil {
				if s.empty(ctx) {
					var zero Out
					yield(zero, err)
				}
				return
			}
			s.futures = append(s.futures, f)
		}
		s.empty(ctx)
	}
}

// stream holds the results on their way, the next one to yield first.
type stream[Out any] struct {
	size    int
	futures []*Future[Out]
	yield   func(Out, error) bool
}

// pass yields the next result, for which it waits, and reports whether the
// loop goes on.
func (s *stream[Out]) pass(ctx context.Context) bool {
	f := s.futures[0]
	v, err := f.Wait(ctx)
	if _, _, ok := f.TryResult(); !ok {
		s.yield(v, err) // ctx is done
		return false
	}
	s.futures[0] = nil
	s.futures = s.futures[1:]
	return s.yield(v, err)
}

// readyOrFull yields the results that are there, and waits for one if the
// window is full.
func (s *stream[Out]) readyOrFull(ctx context.Context) bool {
	for len(s.futures) > 0 {
		_, _, ready := s.futures[0].TryResult()
		if !ready && len(s.futures) < s.size {
			return true
		}
		if !s.pass(ctx) {
			return false
		}
	}
	return true
}

// empty yields all results.
func (s *stream[Out]) empty(ctx context.Context) bool {
	for len(s.futures) > 0 {
		if !s.pass(ctx) {
			return false
		}
	}
	return true
}

// abandon ends the tasks whose results nobody will take.
func (s *stream[Out]) abandon() {
	for _, f := range s.futures {
		f.Cancel()
	}
	for _, f := range s.futures {
		_, _ = f.wait(context.Background())
	}
}
