package memwatch

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pressed is a Watcher in a control group of which the share is used that step
// says, and the levels that its hook was told of.
func pressed(t *testing.T, cfg PressureConfig, step func(i uint64) uint64) (*Watcher, *[]PressureChange) {
	t.Helper()
	var told []PressureChange
	w := scripted(t, Config{Pressure: cfg, Hooks: Hooks{OnPressure: func(c PressureChange) { told = append(told, c) }}},
		func(i uint64) Sample { return Sample{Cycle: i, Live: 10 * mb} })
	w.meter.(*scriptMeter).step = func(i uint64) reading {
		return reading{groups: []groupUse{{path: "memory.max", used: step(i), limit: 100, known: true}}, unreadable: int(i % 2)}
	}
	return w, &told
}

func levelsOf(changes []PressureChange) (out []Level) {
	for _, c := range changes {
		out = append(out, c.Pressure.Level)
	}
	return out
}

func TestRunTellsOfEachLevelOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, told := pressed(t, PressureConfig{}, func(i uint64) uint64 { return min(i, 100) })
		require.Equal(t, Pressure{}, w.Pressure())
		runFor(t, w, 120*10*time.Second+time.Second)
		require.Equal(t, []Level{Low, Medium, Critical}, levelsOf(*told))
		from := Normal
		for i, share := range []time.Duration{70, 85, 95} {
			c := (*told)[i]
			require.Equal(t, from, c.From)
			require.Equal(t, start.Add(share*10*time.Second), c.Pressure.Since)
			require.Equal(t, c.Pressure.Since, c.Pressure.Time)
			require.Equal(t, CgroupLimit, c.Pressure.Kind)
			require.EqualValues(t, 100-share, c.Pressure.Headroom)
			require.InDelta(t, float64(100-share)*10, c.Pressure.TimeToLimit.Seconds(), 1)
			from = c.Pressure.Level
		}
		s := w.Stats()
		require.Equal(t, Critical, s.Level)
		require.EqualValues(t, 3, s.Levels)
		require.EqualValues(t, 121, s.Samples)
		require.EqualValues(t, 60, s.Unreadable)
		require.False(t, s.Running)
		require.Equal(t, Critical, w.Analyze().Pressure.Level)
		require.Zero(t, w.meter.(*scriptMeter).opened.Load(), "shut after Run")
	})
}

// Around a threshold the level stays: a share that swings by less than the
// margin never changes it again, and a dip shorter than Fall does not either.
func TestLevelDoesNotFlicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, told := pressed(t, PressureConfig{}, func(i uint64) uint64 {
			switch {
			case i%10 == 0:
				return 20 // for one interval
			case i%2 == 0:
				return 81
			}
			return 86
		})
		runFor(t, w, time.Hour)
		require.Equal(t, []Level{Medium}, levelsOf(*told))
	})
}

// A level falls when readings have been lower for Fall, to the highest of them.
func TestLevelFallsAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, told := pressed(t, PressureConfig{Fall: 90 * time.Second}, func(i uint64) uint64 {
			switch {
			case i < 10:
				return 99
			case i == 14:
				return 86 // the highest of those below
			}
			return 10
		})
		runFor(t, w, 10*time.Minute)
		require.Equal(t, []Level{Critical, Medium, Normal}, levelsOf(*told))
		require.Equal(t, start.Add(190*time.Second), (*told)[1].Pressure.Since)
		require.Equal(t, start.Add(290*time.Second), (*told)[2].Pressure.Since)
	})
}

// With Rise a peak is no pressure.
func TestLevelRisesAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, told := pressed(t, PressureConfig{Rise: 30 * time.Second}, func(i uint64) uint64 {
			switch {
			case i == 5, i == 6, i == 7, i == 22:
				return 99
			case i >= 20:
				return 72 // the lowest of those above
			}
			return 10
		})
		runFor(t, w, 10*time.Minute)
		require.Equal(t, []Level{Low}, levelsOf(*told))
		require.Equal(t, start.Add(230*time.Second), (*told)[0].Pressure.Since)
	})
}

func TestOnPressureRunsOutsideEveryLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *Watcher
		calls := 0
		w = scripted(t, Config{Limit: 100, Hooks: Hooks{OnPressure: func(c PressureChange) {
			calls++
			require.Equal(t, c.Pressure, w.Pressure())
			require.Equal(t, c.Pressure, w.Analyze().Pressure)
			require.Equal(t, c.Pressure.Level, w.Stats().Level)
			require.Equal(t, ErrRunning, w.Run(t.Context()))
		}}}, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: i} })
		runFor(t, w, 20*time.Minute)
		require.Equal(t, 3, calls)
	})
}

// A collector that works at its limit has no garbage to speak of: what is held
// decides, not what the runtime owns.
func TestGoLimitCountsWhatCannotBeFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, func(i uint64) Sample {
			return Sample{Cycle: i + 1, Live: 50, Total: 100, Limit: 100}
		})
		runFor(t, w, time.Hour)
		p := w.Pressure()
		require.Equal(t, Normal, p.Level)
		require.Equal(t, GoLimit, p.Kind)
		require.EqualValues(t, 50, p.Headroom)
		require.Equal(t, never, p.TimeToLimit)
	})
}

// A panic in the hook passes through Run, which shuts its files, and the next
// Run finds the pressure anew.
func TestOnPressureMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		w := scripted(t, Config{Limit: 10, Hooks: Hooks{OnPressure: func(PressureChange) {
			if calls++; calls == 1 {
				panic("from the hook")
			}
		}}}, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: 10 - min(i/60, 10)} })
		require.PanicsWithValue(t, "from the hook", func() { _ = w.Run(t.Context()) })
		require.False(t, w.Stats().Running)
		require.Zero(t, w.meter.(*scriptMeter).opened.Load())
		require.Equal(t, Critical, w.Pressure().Level)
		runFor(t, w, 2*time.Hour)
		require.Equal(t, Normal, w.Pressure().Level)
		require.Equal(t, 4, calls)
	})
}

// A Run that is refused leaves the files of the other alone.
func TestRefusedRunLeavesTheMeterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scripted(t, Config{}, leaking)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		require.EqualValues(t, 1, w.meter.(*scriptMeter).opened.Load())
		require.Equal(t, ErrRunning, w.Run(t.Context()))
		require.EqualValues(t, 1, w.meter.(*scriptMeter).opened.Load())
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
		require.Zero(t, w.meter.(*scriptMeter).opened.Load())
	})
}

// The real meter in a bubble, twice.
func TestPressureInABubble(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			w := MustNew(Config{Limit: 1 << 60})
			runFor(t, w, 20*time.Minute)
			p := w.Pressure()
			require.NotZero(t, p.Time)
			require.NotEmpty(t, p.Bounds)
			require.Equal(t, 121, int(w.Stats().Samples))
		})
	}
}

// Whatever a sample and a reading hold, the bounds are in order, one of a kind,
// and no reclaim makes more of what is used, or less than what is held.
func TestBoundsOfAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		size := func() uint64 { return r.Uint64N(1 << r.IntN(50)) }
		s := Sample{Live: size(), Stacks: size(), Other: size(), Resident: size(), OffHeap: size(), Limit: size() * r.Uint64N(2)}
		s.Total = s.held() + size()
		in := &reading{total: size(), available: size()}
		for range r.IntN(4) {
			in.groups = append(in.groups, groupUse{used: size(), limit: 1 + size(), known: r.IntN(4) > 0})
		}
		seen := map[Kind]bool{}
		last := math.Inf(1)
		for _, b := range s.bounds(nil, size(), in) {
			require.False(t, seen[b.Kind])
			seen[b.Kind] = true
			require.LessOrEqual(t, b.Share(), last)
			last = b.Share()
			require.Equal(t, b.Limit-min(b.Limit, b.Used), b.Headroom())
		}
		used, limit := size(), 1+size()
		got := s.lasting(used, limit)
		require.LessOrEqual(t, got, used)
		require.GreaterOrEqual(t, got, min(used, s.held()))
		s.Limit = 0
		require.Equal(t, used, s.lasting(used, limit))
	}
}

// The time to the limit of straight lines is exact, and of falling ones never.
func TestTimeToTheLimitOfLines(t *testing.T) {
	start := time.Unix(0, 0)
	for _, n := range []int{8, 9, 31, 32, 33, 200} {
		for _, slope := range []int{-3, 0, 1, 7, 1000} {
			var u usedRing
			for i := range n {
				u.push(start.Add(time.Duration(i)*10*time.Second), uint64(10_000+slope*i))
			}
			got := u.until(1000)
			if slope <= 0 {
				require.Equal(t, never, got)
				continue
			}
			require.InDelta(t, 10_000/float64(slope), got.Seconds(), 1e-6, "%d values", n)
		}
	}
}
