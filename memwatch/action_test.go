package memwatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"runtime/trace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func nothing(context.Context, Episode) error { return nil }

func TestNewRefusesActionsThatMakeNoSense(t *testing.T) {
	for want, cfg := range map[string]Config{
		`memwatch: Config.Actions[0].Name is "", want 1 to 32 lower-case letters, digits and hyphens`:     {Actions: []Action{{Do: nothing}}},
		`memwatch: Config.Actions[0].Name is "../x", want 1 to 32 lower-case letters, digits and hyphens`: {Actions: []Action{{Name: "../x", Do: nothing}}},
		`memwatch: Config.Actions[1].Name is "a", want another one for each`:                              {Actions: []Action{{Name: "a", Do: nothing}, {Name: "a", Do: nothing}}},
		`memwatch: Config.Actions[0].At is Level(4), want a level`:                                        {Actions: []Action{{Name: "a", At: 4, Do: nothing}}},
		`memwatch: Config.Actions[0].Verdict is Verdict(-1), want a verdict`:                              {Actions: []Action{{Name: "a", Verdict: -1, Do: nothing}}},
		`memwatch: Config.Actions[0].CoolDown is -1s, want ≥ 0`:                                           {Actions: []Action{{Name: "a", CoolDown: -time.Second, Do: nothing}}},
		`memwatch: Config.Actions[0].PerDay is -1, want ≥ 0`:                                              {Actions: []Action{{Name: "a", PerDay: -1, Do: nothing}}},
		`memwatch: Config.Actions[0].Timeout is -1ns, want ≥ 0`:                                           {Actions: []Action{{Name: "a", Timeout: -1, Do: nothing}}},
		`memwatch: Config.Actions[0] has both or none of Do and Write, want one`:                          {Actions: []Action{{Name: "a"}}},
		`memwatch: Config.Actions[0] has Write, want Config.Files.Dir to be set`:                          {Actions: []Action{{Name: "a", Write: HeapProfile}}},
		`memwatch: Config.Actions[0].Ext is "a/b", want at most 16 lower-case letters and digits`:         {Actions: []Action{{Name: "a", Ext: "a/b", Do: nothing}}},
		`memwatch: Config.Files.MaxFiles is -1, want ≥ 0`:                                                 {Files: FilesConfig{MaxFiles: -1}},
		`memwatch: Config.Files.MaxBytes is -1, want ≥ 0`:                                                 {Files: FilesConfig{MaxBytes: -1}},
		`memwatch: Config.Files.MaxAge is -1ns, want ≥ 0`:                                                 {Files: FilesConfig{MaxAge: -1}},
	} {
		_, err := New(cfg)
		require.EqualError(t, err, want)
	}
}

// acting is a Watcher whose level at each interval is what step says.
func acting(t *testing.T, cfg Config, step func(i uint64) Level) *Watcher {
	t.Helper()
	cfg.Pressure = PressureConfig{Fall: 1}
	w := scripted(t, cfg, func(i uint64) Sample { return Sample{Cycle: i + 1, Live: mb} })
	w.meter.(*scriptMeter).step = func(i uint64) reading {
		used := map[Level]uint64{Normal: 10, Low: 75, Medium: 90, Critical: 99}[step(i)]
		return reading{groups: []groupUse{{path: "memory.max", used: used, limit: 100, known: true}}}
	}
	return w
}

// recorded is an action that notes when it was done, in seconds.
func recorded(a Action) (Action, *[]float64) {
	begin := time.Now()
	var at []float64
	a.Do = func(_ context.Context, e Episode) error {
		at = append(at, e.Pressure.Time.Sub(begin).Seconds())
		return nil
	}
	return a, &at
}

// An episode is one action, however long it lasts, and one more when it
// becomes worse.
func TestActionIsDoneOnceInAnEpisode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, at := recorded(Action{Name: "a", CoolDown: time.Second})
		w := acting(t, Config{Name: "api", Actions: []Action{a}}, func(i uint64) Level {
			switch {
			case i >= 5 && i < 100:
				return Medium
			case i >= 100 && i < 200, i >= 300 && i < 400:
				return Critical
			}
			return Low
		})
		runFor(t, w, 500*10*time.Second)
		require.Equal(t, []float64{50, 1000, 3000}, *at)
		s := w.Stats().Actions[0]
		require.Equal(t, ActionStats{Name: "a", Episodes: 2, Started: 3, Succeeded: 3}, s)
	})
}

// Within the cool-down an action waits; it is done if the episode lasts.
func TestActionWaitsForItsCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, at := recorded(Action{Name: "a", CoolDown: 5 * time.Minute})
		w := acting(t, Config{Actions: []Action{a}}, func(i uint64) Level {
			switch {
			case i == 1, i == 10, i >= 20:
				return Medium
			}
			return Normal
		})
		runFor(t, w, time.Hour)
		require.Equal(t, []float64{10, 310}, *at)
		s := w.Stats().Actions[0]
		require.EqualValues(t, 3, s.Episodes)
		require.EqualValues(t, 2, s.Deferred)
	})
}

// However often memory is short, there are no more than PerDay in a day.
func TestActionsInADayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, at := recorded(Action{Name: "a", CoolDown: time.Second, PerDay: 6})
		w := acting(t, Config{Interval: time.Minute, Actions: []Action{a}}, func(i uint64) Level {
			return []Level{Critical, Normal}[i/5%2]
		})
		runFor(t, w, 49*time.Hour)
		require.InDelta(t, 6+2*6, len(*at), 1)
		for i := 6; i < len(*at); i++ {
			require.Greater(t, (*at)[i]-(*at)[i-1], 3*3600.0, "six at once, and then one in four hours")
		}
	})
}

// Each has its level, and the ctx that an action gets derives from Run's.
func TestActionHasItsLevelAndItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), 5*time.Minute)
		defer cancel()
		got := map[string]Episode{}
		do := func(name string) Action {
			return Action{Name: name, Timeout: 7 * time.Second, Do: func(ctx context.Context, e Episode) error {
				deadline, _ := ctx.Deadline()
				if ctx.Value(key{}) != "value" || time.Until(deadline) != 7*time.Second {
					return errors.New("not derived")
				}
				got[name] = e
				return nil
			}}
		}
		low, medium, critical := do("low"), do("medium"), do("critical")
		low.At, critical.At = Low, Critical
		w := acting(t, Config{Name: "api", Actions: []Action{low, medium, critical}}, func(i uint64) Level {
			return []Level{Normal, Low, Low, Medium}[min(i, 3)]
		})
		start := time.Now()
		require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
		require.Len(t, got, 2)
		require.Equal(t, Low, got["low"].Pressure.Level)
		require.Equal(t, start.Add(10*time.Second), got["low"].Since)
		require.Equal(t, "api", got["low"].Name)
		require.Equal(t, Medium, got["medium"].Pressure.Level)
		for _, s := range w.Stats().Actions {
			require.Zero(t, s.Failed, s.LastError)
		}
	})
}

// A suspicion is an episode as well, where an action says so.
func TestActionOfAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var verdicts []Verdict
		w := scripted(t, Config{Actions: []Action{
			{Name: "leak", At: Critical, Verdict: Suspect, Do: func(_ context.Context, e Episode) error {
				verdicts = append(verdicts, e.Verdict)
				return nil
			}},
			{Name: "pressure", Do: nothing},
		}}, leaking)
		runFor(t, w, 2*time.Hour)
		require.Equal(t, []Verdict{Suspect, Leak}, verdicts)
		require.Zero(t, w.Stats().Actions[1].Started)
	})
}

// An action that hangs delays no sample and no other action, is not begun
// again, and does not hold Run for longer than its grace.
func TestActionThatHangsStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		other, at := recorded(Action{Name: "other", CoolDown: time.Second})
		w := acting(t, Config{Actions: []Action{
			{Name: "hangs", CoolDown: time.Second, Do: func(context.Context, Episode) error { <-free; return nil }},
			other,
		}}, func(i uint64) Level { return []Level{Medium, Normal}[i/10%2] })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour-time.Second)
		defer cancel()
		err := w.Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrAbandoned)
		require.EqualError(t, err, "context deadline exceeded; memwatch: an action was left behind: hangs")
		require.Equal(t, time.Hour+4*time.Second, time.Since(start))
		require.Len(t, *at, 18)
		s := w.Stats()
		require.EqualValues(t, 360, s.Samples)
		require.Equal(t, ActionStats{Name: "hangs", Busy: true, Episodes: 18, Started: 1, Deferred: 17}, s.Actions[0])

		// The next Run leaves it alone, and another one begins it again.
		runFor(t, w, time.Minute)
		require.EqualValues(t, 1, w.Stats().Actions[0].Started)
		close(free)
		synctest.Wait()
		require.False(t, w.Stats().Actions[0].Busy)
		require.EqualValues(t, 1, w.Stats().Actions[0].Succeeded)
	})
}

// Run waits for one that heeds its ctx, which is done with Run's.
func TestRunWaitsForItsActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		w := acting(t, Config{Actions: []Action{{Name: "a", Timeout: time.Hour, Do: func(ctx context.Context, _ Episode) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return ctx.Err()
		}}}}, func(uint64) Level { return Critical })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, w.Run(ctx))
		require.True(t, ended)
		require.Equal(t, "context deadline exceeded", w.Stats().Actions[0].LastError)
	})
}

// One that fails is told, and done again in the same episode after its cool-down.
func TestActionThatFailsIsDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		w := acting(t, Config{Actions: []Action{
			{Name: "fails", CoolDown: time.Minute, Do: func(context.Context, Episode) error {
				if calls++; calls < 3 {
					return errors.New("boom")
				}
				return nil
			}},
			{Name: "exits", CoolDown: time.Hour, Do: func(context.Context, Episode) error { runtime.Goexit(); return nil }},
		}}, func(uint64) Level { return Critical })
		runFor(t, w, 30*time.Minute)
		s := w.Stats()
		require.Equal(t, ActionStats{Name: "fails", Episodes: 1, Started: 3, Succeeded: 1, Failed: 2, Deferred: 2, LastError: "boom"}, s.Actions[0])
		require.Equal(t, ActionStats{Name: "exits", Episodes: 1, Started: 1, Failed: 1, Deferred: 1, LastError: "memwatch: the action did not return"}, s.Actions[1])
		require.InDelta(t, 180, float64(s.Samples), 1)
	})
}

// An action may use the watcher that does it: no lock is held.
func TestActionRunsOutsideEveryLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *Watcher
		w = acting(t, Config{Actions: []Action{{Name: "a", Do: func(ctx context.Context, e Episode) error {
			if p := w.Pressure(); p.Level != e.Pressure.Level || !w.Stats().Actions[0].Busy {
				return errors.New("not what is going on")
			}
			_ = w.Snapshot()
			_ = w.Analyze()
			_, err := w.Confirm(ctx)
			return err
		}}}}, func(uint64) Level { return Medium })
		runFor(t, w, time.Minute)
		require.EqualValues(t, 1, w.Stats().Actions[0].Succeeded, w.Stats().Actions[0].LastError)
	})
}

// A heap profile, a goroutine profile and a flight recording, by a real Run.
func TestRunWritesProfiles(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MaxBytes: 1 << 20})
	require.NoError(t, recorder.Start())
	defer recorder.Stop()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w := MustNew(Config{
		Interval: time.Millisecond, Limit: 1,
		Files: FilesConfig{Dir: dir},
		Actions: []Action{
			{Name: "heap", Write: HeapProfile},
			{Name: "goroutines", Write: GoroutineProfile},
			{Name: "flight", Ext: "trace", Write: FlightRecording(recorder)},
		},
	})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	require.Eventually(t, func() bool {
		for _, a := range w.Stats().Actions {
			if a.Succeeded == 0 {
				return false
			}
		}
		return true
	}, 10*time.Second, 5*time.Millisecond, "%+v", w.Stats())
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)

	s := w.Stats()
	require.Equal(t, 3, s.Files)
	require.Positive(t, s.FileBytes)
	require.Len(t, filesIn(t, dir), 3)
	for i, begins := range []string{"\x1f\x8b", "\x1f\x8b", "go 1."} {
		require.Contains(t, s.Actions[i].LastFile, "-critical-")
		root := FilesConfig{Dir: dir}
		text := readFile(t, root.Dir, s.Actions[i].LastFile)
		require.True(t, strings.HasPrefix(text, begins), "%q", text[:min(len(text), 20)])
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), `"actions":[{"name":"heap","busy":false,"episodes":1,"started":1,"succeeded":1,`)
}

// A flight recorder that is not running fails its action alone.
func TestFlightRecordingTellsItsError(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.Error(t, FlightRecording(recorder)(io.Discard, Episode{}))
	require.NoError(t, FlightRecording(bytes.NewBufferString("x"))(io.Discard, Episode{}))
}

// Files that are written are counted, spared and removed ones too.
func TestStatsCountFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := *writes("text")
		a.CoolDown = time.Second
		w := acting(t, Config{Files: FilesConfig{Dir: t.TempDir(), MaxFiles: 2}, Actions: []Action{a}}, func(i uint64) Level {
			episodes := []Level{Medium, Medium, Medium, Critical, Medium}
			if k := i / 6; i%6 >= 3 && k < uint64(len(episodes)) {
				return episodes[k]
			}
			return Normal
		})
		runFor(t, w, 10*time.Minute)
		s := w.Stats()
		require.Equal(t, 2, s.Files)
		require.EqualValues(t, 8, s.FileBytes)
		require.EqualValues(t, 3, s.FilesRemoved, "the older of the same level")
		require.Contains(t, s.Actions[0].LastFile, "-note.txt")
		require.EqualValues(t, 5, s.Actions[0].Succeeded)
		require.Len(t, filesIn(t, w.cfg.Files.Dir), 2)
	})
}

// What the user does to the list afterwards is nothing to the Watcher.
func TestActionsAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, at := recorded(Action{Name: "a"})
		list := []Action{a}
		w := acting(t, Config{Actions: list}, func(uint64) Level { return Medium })
		list[0] = Action{Name: "other", Do: func(context.Context, Episode) error {
			return errors.New("not this one")
		}}
		runFor(t, w, time.Minute)
		require.Len(t, *at, 1)
		s := w.Stats().Actions[0]
		require.Equal(t, "a", s.Name)
		require.Zero(t, s.Failed)
		s.Started = 99
		w.Stats().Actions[0].Name = "mine"
		require.Equal(t, "a", w.Stats().Actions[0].Name, "stats are a copy too")
	})
}
