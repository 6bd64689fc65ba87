//go:build unix

package cluster_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// workers waits until a program is up, and returns the processes of its slots.
func workers(t *testing.T, p *process, n int) []int {
	t.Helper()
	p.line("up ", 1)
	var pids []int
	for i := range n {
		pids = append(pids, number(t, p.line("ready ", i+1), "pid"))
	}
	return pids
}

func TestWorkersEndWhenTheirMasterIsKilled(t *testing.T) {
	p := runProcess(t, "orphans", nil)
	pids := workers(t, p, 2)
	p.signal(syscall.SIGKILL)
	for _, pid := range pids {
		eventually(t, "the end of a worker, whether it heeds its context or not", func() bool { return !alive(pid) })
	}
}

func TestWorkersUnderLoadEndWhenTheirMasterIsKilled(t *testing.T) {
	p := runProcess(t, "web", nil)
	pids := workers(t, p, 2)
	addr := strings.TrimPrefix(p.line("addr ", 1), "addr ")
	load := startLoad("http://"+addr+"/slow", 4)
	eventually(t, "some requests", func() bool { return load.ok.Load() > 10 })
	p.signal(syscall.SIGKILL)
	for _, pid := range pids {
		eventually(t, "the end of a worker", func() bool { return !alive(pid) })
	}
	load.stop()
	_, err := net.Dial("tcp", addr)
	require.Error(t, err, "nobody holds the port")
}

func TestSignalsStopReloadAndLosePatience(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := runProcess(t, "web", nil)
		before := workers(t, p, 2)
		p.signal(syscall.SIGHUP)
		require.Equal(t, "reloaded <nil>", p.line("reloaded", 1))
		for _, pid := range before {
			require.False(t, alive(pid))
		}
		p.signal(s)
		require.Zero(t, p.wait())
		require.Len(t, p.printed("exit "), 4)
		require.Empty(t, p.printed("run:"))
	}
	p := runProcess(t, "stubbornweb", nil)
	workers(t, p, 1)
	p.signal(syscall.SIGTERM)
	eventually(t, "the worker was asked", func() bool { return len(p.printed("asked")) == 1 })
	p.signal(syscall.SIGTERM)
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.line("run:", 1), "1 workers had to be forced to stop: slot 0 pid ")
	require.Contains(t, p.line("exit ", 1), "forced=true")
}

// A terminal sends Ctrl-C to all processes of the group: the master alone
// decides.
func TestASignalToTheWholeGroupIsTheMastersAlone(t *testing.T) {
	p := runProcess(t, "web", func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} })
	workers(t, p, 2)
	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGHUP))
	require.Equal(t, "reloaded <nil>", p.line("reloaded", 1))
	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT))
	require.Zero(t, p.wait())
	for _, line := range p.printed("exit ") {
		require.NotContains(t, line, "crash")
	}
}

func TestASignalToAWorkerLetsItEndInOrder(t *testing.T) {
	p := runProcess(t, "web", nil)
	pid := workers(t, p, 2)[0]
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	require.Contains(t, p.line("exit ", 1), fmt.Sprintf("pid=%d reason=exit forced=false", pid))
	p.line("ready ", 3)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.wait())
}

func TestUpgradeUnderLoadLosesNoRequest(t *testing.T) {
	p := runProcess(t, "upgrade", nil)
	old := workers(t, p, 2)
	addr := strings.TrimPrefix(p.line("addr ", 1), "addr ")
	load := startLoad("http://"+addr+"/slow", 4)
	eventually(t, "some requests", func() bool { return load.ok.Load() > 10 })

	p.signal(syscall.SIGUSR2)
	require.Equal(t, "upgraded <nil>", p.line("upgraded", 1))
	second := number(t, p.line("up ", 2), "pid")
	require.NotEqual(t, p.cmd.Process.Pid, second)
	require.Equal(t, "addr "+addr, p.line("addr ", 2))
	eventually(t, "the old ones are gone", func() bool { return !alive(p.cmd.Process.Pid) && !alive(old[0]) && !alive(old[1]) })
	before := load.ok.Load()
	eventually(t, "requests at the new ones", func() bool { return load.ok.Load() > before+10 })

	// The new master can be upgraded in turn, once the old one is gone.
	require.NoError(t, syscall.Kill(second, syscall.SIGUSR2))
	require.Equal(t, "upgraded <nil>", p.line("upgraded", 2))
	third := number(t, p.line("up ", 3), "pid")
	eventually(t, "the second is gone", func() bool { return !alive(second) })
	load.stop()
	load.requireNoneLost(t)

	body, err := get("http://" + addr + "/pid")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(third), strings.Fields(body)[2])
	require.NoError(t, syscall.Kill(third, syscall.SIGTERM))
	<-p.end
	require.Empty(t, p.printed("run:"))
	total := p.printed("counted ")
	require.Len(t, total, 3)
	// The counters went from master to master: the last one has them all.
	require.EqualValues(t, load.ok.Load()+1, number(t, total[2], "requests"))
}

func TestAnUpgradeThatDoesNotGetReadyChangesNothing(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	p := runProcess(t, "upgrade", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "WEB_BROKEN="+broken) })
	pids := workers(t, p, 2)
	addr := strings.TrimPrefix(p.line("addr ", 1), "addr ")
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	p.signal(syscall.SIGUSR2)
	require.Contains(t, p.line("upgraded", 1), "cluster: the new master ended before it was ready")
	for _, pid := range pids {
		require.True(t, alive(pid))
	}
	_, err := get("http://" + addr + "/pid")
	require.NoError(t, err)

	require.NoError(t, os.Remove(broken))
	p.signal(syscall.SIGUSR2)
	require.Equal(t, "upgraded <nil>", p.line("upgraded", 2))
	require.Zero(t, waitExit(t, p))
	third := number(t, p.printed("up ")[1], "pid")
	require.NoError(t, syscall.Kill(third, syscall.SIGTERM))
	<-p.end
}

// waitExit waits for the process alone: its successor has the same output.
func waitExit(t *testing.T, p *process) int {
	t.Helper()
	eventually(t, "the end of the process", func() bool { return !alive(p.cmd.Process.Pid) })
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func TestTheForegroundMasterStaysAndPassesSignalsOn(t *testing.T) {
	p := runProcess(t, "front", nil)
	old := workers(t, p, 2)
	p.signal(syscall.SIGUSR2)
	require.Equal(t, "upgraded <nil>", p.line("upgraded", 1))
	second := number(t, p.line("up ", 2), "pid")
	eventually(t, "the old workers are gone", func() bool { return !alive(old[0]) && !alive(old[1]) })
	require.True(t, alive(p.cmd.Process.Pid))

	p.signal(syscall.SIGHUP)
	require.Equal(t, "reloaded <nil>", p.line("reloaded", 1))
	p.signal(syscall.SIGUSR2)
	require.Equal(t, "upgraded <nil>", p.line("upgraded", 2), "the one behind it is upgraded")
	third := number(t, p.line("up ", 3), "pid")
	require.NotEqual(t, second, third)
	p.signal(syscall.SIGTERM)
	require.Zero(t, p.wait(), "%q", p.printed(""))
	require.False(t, alive(third))
}

// systemd is a service manager as far as a test needs one.
type systemd struct {
	conn *net.UnixConn
	path string
}

func newSystemd(t *testing.T) *systemd {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &systemd{conn: conn, path: path}
}

// expect reads notifications until one begins with want, and returns it.
// Signs of life may stand between.
func (s *systemd) expect(t *testing.T, want string) string {
	t.Helper()
	buf := make([]byte, 1000)
	require.NoError(t, s.conn.SetReadDeadline(time.Now().Add(patience)))
	for {
		n, err := s.conn.Read(buf)
		require.NoError(t, err, "waiting for %s", want)
		text := string(buf[:n])
		if strings.HasPrefix(text, want) {
			return text
		}
		require.Equal(t, "WATCHDOG=1", text, "waiting for %s", want)
	}
}

// activate is a shell that passes its descriptor 3 on as systemd does: only the
// process itself knows its number.
func activate(t *testing.T, p *exec.Cmd, f *os.File, names string) {
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	p.Args = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=` + names + ` exec "$0"`, p.Path}
	p.Path = shell
	p.ExtraFiles = []*os.File{f}
}

func TestSystemdPassesSocketsAndIsNotified(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := ln.(*net.TCPListener).File()
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())

	manager := newSystemd(t)
	p := runProcess(t, "activated", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+manager.path, "WATCHDOG_USEC=100000")
		activate(t, cmd, f, "http")
	})
	require.NoError(t, f.Close())
	workers(t, p, 2)
	require.Equal(t, "addr "+addr, p.line("addr ", 1))
	require.Equal(t, "READY=1", manager.expect(t, "READY"))
	body, err := get("http://" + addr + "/pid")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(p.cmd.Process.Pid), strings.Fields(body)[2])
	require.Equal(t, "WATCHDOG=1", manager.expect(t, "WATCHDOG"), "and again and again")

	p.signal(syscall.SIGHUP)
	require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=\d+$`, manager.expect(t, "RELOADING"))
	require.Equal(t, "READY=1", manager.expect(t, "READY"))

	p.signal(syscall.SIGUSR2)
	text := manager.expect(t, "READY=1\nMAINPID=")
	require.Equal(t, fmt.Sprintf("READY=1\nMAINPID=%d", number(t, p.line("up ", 2), "pid")), text)
	require.Zero(t, waitExit(t, p))
	second := number(t, p.line("up ", 2), "pid")
	require.NoError(t, syscall.Kill(second, syscall.SIGTERM))
	manager.expect(t, "STOPPING=1") // of the new one; the old one said nothing
	<-p.end
}

func TestSocketsThatSystemdDoesNotPassAreMissed(t *testing.T) {
	p := runProcess(t, "activated", nil)
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.line("run:", 1), `cluster: Config.Listen "http": cluster: no address, and systemd passed no socket of this name`)

	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	p = runProcess(t, "activated", func(cmd *exec.Cmd) { activate(t, cmd, f, "http") })
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.line("run:", 1), `cluster: Config.Listen "http": `, "it is no socket")

	p = runProcess(t, "activated", func(cmd *exec.Cmd) { activate(t, cmd, f, "other") })
	require.Equal(t, 1, p.wait())
	require.Contains(t, p.line("run:", 1), "systemd passed no socket of this name")
}
