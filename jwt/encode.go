package jwt

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

var errNotUTF8 = errors.New("jwt: claims hold a string that is not UTF-8")

// appendClaims appends the payload: the registered claims as r has them, and of
// v, a struct or a map[string]any, all the others.
func (p *plan) appendClaims(dst []byte, r *registered, v reflect.Value) ([]byte, error) {
	dst, err := r.append(append(dst, '{'))
	if err != nil {
		return dst, err
	}
	if p.free {
		dst, err = appendFree(dst, v)
	} else {
		dst, err = appendMembers(dst, p.top.members[claims:], v)
	}
	if err != nil {
		return dst, err
	}
	return closed(dst, '}'), nil
}

// closed ends an object or array whose elements all end in a comma.
func closed(dst []byte, end byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst[last] = end
		return dst
	}
	return append(dst, end)
}

func (r *registered) append(dst []byte) ([]byte, error) {
	var err error
	for c, name := range claimNames {
		if !r.present(c) {
			continue
		}
		dst = append(append(append(dst, '"'), name...), `":`...)
		switch c {
		case claimAud:
			dst, err = appendAudience(dst, r.auds)
		case claimExp, claimNbf, claimIat, claimAuthTime:
			dst = strconv.AppendInt(dst, r.dates[c].Unix(), 10)
		default:
			dst, err = appendText(dst, r.texts[c])
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return dst, nil
}

func appendAudience(dst []byte, auds []string) ([]byte, error) {
	if len(auds) == 1 {
		return appendText(dst, auds[0])
	}
	dst = append(dst, '[')
	for _, a := range auds {
		var err error
		if dst, err = appendText(dst, a); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return closed(dst, ']'), nil
}

// own returns the registered claims that v has of its own, where it has them
// not empty.
func (p *plan) own(v reflect.Value) (registered, error) {
	var r registered
	for c := range claims {
		if p.free {
			x, ok := v.Interface().(map[string]any)[claimNames[c]]
			if ok && !r.takeAny(c, x) {
				return r, refuseClaim(ErrClaim, claimNames[c])
			}
		} else if index := p.top.members[c].index; index != nil {
			if f := field(v, index); !empty(f) {
				r.take(c, f)
			}
		}
	}
	return r, nil
}

func (r *registered) take(c int, f reflect.Value) {
	r.has |= 1 << c
	switch f.Kind() {
	case reflect.Slice:
		r.auds = f.Convert(reflect.TypeFor[[]string]()).Interface().([]string)
	case reflect.Int64:
		r.dates[c] = time.Unix(f.Int(), 0)
	default:
		r.texts[c] = f.String()
		if c == claimAud {
			r.auds = []string{f.String()}
		}
	}
}

// takeAny takes a value out of a map, and reports whether it has a type for
// claim c.
func (r *registered) takeAny(c int, x any) bool {
	v := reflect.ValueOf(x)
	switch n := x.(type) {
	case float64: // as it comes out of a token
		v = reflect.ValueOf(Date(n))
	case int:
		v = reflect.ValueOf(Date(n))
	case []any:
		auds := make([]string, len(n))
		for i := range n {
			var ok bool
			if auds[i], ok = n[i].(string); !ok {
				return false
			}
		}
		v = reflect.ValueOf(auds)
	}
	if x == nil || fits(c, v.Type()) != nil {
		return false
	}
	r.take(c, v)
	return true
}

// appendFree appends the members of a map that are no registered claims, in the
// order of their names.
func appendFree(dst []byte, v reflect.Value) ([]byte, error) {
	m := v.Interface().(map[string]any)
	names := make([]string, 0, len(m))
	for name := range m {
		if !slices.Contains(claimNames[:], name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		var err error
		if dst, err = appendText(dst, name); err != nil {
			return dst, err
		}
		if dst, err = appendOther(append(dst, ':'), m[name]); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return dst, nil
}

func appendMembers(dst []byte, members []member, v reflect.Value) ([]byte, error) {
	for i := range members {
		m := &members[i]
		f := field(v, m.index)
		if m.omit != nil && m.omit(f) {
			continue
		}
		var err error
		if dst, err = m.kind.write(append(dst, m.prefix...), f); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return dst, nil
}

func (p *structPlan) write(dst []byte, v reflect.Value) ([]byte, error) {
	dst, err := appendMembers(append(dst, '{'), p.members, v)
	if err != nil {
		return dst, err
	}
	return closed(dst, '}'), nil
}

func writeString(dst []byte, v reflect.Value) ([]byte, error) { return appendText(dst, v.String()) }

func writeBool(dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendBool(dst, v.Bool()), nil
}

func writeInt(dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendInt(dst, v.Int(), 10), nil
}

func writeUint(dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendUint(dst, v.Uint(), 10), nil
}

func (elem kind) writeList(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return append(dst, "null"...), nil
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		var err error
		if dst, err = elem.write(dst, v.Index(i)); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return closed(dst, ']'), nil
}

func (elem kind) writePointer(dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	return elem.write(dst, v.Elem())
}

func (elem kind) writeMap(dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	dst = append(dst, '{')
	for _, k := range keys {
		var err error
		if dst, err = appendText(dst, k.String()); err != nil {
			return dst, err
		}
		if dst, err = elem.write(append(dst, ':'), v.MapIndex(k)); err != nil {
			return dst, err
		}
		dst = append(dst, ',')
	}
	return closed(dst, '}'), nil
}

// writeOther leaves a value to encoding/json.
func writeOther(dst []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() && v.Kind() != reflect.Interface && v.Kind() != reflect.Pointer {
		return appendOther(dst, v.Addr().Interface())
	}
	return appendOther(dst, v.Interface())
}

func appendOther(dst []byte, x any) ([]byte, error) {
	b, err := json.Marshal(x)
	return append(dst, b...), err
}

// appendText appends s as a JSON string, with what must be escaped escaped,
// names of members as well.
func appendText(dst []byte, s string) ([]byte, error) {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	plain, ascii := scanText(dst[start:])
	if !ascii && !utf8.ValidString(s) {
		return dst[:start-1], errNotUTF8
	}
	if plain {
		return append(dst, '"'), nil
	}
	dst, from := dst[:start], 0
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
	return append(append(dst, s[from:]...), '"'), nil
}

// scanText reports whether a text has nothing to escape, and whether it is ASCII.
func scanText(b []byte) (plain, ascii bool) {
	var marks, high uint64
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		marks |= special(x)
		high |= x
	}
	for _, c := range b {
		high |= uint64(c)
		if c < 0x20 || c == '"' || c == '\\' {
			marks = 1
		}
	}
	return marks == 0, high&tops == 0
}
