package stream

import "context"

// An arena copies slices of bytes into blocks, so that to keep many short ones
// costs few allocations. A slice kept alive keeps its block alive.
type arena struct{ block []byte }

const (
	arenaBlock = 8 << 10
	arenaAlone = 1 << 10 // longer ones are allocated alone
)

func (a *arena) copy(p []byte) []byte {
	if p == nil {
		return nil
	}
	if len(p) > arenaAlone {
		return append(make([]byte, 0, len(p)), p...)
	}
	if cap(a.block)-len(a.block) < len(p) || a.block == nil {
		a.block = make([]byte, 0, arenaBlock)
	}
	from := len(a.block)
	a.block = append(a.block, p...)
	return a.block[from:len(a.block):len(a.block)]
}

// owned returns s with items that may be kept beyond emit: those of type
// []byte are copied, all others are as they are. Each stage and sink that keeps
// items begins with it.
func owned[T any](s Stream[T]) Stream[T] {
	if _, ok := any(s).(Stream[[]byte]); !ok {
		return s
	}
	return func(ctx context.Context, emit func(T) error) error {
		own := any(new(arena).copy).(func(T) T)
		return s(ctx, func(v T) error { return emit(own(v)) })
	}
}

// sizer returns the function that tells how many bytes an item has: its length
// if it is a []byte or a string. For others it returns nil.
func sizer[T any]() func(T) int {
	switch any(func(T) {}).(type) {
	case func([]byte):
		return any(func(p []byte) int { return len(p) }).(func(T) int)
	case func(string):
		return any(func(s string) int { return len(s) }).(func(T) int)
	default:
		return nil
	}
}
