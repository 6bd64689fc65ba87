package workerpool_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

// Without OnPanic a panic that nobody waits for ends the process with the stack
// of the function, as in any goroutine. The test runs itself as that process.
func TestPanicWithoutHookEndsTheProcess(t *testing.T) {
	if os.Getenv("WORKERPOOL_CRASH") != "" {
		p := workerpool.MustNew(workerpool.Config{Max: 1})
		_ = p.Go(context.Background(), func(context.Context) { fallOver() })
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicWithoutHookEndsTheProcess$")
	cmd.Env = append(os.Environ(), "WORKERPOOL_CRASH=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "panic: on purpose")
	require.Contains(t, string(out), "workerpool_test.fallOver")
	require.NotContains(t, string(out), "re-panicked")
}

func fallOver() { panic("on purpose") }

// Each reason for which a task is dropped is told once, with its outcome.
func TestOnDroppedTellsEachReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := map[workerpool.Reason]error{}
		toldOf := func(r workerpool.Reason) error {
			mu.Lock()
			defer mu.Unlock()
			return told[r]
		}
		p := workerpool.MustNew(workerpool.Config{
			Name: "db", Max: 1, Queue: 4, Overflow: workerpool.DropOldest, MaxQueueAge: time.Minute,
			Hooks: workerpool.Hooks{OnDropped: func(d workerpool.Dropped) {
				mu.Lock()
				defer mu.Unlock()
				if told[d.Reason] != nil || d.Name != "db" {
					t.Errorf("told twice: %+v", d)
				}
				told[d.Reason] = d.Err
			}},
		})
		hold, release := block()
		require.NoError(t, p.Go(t.Context(), hold))
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())

		overflowed := submit(t, t.Context(), p, zero)
		tooOld := submit(t, t.Context(), p.WithPriority(workerpool.High), zero)
		time.Sleep(time.Second)
		ended := submit(t, ctx, p, zero)
		cancelled := submit(t, t.Context(), p, zero)
		closed := submit(t, t.Context(), p, zero) // the queue is full: the oldest goes
		synctest.Wait()
		_, err, ok := overflowed.TryResult()
		require.True(t, ok)
		require.Equal(t, err, toldOf(workerpool.Overflowed))

		cancelled.Cancel()
		require.Equal(t, workerpool.ErrCanceled, toldOf(workerpool.Canceled))
		cancel(errCause)
		_, err = ended.Wait(t.Context())
		require.ErrorIs(t, err, errCause)
		synctest.Wait()
		require.Equal(t, err, toldOf(workerpool.ContextDone))

		time.Sleep(59*time.Second + time.Millisecond)
		synctest.Wait()
		_, err, ok = tooOld.TryResult()
		require.True(t, ok)
		require.Equal(t, err, toldOf(workerpool.TooOld))

		go func() { time.Sleep(time.Millisecond); release() }()
		require.NoError(t, p.Close())
		_, err = closed.Wait(t.Context())
		require.ErrorIs(t, err, workerpool.ErrClosed)
		require.Equal(t, err, toldOf(workerpool.Closed))
		require.Len(t, told, 5)
		s := p.Stats()
		for _, n := range []uint64{s.DroppedCanceled, s.DroppedClosed, s.DroppedContextDone, s.DroppedOverflowed, s.DroppedTooOld} {
			require.EqualValues(t, 1, n)
		}
		requireIdle(t, p)
	})
}
