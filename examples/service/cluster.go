package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bedplate/bedplate/examples/service/api"
	"github.com/bedplate/bedplate/examples/service/load"
	"github.com/bedplate/bedplate/workerpool/cluster"
)

// The topics of messages: commands from a worker to the master; the switches,
// the table and events from the master to all workers.
const (
	topicCommand  = "command"
	topicSwitches = "switches"
	topicTable    = "table"
	topicEvent    = "event"
)

const tableEvery = 250 * time.Millisecond

// countedRequests is the name of the counter that workers have.
const countedRequests = "requests"

// table is how the processes are, and what the master has sent them.
type table struct {
	Workers      []api.Worker
	Sent, Failed uint64
}

// runCluster is the service in several processes that share one socket: master
// and workers come here alike, and cluster.Run finds out which of them this is.
func runCluster(ctx context.Context, cfg config, out io.Writer, log *slog.Logger) error {
	m := &master{cfg: cfg, out: out, done: make(chan struct{})}
	if cfg.data == "" { // so in the master alone, see Env below
		remove, err := dataFolder(&cfg)
		if err != nil {
			return err
		}
		defer remove()
	} else if err := os.MkdirAll(cfg.data, 0o700); err != nil {
		return err
	}
	var err error
	m.cluster, err = cluster.New(cluster.Config{
		Name: "service", Workers: cfg.workers,
		Listen:      []cluster.Listen{{Name: "http", Network: "tcp", Address: cfg.addr}},
		Work:        func(ctx context.Context, w *cluster.Worker) error { return work(ctx, cfg, w, log) },
		StopTimeout: cfg.drainDelay + cfg.drainTimeout,
		ReportEvery: tableEvery,
		// People kill workers for fun, and want the others to go on; but workers
		// that cannot even start should not be started for ever.
		MaxRestarts: 20, MaxBackoff: 500 * time.Millisecond, Degrade: true,
		Env:          []string{"DATA_DIR=" + cfg.data},
		StartTimeout: time.Minute,
		Hooks: cluster.Hooks{
			OnUp:      m.up,
			OnReady:   m.ready,
			OnExit:    m.exit,
			OnMessage: m.message,
		},
	})
	if err != nil {
		return err
	}
	err = m.cluster.Run(ctx)
	close(m.done)
	m.running.Wait()
	if m.traffic != nil { // else this is a worker, or a master whose workers were never ready
		fmt.Fprintln(out, m.traffic.Report())
	}
	return err
}

// master is what the master does beside seeing to workers: it has the switches,
// sends the load, and keeps the table.
type master struct {
	cfg     config
	out     io.Writer
	cluster *cluster.Cluster
	done    chan struct{}   // closed when the cluster has ended
	running sync.WaitGroup  // what waits for that
	traffic *load.Generator // set by up

	switches api.Switches // touched by hooks alone, which come one at a time
}

// up is called once, when all workers are ready.
func (m *master) up() {
	url := "http://" + m.cluster.Addr("http").String()
	m.traffic = load.New(url)
	fmt.Fprintf(m.out, "%s/\n", url)
	m.running.Go(m.keepTable)
	if m.cfg.runFor > 0 {
		time.AfterFunc(m.cfg.runFor, m.end)
	}
	if m.cfg.load.Load {
		m.apply(api.Command{What: "load", On: true, RPS: m.cfg.load.RPS})
	}
}

// end ends the cluster.
func (m *master) end() {
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.drainDelay+m.cfg.drainTimeout)
	defer cancel()
	_ = m.cluster.Drain(ctx) // Run returns its error
}

// keepTable tells the workers four times a second how all of them are.
func (m *master) keepTable() {
	ticker := time.NewTicker(tableEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.done:
			ctx, cancel := context.WithTimeout(context.Background(), m.cfg.drainTimeout)
			defer cancel()
			_ = m.traffic.Drain(ctx)
			return
		}
		stats := m.cluster.Stats()
		if stats.State == cluster.StateStopping {
			m.traffic.Apply(load.Mode{}) // it would be refused
		}
		t := table{Workers: make([]api.Worker, len(stats.Slots))}
		for i, s := range stats.Slots {
			t.Workers[i] = api.Worker{
				ID: s.Slot, Pid: s.Pid, State: s.State, Ready: s.State == "ready", Restarts: max(s.Starts, 1) - 1,
				RSS: s.RSS, Requests: s.Counters[countedRequests],
			}
		}
		t.Sent, t.Failed = m.traffic.Sent()
		m.broadcast(topicTable, t)
	}
}

func (m *master) broadcast(topic string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // of types of this program
	}
	_, _ = m.cluster.Broadcast(cluster.Message{Topic: topic, Data: text}) // who has no room gets the next one
}

func (m *master) ready(w cluster.WorkerStart) {
	m.broadcast(topicSwitches, m.switches) // the new one has not heard of them
	m.broadcast(topicEvent, api.Event{Kind: "worker", Text: fmt.Sprintf("worker %d is ready, process %d", w.Slot, w.Pid)})
}

func (m *master) exit(e cluster.WorkerExit) {
	m.broadcast(topicEvent, api.Event{Kind: "worker", Text: fmt.Sprintf("worker %d has ended, process %d: %s, %s", e.Slot, e.Pid, e.Reason, e.Status)})
}

// message carries out the command of a worker.
func (m *master) message(slot int, msg cluster.Message) {
	var c api.Command
	if msg.Topic != topicCommand || json.Unmarshal(msg.Data, &c) != nil {
		return
	}
	if c.What == api.Kill {
		m.kill(slot)
		return
	}
	m.apply(c)
}

func (m *master) apply(c api.Command) {
	if m.switches.Set(c) != nil {
		return
	}
	m.broadcast(topicSwitches, m.switches)
	if m.traffic != nil {
		m.traffic.Apply(modeOf(m.switches))
	}
}

// kill kills a worker as the kernel does when memory is short, rather another one
// than that which asks, which has an answer to give.
func (m *master) kill(asks int) {
	victim := 0
	for _, s := range m.cluster.Stats().Slots {
		if s.State == "ready" && (victim == 0 || s.Slot != asks) {
			victim = s.Pid
		}
	}
	if p, err := os.FindProcess(victim); err == nil && victim != 0 {
		_ = p.Kill() // it may be gone, which is as good
	}
}

// work is the service in a worker.
func work(ctx context.Context, cfg config, w *cluster.Worker, log *slog.Logger) error {
	command := func(ctx context.Context, c api.Command) error {
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		return w.Send(ctx, cluster.Message{Topic: topicCommand, Data: text})
	}
	var latest atomic.Pointer[table]
	latest.Store(&table{})
	sent := func() (uint64, uint64) { t := latest.Load(); return t.Sent, t.Failed }
	p, err := open(ctx, cfg, w.Slot(), command, sent, log)
	if err != nil {
		return err
	}
	var listening sync.WaitGroup
	hearing, deaf := context.WithCancel(ctx)
	listening.Go(func() { hear(hearing, w, p.api, &latest) })

	// The order is that of local.drain: say so, serve on for a while, and let
	// Serve end.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		<-ctx.Done()
		p.api.BeginDrain()
		time.Sleep(cfg.drainDelay)
		stop()
	}()
	requests, handler := w.Counter(countedRequests), p.api.Handler()
	counted := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(rw, r)
	})
	err = w.Serve(serving, "http", newServer(counted, log))
	stop()
	deaf()
	listening.Wait()
	grace, cancel := w.Grace(ctx)
	defer cancel()
	return errors.Join(err, p.drain(grace))
}

// hear does as the master says.
func hear(ctx context.Context, w *cluster.Worker, a *api.API, latest *atomic.Pointer[table]) {
	for {
		msg, err := w.Receive(ctx)
		if err != nil {
			return
		}
		switch msg.Topic {
		case topicSwitches:
			var s api.Switches
			if json.Unmarshal(msg.Data, &s) == nil {
				a.Apply(s)
			}
		case topicTable:
			var t table
			if json.Unmarshal(msg.Data, &t) == nil {
				latest.Store(&t)
				a.SetWorkers(t.Workers)
			}
		case topicEvent:
			var e api.Event
			if json.Unmarshal(msg.Data, &e) == nil {
				a.Tell(e.Kind, e.Text)
			}
		}
	}
}
