package emitternats_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// embed starts a server inside this process, on port or, with -1, on any.
func embed(t *testing.T, port int, dir string) *natsserver.Server {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
	})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(10*time.Second))
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *natsserver.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// servers are the addresses to test against: the embedded server, and a real one
// if there is: at NATS_URL, at the usual port, or started from the PATH.
func servers(t *testing.T) map[string]string {
	urls := map[string]string{"embedded": embed(t, -1, t.TempDir()).ClientURL()}
	if url := realServer(t); url != "" {
		urls["real"] = url
	}
	return urls
}

func realServer(t *testing.T) string {
	if url := os.Getenv("NATS_URL"); url != "" {
		return url
	}
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:4222", time.Second); err == nil {
		conn.Close()
		return "nats://127.0.0.1:4222"
	}
	binary, err := exec.LookPath("nats-server")
	if err != nil {
		return ""
	}
	port := freePort(t)
	cmd := exec.Command(binary, "-a", "127.0.0.1", "-p", strconv.Itoa(port), "-js", "-sd", t.TempDir())
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "nats://127.0.0.1:" + strconv.Itoa(port)
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// connect waits for the server to come up, and closes the connection in the end.
func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	var conn *nats.Conn
	require.Eventually(t, func() (ok bool) {
		var err error
		conn, err = dial(url)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	closed := make(chan struct{})
	conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
	t.Cleanup(func() { conn.Close(); <-closed })
	return conn
}

func dial(url string) (*nats.Conn, error) {
	return nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectJitter(0, 0))
}

// names are those of one test on a server that may have been used before.
type names struct{ subject, stream, durable string }

func unique(t *testing.T) names {
	id := fmt.Sprintf("%d_%d", os.Getpid(), time.Now().UnixNano())
	return names{"test." + id, "TEST_" + id, "durable_" + id}
}

// makeStream makes the stream of n, and deletes it in the end.
func makeStream(t *testing.T, conn *nats.Conn, n names, storage jetstream.StorageType) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: n.stream, Subjects: []string{n.subject, n.subject + ".stream"}, Storage: storage})
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	t.Cleanup(func() { _ = js.DeleteStream(context.Background(), n.stream) })
	return js
}

// record keeps what listeners hear.
type record[T any] struct {
	mu  sync.Mutex // guards all
	all []T
}

func (r *record[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, v)
}

func (r *record[T]) get() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.all...)
}

// until waits until r has n of them.
func (r *record[T]) until(t *testing.T, n int) []T {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.get()) >= n }, 20*time.Second, 5*time.Millisecond, "want %d", n)
	return r.get()
}
