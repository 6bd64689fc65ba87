package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit"
)

// These are used in two bubbles and outside of any.
var (
	shared       = ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Second)}})
	sharedSingle = ratelimit.MustNewSingle(ratelimit.SingleConfig{Limits: []ratelimit.Limit{ratelimit.Rate(2, time.Second, 2)}})
)

// A channel or timer that one bubble left in a package-level limiter would
// kill the process in the next.
func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			shared.Reset("k")
			sharedSingle.Reset()
			for range 4 {
				require.NoError(t, shared.Wait(t.Context(), "k"))
				require.NoError(t, sharedSingle.Wait(t.Context()))
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(time.Millisecond); cancel() }()
			for shared.Wait(ctx, "k") == nil {
			}
			require.Zero(t, shared.Stats().Waiting)
		})
		shared.Reset("k")
		sharedSingle.Reset()
		require.True(t, shared.Allow("k"))
		require.True(t, sharedSingle.Allow())
	}
}

func TestPermitsComeBackWhenTheirEventsLeaveTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(2, time.Minute)}})
		require.True(t, l.Allow("a"))
		time.Sleep(20 * time.Second)
		require.True(t, l.Allow("a"))
		require.False(t, l.Allow("a"))
		time.Sleep(40*time.Second + 128)
		require.True(t, l.Allow("a"))
		require.False(t, l.Allow("a"))
		time.Sleep(20*time.Second + 128)
		require.True(t, l.Allow("a"))
	})
}

func TestRetryAfterSufficesAndIsNotTooLong(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(0, limit)
				rng := rand.New(rand.NewPCG(1, 1))
				for range 100 {
					d := p.keyed.Take("k", 1)
					if !d.Allowed {
						time.Sleep(d.RetryAfter - 1)
						require.False(t, p.keyed.Allow("k"))
						time.Sleep(time.Nanosecond)
						require.True(t, p.keyed.Allow("k"))
					}
					d = p.single.Take(1)
					if !d.Allowed {
						time.Sleep(d.RetryAfter - 1)
						require.False(t, p.single.Allow())
						time.Sleep(time.Nanosecond)
						require.True(t, p.single.Allow())
					}
					time.Sleep(time.Duration(rng.IntN(1e9)))
				}
			})
		})
	}
}

func TestIdleKeysAreForgottenWithinAsManyCallsAsThereAreKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(5, time.Second)}, MaxKeys: 300})
		for i := range 300 {
			require.True(t, l.Allow(i))
		}
		require.Equal(t, 300, l.Stats().Keys)
		time.Sleep(2 * time.Second)
		for range 300 + 5 {
			l.Allow(1000)
		}
		require.Equal(t, 1, l.Stats().Keys)
		require.EqualValues(t, 300, l.Stats().Forgotten)
	})
}

func TestRunForgetsIdleKeysWithoutCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(5, time.Second)}})
		ctx, cancel := context.WithCancelCause(t.Context())
		var err error
		go func() { err = l.Run(ctx) }()
		for i := range 5000 {
			require.True(t, l.Allow(i))
		}
		time.Sleep(3 * time.Second)
		require.Zero(t, l.Stats().Keys)
		cancel(errCause)
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errCause)
	})
}

func TestWaitersAreServedInOrderAtTheirTimes(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(0, limit)
				start := time.Now()
				var mu sync.Mutex
				var got []string
				for i := range 6 {
					for form, wait := range map[string]func() error{
						"keyed":  func() error { return p.keyed.Wait(t.Context(), "k") },
						"single": func() error { return p.single.Wait(t.Context()) },
					} {
						go func() {
							if err := wait(); err != nil {
								t.Error(err)
							}
							mu.Lock()
							defer mu.Unlock()
							if form == "keyed" {
								got = append(got, fmt.Sprintf("%d at %v", i, time.Since(start).Round(time.Millisecond)))
							}
						}()
						synctest.Wait()
					}
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				want := []string{"0 at 0s", "1 at 0s", "2 at 1s", "3 at 1s", "4 at 2s", "5 at 2s"}
				if name == "gcra" {
					want = []string{"0 at 0s", "1 at 0s", "2 at 500ms", "3 at 1s", "4 at 1.5s", "5 at 2s"}
				}
				require.ElementsMatch(t, want, got)
				require.Zero(t, p.waiting())
			})
		})
	}
}

func TestANewcomerDoesNotPassThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(0, ratelimit.Per(4, time.Second))
		for range 3 {
			p.keyed.Allow("k")
			p.single.Allow()
		}
		for _, wait := range []func() error{
			func() error { return p.keyed.WaitN(t.Context(), "k", 3) },
			func() error { return p.single.WaitN(t.Context(), 3) },
		} {
			go func() {
				if err := wait(); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		require.Equal(t, 2, p.waiting())
		d := p.keyed.Take("k", 1)
		require.False(t, d.Allowed, "one is there, but three are waited for")
		require.Equal(t, time.Second, d.RetryAfter)
		require.False(t, p.single.Allow())
		require.False(t, p.keyed.Allow("k"))
		got, _ := p.keyed.TakeAtMost("k", 2)
		require.Zero(t, got)
		require.Equal(t, 2*time.Second, p.keyed.Take("k", 2).RetryAfter)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, p.waiting())
		require.True(t, p.keyed.Allow("k"))
		require.False(t, p.keyed.Allow("k"))
	})
}

func TestWaitIsRefusedAtOnceWhenItsTurnIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(500*time.Millisecond, ratelimit.Per(1, time.Second))
		p.exhaust()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		for _, err := range []error{p.keyed.Wait(ctx, "k"), p.single.Wait(ctx), p.keyed.Do(t.Context(), "k", nothing), p.single.Do(t.Context(), nothing)} {
			var limited *ratelimit.LimitedError
			require.ErrorAs(t, err, &limited)
			require.Equal(t, ratelimit.TurnTooLate, limited.Reason)
			require.Equal(t, time.Second, limited.RetryAfter())
		}
		require.Zero(t, time.Since(start))
		require.Zero(t, p.waiting())
		time.Sleep(600 * time.Millisecond)
		require.NoError(t, p.keyed.Do(t.Context(), "k", nothing), "within MaxWait")
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestTheQueueOfAKeyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[int]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Second)}, MaxWaiting: 2})
		l.Allow(1)
		for range 2 {
			go func() { _ = l.Wait(t.Context(), 1) }()
		}
		synctest.Wait()
		err := l.Wait(t.Context(), 1)
		var limited *ratelimit.LimitedError
		require.ErrorAs(t, err, &limited)
		require.Equal(t, ratelimit.QueueFull, limited.Reason)
		require.Equal(t, 3*time.Second, limited.RetryAfter())
		require.NoError(t, l.Wait(t.Context(), 2), "another key has a queue of its own")
		time.Sleep(5 * time.Second)
	})
}

func TestReservationsHaveTheirTimeAndCanBeCancelled(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(0, limit)
				for form, reserve := range map[string]func(int) (ratelimit.Reservation, error){
					"keyed":  func(n int) (ratelimit.Reservation, error) { return p.keyed.Reserve("k", n) },
					"single": p.single.Reserve,
				} {
					now, err := reserve(2)
					require.NoError(t, err, form)
					require.Zero(t, now.Delay())
					next, err := reserve(2)
					require.NoError(t, err)
					require.Equal(t, time.Second, next.Delay())
					last, err := reserve(1)
					require.NoError(t, err)
					require.Greater(t, last.Delay(), time.Second)
					fixed := last.Delay()
					require.True(t, next.Cancel())
					require.False(t, next.Cancel(), "the second does nothing")
					require.Zero(t, next.Delay())
					require.Equal(t, fixed, last.Delay(), "the time of a reservation stays")
					require.True(t, last.Cancel())
					require.True(t, now.Cancel(), "nothing was taken since")
					again, err := reserve(2)
					require.NoError(t, err)
					require.Zero(t, again.Delay(), "all is as before")
					time.Sleep(10 * time.Second)
					first, _ := reserve(1)
					time.Sleep(time.Nanosecond)
					second, _ := reserve(1)
					require.False(t, first.Cancel(), "a later one was granted")
					require.True(t, second.Cancel())
					time.Sleep(10 * time.Second)
				}
				var none ratelimit.Reservation
				require.False(t, none.Cancel())
				require.Zero(t, none.Delay())
			})
		})
	}
}

func TestWaitersMoveUpWhenPermitsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(0, ratelimit.Per(2, time.Hour))
		p.exhaust()
		var served atomic.Int64
		for range 2 {
			go func() { _ = p.keyed.Wait(t.Context(), "k"); served.Add(1) }()
			go func() { _ = p.single.Wait(t.Context()); served.Add(1) }()
			synctest.Wait()
		}
		p.keyed.Refund("k", 1)
		p.single.Refund(1)
		synctest.Wait()
		require.EqualValues(t, 2, served.Load())
		p.keyed.Reset("k")
		p.single.Reset()
		synctest.Wait()
		require.EqualValues(t, 4, served.Load())
	})
}

// A storm of cancellations at all moments, with the log of what was granted
// against the limit.
func TestACancellationStormLosesNoPermitAndPassesNoLimit(t *testing.T) {
	for name, limit := range algorithms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(0, limit)
				start := time.Now()
				var mu sync.Mutex
				var log []time.Duration
				var wg sync.WaitGroup
				for i := range 60 {
					wg.Go(func() {
						rng := rand.New(rand.NewPCG(uint64(i), 1))
						time.Sleep(time.Duration(rng.Int64N(2e9)))
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if rng.IntN(2) == 0 {
							stop := time.AfterFunc(time.Duration(rng.Int64N(8e9)), cancel)
							defer stop.Stop()
						}
						switch err := p.keyed.Wait(ctx, "k"); {
						case err == nil:
							mu.Lock()
							log = append(log, time.Since(start))
							mu.Unlock()
						case !errors.Is(err, context.Canceled):
							t.Errorf("Wait: %v", err)
						}
					})
				}
				wg.Wait()
				most := 2
				if name == "gcra" {
					most = 3 // half-open windows of a rate of 2: burst and one that came
				}
				require.LessOrEqual(t, worst(log, time.Second), most)
				require.Greater(t, len(log), 25)
				require.Zero(t, p.waiting())
				require.LessOrEqual(t, log[len(log)-1], time.Duration(len(log)/2+3)*time.Second, "no turn was left unused")
			})
		})
	}
}

func TestWaitUnderRealContention(t *testing.T) {
	p := newPair(0, ratelimit.Rate(20_000, time.Second, 10))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := p.single.Wait(context.Background()); err != nil {
					t.Errorf("Wait: %v", err)
				}
				if err := p.keyed.Wait(context.Background(), "k"); err != nil {
					t.Errorf("Wait: %v", err)
				}
				p.single.Allow()
			}
		})
	}
	wg.Wait()
	require.Zero(t, p.waiting())
}

// Stats count a request that waits when it gets its permits, and not when it
// joins the queue: it may leave before.
func TestWaitCountsAsAllowedWhatGotItsPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.MustNew(ratelimit.Config[string]{Limits: []ratelimit.Limit{ratelimit.Per(1, time.Second)}})
		require.True(t, l.Allow("a"))
		ctx, cancel := context.WithCancel(t.Context())
		left, served := make(chan error, 1), make(chan error, 1)
		go func() { left <- l.Wait(ctx, "a") }()
		synctest.Wait()
		go func() { served <- l.Wait(t.Context(), "a") }()
		synctest.Wait()
		require.EqualValues(t, 1, l.Stats().Allowed, "two wait")
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		require.NoError(t, <-served)
		require.EqualValues(t, 2, l.Stats().Allowed)
		require.Zero(t, l.Stats().Limited)

		r, err := l.Reserve("a", 1)
		require.NoError(t, err)
		require.EqualValues(t, 3, l.Stats().Allowed, "a reservation has its permits")
		require.True(t, r.Cancel())
	})
}
