// Package bulkhead bounds how many calls use a resource at one time, so that
// one slow dependency cannot take the goroutines, connections and memory that
// the others need. The name is that of the walls that keep a leak in one part
// of a ship.
//
// # Usage
//
// Make one Bulkhead for each resource and run the calls through it:
//
//	var db = bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 20, MaxWait: time.Second})
//
//	err := db.Do(ctx, query)
//
// DoValue returns a value as well, and Wrap makes a guarded function, which
// nests with other guards. Outermost first, the order that works is fallback,
// retry, breaker, ratelimit, bulkhead, timeout of one attempt, call.
//
// Acquire and TryAcquire are for code that is not one function; their Permit
// gives the slot back:
//
//	p, err := db.Acquire(ctx)
//	if err != nil {
//		return err
//	}
//	defer p.Release()
//
// AcquireN takes several slots at once, for calls that weigh more than others.
// Resize changes the limit while calls run; Config.Adaptive lets it follow
// their latency. Package bulkheadhttp puts a Bulkhead in front of a handler.
//
// # Guarantees
//
//   - Never more than the limit is in use, not even for an instant. Only after
//     Resize has shrunk the limit under running calls is there more, and then
//     nobody is admitted until enough of them have ended.
//   - First in, first out: a released slot is handed to the first waiter, and a
//     newcomer never passes one. A waiter that needs many slots is not starved
//     by those that need few. Only LIFOAfter changes the order, and only under
//     overload.
//   - A slot is given back exactly once: when fn returns, panics or calls
//     runtime.Goexit, however often Release is called, and also if a waiter is
//     cancelled in the moment in which it is granted, when it is passed on.
//   - Nobody waits for ever who need not: the queue is bounded, a weight that
//     can never fit is an error at once (or when Resize makes it so), and a
//     caller whose deadline comes before the turn it can expect is refused at
//     once.
//   - A refusal is a *FullError, which matches ErrFull and says when to come
//     again in RetryAfter, as far as that is known.
//   - No goroutines, and no timers but one for each waiter when MaxWait is set.
//     A Bulkhead may be a package variable and be used in synctest bubbles.
//
// # Context
//
// A ctx that is done before the call is an error although slots may be free:
// fn is not called and nothing has changed. One that is done while its caller
// waits ends the wait at once; the place in the queue and, if it was just
// granted, the slot are given up. The error matches both ctx.Err() and
// context.Cause(ctx). fn gets the caller's ctx as it is, and no caller's ctx
// touches another's call. A caller refused because of its deadline gets a
// *FullError, not context.DeadlineExceeded: it still has time to do something
// else.
//
// Drain and Close do not cancel the calls that run.
//
// # When not to use it
//
// To limit how often something happens, rather than how much of it at once,
// use a rate limiter. To have a fixed set of goroutines work through jobs, use
// a worker pool. To guard memory shared by goroutines, use sync.Mutex: a
// Bulkhead of one slot is slower, and its order costs a switch of goroutines
// at each hand-off. A dependency that fails fast needs a breaker. And a pool
// of connections with a bound of its own is a bulkhead already.
//
// # How it works
//
// One 64-bit word holds the free slots. A slot is taken by one subtraction and
// given back by one addition. Once there is a reason to do more (somebody
// waits, or the bulkhead is closed), a large constant is subtracted from the
// word, so it is negative, and every fast path ends at a mutex with a list of
// waiters behind it. As newcomers find the word negative too, a slot that
// comes back while somebody waits can go only to the first waiter. Whoever has
// subtracted a slot that was not there settles that under the mutex.
//
// The clock is read for those who wait, not for those who do not. What is
// measured is how long a slot takes to come back while somebody wants it; from
// that follow RetryAfter and the turn that a caller can expect. It is an
// estimate from the recent past: see the type turns.
//
// An adaptive limit is AIMD if you set a Target for the latency, else
// Gradient2; see Adaptive.
//
// DESIGN.md has the interleavings and the roads not taken.
//
// # Performance
//
// An uncontended Do or Acquire with Release costs two atomic operations and no
// allocation, about two thirds of what golang.org/x/sync/semaphore takes, on
// one processor or on several. A caller that waits costs two allocations (176
// bytes) and two readings of the clock, as every wait is measured; its slot is
// handed over about as fast as there. Several processors in Acquire at once
// compete for one cache line, and no counter in one place is faster than that
// line moves. With weights above one each of them needs the line once more.
// Leaving the queue is O(1). An idle Bulkhead is 384 bytes, or 608 once somebody has waited or was refused;
// each waiter adds its 176. DESIGN.md has measurements.
//
// OnReleased and Adaptive read the clock twice for each call.
package bulkhead
