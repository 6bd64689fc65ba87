//go:build unix

package cluster

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A world has processes that are goroutines, so that a whole cluster fits into
// a bubble: pipes for control sockets, virtual time for everything.
type world struct {
	t      *testing.T
	script func(*fakeProcess)
	began  time.Time

	mu    sync.Mutex
	procs []*fakeProcess
	fail  error // of the next starts
}

// fakeProcess is a process of a world.
type fakeProcess struct {
	role role
	pid  int
	at   time.Duration // of its start
	conn net.Conn      // its end of the control socket
	ctx  context.Context
	dead chan struct{} // closed by its end

	kill func()

	mu         sync.Mutex
	ignoreTerm bool
	immortal   bool
	signals    []signal
	ended      bool
	exit       exit
}

// newWorld returns a world whose processes run script. A process whose script
// returns ends with status 0.
func newWorld(t *testing.T, script func(*fakeProcess)) *world {
	return &world{t: t, script: script, began: time.Now()}
}

// cluster is a master in this world.
func (w *world) cluster(cfg Config) *Cluster {
	cfg.NoSignals = true
	if cfg.Work == nil {
		cfg.Work = func(context.Context, *Worker) error { return nil }
	}
	c, err := New(cfg)
	require.NoError(w.t, err)
	c.start = w.start
	return c
}

// running is a Run under way.
type running struct {
	err    error
	done   chan struct{}
	cancel context.CancelCauseFunc
}

func (w *world) run(c *Cluster) *running {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	r := &running{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(r.done)
		r.err = c.Run(ctx)
	}()
	return r
}

func (w *world) start(s spec) (*child, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	p := &fakeProcess{pid: 100 + len(w.procs), at: time.Since(w.began), conn: theirs, ctx: ctx, dead: make(chan struct{}), kill: cancel}
	for _, kv := range s.env {
		if text, ok := strings.CutPrefix(kv, roleEnv+"="); ok {
			require.NoError(w.t, json.Unmarshal([]byte(text), &p.role))
		}
	}
	w.procs = append(w.procs, p)
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.script(p)
		p.end(exit{clean: true, status: "exit status 0"})
	}()
	return &child{pid: p.pid, conn: ours, signal: p.signal, wait: func() exit {
		<-p.dead
		<-over
		return p.exit
	}}, nil
}

func (p *fakeProcess) signal(s signal) error {
	p.mu.Lock()
	p.signals = append(p.signals, s)
	deadly := !p.immortal && (s == sigKill || !p.ignoreTerm)
	p.mu.Unlock()
	if deadly {
		p.end(exit{status: "signal: " + []string{sigTerm: "terminated", sigQuit: "quit", sigKill: "killed"}[s]})
	}
	return nil
}

func (p *fakeProcess) end(e exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended, p.exit = true, e
		_ = p.conn.Close()
		p.kill()
		close(p.dead)
	}
}

// got lists the signals that it was sent.
func (p *fakeProcess) got() []signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.signals)
}

// all lists the processes so far.
func (w *world) all() []*fakeProcess {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.procs)
}

// of is the latest process of a slot.
func (w *world) of(slot int) *fakeProcess {
	for _, p := range slices.Backward(w.all()) {
		if p.role.Slot == slot {
			return p
		}
	}
	return nil
}

// failing makes starts fail from now on; nil ends that.
func (w *world) failing(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// send writes a frame as the process.
func (p *fakeProcess) send(kind frameKind, body []byte) {
	_, _ = p.conn.Write(appendFrame(nil, frame{kind, body}))
}

// worker makes a script of a Work: the real worker code, in the process p.
func worker(cfg Config) func(*fakeProcess) {
	return func(p *fakeProcess) {
		cfg := cfg
		cfg.NoSignals = true
		c, err := New(cfg)
		if err != nil {
			panic(err)
		}
		c.exit = func(status int) { p.end(exit{status: "exit status 3"}) }
		if err := c.workOn(p.ctx, p.conn, &Worker{slot: p.role.Slot, start: p.role.Start}); err != nil {
			p.end(exit{status: "exit status 1"})
		}
	}
}

// ready is a Work that is ready and waits for its end.
func ready(ctx context.Context, w *Worker) error {
	if err := w.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// pass lets virtual time pass, in functions that a bubble runs.
func pass(d time.Duration) { <-time.After(d) }
