package jwt

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// writer carries what writing has to know beside the text. It bounds both ways
// in which claims that refer to themselves, or to one thing many times, would
// never end: depth, which is that of the decoder, and length.
type writer struct {
	depth   int      // of the object or array that is open, the outermost counted
	limit   int      // of the text, in bytes
	left    int      // how much more of a value measure looks at
	names   []string // room in which names are sorted
	decoder decoder  // looks at what other code has written
}

// enter begins an object or an array.
func (w *writer) enter(dst []byte, begin byte) ([]byte, error) {
	if w.depth == maxDepth {
		return dst, errDepth
	}
	w.depth++
	return append(dst, begin), nil
}

// next ends an element.
func (w *writer) next(dst []byte) ([]byte, error) {
	if len(dst) > w.limit {
		return dst, ErrTooLarge
	}
	return append(dst, ','), nil
}

// leave ends an object or array whose elements all end in a comma.
func (w *writer) leave(dst []byte, end byte) []byte {
	w.depth--
	return closed(dst, end)
}

func closed(dst []byte, end byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst[last] = end
		return dst
	}
	return append(dst, end)
}

// appendClaims appends the payload: the registered claims as s has them, and of
// v, a struct or a map[string]any, all the others.
func (p *plan) appendClaims(w *writer, dst []byte, s *stamp, v reflect.Value) ([]byte, error) {
	w.depth, w.names = 1, w.names[:0]
	dst, err := s.append(append(dst, '{'))
	if err != nil {
		return dst, err
	}
	if p.free {
		dst, err = w.appendFree(dst, v.Interface().(map[string]any))
	} else {
		dst, err = appendMembers(w, dst, p.top.members[claims:], v)
	}
	if err != nil {
		return dst, err
	}
	return w.leave(dst, '}'), nil
}

// appendFree appends the members of a map that are no registered claims, in the
// order of their names.
func (w *writer) appendFree(dst []byte, m map[string]any) ([]byte, error) {
	for name := range m {
		if !slices.Contains(claimNames[:], name) {
			w.names = append(w.names, name)
		}
	}
	slices.Sort(w.names)
	for i := range len(w.names) {
		name := w.names[i]
		var err error
		if dst, err = appendText(dst, name); err != nil {
			return dst, err
		}
		if dst, err = w.any(append(dst, ':'), m[name]); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendMembers(w *writer, dst []byte, members []member, v reflect.Value) ([]byte, error) {
	for i := range members {
		m := &members[i]
		f := field(v, m.index)
		if m.omit != nil && m.omit(f) {
			continue
		}
		var err error
		if dst, err = m.kind.write(w, append(dst, m.prefix...), f); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (p *structPlan) write(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	dst, err := w.enter(dst, '{')
	if err != nil {
		return dst, err
	}
	if dst, err = appendMembers(w, dst, p.members, v); err != nil {
		return dst, err
	}
	return w.leave(dst, '}'), nil
}

func writeString(_ *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return appendText(dst, v.String())
}

func writeBool(_ *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendBool(dst, v.Bool()), nil
}

func writeInt(_ *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendInt(dst, v.Int(), 10), nil
}

func writeUint(_ *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return strconv.AppendUint(dst, v.Uint(), 10), nil
}

func writeFloat(_ *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return appendFloat(dst, v.Float(), v.Type().Bits())
}

// writeTime is what time.Time's MarshalJSON writes, without its allocations.
func writeTime(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if !v.CanAddr() {
		return writeOther(w, dst, v)
	}
	out, err := v.Addr().Interface().(*time.Time).AppendText(append(dst, '"'))
	if err != nil {
		return dst, err
	}
	return append(out, '"'), nil
}

func (elem kind) writeList(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return append(dst, "null"...), nil
	}
	dst, err := w.enter(dst, '[')
	if err != nil {
		return dst, err
	}
	for i := range v.Len() {
		if dst, err = elem.write(w, dst, v.Index(i)); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return w.leave(dst, ']'), nil
}

// writeStrings is writeList for the commonest of them.
func writeStrings(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if !v.CanAddr() {
		return kind{write: writeString}.writeList(w, dst, v)
	}
	return w.strings(dst, *v.Addr().Interface().(*[]string), appendText)
}

func (w *writer) strings(dst []byte, list []string, text func([]byte, string) ([]byte, error)) ([]byte, error) {
	if list == nil {
		return append(dst, "null"...), nil
	}
	dst, err := w.enter(dst, '[')
	if err != nil {
		return dst, err
	}
	for _, s := range list {
		if dst, err = text(dst, s); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return w.leave(dst, ']'), nil
}

func (elem kind) writePointer(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	return elem.write(w, dst, v.Elem())
}

func (elem kind) writeMap(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	dst, err := w.enter(dst, '{')
	if err != nil {
		return dst, err
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	for _, k := range keys {
		if dst, err = appendText(dst, k.String()); err != nil {
			return dst, err
		}
		if dst, err = elem.write(w, append(dst, ':'), v.MapIndex(k)); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return w.leave(dst, '}'), nil
}

// writeStringMap is writeMap for the commonest of them.
func writeStringMap(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return writeSorted(w, dst, v.Interface().(map[string]string), appendText, appendText)
}

// writeSorted writes m in the order of its names.
func writeSorted[V any](w *writer, dst []byte, m map[string]V, text func([]byte, string) ([]byte, error), value func([]byte, V) ([]byte, error)) ([]byte, error) {
	if m == nil {
		return append(dst, "null"...), nil
	}
	dst, err := w.enter(dst, '{')
	if err != nil {
		return dst, err
	}
	base := len(w.names) // the maps around this one have theirs before it
	for name := range m {
		w.names = append(w.names, name)
	}
	end := len(w.names)
	slices.Sort(w.names[base:])
	for i := base; i < end; i++ {
		name := w.names[i]
		if dst, err = text(dst, name); err != nil {
			return dst, err
		}
		if dst, err = value(append(dst, ':'), m[name]); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	w.names = w.names[:base]
	return w.leave(dst, '}'), nil
}

func writeInterface(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	return w.any(dst, v.Interface())
}

// any writes what is in an interface, to the byte as encoding/json does.
func (w *writer) any(dst []byte, x any) ([]byte, error) {
	switch x := x.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return appendHTML(dst, x)
	case bool:
		return strconv.AppendBool(dst, x), nil
	case float64:
		return appendFloat(dst, x, 64)
	case int:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case []string:
		return w.strings(dst, x, appendHTML)
	case map[string]any:
		return writeSorted(w, dst, x, appendHTML, w.any)
	case []any:
		return w.anys(dst, x)
	}
	w.left = w.limit
	if err := w.measure(reflect.ValueOf(x), 0); err != nil {
		return dst, err
	}
	return w.other(dst, x)
}

func (w *writer) anys(dst []byte, list []any) ([]byte, error) {
	if list == nil {
		return append(dst, "null"...), nil
	}
	dst, err := w.enter(dst, '[')
	if err != nil {
		return dst, err
	}
	for _, x := range list {
		if dst, err = w.any(dst, x); err != nil {
			return dst, err
		}
		if dst, err = w.next(dst); err != nil {
			return dst, err
		}
	}
	return w.leave(dst, ']'), nil
}

// writeOther leaves a value to the methods of its type, or to encoding/json.
func writeOther(w *writer, dst []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() && v.Kind() != reflect.Interface && v.Kind() != reflect.Pointer {
		return w.other(dst, v.Addr().Interface())
	}
	return w.other(dst, v.Interface())
}

// other writes x by encoding/json. What methods have written is read as a
// Verifier will, so that no token is made that none takes.
func (w *writer) other(dst []byte, x any) ([]byte, error) {
	b, err := json.Marshal(x)
	switch {
	case err != nil:
		return dst, err
	case len(dst)+len(b) > w.limit:
		return dst, ErrTooLarge
	}
	if b[0] == '{' || b[0] == '[' {
		if err := w.inspect(b); err != nil {
			return dst, err
		}
	}
	return append(dst, b...), nil
}

func (w *writer) inspect(b []byte) error {
	d := &w.decoder
	defer d.end()
	if err := d.begin(b); err != nil {
		return err
	}
	d.depth = w.depth
	if err := d.skip(); err != nil {
		return err
	}
	return d.finish()
}
