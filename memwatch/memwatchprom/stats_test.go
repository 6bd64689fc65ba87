package memwatchprom_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchmetrics"
	"github.com/bedplate/bedplate/memwatch/memwatchprom"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
	"github.com/bedplate/bedplate/stream"
	"github.com/bedplate/bedplate/workerpool"
	"github.com/bedplate/bedplate/workerpool/cluster"
)

var errDown = errors.New("down")

func fail(context.Context) error { return errDown }

var states = map[string][]string{"state": {"closed", "open", "half-open"}}

// row is one stats function: how it is registered, and lines that a scrape must
// have then.
type row struct {
	subsystem string
	register  func(*testing.T, prometheus.Registerer) error
	want      []string
}

func register[S any](t *testing.T, r prometheus.Registerer, subsystem string, stats func() S, cfg memwatchprom.Config) error {
	t.Helper()
	_, err := memwatchprom.Register(r, subsystem, stats, cfg)
	return err
}

// rows has all that has Stats. Package jwt has none.
var rows = []row{
	{"emitter", func(t *testing.T, r prometheus.Registerer) error {
		topic := &emitter.Topic[int]{}
		_, err := topic.Subscribe(emitter.SubConfig{}, func(context.Context, int) error { return nil })
		require.NoError(t, err)
		return register(t, r, "emitter", topic.Stats, memwatchprom.Config{})
	}, []string{`bedplate_emitter_listeners{name=""} 1`, `bedplate_emitter_failures_total{name=""} 0`}},

	{"subscription", func(t *testing.T, r prometheus.Registerer) error {
		return register(t, r, "subscription", func() emitter.SubStats {
			return emitter.SubStats{Name: "audit", Queue: 10, Queued: 2, Delivered: 7, Dropped: 1}
		}, memwatchprom.Config{})
	}, []string{`bedplate_subscription_delivered_total{name="audit"} 7`, `bedplate_subscription_queue{name="audit"} 10`}},

	{"stream", func(t *testing.T, r prometheus.Registerer) error {
		m := &stream.Meter{Name: "import"}
		_, err := stream.Of("ab", "cde").Metered(m).Count(t.Context())
		require.NoError(t, err)
		return register(t, r, "stream", m.Stats, memwatchprom.Config{Counters: []string{"elapsed_ns"}})
	}, []string{
		`bedplate_stream_items_total{name="import"} 2`, `bedplate_stream_bytes_total{name="import"} 5`,
		`bedplate_stream_runs_total{name="import"} 1`, `# TYPE bedplate_stream_elapsed_seconds_total counter`,
	}},

	{"workerpool", func(t *testing.T, r prometheus.Registerer) error {
		p := workerpool.MustNew(workerpool.Config{Name: "qr", Max: 3, SampleEvery: 1})
		f, err := workerpool.Submit(t.Context(), p, func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		_, err = f.Wait(t.Context())
		require.NoError(t, err)
		require.NoError(t, p.Close())
		return register(t, r, "workerpool", p.Stats, memwatchprom.Config{})
	}, []string{
		`bedplate_workerpool_accepted_total{name="qr"} 1`, `bedplate_workerpool_max{name="qr"} 3`,
		`bedplate_workerpool_paused{name="qr"} 0`, `bedplate_workerpool_runs_seconds_bucket{name="qr",le="+Inf"} 1`,
		`bedplate_workerpool_waits_seconds_count{name="qr"} 1`,
	}},

	{"cluster", func(t *testing.T, r prometheus.Registerer) error {
		return register(t, r, "cluster", func() cluster.Stats {
			return cluster.Stats{
				Name: "web", State: cluster.StateRunning, Workers: 2, Ready: 1, Starts: 3,
				Exits: map[cluster.Reason]uint64{cluster.ReasonCrash: 1}, Counters: map[string]uint64{"requests": 9},
				Slots: []cluster.SlotStats{{Slot: 0, State: "ready", RSS: 5, Counters: map[string]uint64{"requests": 9}}, {Slot: 1, State: "waiting"}},
			}
		}, memwatchprom.Config{Gauges: []string{"slots.rss", "slots.peak_rss", "slots.heap"}})
	}, []string{
		`bedplate_cluster_state{name="web",state="running"} 1`, `bedplate_cluster_exits_total{name="web",reason="crash"} 1`,
		`bedplate_cluster_counters_total{key="requests",name="web"} 9`, `bedplate_cluster_slots_rss{name="web",slot="0"} 5`,
		`bedplate_cluster_slots_counters_total{key="requests",name="web",slot="0"} 9`,
		`bedplate_cluster_slots_state{name="web",slot="1",state="waiting"} 1`, `bedplate_cluster_left_out{name="web"} 0`,
	}},

	{"jobs", func(t *testing.T, r prometheus.Registerer) error {
		return register(t, r, "jobs", func() cluster.JobsStats { return cluster.JobsStats{Name: "pdf", Calls: 4} }, memwatchprom.Config{})
	}, []string{`bedplate_jobs_calls_total{name="pdf"} 4`}},

	{"pool", func(t *testing.T, r prometheus.Registerer) error {
		p := pool.MustNew(pool.Config[int]{
			Name: "db", Max: 2,
			Create: func(context.Context) (int, error) { return 1, nil },
		})
		lease, err := p.Acquire(t.Context())
		require.NoError(t, err)
		require.NoError(t, lease.Release())
		require.NoError(t, p.Close())
		return register(t, r, "pool", p.Stats, memwatchprom.Config{})
	}, []string{
		`bedplate_pool_acquired_total{name="db"} 1`, `bedplate_pool_size{name="db"} 0`, `bedplate_pool_destroyed_closed_total{name="db"} 1`,
		`bedplate_pool_creates_seconds_count{name="db"} 1`, `bedplate_pool_waits_seconds_bucket{name="db",le="0.001024"} `,
	}},

	{"breaker", func(t *testing.T, r prometheus.Registerer) error {
		b := breaker.MustNew(breaker.Config{Name: "orders", ConsecutiveFailures: 1, OpenFor: time.Hour})
		require.ErrorIs(t, b.Do(t.Context(), fail), errDown)
		require.ErrorIs(t, b.Do(t.Context(), fail), breaker.ErrOpen)
		return register(t, r, "breaker", b.Stats, memwatchprom.Config{States: states})
	}, []string{
		`bedplate_breaker_state{name="orders",state="open"} 1`, `bedplate_breaker_state{name="orders",state="half-open"} 0`,
		`bedplate_breaker_refused_total{name="orders"} 1`, `bedplate_breaker_opened_total{name="orders"} 1`,
		`bedplate_breaker_retry_after_seconds{name="orders"} `, `bedplate_breaker_mode{mode="auto",name="orders"} 1`,
	}},

	{"upstream", func(t *testing.T, r prometheus.Registerer) error {
		g := breaker.MustNewGroup[string](breaker.GroupConfig{Breaker: breaker.Config{Name: "host", ConsecutiveFailures: 1, OpenFor: time.Hour}})
		for _, host := range []string{"a.example", "b.example"} {
			require.ErrorIs(t, g.Get(host).Do(t.Context(), fail), errDown)
		}
		if err := register(t, r, "upstreams", g.Stats, memwatchprom.Config{}); err != nil {
			return err
		}
		return register(t, r, "upstream", memwatchmetrics.Each(g.All(), (*breaker.Breaker).Stats),
			memwatchprom.Config{Label: "host", States: states})
	}, []string{
		`bedplate_upstreams_created_total 2`, `bedplate_upstream_state{host="a.example",state="open"} 1`,
		`bedplate_upstream_opened_total{host="b.example"} 1`, `bedplate_upstream_left_out 0`,
	}},

	{"retry", func(t *testing.T, r prometheus.Registerer) error {
		re := retry.MustNew(retry.Config{Name: "orders", MaxAttempts: 2, BaseDelay: time.Microsecond})
		require.ErrorIs(t, re.Do(t.Context(), fail), errDown)
		return register(t, r, "retry", re.Stats, memwatchprom.Config{})
	}, []string{`bedplate_retry_retries_total{name="orders"} 1`, `bedplate_retry_gave_up_total{name="orders"} 1`}},

	{"hedge", func(t *testing.T, r prometheus.Registerer) error {
		h := hedge.MustNew(hedge.Config{Name: "search", Delay: 20 * time.Millisecond})
		require.NoError(t, h.Do(t.Context(), func(context.Context) error { return nil }))
		return register(t, r, "hedge", h.Stats, memwatchprom.Config{})
	}, []string{`bedplate_hedge_calls_total{name="search"} 1`, `bedplate_hedge_delay_seconds{name="search"} 0.02`}},

	{"bulkhead", func(t *testing.T, r prometheus.Registerer) error {
		b := bulkhead.MustNew(bulkhead.Config{Name: "orders", Limit: 1})
		permit, err := b.Acquire(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { permit.Release() })
		_, ok := b.TryAcquire()
		require.False(t, ok)
		return register(t, r, "bulkhead", b.Stats, memwatchprom.Config{})
	}, []string{
		`bedplate_bulkhead_in_use{name="orders"} 1`, `bedplate_bulkhead_refused_queue_full_total{name="orders"} 1`,
		`bedplate_bulkhead_waits_seconds_bucket{name="orders",le="6.4e-05"} 0`,
	}},

	{"lru", func(t *testing.T, r prometheus.Registerer) error {
		c := lru.MustNew(lru.Config[string, int]{Name: "links", Capacity: 10})
		c.Set("a", 1)
		c.Get("a")
		c.Get("b")
		return register(t, r, "lru", c.Stats, memwatchprom.Config{})
	}, []string{`bedplate_lru_hits_total{name="links"} 1`, `bedplate_lru_misses_total{name="links"} 1`, `bedplate_lru_len{name="links"} 1`}},

	{"ratelimit", func(t *testing.T, r prometheus.Registerer) error {
		l := ratelimit.MustNew[string](ratelimit.Config[string]{Name: "login", Limits: []ratelimit.Limit{{N: 1, Window: time.Hour}}})
		l.Allow("a")
		l.Allow("a")
		return register(t, r, "ratelimit", l.Stats, memwatchprom.Config{})
	}, []string{`bedplate_ratelimit_allowed_total{name="login"} 1`, `bedplate_ratelimit_limited_total{name="login"} 1`, `bedplate_ratelimit_keys{name="login"} 1`}},

	{"watcher", func(t *testing.T, r prometheus.Registerer) error {
		return register(t, r, "watcher", memwatch.MustNew(memwatch.Config{Name: "api"}).Stats, memwatchprom.Config{
			Omit: []string{"actions.last_error", "actions.last_file"},
		})
	}, []string{`bedplate_watcher_running{name="api"} 0`, `bedplate_watcher_samples_total{name="api"} 0`, `bedplate_watcher_level{level="normal",name="api"} 1`}},

	{"memory", func(t *testing.T, r prometheus.Registerer) error {
		w := memwatch.MustNew(memwatch.Config{Name: "api", Limit: 1 << 30})
		return register(t, r, "memory", memwatchmetrics.Watcher(w), memwatchprom.Config{
			States: map[string][]string{"verdict": {"insufficient", "none", "watch", "suspect", "leak"}},
		})
	}, []string{
		`bedplate_memory_verdict{name="api",verdict="insufficient"} 1`, `bedplate_memory_verdict{name="api",verdict="leak"} 0`,
		`bedplate_memory_limit_bytes{name="api"} `, `bedplate_memory_exhaustion_seconds{name="api"} 0`, `# TYPE bedplate_memory_collections_total counter`,
	}},
}
