package bulkhead_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/bulkhead"
)

// These are used in two bubbles and outside of any.
var (
	shared       = bulkhead.MustNew(bulkhead.Config{Limit: 1, MaxWait: time.Hour, MaxWaiting: 2})
	sharedNoWait = bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true})
)

// A channel or timer that one bubble left in a package-level bulkhead would
// kill the process in the next, and the clocks of two bubbles have nothing to
// do with each other.
func TestSynctestSafe(t *testing.T) {
	use := func(t *testing.T) {
		ctx := context.Background()
		p, ok := shared.TryAcquire()
		require.True(t, ok)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				p, err := shared.Acquire(ctx)
				if err != nil {
					t.Errorf("Acquire: %v", err)
				}
				p.Release()
			})
		}
		for shared.Stats().Waiting < 2 {
			<-time.After(time.Millisecond)
		}
		_, err := shared.Acquire(ctx)
		require.ErrorIs(t, err, bulkhead.ErrFull)
		p.Release()
		wg.Wait()
		requireIdle(t, shared)
	}
	var held bulkhead.Permit // taken in one bubble, released in the next
	refused := func() time.Duration {
		_, err := sharedNoWait.Acquire(context.Background())
		var full *bulkhead.FullError
		require.ErrorAs(t, err, &full)
		return full.RetryAfter()
	}
	for range 3 {
		synctest.Test(t, use)
		synctest.Test(t, func(t *testing.T) {
			held.Release()
			held, _ = sharedNoWait.TryAcquire()
			refused() // the next release is measured, by the clock of another bubble
			time.Sleep(time.Minute)
		})
		use(t)
	}
	held.Release()
	held, _ = sharedNoWait.TryAcquire()
	require.Less(t, refused(), time.Hour)
	held.Release()
	requireIdle(t, sharedNoWait)
}

// A Drain that gave up leaves nothing behind that a release elsewhere touches.
func TestSynctestSafeAfterADrainThatGaveUp(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{})
	p, _ := b.TryAcquire()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Drain(ctx), context.DeadlineExceeded)
	})
	p.Release()
	requireIdle(t, b)
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestBulkheadMaxWaitRefusesAfterThatLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 1, MaxWait: 3 * time.Second})
		holder := call(b, 1)
		start := time.Now()
		_, err := b.Acquire(t.Context())
		require.Equal(t, 3*time.Second, time.Since(start))
		var full *bulkhead.FullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, bulkhead.WaitTooLong, full.Reason)
		require.Equal(t, 3*time.Second, full.Waited)
		require.EqualError(t, err, "bulkhead: db: full, waited too long, 1 of 1 in use, 1 waiting")

		// One that gets its turn in time is not refused, and leaves no timer.
		w := call(b, 1)
		time.Sleep(2 * time.Second)
		holder.release()
		require.True(t, w.admitted())
		w.release()
		requireIdle(t, b)
		require.EqualValues(t, 1, b.Stats().RefusedWaitTooLong)
	})
}

func TestBulkheadMaxWaitOfAHeavyHeadWakesThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2, MaxWait: 3 * time.Second})
		holder := call(b, 1)
		heavy := call(b, 2)
		time.Sleep(2 * time.Second)
		light := call(b, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, heavy.err, bulkhead.ErrFull)
		require.True(t, light.admitted())
		light.release()
		holder.release()
		requireIdle(t, b)
	})
}

// busy keeps b's slots in turns of d until stop is called, with one caller
// waiting at all times, so that b learns how long a turn takes.
func busy(b *bulkhead.Bulkhead, callers int, d time.Duration) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				p, err := b.Acquire(context.Background())
				if err != nil {
					return
				}
				<-time.After(d)
				p.Release()
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

func TestBulkheadRefusesAtOnceWhenTheDeadlineIsBeforeTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		stop := busy(b, 4, time.Second) // a turn a second, three waiting
		time.Sleep(10*time.Second + time.Millisecond)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := b.Acquire(ctx)
		require.Zero(t, time.Since(start))
		var full *bulkhead.FullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, bulkhead.TurnTooLate, full.Reason)
		require.Equal(t, 4*time.Second, full.RetryAfter().Round(50*time.Millisecond))
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller still has time")

		// One with enough time waits and is served.
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		p, err := b.Acquire(ctx)
		require.NoError(t, err)
		p.Release()
		stop()
		requireIdle(t, b)
		require.EqualValues(t, 1, b.Stats().RefusedTurnTooLate)
	})
}

func TestBulkheadIgnoreDeadlineWaitsInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, IgnoreDeadline: true})
		stop := busy(b, 4, time.Second)
		time.Sleep(10*time.Second + time.Millisecond)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := b.Acquire(ctx)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 3*time.Second, time.Since(start))
		stop()
		requireIdle(t, b)
	})
}

// A guess made once must not refuse for ever: when the dependency is fast
// again, the estimate follows, and so does admission.
func TestBulkheadEstimateRecoversAfterASlowTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		stop := busy(b, 4, time.Minute)
		time.Sleep(10*time.Minute + time.Second)
		impatient := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			p, err := b.Acquire(ctx)
			p.Release()
			return err
		}
		require.ErrorIs(t, impatient(), bulkhead.ErrFull)
		stop()

		stop = busy(b, 4, time.Millisecond)
		time.Sleep(time.Second)
		for range 10 {
			require.NoError(t, impatient())
		}
		stop()
		requireIdle(t, b)
	})
}

// Nothing comes back while a dependency hangs, so nothing is measured; the
// time that has passed since must count.
func TestBulkheadEstimateSeesADependencyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, MaxWaiting: 1})
		stop := busy(b, 2, 10*time.Millisecond)
		time.Sleep(time.Second)
		stop()
		estimate := func() time.Duration {
			_, err := b.Acquire(context.Background())
			var full *bulkhead.FullError
			require.ErrorAs(t, err, &full)
			return full.RetryAfter()
		}
		hanging, waiter := call(b, 1), call(b, 1)
		before := estimate()
		time.Sleep(10 * time.Minute)
		require.Greater(t, estimate(), 100*before)
		hanging.release()
		waiter.release()
		requireIdle(t, b)
	})
}

func TestBulkheadRetryAfterIsMeasuredAlsoWhereNobodyMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2, NoWait: true})
		refused := func() time.Duration {
			_, err := b.Acquire(t.Context())
			var full *bulkhead.FullError
			require.ErrorAs(t, err, &full)
			return full.RetryAfter()
		}
		for range 20 {
			p, _ := b.TryAcquire()
			q, _ := b.TryAcquire()
			refused()
			refused()
			time.Sleep(400 * time.Millisecond)
			p.Release()
			time.Sleep(time.Minute) // nobody was refused in this time
			q.Release()
		}
		// Unused for long: an idle time is not a turn.
		time.Sleep(30 * time.Minute)
		p, _ := b.TryAcquireN(2)
		require.Equal(t, 400*time.Millisecond, refused().Round(time.Millisecond))
		p.Release()
		requireIdle(t, b)
	})
}

// The mark that a refusal leaves makes the word look busy. Slots that are free
// must be had all the same.
func TestBulkheadRefusalDoesNotHideFreeSlots(t *testing.T) {
	b := bulkhead.MustNew(bulkhead.Config{Limit: 3, NoWait: true})
	p, _ := b.TryAcquire()
	_, err := b.AcquireN(t.Context(), 3)
	require.ErrorIs(t, err, bulkhead.ErrFull)
	q, ok := b.TryAcquire()
	require.True(t, ok)
	r, err := b.Acquire(t.Context())
	require.NoError(t, err)
	p.Release()
	q.Release()
	r.Release()
	requireIdle(t, b)
}

func TestBulkheadLIFOAfterServesTheNewestUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, LIFOAfter: time.Second})
		holder := call(b, 1)
		a, m, z := call(b, 1), call(b, 1), call(b, 1)
		time.Sleep(time.Second - 1)
		holder.release()
		require.True(t, a.admitted(), "not yet overloaded: the oldest")
		time.Sleep(time.Nanosecond)
		a.release()
		require.True(t, z.admitted(), "overloaded: the newest")
		z.release()
		require.True(t, m.admitted())
		// The queue was empty, so it is first in, first out again.
		x, y := call(b, 1), call(b, 1)
		m.release()
		require.True(t, x.admitted())
		x.release()
		y.release()
		requireIdle(t, b)
	})
}

func TestBulkheadLIFOAfterRefusesTheOldestWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, LIFOAfter: time.Second, MaxWaiting: 2})
		holder := call(b, 1)
		a, m := call(b, 1), call(b, 1)
		require.ErrorIs(t, call(b, 1).err, bulkhead.ErrFull)
		time.Sleep(time.Second)
		z := call(b, 1)
		require.ErrorIs(t, a.err, bulkhead.ErrFull)
		require.False(t, z.settled)
		holder.release()
		require.True(t, z.admitted())
		z.release()
		m.release()
		requireIdle(t, b)
	})
}

// The newest is next, however many wait: it has time enough.
func TestBulkheadLIFOAfterAdmitsAHurriedCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, LIFOAfter: 2 * time.Second})
		stop := busy(b, 6, time.Second)
		time.Sleep(10*time.Second + time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		p, err := b.Acquire(ctx)
		require.NoError(t, err)
		p.Release()
		stop()
		requireIdle(t, b)
	})
}

// Turning the queue around puts another waiter at its head, which may fit.
func TestBulkheadLIFOAfterGrantsANewestThatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 2, LIFOAfter: time.Second})
		holder := call(b, 1)
		heavy := call(b, 2)
		time.Sleep(time.Second)
		light := call(b, 1)
		require.True(t, light.admitted())
		light.release()
		holder.release()
		heavy.release()
		requireIdle(t, b)
	})
}

func TestStatsCountWaitsInTheirBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		waits := []time.Duration{time.Second, 64*time.Microsecond + 1, 128 * time.Microsecond, time.Hour, 64 * time.Microsecond}
		var total time.Duration
		for _, d := range waits {
			holder := call(b, 1)
			w := call(b, 1)
			time.Sleep(d)
			holder.release()
			w.release()
			total += d
		}
		s := b.Stats()
		require.EqualValues(t, len(waits), s.Waits.Count)
		require.Equal(t, total, s.Waits.Sum)
		want := [bulkhead.Buckets]uint64{0: 1, 1: 2, 14: 1, 19: 1}
		require.Equal(t, want, s.Waits.Buckets)
		require.LessOrEqual(t, time.Second, s.Waits.Bound(14))
		require.Greater(t, time.Second, s.Waits.Bound(13))
	})
}

func TestStatsMeasureEveryWaitHoweverShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1})
		for range 320 {
			holder := call(b, 1)
			w := call(b, 1)
			holder.release()
			w.release()
		}
		s := b.Stats()
		require.EqualValues(t, 320, s.Waits.Count)
		require.EqualValues(t, 320, s.Waits.Buckets[0])
	})
}

// A wait that runs out in the moment in which its ctx ends is what its caller
// is told.
func TestStatsCountAWaitThatEndsTwiceAsWhatItsCallerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told uint64
		b := bulkhead.MustNew(bulkhead.Config{
			Limit: 1, MaxWait: time.Second, IgnoreDeadline: true,
			Hooks: bulkhead.Hooks{OnRefused: func(bulkhead.Refused) { told++ }},
		})
		holder, err := b.Acquire(t.Context())
		require.NoError(t, err)
		defer holder.Release()
		var refused, cancelled uint64
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := b.Acquire(ctx)
			cancel()
			if errors.Is(err, bulkhead.ErrFull) {
				refused++
			} else {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				cancelled++
			}
		}
		s := b.Stats()
		require.Equal(t, []uint64{refused, refused, cancelled}, []uint64{told, s.RefusedWaitTooLong, s.Canceled})
	})
}

func TestHooksTellWhatHappensInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []any
		note := func(e any) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, e)
		}
		b := bulkhead.MustNew(bulkhead.Config{Name: "db", Limit: 1, Hooks: bulkhead.Hooks{
			OnAcquired:    func(e bulkhead.Acquired) { note(e) },
			OnReleased:    func(e bulkhead.Released) { note(e) },
			OnRefused:     func(e bulkhead.Refused) { e.Err = errors.Unwrap(e.Err); note(e) },
			OnLimitChange: func(e bulkhead.LimitChange) { note(e) },
		}})
		a, w := call(b, 1), call(b, 1)
		time.Sleep(time.Second)
		a.release()
		b.TryAcquire()
		_, _ = b.AcquireN(t.Context(), 2)
		time.Sleep(time.Second)
		w.release()
		require.NoError(t, b.Resize(5))
		require.NoError(t, b.Resize(5))
		_, err := b.Acquire(cancelled())
		require.Error(t, err)
		require.Len(t, log, 7)
		require.Equal(t, bulkhead.Acquired{Name: "db", Weight: 1}, log[0])
		// The release and the admission that it allows are told by two
		// goroutines.
		require.ElementsMatch(t, []any{
			bulkhead.Released{Name: "db", Weight: 1, Held: time.Second},
			bulkhead.Acquired{Name: "db", Weight: 1, Waited: time.Second},
		}, log[1:3])
		require.Equal(t, []any{
			bulkhead.Refused{Name: "db", Weight: 1},
			bulkhead.Refused{Name: "db", Weight: 2},
			bulkhead.Released{Name: "db", Weight: 1, Held: time.Second},
			bulkhead.LimitChange{Name: "db", From: 1, To: 5},
		}, log[3:])
	})
}

func TestHooksAreToldEachWaitHoweverShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		b := bulkhead.MustNew(bulkhead.Config{Limit: 1, Hooks: bulkhead.Hooks{
			OnAcquired: func(e bulkhead.Acquired) { waits = append(waits, e.Waited) },
		}})
		for range 3 {
			holder := call(b, 1)
			w := call(b, 1)
			time.Sleep(50 * time.Microsecond)
			holder.release()
			w.release()
		}
		const short = 50 * time.Microsecond
		require.Equal(t, []time.Duration{0, short, 0, short, 0, short}, waits)
	})
}

func TestHooksMayCallTheBulkhead(t *testing.T) {
	var b *bulkhead.Bulkhead
	var limits []int
	telling := false
	b = bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true, Hooks: bulkhead.Hooks{
		OnAcquired: func(bulkhead.Acquired) { b.Stats() },
		OnReleased: func(bulkhead.Released) { b.Stats() },
		OnRefused:  func(bulkhead.Refused) { b.Stats() },
		OnLimitChange: func(e bulkhead.LimitChange) {
			require.False(t, telling, "one at a time")
			telling = true
			limits = append(limits, e.To)
			if e.To < 4 {
				_ = b.Resize(e.To + 1)
			}
			telling = false
		},
	}})
	p, err := b.Acquire(t.Context())
	require.NoError(t, err)
	_, err = b.Acquire(t.Context())
	require.Error(t, err)
	p.Release()
	require.NoError(t, b.Resize(2))
	require.Equal(t, []int{2, 3, 4}, limits)
	requireIdle(t, b)
}

func TestHooksThatPanicLoseNothing(t *testing.T) {
	bad := true
	boom := func() {
		if bad {
			panic("boom")
		}
	}
	b := bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true, Hooks: bulkhead.Hooks{
		OnAcquired:    func(bulkhead.Acquired) { boom() },
		OnLimitChange: func(bulkhead.LimitChange) { boom() },
	}})
	nothing := func(context.Context) error { return nil }
	require.Panics(t, func() { _ = b.Do(t.Context(), nothing) })
	require.Panics(t, func() { b.TryAcquire() })
	require.Panics(t, func() { _, _ = b.Acquire(t.Context()) })
	require.Panics(t, func() { _ = b.Resize(2) })
	bad = false
	require.NoError(t, b.Resize(1))
	require.NoError(t, b.Do(t.Context(), nothing))
	requireIdle(t, b)

	b = bulkhead.MustNew(bulkhead.Config{Limit: 1, NoWait: true,
		Adaptive: bulkhead.Adaptive{Max: 1, Overload: func(error) bool { panic("boom") }},
		Hooks:    bulkhead.Hooks{OnReleased: func(bulkhead.Released) { panic("boom") }},
	})
	require.Panics(t, func() { _ = b.Do(t.Context(), nothing) })
	require.Panics(t, func() { _ = b.Do(t.Context(), func(context.Context) error { return errCause }) })
	requireIdle(t, b)
}
