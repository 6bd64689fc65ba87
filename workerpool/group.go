package workerpool

import (
	"context"
	"slices"
	"sync"
)

// Group is a set of tasks that are waited for together, as that of
// golang.org/x/sync/errgroup: the first error is the one that counts, and it
// cancels the others. A panic is such an error, a *PanicError. Make one with
// Pool.Group or View.Group.
type Group struct {
	view *View
	//bedplate:allow ctx: the tasks of a group share one, which ends with the group
	ctx    context.Context
	cancel context.CancelCauseFunc
	host   *job // the task of the pool that has made the group, nil if none

	tasks sync.WaitGroup
	mu    sync.Mutex // guards first, own
	first error
	own   []*job // tasks that host may run while it waits, newest last
}

func newGroup(ctx context.Context, v *View) *Group {
	g := &Group{view: v, host: v.pool.within(ctx)}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

// Go runs fn on a worker; if the queue is full it does what Config.Overflow
// says. The ctx that fn gets derives from the group's, which is cancelled by
// the first error, with that error as the cause, and when Wait returns. A task
// that was not accepted, or that was dropped, is an error of the group as well.
func (g *Group) Go(fn func(context.Context) error) {
	if _, err := g.start(fn, g.view.pool.cfg.Overflow); err != nil {
		g.fail(err)
	}
}

// TryGo is Go that never waits and runs nothing itself. It reports false if
// the task was not accepted, which is no error of the group then.
func (g *Group) TryGo(fn func(context.Context) error) bool {
	_, err := g.start(fn, Reject)
	return err == nil
}

func (g *Group) start(fn func(context.Context) error, overflow Overflow) (*groupTask, error) {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	t := &groupTask{group: g, fn: fn}
	t.job = job{parent: g.ctx, do: t, pool: g.view.pool}
	g.view.mark(&t.job)
	g.tasks.Add(1)
	if err := g.view.pool.submit(g.ctx, entryOf(&t.job), overflow); err != nil {
		g.tasks.Done()
		return nil, err
	}
	if g.host != nil {
		g.keep(&t.job)
	}
	return t, nil
}

// keep remembers a task that host may run. When there is no room to remember
// it, those that have begun are forgotten first.
func (g *Group) keep(j *job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.own) == cap(g.own) {
		g.own = slices.DeleteFunc(g.own, func(j *job) bool { return j.state() != waiting })
	}
	g.own = append(g.own, j)
}

// Wait waits until all tasks have ended, and returns the first error. Within a
// task of the pool it runs those itself that have not begun.
func (g *Group) Wait() error {
	p := g.view.pool
	if host := g.host; host != nil && host.state() == running {
		for j := g.next(); j != nil; j = g.next() {
			p.help(g.ctx, host, j)
		}
		p.lend(host)
		g.tasks.Wait()
		p.reclaim(host)
	} else {
		g.tasks.Wait()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancel(g.first)
	return g.first
}

// next takes back a task that host may run.
func (g *Group) next() *job {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.own) == 0 {
		return nil
	}
	j := g.own[len(g.own)-1]
	g.own = g.own[:len(g.own)-1]
	return j
}

func (g *Group) fail(err error) {
	g.mu.Lock()
	first := g.first == nil
	if first {
		g.first = err
	}
	g.mu.Unlock()
	if first {
		g.cancel(err)
	}
}

type groupTask struct {
	job   job
	group *Group
	fn    func(context.Context) error
	err   error
}

func (t *groupTask) run(j *job) { t.err = t.fn(j) }

func (t *groupTask) settle(_ *job, err error) {
	if err == nil {
		err = t.err
	}
	if err != nil {
		t.group.fail(err)
	}
	t.group.tasks.Done()
}
