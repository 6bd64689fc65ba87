package jwt

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// plan knows how the claims of one type are read and written. It is made once,
// by reflection, and immutable.
type plan struct {
	top        *structPlan
	registered []int // where the type embeds Registered, if all registered claims are its fields
	free       bool  // the type is map[string]any
	shared     bool  // copies of a value share what can be changed, beyond an Audience, or Validate may change it
	validates  bool
	foreign    bool // code of the user's gets pointers to claims: Validate, or methods for JSON
}

// structPlan lists the members of a struct. In that of a top level the
// registered claims come first, all of them, and those that the struct has no
// field for have no index.
type structPlan struct {
	members []member
	byName  map[string]int // for structs with more members than are found faster by looking at each
}

// member is one name.
type member struct {
	name   string
	index  []int
	kind   kind
	omit   func(reflect.Value) bool // nil: never left out
	prefix string                   // the name as it is written, with quotes and colon
}

// kind knows how the values of one Go type are read and written.
type kind struct {
	read  func(*decoder, reflect.Value) error
	write func(*writer, []byte, reflect.Value) ([]byte, error)
}

type validator interface {
	Validate(ctx context.Context) error
}

type zeroer interface{ IsZero() bool }

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshalerType       = reflect.TypeFor[json.Marshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	validatorType       = reflect.TypeFor[validator]()
	zeroerType          = reflect.TypeFor[zeroer]()
	audienceType        = reflect.TypeFor[Audience]()
	freeType            = reflect.TypeFor[map[string]any]()
)

// compile makes the plan of claims of type t.
func compile(t reflect.Type) (*plan, error) {
	p := &plan{validates: reflect.PointerTo(t).Implements(validatorType)}
	if t == freeType {
		p.free, p.shared = true, true
		p.top = &structPlan{members: make([]member, claims)}
		for c, name := range claimNames {
			p.top.members[c] = member{name: name}
		}
		return p, nil
	}
	if t.Kind() != reflect.Struct || custom(t) {
		return nil, fmt.Errorf("jwt: claims are %v, want a struct without JSON methods of its own, or map[string]any", t)
	}
	c := makeCompiler()
	fields, err := c.structOf(t)
	if err != nil {
		return nil, err
	}
	p.foreign = c.foreign || p.validates
	// A plan of its own, since t may be a part of itself, where its members are as
	// any others.
	p.top = &structPlan{members: make([]member, claims, claims+len(fields.members))}
	for c, name := range claimNames {
		p.top.members[c] = member{name: name}
	}
	for _, m := range fields.members {
		if n := slices.Index(claimNames[:], m.name); n >= 0 {
			if err := fits(n, t.FieldByIndex(m.index).Type); err != nil {
				return nil, err
			}
			p.top.members[n].index = m.index
			continue
		}
		p.shared = p.shared || refers(t.FieldByIndex(m.index).Type)
		p.top.members = append(p.top.members, m)
	}
	p.shared = p.shared || p.validates
	p.registered = p.findRegistered(t)
	p.top.index()
	return p, nil
}

// findRegistered returns the index of the Registered that t embeds, or nil if a
// registered claim is another field.
func (p *plan) findRegistered(t reflect.Type) []int {
	first := p.top.members[0].index
	if len(first) < 2 {
		return nil
	}
	path := first[:len(first)-1]
	if t.FieldByIndex(path).Type != reflect.TypeFor[Registered]() {
		return nil
	}
	for c := range claims {
		if !slices.Equal(p.top.members[c].index, append(slices.Clone(path), c)) {
			return nil
		}
	}
	return path
}

// custom reports whether t has its own idea of JSON.
func custom(t reflect.Type) bool {
	ptr := reflect.PointerTo(t)
	return slices.ContainsFunc([]reflect.Type{unmarshalerType, textUnmarshalerType, marshalerType, textMarshalerType}, ptr.Implements)
}

// fits reports as an error that the field of registered claim c has a type
// which cannot hold it.
func fits(c int, t reflect.Type) error {
	want, ok := "a string", t.Kind() == reflect.String && !custom(t)
	switch c {
	case claimAud:
		want, ok = "a jwt.Audience", t == audienceType || t == reflect.TypeFor[[]string]() || ok
	case claimExp, claimNbf, claimIat, claimAuthTime:
		want, ok = "a jwt.Date", t.Kind() == reflect.Int64 && !custom(t)
	}
	if !ok {
		return fmt.Errorf("jwt: the field of claim %q is a %v, want %s", claimNames[c], t, want)
	}
	return nil
}

// refers reports whether a copy of a value of type t shares memory with it that
// can be changed.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			if refers(f.Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return refers(t.Elem())
	default:
		return t.Kind() > reflect.Complex128 && t.Kind() != reflect.String
	}
}

// index makes byName if there are many members.
func (p *structPlan) index() {
	const linear = 12
	p.byName = nil
	if len(p.members) <= linear+claims {
		return
	}
	p.byName = make(map[string]int, len(p.members))
	for i := range p.members {
		p.byName[p.members[i].name] = i
	}
}

// find returns the place of a name, or -1. Members mostly come in the order of
// their struct, so the search begins at from.
func (p *structPlan) find(name string, from int) int {
	if from < len(p.members) && p.members[from].name == name {
		return from
	}
	if p.byName != nil {
		if i, ok := p.byName[name]; ok {
			return i
		}
		return -1
	}
	for i := range p.members {
		if p.members[i].name == name {
			return i
		}
	}
	return -1
}

// compiler makes the plans of the types within one type, which may refer to
// themselves.
type compiler struct {
	open  map[reflect.Type]*structPlan
	kinds map[reflect.Type]*kind // of slices, arrays, pointers and maps; empty while they are made

	foreign bool // a type had methods of its own
}

func makeCompiler() *compiler {
	return &compiler{open: make(map[reflect.Type]*structPlan), kinds: make(map[reflect.Type]*kind)}
}

// structOf makes the plan of struct t, with the fields of embedded structs.
// As with encoding/json a field hides those of its name further down; two at
// one depth are an error here.
func (c *compiler) structOf(t reflect.Type) (*structPlan, error) {
	if p := c.open[t]; p != nil {
		return p, nil
	}
	p := &structPlan{}
	c.open[t] = p
	at := make(map[string]int)
	for level := [][]int{nil}; len(level) > 0; {
		var deeper [][]int
		for _, path := range level {
			owner := t
			if path != nil {
				owner = t.FieldByIndex(path).Type
			}
			for i := range owner.NumField() {
				f := owner.Field(i)
				index := append(slices.Clone(path), i)
				name, omit, err := tagOf(f)
				switch {
				case err != nil:
					return nil, err
				case name == "":
					continue
				case f.Anonymous && f.Tag.Get("json") == "" && f.Type.Kind() == reflect.Struct && !custom(f.Type):
					deeper = append(deeper, index)
					continue
				case f.Anonymous && f.Type.Kind() == reflect.Pointer && f.Tag.Get("json") == "":
					return nil, fmt.Errorf("jwt: %v embeds the pointer %s, want the struct, or a name for it", t, f.Name)
				case !f.IsExported():
					continue
				}
				if depth, ok := at[name]; ok {
					if depth == len(index) {
						return nil, fmt.Errorf("jwt: %v has two fields for %q", t, name)
					}
					continue
				}
				at[name] = len(index)
				k, err := c.kindOf(f.Type)
				if err != nil {
					return nil, fmt.Errorf("%w, in field %s of %v", err, f.Name, t)
				}
				quotedName, err := appendText(nil, name)
				if err != nil {
					return nil, err
				}
				p.members = append(p.members, member{name, index, k, omit, string(quotedName) + ":"})
			}
		}
		level = deeper
	}
	p.index()
	return p, nil
}

// tagOf reads the tag of f: its name, empty if it is no claim, and when it is
// left out.
func tagOf(f reflect.StructField) (string, func(reflect.Value) bool, error) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return "", nil, nil
	}
	name, flags, _ := strings.Cut(tag, ",")
	if name == "" {
		name = f.Name
	}
	var omit func(reflect.Value) bool
	for flag := range strings.SplitSeq(flags, ",") {
		switch flag {
		case "":
		case "omitempty":
			omit = either(omit, empty)
		case "omitzero":
			omit = either(omit, zeroOf(f.Type))
		default:
			return "", nil, fmt.Errorf("jwt: field %s has the JSON option %q, want omitempty or omitzero", f.Name, flag)
		}
	}
	return name, omit, nil
}

// either is what one of two conditions reports; the first may be nil.
func either(a, b func(reflect.Value) bool) func(reflect.Value) bool {
	if a == nil {
		return b
	}
	return func(v reflect.Value) bool { return a(v) || b(v) }
}

// zeroOf returns what omitzero means for a field of type t: its own IsZero where
// it has one, as with encoding/json.
func zeroOf(t reflect.Type) func(reflect.Value) bool {
	switch {
	case t.Implements(zeroerType):
		return func(v reflect.Value) bool {
			return v.IsZero() && nillable(v) || v.Interface().(zeroer).IsZero()
		}
	case reflect.PointerTo(t).Implements(zeroerType):
		return func(v reflect.Value) bool {
			if !v.CanAddr() { // a value in a map
				held := reflect.New(t).Elem()
				held.Set(v)
				v = held
			}
			return v.Addr().Interface().(zeroer).IsZero()
		}
	}
	return reflect.Value.IsZero
}

func nillable(v reflect.Value) bool {
	return v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface
}

// empty is what encoding/json means by that.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}
