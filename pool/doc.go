// Package pool keeps resources that are expensive to make (connections, as a
// rule), and lends each to one caller at a time: no more of them than a server
// allows, ready when they are needed, replaced when they break or age.
//
// # Usage
//
// Say how a resource is made, how many there may be, and run calls with one:
//
//	conns := pool.MustNew(pool.Config[net.Conn]{
//		Name:    "cache",
//		Create:  func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
//		Destroy: net.Conn.Close,
//		Max:     20,
//	})
//	defer conns.Close()
//
//	err := conns.With(ctx, func(ctx context.Context, c net.Conn) error {
//		_, err := c.Write(request)
//		return err
//	})
//
// Use returns a value as well. Acquire and TryAcquire are for code that is not
// one function; their Lease gives the resource back:
//
//	l, err := conns.Acquire(ctx)
//	if err != nil {
//		return err
//	}
//	defer l.Release()
//	c := l.Value()
//
// Discard ends a resource that is broken, Detach takes one out of the pool for
// good. Check, Reset and IsBroken in Config keep broken ones from being handed
// on. Warm fills the pool at start-up and reports what went wrong, Health is for
// a readiness probe, Resize, Reset and Evict are for operators, and Drain for
// the end. Package poolpgx has all of it set up for PostgreSQL.
//
// # Guarantees
//
//   - A resource has one holder at a time. A Lease ends once: released twice,
//     used late or copied, it answers ErrReleased, and never touches whoever has
//     the resource by then.
//   - Never more than Max resources exist, not even for an instant, those counted
//     that are being created and destroyed. Only after Resize has shrunk Max
//     under leases are there more, and a Destroy that takes longer than
//     CloseTimeout is no longer counted.
//   - First come, first served. A waiter gets whichever comes first, a resource
//     that is released or one that is created, and is never handed one after it
//     has left.
//   - Callers do not dial. Creations are started as demand asks, few at first and
//     more while it lasts, and what comes of one goes to whoever is first in
//     line. While the server is down there is one attempt at a time, with pauses
//     that grow; callers get its error at once unless a resource lives.
//   - Nobody waits for ever: AcquireTimeout bounds every wait, MaxWaiting the
//     line, and Close ends all waits at once.
//   - An error says what was going on: how long the caller waited, how many are in
//     use, held by whom and for how long, why the last attempt to create failed.
//   - One goroutine stays, from the first use to Close. Others run Create, Check
//     and Destroy, and end with them. Close returns when all have ended, or
//     after CloseTimeout with an error that says so.
//
// # Context
//
// A ctx that is done before the call is an error although resources are idle:
// nothing is created, and fn is not called. One that is done while its caller
// waits ends the wait at once; the place in line is given up, and a resource
// that was just granted goes to the next. The error matches both ctx.Err() and
// context.Cause(ctx). When a deadline has passed while the caller waited, it is an
// *AcquireError that does so.
//
// Creations, checks and keep-alives belong to the pool: their ctx is not the
// caller's, carries none of its values, and ends after CreateTimeout or
// CheckTimeout, or with Close. A caller that leaves breaks off nothing. fn's
// ctx is the caller's, or derives from it if RefuseNested is set.
//
// Drain and Close do not cancel calls that hold a resource.
//
// # When not to use it
//
// For buffers and other memory use sync.Pool, which the garbage collector may
// empty; nothing bounds it, and nothing has to be closed. database/sql and
// pgxpool have a pool of their own that knows their protocol. A client that
// multiplexes (HTTP/2, gRPC, most of NATS) needs one connection. To bound how many
// calls run, without resources, use a bulkhead.
//
// A caller that holds one resource and waits for another can wait for ever with
// others that do the same. n callers that need k each are safe from Max =
// n×(k-1)+1 on; RefuseNested finds them.
//
// # How it works
//
// One mutex guards a stack of idle resources and a queue of waiters, each linked
// through its members, so that to acquire, release, leave and destroy take a
// constant number of steps. A Lease is a value, the place of its resource and the
// number of the lease; ending it moves that number on.
//
// The clock is not read by those who find a resource: a janitor moves a coarse
// one while the pool is busy, every 100 ms, or eight times in the shortest of the
// ages in Config if that is less. In a pool that is used seldom each call reads
// the real one, and the janitor sleeps until something is due.
//
// DESIGN.md has who may see what in between, and the roads not taken.
//
// # Performance
//
// Acquire with Release of an idle resource costs two uncontended locks and no
// allocation, about 40 ns, a quarter of what puddle takes. A Check happens
// once for each resource that was idle for CheckAfter, on a goroutine of its own. A
// caller that waits costs two readings of the clock, and no allocation in the
// steady state. LeakAfter costs each acquire an allocation and about 1 µs,
// ReclaimLeaked four and half as much, Reset one and 150 ns, RefuseNested one for each
// With. A resource costs about 170 bytes beside itself. DESIGN.md has
// measurements.
package pool
