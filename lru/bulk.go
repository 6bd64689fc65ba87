package lru

import (
	"context"
	"errors"
	"fmt"
)

// BulkLoad returns the values of keys. For those without one it calls load
// once, with all of them, and stores what that returns. Keys that another
// caller loads already are waited for instead. A key that load leaves out of
// its result has no value: it is left out of BulkLoad's as well, and is treated
// as if a loader had returned ErrNotFound. What load returns beyond its keys is
// ignored.
//
// If load fails, BulkLoad returns what values there are, and the error as it
// is. Everything else is as for GetOrLoad. Entries are not refreshed ahead.
func (c *Cache[K, V]) BulkLoad(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (map[K]V, error) {
	if load == nil {
		panic("lru: load is nil")
	}
	if ctx.Err() != nil {
		return nil, ctxError(ctx)
	}
	b := bulk[K, V]{c: c, out: make(map[K]V, len(keys)), call: new(call)}
	b.sort(keys)
	err := b.run(ctx, load)
	if waitErr := b.wait(ctx); err == nil {
		err = waitErr
	}
	return b.out, err
}

// bulk is the state of one BulkLoad.
type bulk[K comparable, V any] struct {
	c    *Cache[K, V]
	out  map[K]V
	call *call

	mine    []K // to be loaded here, with the flights of them
	flights []*flight[V]
	theirs  []K // loaded by others, with the flights of them
	joined  []*flight[V]
}

// sort finds out which keys have values and who loads the others.
func (b *bulk[K, V]) sort(keys []K) {
	// All hashes first: a key that cannot be hashed panics here, when there is
	// no flight yet that others could wait for in vain.
	seen := make(map[K]bool, len(keys))
	var hashes []uint64
	var wanted []K
	for _, key := range keys {
		hash := b.c.hash(key)
		if same(key, key) && !seen[key] {
			seen[key] = true
			hashes, wanted = append(hashes, hash), append(wanted, key)
		}
	}
	for i, key := range wanted {
		s := b.c.shard(hashes[i])
		s.mu.Lock()
		switch slot, found := s.look(hashes[i], key); found {
		case present, due:
			b.out[key] = s.nodes[slot].value
		case absent:
			if f := s.flights[key]; f != nil && !b.c.single && f.call.join() {
				b.theirs, b.joined = append(b.theirs, key), append(b.joined, f)
			} else {
				b.mine, b.flights = append(b.mine, key), append(b.flights, s.begin(key, b.call))
			}
		case negative:
		}
		s.unlock()
	}
}

// run loads the keys that are this caller's to load.
func (b *bulk[K, V]) run(ctx context.Context, load func(context.Context, []K) (map[K]V, error)) (err error) {
	if len(b.mine) == 0 {
		return nil
	}
	loadCtx, end := b.call.embark(ctx)
	defer end()
	var values map[K]V
	costs := make([]int64, len(b.mine))
	err = ErrAborted // unless load returns
	defer func() { b.land(ctx, values, costs, &err) }()
	values, err = load(loadCtx, append([]K(nil), b.mine...))
	if err == nil && b.c.cfg.Cost != nil {
		err = ErrAborted // unless Cost returns
		for i, key := range b.mine {
			if value, ok := values[key]; ok {
				costs[i] = b.c.cost(key, value)
			}
		}
		err = nil
	}
	return err
}

// land hands over the outcome of each key.
func (b *bulk[K, V]) land(ctx context.Context, values map[K]V, costs []int64, err *error) {
	failed, covered := *err, 0
	for i, key := range b.mine {
		f := b.flights[i]
		value, ok := values[key]
		switch {
		case failed != nil:
			f.err = failed
		case ok:
			f.value = value
		default:
			f.err = ErrNotFound
		}
		hash := b.c.hash(key)
		s := b.c.shard(hash)
		s.mu.Lock()
		if i == 0 {
			s.loads++
		}
		b.c.landLocked(s, hash, key, f, costs[i])
		s.mu.Unlock() // the events come below: OnRemoved may panic, and all must land
		if f.err == nil {
			b.out[key] = f.value
			covered++
		}
	}
	defer b.tell()
	if failed == nil {
		return
	}
	if covered == len(b.mine) { // stale values stood in for all
		*err = nil
	}
	if ctx.Err() != nil && *err != nil {
		*err = fmt.Errorf("%w: %w", ctxError(ctx), failed)
	}
}

// tell delivers the events of the shards that were written.
func (b *bulk[K, V]) tell() {
	for _, key := range b.mine {
		s := b.c.shard(b.c.hash(key))
		s.mu.Lock()
		s.unlock()
	}
}

// wait collects what others load.
func (b *bulk[K, V]) wait(ctx context.Context) (err error) {
	for i, f := range b.joined {
		value, failed := f.wait(ctx)
		switch {
		case failed == nil:
			b.out[b.theirs[i]] = value
		case errors.Is(failed, ErrNotFound):
		case err == nil:
			err = failed
		}
	}
	return err
}
