// Command resilientclient sends real load to a real server that fails in every
// way a dependency fails, once through retry ▸ breaker ▸ bulkhead ▸ timeout
// and once through a bare HTTP client, side by side.
//
//	go run ./examples/resilientclient
//	go run ./examples/resilientclient -phase 6s -rate 200
//	go run ./examples/resilientclient -url http://localhost:8080 -for 30s
//
// It starts two copies of the same server, each a process of its own, which go
// through the same phases at the same time: healthy, slow, 503 with
// Retry-After, connections reset, hung, recovering, healthy. While it runs it
// shows both clients and the breaker's state; at the end it says what each
// phase cost each client and how many requests the server was spared. With
// -url it sends GET URL/item to a server of yours instead. The first Ctrl-C
// stops the load, lets the calls under way end and prints the report.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"
)

// serveEnv makes this program the server; its value is the length of a phase.
const serveEnv = "RESILIENTCLIENT_SERVE"

// options are the flags.
type options struct {
	url      string
	phase    time.Duration
	long     time.Duration
	rate     int
	patience time.Duration
	terminal bool
}

func main() {
	if step := os.Getenv(serveEnv); step != "" {
		exit(serveStep(step))
		return
	}
	var opt options
	flag.StringVar(&opt.url, "url", "", "a server to use instead of our own; GET URL/item")
	flag.DurationVar(&opt.phase, "phase", 3*time.Second, "how long each phase of our server lasts")
	flag.DurationVar(&opt.long, "for", 20*time.Second, "how long to send load to -url")
	flag.IntVar(&opt.rate, "rate", 150, "calls per second for each client")
	flag.DurationVar(&opt.patience, "patience", time.Second, "how long a caller waits for its answer")
	flag.Parse()
	if info, err := os.Stdout.Stat(); err == nil {
		opt.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	exit(run(ctx, os.Stdout, opt))
}

// serveStep is the whole life of the server's process.
func serveStep(step string) error {
	// The server outlives Ctrl-C for as long as its client, which goes on
	// asking it for numbers while it drains.
	signal.Ignore(os.Interrupt)
	d, err := time.ParseDuration(step)
	if err != nil {
		return err
	}
	return serve(os.Stdin, os.Stdout, d)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "resilientclient:", err)
		os.Exit(1)
	}
}

func (o options) check() error {
	switch {
	case o.rate < 1 || o.rate > 5000:
		return fmt.Errorf("-rate is %d, want 1 to 5000", o.rate)
	case o.phase < 100*time.Millisecond:
		return fmt.Errorf("-phase is %v, want ≥ 100ms", o.phase)
	case o.patience <= 0:
		return fmt.Errorf("-patience is %v, want > 0", o.patience)
	case o.long <= 0:
		return fmt.Errorf("-for is %v, want > 0", o.long)
	}
	return nil
}

// run plays the whole script, or less if ctx ends first.
func run(ctx context.Context, out io.Writer, opt options) (err error) {
	if err := opt.check(); err != nil {
		return err
	}
	// A server each, so that neither client suffers from the other's load.
	bareServer, guardedServer, sc, err := servers(opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bareServer.stop(), guardedServer.stop()) }()

	bare, guarded := newClient("bare", sc), newClient("guarded", sc)
	g, err := newGuards()
	if err != nil {
		return err
	}
	s := &screen{out: out, terminal: opt.terminal, script: sc, total: sc.total(), bare: bare, guarded: guarded, guards: g}

	// Connections of their own, too, or one would warm them for the other.
	bareHTTP, guardedHTTP := httpClient(), httpClient()
	defer bareHTTP.CloseIdleConnections()
	defer guardedHTTP.CloseIdleConnections()

	if err := errors.Join(bareServer.begin(ctx, bareHTTP), guardedServer.begin(ctx, guardedHTTP)); err != nil {
		return err
	}
	loading, stop := context.WithTimeout(ctx, s.total)
	defer stop()
	start := time.Now()
	var clients sync.WaitGroup
	clients.Go(func() { bare.load(loading, fetcher(bareHTTP, bareServer.url, bare.sentOne), opt.rate, opt.patience) })
	clients.Go(func() {
		guarded.load(loading, g.guard(fetcher(guardedHTTP, guardedServer.url, guarded.sentOne)), opt.rate, opt.patience)
	})
	s.watch(loading, start)
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\ninterrupted: letting the calls under way end")
		s.total = time.Since(start)
	}
	clients.Wait()

	// All callers have their answers; the bulkhead proves that nothing of
	// theirs is left behind.
	after := context.WithoutCancel(ctx)
	drain, cancel := context.WithTimeout(after, opt.patience)
	defer cancel()
	if err := g.bulkhead.Drain(drain); err != nil {
		return err
	}
	bareSeen, err := bareServer.seen(after, bareHTTP)
	if err != nil {
		return err
	}
	guardedSeen, err := guardedServer.seen(after, guardedHTTP)
	if err != nil {
		return err
	}
	report(out, s, bareSeen, guardedSeen)
	return nil
}

func httpClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
}

// servers starts two of ours, or names the stranger's twice.
func servers(opt options) (bare, guarded *process, sc script, err error) {
	if opt.url != "" {
		return &process{url: opt.url}, &process{url: opt.url}, steady(opt.long), nil
	}
	if bare, err = launch(opt.phase); err != nil {
		return nil, nil, nil, err
	}
	if guarded, err = launch(opt.phase); err != nil {
		return nil, nil, nil, errors.Join(err, bare.stop())
	}
	return bare, guarded, outage(opt.phase), nil
}

// watch draws a frame each tick until ctx is done.
func (s *screen) watch(ctx context.Context, start time.Time) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		s.frame(time.Since(start))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
