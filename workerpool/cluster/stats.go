package cluster

import (
	"maps"
	"slices"
	"time"
)

// Stats is one consistent snapshot of a master. Publish it with expvar.Func,
// or read it from a metrics collector.
type Stats struct {
	Name    string `json:"name"`    // Config.Name
	State   State  `json:"state"`   // what the master is doing
	Workers int    `json:"workers"` // slots
	Ready   int    `json:"ready"`   // slots whose worker is ready
	GivenUp int    `json:"given_up"`

	Starts  uint64            `json:"starts"`  // processes started
	Exits   map[Reason]uint64 `json:"exits"`   // processes ended, by reason
	Forced  uint64            `json:"forced"`  // of those: who did not end in time when asked
	Reloads uint64            `json:"reloads"` // that replaced every worker
	Dropped uint64            `json:"dropped"` // messages to workers or hooks that found no room

	// Counters are the sums over all slots, also those that Resize has taken
	// away and those of the master before an upgrade.
	Counters map[string]uint64 `json:"counters"`

	Slots []SlotStats `json:"slots"` // by slot
}

// State is what a master is doing.
type State string

// The states.
const (
	StateIdle      State = "idle"      // Run was not called, or this is not the master
	StateStarting  State = "starting"  // not all workers have been ready yet
	StateRunning   State = "running"   // they have
	StateReloading State = "reloading" // one after the other is replaced
	StateStopping  State = "stopping"  // all were asked to end
	StateStopped   State = "stopped"   // Run is over
)

// SlotStats tells of one slot: of its worker now, and of all it has had.
type SlotStats struct {
	Slot   int           `json:"slot"`   // from 0
	State  string        `json:"state"`  // of the worker: starting, ready, draining, terminating, killed; or waiting, given up
	Pid    int           `json:"pid"`    // 0 if there is none
	Age    time.Duration `json:"age_ns"` // of the process
	Starts uint64        `json:"starts"` // processes so far

	RSS        uint64 `json:"rss"`        // bytes of the machine's memory, by its latest report
	PeakRSS    uint64 `json:"peak_rss"`   // the most that any process of the slot has reported
	Heap       uint64 `json:"heap"`       // bytes of objects on the Go heap
	Goroutines int    `json:"goroutines"` // likewise

	// Counters are those of all processes of the slot. What a process that was
	// killed counted after its last report is lost.
	Counters map[string]uint64 `json:"counters"`
}

// Stats returns a snapshot. Its cost grows with the slots and their counters.
func (c *Cluster) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.master
	if s == nil {
		return Stats{Name: c.cfg.Name, State: c.state, Workers: c.cfg.Workers, Exits: map[Reason]uint64{}, Counters: map[string]uint64{}}
	}
	m := s.machine
	out := Stats{
		Name: c.cfg.Name, State: c.stateLocked(), Workers: m.want,
		Starts: s.starts, Exits: maps.Clone(s.exits), Forced: s.forcedCount, Reloads: s.reloads, Dropped: s.dropped,
		Counters: make(map[string]uint64),
	}
	for _, r := range s.ledger {
		addAll(out.Counters, r.totals.sum())
	}
	now := c.now()
	for i, p := range m.slots[:m.want] {
		st := s.slotStatsLocked(now, i, p)
		out.Slots = append(out.Slots, st)
		if st.State == serving.String() {
			out.Ready++
		}
		if p.givenUp {
			out.GivenUp++
		}
	}
	return out
}

func (s *supervisor) slotStatsLocked(now time.Duration, i int, p place) SlotStats {
	r := s.recordLocked(i)
	out := SlotStats{Slot: i, State: "waiting", Starts: r.starts, PeakRSS: r.peak, Counters: r.totals.sum()}
	if p.givenUp {
		out.State = "given up"
	}
	if p.current != nil {
		out.State, out.Pid, out.Age = p.current.phase.String(), p.current.pid, now-p.current.since
		if k := s.kids[p.current.id]; k != nil {
			out.RSS, out.Heap, out.Goroutines = k.report.RSS, k.report.Heap, k.report.Goroutines
		}
	}
	return out
}

// stateLocked is the state while Run is under way.
func (c *Cluster) stateLocked() State {
	switch m := c.master.machine; {
	case c.state != StateRunning:
		return c.state
	case m.stopping:
		return StateStopping
	case m.reloading:
		return StateReloading
	case !m.up:
		return StateStarting
	}
	return StateRunning
}

// record is what is known of a slot over all its processes. It outlives the
// slot.
type record struct {
	totals totals
	starts uint64
	peak   uint64
	last   string // how the latest process ended
}

// recordLocked returns the record of a slot, which it makes when first needed.
func (s *supervisor) recordLocked(slot int) *record {
	r := s.ledger[slot]
	if r == nil {
		r = new(record)
		s.ledger[slot] = r
	}
	return r
}

// ledgerSlots lists the slots that have a record.
func (s *supervisor) ledgerSlots() []int { return slices.Sorted(maps.Keys(s.ledger)) }

// JobsStats is one consistent snapshot of Jobs.
type JobsStats struct {
	Name    string `json:"name"`    // JobsConfig.Name
	Workers int    `json:"workers"` // processes at most
	Alive   int    `json:"alive"`   // processes, those being started or ended included
	Idle    int    `json:"idle"`    // of those: ready and free
	Busy    int    `json:"busy"`    // calls that have a process
	Waiting int    `json:"waiting"` // calls that wait for one

	Calls         uint64 `json:"calls"`          // that got a process
	Failed        uint64 `json:"failed"`         // whose function returned an error
	Panics        uint64 `json:"panics"`         // whose function panicked
	Lost          uint64 `json:"lost"`           // whose process ended
	Canceled      uint64 `json:"canceled"`       // whose caller left, and whose function heeded it
	Killed        uint64 `json:"killed"`         // whose caller left, and whose process was killed
	Refused       uint64 `json:"refused"`        // for want of room to wait
	Starts        uint64 `json:"starts"`         // processes that got ready
	StartFailures uint64 `json:"start_failures"` // processes that did not
}

// Stats returns a snapshot.
func (j *Jobs) Stats() JobsStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Name, s.Workers = j.cfg.Name, j.cfg.Workers
	s.Alive, s.Idle, s.Busy, s.Waiting = j.alive, len(j.idle), j.busy, j.waiters.Len()
	return s
}
