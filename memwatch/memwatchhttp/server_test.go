package memwatchhttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

// pipes is a listener whose connections are pipes without a buffer, so that a
// server works in a bubble, and a reader that does not read blocks its writer.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// both runs a test in a bubble with each version of HTTP.
func both(t *testing.T, test func(t *testing.T, protocols *http.Protocols)) {
	t.Helper()
	for _, name := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(name == "HTTP/1.1")
			protocols.SetUnencryptedHTTP2(name == "HTTP/2")
			synctest.Test(t, func(t *testing.T) { test(t, protocols) })
		})
	}
}

// site is a server of a handler and its client.
type site struct {
	handler *memwatchhttp.Handler
	server  *http.Server
	client  *http.Client
	pipes   *pipes
}

// serve starts a server, which ends with the test.
func serve(t *testing.T, h *memwatchhttp.Handler, protocols *http.Protocols) *site {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/m/", h)
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &site{
		handler: h,
		server:  &http.Server{Handler: mux, Protocols: protocols, WriteTimeout: 5 * time.Second},
		pipes:   p,
	}
	transport := &http.Transport{DialContext: p.dial, Protocols: protocols}
	s.client = &http.Client{Transport: transport}
	s.server.RegisterOnShutdown(func() { h.Close() })
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(p) }()
	t.Cleanup(func() {
		h.Close()
		s.server.Close()
		transport.CloseIdleConnections()
		<-served
	})
	return s
}

// stream is the reading end of a stream.
type stream struct {
	*http.Response
	cancel context.CancelFunc
	lines  *bufio.Reader
}

// event is one event of a stream; one that is empty is a comment.
type event struct {
	name, id, data string
	seq            uint64 // of id
}

// open asks for the stream with fields of a header in pairs.
func (s *site) open(t *testing.T, fields ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pipe/m/stream", nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := s.client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return &stream{resp, cancel, bufio.NewReader(resp.Body)}
}

// next reads one event or comment.
func (s *stream) next() (event, error) {
	var e event
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return e, nil
		}
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
			_, seq, _ := strings.Cut(value, "-")
			e.seq, _ = strconv.ParseUint(seq, 10, 64)
		case "data":
			e.data = value
		}
	}
}

// until reads on to the next event of a name.
func (s *stream) until(t *testing.T, name string) event {
	t.Helper()
	for {
		e, err := s.next()
		require.NoError(t, err)
		if e.name == name {
			return e
		}
	}
}

// discard reads the stream to its end, whose error it sends.
func (s *stream) discard() <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.lines)
		ended <- err
	}()
	return ended
}

func newReader(resp *http.Response) *bufio.Reader { return bufio.NewReader(resp.Body) }

func decode[T any](t *testing.T, data string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(data), &v))
	return v
}
