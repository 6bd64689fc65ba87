package bulkhead_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// This file explores every interleaving of a few callers in the protocol of
// the slots word, one atomic step at a time: take, release, enqueue, leave,
// giveLocked and resizeLocked as they are in slots.go and queue.go. In each
// state that can be reached it checks that no more slots are in use than the
// limit and that none is lost, and in each final state that everybody had a
// turn and all came back.

const (
	protoReason  = 100 // stands for the constant reason
	protoThreads = 3
)

// The steps. A thread at a step executes it as one atomic action, and goes on
// at the step that the action leaves in pc.
const (
	pcLoad    = iota // take: load the word
	pcSwap           // take: compare and swap
	pcLock           // enqueue: lock
	pcLook           // enqueue, locked: load the word
	pcPush           // enqueue, locked: take after all, or put the reason and push
	pcWait           // parked, until granted or (if it may) cancelled
	pcLeave          // leave: lock, go out of the queue
	pcHold           // inside
	pcRelease        // release: add to the word
	pcSlow           // releaseSlow: lock
	pcGive           // giveLocked: look whether the first waiter fits
	pcGrant          // giveLocked: grant it
	pcResize         // Resize: lock, move the limit
	pcDone
)

type protoThread struct {
	pc, n, word int
	cancels     bool // it may be cancelled while it waits
	granted     bool
}

type protoState struct {
	word, limit int
	locked      bool
	queue       [protoThreads]int // threads + 1, first in first out
	threads     [protoThreads]protoThread
}

func protoFree(word int) int { // as freeIn
	for word < -protoReason/2 {
		word += protoReason
	}
	return word
}

func (s *protoState) push(i int) {
	for j, q := range s.queue {
		if q == 0 {
			s.queue[j] = i + 1
			return
		}
	}
}

func (s *protoState) remove(i int) (was bool) {
	var kept [protoThreads]int
	n := 0
	for _, q := range s.queue {
		if q == i+1 {
			was = true
		} else if q != 0 {
			kept[n] = q
			n++
		}
	}
	s.queue = kept
	return was
}

// next returns the states that one step of thread i leads to.
func (s protoState) next(i int) []protoState {
	t := &s.threads[i]
	switch t.pc {
	case pcLoad:
		t.word, t.pc = s.word, pcSwap
		if s.word < t.n {
			t.pc = pcLock
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
		s.locked, t.pc = true, pcLook
	case pcLook:
		t.word, t.pc = s.word, pcPush
	case pcPush:
		switch empty := s.queue[0] == 0; {
		case !empty:
			s.push(i)
			t.pc, s.locked = pcWait, false
		case s.word != t.word:
			t.pc = pcLook // the swap fails
		case protoFree(t.word) >= t.n:
			s.word -= t.n
			t.pc, s.locked = pcHold, false
		default:
			s.word -= protoReason
			s.push(i)
			t.pc, s.locked = pcWait, false
		}
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
		}
		s.locked, t.pc = true, pcGive
	case pcGive:
		if first := s.queue[0]; first != 0 && protoFree(s.word) >= s.threads[first-1].n {
			t.pc = pcGrant
		} else {
			t.pc, s.locked = pcDone, false
		}
	case pcGrant:
		first := s.queue[0] - 1
		s.remove(first)
		s.word -= s.threads[first].n
		if s.queue[0] == 0 {
			s.word += protoReason
		}
		s.threads[first].granted = true
		t.pc = pcGive
	case pcDone:
		return nil
	}
	return []protoState{s}
}

// explore visits every state that start can reach.
func explore(t *testing.T, start protoState) (states int) {
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
		inUse, done := 0, 0
		for _, th := range s.threads {
			switch {
			case th.pc == pcHold || th.pc == pcRelease || th.granted:
				inUse += th.n
			case th.pc == pcDone:
				done++
			}
		}
		require.LessOrEqual(t, inUse, most, "%+v", s)
		require.Equal(t, s.limit, protoFree(s.word)+inUse, "slots lost or made: %+v", s)
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
			require.Equal(t, protoThreads, done, "a wake-up was lost: %+v", s)
			require.Equal(t, s.limit, s.word, "a reason was left: %+v", s)
		}
	}
	return len(seen)
}

func TestProtocolInEveryInterleaving(t *testing.T) {
	states := 0
	for limit := 1; limit <= 3; limit++ {
		for weights := range 8 {
			for cancels := range 8 {
				for _, change := range []int{-1, 0, 1} {
					s := protoState{word: limit, limit: limit}
					w, fits := weights, true
					for i := range s.threads {
						s.threads[i] = protoThread{pc: pcLoad, n: w%2 + 1, cancels: cancels>>i&1 == 1}
						w /= 2
						fits = fits && s.threads[i].n <= min(limit, limit+change)
					}
					if change != 0 {
						s.threads[0] = protoThread{pc: pcResize, word: change}
					}
					if !fits || limit+change < 1 {
						continue // refused before it comes to the protocol
					}
					states += explore(t, s)
				}
			}
		}
	}
	t.Logf("%d states", states)
}
