package stream

import (
	"context"
	"iter"
)

// Concat returns a Stream of the items of the first stream, then of those of
// the second, and so on. One begins when the one before it has ended.
func Concat[T any](streams ...Stream[T]) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		for _, s := range streams {
			if err := s(ctx, emit); err != nil {
				return err
			}
		}
		return nil
	}
}

// Zip returns a Stream of f of the first items of a and b, then of their
// second ones, and so on until either ends: b is asked for an item only when a
// has given one. Stages of b run as a coroutine, with a switch of some 100 ns
// an item.
func Zip[A, B, C any](a Stream[A], b Stream[B], f func(A, B) C) Stream[C] {
	if f == nil {
		return Fail[C](absent("Zip", "f"))
	}
	return func(ctx context.Context, emit func(C) error) error {
		next, stop := iter.Pull2(b.All(ctx))
		defer stop()
		end := new(stopError)
		return unless(a(ctx, func(x A) error {
			y, err, ok := next()
			if !ok {
				return end
			}
			if err != nil {
				return err
			}
			return emit(f(x, y))
		}), end)
	}
}

// A Group is consecutive or scattered items with the same key.
type Group[K comparable, T any] struct {
	Key   K   // what the items have in common
	Items []T // in the order in which they came
}

// GroupBy returns a Stream of items brought together by key. A group is
// emitted when it has size items; when a further key would make more than
// keys groups at a time, the oldest one is; and the rest at the end of s or
// before its failure, oldest first. The memory is that of size × keys items,
// which should be limits that are not reached if groups must be whole. With
// keys = 1 the groups are the runs of items with equal keys.
func GroupBy[T any, K comparable](s Stream[T], size, keys int, key func(T) K) Stream[Group[K, T]] {
	if err := atLeast("GroupBy", "size", size, 1); err != nil {
		return Fail[Group[K, T]](err)
	}
	if err := atLeast("GroupBy", "keys", keys, 1); err != nil {
		return Fail[Group[K, T]](err)
	}
	if key == nil {
		return Fail[Group[K, T]](absent("GroupBy", "key"))
	}
	s = owned(s)
	return func(ctx context.Context, emit func(Group[K, T]) error) error {
		g := groups[K, T]{open: make(map[K]*group[K, T])}
		failed := false
		out := func(group *group[K, T]) error {
			err := emit(g.remove(group))
			failed = err != nil
			return err
		}
		err := s(ctx, func(v T) error {
			k := key(v)
			at := g.open[k]
			if at == nil {
				if len(g.open) == keys {
					if err := out(g.oldest); err != nil {
						return err
					}
				}
				at = g.add(k)
			}
			if at.Items = append(at.Items, v); len(at.Items) == size {
				return out(at)
			}
			return nil
		})
		for !failed && g.oldest != nil && ctx.Err() == nil {
			if ferr := out(g.oldest); ferr != nil {
				return ferr
			}
		}
		return err
	}
}

// groups are the groups not yet emitted: by key, and in a list from the oldest
// to the newest.
type groups[K comparable, T any] struct {
	open           map[K]*group[K, T]
	oldest, newest *group[K, T]
}

type group[K comparable, T any] struct {
	Group[K, T]
	older, newer *group[K, T]
}

func (g *groups[K, T]) add(key K) *group[K, T] {
	at := &group[K, T]{Group: Group[K, T]{Key: key}, older: g.newest}
	if g.newest == nil {
		g.oldest = at
	} else {
		g.newest.newer = at
	}
	g.newest = at
	g.open[key] = at
	return at
}

func (g *groups[K, T]) remove(at *group[K, T]) Group[K, T] {
	if at.older == nil {
		g.oldest = at.newer
	} else {
		at.older.newer = at.newer
	}
	if at.newer == nil {
		g.newest = at.older
	} else {
		at.newer.older = at.older
	}
	delete(g.open, at.Key)
	return at.Group
}
