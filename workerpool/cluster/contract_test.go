//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

var errCause = errors.New("cause")

// errWork is what the work of contractConfig returns, errNot what it does not.
var (
	errWork = errors.New("error of Work")
	errNot  = errors.New("not the error of Work")
)

type contractKey struct{}

// contractConfig has workers that do what CONTRACT says.
func contractConfig() cluster.Config {
	return cluster.Config{
		Name: "contract", Workers: 1, MaxRestarts: 1, StopTimeout: 100 * time.Millisecond, KillAfter: time.Second,
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, ReportEvery: 20 * time.Millisecond,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			switch os.Getenv("CONTRACT") {
			case "error":
				return errWork
			case "panic":
				panic(errCause)
			case "goexit":
				runtime.Goexit()
			}
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		},
	}
}

// entries are the ways into a running master, and into Jobs, that take a ctx.
func entries(m *master, c *calls) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Reload":  m.Reload,
		"Upgrade": m.Upgrade,
		"Send":    func(ctx context.Context) error { return m.Send(ctx, 0, cluster.Message{}) },
		"Call":    func(ctx context.Context) error { _, err := c.pid.Call(ctx, 0); return err },
		"Run": func(ctx context.Context) error {
			cfg := contractConfig()
			cfg.NoSignals = true
			return cluster.MustNew(cfg).Run(ctx)
		},
	}
}

// Done before the call: an error, and no process is started or replaced.
func TestContractDoneBeforeCall(t *testing.T) {
	m := launchUp(t, contractConfig())
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, enter := range entries(m, c) {
		require.Equal(t, context.Canceled, enter(ctx), name)
	}
	require.EqualValues(t, 1, m.Stats().Starts)
	require.Zero(t, c.Stats().Alive)
}

// Done while waiting: the call returns, and the worker it waited for goes to
// the next.
func TestContractDoneWhileWaiting(t *testing.T) {
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	holding, release := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.spin.Call(holding, time.Hour) })
	eventually(t, "the worker is busy", func() bool { return c.Stats().Busy == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { _, _ = c.pid.Call(ctx, 0) })
	eventually(t, "somebody waits", func() bool { return c.Stats().Waiting == 1 })
	cancel()
	eventually(t, "nobody waits", func() bool { return c.Stats().Waiting == 0 })
	release()
	wg.Wait()
	_, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
}

// The error matches both ctx.Err() and the cause.
func TestContractErrorMatchesErrAndCause(t *testing.T) {
	m := launchUp(t, contractConfig())
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	for name, enter := range entries(m, c) {
		err := enter(ctx)
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorIs(t, err, errCause, name)
	}
	m.stop(errCause)
	err := m.wait(t)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errCause)
}

// In a worker, the context of Work derives from that of Run.
func TestContractFnContextDerives(t *testing.T) {
	p := runProcess(t, "derives", nil)
	require.Equal(t, "value kept, ended with cause", p.line("value", 1))
	require.Zero(t, p.wait())
}

// derivesProgram is a master whose worker looks at its context.
func derivesProgram() int {
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), contractKey{}, "kept"))
	c := cluster.MustNew(cluster.Config{Name: "derives", Workers: 1, Work: func(inner context.Context, w *cluster.Worker) error {
		cancel(errCause)
		<-inner.Done()
		fmt.Println("value " + inner.Value(contractKey{}).(string) + ", ended with " + context.Cause(inner).Error())
		return w.Ready()
	}, Hooks: cluster.Hooks{OnReady: func(cluster.WorkerStart) { cancel(nil) }}})
	if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return 1
	}
	return 0
}

// Cancelling one caller does not reach what others share.
func TestContractCancelDoesNotReachOthers(t *testing.T) {
	m := launchUp(t, contractConfig())
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Reload(ctx) })
	eventually(t, "the reload", func() bool { return m.Stats().Starts == 2 })
	cancel()
	wg.Wait()
	eventually(t, "it went on", func() bool { return m.Stats().Reloads == 1 })

	c := launchCalls(t, cluster.JobsConfig{Workers: 2, Grace: time.Millisecond})
	left, leave := context.WithCancel(t.Context())
	wg.Go(func() { _, _ = c.spin.Call(left, time.Hour) })
	stays := make(chan error, 1)
	wg.Go(func() {
		_, err := c.spin.Call(t.Context(), 300*time.Millisecond)
		stays <- err
	})
	eventually(t, "both run", func() bool { return c.Stats().Busy == 2 })
	leave()
	require.NoError(t, <-stays)
	wg.Wait()
}

// In a worker, Run returns the very error of Work.
func TestContractFnErrorUnwrapped(t *testing.T) {
	p := runProcess(t, "unwrapped", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "CONTRACT=error") })
	require.Equal(t, "same true", p.line("same", 1))
}

// unwrappedProgram is a master whose worker compares errors.
func unwrappedProgram() int {
	cfg := contractConfig()
	cfg.Name = "unwrapped"
	c := cluster.MustNew(cfg)
	worker := roleKind() == "worker"
	err := c.Run(context.Background())
	if worker {
		fmt.Println(map[bool]string{true: "same true", false: "same false"}[err == errWork && err != errNot])
	}
	return 0
}

// A panic ends the worker with its own stack, Goexit is noticed; the slot goes
// on. In Jobs both come back as errors.
func TestContractPanicAndGoexit(t *testing.T) {
	for how, want := range map[string]string{"panic": "exit status 2", "goexit": "Goexit"} {
		cfg := contractConfig()
		cfg.Env = []string{"CONTRACT=" + how}
		m := launch(t, cfg)
		require.ErrorIs(t, m.wait(t), cluster.ErrCrashLoop)
		require.ErrorContains(t, m.err, want)
		require.EqualValues(t, 2, m.Stats().Starts)
	}
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	for _, how := range []string{"panic", "goexit"} {
		_, err := c.wreck.Call(t.Context(), how)
		require.ErrorIs(t, err, cluster.ErrPanic)
	}
	_, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
}

// Close may be called again, and by many at once.
func TestContractCloseIdempotent(t *testing.T) {
	m := launchUp(t, contractConfig())
	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	_, err := c.pid.Call(t.Context(), 0)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := errors.Join(m.Close(), c.Close()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, cluster.ErrClosed, m.wait(t))
	require.NoError(t, m.Drain(t.Context()))
	require.NoError(t, c.Drain(t.Context()))
}

// After Close and after Drain every way in is refused.
func TestContractClosedRefuses(t *testing.T) {
	closed, drained := launchUp(t, contractConfig()), launchUp(t, contractConfig())
	require.NoError(t, closed.Close())
	require.NoError(t, drained.Drain(t.Context()))
	for _, m := range []*master{closed, drained} {
		_ = m.wait(t)
		require.Equal(t, cluster.ErrClosed, m.Run(t.Context()))
		require.Equal(t, cluster.ErrNotRunning, m.Reload(t.Context()))
		require.Equal(t, cluster.ErrNotRunning, m.Upgrade(t.Context()))
		require.Equal(t, cluster.ErrNotRunning, m.Resize(3))
		require.Equal(t, cluster.ErrNotRunning, m.Send(t.Context(), 0, cluster.Message{}))
		_, err := m.Broadcast(cluster.Message{})
		require.Equal(t, cluster.ErrNotRunning, err)
	}
	early := cluster.MustNew(contractConfig())
	require.NoError(t, early.Drain(t.Context()))
	require.NoError(t, early.Close())
	require.Equal(t, cluster.ErrClosed, early.Run(t.Context()))

	closedJobs, drainedJobs := launchCalls(t, cluster.JobsConfig{}), launchCalls(t, cluster.JobsConfig{})
	require.NoError(t, closedJobs.Close())
	require.NoError(t, drainedJobs.Drain(t.Context()))
	for _, c := range []*calls{closedJobs, drainedJobs} {
		_, err := c.pid.Call(t.Context(), 0)
		require.Equal(t, cluster.ErrClosed, err)
		require.Zero(t, c.Stats().Starts)
	}
}

// At its deadline Drain kills who is left, says who that was, and matches the
// ctx.
func TestContractDrainDeadline(t *testing.T) {
	cfg := stubbornConfig()
	cfg.StopTimeout = time.Hour
	m := launchUp(t, cfg)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errCause)
	defer cancel()
	err := m.Drain(ctx)
	require.ErrorIs(t, err, cluster.ErrForced)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, errCause)
	require.ErrorIs(t, m.wait(t), cluster.ErrForced)

	c := launchCalls(t, cluster.JobsConfig{Workers: 1})
	done := make(chan error, 1)
	go func() {
		_, err := c.spin.Call(context.Background(), time.Hour)
		done <- err
	}()
	eventually(t, "the call", func() bool { return c.Stats().Busy == 1 })
	err = c.Drain(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, errCause)
	require.ErrorContains(t, err, "drain left 1 calls")
	require.Equal(t, cluster.ErrClosed, <-done)
}
