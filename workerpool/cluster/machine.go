package cluster

import (
	"maps"
	"math"
	"slices"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// abandonAfter is how long a process may take to die of SIGKILL, which only one
// stuck in the kernel does, before it is given up.
const abandonAfter = 10 * time.Second

// A machine decides what a master does. It touches no process and reads no
// clock: what happens comes in as method calls with the time, what is to be
// done comes out as actions, in order. One goroutine uses it.
//
// What holds after each call, and is checked by its tests:
//
//   - once stopping, nothing is spawned;
//   - a slot that is wanted and not given up has a process or a time at which
//     it gets one, until stopping;
//   - at most one process is a replacement that is not ready yet, and the one it
//     replaces is only asked to end when it is;
//   - whoever was asked to end has a deadline, and the last of them ends with
//     the process forgotten. So stopping comes to an end.
type machine struct {
	rule   rule
	random func() float64

	slots []place // never shrinks; those from want on are unused
	want  int
	procs map[procID]*proc
	last  procID

	started   bool
	up        bool // every slot has been ready at the same time once
	stopping  bool
	queue     []wish       // replacements to make, one after the other
	busy      *replacement // the one being made
	reloading bool

	out []action
}

// rule is the part of the Config that a machine needs.
type rule struct {
	restartRule
	startTimeout, stopTimeout, killAfter, hung, maxAge time.Duration

	maxMemory uint64
	degrade   bool
}

type procID uint64

// phase is how far a process is on its way from start to end. It only grows.
type phase int

const (
	starting phase = iota // has not said that it is ready
	serving               // has
	draining              // was asked to end, or has closed its control socket
	dying                 // was sent SIGTERM or SIGQUIT
	killed                // was sent SIGKILL
)

var phaseNames = [...]string{"starting", "ready", "draining", "terminating", "killed"}

func (p phase) String() string { return phaseNames[p] }

// proc is one process.
type proc struct {
	id     procID
	slot   int
	pid    int // 0 until it is known
	phase  phase
	until  time.Duration // when the phase has lasted too long
	since  time.Duration // its start
	seen   time.Duration // when it was last heard of
	retire time.Duration // when it is old enough to be replaced
	reason Reason        // why it ends, "" while nobody knows of a reason
	forced bool          // was asked to end, and did not in time
}

// place is the slot of one worker through all its restarts.
type place struct {
	current *proc // the one that counts
	fresh   *proc // its replacement, until that is ready
	startAt time.Duration
	rest    time.Duration // no recycling before
	history restarts
	givenUp bool
}

// wish is a replacement to make: for a reload, or because of age or memory.
type wish struct {
	slot   int
	reason Reason
}

// replacement is one being made. old is zero until fresh is ready.
type replacement struct {
	wish
	fresh, old procID
}

type actionKind int

const (
	actSpawn     actionKind = iota // start proc in slot
	actDrain                       // ask proc to end, for reason, within wait
	actSignal                      // send signal to proc
	actReady                       // proc is ready
	actExited                      // proc ended because of reason; its slot starts another after wait, or never
	actAbandoned                   // proc does not even die of SIGKILL
	actGiveUp                      // slot is in a crash loop
	actUp                          // all are ready, for the first time
	actReloading                   // a reload has begun
	actReloaded                    // the reload has ended: at the slot that failed, or as below
)

// The slot of actReloaded where there is none.
const (
	reloadDone = -1
	reloadCut  = -2 // by a stop
)

type action struct {
	kind   actionKind
	proc   procID
	slot   int
	signal signal
	reason Reason
	wait   time.Duration
	forced bool
}

func newMachine(r rule, want int, random func() float64) *machine {
	m := &machine{rule: r, random: random, procs: make(map[procID]*proc)}
	m.grow(want)
	return m
}

func (m *machine) grow(want int) {
	for len(m.slots) < want {
		m.slots = append(m.slots, place{startAt: never})
	}
	m.want = want
}

func (m *machine) emit(a action) { m.out = append(m.out, a) }

// take returns the actions that are due, and forgets them.
func (m *machine) take() []action {
	out := m.out
	m.out = nil
	return out
}

// over reports whether all has ended.
func (m *machine) over() bool { return m.stopping && len(m.procs) == 0 }

// all lists the processes in the order of their start.
func (m *machine) all() []*proc {
	return slices.SortedFunc(maps.Values(m.procs), func(a, b *proc) int { return int(a.id) - int(b.id) })
}

// start spawns the first worker of each slot.
func (m *machine) start(now time.Duration) {
	m.started = true
	for i := range m.want {
		m.fill(now, i)
	}
}

// fill spawns the worker of an empty slot.
func (m *machine) fill(now time.Duration, i int) {
	if s := &m.slots[i]; !m.stopping && s.current == nil && s.fresh == nil {
		s.startAt = never
		s.current = m.spawn(now, i)
	}
}

func (m *machine) spawn(now time.Duration, slot int) *proc {
	m.last++
	p := &proc{id: m.last, slot: slot, phase: starting, until: now + m.rule.startTimeout, since: now, seen: now, retire: never}
	m.procs[p.id] = p
	m.emit(action{kind: actSpawn, proc: p.id, slot: slot})
	return p
}

// running notes the pid of a process, and repeats to it what it could not be
// told before. It reports false if the process is forgotten already.
func (m *machine) running(id procID, pid int) bool {
	p := m.procs[id]
	if p == nil {
		return false
	}
	if p.pid != 0 {
		return true
	}
	p.pid = pid
	switch p.phase {
	case draining:
		m.emit(action{kind: actDrain, proc: id, slot: p.slot, reason: p.reason, wait: m.rule.stopTimeout})
	case dying:
		m.emit(action{kind: actSignal, proc: id, slot: p.slot, signal: sigTerm})
	case killed:
		m.emit(action{kind: actSignal, proc: id, slot: p.slot, signal: sigKill})
	}
	return true
}

// ready notes that a process says so. If it is a replacement the old one may
// go now.
func (m *machine) ready(now time.Duration, id procID) {
	p := m.procs[id]
	if p == nil || p.phase != starting {
		return
	}
	p.phase, p.until, p.seen = serving, never, now
	if m.rule.maxAge > 0 {
		// Up to a tenth earlier, so that those of one start do not all go at once.
		p.retire = now + m.rule.maxAge - time.Duration(m.random()*float64(m.rule.maxAge/10))
	}
	m.emit(action{kind: actReady, proc: id, slot: p.slot})
	s := &m.slots[p.slot]
	if b := m.busy; b != nil && b.fresh == id {
		old := s.current
		if s.fresh == p {
			s.fresh, s.current = nil, p
		}
		if old == nil || old == p {
			m.settle(now, true)
		} else {
			b.old = old.id
			m.end(now, old, b.reason)
		}
	}
	m.checkUp()
}

func (m *machine) checkUp() {
	if m.up || !m.started {
		return
	}
	for _, s := range m.slots[:m.want] {
		if s.current == nil || s.current.phase != serving {
			return
		}
	}
	m.up = true
	m.emit(action{kind: actUp})
}

// heard notes a sign of life, with the memory the process has.
func (m *machine) heard(now time.Duration, id procID, memory uint64) {
	p := m.procs[id]
	if p == nil {
		return
	}
	p.seen = now
	if m.rule.maxMemory > 0 && memory > m.rule.maxMemory {
		m.recycle(now, p, ReasonMemory)
	}
}

// hungUp notes that the control socket of a process is closed. One that has
// closed it is about to end; one that has sent nonsense is not worth waiting
// for.
func (m *machine) hungUp(now time.Duration, id procID, nonsense bool) {
	p := m.procs[id]
	switch {
	case p == nil:
	case nonsense && p.phase < killed:
		p.because(ReasonFrame)
		m.kill(now, p)
	case p.phase < draining:
		p.phase, p.until = draining, now+m.rule.stopTimeout
	}
}

// exited notes that a process is gone and reaped.
func (m *machine) exited(now time.Duration, id procID, clean bool) {
	p := m.procs[id]
	if p == nil {
		return
	}
	if clean {
		p.because(ReasonExit)
	}
	p.because(ReasonCrash)
	m.leave(now, p, actExited)
}

// leave forgets a process, and sees to it that its slot gets another.
func (m *machine) leave(now time.Duration, p *proc, kind actionKind) {
	delete(m.procs, p.id)
	s := &m.slots[p.slot]
	attached := s.current == p || s.fresh == p
	if s.current == p {
		s.current = nil
	}
	if s.fresh == p {
		s.fresh = nil
	}
	wait, ok := never, true
	if attached && s.current == nil && s.fresh == nil && p.slot < m.want && !m.stopping {
		if wait, ok = s.history.failed(m.rule.restartRule, now, now-p.since, m.random()); ok {
			s.startAt = now + wait
		} else {
			s.givenUp, wait = true, never
		}
	}
	m.emit(action{kind: kind, proc: p.id, slot: p.slot, reason: p.reason, wait: wait, forced: p.forced})
	if !ok {
		m.gaveUp(now, p.slot)
	}
	if b := m.busy; b != nil && b.old == p.id {
		m.settle(now, true)
	} else if b != nil && b.old == 0 && b.fresh == p.id {
		m.settle(now, false)
	}
}

// gaveUp ends the whole if a slot must not be missing, or if none is left.
func (m *machine) gaveUp(now time.Duration, slot int) {
	m.emit(action{kind: actGiveUp, slot: slot})
	left := slices.ContainsFunc(m.slots[:m.want], func(s place) bool { return !s.givenUp })
	if !m.rule.degrade || !left {
		m.stop(now)
	}
}

// resize sets how many slots there are. Those that go are the last ones.
func (m *machine) resize(now time.Duration, want int) {
	old := m.want
	m.grow(want)
	for i := want; i < old; i++ {
		s := &m.slots[i]
		for _, p := range []*proc{s.current, s.fresh} {
			if p != nil {
				m.end(now, p, ReasonResize)
			}
		}
		if b := m.busy; b != nil && b.slot == i {
			m.settle(now, true)
		}
		s.current, s.fresh, s.startAt, s.givenUp, s.history = nil, nil, never, false, restarts{}
	}
	for i := old; i < want; i++ {
		m.fill(now, i)
	}
	m.checkUp()
}

// tick does what is due.
func (m *machine) tick(now time.Duration) {
	for _, p := range m.all() {
		switch {
		case now >= p.until:
			m.overdue(now, p)
		case p.phase == serving && m.rule.hung > 0 && now >= p.seen+m.rule.hung:
			p.because(ReasonHung)
			m.signal(now, p, sigQuit)
		case p.phase == serving && now >= p.retire:
			p.retire = never
			m.recycle(now, p, ReasonAge)
		}
	}
	for i := range m.slots {
		if m.slots[i].startAt <= now {
			m.fill(now, i)
		}
	}
}

// next is when tick has something to do.
func (m *machine) next() time.Duration {
	at := never
	for _, p := range m.procs {
		at = min(at, p.until)
		if p.phase == serving {
			at = min(at, p.retire)
			if m.rule.hung > 0 {
				at = min(at, p.seen+m.rule.hung)
			}
		}
	}
	for i := range m.slots {
		at = min(at, m.slots[i].startAt)
	}
	return at
}
