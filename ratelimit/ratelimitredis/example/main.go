// Command example lets three processes share one budget in Redis, and then
// takes the server away.
//
//	cd ratelimit/ratelimitredis && go run ./example
//
// It uses the server at REDIS_ADDR, else a redis-server from PATH, which it
// starts and stops, else one within this process, and says which.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/bedplate/bedplate/ratelimit"
	"github.com/bedplate/bedplate/ratelimit/ratelimitredis"
)

const (
	processes = 3
	limit     = 30
	window    = time.Second
	duration  = 3 * time.Second
)

func main() {
	if addr := os.Getenv("EXAMPLE_CHILD"); addr != "" {
		child(os.Stdout, addr)
		return
	}
	redis.SetLogger(silent{}) // it would tell that the server is gone, which is known here
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// config is what all processes have in common.
func config(addr string) ratelimitredis.Config {
	return ratelimitredis.Config{
		Name:      "example-" + os.Getenv("EXAMPLE_RUN"),
		Client:    redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1}),
		Limits:    []ratelimit.Limit{ratelimit.Per(limit, window)},
		Instances: processes,
		OpenFor:   200 * time.Millisecond,
	}
}

func run(w io.Writer) error {
	addr, what, stop, err := server()
	if err != nil {
		return err
	}
	if stop != nil {
		defer stop()
	}
	if err := os.Setenv("EXAMPLE_RUN", strconv.FormatInt(time.Now().UnixNano(), 10)); err != nil {
		return err
	}
	fmt.Fprintf(w, "The server is %s.\n\n", what)
	fmt.Fprintf(w, "1. %d processes take permits as fast as they can for %v; %d in any %v for all of them.\n", processes, duration, limit, window)
	var wg sync.WaitGroup
	outs, errs := make([][]byte, processes), make([]error, processes)
	for i := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "EXAMPLE_CHILD="+addr)
		cmd.Stderr = os.Stderr
		wg.Go(func() { outs[i], errs[i] = cmd.Output() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var all []event
	for i, out := range outs {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		last := len(lines) - 1
		for _, line := range lines[:last] {
			var e event
			if _, err := fmt.Sscan(line, &e.asked, &e.answered); err != nil {
				return err
			}
			all = append(all, e)
		}
		var refused, alone int
		if _, err := fmt.Sscan(lines[last], &refused, &alone); err != nil {
			return err
		}
		fmt.Fprintf(w, "   process %d: %d admitted, %d refused, of these %d without asking the server\n", i+1, last, refused, alone)
	}
	fmt.Fprintf(w, "   together %d, and the most in any %v, wherever it begins: %d of %d\n\n", len(all), window, most(all), limit)
	return without(w, addr, stop)
}

// without shows what becomes of decisions when the server goes.
func without(w io.Writer, addr string, stop func()) error {
	if stop == nil {
		fmt.Fprintln(w, "2. The server at REDIS_ADDR is not ours to be taken away, so what happens then is not shown.")
		return nil
	}
	cfg := config(addr)
	defer func() { _ = cfg.Client.Close() }()
	cfg.Denials = -1
	s, err := ratelimitredis.New(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	fmt.Fprintln(w, "2. The server is taken away.")
	stop()
	var longest time.Duration
	allowed := 0
	for range 1000 {
		start := time.Now()
		d, err := s.Take(context.Background(), "mallory", 1)
		if err != nil {
			return err
		}
		longest = max(longest, time.Since(start))
		if d.Allowed {
			allowed++
		}
	}
	st := s.Stats()
	fmt.Fprintf(w, "   of 1000 requests %d were admitted, the part of %d that one of %d processes has\n", allowed, limit, processes)
	fmt.Fprintf(w, "   %d were decided without the server, after %d calls that failed; the longest took %v\n", st.Degraded, st.Failed, longest.Round(time.Millisecond))
	return nil
}

// child takes permits for a while and prints when it asked for them and had
// them, and at last how many it was refused.
func child(w io.Writer, addr string) {
	cfg := config(addr)
	defer func() { _ = cfg.Client.Close() }()
	cfg.Timeout = 5 * time.Second
	s := ratelimitredis.MustNew(cfg)
	defer func() { _ = s.Close() }()
	for start := time.Now(); time.Since(start) < duration; {
		asked := time.Now().UnixNano()
		if d, err := s.Take(context.Background(), "alice", 1); err == nil && d.Allowed {
			fmt.Fprintln(w, asked, time.Now().UnixNano())
		}
		<-time.After(500 * time.Microsecond)
	}
	st := s.Stats()
	fmt.Fprintln(w, st.Limited, st.Denied)
}

// event is a permit that a process got. When exactly only the server knows:
// between these two, in ns.
type event struct{ asked, answered int64 }

// most returns the most events that were in one window for certain, wherever it
// begins.
func most(events []event) int {
	n := 0
	for _, first := range events {
		in := 0
		for _, e := range events {
			if e.asked >= first.asked && e.answered < first.asked+int64(window) {
				in++
			}
		}
		n = max(n, in)
	}
	return n
}

// server finds or starts a server. One that is not ours has no stop.
func server() (addr, what string, stop func(), err error) {
	if addr := os.Getenv("REDIS_ADDR"); addr != "" {
		c := redis.NewClient(&redis.Options{Addr: addr})
		defer func() { _ = c.Close() }()
		if err := c.Ping(context.Background()).Err(); err != nil {
			return "", "", nil, fmt.Errorf("no server at REDIS_ADDR: %w", err)
		}
		return addr, "the one at " + addr + ", from REDIS_ADDR", nil, nil
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		m := miniredis.NewMiniRedis()
		if err := m.Start(); err != nil {
			return "", "", nil, err
		}
		return m.Addr(), "miniredis, within this process, as no redis-server is on PATH", sync.OnceFunc(m.Close), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", nil, err
	}
	addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	if err := l.Close(); err != nil {
		return "", "", nil, err
	}
	cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "")
	if err := cmd.Start(); err != nil {
		return "", "", nil, err
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	for range 500 {
		if err = c.Ping(context.Background()).Err(); err == nil {
			return addr, fmt.Sprintf("%s, started for this at %s", binary, addr), stop, nil
		}
		<-time.After(10 * time.Millisecond)
	}
	stop()
	return "", "", nil, err
}
