package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// unanswered bounds how long Serve waits for connections that were accepted and
// on which nothing was answered. One that sends no request has to be closed
// some time; net/http gives such a connection 5 s as well.
const unanswered = 5 * time.Second

// Server is what Serve needs of a server; *http.Server is one.
type Server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

// Serve lets server accept from the socket of this name, calls Ready, and when
// ctx ends lets it finish: it accepts no more, answers what it has accepted, and
// is shut down with the time that is left. Serve returns the error of Shutdown
// then: nil if all requests were answered. If they were not, and server has a
// method Close, that is called. If Serve of server returns before ctx ends, its
// error is returned.
//
// The connections that server gets have a method NetConn, which returns the
// *net.TCPConn or *net.UnixConn below.
func (w *Worker) Serve(ctx context.Context, name string, server Server) error {
	inner, err := w.Listener(name)
	if err != nil {
		return err
	}
	ln := &servedListener{Listener: inner}
	defer func() { _ = ln.Close() }()
	served := make(chan struct{})
	var serveErr error // set before served is closed
	go func() {
		defer close(served)
		serveErr = server.Serve(ln)
	}()
	if err := w.Ready(); err == nil { // else the master is gone, and ctx ends
		select {
		case <-served:
			if serveErr == nil {
				serveErr = fmt.Errorf("cluster: the server of %q ended by itself", name)
			}
			return serveErr
		case <-ctx.Done():
		}
	}
	grace, cancel := w.Grace(ctx)
	defer cancel()
	// Not Shutdown at once: it lets net/http drop a request that it has
	// accepted and not read yet.
	_ = ln.Close()
	select {
	case <-served:
	case <-grace.Done():
	}
	ln.settle(grace)
	err = server.Shutdown(grace)
	if closer, ok := server.(io.Closer); ok && err != nil {
		_ = closer.Close()
	}
	return err
}

// servedListener counts the connections that wait for an answer.
type servedListener struct {
	net.Listener

	waiting atomic.Int64 // written by the connections
}

func (l *servedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &servedConn{Conn: conn, of: l}
	c.mark(true)
	return c, nil
}

// settle waits until no connection waits for an answer, for as long as ctx and
// unanswered allow.
func (l *servedListener) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, unanswered)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for l.waiting.Load() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// servedConn waits for an answer from when it is accepted, or something was
// read from it, until something is written to it, or it is closed.
type servedConn struct {
	net.Conn

	of      *servedListener
	waiting atomic.Bool // written by whoever uses the connection
	closed  atomic.Bool // likewise
}

func (c *servedConn) mark(waiting bool) {
	if c.waiting.Load() == waiting || waiting && c.closed.Load() {
		return
	}
	if c.waiting.CompareAndSwap(!waiting, waiting) {
		if waiting {
			c.of.waiting.Add(1)
		} else {
			c.of.waiting.Add(-1)
		}
	}
}

func (c *servedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.mark(true)
	}
	return n, err
}

func (c *servedConn) Write(b []byte) (int, error) {
	c.mark(false)
	return c.Conn.Write(b)
}

// ReadFrom keeps sendfile, which net/http looks for.
func (c *servedConn) ReadFrom(r io.Reader) (int64, error) {
	c.mark(false)
	return io.Copy(c.Conn, r)
}

func (c *servedConn) Close() error {
	c.closed.Store(true)
	c.mark(false)
	return c.Conn.Close()
}

// NetConn returns the connection below.
func (c *servedConn) NetConn() net.Conn { return c.Conn }

// SyscallConn is that of the connection below.
func (c *servedConn) SyscallConn() (syscall.RawConn, error) {
	if conn, ok := c.Conn.(syscall.Conn); ok {
		return conn.SyscallConn()
	}
	return nil, fmt.Errorf("cluster: %T has no descriptor", c.Conn)
}
