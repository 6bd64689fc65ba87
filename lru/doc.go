// Package lru keeps the values that were used most recently, up to a number of
// entries or a sum of costs, for as long as they are good.
//
// # Usage
//
// A Cache is for many goroutines:
//
//	users := lru.MustNew(lru.Config[int, string]{Name: "users", Capacity: 10_000, TTL: time.Minute})
//
//	users.Set(1, "Ada")
//	name, ok := users.Get(1)
//
// GetOrLoad loads what is missing, once for all callers that want it at one
// time, and BulkLoad many keys by one call:
//
//	name, err := users.GetOrLoad(context.Background(), 2, fetchUser)
//
// Compute changes a value atomically. Add keeps what is there, Take hands a
// value over to the caller, Resize changes the capacity. All, Backward, Keys
// and Values iterate; Save and Load carry a cache over a restart.
//
// An LRU has the same methods for one goroutine at a time: it takes no lock and
// keeps the exact order of all entries. A Cache with Shards: 1 keeps the exact
// order, too; with more, each shard keeps its own.
//
// # Guarantees
//
//   - Never more entries than Capacity, nor more cost than MaxCost, not even
//     for an instant: room is made before an entry comes in.
//   - Each value that goes in comes out once: by Take, or by one call of
//     OnRemoved with the reason. A value that Set refuses stays the caller's.
//   - No function of the user runs under a lock: OnRemoved, Cost, loaders, the
//     function given to Compute and the bodies of loops may all use the cache.
//   - An entry that has expired is absent for every method, to the nanosecond.
//     Only Len and Cost count it until it is removed, which every Set helps
//     along.
//   - A key that is not equal to itself (a NaN, or something that holds one)
//     is refused, so it cannot fill the cache with what nobody finds. A key that
//     cannot be hashed panics, as in a map, and leaves the cache usable.
//   - What has left the cache is not held on to.
//   - No goroutine, unless you call Run. A cache may be a package variable, may be
//     dropped without being closed, and may be used in synctest bubbles.
//   - Operations on one key are linearizable.
//
// # Context
//
// Only GetOrLoad, BulkLoad and Run take a ctx. One that is done before the call
// is an error even for a hit: no loader is called. One that is done while its
// caller waits for another's load ends the wait at once. Errors match both
// ctx.Err() and context.Cause(ctx).
//
// A load runs on the goroutine of the first caller that wants its key. Its
// context has that caller's values, but ends only when the last caller that
// wants the result has left: to cancel one caller takes the load from nobody
// else. The price is that the first caller stays while others wait, though its
// own ctx be done. A loader's error comes back as it is; if the caller's ctx is
// done as well, it matches both.
//
// # When not to use it
//
// For what fits into memory and never expires a map with a mutex, or sync.Map,
// does. To share values between processes you need a server. A value that must
// not be lost does not belong into a cache, nor does one that must not be seen
// once it has changed elsewhere: a TTL bounds how old it is, nothing more. To
// reuse objects rather than find values, use a pool.
//
// Whole requests with scans among them, or more keys than room, do better with
// PolicyS3FIFO.
//
// # How it works
//
// Each shard is a few arrays: keys with their values and links between slot
// numbers, and an index. There are no pointers but those in your keys and values, so the garbage collector has nothing to follow
// for keys and values without any. Arrays for deadlines, costs and the like
// exist only where they are needed, and double up to Capacity as entries come.
//
// The index is a hash table whose groups are cache lines of twelve places: a byte
// of the hash for each, and the slot numbers. A look-up mostly costs that line
// and the line of the entry. An eviction finds the victim's place by its slot
// number and never compares keys.
//
// Time is read only for entries that have a TTL. They are removed when somebody
// comes upon them; in addition each Set looks at two slots, going round.
//
// PolicyLRU moves an entry to the front at each hit. PolicyS3FIFO counts uses
// in two bits, and moves nothing until it has to evict. How much of the cache is
// for new entries follows what comes back soon after it was evicted.
//
// DESIGN.md has the protocol of loads and the roads not taken.
//
// # Performance
//
// Get, Set, Delete and a hit of GetOrLoad do not allocate once the arrays have
// grown to Capacity, also when they evict, expire and call OnRemoved. A load that
// misses costs a handful of small allocations, Compute one.
//
// An entry takes 8 bytes for its links and 8 for the index beside its key and
// value: 32 bytes for an int key and a uint64 value, where a Go map takes 38. Keys
// other than plain integers add 4. A TTL adds 8, Sliding 8, a cost 8,
// PolicyS3FIFO 6 to 15. While the arrays grow it may be twice as much.
//
// A hit takes the lock of its shard, and so do hits of other keys in it. All
// callers of one hot key meet in one shard.
package lru
