package lru_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

var errCause = errors.New("cause")

type loader = func(context.Context, string) (int, error)

// entries are the ways into a cache that take a ctx, here all for one key. The
// function of the user is the loader.
var entries = map[string]func(context.Context, *lru.Cache[string, int], loader) (int, error){
	"GetOrLoad": func(ctx context.Context, c *lru.Cache[string, int], load loader) (int, error) {
		return c.GetOrLoad(ctx, "k", load)
	},
	"BulkLoad": func(ctx context.Context, c *lru.Cache[string, int], load loader) (int, error) {
		got, err := c.BulkLoad(ctx, []string{"k"}, func(ctx context.Context, keys []string) (map[string]int, error) {
			v, err := load(ctx, keys[0])
			return map[string]int{"k": v}, err
		})
		return got["k"], err
	},
}

func newCache() *lru.Cache[string, int] {
	return lru.MustNew(lru.Config[string, int]{Capacity: 10})
}

func returns(v int, err error) loader {
	return func(context.Context, string) (int, error) { return v, err }
}

// Done before the call: an error even for a hit, and the loader is not called.
func TestContractDoneBeforeCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, enter := range entries {
		c := newCache()
		fail := func(context.Context, string) (int, error) { t.Error("called"); return 0, nil }
		_, err := enter(ctx, c, fail)
		require.Equal(t, context.Canceled, err, name)
		c.Set("k", 1)
		_, err = enter(ctx, c, fail)
		require.Equal(t, context.Canceled, err, name)
		require.Equal(t, 1, c.Len())
		require.Zero(t, c.Stats().Loads)
	}
	require.Equal(t, context.Canceled, newCache().Run(ctx))
}

// hold begins a load of "k" that returns 1 when release is called.
func hold(t *testing.T, c *lru.Cache[string, int]) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	go func() {
		_, _ = c.GetOrLoad(context.Background(), "k", func(context.Context, string) (int, error) {
			<-gate
			return 1, nil
		})
	}()
	synctest.Wait()
	return func() { close(gate); synctest.Wait() }
}

// Done while waiting for another's load: prompt return, and the load goes on.
func TestContractDoneWhileWaiting(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				release := hold(t, c)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := enter(ctx, c, returns(2, nil))
				require.Equal(t, context.DeadlineExceeded, err)
				require.Equal(t, time.Second, time.Since(start))
				release()
				v, ok := c.Get("k")
				require.True(t, ok)
				require.Equal(t, 1, v)
			})
		})
	}
}

// The error matches ctx.Err() and context.Cause(ctx): before, while waiting for
// another's load, and when one's own load fails because of it, where it matches
// the loader's error as well.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				release := hold(t, c)
				ctx, cancel := context.WithCancelCause(t.Context())
				var err error
				go func() { _, err = enter(ctx, c, returns(2, nil)) }()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)
				_, err = enter(ctx, c, returns(2, nil))
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)
				release()
				c.Clear()

				ctx, cancel = context.WithCancelCause(t.Context())
				own := errors.New("own")
				go func() {
					_, err = enter(ctx, c, func(ctx context.Context, _ string) (int, error) {
						<-ctx.Done()
						return 0, errors.Join(own, context.Cause(ctx))
					})
				}()
				synctest.Wait()
				cancel(errCause)
				synctest.Wait()
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, errCause)
				require.ErrorIs(t, err, own)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCause) })
		err := newCache().Run(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
	})
}

type ctxKey struct{}

// The loader's ctx has the values of its caller's, and ends with it when nobody
// else wants the result.
func TestContractFnContextDerives(t *testing.T) {
	for name, enter := range entries {
		ctx := context.WithValue(t.Context(), ctxKey{}, "v")
		_, err := enter(ctx, newCache(), func(ctx context.Context, _ string) (int, error) {
			require.Equal(t, "v", ctx.Value(ctxKey{}), name)
			return 1, nil
		})
		require.NoError(t, err)
	}
}

// Cancelling one caller, even the one that runs the load, leaves the load to
// the others; when all are gone it is cancelled, and the next caller begins
// another.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				slow := func(ctx context.Context, _ string) (int, error) {
					select {
					case <-time.After(time.Minute):
						return 1, nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var ownErr, otherErr error
				var other int
				go func() { _, ownErr = enter(ctx, c, slow) }()
				synctest.Wait()
				go func() { other, otherErr = enter(t.Context(), c, returns(2, nil)) }()
				synctest.Wait()
				cancel()
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				require.NoError(t, otherErr)
				require.Equal(t, 1, other)
				require.NoError(t, ownErr, "it has the value, so it gets it")

				c.Clear()
				ctx, cancel = context.WithCancel(t.Context())
				go func() { _, ownErr = enter(ctx, c, slow) }()
				synctest.Wait()
				waiting, stop := context.WithCancel(t.Context())
				go func() { _, otherErr = enter(waiting, c, slow) }()
				synctest.Wait()
				cancel()
				stop()
				synctest.Wait()
				require.ErrorIs(t, ownErr, context.Canceled)
				require.ErrorIs(t, otherErr, context.Canceled)
				v, err := enter(t.Context(), c, returns(3, nil))
				require.NoError(t, err)
				require.Equal(t, 3, v)
			})
		})
	}
}

// The loader's error comes back as it is, to who ran it and who waited, and
// nothing is stored.
func TestContractFnErrorUnwrapped(t *testing.T) {
	for name, enter := range entries {
		for _, want := range []error{errCause, lru.ErrAborted, context.Canceled} {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				var waiterErr error
				_, err := enter(t.Context(), c, func(context.Context, string) (int, error) {
					go func() { _, waiterErr = enter(t.Context(), c, returns(2, nil)) }()
					synctest.Wait()
					return 0, want
				})
				require.Equal(t, want, err, name)
				synctest.Wait()
				require.Equal(t, want, waiterErr, name)
				require.Zero(t, c.Len())
			})
		}
	}
}

func explode(context.Context, string) (int, error) { panic(errCause) }

// A panic or Goexit of the loader passes through its caller untouched; who
// waited gets ErrAborted; the key can be loaded again.
func TestContractPanicAndGoexit(t *testing.T) {
	for name, enter := range entries {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache()
				func() {
					defer func() {
						require.Equal(t, errCause, recover())
						require.Contains(t, string(debug.Stack()), "lru_test.explode")
					}()
					_, _ = enter(t.Context(), c, explode)
				}()

				var waiterErr error
				var wg sync.WaitGroup
				wg.Go(func() {
					_, _ = enter(context.Background(), c, func(context.Context, string) (int, error) {
						wg.Go(func() { _, waiterErr = enter(context.Background(), c, returns(2, nil)) })
						synctest.Wait()
						runtime.Goexit()
						return 0, nil
					})
				})
				wg.Wait()
				require.Equal(t, lru.ErrAborted, waiterErr)
				v, err := enter(t.Context(), c, returns(3, nil))
				require.NoError(t, err)
				require.Equal(t, 3, v)
			})
		})
	}
}
