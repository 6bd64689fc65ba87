package cluster

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// maxPending is how many bytes of messages of one worker may wait for a hook.
const maxPending = 4 << 20

// kid is one process, from the decision to start it until it is reaped.
type kid struct {
	id       procID
	slot     int
	start    uint64
	born     time.Duration
	child    *child // nil until it is started, then set once under Cluster.mu
	link     *link  // likewise
	report   report // the latest; guarded by Cluster.mu
	bye      string // the error of Work, if it said so
	status   string
	finished chan struct{} // closed when no goroutine of it is left
	pending  atomic.Int64  // bytes of messages that wait for the hook; written by its reader and the dispatcher
}

// spawn starts a process on a goroutine that then stays with it.
func (s *supervisor) spawn(a action) {
	k := &kid{id: a.proc, slot: a.slot, born: s.c.now(), finished: make(chan struct{})}
	s.c.mu.Lock()
	r := s.recordLocked(a.slot)
	r.starts++
	k.start = r.starts
	s.starts++
	s.kids[k.id] = k
	s.c.mu.Unlock()
	go s.attend(k)
}

// attend starts the process of k, reads what it sends and reaps it.
func (s *supervisor) attend(k *kid) {
	defer close(k.finished)
	child, err := s.startWorker(k)
	if err != nil {
		s.post(func(now time.Duration) {
			k.status = err.Error()
			s.machine.exited(now, k.id, false)
		})
		return
	}
	l := newLink(child.conn, s.c.cfg.limit())
	known := s.post(func(time.Duration) {
		k.child, k.link = child, l
		if !s.machine.running(k.id, child.pid) {
			_ = child.signal(sigKill)
		}
		s.tellStart(s.c.cfg.Hooks.OnStart, k)
	})
	if !known {
		_ = child.signal(sigKill) // it took so long to start that it was abandoned
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		err := l.read(func(f frame) error { return s.receive(k, f) })
		s.post(func(now time.Duration) {
			if err != nil {
				k.bye = err.Error()
			}
			s.machine.hungUp(now, k.id, err != nil)
		})
	}()
	ended := child.wait()
	// What it sent before its end is in the socket; nothing follows, so this
	// bound is for a socket that somebody else holds as well.
	_ = child.conn.SetReadDeadline(time.Now().Add(time.Second))
	<-read
	l.close(0)
	s.post(func(now time.Duration) {
		k.status = ended.status
		s.machine.exited(now, k.id, ended.clean)
	})
}

func (s *supervisor) startWorker(k *kid) (*child, error) {
	path, err := self()
	if err != nil {
		return nil, fmt.Errorf("cluster: path of this program: %w", err)
	}
	r := role{Kind: roleWorker, Name: s.c.cfg.Name, Slot: k.slot, Start: k.start, Listeners: names(s.sockets)}
	return s.c.start(spec{path: path, args: os.Args[1:], env: childEnv(os.Environ(), s.c.cfg.Env, r), files: files(s.sockets)})
}

// receive handles a frame of a worker.
func (s *supervisor) receive(k *kid, f frame) error {
	switch f.kind {
	case frameReady:
		s.post(func(now time.Duration) { s.machine.ready(now, k.id) })
	case frameReport:
		r, err := decodeReport(f.body)
		if err != nil {
			return err
		}
		s.post(func(now time.Duration) {
			record := s.recordLocked(k.slot)
			record.totals.report(k.id, r.Counters)
			record.peak = max(record.peak, r.RSS)
			s.dropped += r.Dropped - min(r.Dropped, k.report.Dropped)
			k.report = r
			s.machine.heard(now, k.id, r.RSS)
		})
	case frameBye:
		text := string(f.body[:min(len(f.body), maxBye)])
		s.post(func(time.Duration) { k.bye = text })
	case frameMessage:
		m, err := decodeMessage(f.body)
		if err != nil {
			return err
		}
		s.message(k, m)
	default:
		return fmt.Errorf("%w: kind %d from a worker", errFrame, f.kind)
	}
	return nil
}

// message hands a message to the hook, if not too much waits for it already.
func (s *supervisor) message(k *kid, m Message) {
	hook := s.c.cfg.Hooks.OnMessage
	if hook == nil {
		return
	}
	size := int64(64 + len(m.Topic) + len(m.Data))
	if k.pending.Load()+size > maxPending && k.pending.Load() > 0 {
		s.post(func(time.Duration) { s.dropped++ })
		return
	}
	k.pending.Add(size)
	s.hooks.add(func() {
		defer k.pending.Add(-size)
		hook(k.slot, m)
	})
}

// tellStart calls one of the hooks that take a WorkerStart.
func (s *supervisor) tellStart(hook func(WorkerStart), k *kid) {
	if hook != nil && k != nil && k.child != nil {
		e := WorkerStart{Name: s.c.cfg.Name, Slot: k.slot, Pid: k.child.pid, Start: k.start}
		s.hooks.add(func() { hook(e) })
	}
}
