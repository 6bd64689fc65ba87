// Package memwatchotel gives OpenTelemetry the Stats of every package of this
// library, by the official metric API, and the refusals of guards as events on
// the caller's span.
//
// # Usage
//
// Register what there is once, when the program starts. It is found by its
// shape, so the same function does for all:
//
//	meter := provider.Meter("example.com/shop")
//	memwatchotel.MustRegister(meter, "breaker", orders.Stats, memwatchotel.Config{
//		States: map[string][]string{"state": {"closed", "open", "half-open"}},
//	})
//	memwatchotel.MustRegister(meter, "bulkhead", slots.Stats, memwatchotel.Config{})
//	memwatchotel.MustRegister(meter, "memory", memwatchmetrics.Watcher(watcher), memwatchotel.Config{})
//
// The field Refused of a breaker named orders becomes the counter
// bedplate.breaker.refused with the attribute name=orders. Two breakers are
// registered under the same subsystem, and differ by name. The breakers of a
// breaker.Group, or whatever there is one of for each key, are registered
// together, with the key as an attribute:
//
//	memwatchotel.MustRegister(meter, "upstream", memwatchmetrics.Each(hosts.All(), (*breaker.Breaker).Stats), memwatchotel.Config{
//		Label: "host",
//	})
//
// What a guard refuses is to be seen in the trace of the request:
//
//	get := memwatchotel.TraceRefusals("orders", breaker.Wrap(orders, fetch))
//
// Hooks get no context, so what they tell belongs to no span. They need no
// adapter to be logged, and by a bridge of slog to reach OpenTelemetry:
//
//	hooks := breaker.Hooks{OnStateChange: func(c breaker.StateChange) {
//		logger.Warn("breaker", "name", c.Name, "from", c.From, "to", c.To, "rule", c.Rule)
//	}}
//
// # Guarantees
//
//   - A counter becomes an observable counter, everything else an observable
//     gauge, with the unit s, By or 1. What each type of field becomes is told
//     by package memwatchmetrics.
//   - A field that has no form as a metric is an error at registration, which
//     names it. Nothing is left out in silence.
//   - The number of attribute sets is bounded, whatever the keys are: MaxSeries
//     elements of a map or slice, and 17 words of a state. left_out counts the
//     elements without one.
//   - One collection calls each stats function once, so what a package promises
//     of its Stats holds for the values of a collection.
//   - No goroutine is started. Unregister of the Registration takes everything
//     away that it brought.
//
// OpenTelemetry has no histogram that can be observed: one has to record each
// value as it comes, which would cost every call. So a histogram of the Stats
// becomes three counters, as Prometheus has them: .count, .sum in seconds, and
// .bucket with the attribute le, the upper bound in seconds, which counts what is
// at most that. Quantiles are to be had from them by the same functions.
//
// A counter that becomes less is told as it is. With cumulative temporality what
// reads it takes that for a restart, which is what it is if a service replaces a
// breaker by a new one.
//
// # Context
//
// Metrics take none. TraceRefusals looks for a span in the ctx of the call, and
// passes that on.
//
// # When not to use it
//
// Where Prometheus scrapes the program and nothing else reads its metrics use
// memwatchprom. Successes that a package does not count, for what counting would
// cost, are not here either: spans have them.
//
// # How it works
//
// At registration reflection makes a plan of the type, once, with an instrument
// for each metric and one callback for all, which walks over the plan whenever a
// reader collects. A Name in the Stats is read once, then, and is an attribute
// of everything. States are one gauge a word, with 0 for those that are not the
// present one, so that an average over time is a share of it.
//
// It lives beside memwatch because that is the package that observes the
// process, and in a module of its own because of what it depends on: the API
// alone, the SDK for its tests. It imports none of the packages whose Stats it
// reads.
//
// # Performance
//
// A collection of one breaker, with 21 values, takes 19 microseconds and 127
// small allocations, and that of a pool with three histograms, of 115 values, 77;
// nearly all of it is the SDK's. Nothing is spent between collections. (Intel
// Xeon, go1.26.8, 2026-11-27, go test -bench=. here.)
package memwatchotel
