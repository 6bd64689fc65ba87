package stream

import "context"

// Map returns a Stream of f of each item.
func Map[A, B any](s Stream[A], f func(A) B) Stream[B] {
	if f == nil {
		return Fail[B](absent("Map", "f"))
	}
	return func(ctx context.Context, emit func(B) error) error {
		return s(ctx, func(v A) error { return emit(f(v)) })
	}
}

// MapErr is Map with a function that can fail, which ends the Stream with its
// error. f gets the ctx of the run, and is not called once that is done.
func MapErr[A, B any](s Stream[A], f func(context.Context, A) (B, error)) Stream[B] {
	if f == nil {
		return Fail[B](absent("MapErr", "f"))
	}
	return func(ctx context.Context, emit func(B) error) error {
		return s(ctx, func(v A) error {
			if ctx.Err() != nil {
				return ctxError(ctx)
			}
			out, err := f(ctx, v)
			if err != nil {
				return err
			}
			return emit(out)
		})
	}
}

// FlatMap returns a Stream of the items of f of the first item, then of those
// of f of the second, and so on. A nil Stream has none.
func FlatMap[A, B any](s Stream[A], f func(A) Stream[B]) Stream[B] {
	if f == nil {
		return Fail[B](absent("FlatMap", "f"))
	}
	return func(ctx context.Context, emit func(B) error) error {
		return s(ctx, func(v A) error {
			if items := f(v); items != nil {
				return items(ctx, emit)
			}
			return nil
		})
	}
}

// Scan returns a Stream of the results of folding: f(initial, first item),
// then f of that and the second, and so on.
func Scan[T, R any](s Stream[T], initial R, f func(R, T) R) Stream[R] {
	if f == nil {
		return Fail[R](absent("Scan", "f"))
	}
	return func(ctx context.Context, emit func(R) error) error {
		sum := initial
		return s(ctx, func(v T) error {
			sum = f(sum, v)
			return emit(sum)
		})
	}
}

// Window returns a Stream of slices of size consecutive items each, of which
// one begins at every step-th item. With step = size they do not overlap; with
// a greater one items are left out. A window that the end of s cuts short is
// not emitted; Batch is for that. Each slice is the receiver's to keep.
func Window[T any](s Stream[T], size, step int) Stream[[]T] {
	if err := atLeast("Window", "size", size, 1); err != nil {
		return Fail[[]T](err)
	}
	if err := atLeast("Window", "step", step, 1); err != nil {
		return Fail[[]T](err)
	}
	s = owned(s)
	return func(ctx context.Context, emit func([]T) error) error {
		var held []T // the last items that belong to a window to come
		skip := 0    // how many items to leave out first
		return s(ctx, func(v T) error {
			if skip > 0 {
				skip--
				return nil
			}
			if held = append(held, v); len(held) < size {
				return nil
			}
			full := held
			if held = nil; step < size {
				held = append(make([]T, 0, size), full[step:]...)
			} else {
				skip = step - size
			}
			return emit(full)
		})
	}
}

// Distinct returns a Stream without the items that were seen before among the
// last n different ones. The memory is that of n items.
func Distinct[T comparable](s Stream[T], n int) Stream[T] {
	return DistinctBy(s, n, func(v T) T { return v })
}

// DistinctBy is Distinct of items that are equal when key says the same of
// them.
func DistinctBy[T any, K comparable](s Stream[T], n int, key func(T) K) Stream[T] {
	if err := atLeast("DistinctBy", "n", n, 1); err != nil {
		return Fail[T](err)
	}
	if key == nil {
		return Fail[T](absent("DistinctBy", "key"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		seen := make(map[K]struct{})
		var order []K // the keys in seen, oldest at next once it is full
		next := 0
		return s(ctx, func(v T) error {
			k := key(v)
			if _, ok := seen[k]; ok {
				return nil
			}
			if len(order) < n {
				order = append(order, k)
			} else {
				delete(seen, order[next])
				order[next] = k
				next = (next + 1) % n
			}
			seen[k] = struct{}{}
			return emit(v)
		})
	}
}

// Filter returns a Stream of the items for which keep returns true.
func (s Stream[T]) Filter(keep func(T) bool) Stream[T] {
	if keep == nil {
		return Fail[T](absent("Filter", "keep"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		return s(ctx, func(v T) error {
			if !keep(v) {
				return nil
			}
			return emit(v)
		})
	}
}

// Take returns a Stream of the first n items. The source is stopped with the
// last of them: it is not asked for one more.
func (s Stream[T]) Take(n int) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		if n <= 0 {
			return nil
		}
		enough := new(stopError)
		left := n
		return unless(s(ctx, func(v T) error {
			if left == 0 {
				return enough
			}
			left--
			if err := emit(v); err != nil {
				return err
			}
			if left == 0 {
				return enough
			}
			return nil
		}), enough)
	}
}

// TakeWhile returns a Stream of the items before the first one for which
// wanted returns false.
func (s Stream[T]) TakeWhile(wanted func(T) bool) Stream[T] {
	if wanted == nil {
		return Fail[T](absent("TakeWhile", "wanted"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		enough := new(stopError)
		over := false
		return unless(s(ctx, func(v T) error {
			if over = over || !wanted(v); over {
				return enough
			}
			return emit(v)
		}), enough)
	}
}

// Skip returns a Stream without the first n items.
func (s Stream[T]) Skip(n int) Stream[T] {
	return func(ctx context.Context, emit func(T) error) error {
		left := n
		return s(ctx, func(v T) error {
			if left > 0 {
				left--
				return nil
			}
			return emit(v)
		})
	}
}

// SkipWhile returns a Stream that begins with the first item for which
// unwanted returns false.
func (s Stream[T]) SkipWhile(unwanted func(T) bool) Stream[T] {
	if unwanted == nil {
		return Fail[T](absent("SkipWhile", "unwanted"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		begun := false
		return s(ctx, func(v T) error {
			if begun = begun || !unwanted(v); !begun {
				return nil
			}
			return emit(v)
		})
	}
}

// Tap returns s with f called for each item before it is emitted.
func (s Stream[T]) Tap(f func(T)) Stream[T] {
	if f == nil {
		return Fail[T](absent("Tap", "f"))
	}
	return func(ctx context.Context, emit func(T) error) error {
		return s(ctx, func(v T) error {
			f(v)
			return emit(v)
		})
	}
}
