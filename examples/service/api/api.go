// Package api is the service: short links with accounts, over HTTP, with the
// guards of this library where a service has them, and everything they know on
// show.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/examples/service/audit"
	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/examples/service/upstream"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
	"github.com/bedplate/bedplate/stream"
	"github.com/bedplate/bedplate/workerpool"
)

// Config describes an API. All fields but Page, Worker and Workers are
// required.
type Config struct {
	Store  *store.Store
	Keys   *jwt.KeySet
	Audit  *audit.Log
	Limits Limits
	Logger *slog.Logger

	// Command carries out what somebody has switched: in this process or, in a
	// cluster, in all.
	Command func(context.Context, Command) error

	// Sent returns how much traffic the built-in load has sent, and how much of
	// it failed.
	Sent func() (sent, failed uint64)

	// Breakable lets everybody who can reach the service break it.
	Breakable bool

	// Page is what / answers. Nil means a list of the routes.
	Page http.Handler

	// Worker is this process's place in a cluster of Workers processes; below 2
	// there is no cluster.
	Worker, Workers int

	// Rounds is how many rounds a new password is hashed for; 600,000 are usual.
	Rounds int
}

// API is the service. Make one with New, serve its Handler, and Drain it.
type API struct {
	cfg     Config
	started time.Time

	accounts accounts
	links    *lru.Cache[string, link]
	hits     hits
	cpu      *workerpool.Pool // what computes: hashes of passwords, images
	logins   *workerpool.View // the part of cpu that passwords may take
	titles   *upstream.Client
	remote   *upstream.Server
	viewers  *bulkhead.Bulkhead
	memory   *memwatch.Watcher
	leak     leak
	page     *memwatchhttp.Handler // of memory
	requests traffic
	limits   observed // those of users
	imports  stream.Meter
	tokens   tokenCounts

	events   *emitter.Topic[Event]
	progress emitter.Topic[Progress]
	states   emitter.Topic[[]byte]
	recent   recent
	trail    *emitter.Sub // of the audit log

	switches atomic.Pointer[Switches] // written by Apply
	applying sync.Mutex               // held by Apply, so that changes are made in order
	workers  atomic.Pointer[[]Worker] // written by SetWorkers
	report   atomic.Pointer[growth]   // written by look
	draining atomic.Bool              // written by BeginDrain
	leave    chan struct{}            // closed when those who watch must leave

	stop    context.CancelFunc // ends what Run by background
	running sync.WaitGroup
}

// cpuQueue is how many computations may wait.
const cpuQueue = 64

// New returns an API and starts what it does beside requests.
func New(ctx context.Context, cfg Config) (*API, error) {
	a := &API{cfg: cfg, started: time.Now(), leave: make(chan struct{}), events: emitter.MustNew[Event](emitter.Config{Name: "events"})}
	a.switches.Store(&Switches{})
	a.report.Store(&growth{sites: []site{}})
	var err error
	if a.accounts, err = newAccounts(a); err != nil {
		return nil, err
	}
	if a.remote, err = upstream.Listen(ctx); err != nil {
		return nil, fmt.Errorf("starting the upstream: %w", err)
	}
	a.titles = upstream.NewClient(a.remote.URL(), a.onBreaker)
	a.links = lru.MustNew(lru.Config[string, link]{
		Name: "links", Capacity: 10_000, TTL: 10 * time.Second, Jitter: 0.2,
		// What is not there is remembered as well, or whoever guesses slugs asks
		// the database each time; and a redirect of yesterday is better than
		// none while the database is away.
		NegativeTTL: 5 * time.Second, StaleFor: time.Hour,
	})
	a.cpu = workerpool.MustNew(workerpool.Config{
		Name: "cpu", Queue: cpuQueue, Overflow: workerpool.Reject, MaxQueueAge: 3 * time.Second, SampleEvery: 1,
	})
	// One processor is left for others however many log in.
	a.logins = a.cpu.Limit(max(1, a.cpu.Stats().Max-1))
	a.viewers = bulkhead.MustNew(bulkhead.Config{Name: "live", Limit: 64, NoWait: true})
	a.memory = memwatch.MustNew(memwatch.Config{
		Name: "service", Interval: 250 * time.Millisecond, Hooks: memwatch.Hooks{OnChange: a.onMemory},
	})
	if a.page, err = memwatchhttp.New(memwatchhttp.Config{Watcher: a.memory}); err != nil {
		return nil, errors.Join(err, a.remote.Close())
	}
	a.limits = observe(cfg.Limits.Users)
	if err := a.listen(); err != nil {
		return nil, errors.Join(err, a.remote.Close())
	}

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stop = stop
	for _, run := range []func(context.Context){
		a.countHits, a.showStates, a.look, a.pulse, a.sweepSessions,
		func(ctx context.Context) { _ = a.memory.Run(ctx) },
		func(ctx context.Context) { _ = a.links.Run(ctx) },
		a.leak.run,
	} {
		a.running.Go(func() { run(running) })
	}
	return a, nil
}

// BeginDrain lets /readyz and every answer say that this process is about to
// leave, so that clients and balancers turn elsewhere; it still serves. Those
// who watch are sent away, as they would never leave by themselves.
func (a *API) BeginDrain() {
	if !a.draining.Swap(true) {
		close(a.leave)
		_ = a.page.Close() // always nil
	}
}

// Drain ends all that New has started, after the last request: what is counted
// and not yet written, what is queued, the listeners of events, and the file
// that they write. The store is the caller's, and still needed until then. At
// the deadline of ctx it abandons what there is, and says what.
func (a *API) Drain(ctx context.Context) error {
	a.BeginDrain()
	a.Apply(Switches{})
	a.stop()
	a.running.Wait()
	errs := []error{
		a.hits.flush(ctx, a.cfg.Store),
		a.cpu.Drain(ctx),
		a.titles.Bulkhead.Drain(ctx),
		a.events.Drain(ctx),
		a.progress.Drain(ctx),
		a.states.Drain(ctx),
		a.cfg.Audit.Close(),
	}
	a.titles.CloseIdleConnections()
	return errors.Join(append(errs, a.remote.Close())...)
}
