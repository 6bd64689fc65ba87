package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchprom"
)

// metrics answers /metrics with the Stats of everything that has some, in a
// registry of its own.
func (a *API) metrics() http.Handler {
	r := prometheus.NewRegistry()
	none := memwatchprom.Config{}
	breakerStates := map[string][]string{"state": {"closed", "open", "half-open"}, "mode": {"auto", "shadow", "force-open", "force-closed"}}
	memwatchprom.MustRegister(r, "breaker", a.titles.Breaker.Stats, memwatchprom.Config{States: breakerStates})
	memwatchprom.MustRegister(r, "retry", a.titles.Retry.Stats, none)
	memwatchprom.MustRegister(r, "bulkhead", a.titles.Bulkhead.Stats, none)
	memwatchprom.MustRegister(r, "bulkhead", a.viewers.Stats, none)
	memwatchprom.MustRegister(r, "pool", a.cfg.Store.Stats, none)
	memwatchprom.MustRegister(r, "workerpool", a.cpu.Stats, none)
	memwatchprom.MustRegister(r, "lru", a.links.Stats, none)
	memwatchprom.MustRegister(r, "lru", a.accounts.alive.Stats, none)
	memwatchprom.MustRegister(r, "emitter", a.events.Stats, none)
	memwatchprom.MustRegister(r, "emitter_sub", a.trail.Stats, none)
	memwatchprom.MustRegister(r, "stream", a.imports.Stats, none)
	memwatchprom.MustRegister(r, "memory", memwatchmetrics.Watcher(a.memory), none)
	memwatchprom.MustRegister(r, "http", func() requestCounts { return a.requests.state().requestCounts }, none)
	a.cfg.Limits.Register(r)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}
