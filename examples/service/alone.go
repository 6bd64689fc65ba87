package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/load"
)

// runAlone is the service in one process, until ctx is done.
func runAlone(ctx context.Context, cfg config, out io.Writer, log *slog.Logger) error {
	remove, err := dataFolder(&cfg)
	if err != nil {
		return err
	}
	defer remove()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return err
	}
	front := &lastCall{TCPListener: l.(*net.TCPListener)}
	url := "http://" + l.Addr().String()
	control := &local{traffic: load.New(url)}
	p, err := open(ctx, cfg, 0, control.command, control.traffic.Sent, log)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	control.api = p.api
	server := newServer(p.api.Handler(), log)
	server.ConnState = control.busy.track
	served := make(chan error, 1)
	go func() { served <- server.Serve(front) }()
	fmt.Fprintf(out, "%s/\n", url)
	if cfg.runFor > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.runFor)
		defer cancel()
	}
	if cfg.load.Load {
		_ = control.command(ctx, api.Command{What: "load", On: true, RPS: cfg.load.RPS}) // a known switch
	}

	select {
	case <-ctx.Done():
		err = nil
	case err = <-served:
		served <- err // for below
	}
	log.Info("about to end", "within", cfg.drainDelay+cfg.drainTimeout)
	err = errors.Join(err, control.drain(p, front, server, served, cfg))
	fmt.Fprintln(out, control.traffic.Report())
	return err
}

// drain ends the process in order: it says so, and serves on, so that clients
// can turn elsewhere; accepts no more; finishes what it has accepted; and then
// ends what requests stand on, from the top down.
func (c *local) drain(p *parts, front *lastCall, server *http.Server, served chan error, cfg config) error {
	p.api.BeginDrain()
	time.Sleep(cfg.drainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.drainTimeout)
	defer cancel()
	errs := []error{c.endTraffic(ctx, cfg.drainTimeout/4)} // it is a client, and would be refused
	front.last()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	c.busy.settle(ctx)
	if err := server.Shutdown(ctx); err != nil {
		errs = append(errs, fmt.Errorf("requests under way: %w", err), server.Close())
	}
	return errors.Join(append(errs, p.drain(ctx))...)
}

// endTraffic leaves others most of the time there is.
func (c *local) endTraffic(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return c.traffic.Drain(ctx)
}

// local carries out commands in this process.
type local struct {
	api     *api.API
	traffic *load.Generator
	busy    busy

	mu       sync.Mutex // guards switches, and keeps commands in order
	switches api.Switches
}

func (c *local) command(_ context.Context, cmd api.Command) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.switches.Set(cmd); err != nil {
		return err
	}
	c.api.Apply(c.switches)
	c.traffic.Apply(modeOf(c.switches))
	return nil
}

func modeOf(s api.Switches) load.Mode { return load.Mode{Load: s.Load, RPS: s.RPS, Flood: s.Flood} }
