package hedge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/retry/hedge"
)

var errTry = errors.New("failed")

// both runs a test with attempts in the caller's goroutine and detached.
func both(t *testing.T, test func(t *testing.T, detached bool)) {
	for _, detached := range []bool{false, true} {
		t.Run(fmt.Sprintf("detached=%v", detached), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, detached) })
		})
	}
}

// sleep waits as a function that honours its context does.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause waits as a function that is deaf to its context does.
func pause(d time.Duration) { <-time.After(d) }

// numbered returns a function whose attempts take the given times, then return
// their number. Without an entry they take no time.
func numbered(takes ...time.Duration) func(context.Context) (int, error) {
	var n atomic.Int32
	return func(ctx context.Context) (int, error) {
		i := int(n.Add(1))
		if i <= len(takes) {
			if err := sleep(ctx, takes[i-1]); err != nil {
				return 0, err
			}
		}
		return i, nil
	}
}

func TestFastCallMakesNoExtraAttempt(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		begin := time.Now()
		v, err := hedge.DoValue(t.Context(), h, numbered(500*time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.Equal(t, 500*time.Millisecond, time.Since(begin))
		require.Equal(t, hedge.Stats{Calls: 1, Delay: time.Second}, h.Stats())
	})
}

func TestSlowCallIsAnsweredByTheExtraAttempt(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		begin := time.Now()
		v, err := hedge.DoValue(t.Context(), h, numbered(time.Hour, 300*time.Millisecond))
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.Equal(t, 1300*time.Millisecond, time.Since(begin))
		synctest.Wait()
		require.Equal(t, hedge.Stats{Calls: 1, Hedges: 1, Wins: 1, Delay: time.Second}, h.Stats())
	})
}

func TestFirstAttemptMayStillWin(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		v, err := hedge.DoValue(t.Context(), h, numbered(1200*time.Millisecond, time.Hour))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		synctest.Wait()
		require.Equal(t, hedge.Stats{Calls: 1, Hedges: 1, Delay: time.Second}, h.Stats())
	})
}

func TestLosersContextEndsWithErrLost(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		var n atomic.Int32
		causes := make(chan error, 1)
		require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error {
			if n.Add(1) == 1 {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return ctx.Err()
			}
			return nil
		}))
		require.Equal(t, hedge.ErrLost, <-causes)
	})
}

func TestMaxAttemptsBoundsTheAttempts(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		for _, n := range []int{1, 2, 4} {
			h := hedge.MustNew(hedge.Config{Delay: time.Second, MaxAttempts: n, Detached: detached})
			begin := time.Now()
			var starts []time.Duration
			var mu sync.Mutex
			require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error {
				mu.Lock()
				starts = append(starts, time.Since(begin))
				mu.Unlock()
				return sleep(ctx, 10*time.Second)
			}))
			synctest.Wait()
			require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}[:n], starts)
		}
	})
}

func TestExtraAttemptRescuesAFailedFirst(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		var n atomic.Int32
		v, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (string, error) {
			if n.Add(1) == 1 {
				_ = sleep(ctx, 2*time.Second)
				return "", errTry
			}
			return "rescued", sleep(ctx, 5*time.Second)
		})
		require.NoError(t, err)
		require.Equal(t, "rescued", v)
	})
}

func TestErrorIsNoReasonForAnExtraAttempt(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		begin, calls := time.Now(), 0
		err := h.Do(t.Context(), func(context.Context) error { calls++; return errTry })
		require.True(t, err == errTry)
		require.Zero(t, time.Since(begin))
		pause(time.Minute)
		require.Equal(t, 1, calls)
	})
}

func TestWhenAllFailTheFirstAttemptsOutcomeIsReturned(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, MaxAttempts: 3, Detached: detached})
		var n atomic.Int32
		v, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int, error) {
			i := n.Add(1)
			_ = sleep(ctx, time.Duration(7-2*i)*time.Second)
			return int(i), fmt.Errorf("attempt %d failed", i)
		})
		require.EqualError(t, err, "attempt 1 failed")
		require.Equal(t, 1, v)
	})
}

// resource is a result that must be closed.
type resource struct{ open *atomic.Int32 }

func (r resource) Close() error { r.open.Add(-1); return nil }

func TestLateSuccessIsClosed(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		var open, n atomic.Int32
		got, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (resource, error) {
			if n.Add(1) == 1 {
				<-ctx.Done() // succeeds all the same
			}
			open.Add(1)
			return resource{&open}, nil
		})
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 1, open.Load(), "the winner's is open, the loser's closed")
		require.NoError(t, got.Close())
		require.EqualValues(t, 1, h.Stats().Discarded)
	})
}

func TestDiscardIsGivenEachLateSuccess(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		discarded := make(chan any, 3)
		h := hedge.MustNew(hedge.Config{Delay: time.Second, MaxAttempts: 3, Detached: detached,
			Discard: func(v any) { discarded <- v }})
		var n atomic.Int32
		v, err := hedge.DoValue(t.Context(), h, func(ctx context.Context) (int32, error) {
			i := n.Add(1)
			if i < 3 {
				<-ctx.Done()
			}
			return i, nil
		})
		require.NoError(t, err)
		require.EqualValues(t, 3, v)
		require.ElementsMatch(t, []any{int32(1), int32(2)}, []any{<-discarded, <-discarded})
	})
}

func TestSuccessIsDiscardedWhenTheFirstAttemptPanics(t *testing.T) {
	for _, before := range []bool{false, true} { // whether the extra attempt succeeds before the panic
		synctest.Test(t, func(t *testing.T) {
			h := hedge.MustNew(hedge.Config{Delay: time.Second})
			var open, n atomic.Int32
			require.PanicsWithValue(t, "boom", func() {
				_, _ = hedge.DoValue(t.Context(), h, func(ctx context.Context) (resource, error) {
					switch {
					case n.Add(1) == 1 && before:
						<-ctx.Done()
						panic("boom")
					case n.Load() == 1:
						pause(2 * time.Second)
						panic("boom")
					case !before:
						<-ctx.Done()
					}
					open.Add(1)
					return resource{&open}, nil
				})
			})
			require.Zero(t, open.Load())
			require.EqualValues(t, 2, n.Load())
			require.EqualValues(t, 1, h.Stats().Discarded)
		})
	}
}

func TestDetachedReturnsWhileALoserStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: true})
		begin := time.Now()
		var n atomic.Int32
		require.NoError(t, h.Do(t.Context(), func(context.Context) error {
			if n.Add(1) == 1 {
				pause(time.Minute) // deaf to its context
			}
			return nil
		}))
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, 1, h.Stats().Abandoned)
		pause(time.Minute)
		require.Equal(t, 0, h.Stats().Abandoned)
	})
}

func TestCooperativeCallLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second})
		var running atomic.Int32
		var n atomic.Int32
		require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error {
			running.Add(1)
			defer running.Add(-1)
			if n.Add(1) == 2 {
				<-ctx.Done()
				pause(time.Second) // takes a while to clean up
				return ctx.Err()
			}
			return sleep(ctx, 2*time.Second)
		}))
		require.Zero(t, running.Load())
	})
}

func TestFirstAttemptRunsOnTheCallersGoroutine(t *testing.T) {
	h := hedge.MustNew(hedge.Config{Delay: time.Hour})
	defer func() { require.Equal(t, "mine", recover(), "a panic can only reach its own goroutine") }()
	_ = h.Do(t.Context(), func(context.Context) error { panic("mine") })
}

func TestNewNamesTheFieldThatIsOutOfBounds(t *testing.T) {
	for want, cfg := range map[string]hedge.Config{
		"hedge: Config.Delay is -1s, want ≥ 0":              {Delay: -time.Second},
		"hedge: Config.MinDelay is -1s, want ≥ 0":           {MinDelay: -time.Second},
		"hedge: Config.MaxAttempts is -1, want ≥ 0":         {MaxAttempts: -1},
		"hedge: Config.Quantile is 1, want 0 to below 1":    {Quantile: 1},
		"hedge: Config.Quantile is -0.5, want 0 to below 1": {Quantile: -0.5},
		"hedge: Config.Quantile is NaN, want 0 to below 1":  {Quantile: math.NaN()},
		"hedge: Config.Ratio is -1, want 0 to 10":           {Ratio: -1},
		"hedge: Config.Ratio is NaN, want 0 to 10":          {Ratio: math.NaN()},
		"hedge: Config.Ratio is 0.5, want 0 with a Budget":  {Ratio: 0.5, Budget: &fakeBudget{}},
	} {
		_, err := hedge.New(cfg)
		require.EqualError(t, err, want)
		require.PanicsWithValue(t, want, func() { hedge.MustNew(cfg) })
	}
}

func TestNilFunctionsPanicAtOnce(t *testing.T) {
	h := hedge.MustNew(hedge.Config{})
	const want = "hedge: fn is nil"
	require.PanicsWithValue(t, want, func() { _ = h.Do(t.Context(), nil) })
	require.PanicsWithValue(t, want, func() { _, _ = hedge.DoValue[int](t.Context(), h, nil) })
	require.PanicsWithValue(t, want, func() { hedge.Wrap[int](h, nil) })
}

// fakeBudget allows some extra attempts and counts what it is told.
type fakeBudget struct {
	mu                  sync.Mutex
	allow               int
	withdrawn, deposits int
}

func (b *fakeBudget) Withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.withdrawn++
	return b.withdrawn <= b.allow
}

func (b *fakeBudget) Deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deposits++
}

func TestBudgetBoundsExtraAttempts(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		budget := &fakeBudget{allow: 1}
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Budget: budget, MaxAttempts: 4, Detached: detached})
		slow := func(ctx context.Context) error { return sleep(ctx, 5*time.Second) }
		for range 3 {
			require.NoError(t, h.Do(t.Context(), slow))
		}
		synctest.Wait()
		require.EqualValues(t, 1, h.Stats().Hedges)
		require.EqualValues(t, 3, h.Stats().OverBudget, "a call is not refused, and asks no more once refused")
		require.Equal(t, 3, budget.deposits)
		require.Error(t, h.Do(t.Context(), func(context.Context) error { return errTry }))
		require.Equal(t, 3, budget.deposits, "a failed call brings nothing")
	})
}

func TestRatioBoundsExtraAttemptsInTheLongRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Ratio: 0.25})
		for range 400 {
			require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error { return sleep(ctx, 3*time.Second) }))
		}
		s := h.Stats()
		require.EqualValues(t, 400, s.Hedges+s.OverBudget)
		require.InDelta(t, 10+400*0.25, s.Hedges, 2)
	})
}

func TestRatioSavesUpTenExtraAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Ratio: 1e-6})
		for range 20 {
			require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error { return sleep(ctx, 3*time.Second) }))
		}
		require.EqualValues(t, 10, h.Stats().Hedges)
	})
}

// slowBudget allows everything, after a while.
type slowBudget struct{}

func (slowBudget) Withdraw() bool { pause(time.Second); return true }
func (slowBudget) Deposit()       {}

func TestNoExtraAttemptStartsWhenTheCallEndsWhileTheBudgetIsAsked(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Budget: slowBudget{}, Detached: detached})
		var n atomic.Int32
		require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error {
			n.Add(1)
			return sleep(ctx, 1500*time.Millisecond)
		}))
		pause(time.Minute)
		require.EqualValues(t, 1, n.Load())
		require.Zero(t, h.Stats().Hedges)
	})
}

func TestOnHedgeDescribesTheExtraAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan hedge.HedgeEvent, 2)
		h := hedge.MustNew(hedge.Config{Name: "search", Delay: time.Second, MaxAttempts: 3,
			Hooks: hedge.Hooks{OnHedge: func(e hedge.HedgeEvent) { events <- e }}})
		require.NoError(t, h.Do(t.Context(), func(ctx context.Context) error { return sleep(ctx, 10*time.Second) }))
		require.Equal(t, hedge.HedgeEvent{Name: "search", Attempt: 2, Delay: time.Second}, <-events)
		require.Equal(t, hedge.HedgeEvent{Name: "search", Attempt: 3, Delay: time.Second}, <-events)
	})
}

func TestWrapKeepsTheSignature(t *testing.T) {
	both(t, func(t *testing.T, detached bool) {
		h := hedge.MustNew(hedge.Config{Delay: time.Second, Detached: detached})
		v, err := hedge.Wrap(h, hedge.Wrap(h, numbered(10*time.Millisecond)))(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

func TestStatsMarshalInSnakeCase(t *testing.T) {
	data, err := json.Marshal(hedge.Stats{})
	require.NoError(t, err)
	require.JSONEq(t, `{"name":"","calls":0,"hedges":0,"wins":0,"over_budget":0,"discarded":0,"abandoned":0,"delay_ns":0}`, string(data))
}

func TestUsualCallAllocatesLittle(t *testing.T) {
	h := hedge.MustNew(hedge.Config{Delay: time.Hour})
	ctx := context.Background()
	fn := func(context.Context) (int, error) { return 1, nil }
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = hedge.DoValue(ctx, h, fn) }), 5.0)
}

// panicEnv makes the test binary panic in an extra attempt, for the test below.
const panicEnv = "HEDGE_TEST_PANIC"

func panicInExtraAttempt() {
	var n atomic.Int32
	h := hedge.MustNew(hedge.Config{Delay: time.Millisecond})
	defer func() { fmt.Println("recovered in the caller:", recover()) }()
	_ = h.Do(context.Background(), func(ctx context.Context) error {
		if n.Add(1) == 2 {
			panicOfExtraAttempt()
		}
		<-ctx.Done()
		return ctx.Err()
	})
}

func panicOfExtraAttempt() { panic("extra") }

func TestPanicOfAnExtraAttemptEndsTheProgramWithItsOwnStack(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), panicEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "panic: extra")
	require.Contains(t, string(out), "panicOfExtraAttempt")
}
