package memwatchprom

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
)

// Config says how a struct becomes metrics. The zero Config is usable for every
// Stats of this library but where one of its fields is described so.
type Config = memwatchmetrics.Config

// name is what a subsystem may be called.
var name = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// units are those of memwatchmetrics as Prometheus writes them.
var units = map[string]string{"s": "seconds", "By": "bytes"}

// Collector gives a registry the metrics of one stats function. Make one with
// Register or MustRegister.
type Collector struct {
	descs []*prometheus.Desc
	read  func(chan<- prometheus.Metric)
}

// Register registers the metrics of what stats returns with r, under names such
// as bedplate_<subsystem>_refused_total. It calls stats once, for its type and
// its Name; from then on stats is called once each time that r is gathered, by
// several goroutines at a time if r is.
//
// Everything registered under one subsystem must be of one type and have the
// same labels with other values: two breakers of different names, for example.
//
// On failure nothing is registered, and the error names the field that has no
// form as a metric, or is that of r. To take the metrics away, give the Collector
// to r.Unregister.
func Register[S any](r prometheus.Registerer, subsystem string, stats func() S, cfg Config) (*Collector, error) {
	c, err := collector(subsystem, stats, cfg)
	if err != nil {
		return nil, err
	}
	if err := r.Register(c); err != nil {
		return nil, fmt.Errorf("memwatchprom: %s: %w", subsystem, err)
	}
	return c, nil
}

// MustRegister is Register for the start of a program: it panics where Register
// returns an error.
func MustRegister[S any](r prometheus.Registerer, subsystem string, stats func() S, cfg Config) *Collector {
	c, err := Register(r, subsystem, stats, cfg)
	if err != nil {
		panic(err.Error())
	}
	return c
}

func collector[S any](subsystem string, stats func() S, cfg Config) (*Collector, error) {
	if !name.MatchString(subsystem) {
		return nil, fmt.Errorf("memwatchprom: the subsystem is %q, want letters, digits and _", subsystem)
	}
	plan, err := memwatchmetrics.New[S](cfg)
	if err != nil {
		return nil, err
	}
	labels := prometheus.Labels(plan.Labels(stats()))
	c := &Collector{}
	metrics := plan.Metrics()
	for _, m := range metrics {
		c.descs = append(c.descs, prometheus.NewDesc(nameOf(plan.Namespace(), subsystem, m), m.Help, m.Labels, labels))
	}
	c.read = func(out chan<- prometheus.Metric) {
		s := stats()
		plan.Read(&s, func(s memwatchmetrics.Sample) {
			out <- constant(c.descs[s.Metric], &metrics[s.Metric], s)
		})
	}
	return c, nil
}

// constant makes the metric of a sample. The labels are as many as desc has, and
// UTF-8, so nothing can be wrong with them.
func constant(desc *prometheus.Desc, m *memwatchmetrics.Metric, s memwatchmetrics.Sample) prometheus.Metric {
	switch m.Kind {
	case memwatchmetrics.Histogram:
		buckets := make(map[float64]uint64, len(m.Bounds))
		for i, bound := range m.Bounds {
			buckets[bound] = s.Buckets[i]
		}
		return prometheus.MustNewConstHistogram(desc, s.Count, s.Value, buckets, s.Labels...)
	case memwatchmetrics.Counter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
}

// nameOf puts a metric's name together as Prometheus wants it: with the unit,
// and with total for a counter alone. A gauge that is called total is a size.
func nameOf(namespace, subsystem string, m memwatchmetrics.Metric) string {
	name := m.Name
	if m.Kind == memwatchmetrics.Gauge {
		if name = strings.TrimSuffix(name, "_total"); name == "total" {
			name = "size"
		}
	}
	parts := []string{namespace, subsystem, name}
	if unit := units[m.Unit]; unit != "" {
		parts = append(parts, unit)
	}
	if m.Kind == memwatchmetrics.Counter {
		parts = append(parts, "total")
	}
	return strings.Join(parts, "_")
}

// Describe is for the registry.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect is for the registry. It calls the stats function once.
func (c *Collector) Collect(out chan<- prometheus.Metric) { c.read(out) }
