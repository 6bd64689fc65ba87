package lru

import (
	"hash/maphash"
	"math/bits"
)

// hasher hashes keys with a secret of its own, so that nobody outside can choose
// keys that meet in one place.
type hasher[K comparable] struct {
	seed maphash.Seed
	fast func(K) uint64 // for strings and the most common integers; nil for other keys
	kept bool           // a hash costs more than the memory to keep a half of it
}

func newHasher[K comparable]() hasher[K] {
	seed := maphash.MakeSeed()
	h := hasher[K]{seed: seed, kept: true}
	a, b := maphash.Comparable(seed, 1), maphash.Comparable(seed, 2)
	for _, f := range []any{
		func(k int) uint64 { return mix(uint64(k), a, b) },
		func(k int64) uint64 { return mix(uint64(k), a, b) },
		func(k uint64) uint64 { return mix(k, a, b) },
		func(k uint32) uint64 { return mix(uint64(k), a, b) },
		func(k int32) uint64 { return mix(uint64(k), a, b) },
	} {
		if f, ok := f.(func(K) uint64); ok {
			h.fast, h.kept = f, false
		}
	}
	if f, ok := any(func(k string) uint64 { return maphash.String(seed, k) }).(func(K) uint64); ok {
		h.fast = f
	}
	return h
}

func (h *hasher[K]) hash(key K) uint64 {
	if h.fast != nil {
		return h.fast(key)
	}
	return maphash.Comparable(h.seed, key)
}

// mix is two rounds of multiplication with both halves of the product kept, as
// in wyhash. After one round the high bits would still tell of the secret.
func mix(x, a, b uint64) uint64 {
	hi, lo := bits.Mul64(x^a, b|1)
	hi, lo = bits.Mul64(hi^b, lo^a)
	return hi ^ lo
}
