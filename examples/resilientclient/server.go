package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// server plays the script. It is a process of its own, so that what crosses
// between it and the clients is real: connections, resets, half-read bodies.
type server struct {
	script  script
	started atomic.Pointer[time.Time] // set once by /start
	active  atomic.Int64              // requests being served now
	slots   chan struct{}             // taken by the requests that the slow phase works on
	seen    []atomic.Uint64           // requests that arrived, a phase each
}

// serve runs the server until its standard input ends, which is how it learns
// that the client is gone however the client went. It prints its address first.
func serve(stdin io.Reader, stdout io.Writer, step time.Duration) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sc := outage(step)
	s := &server{script: sc, slots: make(chan struct{}, 16), seen: make([]atomic.Uint64, len(sc))}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", s.start)
	mux.HandleFunc("GET /seen", s.report)
	mux.HandleFunc("GET /item", s.item)
	// Requests that hang are let go when the process is told to end.
	base, letGo := context.WithCancel(context.Background())
	srv := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return base }, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		letGo()
		_ = srv.Close()
	}()
	if _, err := fmt.Fprintf(stdout, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *server) start(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	s.started.CompareAndSwap(nil, &now)
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) report(w http.ResponseWriter, _ *http.Request) {
	counts := make([]uint64, len(s.seen))
	for i := range s.seen {
		counts[i] = s.seen[i].Load()
	}
	_ = json.NewEncoder(w).Encode(counts)
}

func (s *server) item(w http.ResponseWriter, r *http.Request) {
	var since time.Duration
	if t := s.started.Load(); t != nil {
		since = time.Since(*t)
	}
	i := s.script.at(since)
	s.seen[i].Add(1)
	active := s.active.Add(1)
	defer s.active.Add(-1)

	switch s.script[i].name {
	case "slow":
		s.plod(w)
	case "refusing":
		w.Header().Set("Retry-After", "1")
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	case "reset":
		reset(w)
	case "hung":
		<-r.Context().Done()
	case "recovering":
		if active > 8 {
			http.Error(w, "warming up", http.StatusServiceUnavailable)
			return
		}
		answer(w, r, 25*time.Millisecond)
	default:
		answer(w, r, 5*time.Millisecond)
	}
}

// plod works off one request after the other, as a database with a lost index
// does. Those who wait stay in line, and are worked on in their turn, even when
// their client has left: under more load than it can take, such a server ends
// up working for nobody.
func (s *server) plod(w http.ResponseWriter) {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	time.Sleep(250 * time.Millisecond)
	_, _ = fmt.Fprintf(w, `{"served_by":%d}`+"\n", os.Getpid())
}

// answer takes its time, unless the client has left.
func answer(w http.ResponseWriter, r *http.Request, work time.Duration) {
	timer := time.NewTimer(work)
	defer timer.Stop()
	select {
	case <-timer.C:
		_, _ = fmt.Fprintf(w, `{"served_by":%d}`+"\n", os.Getpid())
	case <-r.Context().Done():
	}
}

// reset closes the connection so that the client sees RST and not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
