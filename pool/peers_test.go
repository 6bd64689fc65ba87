package pool_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
)

// What other pools have got wrong, each named with where it was seen. What is
// not here stands with the behaviour it belongs to: stale leases and waiters in
// pool_test.go, stampedes and failing servers in create_test.go, Close that
// waits for a release in close_test.go.

// vitess#20310: in a storm of timeouts connections were handed to waiters that
// had given up, each of which had to be scheduled to pass it on.
func TestPeersDeadWaitersAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1})
		l := mustAcquire(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		for range 10000 {
			go func() {
				if _, err := p.Acquire(ctx); err == nil {
					t.Error("acquired by a caller that has left")
				}
			}()
		}
		synctest.Wait()
		alive := call(t, p)
		require.Equal(t, 10001, p.Stats().Waiting)
		cancel()
		require.NoError(t, l.Release()) // before any of them has run
		require.Zero(t, p.Stats().Waiting)
		require.EqualValues(t, 2, p.Stats().Acquired, "straight to the one that is left")
		synctest.Wait()
		require.True(t, alive.holds(1))
		require.NoError(t, alive.lease().Release())
		require.EqualValues(t, 10000, p.Stats().Canceled)
	})
}

// failing is a context that is done a moment before its channel says so.
type failing struct {
	context.Context

	failed atomic.Bool
}

func (c *failing) Err() error {
	if c.failed.Load() {
		return context.Canceled
	}
	return c.Context.Err()
}

// database/sql (golang/go#18995), clickhouse-go#1759, bb8#67: a resource lost
// when its caller left in the moment in which it was handed over.
func TestPeersGrantedAndCancelledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 1})
		for i := range 100 {
			l := mustAcquire(t, p)
			ctx := &failing{Context: t.Context()}
			a, b := callWith(ctx, func() {}, p), call(t, p)
			ctx.failed.Store(true)
			require.NoError(t, l.Release()) // to a, which has left
			synctest.Wait()
			require.ErrorIs(t, a.err(), context.Canceled)
			require.True(t, b.holds(1), "it was passed on")
			require.NoError(t, b.lease().Release())
			require.Zero(t, p.Stats().InUse)
			require.EqualValues(t, 3*(i+1), p.Stats().Acquired)
		}
	})
}

// vitess: the jitter of a lifetime was cut to 32 bits, so that 30 minutes were
// spread over 4 seconds, and a multiple of 2³² ns was a panic.
func TestPeersJitterOfLongLifetimes(t *testing.T) {
	for _, life := range []time.Duration{1 << 32, 30 * time.Minute, 24 * 365 * time.Hour, 1 << 40} {
		t.Run(fmt.Sprint(life), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := newPool(t, pool.Config[*res]{
					Max: 400, MaxLifetime: life, LifetimeJitter: 1, IdleTimeout: 1 << 62, CheckAfter: 1 << 62,
				})
				require.NoError(t, p.Warm(t.Context(), 400))
				for quarter := range 4 {
					synctest.Wait()
					require.InDelta(t, 400-100*quarter, p.Stats().Total, 50)
					time.Sleep(life / 4)
				}
				synctest.Wait()
				require.Zero(t, p.Stats().Total)
			})
		})
	}
}

// silenceper: a dial under the lock stops everybody. vitess#20080: so does an
// idle sweep that closes.
func TestPeersNobodyWaitsForOthersFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		var made atomic.Bool
		p := pool.MustNew(pool.Config[int]{
			Max: 3, IdleTimeout: time.Minute, CloseTimeout: time.Hour, CreateTimeout: time.Hour,
			Create: func(context.Context) (int, error) {
				if made.Swap(true) {
					<-stuck
				}
				return 1, nil
			},
			Destroy: func(int) error { <-stuck; return nil },
		})
		l, err := p.Acquire(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if l, err := p.Acquire(ctx); err == nil {
				_ = l.Release()
			}
		}()
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Creating)
		cancel()
		synctest.Wait()
		start := time.Now()
		for range 10 {
			require.NoError(t, l.Release())
			l, err = p.Acquire(t.Context())
			require.NoError(t, err)
		}
		p.Stats()
		p.Holders()
		require.Zero(t, time.Since(start))
		require.NoError(t, l.Release())
		time.Sleep(2 * time.Minute) // swept
		synctest.Wait()
		require.Equal(t, 1, p.Stats().Closing)
		_, ok := p.TryAcquire()
		require.False(t, ok)
		p.Reset()
		close(stuck)
		synctest.Wait()
		require.NoError(t, p.Close())
	})
}

// pgx#2425: closing connections still count at the server, so a storm of
// cancellations went beyond its limit.
func TestPeersClosingOnesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := newPool(t, pool.Config[*res]{Max: 3, CreateWindow: 3})
		w.destroyTime = time.Second
		for range 20 {
			var callers []*caller
			for range 5 {
				callers = append(callers, call(t, p))
			}
			time.Sleep(5 * time.Second)
			for _, c := range callers {
				if c.settled() {
					require.NoError(t, c.err())
					require.NoError(t, c.lease().Discard())
				} else {
					c.cancel()
				}
			}
		}
		require.Equal(t, 3, w.get(most))
		time.Sleep(time.Minute)
	})
}

// golang/go#31708: waiters in random order have no bound on their wait. With
// eight callers on two resources each gets its turn before any gets two more.
func TestPeersNobodyIsPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newPool(t, pool.Config[*res]{Max: 2})
		turns := make([]atomic.Int32, 8)
		for i := range turns {
			go func() {
				for range 50 {
					_ = p.With(context.Background(), func(context.Context, *res) error {
						turns[i].Add(1)
						return pause(context.Background(), time.Millisecond)
					})
				}
			}()
		}
		for range 100 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			lo, hi := turns[0].Load(), turns[0].Load()
			for i := range turns {
				lo, hi = min(lo, turns[i].Load()), max(hi, turns[i].Load())
			}
			require.LessOrEqual(t, hi-lo, int32(1))
		}
		time.Sleep(time.Minute)
	})
}
