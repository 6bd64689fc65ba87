package composition_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
	"github.com/bedplate/bedplate/bulkhead"
	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/jwt"
	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/retry"
	"github.com/bedplate/bedplate/retry/hedge"
	"github.com/bedplate/bedplate/workerpool"
)

// The stations of a call, from the outside to the inside.
const (
	atBreaker = iota
	atLimit
	atBulkhead
	atPool
	atWork
	stations
)

// station is the ledger in front of one guard: what came, and what the guard
// itself turned away, so that the next station did not see it.
type station struct {
	came    atomic.Uint64
	left    atomic.Uint64 // by a panic or Goexit, in either case without a result
	refused atomic.Uint64 // by the guard, with an error of its own
	gone    atomic.Uint64 // by the guard, with that of the ctx
	early   atomic.Uint64 // of these, those whose ctx was done when they came
}

// trip is one attempt on its way through the stations, on one goroutine.
type trip struct {
	call    *call
	deepest int // the station it has come to
}

type tripKey struct{}

// conn is what the pool hands out.
type conn struct {
	users  atomic.Int32
	broken atomic.Bool
	ended  atomic.Bool
}

// outcome is an event: how a call has ended.
type outcome struct {
	id uint64
	ok bool
}

// world is all packages together, and the ledger.
type world struct {
	seed uint64
	unit time.Duration

	retrier  *retry.Retrier
	hedger   *hedge.Hedger
	breaker  *breaker.Breaker
	limiter  *ratelimit.Limiter[uint64]
	bulkhead *bulkhead.Bulkhead
	pool     *pool.Pool[*conn]
	workers  *workerpool.Pool
	cache    *lru.Cache[uint64, uint64]
	topic    *emitter.Topic[outcome]

	issuer   *jwt.Issuer[jwt.Registered]
	verifier *jwt.Verifier[jwt.Registered]

	guards func(context.Context) (uint64, error) // from the breaker inwards

	station [stations]station

	// Of the caller of the retry.
	asked, early, good, bad, broke       atomic.Uint64 // broke: by panic or Goexit
	attempts, decided, recovered         atomic.Uint64
	gaveUp, overBudget, exhausted        atomic.Uint64
	hedged, hedgedEarly, raced, raceGood atomic.Uint64
	hedgedGood                           atomic.Uint64

	// Of fn.
	ran, ranGood, ranBad, ranPanic, ranExit, ranBroken atomic.Uint64

	// Of hooks and of functions that packages call.
	failures, ignored, opened                    atomic.Uint64
	limited, bhAcquired, bhReleased, bhRefused   atomic.Uint64
	plAcquired, plReleased, plRefused            atomic.Uint64
	made, ended, endedHook                       atomic.Uint64
	emitted, heard, heardAsync, failed, complain atomic.Uint64
	lookups, lookupsEarly, loads, loadsBad       atomic.Uint64
	tokens, admitted, forged                     atomic.Uint64
	tasks, tasksRefused, tasksRan, taskPanics    atomic.Uint64

	states struct {
		sync.Mutex
		last breaker.State
	}
	complaints struct {
		sync.Mutex
		text []string
	}
}

// wrong takes note of what should not be. It may be called by any goroutine.
func (w *world) wrong(format string, args ...any) {
	w.complain.Add(1)
	w.complaints.Lock()
	defer w.complaints.Unlock()
	if len(w.complaints.text) < 20 {
		w.complaints.text = append(w.complaints.text, fmt.Sprintf(format, args...))
	}
}

// newWorld makes one in which slow things take about unit, and each tenant may
// make share calls in ten of them.
func newWorld(t *testing.T, seed uint64, unit time.Duration, share int) *world {
	t.Helper()
	w := &world{seed: seed, unit: unit}
	budget := retry.MustNewBudget(retry.BudgetConfig{MaxTokens: 1500, Ratio: 1})
	var err error
	w.retrier, err = retry.New(retry.Config{
		Name: "calls", BaseDelay: unit / 4, MaxDelay: 2 * unit, MaxRetryAfter: 20 * unit, Budget: budget,
		Hooks: retry.Hooks{OnRetry: func(e retry.RetryEvent) {
			w.decided.Add(1)
			tag, ok := e.Err.(*tagged)
			if !ok {
				w.wrong("the retry tells of %T, which is not what the attempt returned", e.Err)
				return
			}
			tag.call.decided++
			if after := retryAfter(e.Err); after > e.Delay {
				w.wrong("a retry waits for %v, and was asked for %v", e.Delay, after)
			}
		}},
	})
	require.NoError(t, err)
	w.hedger, err = hedge.New(hedge.Config{Name: "calls", Delay: unit / 2, Budget: budget})
	require.NoError(t, err)
	w.breaker, err = breaker.New(breaker.Config{
		Name: "calls", FailureRate: 0.5, Window: 10 * unit, MinCalls: 20, OpenFor: 5 * unit, Probes: 4, SuccessThreshold: 3,
		Classify: func(ctx context.Context, err error) breaker.Outcome {
			o := breaker.DefaultClassify(ctx, err)
			if errors.Is(err, ratelimit.ErrLimited) || errors.Is(err, bulkhead.ErrFull) {
				o = breaker.Ignored // our own refusals say nothing of the dependency
			}
			switch o {
			case breaker.Failure:
				w.failures.Add(1)
			case breaker.Ignored:
				w.ignored.Add(1)
			case breaker.Success:
			}
			return o
		},
		Hooks: breaker.Hooks{OnStateChange: w.stateChanged},
	})
	require.NoError(t, err)
	w.limiter, err = ratelimit.New(ratelimit.Config[uint64]{
		Name: "tenants", MaxWait: unit, MaxWaiting: 16,
		Limits: []ratelimit.Limit{ratelimit.Rate(5000, 250*unit, 800), ratelimit.Per(share, 10*unit)},
		Hooks:  ratelimit.Hooks{OnLimited: func(ratelimit.Limited) { w.limited.Add(1) }},
	})
	require.NoError(t, err)
	w.bulkhead, err = bulkhead.New(bulkhead.Config{
		Name: "calls", Limit: 48, MaxWaiting: 150, MaxWait: 10 * unit,
		Hooks: bulkhead.Hooks{
			OnAcquired: func(bulkhead.Acquired) { w.bhAcquired.Add(1) },
			OnReleased: func(bulkhead.Released) { w.bhReleased.Add(1) },
			OnRefused:  func(bulkhead.Refused) { w.bhRefused.Add(1) },
		},
	})
	require.NoError(t, err)
	w.pool, err = pool.New(pool.Config[*conn]{
		Name: "conns", Max: 24, MaxWaiting: 22, AcquireTimeout: 8 * unit, Backoff: unit, MaxBackoff: 4 * unit, CheckAfter: unit,
		Create: func(context.Context) (*conn, error) {
			if w.made.Load()%16 == 15 && draw(w.seed, w.pool.Stats().CreateFailed, 9)%2 == 0 {
				return nil, errDial
			}
			w.made.Add(1)
			return new(conn), nil
		},
		Destroy: func(c *conn) error {
			if c.ended.Swap(true) {
				w.wrong("a connection was destroyed twice")
			}
			if n := c.users.Load(); n != 0 {
				w.wrong("a connection was destroyed with %d users", n)
			}
			w.ended.Add(1)
			return nil
		},
		Check: func(_ context.Context, c *conn) error {
			if c.broken.Load() {
				return errDial
			}
			return nil
		},
		IsBroken: func(err error) bool { f, ok := errors.AsType[*fault](err); return ok && f.broken },
		Hooks: pool.Hooks{
			OnAcquired:  func(pool.Acquired) { w.plAcquired.Add(1) },
			OnReleased:  func(pool.Released) { w.plReleased.Add(1) },
			OnRefused:   func(pool.Refused) { w.plRefused.Add(1) },
			OnDestroyed: func(pool.Destroyed) { w.endedHook.Add(1) },
		},
	})
	require.NoError(t, err)
	w.workers, err = workerpool.New(workerpool.Config{Name: "tasks", Max: 16, Queue: 64})
	require.NoError(t, err)
	w.cache, err = lru.New(lru.Config[uint64, uint64]{Name: "results", Capacity: 128, TTL: 5 * unit})
	require.NoError(t, err)
	w.topic, err = emitter.New[outcome](emitter.Config{
		Name: "outcomes", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), SlowAfter: time.Hour,
		Hooks: emitter.Hooks{OnError: func(error) { w.failed.Add(1) }},
	})
	require.NoError(t, err)
	w.topic.On(func(outcome) { w.heard.Add(1) })
	_, err = w.topic.Subscribe(emitter.SubConfig{Name: "async", Async: true}, func(_ context.Context, o outcome) error {
		w.heardAsync.Add(1)
		if o.id%1000 == 7 {
			return errListener
		}
		return nil
	})
	require.NoError(t, err)
	keys := jwt.MustNewKeySet(jwt.MustNewKey("k", []byte("0123456789abcdef0123456789abcdef")))
	w.issuer, err = jwt.NewIssuer[jwt.Registered](jwt.IssuerConfig{Keys: keys, TTL: 24 * time.Hour})
	require.NoError(t, err)
	w.verifier, err = jwt.NewVerifier[jwt.Registered](jwt.VerifierConfig{
		Keys: keys, Issuer: jwt.Any(), Audience: jwt.Any(), Subject: jwt.Present(), Type: jwt.Any(),
	})
	require.NoError(t, err)
	w.guards = w.nest()
	return w
}

var (
	errDial     = errors.New("cannot dial")
	errListener = errors.New("the listener fails")
)

// nest builds breaker ▸ ratelimit ▸ bulkhead ▸ pool ▸ fn, with a station in
// front of each.
func (w *world) nest() func(context.Context) (uint64, error) {
	work := func(ctx context.Context, c *conn) (uint64, error) {
		w.at(ctx, atWork)
		return w.fn(ctx, tripOf(ctx).call, c)
	}
	lease := w.guard(atPool, func(ctx context.Context) (uint64, error) { return pool.Use(ctx, w.pool, work) })
	slots := w.guard(atBulkhead, func(ctx context.Context) (uint64, error) { return bulkhead.DoValue(ctx, w.bulkhead, lease) })
	permits := w.guard(atLimit, ratelimit.WrapKey(w.limiter, func(ctx context.Context) uint64 { return tenant(tripOf(ctx).call.id) }, slots))
	return w.guard(atBreaker, breaker.Wrap(w.breaker, permits))
}

// tenant is whose call it is: a quarter of all are those of one.
func tenant(id uint64) uint64 {
	if id%4 == 0 {
		return 0
	}
	return 1 + id%15
}

func tripOf(ctx context.Context) *trip { return ctx.Value(tripKey{}).(*trip) }

// at notes that a trip has come to a station.
func (w *world) at(ctx context.Context, i int) *trip {
	t := tripOf(ctx)
	t.deepest = i
	w.station[i].came.Add(1)
	return t
}

// guard puts station i in front of a guard.
func (w *world) guard(i int, through func(context.Context) (uint64, error)) func(context.Context) (uint64, error) {
	s := &w.station[i]
	return func(ctx context.Context) (uint64, error) {
		t := w.at(ctx, i)
		early := ctx.Err() != nil
		returned := false
		defer func() {
			if !returned {
				s.left.Add(1)
			}
		}()
		v, err := through(ctx)
		returned = true
		if t.deepest > i {
			return v, err
		}
		switch {
		case err == nil:
			w.wrong("guard %d returned no error and called nothing", i)
		case isRefusal(i, err):
			s.refused.Add(1)
		default:
			s.gone.Add(1)
			if early {
				s.early.Add(1)
			}
			w.checkGone(ctx, err)
		}
		return v, err
	}
}

// isRefusal reports whether err is one that guard i itself returns.
func isRefusal(i int, err error) bool {
	switch i {
	case atBreaker:
		return errors.Is(err, breaker.ErrOpen)
	case atLimit:
		return errors.Is(err, ratelimit.ErrLimited)
	case atBulkhead:
		return errors.Is(err, bulkhead.ErrFull)
	default:
		_, ok := err.(*pool.AcquireError)
		return ok
	}
}

// checkGone: an error of a ctx that is done matches it and its cause.
func (w *world) checkGone(ctx context.Context, err error) {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) || !errors.Is(err, context.Cause(ctx)) {
		w.wrong("%v (%T) for a ctx with %v, cause %v", err, err, ctx.Err(), context.Cause(ctx))
	}
}

func retryAfter(err error) time.Duration {
	if r, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		return r.RetryAfter()
	}
	return -1
}

// fn is the work, with a connection.
func (w *world) fn(ctx context.Context, c *call, on *conn) (uint64, error) {
	if on.users.Add(1) != 1 || on.ended.Load() {
		w.wrong("call %d has a connection that is another's, or gone", c.id)
	}
	defer on.users.Add(-1)
	w.ran.Add(1)
	run := c.runs.Add(1)
	bad := func(err error) (uint64, error) {
		w.ranBad.Add(1)
		return 0, err
	}
	if ctx.Err() != nil && c.kind < cancelledBefore && tripOf(ctx).call.why == nil && !errors.Is(context.Cause(ctx), hedge.ErrLost) && c.cancel == nil {
		w.wrong("call %d runs with a ctx that is done: %v", c.id, context.Cause(ctx))
	}
	switch c.kind {
	case panicking:
		w.ranPanic.Add(1)
		panic(c.boom)
	case exiting:
		w.ranExit.Add(1)
		runtime.Goexit()
	case cancelledInside:
		c.cancel(c.why)
		if c.id%2 == 0 || ctx.Err() == nil { // a load goes on for others
			return bad(&fault{call: c})
		}
		return bad(fmt.Errorf("fn: %w: %w", ctx.Err(), context.Cause(ctx)))
	case slow, late:
		timer := time.NewTimer(c.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return bad(fmt.Errorf("fn: %w: %w", ctx.Err(), context.Cause(ctx)))
		}
	default:
	}
	if run <= c.fails {
		f := &fault{call: c}
		switch c.kind {
		case permanent:
			return bad(retry.Permanent(f))
		case hinting:
			f.after = w.unit / 2
		case breaking:
			f.broken = true
			on.broken.Store(true)
			w.ranBroken.Add(1)
		default:
		}
		return bad(f)
	}
	w.ranGood.Add(1)
	return c.id, nil
}

func (w *world) stateChanged(e breaker.StateChange) {
	w.states.Lock()
	defer w.states.Unlock()
	if e.From != w.states.last || e.To == e.From {
		w.wrong("the breaker goes from %v to %v and was %v", e.From, e.To, w.states.last)
	}
	w.states.last = e.To
	if e.To == breaker.Open {
		w.opened.Add(1)
	}
}
