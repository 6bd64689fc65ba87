// Package breaker guards calls to a dependency with a circuit breaker: when the
// dependency fails, calls are refused at once instead of being sent after the
// others, and a few probes find out when it is back.
//
// # Usage
//
//	var orders = breaker.MustNew(breaker.Config{
//		Name:                "orders",
//		ConsecutiveFailures: 5,
//		OpenFor:             30 * time.Second,
//	})
//
// makes a breaker that opens for half a minute after five failures in a row, and
//
//	order, err := breaker.DoValue(ctx, orders, func(ctx context.Context) (string, error) {
//		return client.Order(ctx, id)
//	})
//	if errors.Is(err, breaker.ErrOpen) {
//		return cached(id), nil
//	}
//
// guards a call with it. One breaker guards one dependency, whatever the types of its results. [Breaker.Do] is
// for calls without a result, [Wrap] makes a guarded function, [DoJudged] is for
// results that can be failures without an error, and [Breaker.Allow] is for
// calls that do not fit in a function. [Group] holds a breaker for each key;
// package breakerhttp puts one for each host under an http.Client.
//
// The rules may be combined. ConsecutiveFailures needs no window. CountWindow
// suits little traffic: k of the last n. FailureRate over a Window suits much.
// SlowRate sees a dependency that answers, but late, and SlowInFlight one that
// does not answer at all, before the first call returns.
//
// With others of this module, from the outside in: fallback, retry, breaker,
// ratelimit, bulkhead, attempt timeout, call. So each attempt is seen by the
// breaker, and a refusal carries RetryAfter to the retry.
//
// # Guarantees
//
// A result counts only if no state change happened since its call was admitted:
// what began before an outage neither ends the recovery nor starts the next
// outage. The roll of a window is no state change, so calls that last longer
// than the window count, at their end.
//
// While half-open, at most Config.Probes calls are in flight. A probe gives its
// place back exactly once, whether it returns, panics, exits its goroutine, is
// cancelled by its caller or is abandoned: then its lease ends it.
//
// A panic or runtime.Goexit in fn counts as a failure and passes through as if
// the breaker were not there.
//
// Each transition is notified exactly once, in order, outside all locks. A hook
// may call the breaker; one that panics harms nothing but its caller.
//
// The breaker uses the monotonic clock and has no goroutine and no timer of its
// own, but for those of CallTimeout while a call runs. It works within
// testing/synctest bubbles, also if it was made outside.
//
// # Context
//
// If ctx is done before the call, fn is not called, nothing is counted, and the
// error matches ctx.Err() and context.Cause(ctx). The context of fn derives
// from ctx. An error that comes after ctx was done is ignored: the caller left,
// and that says nothing about the dependency. This holds for the caller's
// deadline too. So where callers' deadlines are the only timeouts, a dependency
// that hangs causes no failures: set CallTimeout or SlowInFlight, or count such
// deadlines with a Classify of your own.
//
// CallTimeout cancels the context of fn, waits for fn, and counts a failure.
// Within fn, context.Cause tells the timeout, a *TimeoutError, from the caller's
// own end. A fn that ignores its context is waited for all the same, so that no
// work goes on unseen; Config.Detach gives that up.
//
// # When not to use it
//
// Not for a dependency that many callers share a small part of each: a breaker
// opens for all of them, so use a Group by the part that fails. Not instead of
// a timeout: without one, callers hang until the rules trip. Not for work that
// must be tried in any case. To limit concurrency use a bulkhead, to spread
// retries use retry.
//
// State is not shared between processes: each finds out by itself, which costs
// a few calls and needs no coordination that could fail.
//
// # How it works
//
// The state machine is one pure function over one 64-bit word, which holds the
// generation, the mode, the state and two counters. A call is admitted by
// loading the word, and a success that finds the same word afterwards has
// nothing to write. All writes of the word happen under a mutex. The generation
// moves with each transition; results of an earlier one drop themselves.
//
// The count window is a ring of bits. The time window counts in ten slices,
// spread over several cells so that processors do not share cache lines; in busy
// times most successes count without reading the clock. Both
// are made when a closed breaker first needs them and dropped when it opens.
// Refusals of one open state share one *OpenError, which knows its end.
//
// # Performance
//
// A healthy call allocates nothing. Undisturbed it costs about 10 ns with
// ConsecutiveFailures, 14 ns with CountWindow, 30 ns with FailureRate in busy
// times and 50 ns otherwise, most of that one reading of the clock; the rules on
// slow calls take two. A refusal costs about 40 ns, and CallTimeout 600 ns and 8
// allocations. With ConsecutiveFailures, or a full CountWindow without failures,
// a success writes no shared memory, so it scales with processors.
//
// An idle breaker takes about 330 bytes, with its configuration. A count window
// adds one bit for each result, a time window 300 bytes for each processor, up
// to 16.
//
// DESIGN.md has the measurements.
package breaker
