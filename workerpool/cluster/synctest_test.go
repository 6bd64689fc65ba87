//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crash is a script of a process that ends at once.
func crash(p *fakeProcess) { p.end(exit{status: "exit status 1"}) }

// inert is a script of a process that reads, says it is ready, and nothing else.
func inert(p *fakeProcess) {
	go func() { _, _ = io.Copy(io.Discard, p.conn) }()
	p.send(frameReady, nil)
	<-p.dead
}

// waitUp waits until all workers are ready.
func waitUp(t *testing.T, c *Cluster) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, StateRunning, c.Stats().State)
}

// The package works in two bubbles of one process, one after the other.
func TestSynctestSafe(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, worker(Config{Work: ready}))
			c := w.cluster(Config{})
			run := w.run(c)
			waitUp(t, c)
			require.NoError(t, c.Reload(t.Context()))
			require.NoError(t, c.Drain(t.Context()))
			<-run.done
			require.NoError(t, run.err)
			require.Len(t, w.all(), 4)

			j, jw := newJobsWorld(t, JobsConfig{})
			f := Register(j, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
			jw.script = jobScript(j)
			got, err := f.Call(t.Context(), 21)
			require.NoError(t, err)
			require.Equal(t, 42, got)
			require.NoError(t, j.Close())
		})
	}
}

func TestRestartsAreSpacedAndEndInACrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, crash)
		var loops []*CrashLoopError
		var next []time.Duration
		c := w.cluster(Config{
			Name: "boot", Workers: 1, MinBackoff: time.Second, MaxBackoff: 4 * time.Second, MaxRestarts: 4,
			Hooks: Hooks{
				OnGiveUp: func(e *CrashLoopError) { loops = append(loops, e) },
				OnExit:   func(e WorkerExit) { next = append(next, e.Next) },
			},
		})
		run := w.run(c)
		<-run.done
		require.EqualError(t, run.err, "cluster: boot: crash loop, slot 0 failed 5 times, the last worker: exit status 1")
		require.Len(t, loops, 1)
		require.Equal(t, loops[0], run.err)
		var gaps []time.Duration
		procs := w.all()
		for i := range procs[1:] {
			gaps = append(gaps, procs[i+1].at-procs[i].at)
		}
		require.Len(t, gaps, 4)
		for i, whole := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			require.LessOrEqual(t, gaps[i], whole)
			require.GreaterOrEqual(t, gaps[i], whole/2)
			require.Equal(t, gaps[i], next[i], "the hook said so")
		}
		require.Negative(t, next[4], "and then that nothing comes")
		require.Equal(t, StateStopped, c.Stats().State)
	})
}

func TestARestartNowAndThenIsNoCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *fakeProcess) {
			go func() { _, _ = io.Copy(io.Discard, p.conn) }()
			p.send(frameReady, nil)
			select {
			case <-p.dead:
			case <-time.After(20 * time.Second):
				crash(p)
			}
		})
		c := w.cluster(Config{Workers: 1, MaxRestarts: 3, HungAfter: time.Hour})
		run := w.run(c)
		time.Sleep(24 * time.Hour)
		require.Greater(t, len(w.all()), 4000)
		require.NoError(t, c.Close())
		<-run.done
		require.Equal(t, ErrClosed, run.err)
	})
}

func TestAStartThatFailsIsAFailureOfTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: ready}))
		w.failing(errors.New("no more processes"))
		c := w.cluster(Config{Workers: 1, MaxRestarts: 100})
		run := w.run(c)
		time.Sleep(time.Second)
		require.Equal(t, "waiting", c.Stats().Slots[0].State)
		w.failing(nil)
		time.Sleep(time.Minute)
		require.Equal(t, 1, c.Stats().Ready)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done

		c = w.cluster(Config{Workers: 1, MaxRestarts: 1})
		w.failing(errors.New("no more processes"))
		run = w.run(c)
		<-run.done
		require.ErrorIs(t, run.err, ErrCrashLoop)
		require.ErrorContains(t, run.err, "no more processes")
	})
}

func TestStopTakesEachStepInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *fakeProcess) {
			p.ignoreTerm = p.role.Slot > 0
			p.immortal = p.role.Slot > 1
			inert(p)
		})
		c := w.cluster(Config{Name: "web", Workers: 3, StopTimeout: 10 * time.Second, KillAfter: 2 * time.Second})
		run := w.run(c)
		waitUp(t, c)
		start := time.Now()
		run.cancel(errors.New("enough"))
		time.Sleep(10*time.Second - 1)
		synctest.Wait()
		require.Empty(t, w.of(0).got())
		require.Equal(t, StateStopping, c.Stats().State)
		<-run.done
		require.Equal(t, 12*time.Second+abandonAfter, time.Since(start))
		for i, want := range [][]signal{{sigTerm}, {sigTerm, sigKill}, {sigTerm, sigKill}} {
			require.Equal(t, want, w.of(i).got())
		}
		var stop *StopError
		require.ErrorAs(t, run.err, &stop)
		require.Equal(t, []Forced{
			{Slot: 0, Pid: w.of(0).pid, How: "signal: terminated"},
			{Slot: 1, Pid: w.of(1).pid, How: "signal: killed"},
			{Slot: 2, Pid: w.of(2).pid, How: "abandoned"},
		}, stop.Forced)
		require.EqualError(t, run.err, fmt.Sprintf("cluster: web: 3 workers had to be forced to stop: slot 0 pid %d (signal: terminated),"+
			" slot 1 pid %d (signal: killed), slot 2 pid %d (abandoned): context canceled: enough", w.of(0).pid, w.of(1).pid, w.of(2).pid))
		require.ErrorIs(t, run.err, context.Canceled)
		require.ErrorIs(t, run.err, ErrForced)
		w.of(2).end(exit{})
		synctest.Wait()
	})
}

func TestWorkersThatEndInTimeAreNotForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			_ = ready(ctx, w)
			time.Sleep(9 * time.Second)
			return nil
		}}))
		c := w.cluster(Config{StopTimeout: 10 * time.Second})
		run := w.run(c)
		waitUp(t, c)
		start := time.Now()
		require.NoError(t, c.Drain(t.Context()))
		require.Equal(t, 9*time.Second, time.Since(start), "as soon as the last one is gone")
		<-run.done
		require.NoError(t, run.err)
		require.Empty(t, w.all()[0].got())
	})
}

func TestStartTimeoutIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *fakeProcess) {
			go func() { _, _ = io.Copy(io.Discard, p.conn) }()
			<-p.dead
		})
		c := w.cluster(Config{Workers: 1, StartTimeout: 5 * time.Second, MaxRestarts: 1, MinBackoff: time.Second, MaxBackoff: time.Second})
		run := w.run(c)
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		require.Len(t, w.all(), 1)
		require.Empty(t, w.all()[0].got())
		<-run.done
		require.ErrorIs(t, run.err, ErrCrashLoop)
		require.Equal(t, map[Reason]uint64{ReasonStart: 2}, c.Stats().Exits)
		require.Equal(t, []signal{sigQuit}, w.all()[0].got(), "so that it prints its stacks")
	})
}

func TestSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *fakeProcess) {
			p.ignoreTerm = true // as a stopped process does
			inert(p)
		})
		c := w.cluster(Config{Workers: 1, HungAfter: 5 * time.Second, KillAfter: time.Second})
		run := w.run(c)
		waitUp(t, c)
		time.Sleep(5*time.Second + 1)
		synctest.Wait()
		require.Equal(t, []signal{sigQuit}, w.all()[0].got())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []signal{sigQuit, sigKill}, w.all()[0].got())
		require.EqualValues(t, 1, c.Stats().Exits[ReasonHung])
		require.NoError(t, c.Close())
		<-run.done
	})
}

func TestReportsKeepAWorkerAliveAndItsCountersCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{ReportEvery: time.Second, Work: func(ctx context.Context, w *Worker) error {
			_ = w.Ready()
			for ctx.Err() == nil {
				w.Counter("rounds").Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
			}
			return nil
		}}))
		c := w.cluster(Config{Workers: 2, HungAfter: 2 * time.Second})
		run := w.run(c)
		time.Sleep(time.Hour + 1500*time.Millisecond)
		s := c.Stats()
		require.Equal(t, 2, s.Ready)
		require.EqualValues(t, 2, s.Starts)
		require.EqualValues(t, 2*61, s.Counters["rounds"])
		require.EqualValues(t, 61, s.Slots[1].Counters["rounds"])
		require.Equal(t, time.Hour+1500*time.Millisecond, s.Slots[0].Age)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
	})
}

func TestAnUnhealthyWorkerFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, healthy := range map[string]func(context.Context) error{
			"says no": func(context.Context) error { return errors.New("no") },
			"blocks":  func(ctx context.Context) error { <-ctx.Done(); return nil },
		} {
			w := newWorld(t, worker(Config{Work: ready, HungAfter: 10 * time.Second, Healthy: healthy}))
			c := w.cluster(Config{Workers: 1, HungAfter: 10 * time.Second})
			run := w.run(c)
			waitUp(t, c)
			time.Sleep(11 * time.Second)
			require.EqualValues(t, 1, c.Stats().Exits[ReasonHung], name)
			require.NoError(t, c.Close())
			<-run.done
		}
	})
}

func TestAgeReplacesWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{ReportEvery: 10 * time.Minute, Work: func(ctx context.Context, w *Worker) error {
			time.Sleep(time.Second)
			return ready(ctx, w)
		}}))
		c := w.cluster(Config{Workers: 2, MaxAge: time.Hour, HungAfter: time.Hour})
		run := w.run(c)
		time.Sleep(2 * time.Second)
		for range 10 * 60 * 12 {
			time.Sleep(10 * time.Second)
			s := c.Stats()
			require.Equal(t, 2, s.Ready)
			for _, slot := range s.Slots {
				require.Less(t, slot.Age, time.Hour+5*time.Second)
			}
		}
		require.Greater(t, len(w.all()), 2*20)
		require.Less(t, len(w.all()), 2*24)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.NotContains(t, c.Stats().Exits, ReasonCrash)
	})
}

func TestReloadCanBeLeftAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			time.Sleep(time.Second)
			return ready(ctx, w)
		}}))
		var reloads []error
		c := w.cluster(Config{Workers: 3, Hooks: Hooks{OnReload: func(err error) { reloads = append(reloads, err) }}})
		run := w.run(c)
		time.Sleep(2 * time.Second)
		cause := errors.New("cause")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
		defer cancel()
		err := c.Reload(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, cause)
		require.Equal(t, StateReloading, c.Stats().State)
		require.Equal(t, ErrBusy, c.Reload(t.Context()))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Equal(t, []error{nil}, reloads)
		require.EqualValues(t, 1, c.Stats().Reloads)

		done := make(chan error, 1)
		go func() { done <- c.Reload(t.Context()) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.Equal(t, ErrNotRunning, <-done)
		<-run.done
		require.Equal(t, []error{nil, ErrNotRunning}, reloads)
		require.Equal(t, ErrNotRunning, c.Reload(t.Context()))
	})
}

func TestSlowHooksDelayNothingButHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, crash)
		var exits atomic.Int64
		c := w.cluster(Config{Workers: 1, MaxRestarts: 1000, MinBackoff: time.Second, MaxBackoff: time.Second, Hooks: Hooks{
			OnStart: func(WorkerStart) { time.Sleep(time.Hour) },
			OnExit:  func(WorkerExit) { exits.Add(1) },
		}})
		run := w.run(c)
		time.Sleep(30 * time.Minute)
		require.Greater(t, len(w.all()), 100)
		require.Zero(t, exits.Load(), "in order: the first start is still being told")
		require.NoError(t, c.Close())
		<-run.done
		require.EqualValues(t, len(w.all()), exits.Load(), "all are told in the end")
	})
}

func TestHooksMayCallTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: ready}))
		var c *Cluster
		var inHook []error
		c = w.cluster(Config{Hooks: Hooks{
			OnUp: func() {
				require.Equal(t, 2, c.Stats().Ready)
				inHook = append(inHook, c.Reload(context.Background()), c.Resize(3), c.Drain(context.Background()), c.Close())
			},
		}})
		run := w.run(c)
		<-run.done
		require.Equal(t, []error{nil, nil, nil, nil}, inHook)
		require.Len(t, w.all(), 5)
	})
}

func TestMessagesThatFindNoRoomAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sent = 3000
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			_ = w.Ready()
			for range sent {
				if err := w.Send(ctx, Message{Topic: "t", Data: make([]byte, 10_000)}); err != nil {
					return err
				}
			}
			<-ctx.Done() // and never receives
			return nil
		}}))
		var got atomic.Int64
		block := make(chan struct{})
		c := w.cluster(Config{Workers: 1, Hooks: Hooks{OnMessage: func(int, Message) { <-block; got.Add(1) }}})
		run := w.run(c)
		time.Sleep(time.Minute)
		require.Equal(t, 1, c.Stats().Ready, "it is heard although its messages are not")
		dropped := c.Stats().Dropped
		require.Positive(t, dropped)
		close(block)
		synctest.Wait()
		require.EqualValues(t, sent, uint64(got.Load())+dropped)

		for range inboxFrames + 100 {
			require.NoError(t, c.Send(t.Context(), 0, Message{}))
		}
		time.Sleep(time.Minute)
		require.Equal(t, dropped+100, c.Stats().Dropped, "its inbox keeps 1024")
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
	})
}

func TestOrphansEndByThemselvesOrAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			work   func(context.Context, *Worker) error
			status string
			after  time.Duration
		}{
			"heeds":    {ready, "exit status 0", 0},
			"does not": {func(_ context.Context, w *Worker) error { time.Sleep(time.Hour); return nil }, "exit status 3", 10 * time.Second},
		} {
			w := newWorld(t, worker(Config{Work: c.work}))
			child, err := w.start(spec{env: []string{roleEnv + `={"kind":"worker"}`}})
			require.NoError(t, err)
			synctest.Wait()
			start := time.Now()
			require.NoError(t, child.conn.Close()) // as the kernel does when the master dies
			<-w.all()[0].dead
			require.Equal(t, c.after, time.Since(start), name)
			require.Equal(t, c.status, w.all()[0].exit.status, name)
			child.wait()
		}
	})
}

func TestWorkEndsWithTheReasonAndTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var cause error
		var left time.Duration
		var value any
		w := newWorld(t, worker(Config{StopTimeout: time.Hour, Work: func(ctx context.Context, w *Worker) error {
			ctx = context.WithValue(ctx, key{}, "kept")
			_ = ready(ctx, w)
			cause = context.Cause(ctx)
			time.Sleep(time.Second)
			grace, cancel := w.Grace(ctx)
			defer cancel()
			deadline, _ := grace.Deadline()
			left, value = time.Until(deadline), grace.Value(key{})
			if grace.Err() != nil {
				t.Errorf("grace is over: %v", grace.Err())
			}
			return nil
		}}))
		c := w.cluster(Config{Workers: 1, StopTimeout: 20 * time.Second})
		run := w.run(c)
		waitUp(t, c)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.Equal(t, ErrStopping, cause)
		require.Equal(t, 17*time.Second, left, "a tenth less than the master waits, and a second has passed")
		require.Equal(t, "kept", value)
	})
}

func TestAWorkerMayEndOnItsOwnInItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left time.Duration
		w := newWorld(t, worker(Config{StopTimeout: 20 * time.Second, Work: func(ctx context.Context, w *Worker) error {
			_ = w.Ready()
			grace, cancel := w.Grace(ctx)
			defer cancel()
			deadline, _ := grace.Deadline()
			left = time.Until(deadline)
			return errors.New("my own reason")
		}}))
		var status string
		c := w.cluster(Config{Workers: 1, MaxRestarts: 1, Hooks: Hooks{OnExit: func(e WorkerExit) { status = e.Status }}})
		run := w.run(c)
		<-run.done
		require.Equal(t, 18*time.Second, left)
		require.Equal(t, "my own reason (exit status 1)", status)
	})
}

func TestLongErrorsOfWorkAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: func(context.Context, *Worker) error { return errors.New(strings.Repeat("e", 1<<20)) }}))
		c := w.cluster(Config{Workers: 1, MaxRestarts: 1})
		run := w.run(c)
		<-run.done
		require.ErrorIs(t, run.err, ErrCrashLoop)
		require.Less(t, len(run.err.Error()), maxBye+200)
	})
}

func TestFramesOfTheWrongKindEndAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kind := range []frameKind{frameStop, frameTotals, frameCall, frameCancel, frameResult} {
			w := newWorld(t, func(p *fakeProcess) {
				go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				p.send(frameReady, nil)
				p.send(kind, nil)
				<-p.dead
			})
			c := w.cluster(Config{Workers: 1, MaxRestarts: 1})
			run := w.run(c)
			<-run.done
			require.ErrorIs(t, run.err, ErrCrashLoop)
			require.EqualValues(t, 2, c.Stats().Exits[ReasonFrame], "kind %d", kind)
		}
	})
}

func TestAWorkerEndsWithNonsenseFromItsMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []frame{{frameResult, nil}, {frameStop, []byte("{")}} {
			var cause error
			w := newWorld(t, worker(Config{Work: func(ctx context.Context, _ *Worker) error {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return nil
			}}))
			child, err := w.start(spec{})
			require.NoError(t, err)
			go func() { _, _ = io.Copy(io.Discard, child.conn) }()
			_, err = child.conn.Write(appendFrame(nil, f))
			require.NoError(t, err)
			child.wait()
			require.Equal(t, ErrMasterGone, cause)
			require.NoError(t, child.conn.Close())
		}
	})
}
