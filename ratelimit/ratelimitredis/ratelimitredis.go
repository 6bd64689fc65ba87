package ratelimitredis

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/ratelimit"
)

// Config describes a Store. Client is required; the zero value of any other
// field is a sound default.
type Config struct {
	// Name appears in errors, events and Stats, and is part of the keys: Stores
	// of one Name and Prefix share their budgets. It must not have braces.
	Name string

	// Client is how to reach the server, the cluster or the ring. It stays
	// yours to close, after the Store. A client with ContextTimeoutEnabled
	// recovers sooner from a server that hangs.
	Client redis.UniversalClient

	// Prefix begins all keys. Empty means "ratelimit:". It must not have
	// braces.
	Prefix string

	// Limits are the rules for each key, all of which hold. None means
	// ratelimit.Per(100, time.Minute). A window must be a millisecond at
	// least.
	Limits []ratelimit.Limit

	// PlanFor returns other limits for some keys: ratelimit.Unlimited for those
	// on an allow-list, nil for those that Limits are meant for. It is called
	// for each request, and should return the same Plan for equal limits. Nil
	// means that all keys have the same.
	PlanFor func(key string) *ratelimit.Plan

	// Timeout bounds each call, waiting for its turn to be sent included. Zero
	// means 100ms.
	Timeout time.Duration

	// OnError says how to decide when the server does not answer. Zero means
	// FallbackLocal.
	OnError OnError

	// Instances is how many processes share the server's budgets. FallbackLocal
	// gives each of them that part of the limits, rounded up. Zero means 1.
	Instances int

	// FailuresToOpen is how many calls in a row must fail until the server is
	// left alone for OpenFor, and all decisions are made without it. Zero
	// means 5, and 1s.
	FailuresToOpen int
	OpenFor        time.Duration

	// Denials is how many refusals are remembered, to be repeated until their
	// RetryAfter without asking the server. Zero means 10000; below zero, none.
	Denials int

	// Lease lets a key that is asked for often take permits in advance.
	Lease Lease

	// Pipelines is how many may be under way at one time. Calls that come
	// meanwhile gather, and go together. Zero means 2.
	Pipelines int

	// Hooks are called when a request is refused, or a shadow rule would have.
	Hooks ratelimit.Hooks

	// OnFailure is called after a call of the server failed, with a
	// *StoreError. While the circuit is open there are no calls. Nil means
	// that failures are only counted.
	OnFailure func(error)
}

// Store keeps the events of keys in Redis, for all processes that use the same
// server, Prefix, Name and Limits. It is a ratelimit.Store, safe for use by many
// goroutines. Make one with New or MustNew, and Close it.
type Store struct {
	cfg     Config
	prefix  string // of all keys, up to the user's
	plan    *plan
	plans   *lru.Cache[*ratelimit.Plan, *plan]
	line    *line
	circuit *breaker.Breaker
	local   *ratelimit.Limiter[local]
	denials *lru.Cache[string, *denial]
	leases  *lru.Cache[string, *lease]
	base    time.Time
	counts  counters

	// returns counts Refunds and Resets as they begin and end; written by
	// those. A refusal that was under way meanwhile is not remembered.
	returns atomic.Uint64
}

// layout is the version of what the bytes of a key mean.
const layout = "1:"

// New returns a Store as described by cfg. It fails if a field has a value
// that makes no sense, and the error names the field. It does not call the
// server.
func New(cfg Config) (*Store, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	p, err := ratelimit.NewPlan(cfg.Limits...)
	if err != nil {
		return nil, fmt.Errorf("ratelimitredis: Config.Limits: %w", err)
	}
	s := &Store{
		cfg:    cfg,
		prefix: cfg.Prefix + layout + cfg.Name + ":{:",
		plan:   compile(p),
		plans:  lru.MustNew(lru.Config[*ratelimit.Plan, *plan]{Capacity: 1024}),
		line:   &line{client: cfg.Client, timeout: cfg.Timeout, most: cfg.Pipelines, landed: make(chan struct{})},
		base:   time.Now(),
	}
	if s.plan.tooFast != nil {
		return nil, s.plan.tooFast
	}
	s.circuit, err = breaker.New(breaker.Config{
		Name: cfg.Name, ConsecutiveFailures: cfg.FailuresToOpen, OpenFor: cfg.OpenFor, SuccessThreshold: 1,
		ProbeTimeout: max(cfg.OpenFor, 2*cfg.Timeout),
	})
	if err != nil {
		return nil, fmt.Errorf("ratelimitredis: Config: %w", err)
	}
	s.local = newLocal(cfg.Instances)
	if cfg.Denials > 0 {
		s.denials = lru.MustNew(lru.Config[string, *denial]{Capacity: cfg.Denials})
	}
	if cfg.Lease.Permits > 0 {
		s.leases = lru.MustNew(lru.Config[string, *lease]{Capacity: cfg.Lease.Keys, TTL: cfg.Lease.For})
	}
	return s, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Store {
	s, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// fill checks the fields and fills in their defaults.
func (c *Config) fill() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("ratelimitredis: Config.%s is %v, want %s", field, value, want)
	}
	switch {
	case c.Client == nil:
		return bad("Client", "nil", "a client")
	case strings.ContainsAny(c.Name, "{}"):
		return bad("Name", c.Name, "no braces")
	case strings.ContainsAny(c.Prefix, "{}"):
		return bad("Prefix", c.Prefix, "no braces")
	case c.Timeout < 0:
		return bad("Timeout", c.Timeout, "≥ 0")
	case c.OnError > FailClosed:
		return bad("OnError", c.OnError, "FallbackLocal, FailOpen or FailClosed")
	case c.Instances < 0:
		return bad("Instances", c.Instances, "≥ 0")
	case c.FailuresToOpen < 0 || c.FailuresToOpen > 65535:
		return bad("FailuresToOpen", c.FailuresToOpen, "0 to 65535")
	case c.OpenFor < 0:
		return bad("OpenFor", c.OpenFor, "≥ 0")
	case c.Denials > 1<<30:
		return bad("Denials", c.Denials, "at most 1073741824")
	case c.Pipelines < 0:
		return bad("Pipelines", c.Pipelines, "≥ 0")
	}
	if err := c.Lease.fill(); err != nil {
		return err
	}
	if c.Prefix == "" {
		c.Prefix = "ratelimit:"
	}
	if len(c.Limits) == 0 {
		c.Limits = []ratelimit.Limit{ratelimit.Per(100, time.Minute)}
	}
	c.Timeout = or(c.Timeout, 100*time.Millisecond)
	c.Instances = or(c.Instances, 1)
	c.FailuresToOpen = or(c.FailuresToOpen, 5)
	c.OpenFor = or(c.OpenFor, time.Second)
	c.Denials = or(c.Denials, 10_000)
	c.Pipelines = or(c.Pipelines, 2)
	return nil
}

// or returns v, or byDefault if v is zero.
func or[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}

// Take takes n permits for key, all or none, and says how the key stands. With
// n zero it only looks. It returns within Config.Timeout, whatever becomes of
// the server: if there is no answer, as Config.OnError says. A negative n
// panics.
//
// It fails with the error of ctx, with ErrClosed, or with FailClosed and no
// answer, with a *StoreError.
func (s *Store) Take(ctx context.Context, key string, n int) (ratelimit.Decision, error) {
	notNegative(n)
	if ctx.Err() != nil {
		return ratelimit.Decision{}, ctxError(ctx)
	}
	p, err := s.planOf(key)
	if err != nil {
		return ratelimit.Decision{}, err
	}
	if len(p.limits) == 0 {
		d := ratelimit.Decision{Allowed: true, Unlimited: true}
		s.note(key, n, &d)
		return d, nil
	}
	d, err := s.decide(ctx, p, key, n)
	if err != nil {
		return d, err
	}
	s.note(key, n, &d)
	return d, nil
}

// decide gets a decision from a lease, from an earlier refusal or from the
// server, or without any of them.
func (s *Store) decide(ctx context.Context, p *plan, key string, n int) (ratelimit.Decision, error) {
	l, d, ok := s.spend(p, key, n)
	if ok {
		return d, nil
	}
	most := n
	if l != nil {
		most = max(n, s.cfg.Lease.Permits)
		defer l.filled()
	}
	if d, ok = s.repeat(p, key, n); ok {
		return d, nil
	}
	returns, start := s.returns.Load(), s.now()
	args := make([]any, 0, 2+len(p.args))
	args = append(append(args, n, most), p.args...)
	reply, err := s.call(ctx, &request{script: takeScript, keys: p.keys(s.prefix, key), args: args})
	if err != nil {
		return s.without(p, key, n, err)
	}
	d = p.decision(reply)
	switch {
	case !d.Allowed:
		s.remember(p, key, n, d, start, returns)
	case l != nil:
		d.Remaining += l.fill(int(reply[0])-n, d, start, start+s.cfg.Lease.For)
	}
	return d, nil
}

// Refund gives back the n newest permits of key, as far as they still count.
// Those that were given without the server are given back to this process. It
// fails with the error of ctx, ErrClosed or a *StoreError. A negative n panics.
func (s *Store) Refund(ctx context.Context, key string, n int) error {
	notNegative(n)
	return s.giveBack(ctx, key, func(p *plan) *request {
		return &request{script: refundScript, args: append([]any{n, n}, p.args...)}
	}, func(k local) { s.local.Refund(k, n) })
}

// Reset forgets all events of key. It fails as Refund does.
func (s *Store) Reset(ctx context.Context, key string) error {
	return s.giveBack(ctx, key, func(*plan) *request { return &request{} }, s.local.Reset)
}

// giveBack does what Refund and Reset share.
func (s *Store) giveBack(ctx context.Context, key string, ask func(*plan) *request, locally func(local)) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	p, err := s.planOf(key)
	if err != nil || len(p.limits) == 0 {
		return err
	}
	r := ask(p)
	r.keys = p.keys(s.prefix, key)
	s.returns.Add(1)
	_, err = s.call(ctx, r)
	s.returns.Add(1)
	s.forget(key)
	if err != nil && s.cfg.OnError == FallbackLocal {
		locally(local{p.source, key})
	}
	return err
}

// planOf returns the plan of key.
func (s *Store) planOf(key string) (*plan, error) {
	if s.cfg.PlanFor == nil {
		return s.plan, nil
	}
	source := s.cfg.PlanFor(key)
	if source == nil || source == s.plan.source {
		return s.plan, nil
	}
	p, ok := s.plans.Get(source)
	if !ok {
		p = compile(source)
		s.plans.Set(source, p)
	}
	return p, p.tooFast
}

// note counts a decision and tells the hooks.
func (s *Store) note(key string, n int, d *ratelimit.Decision) {
	switch h := &s.cfg.Hooks; {
	case !d.Allowed:
		s.counts.limited.Add(1)
		if h.OnLimited != nil {
			h.OnLimited(ratelimit.Limited{Name: s.cfg.Name, Key: key, Permits: n, Decision: *d})
		}
	default:
		s.counts.allowed.Add(1)
		if !d.Shadowed {
			return
		}
		s.counts.shadowed.Add(1)
		if h.OnShadowed != nil {
			h.OnShadowed(ratelimit.Shadowed{Name: s.cfg.Name, Key: key, Permits: n, Decision: *d})
		}
	}
}

// Drain refuses new calls with ErrClosed and returns when the pipelines under
// way are over, or with the error of ctx. Leased permits that were not spent
// lapse.
func (s *Store) Drain(ctx context.Context) error { return s.line.close(ctx) }

// Close is Drain without an end: it returns when the last pipeline is over,
// which is within Config.Timeout, or within the client's ReadTimeout if it has
// no ContextTimeoutEnabled and the server hangs. It may be called again. The
// client stays open.
func (s *Store) Close() error { return s.line.close(context.Background()) }

// now is the time on the store's clock.
func (s *Store) now() time.Duration { return time.Since(s.base) }

func notNegative(n int) {
	if n < 0 {
		panic(fmt.Sprintf("ratelimitredis: n is %d, want ≥ 0", n))
	}
}
