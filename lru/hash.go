package lru

import (
	"hash/maphash"
	"math/bits"
)

// hasher hashes keys with a secret of its own, so that nobody outside can choose
// keys that meet in one place.
type hasher[K comparable] struct {
	hash func(K) uint64
	kept bool // a hash costs more than the memory to keep a half of it
}

// newHasher chooses the hash for the type of K: multiplications for the most
// common integers and for strings of up to 16 bytes, which is faster by a
// third, and what Go's maps do for all others.
func newHasher[K comparable]() hasher[K] {
	seed := maphash.MakeSeed()
	h := hasher[K]{kept: true, hash: func(k K) uint64 { return maphash.Comparable(seed, k) }}
	a, b := maphash.Comparable(seed, 1), maphash.Comparable(seed, 2)
	for _, f := range []any{
		func(k int) uint64 { return mix(uint64(k), 0, a, b) },
		func(k int64) uint64 { return mix(uint64(k), 0, a, b) },
		func(k uint64) uint64 { return mix(k, 0, a, b) },
		func(k uint32) uint64 { return mix(uint64(k), 0, a, b) },
		func(k int32) uint64 { return mix(uint64(k), 0, a, b) },
	} {
		if f, ok := f.(func(K) uint64); ok {
			h = hasher[K]{hash: f}
		}
	}
	short := func(k string) uint64 {
		if len(k) > 16 {
			return maphash.String(seed, k)
		}
		x, y := words(k)
		return mix(x, y, a+uint64(len(k)), b)
	}
	if f, ok := any(short).(func(K) uint64); ok {
		h.hash = f
	}
	return h
}

// words returns the bytes of a string of at most 16, in a way that tells apart
// all strings of one length.
func words(s string) (x, y uint64) {
	switch n := len(s); {
	case n >= 8:
		return word(s), word(s[n-8:])
	case n >= 4:
		return uint64(half(s)), uint64(half(s[n-4:]))
	case n > 0:
		return uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16, 0
	}
	return 0, 0
}

func half(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// mix is two rounds of multiplication with both halves of the product kept, as
// in wyhash. After one round the high bits would still tell of the secret.
func mix(x, y, a, b uint64) uint64 {
	hi, lo := bits.Mul64(x^a, y^b|1)
	hi, lo = bits.Mul64(hi^b, lo^a)
	return hi ^ lo
}
