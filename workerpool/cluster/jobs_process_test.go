//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

// calls are Jobs in real processes, with functions that go wrong.
type calls struct {
	*cluster.Jobs

	pid   *cluster.Func[int, int]
	spin  *cluster.Func[time.Duration, int]
	wreck *cluster.Func[string, string]
	size  *cluster.Func[[]byte, int]
}

func newCalls(cfg cluster.JobsConfig) *calls {
	c := &calls{Jobs: cluster.MustNewJobs(cfg)}
	c.pid = cluster.Register(c.Jobs, "pid", func(context.Context, int) (int, error) { return os.Getpid(), nil })
	c.spin = cluster.Register(c.Jobs, "spin", func(_ context.Context, d time.Duration) (int, error) {
		n := 0
		for start := time.Now(); time.Since(start) < d; {
			n++
		}
		return n, nil
	})
	c.wreck = cluster.Register(c.Jobs, "wreck", wreck)
	c.size = cluster.Register(c.Jobs, "size", func(_ context.Context, b []byte) (int, error) { return len(b), nil })
	return c
}

// wreck ends its process in the way it is told.
func wreck(ctx context.Context, how string) (string, error) {
	switch how {
	case "exit":
		os.Exit(3)
	case "panic":
		panic("on purpose")
	case "goroutine":
		go func() { panic("elsewhere") }()
		select {}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stack": // a fatal error, which no recover sees
		debug.SetMaxStack(1 << 20)
		return wreck(ctx, deeper(how))
	case "goexit":
		runtime.Goexit()
	case "deadline":
		deadline, ok := ctx.Deadline()
		if !ok {
			return "none", nil
		}
		return time.Until(deadline).Round(time.Hour).String(), nil
	}
	return "", errors.New(how)
}

func deeper(how string) string {
	if how == "" {
		return ""
	}
	return deeper(how) + how
}

// serveCalls is main of a worker.
func serveCalls(name string) int {
	if !newCalls(cluster.JobsConfig{Name: name}).Serve(context.Background()) {
		return 4
	}
	return 0
}

// launchCalls returns Jobs that are closed, with nothing left, when the test
// ends.
func launchCalls(t *testing.T, cfg cluster.JobsConfig) *calls {
	var mu sync.Mutex
	var pids []int
	cfg.Name = "calls"
	cfg.Hooks.OnStart = func(pid int) {
		mu.Lock()
		defer mu.Unlock()
		pids = append(pids, pid)
	}
	c := newCalls(cfg)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		for _, pid := range pids {
			require.False(t, alive(pid), "process %d is left", pid)
		}
	})
	return c
}

func TestJobsRunInOtherProcesses(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 2})
	pid, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
	require.NotEqual(t, os.Getpid(), pid)
	again, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, pid, again, "which are kept")
	n, err := c.size.Call(t.Context(), make([]byte, 1<<20))
	require.NoError(t, err)
	require.Equal(t, 1<<20, n)
	require.False(t, c.Serve(t.Context()), "this one is no worker")
}

func TestJobsKillABusyLoop(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 1, Grace: 10 * time.Millisecond})
	before, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.spin.Call(ctx, time.Hour)
	require.Equal(t, context.DeadlineExceeded, err)
	eventually(t, "its process is gone", func() bool { return !alive(before) })
	after, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.EqualValues(t, 1, c.Stats().Killed)
}

func TestJobsSurviveWhateverACallDoes(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 2})
	for how, want := range map[string]string{
		"exit":      "exit status 3",
		"goroutine": "exit status 2",
		"kill":      "signal: killed",
		"stack":     "exit status 2",
		"panic":     "cluster: panic in wreck: on purpose",
		"goexit":    "runtime.Goexit",
		"an error":  "an error",
	} {
		_, err := c.wreck.Call(t.Context(), how)
		require.ErrorContains(t, err, want, how)
		switch how {
		case "panic", "goexit":
			require.ErrorIs(t, err, cluster.ErrPanic)
		case "an error":
			require.ErrorAs(t, err, new(*cluster.FuncError))
		default:
			require.ErrorIs(t, err, cluster.ErrLost, how)
		}
		_, err = c.pid.Call(t.Context(), 0)
		require.NoError(t, err, "after %s", how)
	}
	s := c.Stats()
	require.EqualValues(t, 4, s.Lost)
	require.EqualValues(t, 2, s.Panics)
	require.EqualValues(t, 1, s.Failed)
}

func TestJobsPassTheDeadlineOn(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	got, err := c.wreck.Call(t.Context(), "deadline")
	require.NoError(t, err)
	require.Equal(t, "none", got)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
	defer cancel()
	got, err = c.wreck.Call(ctx, "deadline")
	require.NoError(t, err)
	require.Equal(t, "5h0m0s", got)
}

func TestJobsUnderKillsAndCancellations(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 3, Grace: time.Millisecond})
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+i)*time.Millisecond)
			defer cancel()
			switch i % 4 {
			case 0:
				_, _ = c.spin.Call(ctx, time.Hour)
			case 1:
				_, _ = c.wreck.Call(ctx, "kill")
			default:
				_, _ = c.pid.Call(ctx, 0)
			}
		})
	}
	wg.Wait()
	for range 3 {
		_, err := c.pid.Call(t.Context(), 0)
		require.NoError(t, err)
	}
	eventually(t, "calm", func() bool { s := c.Stats(); return s.Busy == 0 && s.Alive == s.Idle })
	require.LessOrEqual(t, c.Stats().Alive, 3)
	require.NoError(t, c.Drain(t.Context()))
	require.Zero(t, c.Stats().Alive)
}

func TestJobsWorkersEndWithTheirMaster(t *testing.T) {
	p := runProcess(t, "jobsmaster", nil)
	pids := []int{number(t, p.line("job ", 1), "pid"), number(t, p.line("job ", 2), "pid")}
	p.signal(syscall.SIGKILL)
	p.wait()
	for _, pid := range pids {
		eventually(t, "the end of a worker, busy or not", func() bool { return !alive(pid) })
	}
}

func TestAProgramThatDoesNotServeDoesNotMultiply(t *testing.T) {
	jobs := cluster.MustNewJobs(cluster.JobsConfig{Name: "unserved", Workers: 1})
	f := cluster.Register(jobs, "f", func(context.Context, int) (int, error) { return 0, nil })
	_, err := f.Call(t.Context(), 1)
	require.ErrorContains(t, err, "ended before it called Serve: exit status 9", "it found out by itself")
	require.NoError(t, jobs.Close())
}

func TestJobsThatAreDeafToTheEndOfTheirSocketAreKilled(t *testing.T) {
	jobs := cluster.MustNewJobs(cluster.JobsConfig{Name: "deaf", Workers: 1, StartTimeout: 200 * time.Millisecond})
	f := cluster.Register(jobs, "f", func(context.Context, int) (int, error) { return 0, nil })
	_, err := f.Call(t.Context(), 1)
	require.ErrorContains(t, err, "signal: killed")
	require.NoError(t, jobs.Close())
}
