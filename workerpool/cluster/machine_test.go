//go:build unix

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bench drives a machine by hand: no process, no clock.
type bench struct {
	t *testing.T
	m *machine

	now time.Duration
}

func testMachineRule() rule {
	return rule{
		restartRule:  restartRule{min: time.Second, max: 8 * time.Second, stable: time.Minute, limit: 3, window: 10 * time.Minute},
		startTimeout: 30 * time.Second, stopTimeout: 10 * time.Second, killAfter: 2 * time.Second, hung: 5 * time.Minute,
	}
}

// newBench starts a machine with jitter at its least.
func newBench(t *testing.T, want int, change func(*rule)) *bench {
	r := testMachineRule()
	if change != nil {
		change(&r)
	}
	b := &bench{t: t, m: newMachine(r, want, func() float64 { return 0 })}
	b.m.start(0)
	return b
}

// String writes an action as the tests below do.
func (a action) String() string {
	switch a.kind {
	case actSpawn:
		return fmt.Sprintf("spawn %d/%d", a.slot, a.proc)
	case actDrain:
		return fmt.Sprintf("drain %d %s %v", a.proc, a.reason, a.wait)
	case actSignal:
		return fmt.Sprintf("%s %d", [...]string{sigTerm: "term", sigQuit: "quit", sigKill: "kill"}[a.signal], a.proc)
	case actReady:
		return fmt.Sprintf("ready %d", a.proc)
	case actExited, actAbandoned:
		s := fmt.Sprintf("exited %d %s", a.proc, a.reason)
		if a.kind == actAbandoned {
			s = fmt.Sprintf("abandoned %d %s", a.proc, a.reason)
		}
		if a.forced {
			s += " forced"
		}
		if a.wait != never {
			s += fmt.Sprintf(" next %v", a.wait)
		}
		return s
	case actGiveUp:
		return fmt.Sprintf("give up %d", a.slot)
	case actUp:
		return "up"
	case actReloading:
		return "reloading"
	case actReloaded:
		return fmt.Sprintf("reloaded %d", a.slot)
	}
	return "?"
}

// expect wants exactly these actions, separated by semicolons.
func (b *bench) expect(want string) {
	b.t.Helper()
	var got []string
	for _, a := range b.m.take() {
		got = append(got, a.String())
	}
	require.Equal(b.t, want, strings.Join(got, "; "), "at %v", b.now)
}

func (b *bench) ready(ids ...procID) {
	for _, id := range ids {
		b.m.running(id, int(1000+id))
		b.m.ready(b.now, id)
	}
}

// up makes all first workers ready.
func (b *bench) up() {
	for id := procID(1); id <= procID(b.m.want); id++ {
		b.ready(id)
	}
	b.m.take()
}

// at lets the time be now, and does what is due.
func (b *bench) at(now time.Duration) {
	require.GreaterOrEqual(b.t, now, b.now)
	b.now = now
	b.m.tick(now)
}

func (b *bench) crash(id procID) { b.m.exited(b.now, id, false) }

const s = time.Second

func TestMachineStartsEachSlot(t *testing.T) {
	b := newBench(t, 3, nil)
	b.expect("spawn 0/1; spawn 1/2; spawn 2/3")
	b.ready(2)
	b.expect("ready 2")
	b.ready(1, 3)
	b.expect("ready 1; ready 3; up")
	b.ready(1)
	b.expect("")
	require.Equal(t, 5*time.Minute, b.m.next(), "when the first would be hung")
}

func TestMachineRestartsWithBackoff(t *testing.T) {
	b := newBench(t, 1, nil)
	b.expect("spawn 0/1")
	b.crash(1)
	b.expect("exited 1 crash next 1s")
	require.Equal(t, 1*s, b.m.next())
	b.at(1*s - 1)
	b.expect("")
	b.at(1 * s)
	b.expect("spawn 0/2")
	b.ready(2)
	b.expect("ready 2; up")
	b.m.exited(b.now, 2, true)
	b.expect("exited 2 exit next 2s")
	b.at(3 * s)
	b.expect("spawn 0/3")
	b.ready(3)
	b.at(3*s + time.Minute) // stable
	b.crash(3)
	b.expect("ready 3; exited 3 crash next 1s")
}

func TestMachineGivesUpInACrashLoop(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	for _, id := range []procID{1, 3, 4} {
		b.crash(id)
		b.at(b.m.next())
	}
	b.expect("exited 1 crash next 1s; spawn 0/3; exited 3 crash next 2s; spawn 0/4; exited 4 crash next 4s; spawn 0/5")
	b.crash(5)
	b.expect("exited 5 crash; give up 0; drain 2 stop 10s")
	require.False(t, b.m.over())
	b.m.exited(b.now, 2, true)
	b.expect("exited 2 stop")
	require.True(t, b.m.over())
	require.Equal(t, never, b.m.next())
}

func TestMachineDegradesUntilNoSlotIsLeft(t *testing.T) {
	b := newBench(t, 2, func(r *rule) { r.degrade, r.limit = true, 0 })
	b.up()
	b.crash(1)
	b.expect("exited 1 crash; give up 0")
	b.m.reload(b.now)
	b.expect("reloading; spawn 0/3")
	b.ready(3)
	b.expect("ready 3; spawn 1/4")
	b.ready(4)
	b.expect("ready 4; drain 2 reload 10s")
	b.m.exited(b.now, 2, true)
	b.expect("exited 2 reload; reloaded -1")
	b.crash(3)
	b.crash(4)
	b.expect("exited 3 crash; give up 0; exited 4 crash; give up 1")
	require.True(t, b.m.over())
}

func TestMachineStopsInSteps(t *testing.T) {
	b := newBench(t, 4, nil)
	b.m.running(1, 1)
	b.ready(2, 3, 4)
	b.crash(4) // waits for its restart, which does not come
	b.m.take()
	b.m.stop(b.now)
	b.expect("drain 1 stop 10s; drain 2 stop 10s; drain 3 stop 10s")
	b.m.exited(b.now, 3, true)
	b.expect("exited 3 stop")
	b.at(10 * s)
	b.expect("term 1; term 2")
	b.crash(1)
	b.expect("exited 1 stop forced")
	b.at(12 * s)
	b.expect("kill 2")
	require.False(t, b.m.over())
	b.at(12*s + abandonAfter - 1)
	b.expect("")
	b.at(12*s + abandonAfter)
	b.expect("abandoned 2 stop forced")
	require.True(t, b.m.over())
	b.crash(2) // later after all
	b.expect("")
}

func TestMachineLosesPatienceWhenAskedAgain(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	b.m.stop(b.now)
	b.expect("drain 1 stop 10s; drain 2 stop 10s")
	b.m.stop(b.now)
	b.expect("term 1; term 2")
	b.m.stop(b.now)
	b.expect("")
	b.m.killAll(b.now, true)
	b.expect("kill 1; kill 2")
	b.m.killAll(b.now, true)
	b.expect("")
}

func TestMachineKillsAllAtOnce(t *testing.T) {
	for _, forced := range []bool{false, true} {
		b := newBench(t, 1, nil)
		b.up()
		b.m.killAll(b.now, forced)
		b.expect("drain 1 stop 10s; kill 1")
		b.crash(1)
		b.expect(map[bool]string{false: "exited 1 stop", true: "exited 1 stop forced"}[forced])
	}
}

func TestMachineTellsAProcessThatStartsLateWhatItMissed(t *testing.T) {
	b := newBench(t, 4, nil)
	b.m.take()
	b.m.stop(b.now)
	b.m.take()
	require.True(t, b.m.running(1, 1))
	b.expect("drain 1 stop 10s")
	b.at(10 * s)
	b.m.take()
	b.m.running(2, 2)
	b.expect("term 2")
	b.at(12 * s)
	b.m.take()
	b.m.running(3, 3)
	b.expect("kill 3")
	b.at(12*s + abandonAfter)
	b.m.take()
	require.False(t, b.m.running(4, 4), "nobody knows it any more")
	b.expect("")
}

func TestMachineKillsWhoDoesNotGetReady(t *testing.T) {
	b := newBench(t, 1, nil)
	b.m.running(1, 1)
	b.m.take()
	b.at(30 * s)
	b.expect("quit 1")
	b.m.ready(b.now, 1)
	b.expect("")
	b.at(32 * s)
	b.expect("kill 1")
	b.crash(1)
	b.expect("exited 1 start next 1s")
}

func TestMachineKillsWhoIsHung(t *testing.T) {
	b := newBench(t, 1, func(r *rule) { r.hung = 5 * s })
	b.up()
	b.at(4 * s)
	b.m.heard(b.now, 1, 0)
	b.at(9*s - 1)
	b.expect("")
	require.Equal(t, 9*s, b.m.next())
	b.at(9 * s)
	b.expect("quit 1")
	b.at(11 * s)
	b.expect("kill 1")
	b.crash(1)
	b.expect("exited 1 hung next 1s")
}

func TestMachineWaitsForWhoHasHungUp(t *testing.T) {
	b := newBench(t, 1, nil)
	b.up()
	b.m.hungUp(b.now, 1, false)
	b.expect("")
	b.m.hungUp(b.now, 1, false)
	b.at(10 * s)
	b.expect("term 1")
	b.crash(1)
	b.expect("exited 1 crash forced next 1s")
	b.m.hungUp(b.now, 1, false)
	b.m.heard(b.now, 1, 1)
	b.m.ready(b.now, 1)
	b.expect("")
}

func TestMachineKillsWhoSendsNonsense(t *testing.T) {
	b := newBench(t, 1, nil)
	b.up()
	b.m.hungUp(b.now, 1, true)
	b.m.hungUp(b.now, 1, true)
	b.expect("kill 1")
	b.crash(1)
	b.expect("exited 1 frame next 1s")
}

func TestMachineReloadsOneAfterTheOther(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	require.True(t, b.m.reload(b.now))
	b.expect("reloading; spawn 0/3")
	require.False(t, b.m.reload(b.now), "one at a time")
	b.ready(3)
	b.expect("ready 3; drain 1 reload 10s")
	b.m.exited(b.now, 1, true)
	b.expect("exited 1 reload; spawn 1/4")
	b.ready(4)
	b.expect("ready 4; drain 2 reload 10s")
	b.at(10 * s)
	b.expect("term 2")
	b.crash(2)
	b.expect("exited 2 reload forced; reloaded -1")
	require.True(t, b.m.reload(b.now))
	b.expect("reloading; spawn 0/5")
}

func TestMachineReloadEndsWithTheFirstFailure(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	b.m.reload(b.now)
	b.crash(3)
	b.expect("reloading; spawn 0/3; exited 3 crash; reloaded 0")
	b.at(time.Minute)
	b.expect("")
	require.Equal(t, procID(1), b.m.slots[0].current.id, "the old one serves on")

	b.m.reload(b.now)
	b.expect("reloading; spawn 0/4")
	b.at(b.now + 30*s)
	b.expect("quit 4")
	b.crash(4)
	b.expect("exited 4 start; reloaded 0")
}

func TestMachineReloadGoesOnWhenTheOldOneDiesFirst(t *testing.T) {
	b := newBench(t, 1, nil)
	b.up()
	b.m.reload(b.now)
	b.crash(1)
	b.expect("reloading; spawn 0/2; exited 1 crash")
	b.ready(2)
	b.expect("ready 2; reloaded -1")

	// And if the new one dies as well, the slot starts again as ever.
	b.m.reload(b.now)
	b.crash(2)
	b.crash(3)
	b.expect("reloading; spawn 0/3; exited 2 crash; exited 3 crash next 1s; reloaded 0")
	b.at(1 * s)
	b.expect("spawn 0/4")
}

func TestMachineReloadFillsASlotThatWaits(t *testing.T) {
	b := newBench(t, 1, nil)
	b.crash(1)
	b.m.take()
	b.m.reload(b.now)
	b.expect("reloading; spawn 0/2")
	b.at(5 * s) // the restart that was due is not made on top
	b.expect("")
	b.ready(2)
	b.expect("ready 2; reloaded -1; up")
}

func TestMachineStopEndsAReload(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	b.m.reload(b.now)
	b.m.take()
	b.m.stop(b.now)
	b.expect("reloaded -2; drain 1 stop 10s; drain 2 stop 10s; drain 3 stop 10s")
	require.False(t, b.m.reload(b.now))
	for _, id := range []procID{1, 2, 3} {
		b.m.exited(b.now, id, true)
	}
	b.expect("exited 1 stop; exited 2 stop; exited 3 stop")
	require.True(t, b.m.over())
}

func TestMachineRecyclesByMemory(t *testing.T) {
	b := newBench(t, 2, func(r *rule) { r.maxMemory = 100 })
	b.up()
	b.m.heard(b.now, 1, 100)
	b.expect("")
	b.m.heard(b.now, 1, 101)
	b.m.heard(b.now, 2, 101)
	b.m.heard(b.now, 1, 200)
	b.expect("spawn 0/3") // one at a time, and once
	b.ready(3)
	b.expect("ready 3; drain 1 memory 10s")
	b.m.heard(b.now, 1, 300)
	b.m.exited(b.now, 1, true)
	b.expect("exited 1 memory; spawn 1/4")
	b.crash(2) // by itself, before the new one is ready
	b.expect("exited 2 crash")
	b.ready(4)
	b.expect("ready 4")
}

func TestMachineLeavesAloneWhomItCouldNotRecycle(t *testing.T) {
	b := newBench(t, 1, func(r *rule) { r.maxMemory = 100 })
	b.up()
	b.m.heard(b.now, 1, 101)
	b.crash(2)
	b.expect("spawn 0/2; exited 2 crash")
	b.m.heard(b.now, 1, 101)
	b.expect("")
	b.at(8 * s)
	b.m.heard(b.now, 1, 101)
	b.expect("spawn 0/3")
}

func TestMachineRecyclesByAge(t *testing.T) {
	b := newBench(t, 2, func(r *rule) { r.maxAge = time.Minute })
	b.up()
	require.Equal(t, time.Minute, b.m.next())
	b.at(time.Minute)
	b.expect("spawn 0/3")
	b.ready(3)
	b.m.exited(b.now, 1, true)
	b.expect("ready 3; drain 1 age 10s; exited 1 age; spawn 1/4")
	b.crash(4)
	b.expect("exited 4 crash")
	b.at(time.Minute + 8*s) // and again after a while
	b.expect("spawn 1/5")

	early := newMachine(rule{restartRule: testRule, startTimeout: s, stopTimeout: s, killAfter: s, maxAge: time.Minute}, 1, func() float64 { return 0.5 })
	early.start(0)
	early.ready(0, 1)
	require.Equal(t, 57*s, early.next(), "half of a tenth earlier")
}

func TestMachineRecyclingGivesWayToAReload(t *testing.T) {
	b := newBench(t, 2, func(r *rule) { r.maxMemory = 100 })
	b.up()
	b.m.heard(b.now, 1, 101)
	b.m.heard(b.now, 2, 101)
	b.expect("spawn 0/3")
	b.m.reload(b.now)
	b.expect("reloading")
	b.ready(3)
	b.m.exited(b.now, 1, true)
	b.expect("ready 3; drain 1 memory 10s; exited 1 memory; spawn 0/4")
	b.ready(4)
	b.m.exited(b.now, 3, true)
	b.ready(5)
	b.m.exited(b.now, 2, true)
	b.expect("ready 4; drain 3 reload 10s; exited 3 reload; spawn 1/5; ready 5; drain 2 reload 10s; exited 2 reload; reloaded -1")
}

func TestMachineResizes(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	b.m.resize(b.now, 3)
	b.expect("spawn 2/3")
	b.m.resize(b.now, 1)
	b.expect("drain 2 resize 10s; drain 3 resize 10s")
	b.m.resize(b.now, 2) // while the old one still ends
	b.expect("spawn 1/4")
	b.m.exited(b.now, 2, true)
	b.expect("exited 2 resize")
	b.at(10 * s)
	b.expect("term 3")
	b.crash(3)
	b.expect("exited 3 resize forced")
	b.ready(4)
	b.expect("ready 4")
	require.Len(t, b.m.procs, 2)
}

func TestMachineResizeUnderAReload(t *testing.T) {
	b := newBench(t, 3, nil)
	b.up()
	b.m.reload(b.now)
	b.ready(4)
	b.m.exited(b.now, 1, true)
	b.m.take()
	b.m.resize(b.now, 1) // slot 1 is being replaced, slot 2 is still to be
	b.expect("drain 2 resize 10s; drain 5 resize 10s; reloaded -1; drain 3 resize 10s")
}

func TestMachineSlotsThatWaitGoWithAResize(t *testing.T) {
	b := newBench(t, 2, nil)
	b.up()
	b.crash(2)
	b.m.take()
	b.m.resize(b.now, 1)
	b.at(time.Minute)
	b.expect("")
}
