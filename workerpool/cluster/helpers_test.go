//go:build unix

package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			require.Fail(t, "it did not happen: "+what)
		}
		time.Sleep(2 * time.Millisecond) //bedplate:allow sleep: other processes keep their own time
	}
}

// recorder is what the hooks of a master have seen.
type recorder struct {
	mu       sync.Mutex
	starts   []cluster.WorkerStart
	readies  []cluster.WorkerStart
	exits    []cluster.WorkerExit
	givenUp  []*cluster.CrashLoopError
	messages []cluster.Message
	reloads  []error
	up       chan struct{}
}

func (r *recorder) hooks() cluster.Hooks {
	r.up = make(chan struct{})
	return cluster.Hooks{
		OnStart:   func(e cluster.WorkerStart) { r.with(func() { r.starts = append(r.starts, e) }) },
		OnReady:   func(e cluster.WorkerStart) { r.with(func() { r.readies = append(r.readies, e) }) },
		OnUp:      func() { close(r.up) },
		OnExit:    func(e cluster.WorkerExit) { r.with(func() { r.exits = append(r.exits, e) }) },
		OnGiveUp:  func(e *cluster.CrashLoopError) { r.with(func() { r.givenUp = append(r.givenUp, e) }) },
		OnReload:  func(err error) { r.with(func() { r.reloads = append(r.reloads, err) }) },
		OnMessage: func(slot int, m cluster.Message) { r.with(func() { r.messages = append(r.messages, m) }) },
	}
}

func (r *recorder) with(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// reasons counts the exits so far.
func (r *recorder) reasons() map[cluster.Reason]int {
	out := make(map[cluster.Reason]int)
	r.with(func() {
		for _, e := range r.exits {
			out[e.Reason]++
		}
	})
	return out
}

// pids are all processes that were started.
func (r *recorder) pids() []int {
	var out []int
	r.with(func() {
		for _, e := range r.starts {
			out = append(out, e.Pid)
		}
	})
	return out
}

// master is a cluster whose Run is under way in this process.
type master struct {
	*cluster.Cluster
	*recorder
	done chan struct{}
	err  error // of Run, after done
	stop context.CancelCauseFunc
}

// launch runs a cluster in this process. At the end of the test it is closed,
// and none of its processes may be left.
func launch(t *testing.T, cfg cluster.Config) *master {
	t.Helper()
	cfg.NoSignals = true
	m := &master{recorder: new(recorder), done: make(chan struct{})}
	cfg.Hooks = m.hooks()
	m.Cluster = cluster.MustNew(cfg)
	ctx, cancel := context.WithCancelCause(context.Background())
	m.stop = cancel
	go func() {
		defer close(m.done)
		m.err = m.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel(nil)
		require.NoError(t, m.Close())
		<-m.done
		for _, pid := range m.pids() {
			require.False(t, alive(pid), "process %d is left", pid)
		}
	})
	return m
}

// launchUp is launch for a cluster that gets ready.
func launchUp(t *testing.T, cfg cluster.Config) *master {
	t.Helper()
	m := launch(t, cfg)
	select {
	case <-m.up:
	case <-m.done:
		require.NoError(t, m.err, "Run ended before the workers were ready")
	case <-time.After(patience):
		require.Fail(t, "the workers did not get ready")
	}
	return m
}

// wait waits for the end of Run.
func (m *master) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-m.done:
	case <-time.After(patience):
		require.Fail(t, "Run does not end")
	}
	return m.err
}

// alive reports whether a process runs; one that is dead and not reaped does
// not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // no such file system: the signal has to do
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// get makes a request on a connection of its own.
func get(url string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	return getBy(client, url)
}

func getBy(client *http.Client, url string) (string, error) {
	res, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return string(body), err
}

// url is an address in a running master.
func (m *master) url(path string) string { return "http://" + m.Addr("http").String() + path }

// process is a test program in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	end chan struct{} // closed when all its output was read

	mu    sync.Mutex
	lines []string
}

// runProcess starts a program. At the end of the test it is killed.
func runProcess(t *testing.T, program string, change func(*exec.Cmd)) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), programEnv+"="+program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if change != nil {
		change(cmd)
	}
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, end: make(chan struct{})}
	go func() {
		defer close(p.end)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.end // its workers have the pipe as well, and end when it does
		_ = cmd.Wait()
	})
	return p
}

// printed lists the lines so far that begin with start.
func (p *process) printed(start string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, line := range p.lines {
		if strings.HasPrefix(line, start) {
			out = append(out, line)
		}
	}
	return out
}

// line waits for the nth line that begins with start, from 1.
func (p *process) line(start string, n int) string {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("line %d that begins with %q", n, start), func() bool { return len(p.printed(start)) >= n })
	return p.printed(start)[n-1]
}

// number is the value of key=number in a line.
func number(t *testing.T, line, key string) int {
	t.Helper()
	for field := range strings.FieldsSeq(line) {
		if text, ok := strings.CutPrefix(field, key+"="); ok {
			n, err := strconv.Atoi(text)
			require.NoError(t, err)
			return n
		}
	}
	require.Fail(t, "no "+key+" in "+line)
	return 0
}

func (p *process) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// wait waits for the end of the process and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.end:
	case <-time.After(patience):
		require.Fail(p.t, "the process does not end")
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}
