package workerpool

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// The states of a job. It goes from one to the next. Who changes waiting to
// running owns the job from then on.
const (
	waiting = iota // for its turn
	running        // claimed: by who runs it, or by who drops it
	ended

	oneKid = 4 // see job.life
)

// job is a task that was accepted, and the context that its function gets.
// Both in one object make one allocation of a task.
type job struct {
	//bedplate:allow ctx: a queued task has to keep the context it will run under
	parent context.Context
	do     task
	pool   *Pool

	// w is the worker whose place the job runs in, nil if it runs in none.
	// Written before the function is called, and read by those who got their
	// context from it.
	w *worker

	own   atomic.Pointer[scope] // written by the first who needs more than parent
	x     *extra                // nil for most; set before the job is in a queue
	stamp time.Duration         // when it was accepted, since Pool.base; zero if nobody needs it
	life  atomic.Int32          // its state and oneKid for each job whose parent it is, less one once it has ended; below zero it is over
	seq   uint32                // index in its queue; guarded by Pool.mu, and useless once it was taken
}

// extra is what a job has in addition if it goes by another way than most.
type extra struct {
	lane       Priority
	sampled    bool
	gate       *gate
	gated      bool // it waits at the gate, in no queue; guarded by Pool.mu
	prev, next *job // neighbours at the gate; guarded by Pool.mu
}

// task is what a job does.
type task interface {
	// run calls the user's function. It may panic or never come back.
	run(j *job)

	// settle is called exactly once, after run or instead of it, with no lock
	// held. err is nil if run came back; otherwise it says why not.
	settle(j *job, err error)
}

// goFunc is the task of Go. Its panics go to OnPanic.
type goFunc func(context.Context)

func (f goFunc) run(j *job) { f(j) }

func (f goFunc) settle(j *job, err error) {
	if e, ok := err.(*PanicError); ok {
		j.pool.cfg.Hooks.OnPanic(e)
	}
}

// jobOf makes a job of a function, owned by the caller.
func (p *Pool) jobOf(e entry) *job {
	j := &job{parent: e.ctx, do: goFunc(e.fn), pool: p}
	j.life.Store(running)
	return j
}

// claim makes the caller the owner of a job that waits. Exactly one succeeds.
func (j *job) claim() bool { return j.life.CompareAndSwap(waiting, running) }

func (j *job) state() int32 { return j.life.Load() & (oneKid - 1) }

// extra returns j.x, which it makes if need be; only before j is in a queue.
func (j *job) extra() *extra {
	if j.x == nil {
		j.x = new(extra)
	}
	return j.x
}

// scope is a context of its own, made when somebody asks for Done, or when the
// job is to be cancelled.
type scope struct {
	//bedplate:allow ctx: it is the context of a job, in its second form
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Deadline is that of the caller.
func (j *job) Deadline() (time.Time, bool) { return j.parent.Deadline() }

// Done costs an allocation the first time, so that a task that never asks
// does without.
func (j *job) Done() <-chan struct{} { return j.scope().ctx.Done() }

// Err agrees with Done: what ends the one without the other is caught here.
func (j *job) Err() error {
	if s := j.own.Load(); s != nil {
		return s.ctx.Err()
	}
	if err := j.parent.Err(); err != nil {
		return err
	}
	if j.pool.aborted.Load() || j.over() {
		return j.scope().ctx.Err()
	}
	return nil
}

// Value answers to the pool itself with the job, so that the pool's methods
// know from where they are called. The rest is the parent's, by way of the
// scope if there is one: context.Cause asks for it there.
func (j *job) Value(key any) any {
	if p, ok := key.(*Pool); ok && p == j.pool {
		return j
	}
	if s := j.own.Load(); s != nil {
		return s.ctx.Value(key)
	}
	return j.parent.Value(key)
}

// over reports whether the context of j is done of itself: j has ended, and all
// jobs that were brought under it are over. A task may end before those that it
// has brought; they are not cancelled by that.
func (j *job) over() bool { return j.life.Load() < 0 }

// finish says that j, which was claimed, has ended.
func (j *job) finish() { j.lose(oneKid - (ended - running)) }

// lose takes n from life, for a kid that is over or for j itself. Whoever finds
// nothing left ends the context, and tells the parent. That happens once: who is
// over gets no kids.
func (j *job) lose(n int32) {
	if j.life.Add(-n) >= 0 {
		return
	}
	if s := j.own.Load(); s != nil {
		j.pool.endScope(j, s)
	}
	leave(j.parent)
}

// enter tells a parent of a new kid, and reports false if it is over.
func enter(parent context.Context) bool {
	j, ok := parent.(*job)
	for ok {
		life := j.life.Load()
		if life < 0 {
			return false
		}
		if j.life.CompareAndSwap(life, life+oneKid) {
			break
		}
	}
	return true
}

// leave tells a parent that a kid is over.
func leave(parent context.Context) {
	if j, ok := parent.(*job); ok {
		j.lose(oneKid)
	}
}

// scope returns j's own context. If j is over or the pool is aborted, that
// context is done: each of the two looks for a scope after it has said so, and
// here a scope is registered before either is asked.
func (j *job) scope() *scope {
	if s := j.own.Load(); s != nil {
		return s
	}
	s := new(scope)
	s.ctx, s.cancel = context.WithCancelCause(j.parent)
	if !j.own.CompareAndSwap(nil, s) {
		s.cancel(nil)
		return j.own.Load()
	}
	p := j.pool
	p.mu.Lock()
	p.scopes[j] = s
	p.mu.Unlock()
	if p.aborted.Load() {
		s.cancel(ErrClosed)
	}
	if j.over() {
		p.endScope(j, s)
	}
	return s
}

func (p *Pool) endScope(j *job, s *scope) {
	p.mu.Lock()
	delete(p.scopes, j)
	p.mu.Unlock()
	s.cancel(nil)
}

// within returns the running job of p that ctx belongs to, nil if there is none.
func (p *Pool) within(ctx context.Context) *job {
	if j, ok := ctx.Value(p).(*job); ok && j.w != nil && j.state() == running {
		return j
	}
	return nil
}

// execute runs a claimed job in the place of w, or in none.
//
// When the function panics and nobody is there to take the panic, it is not
// recovered: the process ends with the stack of the function. So it does with
// any goroutine.
func (p *Pool) execute(w *worker, j *job) {
	returned := false
	defer func() {
		if returned {
			return
		}
		err := ErrGoexit
		if _, plain := j.do.(goFunc); !plain || p.cfg.Hooks.OnPanic != nil {
			if v := recover(); v != nil {
				p.panics.Add(1)
				err = p.newPanic(v)
			}
		}
		p.finish(w, j, err)
	}()
	j.w = w
	if j.x == nil || !j.x.sampled {
		j.do.run(j)
	} else {
		p.runMeasured(j)
	}
	returned = true
	p.finish(w, j, nil)
}

// newPanic describes the panic with v, while it goes on.
func (p *Pool) newPanic(v any) *PanicError {
	return &PanicError{Name: p.cfg.Name, Value: v, Stack: debug.Stack()}
}

// finish does what is due after a job has run. Whoever waits for the job is
// told last, so that what he then looks at is up to date.
func (p *Pool) finish(w *worker, j *job, err error) {
	if w != nil && j == w.plain {
		p.finishPlain(w, j, err)
		return
	}
	j.finish()
	p.count(w)
	if j.x != nil && j.x.gate != nil {
		p.leaveGate(j.x.gate)
	}
	j.do.settle(j, err)
}

// finishPlain is finish for a function that is no job. Its job stays for the
// next function with the same parent, unless it has got a context of its own,
// and remains a kid of that parent.
func (p *Pool) finishPlain(w *worker, j *job, err error) {
	if j.own.Load() != nil || err != nil || j.life.Load() != running {
		w.retire()
	}
	w.done++
	if err != nil {
		j.do.settle(j, err)
	}
}

// count adds a job that has run. A worker comes to the lock by itself before
// it sleeps, and there finds out whether it was the last one of a pool that
// drains; others have to go there.
func (p *Pool) count(w *worker) {
	if w != nil {
		w.ran.Add(1)
		return
	}
	p.outside.Add(1)
	if p.leaving.Load() {
		p.mu.Lock()
		p.unlock()
	}
}
