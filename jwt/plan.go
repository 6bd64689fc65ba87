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
	top       *structPlan
	free      bool // the type is map[string]any
	shared    bool // copies of a value share what can be changed, beyond an Audience, or Validate may change it
	validates bool
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
	write func([]byte, reflect.Value) ([]byte, error)
}

type validator interface {
	Validate(ctx context.Context) error
}

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshalerType       = reflect.TypeFor[json.Marshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	validatorType       = reflect.TypeFor[validator]()
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
	var err error
	if p.top, err = makeCompiler().structOf(t); err != nil {
		return nil, err
	}
	rest := p.top.members
	p.top.members = make([]member, claims, claims+len(rest))
	for c, name := range claimNames {
		p.top.members[c] = member{name: name}
	}
	for _, m := range rest {
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
	p.top.index()
	return p, nil
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
	open map[reflect.Type]*structPlan
}

func makeCompiler() *compiler { return &compiler{make(map[reflect.Type]*structPlan)} }

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
			omit = empty
		case "omitzero":
			omit = reflect.Value.IsZero
		default:
			return "", nil, fmt.Errorf("jwt: field %s has the JSON option %q, want omitempty or omitzero", f.Name, flag)
		}
	}
	return name, omit, nil
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

// kindOf finds how values of type t are read and written.
func (c *compiler) kindOf(t reflect.Type) (kind, error) {
	if t == reflect.TypeFor[json.Number]() {
		return kind{readOther, writeOther}, nil
	}
	ptr := reflect.PointerTo(t)
	reads := ptr.Implements(unmarshalerType) || ptr.Implements(textUnmarshalerType)
	writes := ptr.Implements(marshalerType) || ptr.Implements(textMarshalerType)
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
	switch k := t.Kind(); k {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			break
		}
		return kind{readAny, writeOther}, nil
	case reflect.String:
		return kind{readString, writeString}, nil
	case reflect.Bool:
		return kind{readBool, writeBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return kind{readInt, writeInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return kind{readUint, writeUint}, nil
	case reflect.Float32, reflect.Float64:
		return kind{readFloat, writeOther}, nil
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
			return kind{readStrings, kind{write: writeString}.writeList}, nil
		}
		fallthrough
	case reflect.Array, reflect.Pointer, reflect.Map:
		if k == reflect.Map && (t.Key().Kind() != reflect.String || custom(t.Key())) {
			return kind{}, fmt.Errorf("jwt: %v has keys that are not strings", t)
		}
		elem, err := c.kindOf(t.Elem())
		if err != nil {
			return kind{}, err
		}
		return composite(k, elem), nil
	}
	return kind{}, fmt.Errorf("jwt: %v has no JSON", t)
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
