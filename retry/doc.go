// Package retry calls functions again until they succeed, and stops when that
// is no longer worth it.
//
// # Usage
//
// A [Retrier] holds the policy. It is made once, for each kind of call, and
// used by any number of goroutines:
//
//	var users = retry.MustNew(retry.Config{
//		Name:      "users",
//		BaseDelay: 50 * time.Millisecond,
//		Budget:    retry.MustNewBudget(retry.BudgetConfig{}),
//	})
//
// [Retrier.Do] retries functions that return an error, [DoValue] those that
// also return a value, [DoUntil] those whose value tells whether it is good,
// and [Wrap] makes a retried function of a function. The loop form needs no
// function at all, so that its body can break, continue and return:
//
//	for a := range r.Attempts(ctx, &err) {
//		greeting, failure = get(a.Context())
//		a.Done(failure)
//	}
//
// Every error is retried, except those marked by [Permanent], those that
// Config.If refuses, those that say so by a negative RetryAfter, and all once
// the caller's context is done. A retry waits between attempts: 100 ms doubled
// each time up to 10 s, and of that a random part (full jitter).
//
// # Guarantees
//
// MaxAttempts counts attempts, not retries: 4 is one call and three retries.
//
// No computed delay exceeds MaxDelay, whatever jitter draws, and delays still
// differ when they have reached it, so clients that failed together do not
// return together. Arithmetic saturates.
//
// A delay that cannot end before the context's deadline, or within MaxElapsed,
// is not begun: the call returns at once, while its caller can still do
// something else with the time.
//
// No real error is lost. The [*Error] of a call that gave up matches, by
// errors.Is and errors.As, the last attempt's error, the reason, and the
// errors of up to eight attempts. An error that is not to be retried comes back
// exactly as fn returned it, wrapped or not, first attempt or last.
//
// An error anywhere in whose tree is a method RetryAfter() time.Duration, as
// the refusals of breakers, limiters and HTTP servers have, is retried no
// sooner than that. A call told to wait longer than MaxRetryAfter gives up.
//
// A [Budget], shared by all calls to one dependency, holds retries to a
// fraction of the successes, so an outage is not made worse by a multiple of
// the load. It never holds back a first attempt.
//
// Nested retries do not multiply. A Retrier that finds itself inside a retry
// of another makes one attempt: three layers of four attempts make at most ten
// calls, not 64.
//
// A panic or Goexit of fn passes through untouched.
//
// # Context
//
// If ctx is done before the call, fn is not called. If it is done during a
// delay, the call returns at once. The error then matches both ctx.Err() and
// context.Cause(ctx), and the last real error. Errors of the caller's context
// are never retried; a context error that comes from elsewhere, such as a
// timeout of fn's own, is an error like others.
//
// fn's context derives from ctx. In a retry it carries the attempt's number and
// the error before, see [FromContext]; with AttemptTimeout it has a deadline of
// its own, and ends with the attempt.
//
// # When not to use it
//
// Do not retry what must not happen twice, unless the other side can tell a
// repetition. For HTTP, package retryhttp knows which requests these are.
//
// Do not retry in every layer; the layer that knows what the call is for is
// the best one. To cut the slow end off latencies rather than errors, use
// package hedge. Against a dependency that is down for long, put a circuit
// breaker inside the retry.
//
// NoDelay is for conflicts in memory. A remote service that fails needs delays.
//
// # How it works
//
// The first attempt gets the caller's context, and if it succeeds that was all.
// Only its failure brings the state of a retry into being, on the stack: the
// latest errors, and a timer with the first real delay, reused for the others.
// Clocks are read only against a deadline or MaxElapsed, or for AttemptTimeout.
// A Backoff is a pure function of the retry's number, so nothing is shared
// between calls but the configuration, the counters and the Budget, which is a
// token bucket in one atomic word after gRPC proposal A6.
//
// # Performance
//
// A first attempt that succeeds costs about 4 ns beyond the call of fn, and
// three attempts with NoDelay about 26 ns; neither allocates. A success with a
// full Budget adds one atomic load. With delays, a retry costs a context of 48
// bytes and a call's first delay a timer, beside the wait itself. DESIGN.md has
// the measurements, examples/bench/retry the comparisons.
package retry
