package jwt

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// readClaims reads the payload into v, a struct or a map[string]any, and the
// registered claims into d.reg as well.
func (p *plan) readClaims(d *decoder, v reflect.Value) error {
	d.space()
	if err := d.open('{'); err != nil {
		return err
	}
	var free map[string]any
	if p.free {
		free = make(map[string]any)
		v.Set(reflect.ValueOf(free))
	}
	sc := scope{base: len(d.names)}
	var seen uint64
	at, misfit := 0, ""
	for first := true; ; first = false {
		ok, err := d.more('}', first)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		d.claim = name
		k := p.top.find(name, at)
		at = k + 1
		if k >= 0 && k < 64 {
			if seen&(1<<k) != 0 {
				return errDuplicate
			}
			seen |= 1 << k
		} else if err := d.once(&sc, name); err != nil {
			return err
		}
		start := d.i
		switch {
		case k >= 0 && k < claims:
			if err := d.readClaim(k); err == nil {
				d.assign(k, v, p.top.members[k].index)
				break
			} else if err != errMismatch {
				return err
			}
			// It is of the wrong type, if what follows is JSON at all.
			if misfit == "" {
				misfit = name
			}
			d.i, d.depth = start, 1
			if err := d.skip(); err != nil {
				return err
			}
			continue
		case k >= 0:
			if err := p.top.members[k].kind.read(d, field(v, p.top.members[k].index)); err != nil {
				return err
			}
		case !p.free:
			if err := d.skip(); err != nil {
				return err
			}
		}
		if p.free {
			d.i = start
			if free[name], err = d.any(); err != nil {
				return err
			}
		}
	}
	d.leave(&sc)
	d.claim = ""
	if err := d.finish(); err != nil || misfit == "" {
		return err
	}
	d.claim = misfit
	return errMismatch
}

// assign gives the registered claim c to the field of v at index, if there is
// one.
func (d *decoder) assign(c int, v reflect.Value, index []int) {
	if index == nil {
		return
	}
	f := field(v, index)
	switch {
	case c == claimAud && f.Kind() == reflect.String:
		if len(d.reg.auds) > 0 {
			f.SetString(d.reg.auds[0])
		}
	case c == claimAud:
		setAudience(f, d.reg.auds)
	case f.Kind() == reflect.String:
		f.SetString(d.reg.texts[c])
	default:
		f.SetInt(d.reg.dates[c].Unix())
	}
}

// setAudience gives f, an Audience or []string, a copy of auds.
func setAudience(f reflect.Value, auds []string) {
	switch list := f.Addr().Interface().(type) {
	case *Audience:
		*list = append(Audience{}, auds...)
	case *[]string:
		*list = append([]string{}, auds...)
	}
}

// field is v.FieldByIndex without its checks.
func field(v reflect.Value, index []int) reflect.Value {
	for _, i := range index {
		v = v.Field(i)
	}
	return v
}

func (p *structPlan) read(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	if err := d.open('{'); err != nil {
		return err
	}
	sc := scope{base: len(d.names)}
	defer d.leave(&sc)
	at := 0
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
		k := p.find(name, at)
		at = k + 1
		if k < 0 {
			err = d.skip()
		} else {
			err = p.members[k].kind.read(d, field(v, p.members[k].index))
		}
		if err != nil {
			return err
		}
	}
}

func readString(d *decoder, v reflect.Value) error {
	if d.peek() != '"' {
		if null, err := d.null(); null {
			return err
		}
		return errMismatch
	}
	s, err := d.text()
	v.SetString(s)
	return err
}

func readBool(d *decoder, v reflect.Value) error {
	switch d.peek() {
	case 't':
		v.SetBool(true)
		return d.word("true")
	case 'f':
		v.SetBool(false)
		return d.word("false")
	case 'n':
		return d.word("null")
	}
	return errMismatch
}

// digitsOrNull reads a number; it is empty for null.
func (d *decoder) digitsOrNull() (string, error) {
	if null, err := d.null(); null {
		return "", err
	}
	if b := d.peek(); b != '-' && (b < '0' || b > '9') {
		return "", errMismatch
	}
	return d.number()
}

func readInt(d *decoder, v reflect.Value) error {
	text, err := d.digitsOrNull()
	if err != nil || text == "" {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return errMismatch
	}
	v.SetInt(n)
	return nil
}

func readUint(d *decoder, v reflect.Value) error {
	text, err := d.digitsOrNull()
	if err != nil || text == "" {
		return err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v.OverflowUint(n) {
		return errMismatch
	}
	v.SetUint(n)
	return nil
}

func readFloat(d *decoder, v reflect.Value) error {
	text, err := d.digitsOrNull()
	if err != nil || text == "" {
		return err
	}
	n, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return errMismatch
	}
	v.SetFloat(n)
	return nil
}

func (elem kind) readSlice(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	if err := d.open('['); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // an empty array is not null
	for n := 0; ; n++ {
		if ok, err := d.more(']', n == 0); !ok {
			return err
		}
		if n == v.Cap() {
			v.Grow(max(4, n))
		}
		v.SetLen(n + 1)
		if err := elem.read(d, v.Index(n)); err != nil {
			return err
		}
	}
}

// readStrings is readSlice for the commonest of them.
func readStrings(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	if err := d.open('['); err != nil {
		return err
	}
	out := v.Addr().Interface().(*[]string)
	*out = []string{}
	for first := true; ; first = false {
		if ok, err := d.more(']', first); !ok {
			return err
		}
		if d.peek() == '"' {
			s, err := d.text()
			if err != nil {
				return err
			}
			*out = append(*out, s)
			continue
		}
		null, err := d.null()
		if err != nil {
			return err
		}
		if !null {
			return errMismatch
		}
		*out = append(*out, "")
	}
}

// readArray is as strict as it can be: encoding/json drops what is too much and
// zeroes what is missing, here both are an error.
func (elem kind) readArray(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	if err := d.open('['); err != nil {
		return err
	}
	for n := 0; ; n++ {
		ok, err := d.more(']', n == 0)
		switch {
		case err != nil:
			return err
		case ok != (n < v.Len()):
			return errMismatch
		case !ok:
			return nil
		}
		if err := elem.read(d, v.Index(n)); err != nil {
			return err
		}
	}
}

func (elem kind) readPointer(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	v.Set(reflect.New(v.Type().Elem()))
	return elem.read(d, v.Elem())
}

func (elem kind) readMap(d *decoder, v reflect.Value) error {
	if null, err := d.null(); null {
		return err
	}
	if err := d.open('{'); err != nil {
		return err
	}
	t := v.Type()
	out := reflect.MakeMap(t)
	sc := scope{base: len(d.names)}
	defer d.leave(&sc)
	for first := true; ; first = false {
		ok, err := d.more('}', first)
		if err != nil {
			return err
		}
		if !ok {
			v.Set(out)
			return nil
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		if err := d.once(&sc, name); err != nil {
			return err
		}
		value := reflect.New(t.Elem()).Elem()
		if err := elem.read(d, value); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), value)
	}
}

func readAny(d *decoder, v reflect.Value) error {
	x, err := d.any()
	if err == nil && x != nil {
		v.Set(reflect.ValueOf(x))
	}
	return err
}

// any reads a value as encoding/json does into an interface: numbers are
// float64.
func (d *decoder) any() (any, error) {
	switch c := d.peek(); c {
	case '"':
		return d.text()
	case '{':
		var m map[string]any
		err := kind{read: readAny}.readMap(d, reflect.ValueOf(&m).Elem())
		return m, err
	case '[':
		out := []any{}
		if err := d.open('['); err != nil {
			return nil, err
		}
		for first := true; ; first = false {
			if ok, err := d.more(']', first); !ok {
				return out, err
			}
			x, err := d.any()
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	}
	text, err := d.number()
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, errMismatch
	}
	return n, nil
}

// readOther leaves a value to the methods of its type, or of a slice of bytes
// to encoding/json, after it was checked: they get neither duplicate names nor
// broken text to see.
func readOther(d *decoder, v reflect.Value) error {
	start := d.i
	if err := d.skip(); err != nil {
		return err
	}
	return json.Unmarshal(d.b[start:d.i], v.Addr().Interface())
}
