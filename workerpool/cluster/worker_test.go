//go:build unix

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWorkerKnowsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen [][2]int
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			mu.Lock()
			seen = append(seen, [2]int{w.Slot(), int(w.Start())})
			mu.Unlock()
			return ready(ctx, w)
		}}))
		c := w.cluster(Config{Workers: 2})
		run := w.run(c)
		waitUp(t, c)
		require.NoError(t, c.Reload(t.Context()))
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.ElementsMatch(t, [][2]int{{0, 1}, {1, 1}, {0, 2}, {1, 2}}, seen)
	})
}

func TestAWorkerThatIsReadyTwiceIsReadyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var readies, ups int
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			_ = w.Ready()
			_ = w.Ready()
			return ready(ctx, w)
		}}))
		c := w.cluster(Config{Workers: 1, Hooks: Hooks{OnReady: func(WorkerStart) { readies++ }, OnUp: func() { ups++ }}})
		run := w.run(c)
		waitUp(t, c)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.Equal(t, 1, readies)
		require.Equal(t, 1, ups)
	})
}

func TestMessagesComeInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			_ = w.Ready()
			for {
				m, err := w.Receive(ctx)
				if err != nil {
					return nil //nolint:nilerr // asked to end
				}
				m.Topic += "!"
				if err := w.Send(ctx, m); err != nil {
					return err
				}
			}
		}}))
		c := w.cluster(Config{Workers: 1, Hooks: Hooks{OnMessage: func(slot int, m Message) { got = append(got, m.Topic+string(m.Data)) }}})
		run := w.run(c)
		waitUp(t, c)
		var want []string
		for s := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyz", "") {
			require.NoError(t, c.Send(t.Context(), 0, Message{Topic: s, Data: []byte("?")}))
			want = append(want, s+"!?")
		}
		synctest.Wait()
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.Equal(t, want, got)
	})
}

func TestAWorkerWhoseMasterIsGoneIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 5)
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			<-ctx.Done()
			results <- context.Cause(ctx)
			_, err := w.Receive(context.WithoutCancel(ctx)) // one had come
			results <- err
			_, err = w.Receive(context.WithoutCancel(ctx))
			results <- err
			for err = nil; err == nil; {
				err = w.Send(context.WithoutCancel(ctx), Message{})
			}
			results <- err
			results <- w.Ready()
			return nil
		}}))
		child, err := w.start(spec{})
		require.NoError(t, err)
		go func() { _, _ = io.Copy(io.Discard, child.conn) }()
		_, err = child.conn.Write(appendFrame(nil, frame{frameMessage, encodeMessage(Message{Topic: "last"})}))
		require.NoError(t, err)
		require.NoError(t, child.conn.Close())
		child.wait()
		for _, want := range []error{ErrMasterGone, nil, ErrGone, ErrGone, ErrGone} {
			require.Equal(t, want, <-results)
		}
	})
}

func TestAWorkerRefusesMessagesOutOfBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 4)
		cfg := Config{MaxMessage: 10, Work: func(ctx context.Context, w *Worker) error {
			results <- w.Send(ctx, Message{Data: make([]byte, 11)})
			done, cancel := context.WithCancelCause(ctx)
			cancel(errShut)
			results <- w.Send(done, Message{})
			_, err := w.Receive(done)
			results <- err
			return ready(ctx, w)
		}}
		w := newWorld(t, worker(cfg))
		c := w.cluster(Config{Workers: 1, MaxMessage: 10})
		run := w.run(c)
		waitUp(t, c)
		require.ErrorIs(t, <-results, ErrTooLarge)
		for range 2 {
			err := <-results
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, errShut)
		}
		_, err := c.Broadcast(Message{Data: make([]byte, 11)})
		require.ErrorIs(t, err, ErrTooLarge)
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
	})
}

func TestGoexitInWorkIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status string
		w := newWorld(t, func(p *fakeProcess) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				worker(Config{Work: func(ctx context.Context, w *Worker) error {
					_ = w.Ready()
					runtime.Goexit()
					return nil
				}})(p)
			}()
			<-done
			<-p.dead // the rest of the process lives on
		})
		c := w.cluster(Config{Workers: 1, MaxRestarts: 1, StopTimeout: 5 * time.Second, Hooks: Hooks{OnExit: func(e WorkerExit) { status = e.Status }}})
		run := w.run(c)
		<-run.done
		require.ErrorIs(t, run.err, ErrCrashLoop)
		require.Equal(t, "Work panicked or called runtime.Goexit (signal: terminated)", status)
	})
}

func TestDispatcherRunsInOrderAndToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher()
		d.start()
		var got []int
		for i := range 100 {
			d.add(func() {
				time.Sleep(time.Second)
				got = append(got, i)
				if i == 99 {
					d.add(func() { got = append(got, 100) })
				}
			})
		}
		d.end()
		require.Len(t, got, 101)
		require.IsIncreasing(t, got)
	})
}

func TestStatsHaveTheirNamesInJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: ready}))
		c := w.cluster(Config{Name: "web", Workers: 1})
		var before map[string]any
		require.NoError(t, json.Unmarshal(encode(c.Stats()), &before))
		require.Equal(t, "idle", before["state"])
		require.Equal(t, map[string]any{}, before["counters"], "a map even where there is nothing")
		run := w.run(c)
		waitUp(t, c)
		time.Sleep(2 * time.Second)
		var got map[string]any
		require.NoError(t, json.Unmarshal(encode(c.Stats()), &got))
		for _, key := range []string{"name", "state", "workers", "ready", "given_up", "starts", "exits", "forced", "reloads", "dropped", "counters", "slots"} {
			require.Contains(t, got, key)
		}
		slot := got["slots"].([]any)[0].(map[string]any)
		for _, key := range []string{"slot", "state", "pid", "age_ns", "starts", "rss", "peak_rss", "heap", "goroutines", "counters"} {
			require.Contains(t, slot, key)
		}
		require.Equal(t, "ready", slot["state"])
		require.Positive(t, slot["rss"])
		require.NoError(t, c.Close())
		<-run.done
		require.Empty(t, c.Stats().Slots[0].Pid)
	})
}

// Everybody does everything at once, and processes die at any moment: what is
// asked for ends, and in the end nothing is left.
func TestAMasterUnderAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
			w.Counter("begun").Add(1)
			go func() {
				for {
					if _, err := w.Receive(ctx); err != nil {
						return
					}
				}
			}()
			return ready(ctx, w)
		}}))
		c := w.cluster(Config{Workers: 4, MaxRestarts: 1 << 20, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, MaxAge: 3 * time.Second})
		run := w.run(c)
		waitUpLater(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), 1))
				for ctx.Err() == nil {
					time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
					short, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
					var err error
					switch i % 6 {
					case 0:
						err = c.Reload(short)
					case 1:
						err = c.Resize(1 + rng.IntN(6))
					case 2:
						err = c.Send(short, rng.IntN(6), Message{Topic: "t"})
						if err != nil && strings.Contains(err.Error(), "want 0 to") {
							err = nil
						}
					case 3:
						_, err = c.Broadcast(Message{})
					case 4:
						if s := c.Stats(); s.Ready > s.Workers || len(s.Slots) != s.Workers {
							t.Errorf("%d of %d ready, %d slots", s.Ready, s.Workers, len(s.Slots))
						}
					case 5:
						all := w.all()
						_ = all[rng.IntN(len(all))].signal(sigKill)
					}
					stop()
					for _, fine := range []error{ErrBusy, ErrGone, context.DeadlineExceeded, context.Canceled} {
						if errors.Is(err, fine) {
							err = nil
						}
					}
					if _, failed := errors.AsType[*ReloadError](err); err != nil && !failed {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		s := c.Stats()
		require.Equal(t, s.Workers, s.Ready, "the storm is over")
		require.NoError(t, c.Drain(t.Context()))
		<-run.done
		require.NoError(t, run.err)
		s = c.Stats()
		ended := uint64(0)
		for _, n := range s.Exits {
			ended += n
		}
		require.Equal(t, s.Starts, ended)
		require.Len(t, w.all(), int(s.Starts))
		require.LessOrEqual(t, s.Counters["begun"], s.Starts)
		for _, p := range w.all() {
			<-p.dead
		}
	})
}

// waitUpLater waits until workers that take their time are ready.
func waitUpLater(t *testing.T, c *Cluster) {
	t.Helper()
	for range 1000 {
		if c.Stats().State == StateRunning {
			return
		}
		pass(10 * time.Millisecond)
	}
	require.Fail(t, "not up")
}
