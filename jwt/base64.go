package jwt

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// invalid marks bytes outside of the alphabet: no 6 bits have its top bit.
const invalid = 0x80

// sextets maps a character of base64url to its 6 bits.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = invalid
	}
	for i, c := range []byte(alphabet) {
		t[c] = byte(i)
	}
	return t
}()

// appendDecoded appends what src encodes. It takes canonical base64url alone:
// no padding, no line breaks (which encoding/base64 skips in every mode), no
// other alphabet, and no bits set that belong to no byte. So there is one
// encoding of each text.
func appendDecoded(dst, src []byte) ([]byte, bool) {
	if len(src)%4 == 1 {
		return dst, false
	}
	t := &sextets
	var bad byte
	for len(src) >= 8 {
		a, b, c, d := t[src[0]], t[src[1]], t[src[2]], t[src[3]]
		e, f, g, h := t[src[4]], t[src[5]], t[src[6]], t[src[7]]
		bad |= a | b | c | d | e | f | g | h
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d, e<<2|f>>4, f<<4|g>>2, g<<6|h)
		src = src[8:]
	}
	if len(src) >= 4 {
		a, b, c, d := t[src[0]], t[src[1]], t[src[2]], t[src[3]]
		bad |= a | b | c | d
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
		src = src[4:]
	}
	switch len(src) {
	case 2:
		a, b := t[src[0]], t[src[1]]
		bad |= a | b
		if b&0x0f != 0 {
			bad = invalid
		}
		dst = append(dst, a<<2|b>>4)
	case 3:
		a, b, c := t[src[0]], t[src[1]], t[src[2]]
		bad |= a | b | c
		if c&0x03 != 0 {
			bad = invalid
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2)
	}
	return dst, bad&invalid == 0
}

// pairs maps 12 bits to their two characters, the first in the lower byte. It
// takes 8 KiB, and half the time of a table of single ones.
var pairs = func() (t [1 << 12]uint16) {
	for i := range t {
		t[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return t
}()

// appendEncoded appends src encoded. Which parts of the table it looks at depends
// on src, so it is for what is no secret to this machine: signatures are encoded
// otherwise.
func appendEncoded(dst, src []byte) []byte {
	size := base64.RawURLEncoding.EncodedLen(len(src))
	dst = slices.Grow(dst, size+8) // the last step writes eight characters, whatever it has
	out := dst[len(dst) : len(dst)+size+8]
	for len(src) >= 8 && len(out) >= 8 {
		encode6(out, binary.BigEndian.Uint64(src))
		src, out = src[6:], out[8:]
	}
	for len(src) > 0 {
		var rest [8]byte
		n := copy(rest[:6], src)
		encode6(out, binary.BigEndian.Uint64(rest[:]))
		src, out = src[n:], out[8:]
	}
	return dst[:len(dst)+size]
}

// encode6 writes the upper six bytes of x as eight characters.
func encode6(out []byte, x uint64) {
	t := &pairs
	binary.LittleEndian.PutUint64(out,
		uint64(t[x>>52])|uint64(t[x>>40&0xfff])<<16|uint64(t[x>>28&0xfff])<<32|uint64(t[x>>16&0xfff])<<48)
}
