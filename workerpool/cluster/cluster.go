package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// ExitOrphan is the exit status of a worker whose master has died and whose
// Work did not return within Config.StopTimeout afterwards.
const ExitOrphan = 3

// Cluster runs copies of this program as workers, in its master, and does the
// work, in a worker. Make one with New or MustNew, and call Run. It is safe for
// use by many goroutines.
type Cluster struct {
	// Set by New and never written again.
	cfg   Config
	start starter
	exit  func(int) // ends an orphan
	base  time.Time // times are durations since base

	mu     sync.Mutex // guards all that follows, and the master's state; never held over a wait or a hook
	state  State      // StateRunning for all that stateLocked tells apart
	closed bool
	master *supervisor // nil before Run, and in a worker
}

// New returns a Cluster as described by cfg. It starts and opens nothing. It
// fails if a field of cfg has a value that makes no sense, and the error names
// the field; and with ErrUnsupported on systems other than Unix.
func New(cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if !supported {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, runtime.GOOS)
	}
	//bedplate:allow quiet: an orphan whose Work does not return would hold its socket for ever
	return &Cluster{cfg: cfg, start: startProcess, exit: os.Exit, base: time.Now(), state: StateIdle}, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Cluster {
	c, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return c
}

// Run is all of the cluster. Call it once, where main would serve, with what
// must happen in master and workers before it.
//
// In the master it opens the sockets, starts the workers and sees to them until
// ctx is done, a signal asks it to stop (see Config.NoSignals), or Drain or
// Close is called. Then it asks the workers to end and returns when the last
// one is gone. The result is nil for a signal, Drain and an upgrade, ErrClosed
// for Close, and the error of ctx, which also matches context.Cause, for that. If
// workers had to be forced it is a *StopError, which names them and matches those
// errors as well. A *CrashLoopError tells that workers kept failing. Any other
// error is one of opening the sockets; then nothing was started.
//
// In a worker it calls Config.Work and returns its error as it is. The program
// should then end, with status 0 if the error is nil.
func (c *Cluster) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	r, _ := takeRole(c.cfg.Name, roleWorker, roleMaster)
	if r.Kind == roleWorker {
		return c.work(ctx, r)
	}
	if err := checkNoRole(); err != nil {
		return err
	}
	return c.supervise(ctx, r)
}

// Reload replaces all workers, one after the other: a new one is started, and
// when it is ready the old one is asked to end. Slots that were given up are
// revived. It returns when the last old worker is gone.
//
// A new worker that does not become ready ends the reload with a *ReloadError;
// the old one goes on. Reload is ErrBusy while another one is under way, and
// ErrNotRunning without a running master. If ctx ends first, its error is
// returned and the reload goes on.
func (c *Cluster) Reload(ctx context.Context) error {
	return c.await(ctx, func(s *supervisor, now time.Duration, result chan<- error) {
		if !s.machine.reload(now) {
			result <- s.refusal()
			return
		}
		s.reloadWaiters = append(s.reloadWaiters, result)
	})
}

// Upgrade starts this program anew, from the path it was called by, as another
// master that takes over the sockets. When all workers of that one are ready,
// the workers of this one are asked to end, and Run returns when they are gone;
// Config.Foreground changes that. Upgrade returns nil then.
//
// If the new master ends, or is not ready within three times StartTimeout, or
// ctx is done, it is killed, this one goes on as before, and the error says
// why. There is one upgrade at a time: until the old master is gone the new one
// returns ErrBusy.
func (c *Cluster) Upgrade(ctx context.Context) error {
	return c.await(ctx, func(s *supervisor, _ time.Duration, result chan<- error) {
		s.beginUpgrade(ctx, result)
	})
}

// Resize sets the number of slots. New ones are started at once; those that go
// are asked to end. It returns at once, with an error for a number out of
// range, and ErrNotRunning without a running master.
func (c *Cluster) Resize(workers int) error {
	if workers < 1 || workers > maxWorkers {
		return fmt.Errorf("cluster: Resize to %d, want 1 to %d", workers, maxWorkers)
	}
	return c.await(context.Background(), func(s *supervisor, now time.Duration, result chan<- error) {
		if s.machine.stopping {
			result <- ErrNotRunning
			return
		}
		s.machine.resize(now, workers)
		result <- nil
	})
}

// Send sends m to the worker of a slot. It waits while the outbox is full, at
// most until ctx is done. Nil says that the message is on its way; a worker
// that ends, or whose inbox is full, may still miss it. It is ErrGone if the
// slot has no worker.
func (c *Cluster) Send(ctx context.Context, slot int, m Message) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	if err := c.cfg.checkMessage(m); err != nil {
		return err
	}
	c.mu.Lock()
	l, err := c.linkLocked(slot)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return l.send(ctx, frameMessage, encodeMessage(m))
}

func (c *Cluster) linkLocked(slot int) (*link, error) {
	s := c.master
	switch {
	case s == nil || c.state != StateRunning:
		return nil, ErrNotRunning
	case slot < 0 || slot >= s.machine.want:
		return nil, fmt.Errorf("cluster: slot %d, want 0 to %d", slot, s.machine.want-1)
	}
	if p := s.machine.slots[slot].current; p != nil && s.kids[p.id] != nil && s.kids[p.id].link != nil {
		return s.kids[p.id].link, nil
	}
	return nil, ErrGone
}

// Broadcast sends m to the workers of all slots that have room for it now, and
// returns how many those are. It never waits.
func (c *Cluster) Broadcast(m Message) (int, error) {
	if err := c.cfg.checkMessage(m); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master == nil || c.state != StateRunning {
		return 0, ErrNotRunning
	}
	sent, body := 0, encodeMessage(m)
	for i := range c.master.machine.want {
		l, err := c.linkLocked(i)
		if err != nil {
			continue
		}
		if l.out.offer(frame{frameMessage, body}) {
			sent++
		} else {
			c.master.dropped++
		}
	}
	return sent, nil
}

// Addr returns the address of the socket of this name in a running master, nil
// if there is none.
func (c *Cluster) Addr(name string) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master != nil {
		for _, s := range c.master.sockets {
			if s.name == name {
				return s.addr
			}
		}
	}
	return nil
}

// Drain asks all workers to end, and returns when they are gone. Those that do
// not end within Config.StopTimeout are forced, those still there when ctx is
// done are killed; either is a *StopError, which names them. A later Run
// returns ErrClosed.
func (c *Cluster) Drain(ctx context.Context) error {
	s := c.shut()
	if s == nil {
		return nil
	}
	s.post(func(now time.Duration) {
		if !s.machine.stopping {
			s.machine.stop(now)
		}
	})
	select {
	case <-s.done:
		return s.stopError(nil)
	case <-ctx.Done():
	}
	s.post(func(now time.Duration) { s.machine.killAll(now, true) })
	<-s.done
	return s.stopError(ctxError(ctx))
}

// Close kills all workers and returns when they are gone. It is idempotent. A
// Run under way returns ErrClosed, as does a later one.
func (c *Cluster) Close() error {
	s := c.shut()
	if s == nil {
		return nil
	}
	s.post(func(now time.Duration) {
		s.killed = true
		s.machine.killAll(now, false)
	})
	<-s.done
	return nil
}

// shut lets no Run begin, and returns the master that runs, if one does.
func (c *Cluster) shut() *supervisor {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.master
}

// await gives f to the running master and waits for the result.
func (c *Cluster) await(ctx context.Context, f func(s *supervisor, now time.Duration, result chan<- error)) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	c.mu.Lock()
	s := c.master
	running := c.state == StateRunning
	c.mu.Unlock()
	if s == nil || !running {
		return ErrNotRunning
	}
	result := make(chan error, 1)
	s.post(func(now time.Duration) { f(s, now, result) })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctxError(ctx)
	case <-s.done:
	}
	select {
	case err := <-result: // it came in the same moment
		return err
	default:
		return ErrNotRunning
	}
}

// now is the time since c was made.
func (c *Cluster) now() time.Duration { return time.Since(c.base) }
