package memwatchotel

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
)

// Config says how a struct becomes metrics. The zero Config is usable for every
// Stats of this library but where one of its fields is described so. Labels are
// attributes here.
type Config = memwatchmetrics.Config

// name is what a subsystem may be called.
var name = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Register makes instruments of what stats returns, under names such as
// bedplate.<subsystem>.refused, and one callback that observes them all. It
// calls stats once, for its type and its Name; from then on stats is called once
// for each reader that collects.
//
// On failure no callback is registered, and the error names the field that has
// no form as a metric, or is that of the meter. Unregister of what is returned
// takes the metrics away.
func Register[S any](m metric.Meter, subsystem string, stats func() S, cfg Config) (metric.Registration, error) {
	if !name.MatchString(subsystem) {
		return nil, fmt.Errorf("memwatchotel: the subsystem is %q, want letters, digits and _", subsystem)
	}
	plan, err := memwatchmetrics.New[S](cfg)
	if err != nil {
		return nil, err
	}
	o := observer{metrics: plan.Metrics()}
	for k, v := range plan.Labels(stats()) {
		o.constant = append(o.constant, attribute.String(k, v))
	}
	o.plain = []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(o.constant...))}
	var all []metric.Observable
	for i := range o.metrics {
		in, err := instrument(m, plan.Namespace()+"."+subsystem+".", &o.metrics[i])
		if err != nil {
			return nil, fmt.Errorf("memwatchotel: %s.%s: %w", subsystem, o.metrics[i].Name, err)
		}
		for _, le := range in.bounds {
			in.plain = append(in.plain, o.with(append(o.labels(nil, nil), le)))
		}
		o.instruments = append(o.instruments, in)
		all = append(all, in.all()...)
	}
	r, err := m.RegisterCallback(func(_ context.Context, out metric.Observer) error {
		s := stats()
		plan.Read(&s, func(s memwatchmetrics.Sample) { o.observe(out, s) })
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("memwatchotel: %s: %w", subsystem, err)
	}
	return r, nil
}

// MustRegister is Register for the start of a program: it panics where Register
// returns an error.
func MustRegister[S any](m metric.Meter, subsystem string, stats func() S, cfg Config) metric.Registration {
	r, err := Register(m, subsystem, stats, cfg)
	if err != nil {
		panic(err.Error())
	}
	return r
}

// instruments of one metric: one of the first two, or for a histogram the
// others, since there is no histogram that can be observed.
type instruments struct {
	whole         metric.Int64Observable
	float         metric.Float64Observable
	count, bucket metric.Int64Observable
	sum           metric.Float64Observable
	bounds        []attribute.KeyValue     // le for each bucket
	plain         [][]metric.ObserveOption // the constant labels with it
}

func (in *instruments) all() []metric.Observable {
	var out []metric.Observable
	for _, i := range []metric.Int64Observable{in.whole, in.count, in.bucket} {
		if i != nil {
			out = append(out, i)
		}
	}
	for _, i := range []metric.Float64Observable{in.float, in.sum} {
		if i != nil {
			out = append(out, i)
		}
	}
	return out
}

// instrument makes what a metric needs.
func instrument(m metric.Meter, prefix string, of *memwatchmetrics.Metric) (in *instruments, err error) {
	name, help, unit := prefix+of.Name, metric.WithDescription(of.Help), metric.WithUnit(unitOf(of))
	in = new(instruments)
	switch {
	case of.Kind == memwatchmetrics.Histogram:
		return in, in.histogram(m, name, of)
	case of.Kind == memwatchmetrics.Counter && of.Float:
		in.float, err = m.Float64ObservableCounter(name, help, unit)
	case of.Kind == memwatchmetrics.Counter:
		in.whole, err = m.Int64ObservableCounter(name, help, unit)
	case of.Float:
		in.float, err = m.Float64ObservableGauge(name, help, unit)
	default:
		in.whole, err = m.Int64ObservableGauge(name, help, unit)
	}
	return in, err
}

func (in *instruments) histogram(m metric.Meter, name string, of *memwatchmetrics.Metric) (err error) {
	help := metric.WithDescription(of.Help)
	if in.count, err = m.Int64ObservableCounter(name+".count", help, metric.WithUnit("1")); err != nil {
		return err
	}
	if in.bucket, err = m.Int64ObservableCounter(name+".bucket", help, metric.WithUnit("1")); err != nil {
		return err
	}
	for _, bound := range of.Bounds {
		in.bounds = append(in.bounds, attribute.String("le", strconv.FormatFloat(bound, 'g', -1, 64)))
	}
	in.sum, err = m.Float64ObservableCounter(name+".sum", help, metric.WithUnit("s"))
	return err
}

func unitOf(m *memwatchmetrics.Metric) string {
	if m.Unit == "" {
		return "1"
	}
	return m.Unit
}

// observer is the callback of one Register.
type observer struct {
	metrics     []memwatchmetrics.Metric
	instruments []*instruments
	constant    []attribute.KeyValue
	plain       []metric.ObserveOption // constant, for metrics without labels
}

// observe tells the instruments of a sample.
func (o *observer) observe(out metric.Observer, s memwatchmetrics.Sample) {
	in, options, names := o.instruments[s.Metric], o.plain, o.metrics[s.Metric].Labels
	if len(names) > 0 {
		options = o.with(o.labels(names, s.Labels))
	}
	switch {
	case in.whole != nil:
		out.ObserveInt64(in.whole, whole(s.Value), options...)
	case in.float != nil:
		out.ObserveFloat64(in.float, s.Value, options...)
	default:
		out.ObserveInt64(in.count, int64(min(s.Count, math.MaxInt64)), options...)
		out.ObserveFloat64(in.sum, s.Value, options...)
		for i, le := range in.bounds {
			options := in.plain[i]
			if len(names) > 0 {
				options = o.with(append(o.labels(names, s.Labels), le))
			}
			out.ObserveInt64(in.bucket, int64(min(s.Buckets[i], math.MaxInt64)), options...)
		}
	}
}

// labels are the constant attributes and those of a sample.
func (o *observer) labels(names, values []string) []attribute.KeyValue {
	all := append(make([]attribute.KeyValue, 0, len(o.constant)+len(names)+1), o.constant...)
	for i, l := range names {
		all = append(all, attribute.String(l, values[i]))
	}
	return all
}

func (o *observer) with(labels []attribute.KeyValue) []metric.ObserveOption {
	return []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(labels...))}
}

// whole is v as an integer, which it is unless it is too large.
func whole(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}
