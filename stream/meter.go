package stream

import (
	"context"
	"sync/atomic"
	"time"
)

// A Meter counts what passes a place in a stream. The zero Meter is ready; it
// may stand in several streams, and be read while they run.
type Meter struct {
	Name string // for Stats

	started atomic.Uint64 // all by the goroutines that run the streams
	ended   atomic.Uint64
	failed  atomic.Uint64
	items   atomic.Uint64
	bytes   atomic.Uint64
	nanos   atomic.Uint64
}

// Metered counts the items of s in m. It costs an atomic addition an item, or
// two if they are of type []byte or string.
func (s Stream[T]) Metered(m *Meter) Stream[T] {
	if m == nil {
		return Fail[T](absent("Metered", "m"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		size := sizer[T]()
		m.started.Add(1)
		start := time.Now()
		err := errDied
		defer func() {
			m.nanos.Add(uint64(time.Since(start)))
			if failure(err) != nil {
				m.failed.Add(1)
			}
			m.ended.Add(1)
		}()
		err = s(ctx, func(v T) error {
			m.items.Add(1)
			if size != nil {
				m.bytes.Add(uint64(size(v)))
			}
			return emit(v)
		})
		return err
	}
}

// A Progress is how far a run has come.
type Progress struct {
	Items   uint64        // that have passed
	Bytes   uint64        // of them, if they are of type []byte or string
	Elapsed time.Duration // since the run began
	Done    bool          // whether this is the last call
	Err     error         // with Done: why the run failed; nil if it was stopped for want of no more
}

// Progress calls f between items, on the runner's goroutine, when the given
// time has passed since the last call, and once more at the end of the run. It
// costs about a nanosecond an item: the clock is not read for each.
func (s Stream[T]) Progress(every time.Duration, f func(Progress)) Stream[T] {
	if every <= 0 {
		return Fail[T](notPositive("Progress", "every", every))
	}
	if f == nil {
		return Fail[T](absent("Progress", "f"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		size := sizer[T]()
		start := time.Now()
		var p Progress
		var due atomic.Bool // set by the timer, cleared here
		ran := make(chan struct{}, 1)
		timer := time.AfterFunc(every, func() {
			due.Store(true)
			ran <- struct{}{}
		})
		defer func() {
			if !timer.Stop() {
				<-ran
			}
		}()
		err := s(ctx, func(v T) error {
			if err := emit(v); err != nil {
				return err
			}
			p.Items++
			if size != nil {
				p.Bytes += uint64(size(v))
			}
			if due.Load() {
				<-ran
				due.Store(false)
				timer.Reset(every)
				p.Elapsed = time.Since(start)
				f(p)
			}
			return nil
		})
		p.Elapsed, p.Done, p.Err = time.Since(start), true, failure(err)
		f(p)
		return err
	}
}
