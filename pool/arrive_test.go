package pool

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests hold mu, which nothing but the pool itself can do.

// crowded returns a pool with one resource, which is taken, and a line that is
// long enough for callers not to wait for mu. The line is answered in the order
// of the numbers that it sends.
func crowded(t *testing.T, cfg Config[int]) (p *Pool[int], held Lease[int], line chan int) {
	t.Helper()
	cfg.Max = 1
	cfg.Create = func(context.Context) (int, error) { return 0, nil }
	p, err := New(cfg)
	require.NoError(t, err)
	held, err = p.Acquire(t.Context())
	require.NoError(t, err)
	line = make(chan int, 10*crowd)
	for i := range crowd {
		go waitInLine(t.Context(), p, i, line)
		synctest.Wait()
	}
	require.True(t, p.crowded.Load())
	return p, held, line
}

func waitInLine(ctx context.Context, p *Pool[int], i int, line chan<- int) {
	if l, err := p.Acquire(ctx); err == nil {
		line <- i
		_ = l.Release()
	}
}

func TestArriveKeepsTheOrderAndForgetsThoseWhoHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, held, line := crowded(t, Config[int]{})
		leaving, leave := context.WithCancelCause(t.Context())
		why := errors.New("why")
		left := make(chan error, crowd)

		p.mu.Lock()
		for i := range crowd {
			if i%2 == 0 {
				go waitInLine(t.Context(), p, crowd+i/2, line)
			} else {
				go func() {
					_, err := p.Acquire(leaving)
					left <- err
				}()
			}
			synctest.Wait() // nobody waits for mu
		}
		leave(why)
		for len(left) < crowd/2 { // who leaves does not wait for mu either; but the janitor does, so no synctest.Wait
			runtime.Gosched()
		}
		require.Equal(t, crowd, p.queue.len)
		p.unlockQuiet()

		require.Equal(t, crowd+crowd/2, p.Stats().Waiting)
		require.Equal(t, crowd+crowd/2, p.queue.len)
		require.EqualValues(t, crowd/2, p.Stats().Canceled)
		require.Zero(t, p.dead.Load())
		for range crowd / 2 {
			require.ErrorIs(t, <-left, why)
		}
		require.NoError(t, held.Release())
		for i := range crowd + crowd/2 {
			require.Equal(t, i, <-line)
		}
		synctest.Wait()
		require.False(t, p.crowded.Load())
		require.True(t, p.inbox.empty())
		require.NoError(t, p.Close())
	})
}

func TestArriveIsAnsweredAsAcquireIs(t *testing.T) {
	down := errors.New("down")
	for name, test := range map[string]struct {
		max    int
		change func(p *Pool[int])
		want   error
	}{
		"full":     {crowd, func(*Pool[int]) {}, ErrFull},
		"draining": {0, func(p *Pool[int]) { p.draining = true }, ErrClosed},
		"closed":   {0, func(p *Pool[int]) { p.closeLocked() }, ErrClosed},
		"down": {0, func(p *Pool[int]) {
			p.createErr, p.retryAt = down, p.now+time.Second
			p.closing = len(p.all)
		}, down},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, held, _ := crowded(t, Config[int]{MaxWaiting: test.max})
				p.mu.Lock()
				got := make(chan error, 1)
				go func() {
					_, err := p.Acquire(t.Context())
					got <- err
				}()
				synctest.Wait()
				require.False(t, p.inbox.empty())
				test.change(p)
				p.unlockQuiet()
				require.ErrorIs(t, <-got, test.want)
				p.mu.Lock()
				p.closing = 0
				p.unlock()
				require.NoError(t, held.Release())
				require.NoError(t, p.Close())
			})
		})
	}
}

func TestArriveStormForgetsNobody(t *testing.T) {
	const callers, each = 8 * crowd, 50
	p, err := New(Config[int]{Max: 2, Create: func(context.Context) (int, error) { return 0, nil }})
	require.NoError(t, err)
	var got, lost, late atomic.Int64
	var callersDone, others sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		others.Go(func() { // keep mu busy
			for {
				select {
				case <-stop:
					return
				default:
					_ = p.Stats()
					runtime.Gosched()
				}
			}
		})
	}
	for i := range callers {
		callersDone.Go(func() {
			for range each {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i%8)*time.Millisecond)
				if l, err := p.Acquire(ctx); err == nil {
					got.Add(1)
					runtime.Gosched()
					_ = l.Release()
				} else if _, waited := errors.AsType[*AcquireError](err); waited {
					lost.Add(1)
				} else {
					late.Add(1) // before the call
				}
				cancel()
			}
		})
	}
	callersDone.Wait()
	close(stop)
	others.Wait()
	s := p.Stats()
	require.EqualValues(t, callers*each, got.Load()+lost.Load()+late.Load())
	require.EqualValues(t, lost.Load(), s.TimedOut)
	require.GreaterOrEqual(t, s.Acquired, uint64(got.Load()))
	require.Zero(t, s.InUse)
	require.Zero(t, s.Waiting)
	require.True(t, p.inbox.empty())
	require.NoError(t, p.Close())
	require.Zero(t, p.dead.Load())
}
