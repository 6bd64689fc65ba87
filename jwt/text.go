package jwt

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

var errNotUTF8 = errors.New("jwt: claims hold a string that is not UTF-8")

// appendText appends s as a JSON string, with what must be escaped escaped,
// names of members as well. On failure it returns dst as it was.
func appendText(dst []byte, s string) ([]byte, error) {
	plain, ascii := scanText(s)
	if !ascii && !utf8.ValidString(s) {
		return dst, errNotUTF8
	}
	dst = append(dst, '"')
	if !plain {
		return appendEscaped(dst, s), nil
	}
	return append(append(dst, s...), '"'), nil
}

// appendEscaped appends s with its escapes, and the closing quote.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c >= 0x20 {
			dst = append(dst, '\\', c)
			continue
		}
		const hex = "0123456789abcdef"
		dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return append(append(dst, s[from:]...), '"')
}

// scanText reports whether a text has nothing to escape, and whether it is ASCII.
func scanText(s string) (plain, ascii bool) {
	if len(s) < 8 {
		return scanShort(s)
	}
	last := word(s[len(s)-8:]) // overlaps what was looked at, which does no harm
	marks, high := special(last), last
	for ; len(s) > 8; s = s[8:] {
		x := word(s)
		marks |= special(x)
		high |= x
	}
	return marks == 0, high&tops == 0
}

func scanShort(s string) (plain, ascii bool) {
	plain, ascii = true, true
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == '"' || c == '\\' {
			plain = false
		}
		if c >= 0x80 {
			ascii = false
		}
	}
	return plain, ascii
}

// word returns the first eight bytes of s. The compiler makes one load of it.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// appendHTML appends s as encoding/json writes it, which escapes <, > and & as
// well. That is how strings in interfaces are written.
func appendHTML(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, errNotUTF8
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			b, err := json.Marshal(s)
			return append(dst, b...), err
		}
	}
	return append(append(append(dst, '"'), s...), '"'), nil
}

// appendFloat appends f, which has that many bits, as encoding/json does: in the
// shortest form, with an exponent where ECMAScript has one.
func appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		_, err := json.Marshal(f)
		return dst, err
	}
	tiny, huge := 1e-6, 1e21
	if bits == 32 {
		tiny, huge = float64(float32(tiny)), float64(float32(huge))
	}
	size := math.Abs(f)
	if f == 0 || size >= tiny && size < huge {
		return strconv.AppendFloat(dst, f, 'f', -1, bits), nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); dst[n-2] == '0' && dst[n-3] == '-' && dst[n-4] == 'e' { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}
