package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// lastCall is a listener that can stop listening without turning away those who
// have come: they have a connection as far as they know, and have sent their
// requests, but wait in a queue of the system for somebody to accept them. To
// close the listener would reset them. It still resets who comes in the moment
// between the last look into the queue and the end.
type lastCall struct {
	*net.TCPListener

	ending atomic.Bool // written by last
}

// last lets Accept take what waits, and then close the listener and fail with
// net.ErrClosed.
func (l *lastCall) last() {
	l.ending.Store(true)
	_ = l.SetDeadline(time.Now()) // wakes Accept; an error is one of a listener that is closed
}

// Accept accepts a connection.
func (l *lastCall) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err == nil || !l.ending.Load() {
		return conn, err
	}
	for range 100 {
		deadline := time.Now().Add(time.Millisecond) // one that is over would not even look
		_ = l.SetDeadline(deadline)
		if conn, err := l.TCPListener.Accept(); err == nil {
			return conn, nil
		}
		if time.Since(deadline) < 100*time.Microsecond {
			break // else this goroutine was late, and others may have come meanwhile
		}
	}
	return nil, errors.Join(net.ErrClosed, l.Close())
}

// busy is the connections on which somebody waits for an answer, or may be about
// to send a request. http.Server.Shutdown waits for those that it has read a
// request from, and drops what it has accepted and not read; so it must not be
// called before there are none.
type busy struct {
	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

// track is an http.Server.ConnState.
func (b *busy) track(conn net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state != http.StateNew && state != http.StateActive {
		delete(b.conns, conn)
		return
	}
	if b.conns == nil {
		b.conns = make(map[net.Conn]struct{})
	}
	b.conns[conn] = struct{}{}
}

// settle waits until there are none, or ctx is done. Those on which nothing comes
// end by the server's ReadHeaderTimeout.
func (b *busy) settle(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		b.mu.Lock()
		n := len(b.conns)
		b.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
