package cluster

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"time"
)

// A supervisor is a running master: the machine that decides, and the hands
// that do it. One goroutine, loop, steps the machine; all others post to it.
// What Stats reads is written with Cluster.mu held.
type supervisor struct {
	c       *Cluster
	hooks   *dispatcher
	notify  notifier
	sockets []socket // set before the first post
	posts   chan func(now time.Duration)
	done    chan struct{} // closed when loop has ended

	// Guarded by Cluster.mu; only loop writes.
	machine     *machine
	kids        map[procID]*kid
	ledger      map[int]*record
	starts      uint64
	exits       map[Reason]uint64
	forcedCount uint64
	reloads     uint64
	dropped     uint64

	// Of loop alone.
	reloadWaiters []chan<- error
	reloadAgain   bool
	asked         bool          // by a signal to stop
	forced        []Forced      // while stopping
	verdict       error         // why loop ended by itself
	killed        bool          // by Close
	alive         time.Duration // when systemd wants the next sign of life
	handover      handover
}

// supervise is Run in the master.
func (c *Cluster) supervise(ctx context.Context, r role) error {
	s := c.newSupervisor()
	err := s.open(ctx, r)
	if err == nil {
		err = c.begin(s)
	}
	if err != nil {
		close(s.done)
		s.closeAll(true)
		return err
	}
	return s.run(ctx)
}

func (c *Cluster) newSupervisor() *supervisor {
	return &supervisor{
		c: c, machine: newMachine(c.cfg.rule(), c.cfg.Workers, rand.Float64),
		kids: make(map[procID]*kid), ledger: make(map[int]*record), exits: make(map[Reason]uint64),
		posts: make(chan func(time.Duration)), done: make(chan struct{}),
		hooks: newDispatcher(), notify: newNotifier(),
	}
}

// run is the life of a master that has its sockets.
func (s *supervisor) run(ctx context.Context) error {
	s.hooks.start()
	if !s.c.cfg.NoSignals {
		defer masterSignals(s.onSignal)()
	}
	s.loop(ctx)
	return s.finish(ctx)
}

// begin makes s the running master, unless there was one or c is closed.
func (c *Cluster) begin(s *supervisor) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.master != nil && c.state == StateRunning:
		return ErrBusy
	case c.closed || c.master != nil:
		return ErrClosed
	}
	c.master, c.state = s, StateRunning
	return nil
}

// open gets the sockets: from the master before, from systemd, or by opening
// them.
func (s *supervisor) open(ctx context.Context, r role) error {
	given, err := activation()
	if r.Kind == roleMaster {
		if err := s.takeOver(); err != nil {
			return err
		}
		given, err = inheritedFiles(4, r.Listeners)
	}
	if err != nil {
		return err
	}
	s.sockets, err = openSockets(ctx, s.c.cfg.Listen, given)
	return err
}

func (s *supervisor) closeAll(remove bool) {
	closeSockets(s.sockets, remove)
	if p := s.handover.parent; p != nil {
		p.close(0)
		<-s.handover.parentGone
	}
}

// loop runs until the machine is over.
func (s *supervisor) loop(ctx context.Context) {
	defer close(s.done)
	s.step(s.machine.start)
	timer := time.NewTimer(0)
	defer timer.Stop()
	ended := ctx.Done()
	for !s.machine.over() {
		if s.reloadAgain && !s.machine.reloading {
			s.reloadAgain = false
			s.step(func(now time.Duration) { s.machine.reload(now) })
		}
		timer.Reset(s.delay())
		select {
		case f := <-s.posts:
			s.step(f)
		case <-timer.C:
			s.step(s.machine.tick)
		case <-ended:
			ended = nil
			s.step(func(now time.Duration) {
				if !s.machine.stopping {
					s.machine.stop(now)
				}
			})
		}
	}
}

// delay is how long loop may sleep. It also gives systemd its sign of life:
// from here, as that says that the loop goes round.
func (s *supervisor) delay() time.Duration {
	now := s.c.now()
	d := s.machine.next() - now
	if s.notify.every > 0 {
		if now >= s.alive {
			s.alive = now + s.notify.every
			s.notify.send("WATCHDOG=1")
		}
		d = min(d, s.alive-now)
	}
	return max(0, d)
}

// step lets f use the machine, and does what that decides.
func (s *supervisor) step(f func(now time.Duration)) {
	s.c.mu.Lock()
	f(s.c.now())
	actions := s.machine.take()
	stopping := s.machine.stopping
	s.c.mu.Unlock()
	if stopping && !s.handover.told {
		s.handover.told = true
		if s.handover.next == nil {
			s.notify.send("STOPPING=1")
		}
	}
	for _, a := range actions {
		s.do(a)
	}
}

// post gives f to loop, which calls it with Cluster.mu held. It reports
// false after the end of loop.
func (s *supervisor) post(f func(now time.Duration)) bool {
	select {
	case s.posts <- f:
		return true
	case <-s.done:
		return false
	}
}

func (s *supervisor) do(a action) {
	s.c.mu.Lock()
	k := s.kids[a.proc]
	s.c.mu.Unlock()
	switch a.kind {
	case actSpawn:
		s.spawn(a)
	case actDrain:
		if k != nil && k.link != nil {
			_ = k.link.control(frameStop, encode(stopOrder{a.reason, a.wait}))
		}
	case actSignal:
		if k != nil && k.child != nil {
			_ = k.child.signal(a.signal)
		}
	case actReady:
		s.tellStart(s.c.cfg.Hooks.OnReady, k)
	case actExited, actAbandoned:
		s.gone(k, a)
	case actGiveUp:
		s.gaveUp(a.slot)
	case actUp:
		s.isUp()
	case actReloading:
		s.notify.reloading()
	case actReloaded:
		s.reloaded(a.slot)
	}
}

// gone forgets a process.
func (s *supervisor) gone(k *kid, a action) {
	status := k.status
	if a.kind == actAbandoned {
		status = "abandoned"
	} else {
		<-k.finished // it has posted its last
	}
	if k.bye != "" {
		status = k.bye + " (" + status + ")"
	}
	e := WorkerExit{
		Name: s.c.cfg.Name, Slot: k.slot, Reason: a.reason, Forced: a.forced, Status: status,
		Lived: s.c.now() - k.born, Next: a.wait,
	}
	if a.wait == never {
		e.Next = -1
	}
	if k.child != nil {
		e.Pid = k.child.pid
	}
	s.c.mu.Lock()
	record := s.recordLocked(k.slot)
	record.totals.ended(k.id)
	record.last = status
	delete(s.kids, k.id)
	s.exits[a.reason]++
	if a.forced {
		s.forcedCount++
	}
	stopping := s.machine.stopping
	s.c.mu.Unlock()
	if a.forced && stopping {
		s.forced = append(s.forced, Forced{Slot: e.Slot, Pid: e.Pid, How: status})
	}
	if hook := s.c.cfg.Hooks.OnExit; hook != nil {
		s.hooks.add(func() { hook(e) })
	}
}

// gaveUp tells of a crash loop. If the machine stops because of it, that is
// the result of Run.
func (s *supervisor) gaveUp(slot int) {
	s.c.mu.Lock()
	e := &CrashLoopError{Name: s.c.cfg.Name, Slot: slot, Failures: s.c.cfg.MaxRestarts + 1, Last: s.recordLocked(slot).last}
	stopping := s.machine.stopping
	s.c.mu.Unlock()
	if stopping && s.verdict == nil {
		s.verdict = e
	}
	if hook := s.c.cfg.Hooks.OnGiveUp; hook != nil {
		s.hooks.add(func() { hook(e) })
	}
}

// isUp tells everybody that all workers are ready.
func (s *supervisor) isUp() {
	lines := []string{"READY=1"}
	if p := s.handover.parent; p != nil {
		_ = p.control(frameReady, nil)
		if !s.c.cfg.Foreground {
			lines = append(lines, "MAINPID="+strconv.Itoa(os.Getpid()))
		}
	}
	s.notify.send(lines...)
	if hook := s.c.cfg.Hooks.OnUp; hook != nil {
		s.hooks.add(hook)
	}
}

// refusal says why the machine does not reload.
func (s *supervisor) refusal() error {
	if s.machine.stopping {
		return ErrNotRunning
	}
	return ErrBusy
}

// reloaded ends a reload: slot tells how, as in actReloaded.
func (s *supervisor) reloaded(slot int) {
	var err error
	switch slot {
	case reloadDone:
	case reloadCut:
		err = ErrNotRunning
	default:
		s.c.mu.Lock()
		err = &ReloadError{Name: s.c.cfg.Name, Slot: slot, Last: s.recordLocked(slot).last}
		s.c.mu.Unlock()
	}
	if slot == reloadDone {
		s.c.mu.Lock()
		s.reloads++ // before its callers are told, who may look at Stats
		s.c.mu.Unlock()
	}
	for _, w := range s.reloadWaiters {
		w <- err
	}
	s.reloadWaiters = nil
	if slot != reloadCut {
		s.notify.send("READY=1")
	}
	if hook := s.c.cfg.Hooks.OnReload; hook != nil {
		s.hooks.add(func() { hook(err) })
	}
}

// onSignal does what a signal asks for. A reload that is asked for during
// another one follows it, since the first may have seen half of a change.
func (s *supervisor) onSignal(cmd command) {
	if next := s.handover.front.Load(); next != nil {
		_ = next.child.signal([]signal{cmdStop: sigTerm, cmdReload: sigHup, cmdUpgrade: sigUsr2}[cmd])
	}
	switch cmd {
	case cmdStop:
		s.post(func(now time.Duration) {
			// The first one is no impatience: what else has begun to stop
			// may have seen the same signal, or be an upgrade.
			if s.asked || !s.machine.stopping {
				s.machine.stop(now)
			}
			s.asked = true
		})
	case cmdReload:
		s.post(func(now time.Duration) {
			if !s.machine.reload(now) {
				s.reloadAgain = true
			}
		})
	case cmdUpgrade:
		s.post(func(time.Duration) { s.beginUpgrade(context.Background(), make(chan error, 1)) })
	}
}

// stopError is what Drain and Run return, given why they did so: a *StopError
// if anybody was forced. loop has ended.
func (s *supervisor) stopError(cause error) error {
	if len(s.forced) == 0 {
		return cause
	}
	return &StopError{Name: s.c.cfg.Name, Forced: s.forced, cause: cause}
}

// finish ends what supervise began. loop has ended, and with it all workers.
func (s *supervisor) finish(ctx context.Context) error {
	s.handover.tasks.Wait()
	s.handOver()
	s.closeAll(s.handover.next == nil)
	s.hooks.end()
	handed := s.waitForSuccessor(ctx)
	s.c.mu.Lock()
	s.c.state = StateStopped
	s.c.mu.Unlock()
	switch {
	case s.verdict != nil && len(s.forced) > 0:
		return errors.Join(s.verdict, s.stopError(nil))
	case s.verdict != nil:
		return s.verdict
	case s.killed:
		return ErrClosed
	case handed != nil:
		return handed
	case ctx.Err() != nil && s.handover.next == nil:
		return s.stopError(ctxError(ctx))
	}
	return s.stopError(nil)
}

// sums are the totals of all slots, for the next master.
func (s *supervisor) sums() []slotTotals {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	var out []slotTotals
	for _, slot := range s.ledgerSlots() {
		r := s.ledger[slot]
		out = append(out, slotTotals{Slot: slot, Starts: r.starts, PeakRSS: r.peak, Counters: maps.Clone(r.totals.sum())})
	}
	return out
}
