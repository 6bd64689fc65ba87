package jwt

import "encoding/base64"

// invalid marks bytes outside of the alphabet: no 6 bits have its top bit.
const invalid = 0x80

// sextets maps a character of base64url to its 6 bits.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = invalid
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
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

func appendEncoded(dst, src []byte) []byte { return base64.RawURLEncoding.AppendEncode(dst, src) }
