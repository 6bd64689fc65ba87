//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

// runProgram is main of a test program: master or worker, as it was started. It
// prints what a test wants to read.
func runProgram(cfg cluster.Config) int {
	if roleKind() != "worker" {
		cfg.Hooks = printingHooks(cfg.Hooks)
	}
	c, err := cluster.New(cfg)
	if err != nil {
		fmt.Println("new:", err)
		return 2
	}
	running = c
	worker := roleKind() == "worker"
	err = c.Run(context.Background())
	if !worker {
		fmt.Printf("counted requests=%d\n", c.Stats().Counters["requests"])
	}
	if err != nil {
		fmt.Println("run:", err)
		return 1
	}
	return 0
}

// running is the cluster of this process, for handlers that look at it.
var running *cluster.Cluster

func roleKind() string {
	_, rest, _ := strings.Cut(os.Getenv("BEDPLATE_CLUSTER"), `"kind":"`)
	kind, _, _ := strings.Cut(rest, `"`)
	return kind
}

// printingHooks write a line for each event, which a test reads.
func printingHooks(h cluster.Hooks) cluster.Hooks {
	h.OnReady = func(e cluster.WorkerStart) { fmt.Printf("ready slot=%d pid=%d\n", e.Slot, e.Pid) }
	h.OnUp = func() {
		if addr := running.Addr("http"); addr != nil {
			fmt.Printf("addr %s\n", addr)
		}
		fmt.Printf("up pid=%d\n", os.Getpid())
	}
	h.OnExit = func(e cluster.WorkerExit) {
		fmt.Printf("exit slot=%d pid=%d reason=%s forced=%v\n", e.Slot, e.Pid, e.Reason, e.Forced)
	}
	h.OnReload = func(err error) { fmt.Printf("reloaded %v\n", err) }
	h.OnUpgrade = func(err error) { fmt.Printf("upgraded %v\n", err) }
	return h
}

// webConfig is a web server whose requests can break it.
func webConfig(name string) cluster.Config {
	return cluster.Config{
		Name:        name,
		Work:        webWork,
		Workers:     2,
		Listen:      []cluster.Listen{{Name: "http", Network: "tcp", Address: "127.0.0.1:0"}},
		ReportEvery: 20 * time.Millisecond,
		MinBackoff:  10 * time.Millisecond,
		MaxBackoff:  100 * time.Millisecond,
		StopTimeout: 20 * time.Second,
	}
}

func webWork(ctx context.Context, w *cluster.Worker) error {
	if name := os.Getenv("WEB_BROKEN"); name != "" {
		if _, err := os.Stat(name); err == nil {
			return errors.New("broken on purpose")
		}
	}
	requests := w.Counter("requests")
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprintf(rw, "%d %d %d", os.Getpid(), w.Slot(), os.Getppid())
	})
	mux.HandleFunc("/slow", func(rw http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		time.Sleep(50 * time.Millisecond) //bedplate:allow sleep: a request that takes its time, in a process of its own
		fmt.Fprint(rw, os.Getpid())
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) {
		go func() { panic("on purpose") }()
		select {}
	})
	mux.HandleFunc("/grow", func(rw http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("mb"))
		held = append(held, filled(n<<20))
		fmt.Fprint(rw, os.Getpid())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	return w.Serve(ctx, "http", server)
}

// held keeps memory in use.
var held [][]byte

func filled(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	return b
}

// activatedConfig is a web server that has its socket from systemd.
func activatedConfig() cluster.Config {
	cfg := webConfig("activated")
	cfg.Listen[0].Address = ""
	return cfg
}

// stubbornWebConfig says when it is asked to end, and does not.
func stubbornWebConfig() cluster.Config {
	return cluster.Config{
		Name: "stubbornweb", Workers: 1, StopTimeout: time.Hour, ReportEvery: 20 * time.Millisecond,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			fmt.Println("asked")
			select {}
		},
	}
}

// frontConfig is a web server whose first master stays.
func frontConfig() cluster.Config {
	cfg := webConfig("front")
	cfg.Foreground = true
	return cfg
}

// orphansConfig has a worker that heeds its context and one that does not.
func orphansConfig() cluster.Config {
	return cluster.Config{
		Name: "orphans", Workers: 2, StopTimeout: 300 * time.Millisecond, ReportEvery: 20 * time.Millisecond,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			if w.Slot() == 1 {
				select {}
			}
			return context.Cause(ctx)
		},
	}
}

// stubbornConfig has workers that do not end when asked: slot 0 dies of SIGTERM,
// slot 1 of SIGKILL alone, slot 2 at once.
func stubbornConfig() cluster.Config {
	return cluster.Config{
		Name: "stubborn", Workers: 3, StopTimeout: 150 * time.Millisecond, KillAfter: 150 * time.Millisecond,
		ReportEvery: 20 * time.Millisecond, NoSignals: true,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			if w.Slot() == 1 {
				signal.Ignore(syscall.SIGTERM)
			}
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			if w.Slot() == 2 {
				return nil
			}
			select {}
		},
	}
}

// badConfig has workers that fail in the way of BAD.
func badConfig() cluster.Config {
	return cluster.Config{
		Name: "bad", Workers: 1, ReportEvery: 20 * time.Millisecond, HungAfter: 300 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, KillAfter: 100 * time.Millisecond,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			switch os.Getenv("BAD") {
			case "error":
				return errors.New("no database")
			case "clean":
				return nil
			case "status":
				os.Exit(5)
			case "silent": // never ready
				<-ctx.Done()
				return nil
			case "goexit":
				runtime.Goexit()
			}
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		},
		Healthy: func(context.Context) error {
			if os.Getenv("BAD") == "ill" {
				return errors.New("ill")
			}
			return nil
		},
	}
}

// talkConfig has workers that send back what they get.
func talkConfig() cluster.Config {
	return cluster.Config{
		Name: "talk", Workers: 2, ReportEvery: 20 * time.Millisecond, MaxMessage: 100_000,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			if err := w.Ready(); err != nil {
				return err
			}
			for {
				m, err := w.Receive(ctx)
				if err != nil {
					return nil //nolint:nilerr // asked to end
				}
				m.Topic += " from " + strconv.Itoa(w.Slot())
				if err := w.Send(ctx, m); err != nil {
					return err
				}
			}
		},
	}
}

// datagramsConfig has a worker that answers packets.
func datagramsConfig() cluster.Config {
	return cluster.Config{
		Name: "datagrams", Workers: 1, ReportEvery: 20 * time.Millisecond,
		Listen: []cluster.Listen{{Name: "udp", Network: "udp", Address: "127.0.0.1:0"}},
		Work: func(ctx context.Context, w *cluster.Worker) error {
			conn, err := w.PacketConn("udp")
			if err != nil {
				return err
			}
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			if err := w.Ready(); err != nil {
				return err
			}
			buf := make([]byte, 100)
			for {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return nil
				}
				if _, err := conn.WriteTo(append([]byte("re: "), buf[:n]...), from); err != nil {
					return err
				}
			}
		},
	}
}

// countingConfig has workers that count once and then report it.
func countingConfig() cluster.Config {
	return cluster.Config{
		Name: "counting", Workers: 2, ReportEvery: 10 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, MaxRestarts: 100,
		Work: func(ctx context.Context, w *cluster.Worker) error {
			w.Counter("begun").Add(1)
			w.Counter("starts").Add(w.Start())
			if err := w.Ready(); err != nil {
				return err
			}
			<-ctx.Done()
			w.Counter("ended").Add(1)
			return nil
		},
	}
}

// unservedProgram is a program that forgot Serve: it calls at once.
func unservedProgram() int {
	jobs := cluster.MustNewJobs(cluster.JobsConfig{Name: "unserved", Workers: 1, StartTimeout: 5 * time.Second})
	f := cluster.Register(jobs, "f", func(context.Context, int) (int, error) { return 0, nil })
	_, err := f.Call(context.Background(), 1)
	fmt.Println("call:", err)
	if errors.Is(err, cluster.ErrRole) {
		return 9
	}
	_ = jobs.Close()
	return 1
}

// garbageProgram is a worker that says it is ready and then speaks another
// language.
func garbageProgram() int {
	control := os.NewFile(3, "control")
	_, _ = control.Write([]byte{1, 1, 0, 0, 0, 0})
	_, _ = control.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	_, _ = io.Copy(io.Discard, control)
	return 0
}

// deafProgram is a worker of Jobs that never answers.
func deafProgram() int {
	_, _ = io.Copy(io.Discard, os.NewFile(3, "control"))
	return 0
}

// jobsMasterProgram has two processes, one of them busy.
func jobsMasterProgram() int {
	c := newCalls(cluster.JobsConfig{Name: "jobsmaster", Workers: 2})
	if c.Serve(context.Background()) {
		return 0
	}
	pid, err := c.pid.Call(context.Background(), 0)
	if err != nil {
		fmt.Println("call:", err)
		return 1
	}
	go func() { _, _ = c.spin.Call(context.Background(), time.Hour) }()
	other, err := c.pid.Call(context.Background(), 0)
	for err == nil && other == pid { // until the first is at it
		other, err = c.pid.Call(context.Background(), 0)
	}
	fmt.Printf("job pid=%d\njob pid=%d\n", pid, other)
	select {}
}
