package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/breaker"
)

// minute is a breaker that opens on one failure, for a minute to the second.
func minute(change func(*breaker.Config)) *breaker.Breaker {
	cfg := breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Minute, NoJitter: true, SuccessThreshold: 1}
	if change != nil {
		change(&cfg)
	}
	return breaker.MustNew(cfg)
}

func TestBreakerOpensForItsTimeAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.StateChange
		b := minute(func(cfg *breaker.Config) {
			cfg.Hooks.OnStateChange = func(c breaker.StateChange) { got = append(got, c) }
		})
		_ = b.Do(bg, fail)
		time.Sleep(59 * time.Second)
		err := b.Do(bg, unreachable(t))
		require.EqualError(t, err, "breaker: open, retry after 1s")
		time.Sleep(time.Second)
		require.NoError(t, b.Do(bg, succeed))
		require.Equal(t, breaker.Closed, b.State())
		require.Equal(t, []breaker.StateChange{
			{From: breaker.Closed, To: breaker.Open, Rule: breaker.RuleConsecutiveFailures, OpenFor: time.Minute, Err: errDown},
			{From: breaker.Open, To: breaker.HalfOpen, Rule: breaker.RuleOpenElapsed},
			{From: breaker.HalfOpen, To: breaker.Closed, Rule: breaker.RuleProbesSucceeded},
		}, got)
		var open *breaker.OpenError
		require.ErrorAs(t, err, &open)
		require.Zero(t, open.RetryAfter(), "over")
	})
}

func TestBreakerStateOfAnIdleBreakerMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := 0
		b := minute(func(cfg *breaker.Config) {
			cfg.Hooks.OnStateChange = func(breaker.StateChange) { changes++ }
		})
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		require.Equal(t, breaker.HalfOpen, b.State())
		require.Equal(t, 2, changes)
		require.Equal(t, "half-open", b.Stats().State)
		require.Equal(t, 2, changes)
	})
}

func TestBreakerHalfOpenAdmitsNoMoreThanItsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.Probes, cfg.SuccessThreshold = 3, 5 })
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		release := make(chan struct{})
		var mu sync.Mutex
		running, most, refused := 0, 0, 0
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				err := b.Do(bg, func(context.Context) error {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					<-release
					mu.Lock()
					running--
					mu.Unlock()
					return nil
				})
				if err != nil {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		require.Equal(t, 97, refused)
		require.EqualError(t, b.Do(bg, unreachable(t)), "breaker: open, waiting for probes")
		close(release)
		wg.Wait()
		require.Equal(t, 3, most)
		require.Equal(t, breaker.HalfOpen, b.State(), "3 of 5")
		require.NoError(t, b.Do(bg, succeed))
		require.NoError(t, b.Do(bg, succeed))
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBreakerSuccessesOfOneRecoveryDoNotCountInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.SuccessThreshold = 2 })
		_ = b.Do(bg, fail)
		for range 3 {
			time.Sleep(time.Minute)
			require.NoError(t, b.Do(bg, succeed))
			require.Equal(t, breaker.HalfOpen, b.State(), "1 of 2")
			_ = b.Do(bg, fail)
			require.Equal(t, breaker.Open, b.State())
		}
	})
}

func TestBreakerResultsFromBeforeTheOutageDoNotDecideTheRecovery(t *testing.T) {
	for _, late := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored} {
		synctest.Test(t, func(t *testing.T) {
			b := minute(nil)
			old, err := b.Allow()
			require.NoError(t, err)
			_ = b.Do(bg, fail)
			time.Sleep(time.Minute)
			probe, err := b.Allow()
			require.NoError(t, err)
			old.Record(late, nil)
			require.Equal(t, breaker.HalfOpen, b.State())
			require.Equal(t, 1, b.Stats().Probes, "the probe keeps its place")
			probe.Record(breaker.Success, nil)
			require.Equal(t, breaker.Closed, b.State())
		})
	}
}

func TestBreakerIgnoredProbeGivesItsPlaceBackWithoutAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(nil)
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		for range 5 {
			ctx, cancel := context.WithCancel(bg)
			_ = b.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
			require.Equal(t, breaker.HalfOpen, b.State())
		}
		require.NoError(t, b.Do(bg, succeed))
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBreakerProbeThatPanicsOrExitsDoesNotKeepItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(nil)
		_ = b.Do(bg, fail)
		for _, end := range []func(context.Context) error{
			func(context.Context) error { panic("probe") },
			func(context.Context) error { runtime.Goexit(); return nil },
		} {
			time.Sleep(time.Minute)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // as net/http does
				_ = b.Do(bg, end)
			}()
			<-done
			require.Equal(t, breaker.Open, b.State())
		}
		time.Sleep(time.Minute)
		require.NoError(t, b.Do(bg, succeed))
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBreakerAbandonedProbeLosesItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rules []breaker.Rule
		b := minute(func(cfg *breaker.Config) {
			cfg.ProbeTimeout = 10 * time.Second
			cfg.Hooks.OnStateChange = func(c breaker.StateChange) { rules = append(rules, c.Rule) }
		})
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		probe, err := b.Allow()
		require.NoError(t, err)
		time.Sleep(9 * time.Second)
		require.ErrorIs(t, b.Do(bg, succeed), breaker.ErrOpen)
		require.Equal(t, breaker.HalfOpen, b.State())
		time.Sleep(time.Second)
		require.Equal(t, breaker.Open, b.State())
		probe.Record(breaker.Success, nil)
		require.Equal(t, breaker.Open, b.State(), "too late")
		require.Equal(t, breaker.RuleProbeExpired, rules[2])

		// Nobody asks for a day: the next call is a probe at once.
		time.Sleep(time.Minute)
		_, err = b.Allow()
		require.NoError(t, err)
		time.Sleep(24 * time.Hour)
		require.NoError(t, b.Do(bg, succeed))
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBreakerProbeThatEndsAfterItsLeaseCountsAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.ProbeTimeout = 10 * time.Second })
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		require.NoError(t, b.Do(bg, func(context.Context) error { time.Sleep(10 * time.Second); return nil }))
		require.Equal(t, breaker.Open, b.State(), "though nobody had asked meanwhile")
	})
}

func TestBreakerHookThatPanicsAtAdmissionGivesTheProbeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) {
			cfg.Hooks.OnStateChange = func(c breaker.StateChange) {
				if c.To == breaker.HalfOpen {
					panic("hook")
				}
			}
		})
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		value, _ := recovered(func() { _ = b.Do(bg, unreachable(t)) })
		require.Equal(t, "hook", value)
		require.Zero(t, b.Stats().Probes)
		require.NoError(t, b.Do(bg, succeed))
	})
}

func TestBreakerOpenTimeGrowsWhileProbesFailAndForgetsOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.MaxOpenFor = 5 * time.Minute })
		for range 2 {
			_ = b.Do(bg, fail)
			for _, want := range []time.Duration{1, 2, 4, 5, 5} {
				require.Equal(t, want*time.Minute, b.Stats().OpenFor)
				time.Sleep(want*time.Minute - time.Nanosecond)
				require.Equal(t, breaker.Open, b.State())
				time.Sleep(time.Nanosecond)
				require.Equal(t, breaker.HalfOpen, b.State())
				_ = b.Do(bg, fail)
			}
			time.Sleep(5 * time.Minute)
			_ = b.Do(bg, succeed)
			require.Equal(t, breaker.Closed, b.State())
		}
	})
}

type busy time.Duration

func (busy) Error() string               { return "busy" }
func (d busy) RetryAfter() time.Duration { return time.Duration(d) }

func TestBreakerErrorSetsTheOpenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(nil)
		_ = b.Do(bg, func(context.Context) error { return errors.Join(errDown, busy(5*time.Minute)) })
		var after interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, b.Do(bg, succeed), &after)
		require.Equal(t, 5*time.Minute, after.RetryAfter())
		time.Sleep(5 * time.Minute)
		require.NoError(t, b.Do(bg, succeed))
	})
}

func TestBreakerTimeWindowSlides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{FailureRate: 0.5, MinCalls: 10, Window: 10 * time.Second})
		for range 9 {
			_ = b.Do(bg, fail)
		}
		require.Equal(t, breaker.Closed, b.State(), "9 of at least 10")
		time.Sleep(11 * time.Second)
		for range 5 {
			require.NoError(t, b.Do(bg, succeed))
		}
		for range 4 {
			_ = b.Do(bg, fail)
		}
		s := b.Stats()
		require.Equal(t, [2]int{9, 4}, [2]int{s.WindowCalls, s.WindowFailures}, "the first nine have left")
		_ = b.Do(bg, fail)
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestBreakerCallsLongerThanTheWindowStillCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{FailureRate: 0.5, MinCalls: 20, Window: 10 * time.Second})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_ = b.Do(bg, func(context.Context) error { time.Sleep(15 * time.Second); return errDown })
			})
		}
		wg.Wait()
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestBreakerSlowCallsOpenItThoughTheySucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rules []breaker.Rule
		b := breaker.MustNew(breaker.Config{SlowCall: time.Second, SlowRate: 0.5, MinCalls: 4, Window: time.Minute,
			OpenFor: time.Minute, NoJitter: true, SuccessThreshold: 1,
			Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) { rules = append(rules, c.Rule) }}})
		take := func(d time.Duration) {
			require.NoError(t, b.Do(bg, func(context.Context) error { time.Sleep(d); return nil }))
		}
		take(0)
		take(time.Second - 1)
		take(time.Second)
		require.Equal(t, 1, b.Stats().WindowSlow)
		take(2 * time.Second)
		require.Equal(t, breaker.Open, b.State())
		time.Sleep(time.Minute)
		take(time.Second)
		require.Equal(t, breaker.Open, b.State(), "a slow probe is no recovery")
		time.Sleep(time.Minute)
		take(time.Millisecond)
		require.Equal(t, breaker.Closed, b.State())
		require.Equal(t, breaker.RuleSlowRate, rules[0])
		require.Equal(t, breaker.RuleProbeSlow, rules[2])
	})
}

func TestBreakerCallsInFlightAndSlowOpenItBeforeTheFirstReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rules []breaker.Rule
		b := breaker.MustNew(breaker.Config{SlowCall: 8 * time.Second, SlowInFlight: 3, OpenFor: time.Minute, NoJitter: true,
			Hooks: breaker.Hooks{OnStateChange: func(c breaker.StateChange) { rules = append(rules, c.Rule) }}})
		hang := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _ = b.Do(bg, func(context.Context) error { <-hang; return nil }) })
		}
		time.Sleep(8 * time.Second)
		require.NoError(t, b.Do(bg, succeed), "not slow yet, or only just")
		s := b.Stats()
		require.Equal(t, 3, s.InFlight)
		time.Sleep(time.Second)
		require.ErrorIs(t, b.Do(bg, unreachable(t)), breaker.ErrOpen)
		require.Equal(t, []breaker.Rule{breaker.RuleSlowInFlight}, rules)

		// What hung before counts for nothing once it has closed again.
		b.Reset()
		require.NoError(t, b.Do(bg, succeed))
		require.Zero(t, b.Stats().SlowInFlight)
		close(hang)
		wg.Wait()
		require.Zero(t, b.Stats().InFlight)
	})
}

func TestBreakerStateFindsCallsThatHangOnAnOtherwiseIdleBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{SlowCall: 8 * time.Second, SlowInFlight: 1})
		p, err := b.Allow()
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.Equal(t, breaker.Open, b.State())
		p.Record(breaker.Success, nil)
	})
}

func TestBreakerCallTimeoutCancelsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.Name, cfg.CallTimeout = "orders", 3*time.Second })
		begin := time.Now()
		err := b.Do(bg, func(ctx context.Context) error {
			<-ctx.Done()
			require.EqualError(t, context.Cause(ctx), "breaker: orders: call timed out, after 3s")
			require.ErrorIs(t, context.Cause(ctx), breaker.ErrTimeout)
			require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
			time.Sleep(2 * time.Second) // cleaning up
			return ctx.Err()
		})
		require.Equal(t, context.DeadlineExceeded, err, "fn's own error")
		require.Equal(t, 5*time.Second, time.Since(begin), "nothing is left running")
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestBreakerCallTimeoutIsAFailureWhateverFnReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) {
			cfg.CallTimeout = 3 * time.Second
			cfg.Classify = func(context.Context, error) breaker.Outcome { return breaker.Success }
		})
		v, err := breaker.DoValue(bg, b, func(context.Context) (int, error) { time.Sleep(4 * time.Second); return 7, nil })
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestBreakerCallersDeadlineIsToldFromTheCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.CallTimeout = 3 * time.Second })
		wait := func(ctx context.Context) error { <-ctx.Done(); time.Sleep(10 * time.Second); return ctx.Err() }
		ctx, cancel := context.WithTimeout(bg, 2*time.Second)
		defer cancel()
		require.ErrorIs(t, b.Do(ctx, wait), context.DeadlineExceeded)
		require.Equal(t, breaker.Closed, b.State(), "the caller's came first")
		ctx, cancel = context.WithTimeout(bg, 4*time.Second)
		defer cancel()
		require.ErrorIs(t, b.Do(ctx, wait), context.DeadlineExceeded)
		require.Equal(t, breaker.Open, b.State(), "the call timeout came first")
	})
}

func TestBreakerDetachReturnsAtTheTimeoutAndHoldsThePermitToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{ConsecutiveFailures: 2, CallTimeout: 3 * time.Second, Detach: true,
			SlowCall: time.Hour, SlowInFlight: 10})
		begin := time.Now()
		v, err := breaker.DoValue(bg, b, func(context.Context) (int, error) { time.Sleep(time.Minute); return 7, nil })
		require.Zero(t, v)
		require.ErrorIs(t, err, breaker.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var timeout *breaker.TimeoutError
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.Equal(t, 3*time.Second, time.Since(begin))
		s := b.Stats()
		require.Equal(t, [2]int{1, 1}, [2]int{s.ConsecutiveFailures, s.InFlight}, "counted at once, and still in flight")
		time.Sleep(time.Minute)
		s = b.Stats()
		require.Equal(t, [2]int{1, 0}, [2]int{s.ConsecutiveFailures, s.InFlight}, "the end is no second verdict")
	})
}

func TestBreakerDetachPassesGoexitOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.CallTimeout, cfg.Detach = time.Second, true })
		returned := false
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil })
			returned = true
		})
		wg.Wait()
		require.False(t, returned)
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestBreakerDetachedCallThatItsCallerLeftIsJudgedAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.CallTimeout, cfg.Detach = time.Hour, true })
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeoutCause(bg, time.Second, errCause)
		defer cancel()
		err := b.Do(ctx, func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCause)
		require.Equal(t, breaker.HalfOpen, b.State())
		time.Sleep(2 * time.Second)
		require.Equal(t, breaker.Closed, b.State(), "the probe succeeded after all")
	})
}

// shared is made outside any bubble, whose clock is another.
var (
	shared      = breaker.MustNew(breaker.Config{ConsecutiveFailures: 2, FailureRate: 0.9, MinCalls: 5, CountWindow: 10, SlowCall: time.Second, SlowRate: 0.9, SlowInFlight: 5, OpenFor: time.Minute, NoJitter: true, SuccessThreshold: 1})
	sharedGroup = breaker.MustNewGroup[string](breaker.GroupConfig{})
)

func TestSynctestSafe(t *testing.T) {
	_, _ = shared.Do(bg, fail), shared.Do(bg, fail)
	require.Equal(t, breaker.Open, shared.State())
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			// Opened under another clock it is taken for elapsed at once, or
			// has at most its open time to go.
			if shared.State() == breaker.Open {
				time.Sleep(time.Minute)
			}
			require.NotEqual(t, breaker.Open, shared.State())
			shared.Reset()
			require.NoError(t, shared.Do(bg, succeed))
			require.Equal(t, errDown, shared.Do(bg, fail))
			require.Equal(t, errDown, shared.Do(bg, fail))
			require.ErrorIs(t, shared.Do(bg, succeed), breaker.ErrOpen)
			time.Sleep(time.Minute)
			require.Equal(t, breaker.HalfOpen, shared.State())
			require.NoError(t, shared.Do(bg, succeed))
			require.Equal(t, breaker.Closed, shared.State())
			for range 4 {
				require.NoError(t, shared.Do(bg, succeed))
			}
			require.Equal(t, 4, shared.Stats().WindowCalls)
			_ = sharedGroup.Get("a").Do(bg, succeed)
			_, _ = shared.Do(bg, fail), shared.Do(bg, fail) // left open for the next
			require.Equal(t, breaker.Open, shared.State())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2 * time.Minute)
		_, err := shared.Allow() // a probe that is never ended
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(4 * time.Minute) // its lease, and the open time after it
		require.NoError(t, shared.Do(bg, succeed), "an abandoned probe of another clock blocks nobody")
	})
	require.NotPanics(t, func() { _ = shared.Do(bg, succeed) }, "and back outside")
	shared.Reset()
	require.NoError(t, shared.Do(bg, succeed))
	require.Equal(t, breaker.Closed, shared.State())
}

func TestBreakerWindowIsSharedByFailureRateAndSlowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.MustNew(breaker.Config{FailureRate: 0.9, SlowRate: 0.3, SlowCall: time.Second, MinCalls: 10, Window: time.Minute})
		slow := func(context.Context) error { time.Sleep(time.Second); return errDown }
		for range 7 {
			require.NoError(t, b.Do(bg, succeed))
		}
		for range 3 {
			require.Equal(t, breaker.Closed, b.State())
			_ = b.Do(bg, slow)
		}
		require.Equal(t, breaker.Open, b.State(), "30 % failed, which is few, and were slow, which is not")
	})
}

func TestBreakerReconfigureKeepsTheWindowsWhoseShapeStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := breaker.Config{CountWindow: 10, FailureRate: 1, MinCalls: 50, Window: time.Minute,
			SlowCall: 8 * time.Second, SlowInFlight: 5}
		b := breaker.MustNew(cfg)
		hanging, err := b.Allow()
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, b.Do(bg, succeed))
		}
		look := func() [3]int {
			s := b.Stats()
			return [3]int{s.CountCalls, s.WindowCalls, s.InFlight}
		}
		require.Equal(t, [3]int{3, 3, 1}, look())
		cfg.CountFailures, cfg.FailureRate, cfg.SlowInFlight = 9, 0.7, 2
		require.NoError(t, b.Reconfigure(cfg))
		require.Equal(t, [3]int{3, 3, 1}, look(), "other thresholds, the same windows")
		cfg.CountWindow = 20
		require.NoError(t, b.Reconfigure(cfg))
		require.Equal(t, [3]int{0, 3, 1}, look())
		cfg.Window = 2 * time.Minute
		require.NoError(t, b.Reconfigure(cfg))
		require.Equal(t, [3]int{0, 0, 1}, look())
		cfg.SlowCall = 16 * time.Second
		require.NoError(t, b.Reconfigure(cfg))
		require.Equal(t, [3]int{0, 0, 0}, look())
		hanging.Record(breaker.Success, nil)
		require.Equal(t, [3]int{1, 1, 0}, look(), "the call leaves the windows it entered")
		require.NoError(t, b.Reconfigure(breaker.Config{}))
		require.Equal(t, [3]int{0, 0, 0}, look())
		require.NoError(t, b.Do(bg, succeed))
	})
}

func TestBreakerFewerProbesTakeEffectWhileMoreAreOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := breaker.Config{ConsecutiveFailures: 1, OpenFor: time.Minute, NoJitter: true, Probes: 3, SuccessThreshold: 3}
		b := breaker.MustNew(cfg)
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		var out [3]*breaker.Permit
		for i := range out {
			p, err := b.Allow()
			require.NoError(t, err)
			out[i] = &p
		}
		cfg.Probes = 1
		require.NoError(t, b.Reconfigure(cfg))
		for i := range 2 {
			out[i].Record(breaker.Success, nil)
			require.ErrorIs(t, b.Do(bg, succeed), breaker.ErrOpen, "%d still out", 2-i)
		}
		out[2].Record(breaker.Success, nil)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBreakerShadowProbesLikeAnEnforcedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := minute(func(cfg *breaker.Config) { cfg.Mode = breaker.Shadow })
		_ = b.Do(bg, fail)
		time.Sleep(time.Minute)
		first, err := b.Allow()
		require.NoError(t, err)
		second, err := b.Allow()
		require.NoError(t, err, "admitted, but no probe")
		second.Record(breaker.Failure, nil)
		require.Equal(t, breaker.HalfOpen, b.State())
		first.Record(breaker.Success, nil)
		require.Equal(t, breaker.Closed, b.State())
		require.EqualValues(t, 1, b.Stats().ShadowRefused)
	})
}

func TestBreakerJudgesTimedCallsByTheValueToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, detach := range []bool{false, true} {
			b := minute(func(cfg *breaker.Config) { cfg.CallTimeout, cfg.Detach = time.Second, detach })
			_, err := breaker.DoJudged(bg, b, func(context.Context) (int, error) { return 503, nil },
				func(_ context.Context, status int, _ error) breaker.Outcome {
					if status >= 500 {
						return breaker.Failure
					}
					return breaker.Success
				})
			require.NoError(t, err)
			require.Equal(t, breaker.Open, b.State())
		}
	})
}
