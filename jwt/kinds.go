package jwt

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// kindOf finds how values of type t are read and written.
func (c *compiler) kindOf(t reflect.Type) (kind, error) {
	if t == reflect.TypeFor[json.Number]() {
		return kind{readOther, writeOther}, nil
	}
	if t == reflect.TypeFor[time.Time]() {
		return kind{readOther, writeTime}, nil
	}
	ptr := reflect.PointerTo(t)
	reads := ptr.Implements(unmarshalerType) || ptr.Implements(textUnmarshalerType)
	writes := ptr.Implements(marshalerType) || ptr.Implements(textMarshalerType)
	c.foreign = c.foreign || (reads || writes) && t != audienceType
	if reads && writes {
		return kind{readOther, writeOther}, nil
	}
	k, err := c.plainKindOf(t)
	if reads {
		k.read = readOther
	}
	if writes {
		k.write = writeOther
	}
	return k, err
}

// plainKindOf is kindOf without the methods of t.
func (c *compiler) plainKindOf(t reflect.Type) (kind, error) {
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			break
		}
		return kind{readAny, writeInterface}, nil
	case reflect.String:
		return kind{readString, writeString}, nil
	case reflect.Bool:
		return kind{readBool, writeBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kind{readInt, writeInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return kind{readUint, writeUint}, nil
	case reflect.Float32, reflect.Float64:
		return kind{readFloat, writeFloat}, nil
	case reflect.Struct:
		p, err := c.structOf(t)
		if err != nil {
			return kind{}, err
		}
		return kind{p.read, p.write}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return kind{readOther, writeOther}, nil // base64
		}
		if t == reflect.TypeFor[[]string]() {
			return kind{readStrings, writeStrings}, nil
		}
		fallthrough
	case reflect.Array, reflect.Pointer, reflect.Map:
		return c.compositeKindOf(t)
	}
	return kind{}, fmt.Errorf("jwt: %v has no JSON", t)
}

// compositeKindOf is kindOf for types that hold others, and may hold themselves.
func (c *compiler) compositeKindOf(t reflect.Type) (kind, error) {
	switch {
	case t.Kind() == reflect.Map && (t.Key().Kind() != reflect.String || custom(t.Key())):
		return kind{}, fmt.Errorf("jwt: %v has keys that are not strings", t)
	case t == reflect.TypeFor[map[string]string]():
		return kind{kind{read: readString}.readMap, writeStringMap}, nil
	case pointsToItself(t):
		return kind{}, fmt.Errorf("jwt: %v points to itself and has no JSON", t)
	}
	if open := c.kinds[t]; open != nil {
		return kind{ // looked up when it is used, since it may not be made yet
			func(d *decoder, v reflect.Value) error { return open.read(d, v) },
			func(w *writer, dst []byte, v reflect.Value) ([]byte, error) { return open.write(w, dst, v) },
		}, nil
	}
	made := new(kind)
	c.kinds[t] = made
	elem, err := c.kindOf(t.Elem())
	*made = composite(t.Kind(), elem)
	return *made, err
}

// pointsToItself reports whether t is a pointer that leads to nothing but
// pointers, so that no JSON has a value of it.
func pointsToItself(t reflect.Type) bool {
	var seen []reflect.Type
	for t.Kind() == reflect.Pointer {
		if slices.Contains(seen, t) {
			return true
		}
		seen = append(seen, t)
		t = t.Elem()
	}
	return false
}

func composite(k reflect.Kind, elem kind) kind {
	switch k {
	case reflect.Slice:
		return kind{elem.readSlice, elem.writeList}
	case reflect.Array:
		return kind{elem.readArray, elem.writeList}
	case reflect.Pointer:
		return kind{elem.readPointer, elem.writePointer}
	}
	return kind{elem.readMap, elem.writeMap}
}
