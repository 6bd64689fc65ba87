package poolpgx_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/pool"
	"github.com/bedplate/bedplate/pool/poolpgx/pgserver"
)

// A pool may have as many connections as the server allows, and is never told
// that there are too many: not in a storm of cancelled queries and discarded
// connections, which count at the server until they are gone.
func TestMaxConnectionsIsNeverExceeded(t *testing.T) {
	const limit = 5
	s := ownServer(t, pgserver.Config{MaxConnections: limit})
	var refused atomic.Int64
	p := newPool(t, s.URL(), func(c *pool.Config[*pgx.Conn]) {
		c.Max = limit
		c.Hooks.OnCreated = func(e pool.Created) {
			if e.Err != nil && !errors.Is(e.Err, context.Canceled) { // as Close does to what is under way
				t.Errorf("connect: %v", e.Err)
				refused.Add(1)
			}
		}
	})
	// One more is refused by the server, so the limit is real.
	require.NoError(t, p.Warm(t.Context(), limit))
	_, err := pgx.Connect(t.Context(), s.URL())
	require.ErrorContains(t, err, "53300")

	var served, broken atomic.Int64
	var wg sync.WaitGroup
	stop := time.Now().Add(3 * time.Second)
	for g := range 30 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for time.Now().Before(stop) && refused.Load() == 0 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rng.IntN(60))*time.Millisecond)
				l, err := p.Acquire(ctx)
				if err != nil {
					cancel()
					continue
				}
				if _, err := l.Value().Exec(ctx, "select pg_sleep(0.005)"); err != nil {
					broken.Add(1)
				} else {
					served.Add(1)
				}
				if rng.IntN(10) == 0 {
					_ = l.Discard()
				} else {
					_ = l.Release()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	require.Positive(t, served.Load())
	require.Positive(t, broken.Load())
	s1 := p.Stats()
	t.Logf("%d served, %d broken off, %d connections made, none refused", served.Load(), broken.Load(), s1.Created)
	require.Greater(t, s1.Created, uint64(limit))
}

// Under load a server restarts. Who is at it gets an error, and soon after
// nobody does; the pool makes no more connections than it may.
func TestRestartUnderLoad(t *testing.T) {
	s := ownServer(t, pgserver.Config{MaxConnections: 20})
	p := newPool(t, s.URL(), func(c *pool.Config[*pgx.Conn]) {
		c.Max, c.MinIdle, c.MaxBackoff = 8, 1, 200*time.Millisecond
	})
	var served, failed atomic.Int64
	var lastFailure atomic.Int64 // nanoseconds since start
	start := time.Now()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				_, err := query(ctx, p, "select pg_sleep(0.001)::text")
				cancel()
				if err != nil {
					failed.Add(1)
					lastFailure.Store(int64(time.Since(start)))
					time.Sleep(5 * time.Millisecond)
					continue
				}
				served.Add(1)
			}
		})
	}
	until(t, func() bool { return served.Load() > 200 })
	require.Zero(t, failed.Load())
	require.NoError(t, s.Halt())
	time.Sleep(300 * time.Millisecond)
	before := served.Load()
	require.NoError(t, s.Restart(t.Context()))
	up := time.Since(start)
	until(t, func() bool { return served.Load() > before+500 })
	until(t, func() bool { return time.Since(start)-time.Duration(lastFailure.Load()) > 300*time.Millisecond })
	close(done)
	wg.Wait()
	require.Positive(t, failed.Load())
	st := p.Stats()
	t.Logf("%d served, %d failed, the last %v after the server was up; %d attempts to connect failed",
		served.Load(), failed.Load(), (time.Duration(lastFailure.Load()) - up).Round(time.Millisecond), st.CreateFailed)
	require.Less(t, st.CreateFailed, uint64(failed.Load()), "not an attempt for each caller")
	require.LessOrEqual(t, st.Total, 8)
	require.Zero(t, st.InUse)
}

// The server is stopped in its tracks: connections stay, and nobody answers.
// Callers get their time-outs, and everything works when it goes on.
func TestServerThatHangs(t *testing.T) {
	s := ownServer(t, pgserver.Config{})
	p := newPool(t, s.URL(), func(c *pool.Config[*pgx.Conn]) {
		c.Max, c.CheckAfter, c.CheckTimeout, c.CreateTimeout, c.CloseTimeout = 3, 1, 200*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	})
	require.NoError(t, p.Warm(t.Context(), 2))
	l, err := p.Acquire(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Pause())

	ask := func(want time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), want)
		defer cancel()
		start := time.Now()
		_, err := query(ctx, p, "select 'x'")
		require.Less(t, time.Since(start), want+2*time.Second, "it was left waiting")
		return err
	}
	var held error
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, held = l.Value().Exec(ctx, "select 1")
		_ = l.Release()
	})
	var explained int
	for range 5 {
		err := ask(250 * time.Millisecond)
		require.Error(t, err)
		if _, ok := errors.AsType[*pool.AcquireError](err); ok {
			explained++
		}
	}
	require.Positive(t, explained)
	wg.Wait()
	require.ErrorIs(t, held, context.DeadlineExceeded)
	// Nothing of this keeps more than Max, and an operator can close the pool.
	require.LessOrEqual(t, p.Stats().Total, 3)

	require.NoError(t, s.Resume())
	until(t, func() bool { return ask(time.Second) == nil })
	for range 20 {
		require.NoError(t, ask(5*time.Second))
	}

	// One that is closed while the server hangs comes back.
	hung := newPool(t, s.URL(), func(c *pool.Config[*pgx.Conn]) { c.CloseTimeout = 500 * time.Millisecond })
	require.NoError(t, hung.Warm(t.Context(), 3))
	require.NoError(t, s.Pause())
	start := time.Now()
	err = hung.Close()
	require.Less(t, time.Since(start), 4*time.Second)
	require.ErrorContains(t, err, "still run after 500ms")
	require.NoError(t, s.Resume())
	until(t, func() bool { return hung.Close() == nil })
}

// Fifty callers at once, on five connections.
func TestSpike(t *testing.T) {
	p := newPool(t, serverURL(t), func(c *pool.Config[*pgx.Conn]) {
		c.Max = 50
		connect := c.Create
		c.Create = func(ctx context.Context) (*pgx.Conn, error) {
			time.Sleep(15 * time.Millisecond) // as far away as the next town
			return connect(ctx)
		}
	})
	require.NoError(t, p.Warm(t.Context(), 5))
	took := make([]time.Duration, 50)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range took {
		wg.Go(func() {
			if _, err := query(context.Background(), p, "select 'x'"); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	slices.Sort(took)
	until(t, func() bool { return p.Stats().Creating == 0 })
	st := p.Stats()
	t.Logf("median %v, slowest %v, %d connections made for it", took[25], took[49], st.Created-5)
	require.Less(t, st.Created, uint64(50), "a connection for each caller")
	require.Equal(t, int(st.Created), st.Idle)
}
