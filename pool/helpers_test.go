package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

var (
	errDown   = errors.New("connection refused")
	errBroken = errors.New("broken pipe")
)

// res is a resource that notices who uses it.
type res struct {
	id     int
	users  atomic.Int32
	broken atomic.Bool
	ended  atomic.Bool
}

// use is what a holder does: nobody else may be at it, and it must be there.
func (r *res) use(t *testing.T, inside func()) {
	if n := r.users.Add(1); n != 1 {
		t.Errorf("resource %d has %d users", r.id, n)
	}
	if r.ended.Load() {
		t.Errorf("resource %d is used after its end", r.id)
	}
	if inside != nil {
		inside()
	}
	r.users.Add(-1)
}

// world is where resources come from. It counts a resource from the moment in
// which Create is called until Destroy has returned, as a server does.
type world struct {
	t *testing.T

	mu          sync.Mutex
	made        []*res
	now, most   int
	dials       int // Creates under way
	mostDials   int
	destroyed   int
	checks      int
	resets      int
	createErr   error
	fails       int // how many of the next Creates fail with errDown
	createTime  time.Duration
	checkTime   time.Duration
	destroyTime time.Duration
	destroyErr  error
}

func (w *world) set(change func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *world) get(what func(*world) int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return what(w)
}

// list is filled by some goroutines and read by others.
type list[T any] struct {
	mu     sync.Mutex
	values []T
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, v)
}

func (l *list[T]) all() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]T(nil), l.values...)
}

// What get can ask for.
func now(w *world) int       { return w.now }
func most(w *world) int      { return w.most }
func mostDials(w *world) int { return w.mostDials }
func destroyed(w *world) int { return w.destroyed }
func checks(w *world) int    { return w.checks }
func resets(w *world) int    { return w.resets }

// pause waits for d or ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) create(ctx context.Context) (*res, error) {
	w.mu.Lock()
	w.now++
	w.most = max(w.most, w.now)
	w.dials++
	w.mostDials = max(w.mostDials, w.dials)
	d := w.createTime
	w.mu.Unlock()

	err := pause(ctx, d)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials--
	switch {
	case err != nil:
	case w.fails > 0:
		w.fails--
		err = errDown
	default:
		err = w.createErr
	}
	if err != nil {
		w.now--
		return nil, err
	}
	r := &res{id: len(w.made) + 1}
	w.made = append(w.made, r)
	return r, nil
}

func (w *world) destroy(r *res) error {
	if r.users.Load() != 0 {
		w.t.Errorf("resource %d is destroyed while somebody uses it", r.id)
	}
	if r.ended.Swap(true) {
		w.t.Errorf("resource %d is destroyed twice", r.id)
	}
	_ = pause(context.Background(), w.delay(func(w *world) time.Duration { return w.destroyTime }))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	w.destroyed++
	return w.destroyErr
}

// detach detaches l and ends its resource. The pool makes room at once, so the
// resource is not counted from before.
func (w *world) detach(l pool.Lease[*res]) error {
	w.set(func(w *world) { w.now-- })
	v, err := l.Detach()
	if err == nil && v.ended.Swap(true) {
		w.t.Errorf("resource %d was detached after its end", v.id)
	}
	return err
}

func (w *world) delay(of func(*world) time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return of(w)
}

func (w *world) check(ctx context.Context, r *res) error {
	w.set(func(w *world) { w.checks++ })
	var err error
	r.use(w.t, func() {
		err = pause(ctx, w.delay(func(w *world) time.Duration { return w.checkTime }))
	})
	if r.broken.Load() {
		return errBroken
	}
	return err
}

func (w *world) reset(_ context.Context, r *res) error {
	w.set(func(w *world) { w.resets++ })
	r.use(w.t, nil)
	if r.broken.Load() {
		return errBroken
	}
	return nil
}

// config is a Config with all of the world's functions.
func (w *world) config(cfg pool.Config[*res]) pool.Config[*res] {
	cfg.Create, cfg.Destroy, cfg.Check = w.create, w.destroy, w.check
	return cfg
}

// newPool returns a pool that is closed when the test ends, and its world, in
// which nothing may be left then.
func newPool(t *testing.T, cfg pool.Config[*res]) (*pool.Pool[*res], *world) {
	w := &world{t: t}
	p := pool.MustNew(w.config(cfg))
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		if s := p.Stats(); s.InUse == 0 && s.Detached == 0 {
			require.Zero(t, w.get(func(w *world) int { return w.now }), "resources are left after Close")
		}
	})
	return p, w
}

// caller is a goroutine that acquires. What it got is to be asked for on the
// goroutine of the test, after synctest.Wait.
type caller struct {
	cancel context.CancelFunc
	answer chan answer
	got    answer // the zero one until there is one
}

type answer struct {
	lease   pool.Lease[*res]
	err     error
	took    time.Duration
	settled bool
}

// look takes the answer if there is one.
func (c *caller) look() answer {
	select {
	case c.got = <-c.answer:
	default:
	}
	return c.got
}

func (c *caller) settled() bool           { return c.look().settled }
func (c *caller) err() error              { return c.look().err }
func (c *caller) lease() pool.Lease[*res] { return c.look().lease }
func (c *caller) took() time.Duration     { return c.look().took }

// call starts a caller of p, which has settled or is in line when call returns.
func call(t *testing.T, p *pool.Pool[*res]) *caller {
	ctx, cancel := context.WithCancel(t.Context())
	return callWith(ctx, cancel, p)
}

func callWith(ctx context.Context, cancel context.CancelFunc, p *pool.Pool[*res]) *caller {
	c := &caller{cancel: cancel, answer: make(chan answer, 1)}
	start := time.Now()
	go func() {
		l, err := p.Acquire(ctx)
		c.answer <- answer{lease: l, err: err, took: time.Since(start), settled: true}
	}()
	synctest.Wait() // the next one comes after it
	return c
}

// holds reports whether the caller got the resource with this id.
func (c *caller) holds(id int) bool {
	return c.settled() && c.err() == nil && c.lease().Value().id == id
}

func mustAcquire(t *testing.T, p *pool.Pool[*res]) pool.Lease[*res] {
	t.Helper()
	l, err := p.Acquire(t.Context())
	require.NoError(t, err)
	return l
}

// gauges is the part of Stats that says where the resources are.
func gauges(p *pool.Pool[*res]) string {
	s := p.Stats()
	return fmt.Sprintf("total %d: %d in use, %d idle, %d checking, %d creating, %d closing; %d waiting",
		s.Total, s.InUse, s.Idle, s.Checking, s.Creating, s.Closing, s.Waiting)
}

func requireGauges(t *testing.T, p *pool.Pool[*res], want string) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, want, gauges(p))
}
