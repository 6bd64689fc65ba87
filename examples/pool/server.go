package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// server speaks a protocol of frames: four bytes of length, then as many bytes.
// A client says hello first, and is kept waiting for the handshake; every other
// frame is a query, which is answered with its own text. It takes so many
// connections and no more, as databases do.
type server struct {
	handshake, query time.Duration
	limit            int

	mu    sync.Mutex // guards the rest
	ln    net.Listener
	addr  string // kept over restarts
	conns map[net.Conn]bool
	most  int // connections at one time
	all   int // connections ever
}

// start listens, on the address of the last time if there was one.
func (s *server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.ln, s.addr, s.conns = ln, ln.Addr().String(), make(map[net.Conn]bool)
	go s.accept(ln)
	return nil
}

// stop ends every connection.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.ln.Close()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *server) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close() //nolint:errcheck // whoever is at the other end notices
			if s.admit(c) {
				defer s.dismiss(c)
				s.serve(c)
			} else {
				_ = writeFrame(c, "sorry, too many clients already")
			}
		}()
	}
}

func (s *server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.limit {
		return false
	}
	s.conns[c] = true
	s.all++
	s.most = max(s.most, len(s.conns))
	return true
}

func (s *server) dismiss(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *server) serve(c net.Conn) {
	if hello, err := readFrame(c); err != nil || hello != "hello" {
		return
	}
	time.Sleep(s.handshake)
	for answer := "welcome"; ; {
		if writeFrame(c, answer) != nil {
			return
		}
		var err error
		if answer, err = readFrame(c); err != nil {
			return
		}
		time.Sleep(s.query)
	}
}

// seen tells how many connections there were, and how many at one time.
func (s *server) seen() (all, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all, s.most
}

// conn is the client's side of a connection.
type conn struct{ net.Conn }

// dial connects and shakes hands.
func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{nc}
	switch answer, err := c.ask(ctx, "hello"); {
	case err != nil:
		_ = nc.Close()
		return nil, err
	case answer != "welcome":
		_ = nc.Close()
		return nil, errors.New(answer)
	}
	return c, nil
}

// ask sends a query and returns the answer.
func (c *conn) ask(ctx context.Context, query string) (string, error) {
	deadline, _ := ctx.Deadline() // none is the zero time, which is none here as well
	if err := c.SetDeadline(deadline); err != nil {
		return "", err
	}
	if err := writeFrame(c, query); err != nil {
		return "", err
	}
	return readFrame(c)
}

const maxFrame = 1 << 16

func writeFrame(w io.Writer, text string) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	_, err := w.Write(append(frame, text...))
	return err
}

func readFrame(r io.Reader) (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return "", fmt.Errorf("a frame of %d bytes, want at most %d", n, maxFrame)
	}
	text := make([]byte, n)
	_, err := io.ReadFull(r, text)
	return string(text), err
}
