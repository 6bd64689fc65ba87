package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

// livePage is a server that shows what a Watcher knows.
type livePage struct {
	url    string
	server *http.Server
	served chan error
}

// show serves the live page of w on addr.
func show(addr string, w *memwatch.Watcher) (*livePage, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	page := memwatchhttp.MustNew(memwatchhttp.Config{Watcher: w, Interval: 5 * interval})
	mux := http.NewServeMux()
	mux.Handle("/debug/memwatch/", page)
	p := &livePage{
		url:    "http://" + listener.Addr().String() + "/debug/memwatch/",
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		served: make(chan error, 1),
	}
	p.server.RegisterOnShutdown(func() { _ = page.Close() }) // streams would go on for ever
	go func() { p.served <- p.server.Serve(listener) }()
	return p, nil
}

// close ends the streams, lets other requests end, and returns when nothing is
// left of the server.
func (p *livePage) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, p.server.Close())
	}
	if served := <-p.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
