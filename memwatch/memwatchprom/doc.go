// Package memwatchprom gives Prometheus the Stats of every package of this
// library, by the official client.
//
// # Usage
//
// Register what there is once, when the program starts. It is found by its
// shape, so the same function does for all:
//
//	reg := prometheus.NewRegistry()
//	memwatchprom.MustRegister(reg, "breaker", orders.Stats, memwatchprom.Config{
//		States: map[string][]string{"state": {"closed", "open", "half-open"}},
//	})
//	memwatchprom.MustRegister(reg, "bulkhead", slots.Stats, memwatchprom.Config{})
//	memwatchprom.MustRegister(reg, "memory", memwatchmetrics.Watcher(watcher), memwatchprom.Config{})
//	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
//
// The field Refused of a breaker named orders becomes
//
//	bedplate_breaker_refused_total{name="orders"} 7
//
// Two breakers are registered under the same subsystem, and differ by name. The
// breakers of a breaker.Group, or whatever there is one of for each key, are
// registered together, with the key as a label:
//
//	memwatchprom.MustRegister(reg, "upstream", memwatchmetrics.Each(hosts.All(), (*breaker.Breaker).Stats), memwatchprom.Config{
//		Label: "host",
//	})
//
// Hooks need no adapter. One that counts or observes is a line:
//
//	changes := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_breaker_changes_total"}, []string{"to"})
//	hooks := breaker.Hooks{OnStateChange: func(c breaker.StateChange) { changes.WithLabelValues(c.To.String()).Inc() }}
//
// # Guarantees
//
//   - Each name is snake_case, in base units, and ends in _total for a counter;
//     the tests hold it against the linter of Prometheus. What each type of
//     field becomes is told by package memwatchmetrics.
//   - A field that has no form as a metric is an error at registration, which
//     names it. Nothing is left out in silence.
//   - The number of series is bounded, whatever the keys are: MaxSeries
//     elements of a map or slice, and 17 words of a state. left_out counts the
//     elements without a series.
//   - One scrape calls each stats function once, so what a package promises of
//     its Stats holds for the values of a scrape.
//   - No goroutine is started. What was registered goes with r.Unregister.
//
// Histograms are classic ones, with the buckets that the Stats have. A native
// histogram of the same durations would need other bounds: ours are a microsecond
// doubled, its are powers of two of a second. A server that wants them can turn
// them into native ones with custom buckets when it scrapes.
//
// A counter that becomes less is told as it is. Prometheus takes it for a
// restart, which is what it is if a service replaces a breaker by a new one.
//
// # Context
//
// Nothing here takes one. Stats functions do not wait.
//
// # When not to use it
//
// Where the program reports by OpenTelemetry use memwatchotel, also if
// Prometheus scrapes in the end. For a look now and then expvar.Func(func() any
// { return b.Stats() }) needs no dependency.
//
// Successes that a package does not count, for what counting would cost, are
// not here either: measure the call itself.
//
// # How it works
//
// At registration reflection makes a plan of the type, once; a scrape walks
// over it and makes constant metrics. A Name in the Stats is read once, then,
// and is a constant label. States are one gauge a word, with 0 for those that
// are not the present one, so that an average over time is a share of it.
//
// It lives beside memwatch because that is the package that observes the
// process, and in a module of its own because of what it depends on. It imports
// none of the packages whose Stats it reads, so a program that has only a
// breaker links only that.
//
// # Performance
//
// A scrape of one breaker, with 23 series, takes 6.7 microseconds and 89 small
// allocations from its Stats to constant metrics, and that of a pool with three
// histograms 12; with what the registry does it is 51 for the breaker. Half of
// the first is the client's constant metrics, and nothing is spent between
// scrapes. (Intel Xeon, go1.26.8, 2026-11-27, go test -bench=. here.)
package memwatchprom
