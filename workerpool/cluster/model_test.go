//go:build unix

package cluster

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The model: what a master has done to its processes, as somebody sees it who
// knows the rules of the machine and nothing of its insides.
type modelProc struct {
	slot  int
	ready bool
	left  bool   // it has closed its socket, and is about to end by itself
	asked bool   // to end, whether that reached it or not
	known bool   // it runs: what it was told before did not reach it
	told  string // "", "drain", "term" or "kill": the roughest thing it was told
}

type model struct {
	t        *testing.T
	want     int
	procs    map[procID]*modelProc
	givenUp  map[int]bool
	pending  map[int]bool // slots that were promised a start
	stopping bool
	spawned  int
	ended    int
}

var roughness = map[string]int{"": 0, "drain": 1, "term": 2, "kill": 3}

// see applies one action, and requires that the rules allow it.
func (m *model) see(a action) {
	p := m.procs[a.proc]
	rougher := func(what string) {
		require.NotNil(m.t, p)
		require.Greater(m.t, roughness[what], roughness[p.told], "%v: it was told %q", a, p.told)
		p.told = what
	}
	switch a.kind {
	case actSpawn:
		require.False(m.t, m.stopping, "%v while stopping", a)
		require.Less(m.t, a.slot, m.want)
		m.procs[a.proc] = &modelProc{slot: a.slot}
		m.spawned++
		delete(m.pending, a.slot)
		delete(m.givenUp, a.slot)
	case actReady:
		p.ready = true
	case actDrain:
		if a.reason == ReasonReload || a.reason == ReasonMemory || a.reason == ReasonAge {
			require.True(m.t, p.asked || m.serves(p.slot, p), "%v before there is another", a)
		}
		p.asked = true
		rougher("drain")
	case actSignal:
		rougher(map[signal]string{sigTerm: "term", sigQuit: "term", sigKill: "kill"}[a.signal])
	case actExited, actAbandoned:
		delete(m.procs, a.proc)
		m.ended++
		if a.wait != never {
			m.pending[a.slot] = true
		}
	case actGiveUp:
		m.givenUp[a.slot] = true
	}
}

// serves reports whether a slot has a ready process other than p that was not
// told to end.
func (m *model) serves(slot int, p *modelProc) bool {
	for _, other := range m.procs {
		if other != p && other.slot == slot && other.ready && other.told == "" {
			return true
		}
	}
	return false
}

// check requires what must hold between any two steps.
func (m *model) check(real *machine) {
	m.stopping = real.stopping
	willing := make(map[int]int)
	spare := 0
	for _, p := range m.procs {
		if p.told == "" && !p.left {
			if willing[p.slot]++; willing[p.slot] > 1 {
				spare++
			}
		}
	}
	require.LessOrEqual(m.t, spare, 1, "one replacement at a time")
	for slot := range m.want {
		if n := willing[slot]; !m.stopping && !m.givenUp[slot] && n == 0 {
			require.True(m.t, m.pending[slot] || m.leaving(slot), "nobody works in slot %d, and nobody will", slot)
		}
	}
	require.Len(m.t, real.procs, m.spawned-m.ended)
	require.Equal(m.t, m.stopping && len(m.procs) == 0, real.over())
}

// leaving reports whether a slot has a process that is on its way out: when it
// is gone the slot gets another.
func (m *model) leaving(slot int) bool {
	for _, p := range m.procs {
		if p.slot == slot {
			return true
		}
	}
	return false
}

// compare runs the operations that data encodes on a machine, lets the model
// see what it does, and brings it to its end.
func compare(t *testing.T, data []byte) {
	r := testMachineRule()
	r.maxMemory, r.maxAge, r.hung = 100, time.Hour, 40*time.Second
	r.degrade = len(data)%2 == 0
	random := rand.New(rand.NewPCG(uint64(len(data)), 7))
	real := newMachine(r, 3, random.Float64)
	m := &model{t: t, want: 3, procs: map[procID]*modelProc{}, givenUp: map[int]bool{}, pending: map[int]bool{}}
	now := time.Duration(0)
	step := func(f func()) {
		f()
		for _, a := range real.take() {
			m.see(a)
		}
		m.check(real)
	}
	step(func() { real.start(now) })
	for _, op := range data {
		arg := int(op >> 4)
		var id procID // one of the processes, if there are any
		if all := real.all(); len(all) > 0 {
			id = all[arg%len(all)].id
		}
		step(func() {
			switch op & 0xf {
			case 0, 1, 2:
				if p := m.procs[id]; p != nil && !p.known {
					p.known, p.told = true, ""
				}
				real.running(id, 1)
				real.ready(now, id)
			case 3:
				now = max(now, min(now+time.Hour, real.next()))
				real.tick(now)
			case 4:
				now += time.Duration(arg) * time.Second
				real.tick(now)
			case 5, 6:
				real.exited(now, id, arg%2 == 0)
			case 7:
				real.heard(now, id, uint64(arg)*10)
			case 8:
				if p := m.procs[id]; p != nil {
					p.left = true
				}
				real.hungUp(now, id, false)
			case 9:
				real.hungUp(now, id, true)
			case 10, 11:
				real.reload(now)
			case 12:
				m.want = 1 + arg%5
				real.resize(now, m.want)
				for slot := range m.pending {
					if slot >= m.want {
						delete(m.pending, slot)
					}
				}
				for slot := range m.givenUp {
					if slot >= m.want {
						delete(m.givenUp, slot)
					}
				}
			case 13:
				for _, p := range real.all() {
					real.heard(now, p.id, 0)
				}
			case 14:
				if arg == 0 {
					real.stop(now)
				}
			case 15:
				if arg == 0 {
					real.killAll(now, true)
				}
			}
		})
	}
	// However it stands, stopping ends, even if no process ever does.
	step(func() { real.stop(now) })
	deadline := now + r.stopTimeout + r.killAfter + abandonAfter
	for !real.over() {
		require.NotEqual(t, never, real.next(), "it waits for nothing")
		now = max(now, real.next())
		require.LessOrEqual(t, now, deadline)
		step(func() { real.tick(now) })
		require.Greater(t, real.next(), now, "what was due is done")
	}
	require.Equal(t, m.spawned, m.ended)
}

func TestMachineBehavesAsTheModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		data := make([]byte, 20+rng.IntN(80))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		compare(t, data)
	}
}
