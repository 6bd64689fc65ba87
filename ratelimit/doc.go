// Package ratelimit limits how often something happens, for each user, address
// or other key apart, or once for all: never more than N events in any window
// of time, wherever the window begins.
//
// # Usage
//
// Make one Limiter for each thing that is to be limited, and ask it before
// each event:
//
//	var logins = ratelimit.MustNew(ratelimit.Config[string]{
//		Name:   "logins",
//		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Minute), ratelimit.Per(50, 24*time.Hour)},
//	})
//
//	if !logins.Allow("alice") {
//		return errors.New("later")
//	}
//
// Take answers with a Decision: what remains, which rule binds, and exactly
// when to come again. TakeAtMost takes what there is, Peek only looks, and
// Refund gives back. Wait takes its place in a queue, first in, first out;
// Reserve tells the time of its turn and can be cancelled.
//
// All Limits hold at once: an event counts in each of them or in none.
// Config.PlanFor gives some keys other limits, or none. A Limit with Shadow
// set reports what it would refuse and refuses nothing, to try it out.
//
// A Single is a Limiter without keys. Do, DoValue and Wrap (for keys: Do,
// DoKey and WrapKey) run a function if there is a permit, and nest with other
// guards. Outermost first, the order that works is fallback, retry, breaker,
// ratelimit, bulkhead, timeout of one attempt, call.
//
// Package ratelimithttp answers 429 with the header fields for it.
//
// A Store is a set of limits wherever their events are kept: in a Limiter, which
// is Memory, or where processes share them, as package ratelimitredis does.
// Package ratelimittest tests stores of your own.
//
// # Guarantees
//
//   - Never more than N in any window (now-W, now], by SlidingWindow, for any
//     N and W. Up to 256 events a window the count is exact (to a tick of
//     W/2²⁹ if W is above a second); above that an event counts up to
//     W/255 longer, and never shorter. By GCRA it is never more than Burst+N.
//   - Refusals take nothing and write nothing, so a key that is tried all the
//     time recovers as any other. RetryAfter is exact: the same request made
//     then is admitted, if nothing else came, and made earlier it is not.
//   - All rules or none: what one refuses counts in no other.
//   - Time does not go back. The clock is monotonic, and an earlier now is taken
//     for the time of the key's last event: no order of calls makes permits.
//   - A key costs the same time whatever N is, and no more memory than 256
//     events need. A key without events in its window is forgotten within as
//     many calls as there are keys beside it. When MaxKeys have events, no key
//     is forgotten for the sake of a new one, which would give it a fresh
//     budget; see Overflow.
//   - Those who wait are served in order. One that leaves the queue leaves no
//     trace, and those behind it move up.
//   - No goroutines, but the one in which you call Run. A Limiter may be a
//     package variable and be used in synctest bubbles.
//
// # Context
//
// A ctx that is done before the call is an error although permits may be
// there, and takes none. One that is done while its caller waits ends the wait
// at once; the place in the queue is given up and no permit is lost. If the
// turn came in that same moment, the permit is taken and Wait returns nil. The
// error matches both ctx.Err() and context.Cause(ctx). A caller whose deadline
// is before its turn gets a *LimitedError at once. fn gets the caller's ctx as
// it is, and no caller's ctx touches another's wait.
//
// # When not to use it
//
// To limit how much goes on at one time, rather than how often it begins, use
// a bulkhead. To share one budget among processes a Limiter is not enough: each
// has its own; see Store. To smooth the load on a dependency that says when it is
// overloaded, an adaptive limit follows it better than any fixed rate. And a
// limit by address does not tell users apart behind one.
//
// # How it works
//
// To admit an event one has to know only when the N-th last one was: a ring of
// N stamps, of which the oldest is overwritten. Stamps are 32 bits, counted in
// ticks of the window's own length and rounded up, and told apart from those
// of other laps by the 64-bit time of the key's last event. Above 256 events
// an entry is a stamp and a count, and stamps are rounded up to W/255: the
// whole of a step stays in the window until its last event has left it.
//
// Keys are hashed to shards, each a lock over a dense array of slots with an
// index beside it. Two stamps live in the slot; more get a ring of their own,
// which doubles. While a key may be idle, each call looks at one further slot,
// and frees it if nothing in it counts any more.
//
// GCRA keeps one number, the time at which the bucket would be full again. A
// Single with such a rule takes it by compare-and-swap.
//
// The places in a queue are not events: they become that when their time has
// come. DESIGN.md has the reasons and the roads not taken.
//
// # Performance
//
// Allow reads the clock, which is most of its cost, and takes one lock. It
// allocates when a key comes, and when its ring grows: at most six times, up
// to 256 stamps. A Single whose Allow was refused refuses the next calls
// without the lock. An idle key costs nothing; one with an event or two, and a
// string of 15 bytes for a name, about 78 bytes. DESIGN.md says of what.
package ratelimit
