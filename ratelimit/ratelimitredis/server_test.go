package ratelimitredis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

// server is a redis-server that a test has started, and may stop.
type server struct {
	t    *testing.T
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// start starts a redis-server of the test's own, or skips the test if there is
// no binary. It ends with the test.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	s := &server{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), dir: t.TempDir()}
	s.args = append([]string{
		binary, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--logfile", filepath.Join(s.dir, "log"),
	}, args...)
	s.begin()
	t.Cleanup(s.kill)
	return s
}

// begin starts the process and waits until it answers.
func (s *server) begin() {
	s.t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	require.NoError(s.t, s.cmd.Start())
	c := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer c.Close()
	require.Eventually(s.t, func() bool {
		return c.Ping(context.Background()).Err() == nil
	}, 10*time.Second, 10*time.Millisecond)
}

// kill ends the process at once.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) signal(sig syscall.Signal) { require.NoError(s.t, s.cmd.Process.Signal(sig)) }

// connect returns a client that is closed after the test.
func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// real returns the address of a real server: that in REDIS_ADDR, or one that
// is started for the test.
func real(t *testing.T) string {
	t.Helper()
	if addr := os.Getenv("REDIS_ADDR"); addr != "" {
		return addr
	}
	return start(t).addr
}

// open returns a store that is closed after the test. Tests of one server have
// a Name each, so that they share nothing.
func open(t *testing.T, cfg ratelimitredis.Config) *ratelimitredis.Store {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = uniqueName(t)
	}
	s, err := ratelimitredis.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// mini is a server within the process, whose clock the test sets.
type mini struct {
	*miniredis.Miniredis
	mu  sync.Mutex
	now time.Time
}

func startMini(t *testing.T) *mini {
	t.Helper()
	m := &mini{Miniredis: miniredis.RunT(t), now: time.Unix(1_790_000_000, 0)}
	m.SetTime(m.now)
	return m
}

// pass lets time pass on the server's clock; keys expire by it.
func (m *mini) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	m.SetTime(m.now)
	if d > 0 {
		m.FastForward(d)
	}
}

var names atomic.Int64

func uniqueName(t *testing.T) string {
	return fmt.Sprintf("%s-%d-%d", t.Name(), time.Now().UnixNano(), names.Add(1))
}
