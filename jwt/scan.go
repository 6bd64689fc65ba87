package jwt

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays may nest, the outermost counted.
const maxDepth = 32

// What is wrong with a JSON text.
var (
	errSyntax    = errors.New("jwt: JSON syntax")
	errUTF8      = errors.New("jwt: invalid UTF-8 or a lone surrogate")
	errControl   = errors.New("jwt: control character in a string")
	errDuplicate = errors.New("jwt: duplicate name")
	errDepth     = errors.New("jwt: nested deeper than 32")
	errTrailing  = errors.New("jwt: data after the object")
	errMismatch  = errors.New("jwt: value does not fit the type")
)

// decoder reads one JSON text (RFC 8259) strictly, from left to right and once:
// valid UTF-8, no lone surrogates, no name twice in an object by its unescaped
// value, bounded depth. What it does not need it checks just as well.
//
// b and s hold the same bytes: b to look at, s to cut strings from without
// copying them.
type decoder struct {
	b     []byte
	s     string
	i     int
	depth int
	names []string // names seen in the objects that are open, outermost first
	claim string   // name of the outermost member that is read, for the error
	reg   registered
}

// begin makes the decoder ready for the text in b. It copies b once.
func (d *decoder) begin(b []byte) error {
	*d = decoder{b: b, names: d.names[:0], reg: registered{auds: d.reg.auds[:0]}}
	if !utf8.Valid(b) {
		return errUTF8
	}
	d.s = string(b)
	return nil
}

// end lets go of all strings, so that a pooled decoder keeps no token alive.
func (d *decoder) end() {
	names, auds := d.names[:cap(d.names)], d.reg.auds[:cap(d.reg.auds)]
	clear(names)
	clear(auds)
	*d = decoder{names: names[:0], reg: registered{auds: auds[:0]}}
}

// finish requires that nothing but white space is left.
func (d *decoder) finish() error {
	d.space()
	if d.i < len(d.b) {
		return errTrailing
	}
	return nil
}

func (d *decoder) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\n', '\r', '\t':
			d.i++
		default:
			return
		}
	}
}

// peek returns the byte at which a value begins, or 0 at the end. It is no
// proof of anything.
func (d *decoder) peek() byte {
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

// open enters an object or array that begins with c.
func (d *decoder) open(c byte) error {
	if d.peek() != c {
		return errMismatch
	}
	if d.depth == maxDepth {
		return errDepth
	}
	d.depth++
	d.i++
	return nil
}

// more steps to the next element of the object or array that ends with end,
// and reports whether there is one. If not, it has left it.
func (d *decoder) more(end byte, first bool) (bool, error) {
	d.space()
	switch c := d.peek(); {
	case c == end:
		d.i++
		d.depth--
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, errSyntax
	}
	d.i++
	d.space()
	return true, nil
}

// name reads the name of a member and the colon after it.
func (d *decoder) name() (string, error) {
	if d.peek() != '"' {
		return "", errSyntax
	}
	name, err := d.text()
	if err != nil {
		return "", err
	}
	d.space()
	if d.peek() != ':' {
		return "", errSyntax
	}
	d.i++
	d.space()
	return name, nil
}

// scope holds the names of one open object, all of d.names from base on. Many
// of them get an index.
type scope struct {
	base  int
	index map[string]struct{}
}

// once refuses a name that the object had before.
func (d *decoder) once(sc *scope, name string) error {
	const linear = 16
	if sc.index != nil {
		if _, ok := sc.index[name]; ok {
			return errDuplicate
		}
		sc.index[name] = struct{}{}
		return nil
	}
	if slices.Contains(d.names[sc.base:], name) {
		return errDuplicate
	}
	d.names = append(d.names, name)
	if seen := d.names[sc.base:]; len(seen) > linear {
		sc.index = make(map[string]struct{}, 4*linear)
		for _, n := range seen {
			sc.index[n] = struct{}{}
		}
	}
	return nil
}

// leave forgets the names of an object.
func (d *decoder) leave(sc *scope) { d.names = d.names[:sc.base] }

// skip reads a value of any kind and drops it.
func (d *decoder) skip() error {
	switch c := d.peek(); c {
	case '"':
		_, err := d.text()
		return err
	case '{':
		return d.skipObject()
	case '[':
		if err := d.open('['); err != nil {
			return err
		}
		for first := true; ; first = false {
			if ok, err := d.more(']', first); !ok {
				return err
			}
			if err := d.skip(); err != nil {
				return err
			}
		}
	case 't':
		return d.word("true")
	case 'f':
		return d.word("false")
	case 'n':
		return d.word("null")
	default:
		_, err := d.number()
		return err
	}
}

func (d *decoder) skipObject() error {
	if err := d.open('{'); err != nil {
		return err
	}
	sc := scope{base: len(d.names)}
	defer d.leave(&sc)
	for first := true; ; first = false {
		if ok, err := d.more('}', first); !ok {
			return err
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		if err := d.once(&sc, name); err != nil {
			return err
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
}

// word reads the literal w.
func (d *decoder) word(w string) error {
	if len(d.s)-d.i < len(w) || d.s[d.i:d.i+len(w)] != w {
		return errSyntax
	}
	d.i += len(w)
	return nil
}

// null reads null if the value begins like it.
func (d *decoder) null() (bool, error) {
	if d.peek() != 'n' {
		return false, nil
	}
	return true, d.word("null")
}

// number reads a number and returns it as it is written.
func (d *decoder) number() (string, error) {
	b, i := d.b, d.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = digits(b, i)
	default:
		return "", errSyntax
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return "", errSyntax
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = digits(b, from); i == from {
			return "", errSyntax
		}
	}
	n := d.s[d.i:i]
	d.i = i
	return n, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// special has the top bit of each byte of x set that is a quote, a backslash or
// a control character. Bytes above the lowest of them may be marked wrongly.
func special(x uint64) uint64 {
	quote, slash := x^ones*'"', x^ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x) & tops
}

// text reads a string, whose quote is at d.i, and returns its value.
func (d *decoder) text() (string, error) {
	b, i := d.b, d.i+1
	start := i
	for {
		if i+8 <= len(b) {
			m := special(binary.LittleEndian.Uint64(b[i:]))
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		if i >= len(b) {
			return "", errSyntax
		}
		switch c := b[i]; {
		case c == '"':
			d.i = i + 1
			return d.s[start:i], nil
		case c == '\\':
			return d.escaped(start, i)
		case c < 0x20:
			return "", errControl
		}
		i++
	}
}

// escaped goes on with a string that began at start, at its first backslash.
func (d *decoder) escaped(start, i int) (string, error) {
	b := d.b
	out := make([]byte, 0, i-start+16)
	out = append(out, b[start:i]...)
	for i < len(b) {
		c := b[i]
		switch {
		case c == '"':
			d.i = i + 1
			return string(out), nil
		case c < 0x20:
			return "", errControl
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(b) {
			return "", errSyntax
		}
		i += 2
		switch c := b[i-1]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, next, err := d.codepoint(i)
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			i = next
		default:
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// codepoint reads what follows \u at i, and the second half of a pair of
// surrogates.
func (d *decoder) codepoint(i int) (rune, int, error) {
	high, ok := d.hex(i)
	if !ok {
		return 0, 0, errSyntax
	}
	i += 4
	if high < 0xd800 || high > 0xdfff {
		return high, i, nil
	}
	if high > 0xdbff || i+6 > len(d.b) || d.s[i:i+2] != `\u` {
		return 0, 0, errUTF8
	}
	low, ok := d.hex(i + 2)
	if !ok {
		return 0, 0, errSyntax
	}
	if low < 0xdc00 || low > 0xdfff {
		return 0, 0, errUTF8
	}
	return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00), i + 6, nil
}

func (d *decoder) hex(i int) (rune, bool) {
	if i+4 > len(d.b) {
		return 0, false
	}
	for _, c := range d.b[i : i+4] {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0, false // ParseUint would take a sign or an underscore
		}
	}
	n, err := strconv.ParseUint(d.s[i:i+4], 16, 16)
	return rune(n), err == nil
}
