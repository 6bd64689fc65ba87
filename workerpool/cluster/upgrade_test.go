//go:build unix

package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// upgrading is a world whose workers are real code, and whose new masters run
// script.
func upgrading(t *testing.T, cfg Config, script func(*fakeProcess)) (*world, *Cluster, *running) {
	work := worker(Config{Work: func(ctx context.Context, w *Worker) error {
		w.Counter("begun").Add(1)
		return ready(ctx, w)
	}})
	w := newWorld(t, func(p *fakeProcess) {
		if p.role.Kind == roleMaster {
			script(p)
		} else {
			work(p)
		}
	})
	c := w.cluster(cfg)
	run := w.run(c)
	waitUp(t, c)
	return w, c, run
}

func TestUpgradeHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handed []slotTotals
		var told []error
		cfg := Config{Name: "web", Hooks: Hooks{OnUpgrade: func(err error) { told = append(told, err) }}}
		w, c, run := upgrading(t, cfg, func(p *fakeProcess) {
			time.Sleep(5 * time.Second)
			p.send(frameReady, nil)
			for {
				f, err := readFrame(p.conn, maxControl)
				if err != nil {
					return
				}
				totals, err := decodeTotals(f.body)
				if err != nil {
					return
				}
				handed = append(handed, totals)
			}
		})
		start := time.Now()
		require.NoError(t, c.Upgrade(t.Context()))
		require.Equal(t, 5*time.Second, time.Since(start))
		<-run.done
		require.NoError(t, run.err)
		require.Equal(t, []error{nil}, told)
		synctest.Wait()
		require.Len(t, handed, 2)
		for i, totals := range handed {
			require.Equal(t, i, totals.Slot)
			require.EqualValues(t, 1, totals.Starts)
			require.EqualValues(t, 1, totals.Counters["begun"])
		}
		require.Equal(t, role{Kind: roleMaster, Name: "web"}, w.all()[2].role)
		require.Equal(t, map[Reason]uint64{ReasonStop: 2}, c.Stats().Exits)
	})
}

func TestUpgradeThatFailsIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			script func(*fakeProcess)
			want   string
			after  time.Duration
		}{
			"it ends":             {crash, "cluster: the new master ended before it was ready (exit status 1)", 0},
			"it talks nonsense":   {func(p *fakeProcess) { p.send(frameReport, nil); <-p.dead }, "ended before it was ready (signal: killed)", 0},
			"it is never ready":   {func(p *fakeProcess) { <-p.dead }, "was not ready within 15s (signal: killed)", 15 * time.Second},
			"its caller gives up": {func(p *fakeProcess) { <-p.dead }, "context deadline exceeded", 10 * time.Second},
		} {
			_, m, run := upgrading(t, Config{StartTimeout: 5 * time.Second}, c.script)
			ctx, cancel := t.Context(), func() {}
			if c.after == 10*time.Second {
				ctx, cancel = context.WithTimeout(ctx, c.after)
			}
			start := time.Now()
			err := m.Upgrade(ctx)
			cancel()
			require.ErrorContains(t, err, c.want, name)
			require.Equal(t, c.after, time.Since(start), name)
			synctest.Wait()
			require.Equal(t, StateRunning, m.Stats().State, name)
			require.Equal(t, 2, m.Stats().Ready, name)
			require.ErrorContains(t, m.Upgrade(alreadyDone(t)), "canceled", name)
			require.NoError(t, m.Drain(t.Context()))
			<-run.done
			require.NoError(t, run.err)
		}
	})
}

func alreadyDone(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestUpgradeThatCannotStartIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c, run := upgrading(t, Config{}, nil)
		w.failing(errors.New("text file busy"))
		require.EqualError(t, c.Upgrade(t.Context()), "text file busy")
		require.NoError(t, c.Close())
		<-run.done
	})
}

func TestOneUpgradeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c, run := upgrading(t, Config{}, func(p *fakeProcess) { <-p.dead })
		first := make(chan error, 1)
		go func() { first <- c.Upgrade(t.Context()) }()
		synctest.Wait()
		require.Equal(t, ErrBusy, c.Upgrade(t.Context()))
		require.Len(t, w.all(), 3)

		// A stop is meant for the service: no successor survives it.
		require.NoError(t, c.Drain(t.Context()))
		require.ErrorIs(t, <-first, ErrNotRunning)
		<-run.done
		require.NoError(t, run.err)
		require.Equal(t, []signal{sigKill}, w.all()[2].got())
	})
}

func TestAStopThatComesFirstWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *fakeProcess) {
			if p.role.Kind == roleMaster {
				time.Sleep(time.Second)
				p.send(frameReady, nil)
				<-p.dead
				return
			}
			worker(Config{Work: func(ctx context.Context, w *Worker) error {
				_ = ready(ctx, w)
				time.Sleep(5 * time.Second)
				return nil
			}})(p)
		})
		c := w.cluster(Config{})
		run := w.run(c)
		waitUp(t, c)
		upgraded := make(chan error, 1)
		go func() { upgraded <- c.Upgrade(t.Context()) }()
		synctest.Wait()
		run.cancel(nil)
		require.Equal(t, ErrNotRunning, <-upgraded)
		<-run.done
		require.ErrorIs(t, run.err, context.Canceled)
		require.Equal(t, []signal{sigKill}, w.all()[2].got())
	})
}

func TestForegroundWaitsForTheSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for status, want := range map[string]string{"": "", "exit status 1": "cluster: the new master: exit status 1"} {
			_, c, run := upgrading(t, Config{Foreground: true}, func(p *fakeProcess) {
				go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				p.send(frameReady, nil)
				time.Sleep(time.Hour)
				p.end(exit{clean: status == "", status: status})
			})
			start := time.Now()
			require.NoError(t, c.Upgrade(t.Context()))
			<-run.done
			require.Equal(t, time.Hour, time.Since(start))
			if want == "" {
				require.NoError(t, run.err)
			} else {
				require.EqualError(t, run.err, want)
			}
		}
	})
}

func TestForegroundPassesTheEndOfItsContextOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c, run := upgrading(t, Config{Foreground: true}, func(p *fakeProcess) {
			go func() { _, _ = io.Copy(io.Discard, p.conn) }()
			p.send(frameReady, nil)
			<-p.dead
		})
		require.NoError(t, c.Upgrade(t.Context()))
		time.Sleep(time.Minute)
		run.cancel(nil)
		<-run.done
		require.EqualError(t, run.err, "cluster: the new master: signal: terminated")
		require.Equal(t, []signal{sigTerm}, w.all()[2].got())
	})
}

// A new master takes the totals of the old one, refuses an upgrade while that
// lives, and tells it when it is up.
func TestANewMasterTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worker(Config{Work: func(ctx context.Context, w *Worker) error {
			w.Counter("begun").Add(1)
			return ready(ctx, w)
		}}))
		c := w.cluster(Config{Workers: 1})
		old, parent := net.Pipe()
		s := c.newSupervisor()
		s.listenTo(parent)
		require.NoError(t, c.begin(s))
		done := make(chan error, 1)
		go func() { done <- s.run(t.Context()) }()

		f, err := readFrame(old, 100)
		require.NoError(t, err)
		require.Equal(t, frameReady, f.kind)
		require.Equal(t, ErrBusy, c.Upgrade(t.Context()))
		require.Nil(t, s.handover.next)

		_, err = old.Write(appendFrame(nil, frame{frameTotals, encode(slotTotals{Slot: 0, Starts: 4, PeakRSS: 1 << 50, Counters: map[string]uint64{"begun": 4}})}))
		require.NoError(t, err)
		_, err = old.Write(appendFrame(nil, frame{frameTotals, encode(slotTotals{Slot: 9, Starts: 1, Counters: map[string]uint64{"begun": 1}})}))
		require.NoError(t, err)
		synctest.Wait()
		st := c.Stats()
		require.EqualValues(t, 5, st.Slots[0].Counters["begun"])
		require.EqualValues(t, 5, st.Slots[0].Starts)
		require.Equal(t, uint64(1<<50), st.Slots[0].PeakRSS)
		require.EqualValues(t, 6, st.Counters["begun"], "with the slots that are no more")

		require.NoError(t, old.Close())
		synctest.Wait()
		w.failing(errors.New("it tries"))
		require.EqualError(t, c.Upgrade(t.Context()), "it tries")
		require.NoError(t, c.Drain(t.Context()))
		require.NoError(t, <-done)
	})
}
