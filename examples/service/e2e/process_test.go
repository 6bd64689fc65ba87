package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// service is the built program, as a process.
type service struct {
	t    *testing.T
	args []string
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu  sync.Mutex // guards log
	log []string
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start starts the program on a free port, with a folder of its own, and waits
// until it says where it listens.
func start(t *testing.T, args ...string) *service {
	t.Helper()
	if browser == nil {
		t.Skip("there is no Chromium on PATH")
	}
	s := &service{t: t, args: append([]string{"-data", t.TempDir(), "-drain-delay", "0s"}, args...)}
	s.run("127.0.0.1:0")
	t.Cleanup(func() { s.end(syscall.SIGTERM) })
	return s
}

func (s *service) run(addr string) {
	s.t.Helper()
	s.cmd = exec.Command(binary, append([]string{"-addr", addr}, s.args...)...)
	s.cmd.Env = append(os.Environ(), "DATABASE_URL=", "REDIS_ADDR=")
	out, err := s.cmd.StdoutPipe()
	require.NoError(s.t, err)
	s.cmd.Stderr = s.cmd.Stdout // the same pipe
	require.NoError(s.t, s.cmd.Start())
	s.done = make(chan struct{})
	ready := make(chan string, 1)
	cmd, done := s.cmd, s.done
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			s.mu.Unlock()
			if a := address.FindString(lines.Text()); a != "" {
				select {
				case ready <- a:
				default:
				}
			}
		}
		_ = cmd.Wait() // how it ended is no matter here
		close(done)
	}()
	select {
	case s.url = <-ready:
	case <-s.done:
		s.t.Fatalf("the service ended: %s", s.output())
	case <-time.After(2 * patience):
		s.t.Fatalf("the service does not start: %s", s.output())
	}
}

func (s *service) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log[max(0, len(s.log)-30):], "\n")
}

// end sends a signal and waits for the end of the process.
func (s *service) end(signal syscall.Signal) {
	s.t.Helper()
	_ = s.cmd.Process.Signal(signal) // it may be gone
	select {
	case <-s.done:
	case <-time.After(2 * patience):
		_ = s.cmd.Process.Kill()
		<-s.done
		s.t.Errorf("the service did not end on %v: %s", signal, s.output())
	}
}

// again starts it once more, where it was.
func (s *service) again() {
	s.t.Helper()
	s.run(strings.TrimPrefix(s.url, "http://"))
}
