package stream

import (
	"context"
)

// Parallel says how ParMap spreads its work.
type Parallel struct {
	// Workers is how many calls of the function run at a time, each on a
	// goroutine of its own. It must be at least 1.
	Workers int

	// Window is the most items that are taken from the source and not yet
	// emitted. Zero means 16 for each worker, or 64 if that is more. It must
	// not be less than Workers.
	Window int

	// Unordered emits results as they come rather than in the order of the
	// items, so that a slow call holds nobody up. Up to another Window of
	// results may then wait.
	Unordered bool
}

func (p Parallel) check() error {
	if err := atLeast("ParMap", "Parallel.Workers", p.Workers, 1); err != nil {
		return err
	}
	if p.Window == 0 {
		return nil
	}
	return atLeast("ParMap", "Parallel.Window", p.Window, p.Workers)
}

func (p Parallel) window() int {
	if p.Window > 0 {
		return p.Window
	}
	return max(64, 16*p.Workers)
}

// ParMap is MapErr with several calls of f at a time. In order, the default,
// it emits the same items and returns the same error as MapErr would: that of
// the first item, by position, whose call fails; calls for later items may
// then have been made in vain. Unordered, the error that comes first is
// returned. The source runs on a goroutine of its own.
func ParMap[A, B any](s Stream[A], p Parallel, f func(context.Context, A) (B, error)) Stream[B] {
	if err := p.check(); err != nil {
		return Fail[B](err)
	}
	if f == nil {
		return Fail[B](absent("ParMap", "f"))
	}
	s = owned(s)
	return func(ctx context.Context, emit func(B) error) error {
		inner, cancel := context.WithCancel(ctx)
		r := newRing[A, B](p)
		var c crew
		if p.Unordered {
			r.results = newQueue[B](max(1, p.window()/2), p.Workers)
		}
		for i := range r.workers {
			c.start(func() error { return r.work(inner, i, f) }, r.workerEnded)
		}
		c.start(func() error { return r.feed(inner, s) }, r.sourceEnded)
		return c.run(func() error {
			if !p.Unordered {
				return r.emit(emit)
			}
			if err := r.results.stream()(ctx, emit); err != nil {
				return err
			}
			return r.err // final, since all workers have ended
		}, func() {
			cancel()
			r.stop()
		})
	}
}
