package memwatchmetrics

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// step reads one field, or all of a struct, map or slice.
type step func(*reading, reflect.Value)

// compiler makes the steps of one plan.
type compiler struct {
	*compiled
	used map[string]bool // paths that the Config names, and whether they were met
}

// place is where in S a field stands.
type place struct {
	path   string   // as Config has it
	labels []string // of the maps and slices around it
	field  string   // as errors and help have it: breaker.Stats.State
}

func (at place) errorf(format string, args ...any) error {
	return fmt.Errorf("memwatchmetrics: %s %s", at.field, fmt.Sprintf(format, args...))
}

func compile(of reflect.Type, cfg Config) (*compiled, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &compiler{&compiled{cfg: cfg, of: of, leftOut: -1}, make(map[string]bool)}
	for _, paths := range [][]string{
		cfg.Counters, cfg.Gauges, cfg.Omit, slices.Collect(maps.Keys(cfg.States)),
	} {
		for _, path := range paths {
			c.used[path] = false
		}
	}
	switch kind := of.Kind(); {
	case kind == reflect.Struct:
		if f, ok := of.FieldByName("Name"); ok && f.Type.Kind() == reflect.String {
			c.name = f.Index
		}
	case (kind == reflect.Map || kind == reflect.Slice) && of.Elem().Kind() == reflect.Struct:
	default:
		return nil, fmt.Errorf("memwatchmetrics: %s is neither a struct nor a map or slice of structs", of)
	}
	root, err := c.step(of, place{field: of.String()})
	if err != nil {
		return nil, err
	}
	c.root = root
	for _, path := range slices.Sorted(maps.Keys(c.used)) {
		if !c.used[path] {
			return nil, fmt.Errorf("memwatchmetrics: Config names the field %q, which %s does not have, or not as it needs to be", path, of)
		}
	}
	if len(c.metrics) == 0 {
		return nil, fmt.Errorf("memwatchmetrics: %s has no field that makes a metric", of)
	}
	return c.compiled, nil
}

// names reports whether a list in the Config has the path, and takes note.
func (c *compiler) names(list []string, path string) bool {
	if !slices.Contains(list, path) {
		return false
	}
	c.used[path] = true
	return true
}

// add makes a metric of what stands at a place, with more labels.
func (c *compiler) add(m Metric, at place, labels ...string) (int, error) {
	m.Name = strings.ReplaceAll(at.path, ".", "_")
	m.Labels = slices.Concat(at.labels, labels)
	if m.Help == "" {
		m.Help = "The field " + at.field + "."
	}
	switch base, unit, _ := cutUnit(m.Name); {
	case m.Unit == "s" && unit == "ns", m.Unit == "" && unit == "By":
		m.Name, m.Unit = base, strings.TrimPrefix(unit, "n")
	}
	if !isName(m.Name) {
		return 0, at.errorf("would be the metric %q, want letters, digits and _", m.Name)
	}
	for i, l := range m.Labels {
		_, constant := c.cfg.Labels[l]
		if constant || slices.Contains(m.Labels[:i], l) || l == "name" && c.name != nil || l == "le" {
			return 0, at.errorf("would have the label %q twice", l)
		}
	}
	if slices.ContainsFunc(c.metrics, func(other Metric) bool { return other.Name == m.Name }) {
		return 0, at.errorf("would be a second metric %q", m.Name)
	}
	c.metrics = append(c.metrics, m)
	return len(c.metrics) - 1, nil
}

// cutUnit takes the unit off a JSON name.
func cutUnit(name string) (base, unit string, ok bool) {
	if base, ok := strings.CutSuffix(name, "_ns"); ok {
		return base, "ns", true
	}
	if base, ok := strings.CutSuffix(name, "_bytes"); ok {
		return base, "By", true
	}
	return name, "", false
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	stringerType = reflect.TypeFor[fmt.Stringer]()
)

// step makes the step for a type. It is nil for what is left out.
func (c *compiler) step(t reflect.Type, at place) (step, error) {
	if c.names(c.cfg.Omit, at.path) {
		return nil, nil
	}
	counter, gauge := c.names(c.cfg.Counters, at.path), c.names(c.cfg.Gauges, at.path)
	if counter && gauge {
		return nil, at.errorf("is in both Config.Counters and Config.Gauges")
	}
	kind := Gauge
	if counter {
		kind = Counter
	}
	if k := t.Kind(); k == reflect.String || k >= reflect.Int && k <= reflect.Uint64 && t != durationType && t.Implements(stringerType) {
		return c.state(t, at)
	}
	switch t.Kind() {
	case reflect.Bool:
		return c.number(Metric{Kind: Gauge}, at, func(v reflect.Value) float64 {
			if v.Bool() {
				return 1
			}
			return 0
		})
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if t == durationType {
			return c.number(Metric{Kind: kind, Unit: "s", Float: true}, at, func(v reflect.Value) float64 { return seconds(v.Int()) })
		}
		return c.number(Metric{Kind: kind}, at, func(v reflect.Value) float64 { return float64(v.Int()) })
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !gauge {
			kind = Counter
		}
		return c.number(Metric{Kind: kind}, at, func(v reflect.Value) float64 { return float64(v.Uint()) })
	case reflect.Float32, reflect.Float64:
		return c.number(Metric{Kind: kind, Float: true}, at, func(v reflect.Value) float64 { return v.Float() })
	case reflect.Struct:
		if f, ok := t.FieldByName("Buckets"); ok && len(f.Index) == 1 {
			return c.histogram(t, at)
		}
		return c.fields(t, at, nil)
	case reflect.Map:
		return c.mapping(t, at)
	case reflect.Slice:
		return c.list(t, at)
	}
	return nil, at.errorf("is of type %s, which has no form as a metric; see Config.Omit", t)
}

// number makes the step for a plain value.
func (c *compiler) number(m Metric, at place, get func(reflect.Value) float64) (step, error) {
	i, err := c.add(m, at)
	return func(r *reading, v reflect.Value) { r.send(i, get(v)) }, err
}

// state makes the step for a value that is one of a few words: a gauge for each
// word, 1 for the present one.
func (c *compiler) state(t reflect.Type, at place) (step, error) {
	get := text(t)
	label := at.path[strings.LastIndexByte(at.path, '.')+1:]
	i, err := c.add(Metric{Kind: Gauge}, at, label)
	seen := newWords(c.cfg.States[at.path])
	if len(c.cfg.States[at.path]) > 0 {
		c.used[at.path] = true
	}
	return func(r *reading, v reflect.Value) {
		all, now := seen.with(get(v))
		for k, word := range all {
			r.push(word)
			if k == now {
				r.send(i, 1)
			} else {
				r.send(i, 0)
			}
			r.pop()
		}
	}, err
}

// fields makes the step for a struct, without the field that is its label.
func (c *compiler) fields(t reflect.Type, at place, skip []int) (step, error) {
	type part struct {
		index int
		step  step
	}
	var parts []part
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" || slices.Equal(f.Index, skip) || f.Name == "Name" && f.Type.Kind() == reflect.String {
			continue
		}
		inner := place{path: at.path, labels: at.labels, field: at.field + "." + f.Name}
		if tag == "" && !f.Anonymous {
			tag = snake(f.Name)
		}
		if tag != "" { // else the fields of f are as if they were in t
			inner.path = join(at.path, tag)
		}
		s, err := c.step(f.Type, inner)
		if err != nil {
			return nil, err
		}
		if s != nil {
			parts = append(parts, part{i, s})
		}
	}
	return func(r *reading, v reflect.Value) {
		for _, p := range parts {
			p.step(r, v.Field(p.index))
		}
	}, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// snake turns a Go name into a JSON one as this library writes them.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z' || i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z') {
			b.WriteByte('_')
		}
		if upper {
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
