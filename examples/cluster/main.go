// Command cluster serves HTTP from worker processes that share one port, under
// load, and shows in a live table what happens when one is killed and when all
// are replaced.
//
//	go run ./examples/cluster
//
// It kills a worker, which loses what that had in hand and is started again, and
// reloads, which loses nothing. In a terminal it then takes commands, each with
// Enter: k kills a worker, r reloads, + and - change the number of workers, q
// quits; elsewhere it ends by itself after a few seconds.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

// options are the flags, and what the program runs in.
type options struct {
	workers  int
	step     time.Duration
	commands io.Reader // nil: it ends after the tour
	terminal bool
}

func main() {
	var opt options
	flag.IntVar(&opt.workers, "workers", 3, "worker processes")
	flag.DurationVar(&opt.step, "step", 1200*time.Millisecond, "time for each step of the tour")
	flag.Parse()
	if isTerminal(os.Stdin) {
		opt.commands = os.Stdin
	}
	opt.terminal = isTerminal(os.Stdout)
	if err := run(context.Background(), os.Stdout, opt); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && (nullErr != nil || !os.SameFile(info, null))
}

// run is the program in the master and in each worker.
func run(ctx context.Context, out io.Writer, opt options) error {
	up := make(chan struct{})
	events := &journal{}
	c, err := cluster.New(cluster.Config{
		Name:        "example",
		Workers:     opt.workers,
		Listen:      []cluster.Listen{{Name: "http", Network: "tcp", Address: "127.0.0.1:0"}},
		Work:        work,
		ReportEvery: 100 * time.Millisecond,
		MinBackoff:  200 * time.Millisecond,
		Hooks: cluster.Hooks{
			OnUp:    func() { close(up) },
			OnReady: func(e cluster.WorkerStart) { events.add("slot %d: process %d is ready", e.Slot, e.Pid) },
			OnExit: func(e cluster.WorkerExit) {
				events.add("slot %d: process %d ended, %s (%s)", e.Slot, e.Pid, e.Reason, e.Status)
			},
			OnReload: func(err error) { events.add("reloaded: %v", err) },
		},
	})
	if err != nil {
		return err
	}
	// Only the master gets to its end: a worker is in Run for all its life.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	select {
	case <-up:
	case err := <-ended:
		return err
	}
	show := &table{out: out, terminal: opt.terminal, cluster: c, events: events, load: newLoad(c.Addr("http").String())}
	var both sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	both.Go(func() { show.load.run(watching) })
	both.Go(func() { show.watch(watching) })

	tourErr := tour(ctx, c, events, opt, ended)
	stop()
	both.Wait()
	drain, cancelDrain := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancelDrain()
	err = errors.Join(tourErr, c.Drain(drain))
	show.report()
	return err
}

// work is all that a worker does.
func work(ctx context.Context, w *cluster.Worker) error {
	requests := w.Counter("requests")
	return w.Serve(ctx, "http", &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprintln(rw, os.Getpid())
	})})
}

// tour shows what a master does, then what the commands say.
func tour(ctx context.Context, c *cluster.Cluster, events *journal, opt options, ended <-chan error) error {
	pause := func() {
		select {
		case <-time.After(opt.step):
		case <-ctx.Done():
		}
	}
	pause()
	events.add("the tour kills a worker")
	if err := kill(c); err != nil {
		return err
	}
	pause()
	events.add("the tour reloads")
	if err := c.Reload(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	pause()
	if opt.commands == nil {
		return nil
	}
	events.add("your turn: k kill, r reload, + and - workers, q quit")
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(opt.commands); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for {
		select {
		case err := <-ended: // by a signal
			return err
		case line, ok := <-lines:
			if !ok || line == "q" {
				return nil
			}
			if err := command(ctx, c, line); err != nil {
				events.add("%v", err)
			}
		}
	}
}

func command(ctx context.Context, c *cluster.Cluster, line string) error {
	switch line {
	case "k":
		return kill(c)
	case "r":
		return c.Reload(ctx)
	case "+":
		return c.Resize(c.Stats().Workers + 1)
	case "-":
		return c.Resize(c.Stats().Workers - 1)
	}
	return fmt.Errorf("what is %q?", line)
}

// kill kills a worker as the kernel does when memory is short.
func kill(c *cluster.Cluster) error {
	for _, s := range c.Stats().Slots {
		if s.Pid != 0 {
			p, err := os.FindProcess(s.Pid)
			if err != nil {
				return err
			}
			return p.Kill()
		}
	}
	return errors.New("there is no worker to kill")
}
