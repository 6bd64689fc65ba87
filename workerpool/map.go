package workerpool

import (
	"context"
	"sync/atomic"
	"time"
)

// Map calls fn for each value of in, on the workers of t and on the calling
// goroutine, and returns the results in the order of in. On success the error
// is nil. The first error ends it: the ctx of the other calls is cancelled with
// that error as the cause, no more are made, and Map returns nil and the error
// when those under way have returned. A panic in fn is such an error, a
// *PanicError, and if ctx is done so is its error.
//
// Map never waits for a worker: as many as are free take part. The calling
// goroutine is one more, unless it is itself a task of the pool, or t has a
// sub-limit: then only workers call fn. Values are handed out in blocks, of one
// while fn is slow and of up to 64 while it takes less than a microsecond, so
// that Map suits both.
func Map[In, Out any](ctx context.Context, t Target, in []In, fn func(context.Context, In) (Out, error)) ([]Out, error) {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	out := make([]Out, len(in))
	err := each(ctx, t.target(), len(in), func(ctx context.Context, i int) (err error) {
		out[i], err = fn(ctx, in[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// loop hands out the indexes of a Map.
type loop struct {
	next atomic.Int64 // first index not handed out; moved on by who takes a block, set to n by a failure
	n    int64
	call func(context.Context, int) error
	base time.Time
}

// largest is how many indexes a block has at most.
const largest = 64

// run calls for the indexes of one block after the other, until none is left.
// The blocks grow while they are done in a few microseconds.
func (l *loop) run(ctx context.Context) error {
	size := int64(1)
	start := time.Since(l.base)
	for {
		first := l.next.Add(size) - size
		if first >= l.n {
			return nil
		}
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		for i := first; i < min(first+size, l.n); i++ {
			if err := l.call(ctx, int(i)); err != nil {
				return err
			}
		}
		now := time.Since(l.base)
		switch took := now - start; {
		case took < 8*time.Microsecond:
			size = min(2*size, largest)
		case took > 64*time.Microsecond:
			size = max(1, size/4)
		}
		start = now
	}
}

// each runs call for the indexes below n on v and on the calling goroutine.
func each(ctx context.Context, v *View, n int, call func(context.Context, int) error) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if v.pool.leaving.Load() && v.pool.within(ctx) == nil {
		return ErrClosed
	}
	if n == 0 {
		return nil
	}
	l := &loop{n: int64(n), call: call, base: time.Now()}
	g := newGroup(ctx, v)
	work := func(ctx context.Context) error {
		err := l.run(ctx)
		if err != nil {
			l.next.Store(l.n)
		}
		return err
	}
	if v.gate != nil {
		for range min(n, v.gate.limit) {
			g.Go(work)
		}
		return g.Wait()
	}
	var helpers []*groupTask
	for range min(n, v.pool.places()) - 1 {
		t, err := g.start(work, Reject)
		if err != nil {
			break
		}
		helpers = append(helpers, t)
	}
	g.here(work)
	for _, t := range helpers {
		v.pool.retract(&t.job)
	}
	return g.Wait()
}

// here runs fn on the calling goroutine as a task of the group.
func (g *Group) here(fn func(context.Context) error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			g.fail(g.view.pool.newPanic(v))
		} else {
			g.fail(ErrGoexit) // and the goroutine ends here
		}
	}()
	if err := fn(g.ctx); err != nil {
		g.fail(err)
	}
	returned = true
}

// retract ends a job that waits and for which there is nothing left to do.
func (p *Pool) retract(j *job) {
	if !j.claim() {
		return
	}
	p.mu.Lock()
	p.vacateLocked(j)
	p.unlock()
	p.unwatch(j)
	p.finish(nil, j, nil)
}

// places is how many tasks run at one time.
func (p *Pool) places() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.max
}
