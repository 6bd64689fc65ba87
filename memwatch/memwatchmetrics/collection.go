package memwatchmetrics

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// histogram makes the step for a struct as the packages of this library have
// it: Count, Sum, Buckets, and a method Bound for the buckets' upper bounds.
func (c *compiler) histogram(t reflect.Type, at place) (step, error) {
	sum, okSum := t.FieldByName("Sum")
	buckets, _ := t.FieldByName("Buckets")
	if !okSum || sum.Type != durationType || buckets.Type.Kind() != reflect.Array || buckets.Type.Elem().Kind() != reflect.Uint64 || buckets.Type.Len() == 0 {
		return nil, at.errorf("is of type %s, which has Buckets but is no histogram: want Sum time.Duration and Buckets [n]uint64", t)
	}
	bounds, err := boundsOf(t, buckets.Type.Len(), at)
	if err != nil {
		return nil, err
	}
	i, err := c.add(Metric{Kind: Histogram, Unit: "s", Float: true, Bounds: bounds}, at)
	return func(r *reading, v reflect.Value) {
		upTo := r.buckets[:0]
		counts, total := v.FieldByIndex(buckets.Index), uint64(0)
		for k := range counts.Len() {
			total += counts.Index(k).Uint()
			upTo = append(upTo, total)
		}
		// The sum of the buckets is the count, whatever Count was when it was read.
		r.emit(Sample{
			Metric: i, Labels: r.labels, Value: seconds(v.FieldByIndex(sum.Index).Int()),
			Buckets: upTo[:len(bounds)], Count: total,
		})
	}, err
}

// boundsOf asks the histogram's own method for all bounds but the last.
func boundsOf(t reflect.Type, n int, at place) ([]float64, error) {
	type bounded interface{ Bound(i int) time.Duration }
	b, ok := reflect.TypeAssert[bounded](reflect.Zero(t))
	if !ok {
		return nil, at.errorf("is of type %s, a histogram without the method Bound(int) time.Duration", t)
	}
	bounds := make([]float64, n-1)
	for i := range bounds {
		bounds[i] = seconds(int64(b.Bound(i)))
		if i > 0 && bounds[i] <= bounds[i-1] {
			return nil, at.errorf("has the bounds %v and %v in this order, want them to grow", b.Bound(i-1), b.Bound(i))
		}
	}
	return bounds, nil
}

// mapping makes the step for a map: its keys are a label.
func (c *compiler) mapping(t reflect.Type, at place) (step, error) {
	key := text(t.Key())
	if key == nil {
		return nil, at.errorf("has keys of type %s, want words or numbers", t.Key())
	}
	label := c.cfg.Label
	if name := t.Key().Name(); t.Key().PkgPath() != "" {
		label = snake(name)
	}
	if t.Elem().Kind() == reflect.Struct && at.path == "" {
		label = c.cfg.Label
	}
	inner, err := c.step(t.Elem(), place{path: at.path, labels: slices.Concat(at.labels, []string{label}), field: at.field})
	if err != nil || inner == nil {
		return inner, err
	}
	crowd, err := c.crowd(at)
	return func(r *reading, v reflect.Value) {
		type element struct {
			key   string
			value reflect.Value
		}
		elements := make([]element, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			elements = append(elements, element{key(it.Key()), it.Value()})
		}
		slices.SortFunc(elements, func(a, b element) int { return strings.Compare(a.key, b.key) })
		// Keys that are the same as text would be one series twice.
		elements = slices.CompactFunc(elements, func(a, b element) bool { return a.key == b.key })
		keys := make([]string, len(elements))
		for i, e := range elements {
			keys[i] = e.key
		}
		admitted := crowd.admit(r, keys)
		for i, e := range elements {
			if admitted(i) {
				r.push(e.key)
				inner(r, e.value)
				r.pop()
			}
		}
	}, err
}

// list makes the step for a slice of structs, whose first field is the label.
func (c *compiler) list(t reflect.Type, at place) (step, error) {
	elem := t.Elem()
	if elem.Kind() != reflect.Struct || elem.NumField() == 0 {
		return nil, at.errorf("is of type %s, which has no form as a metric; see Config.Omit", t)
	}
	first := elem.Field(0)
	word := text(first.Type)
	if word == nil || !first.IsExported() {
		return nil, at.errorf("is of type %s, whose elements do not begin with a word or number that could be their label", t)
	}
	label, _, _ := strings.Cut(first.Tag.Get("json"), ",")
	if label == "" || label == "-" {
		label = snake(first.Name)
	}
	if list := at.path[strings.LastIndexByte(at.path, '.')+1:]; label == "name" && list != "" {
		label = strings.TrimSuffix(list, "s") // the struct around it has a name too
	}
	inner, err := c.fields(elem, place{path: at.path, labels: slices.Concat(at.labels, []string{label}), field: at.field}, first.Index)
	if err != nil {
		return nil, err
	}
	crowd, err := c.crowd(at)
	return func(r *reading, v reflect.Value) {
		keys := make([]string, v.Len())
		for i := range keys {
			keys[i] = word(v.Index(i).Field(0))
		}
		admitted := crowd.admit(r, keys)
		for i, key := range keys {
			if admitted(i) && !slices.Contains(keys[:i], key) {
				r.push(key)
				inner(r, v.Index(i))
				r.pop()
			}
		}
	}, err
}

// crowd makes the memory for the elements of a map or slice, and for the first
// one in the plan the metric of what is left out.
func (c *compiler) crowd(at place) (*crowd, error) {
	if c.leftOut < 0 {
		i, err := c.add(Metric{Kind: Gauge, Help: "Elements beyond Config.MaxSeries, which have no metrics."},
			place{path: "left_out", field: at.field})
		if err != nil {
			return nil, err
		}
		c.leftOut = i
	}
	return &crowd{limit: c.cfg.MaxSeries, last: make(map[string]uint64)}, nil
}

// text returns how a value of type t is written as a label, or nil if it cannot
// be one.
func text(t reflect.Type) func(reflect.Value) string {
	switch {
	case t.Implements(stringerType):
		return func(v reflect.Value) string { return valid(v.Interface().(fmt.Stringer).String()) }
	case t.Kind() == reflect.String:
		return func(v reflect.Value) string { return valid(v.String()) }
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		return func(v reflect.Value) string { return strconv.FormatInt(v.Int(), 10) }
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return func(v reflect.Value) string { return strconv.FormatUint(v.Uint(), 10) }
	}
	return nil
}

// valid makes UTF-8 of a label, which may be what a client has sent: one that
// is not would cost a whole scrape.
func valid(label string) string { return strings.ToValidUTF8(label, "\uFFFD") }
