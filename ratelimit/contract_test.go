package ratelimit_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

var errCause = errors.New("cause")

// pair is a limiter and a single of the same configuration, each with one key.
type pair struct {
	keyed  *ratelimit.Limiter[string]
	single *ratelimit.Single
}

func newPair(maxWait time.Duration, limits ...ratelimit.Limit) pair {
	return pair{
		ratelimit.MustNew(ratelimit.Config[string]{Limits: limits, MaxWait: maxWait}),
		ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: limits, MaxWait: maxWait}),
	}
}

func (p pair) remaining(entry string) int {
	if strings.HasPrefix(entry, "Single") {
		return p.single.Peek().Remaining
	}
	return p.keyed.Peek("k").Remaining
}

func (p pair) waiting() int { return p.keyed.Stats().Waiting + p.single.Stats().Waiting }

func nothing(context.Context) error          { return nil }
func zero(context.Context) (int, error)      { return 0, nil }
func keyOf(context.Context) string           { return "k" }
func explode(context.Context) error          { panic(errCause) }
func leave(context.Context) (v int, _ error) { runtime.Goexit(); return v, nil }

// entries are the ways in that take a ctx. Each takes one permit, and waits
// for it if MaxWait is set.
var entries = map[string]func(context.Context, pair) error{
	"Wait":  func(ctx context.Context, p pair) error { return p.keyed.Wait(ctx, "k") },
	"WaitN": func(ctx context.Context, p pair) error { return p.keyed.WaitN(ctx, "k", 1) },
	"Do":    func(ctx context.Context, p pair) error { return p.keyed.Do(ctx, "k", nothing) },
	"DoKey": func(ctx context.Context, p pair) error {
		_, err := ratelimit.DoKey(ctx, p.keyed, "k", zero)
		return err
	},
	"WrapKey": func(ctx context.Context, p pair) error {
		_, err := ratelimit.WrapKey(p.keyed, keyOf, zero)(ctx)
		return err
	},
	"SingleWait":  func(ctx context.Context, p pair) error { return p.single.Wait(ctx) },
	"SingleWaitN": func(ctx context.Context, p pair) error { return p.single.WaitN(ctx, 1) },
	"SingleDo":    func(ctx context.Context, p pair) error { return p.single.Do(ctx, nothing) },
	"SingleDoValue": func(ctx context.Context, p pair) error {
		_, err := ratelimit.DoValue(ctx, p.single, zero)
		return err
	},
	"SingleWrap": func(ctx context.Context, p pair) error { _, err := ratelimit.Wrap(p.single, zero)(ctx); return err },
}

var algorithms = map[string]ratelimit.Limit{
	"window": ratelimit.Per(2, time.Second),
	"gcra":   ratelimit.Rate(2, time.Second, 2),
}

func eachEntry(t *testing.T, f func(t *testing.T, name string, limit ratelimit.Limit, enter func(context.Context, pair) error)) {
	t.Helper()
	for algorithm, limit := range algorithms {
		for name, enter := range entries {
			t.Run(algorithm+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, name, limit, enter) })
			})
		}
	}
}

// Done before the call: an error although there are permits, fn is not called,
// and no permit is taken.
func TestContractDoneBeforeCall(t *testing.T) {
	eachEntry(t, func(t *testing.T, name string, limit ratelimit.Limit, enter func(context.Context, pair) error) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := newPair(0, limit)
		require.Equal(t, context.Canceled, enter(ctx, p))
		require.Equal(t, 2, p.remaining(name))
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPair(0, ratelimit.Per(1, time.Second))
	called := func(context.Context) error { t.Error("called"); return nil }
	require.Error(t, p.keyed.Do(ctx, "k", called))
	require.Error(t, p.single.Do(ctx, called))
}

// exhaust takes all permits of both.
func (p pair) exhaust() {
	for p.keyed.Allow("k") {
	}
	for p.single.Allow() {
	}
}

// Done while waiting: prompt return, the place in the queue is gone, and the
// next caller is not held up by it.
func TestContractDoneWhileWaiting(t *testing.T) {
	eachEntry(t, func(t *testing.T, name string, limit ratelimit.Limit, enter func(context.Context, pair) error) {
		p := newPair(time.Minute, limit)
		p.exhaust()
		ctx, cancel := context.WithCancel(t.Context())
		var err, behind error
		go func() { err = enter(ctx, p) }()
		synctest.Wait()
		require.Equal(t, 1, p.waiting())
		start := time.Now()
		var turn time.Duration
		go func() { behind = enter(t.Context(), p); turn = time.Since(start) }()
		synctest.Wait()
		require.Equal(t, 2, p.waiting())
		cancel()
		synctest.Wait()
		require.Equal(t, context.Canceled, err)
		require.Zero(t, time.Since(start))
		require.Equal(t, 1, p.waiting())
		//bedplate:allow sleep: runs in the bubble of eachEntry
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.NoError(t, behind)
		require.LessOrEqual(t, turn, time.Second, "the one behind moved up")
		require.Zero(t, p.waiting())
		_ = name
	})
}

// The error matches ctx.Err() and context.Cause(ctx), before and while waiting.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	eachEntry(t, func(t *testing.T, _ string, limit ratelimit.Limit, enter func(context.Context, pair) error) {
		p := newPair(time.Minute, limit)
		p.exhaust()
		ctx, cancel := context.WithCancelCause(t.Context())
		var err error
		go func() { err = enter(ctx, p) }()
		synctest.Wait()
		cancel(errCause)
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)

		err = enter(ctx, p)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
	})
}

type ctxKey struct{}

// fn's ctx is the caller's or derives from it.
func TestContractFnContextDerives(t *testing.T) {
	p := newPair(0)
	ctx := context.WithValue(t.Context(), ctxKey{}, "v")
	fn := func(ctx context.Context) (any, error) { return ctx.Value(ctxKey{}), nil }
	require.NoError(t, p.keyed.Do(ctx, "k", func(ctx context.Context) error {
		require.Equal(t, "v", ctx.Value(ctxKey{}))
		return nil
	}))
	require.NoError(t, p.single.Do(ctx, func(ctx context.Context) error {
		require.Equal(t, "v", ctx.Value(ctxKey{}))
		return nil
	}))
	v, err := ratelimit.DoKey(ctx, p.keyed, "k", fn)
	require.NoError(t, err)
	require.Equal(t, "v", v)
	v, err = ratelimit.DoValue(ctx, p.single, fn)
	require.NoError(t, err)
	require.Equal(t, "v", v)
}

// Cancelling one who waits leaves those before and behind it alone, and
// cancelling one whose fn runs leaves those who wait alone.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	eachEntry(t, func(t *testing.T, _ string, limit ratelimit.Limit, enter func(context.Context, pair) error) {
		p := newPair(time.Minute, limit)
		p.exhaust()
		var mu sync.Mutex
		var errs [3]error
		results := func() [3]error {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return errs
		}
		var cancels [3]context.CancelFunc
		for i := range errs {
			ctx, cancel := context.WithCancel(t.Context())
			cancels[i] = cancel
			mu.Lock()
			errs[i] = errCause
			mu.Unlock()
			go func() {
				err := enter(ctx, p)
				mu.Lock()
				defer mu.Unlock()
				errs[i] = err
			}()
			synctest.Wait()
		}
		cancels[1]()
		synctest.Wait()
		require.Equal(t, [3]error{errCause, context.Canceled, errCause}, results())
		//bedplate:allow sleep: runs in the bubble of eachEntry
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, [3]error{nil, context.Canceled, nil}, results())
		cancels[0]()
		cancels[2]()
	})
}

// fn's error comes back as it is, also if it is one of the package's own.
func TestContractFnErrorUnwrapped(t *testing.T) {
	p := newPair(0)
	for _, want := range []error{errCause, ratelimit.ErrLimited, context.Canceled} {
		fail := func(context.Context) error { return want }
		three := func(context.Context) (int, error) { return 3, want }
		require.Equal(t, want, p.keyed.Do(t.Context(), "k", fail))
		require.Equal(t, want, p.single.Do(t.Context(), fail))
		v, err := ratelimit.DoKey(t.Context(), p.keyed, "k", three)
		require.Equal(t, want, err)
		require.Equal(t, 3, v)
		v, err = ratelimit.DoValue(t.Context(), p.single, three)
		require.Equal(t, want, err)
		require.Equal(t, 3, v)
	}
}

// A panic or Goexit in fn passes through untouched; its permit is taken, and
// nothing stays locked.
func TestContractPanicAndGoexit(t *testing.T) {
	p := newPair(0, ratelimit.Per(5, time.Minute))
	for _, do := range []func(){
		func() { _ = p.keyed.Do(t.Context(), "k", explode) },
		func() { _ = p.single.Do(t.Context(), explode) },
	} {
		func() {
			defer func() {
				require.Equal(t, errCause, recover())
				// The stack still has the frame that panicked: nothing
				// recovered and panicked again on the way.
				require.Contains(t, string(debug.Stack()), "ratelimit_test.explode")
			}()
			do()
		}()
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = ratelimit.DoKey(context.Background(), p.keyed, "k", leave) })
	wg.Go(func() { _, _ = ratelimit.DoValue(context.Background(), p.single, leave) })
	wg.Wait()
	require.Equal(t, 3, p.keyed.Peek("k").Remaining)
	require.Equal(t, 3, p.single.Peek().Remaining)
	require.NoError(t, p.keyed.Do(t.Context(), "k", nothing))
	require.NoError(t, p.single.Do(t.Context(), nothing))
}
