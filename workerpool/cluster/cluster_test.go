//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

func TestWorkersShareOneListener(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	slots := make(map[string]bool)
	eventually(t, "a request at each worker", func() bool {
		body, err := get(m.url("/pid"))
		require.NoError(t, err)
		fields := strings.Fields(body)
		require.Equal(t, fmt.Sprint(os.Getpid()), fields[2], "the worker is a child of the master")
		slots[fields[1]] = true
		return len(slots) == 2
	})
	s := m.Stats()
	require.Equal(t, cluster.StateRunning, s.State)
	require.Equal(t, 2, s.Ready)
	require.Equal(t, "web", s.Name)
	require.Nil(t, m.Addr("other"))
}

func TestStopIsOrderlyAndPrompt(t *testing.T) {
	for name, stop := range map[string]func(*master) error{
		"ctx":   func(m *master) error { m.stop(nil); return nil },
		"drain": func(m *master) error { return m.Drain(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			m := launchUp(t, webConfig("web"))
			addr := m.Addr("http").String()
			require.NoError(t, stop(m))
			err := m.wait(t)
			if name == "ctx" {
				require.ErrorIs(t, err, context.Canceled)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, map[cluster.Reason]int{cluster.ReasonStop: 2}, m.reasons(), "nobody is started again")
			s := m.Stats()
			require.Equal(t, cluster.StateStopped, s.State)
			require.Zero(t, s.Forced)
			require.Len(t, m.pids(), 2)
			_, err = net.Dial("tcp", addr)
			require.Error(t, err, "the socket is closed")
		})
	}
}

func TestKilledWorkersAreStartedAgainUnderLoad(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	load := startLoad(m.url("/pid"), 4)
	for i := range 4 {
		pid := m.Stats().Slots[i%2].Pid
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, "another process", func() bool {
			s := m.Stats()
			return s.Slots[i%2].Pid != pid && s.Ready == 2
		})
	}
	load.stop()
	// What a killed process had accepted dies with it; the rest is served.
	require.Positive(t, load.ok.Load())
	require.LessOrEqual(t, load.failed.Load(), int64(4*4), "at most what the four had in hand")
	require.Equal(t, map[cluster.Reason]int{cluster.ReasonCrash: 4}, m.reasons())
	m.with(func() {
		for _, e := range m.exits {
			require.Contains(t, e.Status, "killed")
			require.Positive(t, e.Next, "it waits before it starts another")
		}
	})
}

func TestCrashesOfAWorkerLeaveTheOthersAlone(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	for _, path := range []string{"/exit", "/panic"} {
		_, err := get(m.url(path))
		require.Error(t, err)
	}
	eventually(t, "two exits and two ready", func() bool { return m.reasons()[cluster.ReasonCrash] == 2 && m.Stats().Ready == 2 })
	m.with(func() {
		require.Contains(t, m.exits[0].Status, "exit status 7")
		require.Contains(t, m.exits[1].Status, "exit status 2")
	})
	_, err := get(m.url("/pid"))
	require.NoError(t, err)
}

// load makes requests until it is stopped.
type load struct {
	ok, failed atomic.Int64
	first      atomic.Pointer[error]
	quit       chan struct{}
	wg         sync.WaitGroup
}

func startLoad(url string, clients int) *load {
	l := &load{quit: make(chan struct{})}
	for range clients {
		l.wg.Go(func() {
			for {
				select {
				case <-l.quit:
					return
				default:
				}
				l.one(url)
			}
		})
	}
	return l
}

func (l *load) one(url string) {
	if _, err := get(url); err != nil {
		l.failed.Add(1)
		l.first.CompareAndSwap(nil, &err)
		return
	}
	l.ok.Add(1)
}

func (l *load) stop() {
	close(l.quit)
	l.wg.Wait()
}

func (l *load) requireNoneLost(t *testing.T) {
	t.Helper()
	if err := l.first.Load(); err != nil {
		require.NoError(t, *err)
	}
	require.Zero(t, l.failed.Load())
}

func TestReloadLosesNoRequestOfAThousand(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	before := m.pids()
	l := &load{}
	const clients, each = 10, 100
	for range clients {
		l.wg.Go(func() {
			for i := range each {
				l.one(m.url([]string{"/pid", "/slow"}[i%2]))
			}
		})
	}
	reloads := 0
	for l.ok.Load() < clients*each && l.failed.Load() == 0 {
		require.NoError(t, m.Reload(t.Context()))
		reloads++
	}
	l.wg.Wait()
	l.requireNoneLost(t)
	require.EqualValues(t, clients*each, l.ok.Load())
	require.Positive(t, reloads)
	eventually(t, "the last hook", func() bool { return m.reasons()[cluster.ReasonReload] == 2*reloads })
	require.Len(t, m.reasons(), 1)
	require.EqualValues(t, reloads, m.Stats().Reloads)
	for _, pid := range before {
		require.False(t, alive(pid))
	}
	require.Zero(t, m.Stats().Forced)
	require.NoError(t, m.Drain(t.Context()))
	// Nothing was counted twice, and nothing was lost over all those processes.
	require.EqualValues(t, clients*each, m.Stats().Counters["requests"])
}

func TestReloadOnKeptConnectionsLosesNoRequest(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	var wg sync.WaitGroup
	var failed atomic.Int64
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := getBy(client, m.url("/pid")); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	for range 3 {
		require.NoError(t, m.Reload(t.Context()))
	}
	close(done)
	wg.Wait()
	require.Zero(t, failed.Load())
}

func TestReloadStopsAtAWorkerThatDoesNotGetReady(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	cfg := webConfig("web")
	cfg.Env = []string{"WEB_BROKEN=" + broken}
	m := launchUp(t, cfg)
	before := m.pids()
	require.NoError(t, os.WriteFile(broken, nil, 0o600))

	err := m.Reload(t.Context())
	var failed *cluster.ReloadError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 0, failed.Slot)
	require.Contains(t, failed.Last, "broken on purpose")
	for _, pid := range before {
		require.True(t, alive(pid), "the old ones serve on")
	}
	_, err = get(m.url("/pid"))
	require.NoError(t, err)
	require.Equal(t, 2, m.Stats().Ready)
	require.Zero(t, m.Stats().Reloads)

	require.NoError(t, os.Remove(broken))
	require.NoError(t, m.Reload(t.Context()))
	for _, pid := range before {
		require.False(t, alive(pid))
	}
}

func TestOneReloadAtATime(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	var busy, fine atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			switch err := m.Reload(context.Background()); {
			case err == nil:
				fine.Add(1)
			case errors.Is(err, cluster.ErrBusy):
				busy.Add(1)
			}
		})
	}
	wg.Wait()
	require.Positive(t, fine.Load())
	require.EqualValues(t, 6, busy.Load()+fine.Load())
}

func TestCrashLoopEndsRun(t *testing.T) {
	for mode, want := range map[string]string{"error": "no database", "status": "exit status 5", "clean": "exit status 0", "goexit": "Goexit"} {
		t.Run(mode, func(t *testing.T) {
			cfg := badConfig()
			cfg.Env = []string{"BAD=" + mode}
			cfg.MaxRestarts = 2
			cfg.StopTimeout = 50 * time.Millisecond
			m := launch(t, cfg)
			err := m.wait(t)
			require.ErrorIs(t, err, cluster.ErrCrashLoop)
			var loop *cluster.CrashLoopError
			require.ErrorAs(t, err, &loop)
			require.Equal(t, 3, loop.Failures)
			require.Equal(t, 0, loop.Slot)
			require.Contains(t, loop.Last, want)
			require.Len(t, m.pids(), 3)
			m.with(func() { require.Len(t, m.givenUp, 1) })
			require.EqualValues(t, 3, m.Stats().Starts)
		})
	}
}

func TestDegradedClusterGoesOnAndReloadRevives(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	cfg := webConfig("web")
	cfg.Env = []string{"WEB_BROKEN=" + broken}
	cfg.MaxRestarts = 1
	cfg.Degrade = true
	m := launchUp(t, cfg)
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	require.NoError(t, syscall.Kill(m.Stats().Slots[0].Pid, syscall.SIGKILL))
	eventually(t, "slot 0 is given up", func() bool { return m.Stats().GivenUp == 1 })
	require.Equal(t, "given up", m.Stats().Slots[0].State)
	body, err := get(m.url("/pid"))
	require.NoError(t, err)
	require.Equal(t, "1", strings.Fields(body)[1])

	require.NoError(t, os.Remove(broken))
	require.NoError(t, m.Reload(t.Context()))
	require.Equal(t, 2, m.Stats().Ready)
	require.Zero(t, m.Stats().GivenUp)
}

func TestStartTimeoutKillsAWorkerThatIsNeverReady(t *testing.T) {
	cfg := badConfig()
	cfg.Env = []string{"BAD=silent"}
	cfg.StartTimeout = 200 * time.Millisecond
	cfg.MaxRestarts = 1
	m := launch(t, cfg)
	require.ErrorIs(t, m.wait(t), cluster.ErrCrashLoop)
	require.Equal(t, map[cluster.Reason]int{cluster.ReasonStart: 2}, m.reasons())
}

func TestHungWorkersAreReplaced(t *testing.T) {
	t.Run("stopped process", func(t *testing.T) {
		cfg := badConfig()
		m := launchUp(t, cfg)
		pid := m.Stats().Slots[0].Pid
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		eventually(t, "another process", func() bool { return m.Stats().Ready == 1 && m.Stats().Slots[0].Pid != pid })
		require.Equal(t, 1, m.reasons()[cluster.ReasonHung])
		require.False(t, alive(pid))
	})
	t.Run("not healthy", func(t *testing.T) {
		cfg := badConfig()
		cfg.Env = []string{"BAD=ill"}
		cfg.MaxRestarts = 1
		m := launch(t, cfg)
		require.ErrorIs(t, m.wait(t), cluster.ErrCrashLoop)
		require.Equal(t, 2, m.reasons()[cluster.ReasonHung])
	})
}

func TestAWorkerThatSendsNonsenseIsKilled(t *testing.T) {
	cfg := badConfig()
	cfg.Name = "garbage"
	cfg.MaxRestarts = 1
	m := launch(t, cfg)
	require.ErrorIs(t, m.wait(t), cluster.ErrCrashLoop)
	require.Equal(t, 2, m.reasons()[cluster.ReasonFrame])
	m.with(func() { require.Contains(t, m.exits[0].Status, "bad frame: version 71, want 1") })
}

func TestStopEscalatesReapsAndNamesThePids(t *testing.T) {
	m := launchUp(t, stubbornConfig())
	slots := m.Stats().Slots
	err := m.Drain(t.Context())
	require.ErrorIs(t, err, cluster.ErrForced)
	var forced *cluster.StopError
	require.ErrorAs(t, err, &forced)
	require.Equal(t, err, m.wait(t), "Run says the same")

	how := make(map[int]string)
	for _, f := range forced.Forced {
		require.Equal(t, slots[f.Slot].Pid, f.Pid)
		require.Contains(t, err.Error(), fmt.Sprintf("slot %d pid %d", f.Slot, f.Pid))
		how[f.Slot] = f.How
	}
	require.Len(t, how, 2, "slot 2 ended by itself")
	require.Contains(t, how[0], "terminated")
	require.Contains(t, how[1], "killed")
	for _, s := range slots {
		require.False(t, alive(s.Pid))
	}
	require.EqualValues(t, 2, m.Stats().Forced)
}

func TestCloseKillsAtOnce(t *testing.T) {
	cfg := stubbornConfig()
	cfg.StopTimeout = time.Hour
	m := launchUp(t, cfg)
	require.NoError(t, m.Close())
	require.Equal(t, cluster.ErrClosed, m.wait(t))
	require.NoError(t, m.Close())
}

func TestCountersAreKeptOverRestarts(t *testing.T) {
	m := launchUp(t, countingConfig())
	for round := range 3 {
		eventually(t, "the reports", func() bool { return m.Stats().Counters["begun"] == uint64(2*(round+1)) })
		if round == 2 {
			break
		}
		for _, s := range m.Stats().Slots {
			require.NoError(t, syscall.Kill(s.Pid, syscall.SIGKILL))
		}
		eventually(t, "new ones", func() bool { s := m.Stats(); return s.Ready == 2 && s.Starts == uint64(2*(round+2)) })
	}
	for _, s := range m.Stats().Slots {
		require.EqualValues(t, 3, s.Counters["begun"])
		require.EqualValues(t, 1+2+3, s.Counters["starts"])
		require.EqualValues(t, 3, s.Starts)
		require.Positive(t, s.RSS)
		require.GreaterOrEqual(t, s.PeakRSS, s.RSS)
		require.Positive(t, s.Heap)
		require.Positive(t, s.Goroutines)
	}
	require.NoError(t, m.Drain(t.Context()))
	require.EqualValues(t, 2, m.Stats().Counters["ended"], "the last report comes with the end")
}

func TestRecyclingByMemoryAndByAge(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		cfg := webConfig("web")
		cfg.MaxMemory = 150 << 20
		m := launchUp(t, cfg)
		load := startLoad(m.url("/pid"), 2)
		grown, err := get(m.url("/grow?mb=160"))
		require.NoError(t, err)
		eventually(t, "another process", func() bool { return m.reasons()[cluster.ReasonMemory] == 1 })
		load.stop()
		load.requireNoneLost(t)
		m.with(func() { require.Equal(t, grown, fmt.Sprint(m.exits[0].Pid)) })
		eventually(t, "the peak", func() bool {
			s := m.Stats().Slots
			return max(s[0].PeakRSS, s[1].PeakRSS) > 150<<20
		})
	})
	t.Run("age", func(t *testing.T) {
		cfg := webConfig("web")
		cfg.MaxAge = 200 * time.Millisecond
		m := launchUp(t, cfg)
		load := startLoad(m.url("/pid"), 2)
		eventually(t, "three of each slot", func() bool {
			s := m.Stats().Slots
			return s[0].Starts > 2 && s[1].Starts > 2
		})
		load.stop()
		load.requireNoneLost(t)
		require.Zero(t, m.reasons()[cluster.ReasonCrash])
	})
}

func TestMessagesGoBothWays(t *testing.T) {
	m := launchUp(t, talkConfig())
	big := strings.Repeat("x", 100_000)
	require.NoError(t, m.Send(t.Context(), 1, cluster.Message{Topic: "one", Data: []byte(big)}))
	n, err := m.Broadcast(cluster.Message{Topic: "all"})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	got := make(map[string]string)
	eventually(t, "the answers", func() bool {
		m.with(func() {
			for _, msg := range m.messages {
				got[msg.Topic] = string(msg.Data)
			}
		})
		return len(got) == 3
	})
	require.Equal(t, map[string]string{"one from 1": big, "all from 0": "", "all from 1": ""}, got)

	require.ErrorIs(t, m.Send(t.Context(), 0, cluster.Message{Data: make([]byte, 100_001)}), cluster.ErrTooLarge)
	require.ErrorIs(t, m.Send(t.Context(), 0, cluster.Message{Topic: strings.Repeat("t", 256)}), cluster.ErrTooLarge)
	require.ErrorContains(t, m.Send(t.Context(), 2, cluster.Message{}), "slot 2, want 0 to 1")
}

func TestSendToADeadWorkerIsAnErrorAndToAStoppedOneDoesNotBlock(t *testing.T) {
	cfg := talkConfig()
	cfg.MinBackoff = time.Hour
	m := launchUp(t, cfg)
	slots := m.Stats().Slots
	require.NoError(t, syscall.Kill(slots[0].Pid, syscall.SIGKILL))
	eventually(t, "the end of slot 0", func() bool { return m.Stats().Slots[0].State == "waiting" })
	require.ErrorIs(t, m.Send(t.Context(), 0, cluster.Message{}), cluster.ErrGone)

	// A process that does not read fills the socket, then the outbox; then the
	// sender's own context counts.
	require.NoError(t, syscall.Kill(slots[1].Pid, syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		err = m.Send(ctx, 1, cluster.Message{Data: make([]byte, 50_000)})
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	n, err := m.Broadcast(cluster.Message{Data: make([]byte, 100_000)})
	require.NoError(t, err)
	require.Zero(t, n)
	require.Positive(t, m.Stats().Dropped)
	require.NoError(t, syscall.Kill(slots[1].Pid, syscall.SIGCONT))
}

func TestResizeAddsAndTakesAwayWorkers(t *testing.T) {
	m := launchUp(t, countingConfig())
	require.NoError(t, m.Resize(4))
	eventually(t, "four", func() bool { return m.Stats().Ready == 4 && m.Stats().Counters["begun"] == 4 })
	require.NoError(t, m.Resize(1))
	eventually(t, "one", func() bool { return m.reasons()[cluster.ReasonResize] == 3 })
	s := m.Stats()
	require.Equal(t, 1, s.Workers)
	require.Len(t, s.Slots, 1)
	require.EqualValues(t, 4, s.Counters["begun"], "what they counted stays")
	require.NoError(t, m.Resize(2))
	eventually(t, "two", func() bool { return m.Stats().Ready == 2 })
	require.EqualValues(t, 2, m.Stats().Slots[1].Starts)
	require.EqualError(t, m.Resize(0), "cluster: Resize to 0, want 1 to 4096")
}

func TestDatagramSocketsAreShared(t *testing.T) {
	m := launchUp(t, datagramsConfig())
	conn, err := net.Dial("udp", m.Addr("udp").String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Write([]byte("hello"))
	require.NoError(t, err)
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "re: hello", string(buf[:n]))
}

// The descriptor that the processes share must stay in non-blocking mode: an
// Accept that lost a race would never return, and no Shutdown after it.
func TestStartingWorkersLeavesTheSharedSocketNonBlocking(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	require.NoError(t, m.Reload(t.Context()))
	for range 30 {
		_, err := get(m.url("/pid"))
		require.NoError(t, err)
	}
	for _, s := range m.Stats().Slots {
		require.True(t, nonBlocking(t, s.Pid, 4), "descriptor 4 of a worker is the socket")
	}
}

// nonBlocking reads the flags of a descriptor of another process.
func nonBlocking(t *testing.T, pid, fd int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc here to look at descriptors of others")
	}
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(text), "\n") {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			var n int
			_, err := fmt.Sscanf(strings.TrimSpace(flags), "%o", &n)
			require.NoError(t, err)
			return n&syscall.O_NONBLOCK != 0
		}
	}
	return false
}

func TestUnixSocketIsRemovedAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	cfg := webConfig("web")
	cfg.Listen = []cluster.Listen{{Name: "http", Network: "unix", Address: path}}
	m := launchUp(t, cfg)
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, m.Reload(t.Context()))
	conn, err = net.Dial("unix", path)
	require.NoError(t, err, "a worker's end does not remove it")
	require.NoError(t, conn.Close())
	require.NoError(t, m.Drain(t.Context()))
	require.NoError(t, m.wait(t))
	require.NoFileExists(t, path)
}

func TestASocketThatCannotBeOpenedIsTheErrorOfRun(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg := webConfig("web")
	cfg.Listen[0].Address = taken.Addr().String()
	m := launch(t, cfg)
	require.ErrorContains(t, m.wait(t), `cluster: Config.Listen "http"`)
	require.ErrorIs(t, m.err, syscall.EADDRINUSE)
	require.Empty(t, m.pids())
}

func TestRunIsCalledOnce(t *testing.T) {
	m := launchUp(t, webConfig("web"))
	require.Equal(t, cluster.ErrBusy, m.Run(t.Context()))
	require.NoError(t, m.Drain(t.Context()))
	require.NoError(t, m.wait(t))
	require.Equal(t, cluster.ErrClosed, m.Run(t.Context()))
}
