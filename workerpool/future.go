package workerpool

import (
	"context"
	"sync/atomic"
)

// Future is the outcome of a task, which is or will be there exactly once:
// whatever its function does, and also if it never runs. Many may wait for it.
type Future[T any] struct {
	job job
	fn  func(context.Context) (T, error)

	// told is nil until somebody waits for the outcome, then who does, and in the
	// end outcome. It is changed by those who begin to wait and, last, by settle,
	// which tells those whom it finds.
	told atomic.Pointer[listener]

	// Written before told is outcome, and never after.
	value T
	err   error
}

// Submit runs fn on a worker and returns its Future as soon as the task is
// accepted. Accepting it is as in Pool.Go, with the same errors; then there is
// no Future and fn never runs. What becomes of an accepted task is told by the
// Future alone.
//
// If ctx is done before fn has begun, fn never runs and the outcome is the
// error of ctx. Submit costs one allocation.
func Submit[T any](ctx context.Context, t Target, fn func(context.Context) (T, error)) (*Future[T], error) {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	v := t.target()
	f := &Future[T]{job: job{parent: ctx, pool: v.pool}, fn: fn}
	f.job.do = f
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
	p, parent := f.job.pool, f.job.parent
	l := f.listen()
	left, own := ctx.Done(), parent.Done()
	switch {
	case l == nil:
	case left == nil && own == nil:
		<-l.signal
		p.forget(l)
	default:
		if !l.wait(left, own, func() { p.cancel(&f.job, ContextDone, ctxError(parent)) }) {
			var zero T
			return zero, ctxError(ctx)
		}
		p.forget(l)
	}
	return f.value, f.err
}

// TryResult returns the outcome, as Wait does, and true, or false if it is not
// there.
func (f *Future[T]) TryResult() (T, error, bool) {
	if f.told.Load() != outcome {
		var zero T
		return zero, nil, false
	}
	return f.value, f.err, true
}

// Done returns a channel that is closed when the outcome is there. To receive
// from it within a task does not lend the place of the task, as Wait does.
func (f *Future[T]) Done() <-chan struct{} {
	if l := f.listenMany(); l != nil {
		f.job.pool.watch(&f.job)
		return l.signal
	}
	done := make(chan struct{})
	close(done)
	return done
}

// Cancel drops the task if it has not begun; its outcome is ErrCanceled then.
// If it runs, the ctx of its function is cancelled with the cause ErrCanceled,
// and the outcome is what the function makes of that. Otherwise Cancel does
// nothing.
func (f *Future[T]) Cancel() {
	j := &f.job
	if !j.pool.cancel(j, Canceled, ErrCanceled) && j.state() == running {
		j.scope().cancel(ErrCanceled)
	}
}

func (f *Future[T]) run(j *job) { f.value, f.err = f.fn(j) }

func (f *Future[T]) settle(_ *job, err error) {
	if err != nil {
		f.err = err
	}
	f.fn = nil // it may hold what nobody needs any more
	if l := f.told.Swap(outcome); l != nil {
		l.tell()
	}
}

// listener is who waits for an outcome: one goroutine, or, if there are many,
// any number of them.
type listener struct {
	signal chan struct{} // one is told by a value in it, many are by its end
	many   bool
	one    *listener // of many: who has to be told as well, nil if nobody
}

// outcome is in Future.told when the outcome is there.
var outcome = new(listener)

// listen returns who is told of the outcome from now on, and nil if it is there.
// The first one gets a listener of its own, that was in use before.
func (f *Future[T]) listen() *listener {
	p := f.job.pool
	l := p.listeners.Get().(*listener)
	if f.told.CompareAndSwap(nil, l) {
		return l
	}
	p.forget(l)
	return f.listenMany()
}

// listenMany is listen for those whose listener is not to be used again.
func (f *Future[T]) listenMany() *listener {
	for {
		l := f.told.Load()
		if l == outcome {
			return nil
		}
		if l != nil && l.many {
			return l
		}
		many := &listener{signal: make(chan struct{}), many: true, one: l}
		if f.told.CompareAndSwap(l, many) {
			return many
		}
	}
}

// tell is called once, and touches l for the last time before it tells the last.
func (l *listener) tell() {
	if !l.many {
		l.signal <- struct{}{} // it has room for one
		return
	}
	close(l.signal)
	if l.one != nil {
		l.one.tell()
	}
}

// wait returns true when l is told, and false when left is closed first. It
// calls ended when own is closed: if the task has not begun by then it never will.
func (l *listener) wait(left, own <-chan struct{}, ended func()) bool {
	same := own == left
	if same {
		own = nil
	}
	for {
		select {
		case <-l.signal:
			return true
		case <-own:
			own = nil
			ended()
		case <-left:
			if same {
				ended()
			}
			return false
		}
	}
}

// forget gives a listener back that was told, or that nobody knows. One that has
// left before it was told is lost.
func (p *Pool) forget(l *listener) {
	if !l.many {
		p.listeners.Put(l)
	}
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
