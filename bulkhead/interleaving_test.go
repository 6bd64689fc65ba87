package bulkhead_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// This file explores every interleaving of a few callers in the protocol of
// the slots word, one atomic step at a time: take, takeOne with its debt,
// release, enqueue, leave, giveLocked, resizeLocked, the mark of a refusal and
// Drain as they are in slots.go and queue.go. In each state that can be reached
// it checks that no more slots are in use than the limit and that none is lost,
// and in each final state that everybody had a turn and all came back.
//
// Hints are left out: every caller of one slot that may take it by subtraction
// does so, at the worst moments too.

const (
	protoReason  = 40 // stands for the constant reason
	protoThreads = 4
)

// The steps. A thread at a step executes it as one atomic action, and goes on
// at the step that the action leaves in pc.
const (
	pcDone    = iota
	pcAdd     // takeOne: subtract from the word
	pcSettle  // settle: lock
	pcKeep    // settle, locked: load the word, keep the slot if there is one
	pcUndo    // settle, locked: add the debt back by compare and swap
	pcLoad    // take: load the word
	pcSwap    // take: compare and swap
	pcLock    // enqueue, takeSlow: lock
	pcLook    // enqueue, locked: load the word
	pcPush    // enqueue, locked: take after all, or put the reason and push, or refuse
	pcMark    // fullLocked: see that the next release is measured
	pcWait    // parked, until granted or (if it may) cancelled
	pcLeave   // leave: lock, go out of the queue
	pcHold    // inside
	pcRelease // release: add to the word
	pcSlow    // releaseSlow: lock, take the mark off
	pcGive    // giveLocked: look whether the first waiter fits
	pcGrant   // giveLocked: grant it
	pcTell    // tellIdleLocked, unlock
	pcResize  // Resize: lock, move the limit
	pcDrain   // Drain: lock, put the reason, look whether it is idle
	pcDrained // parked, until told
)

// What a caller does when there is no slot.
const (
	waits  = iota
	noWait // is refused, and leaves a mark
	try    // is refused, without the lock if it sees no reason for it
)

type protoThread struct {
	pc, n, word, kind, then int16
	cancels                 bool // it may be cancelled while it waits
	granted, debt           bool
}

type protoState struct {
	word, limit              int16
	locked, watching, closed bool
	draining, told           bool
	owed                     bool                // somebody was refused for the sake of a debt that hid a slot
	queue                    [protoThreads]int16 // threads + 1, first in first out
	threads                  [protoThreads]protoThread
}

func protoFree(word int16) int16 { // as freeIn
	for word < -protoReason/2 {
		word += protoReason
	}
	return word
}

func (s *protoState) debts() (debts int16) {
	for _, t := range s.threads {
		if t.debt {
			debts++
		}
	}
	return debts
}

func (s *protoState) idle() bool { return s.queue[0] == 0 && protoFree(s.word) == s.limit }

func (s *protoState) push(i int) {
	for j, q := range s.queue {
		if q == 0 {
			s.queue[j] = int16(i + 1)
			return
		}
	}
}

func (s *protoState) remove(i int) (was bool) {
	var kept [protoThreads]int16
	n := 0
	for _, q := range s.queue {
		if int(q) == i+1 {
			was = true
		} else if q != 0 {
			kept[n] = q
			n++
		}
	}
	s.queue = kept
	return was
}

// refuse decides that thread i gets no slots, and where it goes on.
func (s *protoState) refuse(i int, pc int16) {
	if !s.closed && s.queue[0] == 0 && protoFree(s.word)+s.debts() >= s.threads[i].n {
		s.owed = true
	}
	s.threads[i].pc = pc
}

// next returns the states that one step of thread i leads to.
func (s protoState) next(i int) []protoState {
	t := &s.threads[i]
	switch t.pc {
	case pcDone:
		return nil
	case pcAdd:
		s.word--
		if t.pc = pcHold; s.word < 0 {
			t.debt, t.pc = true, pcSettle
		}
	case pcSettle:
		if s.locked {
			return nil
		}
		s.locked, t.pc = true, pcKeep
	case pcKeep:
		if t.word, t.pc = s.word, pcUndo; s.queue[0] == 0 && !s.closed && protoFree(s.word) >= 0 {
			t.debt, t.pc = false, pcHold
			s.locked, s.owed = false, false
		}
	case pcUndo:
		if t.pc = pcKeep; s.word == t.word { // else the swap fails
			s.word++
			t.debt = false
			t.pc, t.then = pcGive, pcLoad
		}
	case pcLoad:
		t.word, t.pc = s.word, pcSwap
		if s.word < t.n {
			t.pc = pcLock
			if t.kind == try && s.word >= 0 {
				s.refuse(i, pcDone)
			}
		}
	case pcSwap:
		if s.word == t.word {
			s.word -= t.n
			t.pc = pcHold
		} else {
			t.pc = pcLoad
		}
	case pcLock:
		if s.locked {
			return nil
		}
		if s.locked, t.pc = true, pcLook; s.closed {
			s.refuse(i, pcDone)
			s.locked = false
		}
	case pcLook:
		t.word, t.pc = s.word, pcPush
	case pcPush:
		switch empty := s.queue[0] == 0; {
		case empty && s.word != t.word:
			t.pc = pcLook // the swap fails
		case empty && protoFree(t.word) >= t.n:
			s.word -= t.n
			t.pc, s.locked = pcHold, false
		case t.kind == try:
			s.refuse(i, pcDone)
			s.locked = false
		case t.kind == noWait:
			s.refuse(i, pcMark)
		default:
			if empty {
				s.word -= protoReason
			}
			s.push(i)
			t.pc, s.locked = pcWait, false
		}
	case pcMark:
		t.pc, s.locked = pcDone, false
		states := []protoState{s} // the swap fails
		if s.queue[0] == 0 && !s.watching && protoFree(s.word) < t.n {
			s.word -= protoReason
			s.watching = true
			states = append(states, s)
		}
		return states
	case pcWait:
		var states []protoState
		if t.granted {
			granted := s
			granted.threads[i].pc = pcHold
			states = append(states, granted)
		}
		if t.cancels {
			t.pc = pcLeave
			states = append(states, s)
		}
		return states
	case pcLeave:
		if s.locked {
			return nil
		}
		if s.remove(i) {
			if s.queue[0] == 0 {
				s.word += protoReason
			}
			t.n = 0
			s.locked, t.pc = true, pcGive
		} else {
			t.pc = pcRelease // it was granted: pass it on
		}
	case pcHold:
		t.pc = pcRelease
	case pcRelease:
		s.word += t.n
		t.n, t.granted, t.pc = 0, false, pcDone
		if s.word < 0 {
			t.pc = pcSlow
		}
	case pcSlow, pcResize:
		if s.locked {
			return nil
		}
		if t.pc == pcResize {
			s.word += t.word // the change of the limit
			s.limit += t.word
		} else if s.watching {
			s.word += protoReason
			s.watching = false
		}
		s.locked, t.pc = true, pcGive
	case pcGive:
		if first := s.queue[0]; first != 0 && protoFree(s.word) >= s.threads[first-1].n {
			t.pc = pcGrant
		} else {
			t.pc = pcTell
		}
	case pcGrant:
		first := s.queue[0] - 1
		s.remove(int(first))
		s.word -= s.threads[first].n
		if s.queue[0] == 0 {
			s.word += protoReason
		}
		s.threads[first].granted = true
		t.pc = pcGive
	case pcTell:
		s.told = s.told || s.draining && s.idle()
		s.locked = false
		t.pc, t.then = t.then, pcDone
	case pcDrain:
		if s.locked {
			return nil
		}
		if !s.closed {
			s.closed = true
			s.word -= protoReason
		}
		if t.pc = pcDone; !s.idle() {
			s.draining = true
			t.pc = pcDrained
		}
	case pcDrained:
		if !s.told {
			return nil
		}
		t.pc = pcDone
	}
	return []protoState{s}
}

// explore visits every state that start can reach. If strict, it also checks
// that whoever is refused because a debt hides the slot is refused for the sake
// of a debtor who gets it.
func explore(t *testing.T, start protoState, strict bool) (states int) {
	t.Helper()
	most := start.limit
	for _, th := range start.threads {
		if th.pc == pcResize {
			most = max(most, start.limit+th.word)
		}
	}
	seen := map[protoState]bool{start: true}
	todo := []protoState{start}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var inUse, done int16
		for _, th := range s.threads {
			switch {
			case th.pc == pcHold || th.pc == pcRelease || th.granted:
				inUse += th.n
			case th.pc == pcDone:
				done++
			case th.pc == pcDrained && s.told && inUse > 0:
				require.Fail(t, "told that it is idle too early", "%+v", s)
			}
		}
		// Written out, as require is slow and there are many states.
		if inUse > most || s.limit != protoFree(s.word)+s.debts()+inUse {
			require.Fail(t, "too many in use, or slots lost or made", "%+v", s)
		}
		if strict && s.owed && inUse > 0 {
			require.Fail(t, "a newcomer has the slot that was kept for another", "%+v", s)
		}
		stuck := true
		for i := range s.threads {
			for _, n := range s.next(i) {
				stuck = false
				if !seen[n] {
					seen[n] = true
					todo = append(todo, n)
				}
			}
		}
		if stuck {
			require.EqualValues(t, protoThreads, done, "a wake-up was lost: %+v", s)
			require.Equal(t, s.limit, protoFree(s.word), "%+v", s)
			if !s.closed {
				require.Equal(t, s.limit, s.word, "a reason was left: %+v", s)
			}
			require.False(t, strict && s.owed, "nobody has the slot that was kept for another: %+v", s)
		}
	}
	return len(seen)
}

// Three callers of one or two slots, each of which may be cancelled, or two and
// a Resize or a Drain.
func TestProtocolInEveryInterleaving(t *testing.T) {
	const resizeDown, nothing, resizeUp, drain = -1, 0, 1, 2
	states := 0
	for limit := int16(1); limit <= 3; limit++ {
		for weights := range 8 {
			for cancels := range 8 {
				for _, event := range []int16{resizeDown, nothing, resizeUp, drain} {
					s := protoState{word: limit, limit: limit}
					least := limit
					if event == resizeDown {
						least--
					}
					fits := least >= 1
					for i := range 3 {
						n := int16(weights>>i&1) + 1
						s.threads[i] = protoThread{pc: pcLoad, n: n, cancels: cancels>>i&1 == 1}
						if n == 1 {
							s.threads[i].pc = pcAdd
						}
						fits = fits && n <= least
					}
					switch event {
					case resizeDown, resizeUp:
						s.threads[0] = protoThread{pc: pcResize, word: event}
					case drain:
						s.threads[0] = protoThread{pc: pcDrain}
					}
					if fits { // else refused before it comes to the protocol
						states += explore(t, s, false)
					}
				}
			}
		}
	}
	t.Logf("%d states", states)
}

// Four at one slot: callers that wait, callers that do not, and a Drain.
func TestProtocolOfDebtsInEveryInterleaving(t *testing.T) {
	start := []protoThread{
		{pc: pcAdd, n: 1, kind: waits},
		{pc: pcAdd, n: 1, kind: noWait},
		{pc: pcLoad, n: 1, kind: try},
		{pc: pcDrain},
	}
	states := 0
	for kinds := range 256 {
		s := protoState{word: 1, limit: 1}
		strict, sorted := true, true
		var count [4]int
		for i := range s.threads {
			kind := kinds >> (2 * i) & 3
			s.threads[i] = start[kind]
			count[kind]++
			strict = strict && (kind == noWait || kind == try)
			sorted = sorted && (i == 0 || kind >= kinds>>(2*i-2)&3)
		}
		// The order of threads makes no difference; those left out for their
		// time (three that wait, two Drains) pass as well.
		if sorted && count[waits] <= 2 && count[3] <= 1 {
			states += explore(t, s, strict)
		}
	}
	t.Logf("%d states", states)
}
