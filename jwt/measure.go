package jwt

import (
	"reflect"
	"unicode/utf8"
)

// longestWay bounds the way from a value to what is in it, pointers and interfaces
// counted. It is far beyond any value that is not deeper than maxDepth.
const longestWay = 4 * maxDepth

// measure looks at a value of a type that is known only now, before encoding/json
// writes it. That has no bound: a list of a million nodes, each pointing to the
// next, would overflow the stack, and thirty pairs that each hold the next one
// twice would take all memory. Types with methods of their own are left to these.
func (w *writer) measure(v reflect.Value, way int) error {
	w.left--
	switch {
	case way > longestWay:
		return errDepth
	case w.left < 0:
		return ErrTooLarge
	case !v.IsValid() || writesItself(v):
		return nil
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return w.measure(v.Elem(), way+1)
	case reflect.String:
		return w.measureText(v.String())
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			if err := w.measure(iter.Key(), way+1); err != nil {
				return err
			}
			if err := w.measure(iter.Value(), way+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return w.measureFields(v, way)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			w.left -= v.Len()
			return nil
		}
		for i := range v.Len() {
			if err := w.measure(v.Index(i), way+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) measureText(s string) error {
	if !utf8.ValidString(s) {
		return errNotUTF8
	}
	w.left -= len(s)
	return nil
}

func (w *writer) measureFields(v reflect.Value, way int) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			continue
		}
		if err := w.measure(v.Field(i), way+1); err != nil {
			return err
		}
	}
	return nil
}

// writesItself reports whether v has a method by which encoding/json writes it.
func writesItself(v reflect.Value) bool {
	t := v.Type()
	if t.Implements(marshalerType) || t.Implements(textMarshalerType) {
		return true
	}
	if !v.CanAddr() {
		return false
	}
	t = reflect.PointerTo(t)
	return t.Implements(marshalerType) || t.Implements(textMarshalerType)
}
