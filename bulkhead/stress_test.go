package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

// Random weights, cancellations at any moment, timeouts, and a limit that
// moves all the time: in use never passes the largest limit there was, nobody
// is forgotten (this would hang), and everything returns to zero.
func TestBulkheadSurvivesACancellationStorm(t *testing.T) {
	const most, callers, each = 6, 16, 400
	b := bulkhead.MustNew(bulkhead.Config{Limit: most, MaxWait: time.Minute})
	var inUse, admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for range each {
				ctx, cancel := context.WithCancel(context.Background())
				n := rng.IntN(3) + 1
				switch rng.IntN(3) {
				case 0:
					go cancel()
				case 1:
					cancelSoon := rng.IntN(20)
					go func() {
						for range cancelSoon {
							runtime.Gosched()
						}
						cancel()
					}()
				}
				p, err := b.AcquireN(ctx, n)
				switch {
				case err == nil:
					if now := inUse.Add(int64(n)); now > most {
						t.Errorf("%d in use", now)
					}
					admitted.Add(1)
					for range rng.IntN(3) {
						runtime.Gosched()
					}
					inUse.Add(-int64(n))
					p.Release()
				case !errors.Is(err, context.Canceled):
					t.Errorf("AcquireN: %v", err)
				}
				cancel()
			}
		})
	}
	var stop atomic.Bool
	var resizer sync.WaitGroup
	resizer.Go(func() {
		rng := rand.New(rand.NewPCG(3, 4))
		for !stop.Load() {
			_ = b.Resize(rng.IntN(most-2) + 3) // 3 at least: no waiter is refused
			runtime.Gosched()
		}
	})
	wg.Wait()
	stop.Store(true)
	resizer.Wait()
	require.Positive(t, admitted.Load())
	requireIdle(t, b)
	require.NoError(t, b.Resize(most))
	p, ok := b.TryAcquireN(most)
	require.True(t, ok, "every slot came back")
	p.Release()
	_, ok = b.TryAcquireN(most + 1)
	require.False(t, ok, "and no slot twice")
}

// Waiters that arrived one after another are served in that order, whoever of
// them is cancelled meanwhile.
func TestBulkheadServesThoseThatAreNotCancelledInOrder(t *testing.T) {
	const waiters = 24
	for round := range 50 {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		holder, _ := b.TryAcquire()
		var order []int // written by whoever has the slot
		var wg sync.WaitGroup
		var cancels [waiters]context.CancelFunc
		for i := range waiters {
			ctx, cancel := context.WithCancel(context.Background())
			cancels[i] = cancel
			wg.Go(func() {
				p, err := b.Acquire(ctx)
				if err == nil {
					order = append(order, i)
					p.Release()
				}
			})
			for b.Stats().Waiting <= i {
				runtime.Gosched()
			}
		}
		wg.Go(func() {
			for _, i := range rand.New(rand.NewPCG(uint64(round), 1)).Perm(waiters)[:waiters/2] {
				cancels[i]()
				runtime.Gosched()
			}
		})
		holder.Release()
		wg.Wait()
		for _, cancel := range cancels {
			cancel()
		}
		require.IsIncreasing(t, order)
		require.GreaterOrEqual(t, len(order), waiters/2)
		requireIdle(t, b)
	}
}

// Callers that queue while slots come back on the fast path, with nobody else
// to wake them later: a wake-up lost in between would hang.
func TestBulkheadLosesNoWakeUp(t *testing.T) {
	for range 2000 {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		p, _ := b.TryAcquire()
		var wg sync.WaitGroup
		wg.Go(func() {
			q, err := b.Acquire(context.Background())
			if err != nil {
				t.Errorf("Acquire: %v", err)
			}
			q.Release()
		})
		p.Release()
		wg.Wait()
		requireIdle(t, b)
	}
}

// Two callers that meet at one slot as often as can be: each release comes just
// before, while, or just after the other decides to wait.
func TestBulkheadLosesNoWakeUpBetweenTwo(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 200_000 {
				p, err := b.Acquire(context.Background())
				if err != nil {
					t.Errorf("Acquire: %v", err)
					return
				}
				p.Release()
			}
		})
	}
	wg.Wait()
	requireIdle(t, b)
}

// Close and Drain in the middle of everything leave nobody waiting.
func TestBulkheadClosesInTheMiddleOfEverything(t *testing.T) {
	for i := range 200 {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for {
					p, err := b.Acquire(context.Background())
					if err != nil {
						return
					}
					runtime.Gosched()
					p.Release()
				}
			})
		}
		runtime.Gosched()
		if i%2 == 0 {
			require.NoError(t, b.Drain(t.Context()))
		} else {
			require.NoError(t, b.Close())
		}
		wg.Wait()
		requireIdle(t, b)
	}
}

// Of callers that come when the only slot is free, one gets it, although those
// that came before hide it for a moment: a caller is refused only for another.
func TestBulkheadRefusesOnlyForTheSakeOfAnother(t *testing.T) {
	for i := range 20_000 {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
		holder, _ := b.TryAcquire()
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := b.Acquire(context.Background()); err == nil {
					admitted.Add(1)
				}
			})
		}
		holder.Release()
		if i%2 == 0 {
			if _, ok := b.TryAcquire(); ok {
				admitted.Add(1)
			}
		} else if _, err := b.Acquire(context.Background()); err == nil {
			admitted.Add(1)
		}
		wg.Wait()
		if admitted.Load() != 1 {
			require.EqualValues(t, 1, admitted.Load())
		}
	}
}

// Callers on their way to be refused never show as slots in use beyond the
// limit, and hide none for good.
func TestStatsShowNoMoreInUseThanTheLimit(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 2, MaxWaiting: 1})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 5000 {
				if p, err := b.Acquire(context.Background()); err == nil {
					runtime.Gosched()
					p.Release()
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			runtime.Gosched()
		}
		if s := b.Stats(); s.InUse < 0 || s.InUse > 2 {
			require.LessOrEqual(t, s.InUse, 2)
			require.GreaterOrEqual(t, s.InUse, 0)
		}
	}
	requireIdle(t, b)
}
