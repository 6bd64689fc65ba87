//go:build unix

package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// service is a Worker with a socket, in this process, under Serve.
type service struct {
	t      *testing.T
	worker *Worker
	addr   string
	stop   context.CancelFunc
	done   chan error
}

func serve(t *testing.T, server Server, stopTimeout time.Duration) *service {
	t.Helper()
	sockets, err := openSockets(t.Context(), []Listen{{Name: "http", Network: "tcp", Address: "127.0.0.1:0"}}, nil)
	require.NoError(t, err)
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	w := &Worker{cfg: &Config{StopTimeout: stopTimeout}, link: newLink(ours, 1000), files: map[string]*os.File{"http": sockets[0].file}}
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{t: t, worker: w, addr: sockets[0].addr.String(), stop: cancel, done: make(chan error, 1)}
	go func() { s.done <- w.Serve(ctx, "http", server) }()
	t.Cleanup(func() {
		cancel()
		w.link.close(0)
		w.closeFiles()
		_ = theirs.Close()
	})
	return s
}

func (s *service) dial() net.Conn {
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

var page = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "page") })

// The reason for servedListener: a connection that was accepted before the end,
// and whose request comes after it, is answered.
func TestServeAnswersWhatItHasAccepted(t *testing.T) {
	accepted := make(chan struct{}, 1)
	s := serve(t, &http.Server{Handler: page, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted <- struct{}{}
		}
	}}, 20*time.Second)
	conn := s.dial()
	<-accepted
	s.stop()
	for { // until it accepts no more
		probe, err := net.Dial("tcp", s.addr)
		require.NoError(t, err, "the socket itself is open: others may accept")
		_ = probe.Close()
		s.worker.mu.Lock()
		open := s.worker.files != nil
		s.worker.mu.Unlock()
		require.True(t, open)
		break
	}
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	require.Contains(t, string(answer), "page")
	require.NoError(t, <-s.done)
}

func TestServeDoesNotWaitForWhoSaysNothing(t *testing.T) {
	s := serve(t, &http.Server{Handler: page}, time.Second)
	conn := s.dial()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	buf := make([]byte, 1000)
	_, err = conn.Read(buf)
	require.NoError(t, err)
	s.stop()
	require.NoError(t, <-s.done, "an idle connection that was answered is closed")
	_, err = conn.Read(buf)
	require.Equal(t, io.EOF, err)
}

func TestServeReturnsTheErrorOfAServerThatEnds(t *testing.T) {
	broken := errors.New("no certificate")
	s := serve(t, &fakeServer{serve: func(net.Listener) error { return broken }}, time.Second)
	require.Equal(t, broken, <-s.done)
	s = serve(t, &fakeServer{serve: func(net.Listener) error { return nil }}, time.Second)
	require.EqualError(t, <-s.done, `cluster: the server of "http" ended by itself`)
}

func TestServeClosesAServerThatDoesNotShutDown(t *testing.T) {
	server := &fakeServer{serve: func(ln net.Listener) error { _, err := ln.Accept(); return err }, shutdown: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	s := serve(t, server, 50*time.Millisecond)
	s.stop()
	require.Equal(t, context.DeadlineExceeded, <-s.done)
	require.True(t, server.closed)
}

func TestServeNeedsASocketOfThisName(t *testing.T) {
	w := &Worker{cfg: &Config{}}
	require.EqualError(t, w.Serve(t.Context(), "http", &http.Server{}), `cluster: there is no socket "http" in Config.Listen`)
	_, err := w.PacketConn("udp")
	require.EqualError(t, err, `cluster: there is no socket "udp" in Config.Listen`)
	w.files = map[string]*os.File{"pipe": pipe(t)}
	_, err = w.Listener("pipe")
	require.ErrorContains(t, err, `cluster: listener "pipe": `)
	_, err = w.PacketConn("pipe")
	require.ErrorContains(t, err, `cluster: packet connection "pipe": `)
}

type fakeServer struct {
	serve    func(net.Listener) error
	shutdown func(context.Context) error
	closed   bool
}

func (f *fakeServer) Serve(ln net.Listener) error { return f.serve(ln) }

func (f *fakeServer) Shutdown(ctx context.Context) error {
	if f.shutdown == nil {
		return nil
	}
	return f.shutdown(ctx)
}

func (f *fakeServer) Close() error { f.closed = true; return nil }

func TestServedConnectionsKnowWhoWaits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := &servedListener{Listener: ln}
	defer served.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := served.Accept()
	require.NoError(t, err)
	waiting := func(want int64) {
		t.Helper()
		require.Equal(t, want, served.waiting.Load())
	}
	waiting(1)
	buf := make([]byte, 10)
	_, _ = client.Write([]byte("question"))
	_, err = conn.Read(buf)
	require.NoError(t, err)
	waiting(1)
	_, err = conn.Write([]byte("answer"))
	require.NoError(t, err)
	waiting(0)
	_, _ = client.Write([]byte("another"))
	_, err = conn.Read(buf)
	require.NoError(t, err)
	waiting(1)
	n, err := conn.(io.ReaderFrom).ReadFrom(bytes.NewReader([]byte("answer")))
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
	waiting(0)

	below, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn)
	require.True(t, ok)
	require.NotNil(t, below)
	_, err = conn.(*servedConn).SyscallConn()
	require.NoError(t, err)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_, err = (&servedConn{Conn: a}).SyscallConn()
	require.EqualError(t, err, "cluster: *net.pipe has no descriptor")

	_, _ = client.Write([]byte("last"))
	_, err = conn.Read(buf)
	require.NoError(t, err)
	waiting(1)
	require.NoError(t, conn.Close())
	waiting(0)
	conn.(*servedConn).mark(true)
	waiting(0)
	_ = conn.Close()
	waiting(0)
}

func TestServedConnectionsCountRightUnderRaces(t *testing.T) {
	served := &servedListener{}
	var wg sync.WaitGroup
	for range 20 {
		c := &servedConn{of: served}
		c.mark(true)
		for range 2 {
			wg.Go(func() {
				for i := range 1000 {
					c.mark(i%2 == 0)
				}
			})
		}
	}
	wg.Wait()
	n := served.waiting.Load()
	require.GreaterOrEqual(t, n, int64(0))
	require.LessOrEqual(t, n, int64(20))
}
