// Package hedge cuts the slow end off latencies: a call that takes unusually
// long is made a second time, and the first answer counts.
//
// # Usage
//
// A [Hedger] is made once, for each kind of call, and used by any number of
// goroutines:
//
//	var search = hedge.MustNew(hedge.Config{
//		Name:     "search",
//		Quantile: 0.95,
//		Delay:    200 * time.Millisecond,
//	})
//
// [DoValue], [Hedger.Do] and [Wrap] make calls. An attempt that has not
// returned after the delay gets company. The delay is fixed, or the given
// quantile of the latencies of late, which the Hedger measures itself; here it
// is 200 ms until a hundred calls were measured.
//
// Results that hold something are released by Config.Discard when they come too
// late to be returned; without it, those that are an io.Closer are closed.
//
// # Guarantees
//
// The usual call, the one that is fast enough, runs on its caller's goroutine
// and starts no other.
//
// When a call returns, all its attempts have returned, and nothing of it runs
// any more. That is so unless Config.Detached, which is for functions that do
// not heed their context: a detached call returns with the first success, what
// still runs is left alone, and Stats.Abandoned counts it.
//
// Each attempt has its own result. Every success is either returned or given
// to Discard, once.
//
// Extra attempts are bounded: by Ratio to a tenth of the successful calls, or
// by a Budget shared with retries. A call is never refused; it only gets no
// company. So a dependency that is slow because it is overloaded is not struck
// by twice the load.
//
// Extra attempts that win do not bring the delay down: a first attempt that
// lost counts as slow. A quantile of 0.95 goes on hedging a twentieth.
//
// If every attempt fails, the first one's error comes back unwrapped. An error
// does not start an extra attempt.
//
// # Context
//
// If ctx is done before the call, fn is not called. Contexts of attempts derive
// from ctx and end when an attempt has succeeded, with the cause [ErrLost], and
// in any case with the call. So fn must read what it returns, a response's body
// for instance, to its end.
//
// If ctx is done while the caller waits for attempts in other goroutines, the
// error matches both ctx.Err() and context.Cause(ctx), and the first attempt's
// error if it had failed before. A call that is not detached returns when its
// attempts have, which must be soon, for their contexts are done as well.
//
// # When not to use it
//
// Do not hedge what must not happen twice, and what is slow because of its
// arguments: the extra attempt would be as slow.
//
// Do not hedge against errors; that is what package retry is for. With both,
// put the hedge inside the retry, and give them one budget.
//
// A panic of an extra attempt ends the program, as in any goroutine, and so
// does one of a detached first attempt. A function that may panic, under a
// server that recovers, should recover itself.
//
// # How it works
//
// A timer is set, then the first attempt is made. If it returns in time, the
// timer is stopped. Else the goroutine of the timer makes the extra attempt, and
// ends the common context of the attempts when it succeeds; the first attempt,
// which heeds its context, then returns, and the call with it. The idea, and
// that of a delay at a quantile, are those of Dean and Barroso, "The Tail at
// Scale", Communications of the ACM 56(2), 2013.
//
// Latencies are counted in 248 buckets, eight for each power of two, so that
// the quantile is at most an eighth too long. At a thousand calls all counts
// are halved: old latencies fade, without a clock.
//
// # Performance
//
// The usual call costs about 1 µs and 5 allocations, most of it for a context
// and a timer; measuring adds two clock readings and a short lock. A detached
// call costs twice that. A Hedger with a Quantile holds about 1 KB. DESIGN.md
// has the measurements, examples/bench/hedge the comparisons.
package hedge
