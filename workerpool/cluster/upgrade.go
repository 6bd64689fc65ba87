package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// handover is what a master knows of the one before it and the one after it.
// The fields without a lock belong to loop, and to supervise before and after
// it.
type handover struct {
	parent     *link         // to the master before, until that is gone; nil if there was none
	parentGone chan struct{} // closed when it is

	running bool // an upgrade is under way
	next    *successor
	told    bool                      // systemd knows that this one stops
	front   atomic.Pointer[successor] // next, if signals go on to it; written by loop
	tasks   sync.WaitGroup            // upgrades
}

// successor is the new master.
type successor struct {
	child *child
	link  *link
	read  chan struct{} // closed when its end of the link is
}

// beginUpgrade starts an upgrade, if none is under way. The caller is loop.
func (s *supervisor) beginUpgrade(ctx context.Context, result chan<- error) {
	h := &s.handover
	switch {
	case s.machine.stopping:
		result <- ErrNotRunning
	case h.running, h.parent != nil && !isClosed(h.parentGone):
		result <- ErrBusy
	default:
		h.running = true
		h.tasks.Go(func() { s.upgrade(ctx, result) })
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// upgrade starts the new master, and when that is ready lets this one stop.
func (s *supervisor) upgrade(ctx context.Context, result chan<- error) {
	next, err := s.startSuccessor(ctx)
	settled := make(chan error, 1)
	if !s.post(func(now time.Duration) {
		s.handover.running = false
		switch {
		case err != nil:
		case s.machine.stopping: // which was meant for the service, not for this process
			settled <- ErrNotRunning
			return
		default:
			s.handover.next = next
			if s.c.cfg.Foreground {
				s.handover.front.Store(next)
			}
			s.machine.stop(now)
			// Before loop can end, which workers that end at once bring
			// about: Upgrade would take that for its answer.
			result <- nil
		}
		settled <- err
	}) {
		settled <- ErrNotRunning
	}
	if reason := <-settled; reason != nil && err == nil {
		next.kill()
		err = reason
	}
	if err != nil {
		result <- err
	}
	if hook := s.c.cfg.Hooks.OnUpgrade; hook != nil {
		s.hooks.add(func() { hook(err) })
	}
}

// startSuccessor starts the new master and waits until it is ready. On failure
// it is killed and reaped.
func (s *supervisor) startSuccessor(ctx context.Context) (*successor, error) {
	path, err := program()
	if err != nil {
		return nil, fmt.Errorf("cluster: path of this program: %w", err)
	}
	r := role{Kind: roleMaster, Name: s.c.cfg.Name, Listeners: names(s.sockets)}
	child, err := s.c.start(spec{path: path, args: os.Args[1:], env: childEnv(os.Environ(), nil, r), files: files(s.sockets)})
	if err != nil {
		return nil, err
	}
	next := &successor{child: child, link: newLink(child.conn, maxControl), read: make(chan struct{})}
	ready := make(chan struct{}, 1)
	go func() {
		defer close(next.read)
		_ = next.link.read(func(f frame) error {
			if f.kind != frameReady {
				return fmt.Errorf("%w: kind %d from a new master", errFrame, f.kind)
			}
			select {
			case ready <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	patience := 3 * min(s.c.cfg.StartTimeout, time.Duration(1)<<60)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ready:
		return next, nil
	case <-next.read:
		err = errors.New("cluster: the new master ended before it was ready")
	case <-timer.C:
		err = fmt.Errorf("cluster: the new master was not ready within %v", patience)
	case <-ctx.Done():
		err = ctxError(ctx)
	case <-s.done:
		err = ErrNotRunning
	}
	return nil, fmt.Errorf("%w (%s)", err, next.kill().status)
}

// kill ends a new master, and with it its workers, which notice.
func (n *successor) kill() exit {
	_ = n.child.signal(sigKill)
	ended := n.child.wait()
	n.link.close(0)
	<-n.read
	return ended
}

// handOver tells the new master what it has to know of this one, and that this
// one is done.
func (s *supervisor) handOver() {
	next := s.handover.next
	if next == nil {
		return
	}
	for _, t := range s.sums() {
		_ = next.link.control(frameTotals, encode(t))
	}
	next.link.close(time.Second)
	<-next.read
}

// waitForSuccessor waits for the end of the new master if this one stays in
// the foreground. The end of ctx is passed on as SIGTERM.
func (s *supervisor) waitForSuccessor(ctx context.Context) error {
	next := s.handover.front.Load()
	if next == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = next.child.signal(sigTerm) })
	defer stop()
	if ended := next.child.wait(); !ended.clean {
		return fmt.Errorf("cluster: the new master: %s", ended.status)
	}
	return nil
}

// takeOver begins to listen to the master before. Its totals count here; when
// it is gone this one may be upgraded in turn.
func (s *supervisor) takeOver() error {
	conn, err := controlConn()
	if err != nil {
		return err
	}
	s.listenTo(conn)
	return nil
}

func (s *supervisor) listenTo(conn net.Conn) {
	l := newLink(conn, maxControl)
	s.handover.parent, s.handover.parentGone = l, make(chan struct{})
	go func() {
		defer close(s.handover.parentGone)
		_ = l.read(func(f frame) error {
			if f.kind != frameTotals {
				return fmt.Errorf("%w: kind %d from the old master", errFrame, f.kind)
			}
			t, err := decodeTotals(f.body)
			if err == nil {
				s.post(func(time.Duration) {
					r := s.recordLocked(t.Slot)
					r.totals.add(t.Counters)
					r.starts += t.Starts
					r.peak = max(r.peak, t.PeakRSS)
				})
			}
			return err
		})
	}()
}

// controlConn is the control socket with which this process was started.
func controlConn() (net.Conn, error) {
	f, err := inherited(3, "control")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("cluster: control socket: %w", err)
	}
	return conn, nil
}
