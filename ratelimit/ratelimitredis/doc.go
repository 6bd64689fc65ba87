// Package ratelimitredis keeps the events of package ratelimit in Redis, so that
// many processes share one budget: never more than N events in any window, by
// the server's clock, at one round trip a call or less.
//
// # Usage
//
// Make one Store for each set of limits, over a client of go-redis, and ask it
// before each event:
//
//	store, err := ratelimitredis.New(ratelimitredis.Config{
//		Name:   "logins",
//		Client: client,
//		Limits: []ratelimit.Limit{ratelimit.Per(5, time.Minute), ratelimit.Per(50, 24*time.Hour)},
//	})
//
//	d, err := store.Take(ctx, "alice", 1)
//	if err == nil && !d.Allowed {
//		return fmt.Errorf("come again in %v", d.RetryAfter)
//	}
//
// It is a ratelimit.Store, so that it takes the place of ratelimit.Memory, and
// of the limits in ratelimithttp.Config, in one line: Store: store.
//
// Close it before the client.
//
// # Guarantees
//
//   - Never more than N in any window, whatever the processes, for limits up to
//     32768 to a microsecond. Above that an event counts up to Window/255
//     longer. All rules or none; refusals take nothing, and write nothing.
//   - Time is the server's. A replica that takes over with a slower clock makes
//     no permits: a key that is at its limit waits until that clock has caught
//     up. What the old server had not passed on is lost: so many more may be
//     admitted.
//   - No call waits longer than Config.Timeout, whatever the server does. After
//     Config.FailuresToOpen failures in a row it is left alone for
//     Config.OpenFor; then one call finds out.
//   - Without the server FallbackLocal admits at most N divided by
//     Config.Instances, rounded up, in each process and any window. So in a
//     window that saw the server fail or come back it is at most N, and that
//     once more for each process. Such decisions say Degraded.
//   - A refusal is repeated without asking until its RetryAfter, which changes
//     no answer, but that permits which another process gives back before that
//     are not noticed here.
//   - With a Lease never more than N in any time of Window − Lease.For.
//   - A call that got no answer may have been counted, also twice if the client
//     retries: too much, never too little.
//
// # Context
//
// As package ratelimit has it: a ctx that is done before the call is an error
// and nothing is sent; one that is done while the call waits ends it at once.
// Calls share pipelines, but not their ends. The error matches ctx.Err() and
// context.Cause(ctx).
//
// # When not to use it
//
// Where each process may as well have its part of the limit: a round trip is a
// thousand times what ratelimit.Limiter costs, and can fail. Where a limit has
// to hold across the loss of a server's data.
//
// # How it works
//
// A script holds each rule's events as a ring of 32-bit stamps in a string, finds
// where the window begins by a search, and answers from at most a few of them.
// The rings of one user have one hash tag, so that a cluster keeps them in one
// slot. Keys expire with their window.
//
// Calls that come while a pipeline is under way wait for the next, and go
// together. Goroutines run while pipelines do, and no longer.
//
// # Performance
//
// On a busy client the server's processor is what counts: a call is about the
// price of two or three plain commands. DESIGN.md has the figures. A window
// takes 4 bytes an event on the server, up to 32768, and 8 bytes for each of at
// most 256 steps above.
package ratelimitredis
