package breaker

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCountWindowEqualsTheLastResults(t *testing.T) {
	for _, size := range []int{1, 2, 3, 63, 64, 65, 130} {
		rng := rand.New(rand.NewPCG(uint64(size), 7))
		c := newCountWindow(size)
		var all []bool
		for range 5 * size {
			failed := rng.IntN(3) == 0
			all = append(all, failed)
			if failed {
				c.add(true)
			} else {
				c.add(false)
			}
			last := all[max(0, len(all)-size):]
			want := 0
			for _, f := range last {
				if f {
					want++
				}
			}
			calls, failures := c.counts()
			require.Equal(t, len(last), calls)
			require.Equal(t, want, failures)
		}
	}
}

func TestCountWindowMayDropSuccessesThatChangeNothing(t *testing.T) {
	const size = 10
	c := newCountWindow(size)
	for range size {
		require.False(t, c.healthy())
		c.add(false)
	}
	require.True(t, c.healthy())
	c.add(true)
	for i := range size {
		_, failures := c.counts()
		require.Equal(t, 1, failures, "the failure stays for %d more results", size-i)
		require.False(t, c.healthy())
		c.add(false)
	}
	_, failures := c.counts()
	require.Zero(t, failures)
}

func TestCountWindowCounterEqualsItsBitsAfterAStorm(t *testing.T) {
	c := newCountWindow(100)
	storm(func(rng *rand.Rand) {
		if rng.IntN(2) == 0 {
			c.add(true)
		} else if !c.healthy() {
			c.add(false)
		}
	})
	set := 0
	for i := range c.bits {
		for b := c.bits[i].Load(); b != 0; b &= b - 1 {
			set++
		}
	}
	_, failures := c.counts()
	require.Equal(t, set, failures)
}

// storm runs op many times on several goroutines.
func storm(op func(*rand.Rand)) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 5000 {
				op(rng)
			}
		})
	}
	wg.Wait()
}

func TestTimeWindowEqualsTheResultsOfItsLastTenSlices(t *testing.T) {
	type result struct {
		epoch        uint64
		failed, slow bool
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		w := newTimeWindow(10 * time.Second)
		var all []result
		now := rng.Int64() - 1<<62 // the clock may read anything
		for range 500 {
			now += rng.Int64N(int64(3 * time.Second))
			if rng.IntN(50) == 0 {
				now += int64(time.Hour)
			}
			r := result{epochOf(now, w.width), rng.IntN(2) == 0, rng.IntN(3) == 0}
			w.add(now, r.failed, r.slow)
			all = append(all, r)
			var calls, failures, slows uint64
			for _, r := range all {
				if epochOf(now, w.width)-r.epoch < windowCells {
					calls++
					failures += map[bool]uint64{true: 1}[r.failed]
					slows += map[bool]uint64{true: 1}[r.slow]
				}
			}
			gotCalls, gotFailures, gotSlows := w.sum(now)
			require.Equal(t, [3]uint64{calls, failures, slows}, [3]uint64{gotCalls, gotFailures, gotSlows})
		}
	}
}

func TestTimeWindowThatSamplesTheClockStaysCloseToTheTruth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := MustNew(Config{})
		w := newTimeWindow(10 * time.Second)
		perEpoch := map[uint64]uint64{}
		rng := rand.New(rand.NewPCG(1, 2))
		tolerance := (sampled - 1) * len(w.shards)
		sampling := 0
		for range 60_000 {
			w.succeed(b)
			epoch := epochOf(b.now(), w.width)
			perEpoch[epoch]++
			if perEpoch[epoch] > busyCalls*uint64(len(w.shards)) {
				sampling++
			}
			if rng.IntN(100) == 0 {
				var want uint64
				for e := range uint64(windowCells) {
					want += perEpoch[epoch-e]
				}
				calls, _, _ := w.sum(b.now())
				require.InDelta(t, float64(want), float64(calls), float64(tolerance))
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond) // some 10,000 in a slice
		}
		require.Greater(t, sampling, 20_000)

		// After a lull every call counts again as soon as one has looked.
		time.Sleep(time.Minute)
		w.add(b.now(), true, false)
		for range 10 {
			w.succeed(b)
		}
		calls, failures, _ := w.sum(b.now())
		require.Equal(t, [2]uint64{11, 1}, [2]uint64{calls, failures})
	})
}

func TestTimeWindowLosesNothingInAStorm(t *testing.T) {
	w := newTimeWindow(10 * time.Second)
	storm(func(rng *rand.Rand) {
		w.add(rng.Int64N(int64(5*time.Second)), rng.IntN(2) == 0, true)
	})
	calls, failures, slow := w.sum(int64(5 * time.Second))
	require.EqualValues(t, 20000, calls)
	require.EqualValues(t, 20000, slow)
	require.InDelta(t, 10000, float64(failures), 1000)
}

func TestTimeWindowDropsAResultThatComesAWindowLate(t *testing.T) {
	w := newTimeWindow(10 * time.Second)
	w.shards = w.shards[:1]
	w.add(int64(11*time.Second), false, false)
	w.add(int64(time.Second), true, false)
	calls, failures, _ := w.sum(int64(11 * time.Second))
	require.EqualValues(t, 1, calls)
	require.Zero(t, failures)
}

func TestFlightFindsACallSlowBetweenOneAndNineEighths(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		slowCall := int64(time.Second)
		f := newFlight(time.Duration(slowCall))
		now := rng.Int64() - 1<<62
		var starts []int64
		for range 1000 {
			now += rng.Int64N(slowCall / 4)
			if rng.IntN(100) == 0 {
				now += 5 * slowCall
			}
			if rng.IntN(2) == 0 {
				f.enter(now)
				starts = append(starts, now)
			} else if n := len(starts); n > 0 {
				i := rng.IntN(n)
				f.leave(starts[i])
				starts = append(starts[:i], starts[i+1:]...)
			}
			surely, maybe := 0, 0
			for _, s := range starts {
				if now-s >= slowCall*9/8 {
					surely++
				}
				if now-s >= slowCall {
					maybe++
				}
			}
			total, slow := f.counts(now)
			require.Equal(t, len(starts), total)
			require.GreaterOrEqual(t, slow, surely)
			require.LessOrEqual(t, slow, maybe)
		}
	}
}

func TestFlightForgivesAClockThatIsBehind(t *testing.T) {
	f := newFlight(time.Second)
	late := int64(10 * time.Second)
	f.enter(late)
	behind := late - int64(1125*time.Millisecond) // the same cell, one lap ago
	f.enter(behind)
	_, slow := f.counts(late)
	require.Equal(t, 1, slow, "only the call that really began a lap ago")
	f.leave(behind)
	f.leave(late)
	total, slow := f.counts(late)
	require.Zero(t, total)
	require.Zero(t, slow)

	replaced := late - int64(9*time.Second) // the same cell again
	f.enter(replaced)
	_, slow = f.counts(replaced)
	require.Zero(t, slow, "nothing was in flight, so the clock is another")
	f.leave(replaced)
}

func TestOpenForStaysWithinItsBounds(t *testing.T) {
	cfg := Config{OpenFor: 10 * time.Second, MaxOpenFor: time.Minute}
	r, err := cfg.compile()
	require.NoError(t, err)
	for reopens, base := range []time.Duration{10, 20, 40, 60, 60} {
		base *= time.Second
		var sum, least, most time.Duration
		const n = 2000
		least = time.Hour
		for range n {
			d := r.drawOpenFor(uint(reopens), 0)
			sum, least, most = sum+d, min(least, d), max(most, d)
		}
		top := min(base*11/10, time.Minute)
		require.GreaterOrEqual(t, least, base*9/10)
		require.LessOrEqual(t, most, top)
		middle := (base*9/10 + top) / 2
		require.InEpsilon(t, float64(middle), float64(sum/n), 0.02, "the jitter is even, at the cap too")
	}
}

func TestOpenForTakesTheServersTime(t *testing.T) {
	cfg := Config{OpenFor: 10 * time.Second}
	r, err := cfg.compile()
	require.NoError(t, err)
	for range 1000 {
		d := r.drawOpenFor(3, 30*time.Second)
		require.GreaterOrEqual(t, d, 30*time.Second, "never earlier than asked")
		require.LessOrEqual(t, d, 33*time.Second)
	}
	require.Equal(t, 100*time.Second, r.drawOpenFor(0, 484_289*time.Hour), "ten times OpenFor at most")
	require.LessOrEqual(t, r.drawOpenFor(0, 0), 11*time.Second, "none given")
	require.LessOrEqual(t, r.drawOpenFor(0, -1), 11*time.Second, "none given")
	cfg.MaxOpenFor, cfg.NoJitter = 20*time.Second, true
	r, err = cfg.compile()
	require.NoError(t, err)
	require.Equal(t, 20*time.Second, r.drawOpenFor(0, time.Minute))
	require.Equal(t, 15*time.Second, r.drawOpenFor(0, 15*time.Second))
	require.Equal(t, 20*time.Second, r.drawOpenFor(1<<30, 0))
}
