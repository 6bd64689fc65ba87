package memwatchmetrics

import (
	"fmt"
	"reflect"
	"time"
)

// Defaults of the Config fields that are left zero.
const (
	defaultNamespace = "bedplate"
	defaultLabel     = "key"
	defaultMaxSeries = 100
)

// Config says how a struct becomes metrics. The zero Config is usable for every
// Stats of this library but where one of its fields is described so. Fields of
// the struct are named by their path: their JSON names, joined by dots, as in
// "slots.rss".
type Config struct {
	// Namespace is the first part of each metric's name; empty means bedplate.
	Namespace string

	// Labels are constant ones, of every metric. A field Name of the struct is
	// one as well, name, read once at registration, unless it is given here.
	Labels map[string]string

	// Label is the label for the keys of a map of structs, such as Each makes.
	// Empty means key.
	Label string

	// MaxSeries is how many elements of each map or slice have metrics; zero
	// means 100. Those that were there first keep their place until they are
	// gone. The metric left_out counts the others.
	MaxSeries int

	// Counters are fields of a signed or floating type, or a duration, that
	// only grow. Gauges are fields of an unsigned type that do not only grow.
	Counters, Gauges []string

	// Omit are fields that are left out, with all they hold.
	Omit []string

	// States lists the values that a field of text can take. Those that are not
	// the present one are 0. A value that is not listed is 0 once it was seen.
	States map[string][]string
}

// Kind is how a metric behaves.
type Kind uint8

// The kinds.
const (
	Counter   Kind = iota // only grows while the process lives
	Gauge                 // goes up and down
	Histogram             // counts durations by buckets
)

// Metric describes one metric of a plan.
type Metric struct {
	// Name is snake_case, without namespace, unit or suffix: retry_after.
	Name string
	// Unit is s, By, or empty for a plain number.
	Unit string
	// Kind is how it behaves.
	Kind Kind
	// Float says that its values need not be whole numbers.
	Float bool
	// Labels are those that its samples have values for.
	Labels []string
	// Help says which field it is.
	Help string
	// Bounds are the upper bounds of a histogram's buckets in seconds, without
	// the last one, which is infinite.
	Bounds []float64
}

// Sample is one value of a metric.
type Sample struct {
	// Metric is its place in Plan.Metrics.
	Metric int
	// Labels are the values for Metric.Labels. They are valid until emit returns.
	Labels []string
	// Value is that of a counter or gauge, and the sum in seconds of a histogram.
	Value float64
	// Buckets are the counts of a histogram up to each of Metric.Bounds, and
	// Count is that of all. They are valid until emit returns.
	Buckets []uint64
	Count   uint64
}

// Plan reads the metrics out of values of type S. It is safe for use by many
// goroutines. Make one with New or MustNew.
type Plan[S any] struct {
	*compiled
}

// compiled is a Plan without its type. All but the memories in it, which have
// their own locks, is constant.
type compiled struct {
	cfg     Config
	of      reflect.Type
	metrics []Metric
	root    step
	name    []int // the index of the field Name in S, or nil
	leftOut int   // the metric, or -1 where nothing can be left out
	clock   clock
}

// New makes the plan for S: a struct, or a map or a slice of structs. It fails
// if S or a field of it has no form as a metric, or if cfg names a field that
// there is none of, and the error names the type and the field.
func New[S any](cfg Config) (*Plan[S], error) {
	c, err := compile(reflect.TypeFor[S](), cfg)
	if err != nil {
		return nil, err
	}
	return &Plan[S]{c}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew[S any](cfg Config) *Plan[S] {
	p, err := New[S](cfg)
	if err != nil {
		panic(err.Error())
	}
	return p
}

// Metrics lists what there can be samples of. It is not to be changed.
func (p *Plan[S]) Metrics() []Metric { return p.metrics }

// Namespace is Config.Namespace or its default.
func (p *Plan[S]) Namespace() string { return p.cfg.Namespace }

// Labels returns the constant labels for what s belongs to: Config.Labels, and
// name if S has a field Name.
func (p *Plan[S]) Labels(s S) map[string]string {
	labels := make(map[string]string, len(p.cfg.Labels)+1)
	if p.name != nil {
		labels["name"] = valid(reflect.ValueOf(s).FieldByIndex(p.name).String())
	}
	for k, v := range p.cfg.Labels {
		labels[k] = valid(v)
	}
	return labels
}

// Read calls emit for each value in s. A counter that has become less is told
// as it is: what reads metrics takes it for a restart. emit is called outside
// all locks.
func (p *Plan[S]) Read(s *S, emit func(Sample)) {
	r := &reading{emit: emit, time: p.clock.tick()}
	r.labels = r.room[:0]
	p.root(r, reflect.ValueOf(s).Elem())
	if p.leftOut >= 0 {
		r.send(p.leftOut, float64(r.leftOut))
	}
}

// reading is one call of Read.
type reading struct {
	emit    func(Sample)
	time    uint64   // of Plan.clock
	labels  []string // of the elements that the reading is in
	leftOut int      // elements so far

	// Room for labels, and for the buckets of one histogram.
	room    [4]string
	buckets [32]uint64
}

func (r *reading) send(metric int, value float64) {
	r.emit(Sample{Metric: metric, Labels: r.labels, Value: value})
}

// push and pop surround what is read with one more label.
func (r *reading) push(label string) { r.labels = append(r.labels, label) }
func (r *reading) pop()              { r.labels = r.labels[:len(r.labels)-1] }

// check completes cfg and finds what is wrong in it by itself.
func (cfg *Config) check() error {
	if cfg.MaxSeries < 0 {
		return fmt.Errorf("memwatchmetrics: Config.MaxSeries is %d, want ≥ 0", cfg.MaxSeries)
	}
	if cfg.Namespace == "" {
		cfg.Namespace = defaultNamespace
	}
	if cfg.Label == "" {
		cfg.Label = defaultLabel
	}
	if cfg.MaxSeries == 0 {
		cfg.MaxSeries = defaultMaxSeries
	}
	if !isName(cfg.Namespace) {
		return fmt.Errorf("memwatchmetrics: Config.Namespace is %q, want letters, digits and _", cfg.Namespace)
	}
	if !isName(cfg.Label) {
		return fmt.Errorf("memwatchmetrics: Config.Label is %q, want letters, digits and _", cfg.Label)
	}
	for label := range cfg.Labels {
		if !isName(label) {
			return fmt.Errorf("memwatchmetrics: Config.Labels has %q, want letters, digits and _", label)
		}
	}
	return nil
}

// isName reports whether s can be part of a metric's name or be a label: ASCII
// letters, digits and _, the first one no digit.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// seconds is d as metrics have it.
func seconds(d int64) float64 { return float64(d) / float64(time.Second) }
