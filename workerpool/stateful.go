package workerpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The wait of a worker that could not make its state doubles from the first to
// the last of these.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Stateful is a Pool each of whose workers has a state of its own: a buffer, a
// connection, a model. A task has the state of its worker to itself for as
// long as it runs. Make one with NewStateful or MustNewStateful.
type Stateful[S any] struct {
	pool *Pool
	make func(context.Context) (S, error)
	free func(S)
	//bedplate:allow ctx: the one that init gets, which ends with the pool
	ctx context.Context
}

// NewStateful returns a Stateful as described by cfg. Each worker calls init
// before its first task, and free, which may be nil, before it ends.
//
// If init returns an error or panics, the worker tells Hooks.OnInitFailed and tries
// again, after 10 ms, and then twice as long each time, up to 10 s, less some
// chance. Tasks wait meanwhile, for other workers or for this one. The ctx of
// init ends when the pool is closed.
//
// While a task waits for another task of the pool, a further worker, with a
// state of its own, may take its place, so there can be more states than Max.
// It fails as New does. A cfg with CallerRuns is an error, as a caller has no
// state.
func NewStateful[S any](cfg Config, init func(context.Context) (S, error), free func(S)) (*Stateful[S], error) {
	if init == nil {
		return nil, errors.New("workerpool: init is nil")
	}
	if cfg.Overflow == CallerRuns {
		return nil, errors.New("workerpool: Config.Overflow is CallerRuns, want another for a Stateful")
	}
	ctx, stop := context.WithCancelCause(context.Background())
	s := &Stateful[S]{make: init, free: free, ctx: ctx}
	p, err := newPool(cfg, s.begin, s.end)
	if err != nil {
		stop(nil)
		return nil, err
	}
	p.stop = stop
	s.pool = p
	return s, nil
}

// MustNewStateful is NewStateful for package variables: it panics where
// NewStateful returns an error.
func MustNewStateful[S any](cfg Config, init func(context.Context) (S, error), free func(S)) *Stateful[S] {
	s, err := NewStateful(cfg, init, free)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// Pool returns the pool, for Resize, Stats, Drain, Close and whatever needs no
// state.
func (s *Stateful[S]) Pool() *Pool { return s.pool }

// Go is Pool.Go with the state of the worker.
func (s *Stateful[S]) Go(ctx context.Context, fn func(context.Context, S)) error {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	return s.pool.Go(ctx, func(ctx context.Context) { fn(ctx, s.of(ctx)) })
}

// SubmitState is Submit with the state of the worker.
func SubmitState[S, T any](ctx context.Context, s *Stateful[S], fn func(context.Context, S) (T, error)) (*Future[T], error) {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	return Submit(ctx, s.pool, func(ctx context.Context) (T, error) { return fn(ctx, s.of(ctx)) })
}

// of is the state of the worker whose task ctx belongs to.
func (s *Stateful[S]) of(ctx context.Context) S { return *ctx.(*job).w.state.(*S) }

// begin makes the state of w, however often it takes. It reports false if the
// pool is closed before.
func (s *Stateful[S]) begin(w *worker) bool {
	p := w.pool
	if w.state != nil {
		return true // it lost its goroutine, not its state
	}
	p.passToken(w)
	for attempt, delay := 1, firstRetry; ; attempt, delay = attempt+1, min(2*delay, lastRetry) {
		err := s.attempt(w)
		if err == nil {
			return true
		}
		p.failures.Add(1)
		wait := delay - time.Duration(rand.Int64N(int64(delay/4)))
		if hook := p.cfg.Hooks.OnInitFailed; hook != nil && s.ctx.Err() == nil {
			hook(InitFailed{Name: p.cfg.Name, Err: err, Attempt: attempt, RetryIn: wait})
		}
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			p.resign(w)
			return false
		}
	}
}

// attempt calls init, on a goroutine that init may end.
func (s *Stateful[S]) attempt(w *worker) error {
	result := make(chan error, 1)
	go func() {
		err := ErrGoexit
		defer func() {
			if v := recover(); v != nil {
				err = w.pool.newPanic(v)
			}
			result <- err
		}()
		var state S
		if state, err = s.make(s.ctx); err == nil {
			w.state = &state
		}
	}()
	return <-result
}

func (s *Stateful[S]) end(w *worker) {
	if s.free != nil {
		s.free(*w.state.(*S))
	}
}
