// Package workerpool runs tasks on a bounded number of goroutines: it bounds,
// queues, orders, measures and ends them. It is not there because goroutines
// are slow to start, though a task costs less here than a go statement.
//
// # Usage
//
// Make one Pool for each kind of work that is to share a bound, bring tasks to
// it, and drain it in the end:
//
//	p := workerpool.MustNew(workerpool.Config{Name: "thumbs", Max: 4})
//	defer p.Close()
//
//	err := p.Go(ctx, func(ctx context.Context) { warm(ctx) })
//
// Go returns as soon as the task is accepted. Submit gives a Future, for a
// result of any type; its two errors are kept apart, as a task that was not
// accepted never runs:
//
//	f, err := workerpool.Submit(ctx, p, func(ctx context.Context) (int, error) { return count(ctx, "a") })
//	if err != nil {
//		return err // not accepted
//	}
//	n, err := f.Wait(ctx) // the outcome of the task
//
// Map applies a function to a slice and Stream to a sequence, both in order. A
// Group waits for many tasks and cancels them at the first error. GoKey runs
// tasks with equal keys one after the other:
//
//	out, err := workerpool.Map(ctx, p, []string{"a", "b"}, count)
//
// WithPriority and Limit give a View: the same pool, with a priority or with a
// share of its own. NewStateful makes a pool whose workers have a state each.
// Resize, Pause and Resume change a pool while it works.
//
// # Guarantees
//
//   - Never more than Max tasks run, but for tasks that come back from waiting
//     for another, for the moment until a task ends.
//   - Never more than Queue tasks wait beyond those for which a worker is free;
//     what then becomes of the next is up to Config.Overflow.
//   - First in, first out, within a priority; no priority is starved.
//   - A task that was accepted runs once or is dropped, and its Future resolves
//     exactly once: whether its function returns, panics or calls
//     runtime.Goexit, whether its ctx ends or the pool is closed. Each of these
//     leaves the worker, or another in its place, ready for the next task.
//   - Tasks may bring tasks to their own pool and wait for them, at any depth
//     and with any Max, if they do so with the ctx they were given: the place
//     of a task that waits is lent to another. (A task that waits for itself
//     waits for ever, and so does one that waits by other means, as by a
//     channel, for a task that has no worker.)
//   - A panic in a task that nobody waits for goes to Hooks.OnPanic; without
//     one it ends the process, as in any goroutine.
//   - Drain and Close leave no goroutine behind, and account for what was
//     dropped and what still runs.
//
// # Context
//
// A ctx that is done before the call is an error, and nothing was accepted.
// One that is done while its caller waits for room, or for an outcome, ends
// that wait at once. One that is done while its task waits for a turn ends the
// task: it never runs, and if others wait for room it makes room at once. The
// errors match both ctx.Err() and context.Cause(ctx).
//
// fn gets a ctx that derives from the caller's. It also ends when the Future is
// cancelled, when the pool is closed, and when fn has returned and the tasks
// have ended that were brought with it. No caller's ctx touches another's task.
// Waiting inside a task with that task's own ctx may run the awaited task on the
// same goroutine; then the wait is as long as that task heeds its ctx, and if
// it calls runtime.Goexit it ends both.
//
// # When not to use it
//
// To start a few goroutines and wait for them, sync.WaitGroup and errgroup are
// enough. To bound how many calls use a resource, each on the goroutine that
// needs its answer, use a bulkhead. Tasks that have to survive the process, to
// run at a given time or on another machine, belong into a job queue with a
// store. And a goroutine cannot be killed: a task that does not heed its ctx
// runs until it ends, which only a process of its own can change.
//
// # How it works
//
// Tasks wait in chunks. Who brings one takes a lock; who runs one takes it from
// what is offered, by one atomic operation. At most one worker is on its way to look for work;
// it calls the next one if there is more when it has taken its own. So a burst
// wakes as many workers as it needs and an idle pool none. Before it sleeps a
// worker lets others run once and looks again.
//
// All that is more than first in, first out (priorities, keys, limits, callers
// that wait for room, a pause, tasks that leave the queue) is done under the
// lock, with the offer taken back: the short way has no case for it.
//
// A Future is the queued task and the ctx of its function in one object. The ctx
// becomes a cancellable one only if somebody asks for Done. DESIGN.md has the
// interleavings and the roads not taken.
//
// # Performance
//
// A Go that nobody waits for costs about 70 ns until it has run, and no
// allocation as long as one worker runs tasks of one ctx, else one; a Submit
// with its Wait about 0.8 µs, two switches of goroutines, and one allocation.
// Map costs about 10 ns a value. A priority or a
// MaxQueueAge makes tasks read the clock and allocate; a key or a limit costs
// the lock once more. The histograms in Stats are drawn from one task in 64,
// see Config.SampleEvery. An idle pool has no goroutine and about 4 KB, each
// idle worker its stack. DESIGN.md has measurements.
package workerpool
