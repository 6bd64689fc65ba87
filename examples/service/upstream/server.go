// Package upstream is a dependency to depend on: an HTTP server on the loopback
// interface that knows the titles of pages, fails and hangs on demand, and the
// guarded client of it.
package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Server is the dependency. Make one with Listen, and Close it.
type Server struct {
	fail, hang atomic.Bool // written by Set

	listener net.Listener
	server   *http.Server
	served   chan error
}

// Listen starts a Server.
func Listen(ctx context.Context) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, served: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /title", s.title)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { s.served <- s.server.Serve(l) }()
	return s, nil
}

// URL is where it listens.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Set says whether it answers with errors, and whether it does not answer.
func (s *Server) Set(fail, hang bool) {
	s.fail.Store(fail)
	s.hang.Store(hang)
}

// Close ends it.
func (s *Server) Close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (s *Server) title(w http.ResponseWriter, r *http.Request) {
	work := time.NewTimer(2*time.Millisecond + rand.N(6*time.Millisecond))
	defer work.Stop()
	if s.hang.Load() {
		work.Stop() // now only the client's patience ends it
	}
	select {
	case <-work.C:
	case <-r.Context().Done():
		return
	}
	if s.fail.Load() {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	target, err := url.Parse(r.URL.Query().Get("url"))
	if err != nil || target.Host == "" {
		http.Error(w, "url is none", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"title": titleOf(target)}) // the client may have left
}

// titleOf makes a title of an address, as nothing is fetched from outside.
func titleOf(target *url.URL) string {
	words := strings.FieldsFunc(target.Path, func(r rune) bool { return strings.ContainsRune("/-_.", r) })
	if len(words) == 0 {
		return target.Host
	}
	return strings.Join(words, " ") + " · " + target.Host
}
