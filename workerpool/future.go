package workerpool

import (
	"context"
	"sync"
)

// Future is the outcome of a task, which is or will be there exactly once:
// whatever its function does, and also if it never runs. Many may wait for it.
type Future[T any] struct {
	job job
	fn  func(context.Context) (T, error)

	// Both say that the outcome is there: a WaitGroup, which takes no memory of
	// its own, and a channel for those who have to wait for more than that.
	settled sync.WaitGroup
	mu      sync.Mutex    // guards done
	done    chan struct{} // closed when the job is settled; nil until somebody needs it

	// Written before the state of the job is settled, and never after.
	value T
	err   error
}

// Submit runs fn on a worker and returns its Future as soon as the task is
// accepted. Accepting it is as in Pool.Go, with the same errors; then there is
// no Future and fn never runs. What becomes of an accepted task is told by the
// Future alone.
//
// If ctx is done before fn has begun, fn never runs and the outcome is the
// error of ctx. Submit costs one allocation, and one more if somebody waits
// for the outcome under a ctx that can end.
func Submit[T any](ctx context.Context, t Target, fn func(context.Context) (T, error)) (*Future[T], error) {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	v := t.target()
	f := &Future[T]{job: job{parent: ctx, pool: v.pool}, fn: fn}
	f.job.do = f
	f.settled.Add(1)
	v.mark(&f.job)
	if err := v.pool.submit(ctx, entryOf(&f.job), v.pool.cfg.Overflow); err != nil {
		return nil, err
	}
	return f, nil
}

// Wait returns what fn returned, once it has. A function that panicked gives a
// *PanicError, one that called runtime.Goexit gives ErrGoexit, and one that
// never ran gives the error of its ctx, ErrCanceled, or a *DroppedError.
//
// If ctx is done first, Wait returns the error of ctx, and the task goes on. An
// outcome that is already there is returned also if ctx is done.
//
// A task may wait for tasks of its own pool, however few workers that has, if
// it does so with the ctx that it was given: a task that has not begun is then
// run by Wait itself, and while a task waits its place is lent to others.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if v, err, ok := f.TryResult(); ok {
		return v, err
	}
	if ctx.Err() != nil {
		var zero T
		return zero, ctxError(ctx)
	}
	p := f.job.pool
	if host := p.within(ctx); host != nil {
		if p.help(ctx, host, &f.job) {
			v, err, _ := f.TryResult()
			return v, err
		}
		p.lend(host)
		defer p.reclaim(host)
	}
	return f.wait(ctx)
}

func (f *Future[T]) wait(ctx context.Context) (T, error) {
	left, own := ctx.Done(), f.job.parent.Done()
	if left == nil && own == nil {
		f.settled.Wait()
		return f.value, f.err
	}
	if own == left {
		own = nil
	}
	done := f.signal()
	for {
		select {
		case <-done:
			return f.value, f.err
		case <-own: // if it has not begun by now it never will
			own = nil
			f.job.pool.cancel(&f.job, ContextDone, ctxError(f.job.parent))
			continue
		case <-left:
		}
		if f.job.parent.Done() == left {
			f.job.pool.cancel(&f.job, ContextDone, ctxError(f.job.parent))
		}
		var zero T
		return zero, ctxError(ctx)
	}
}

// TryResult returns the outcome, as Wait does, and true, or false if it is not
// there.
func (f *Future[T]) TryResult() (T, error, bool) {
	if f.job.state.Load() != settled {
		var zero T
		return zero, nil, false
	}
	return f.value, f.err, true
}

// Done returns a channel that is closed when the outcome is there. To receive
// from it within a task does not lend the place of the task, as Wait does.
func (f *Future[T]) Done() <-chan struct{} {
	done := f.signal()
	if _, _, ok := f.TryResult(); !ok {
		f.job.pool.watch(&f.job)
	}
	return done
}

// Cancel drops the task if it has not begun; its outcome is ErrCanceled then.
// If it runs, the ctx of its function is cancelled with the cause ErrCanceled,
// and the outcome is what the function makes of that. Otherwise Cancel does
// nothing.
func (f *Future[T]) Cancel() {
	j := &f.job
	if !j.pool.cancel(j, Canceled, ErrCanceled) && j.state.Load() == running {
		j.scope().cancel(ErrCanceled)
	}
}

// signal returns f.done, which it makes if need be.
func (f *Future[T]) signal() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.job.state.Load() == settled {
			close(f.done)
		}
	}
	return f.done
}

func (f *Future[T]) run(j *job) { f.value, f.err = f.fn(j) }

func (f *Future[T]) settle(j *job, err error) {
	if err != nil {
		f.err = err
	}
	f.fn = nil // it may hold what nobody needs any more
	f.mu.Lock()
	j.state.Store(settled)
	if f.done != nil {
		close(f.done)
	}
	f.mu.Unlock()
	f.settled.Done()
}

// help runs j, for which host waits under ctx, if it has not begun, and reports
// whether it did. This takes no switch of goroutines.
//
// It must not make the wait longer than ctx allows: j runs only if ctx does not
// end before j's own does. A job that has to keep an order or a limit, or needs
// a state of its own, is left to the workers.
func (p *Pool) help(ctx context.Context, host, j *job) bool {
	if p.begin != nil || j.x != nil && j.x.gate != nil || !endsWith(j.parent, ctx) || !j.claim() {
		return false
	}
	p.mu.Lock()
	p.vacateLocked(j)
	p.unlock()
	if !p.unfit(j) {
		p.execute(host.w, j)
	}
	return true
}

// endsWith reports whether inner ends at the latest when outer does, as far as
// that can be known at once.
func endsWith(inner, outer context.Context) bool {
	if o, ok := outer.(*job); ok {
		if i, ok := inner.(*job); ok && i == o {
			return true // without the channel, which takes an allocation
		}
	}
	done := outer.Done()
	return done == nil || done == inner.Done()
}
