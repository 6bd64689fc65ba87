package jwt

import (
	"crypto/subtle"
	"hash/maphash"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
)

// cache remembers tokens whose signature held. It has a fixed number of places;
// a token has two that it may be in, and one that enters takes the first or the
// second from whoever is there. An entry is immutable, so a place is one atomic
// pointer, and nothing is locked.
//
// An entry knows the ring of keys with which it was verified: after any change
// of the keys it is none.
type cache[T any] struct {
	seed maphash.Seed
	mask uint64

	// places are written by whoever verifies a token that is in none.
	places []atomic.Pointer[entry[T]]
}

type entry[T any] struct {
	input     string // header and payload, with the dot between them
	signature [sigLen]byte
	ring      *ring
	at        int // the key, in the ring
	typ       string
	reg       registered
	claims    T      // if copies of it share nothing that can be changed
	payload   string // if they do: read again for each caller
}

func makeCache[T any](n int) *cache[T] {
	size := 1 << bits.Len(uint(n-1))
	return &cache[T]{maphash.MakeSeed(), uint64(size - 1), make([]atomic.Pointer[entry[T]], size)}
}

// pair returns the two places of a token.
func (c *cache[T]) pair(tok []byte) (first, second *atomic.Pointer[entry[T]]) {
	h := maphash.Bytes(c.seed, tok)
	return &c.places[h&c.mask], &c.places[h>>32&c.mask]
}

// get returns the entry of tok, or nil. A signature that is not the one of the
// entry makes tok another token, which is verified as any other.
func (c *cache[T]) get(tok []byte, keys *ring) *entry[T] {
	if len(tok) <= sigLen {
		return nil
	}
	input, signature := tok[:len(tok)-sigLen-1], tok[len(tok)-sigLen:]
	first, second := c.pair(tok)
	for _, place := range [...]*atomic.Pointer[entry[T]]{first, second} {
		e := place.Load()
		if e != nil && e.ring == keys && e.input == string(input) && tok[len(input)] == '.' &&
			subtle.ConstantTimeCompare(e.signature[:], signature) == 1 {
			return e
		}
	}
	return nil
}

// put remembers that tok was verified, with what s and claims have of it.
func (c *cache[T]) put(tok []byte, keys *ring, at int, typ string, s *scratch, claims *T, shared bool) {
	e := &entry[T]{input: string(tok[:len(tok)-sigLen-1]), ring: keys, at: at, typ: strings.Clone(typ), reg: s.reg}
	copy(e.signature[:], tok[len(tok)-sigLen:])
	e.reg.auds = slices.Clone(s.reg.auds)
	if shared {
		e.payload = s.s
	} else {
		e.claims = *claims
	}
	first, second := c.pair(tok)
	if old := first.Load(); old != nil && old.ring == keys {
		first = second
	}
	first.Store(e)
}

// recall gives the claims of e to a caller, who may change them.
func (v *Verifier[T]) recall(s *scratch, e *entry[T], claims *T) error {
	if v.plan.shared {
		s.buf = append(s.buf[:0], e.payload...)
		return v.read(s, claims)
	}
	*claims = e.claims
	if index := v.plan.top.members[claimAud].index; index != nil {
		if f := field(reflect.ValueOf(claims).Elem(), index); f.Kind() == reflect.Slice && !f.IsNil() {
			setAudience(f, e.reg.auds)
		}
	}
	return nil
}
