package breaker

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	windowCells = 10
	maxShards   = 16

	busyCalls = 1024 // in a slice and shard, after which successes sample the clock
	sampled   = 16   // of which one looks at it
)

// timeWindow counts results by tenths of the window, the slices. Each shard
// holds all cells, and a call picks a shard at random, so that callers on
// several processors seldom write the same cache line.
//
// To read the clock costs more than all the rest. So once a slice holds many
// calls, successes read it only now and then, and the others count where it
// stood last. The error is small against what makes it possible: if traffic
// stops after 1024 calls in a tenth of the window, then the next 15 successes
// of each shard may count in a slice that is over. Failures always read the
// clock, for themselves and for the successes after them.
type timeWindow struct {
	width  int64         // of a slice, in nanoseconds
	epoch  atomic.Uint64 // the slice that the clock last showed; written by look
	turn   sync.Mutex    // serializes giving a cell to a later epoch
	shards []shard
}

type shard struct {
	cells [windowCells]cell
	_     [64]byte // keeps the cells of two shards on different lines
}

// cell counts the results of one epoch. Whoever finds the cell of an earlier
// epoch zeroes the counts before it stores the new one, holding turn. A writer
// that was suspended between looking at the epoch and counting can hit a later
// epoch; its result then counts in a cell it does not belong to, by at most
// one for each call in flight.
type cell struct {
	epoch  atomic.Uint64 // written by hand
	counts atomic.Uint64 // calls in the upper half, failures in the lower; added to by all
	slow   atomic.Uint64 // likewise
}

func newTimeWindow(window time.Duration) *timeWindow {
	procs := min(runtime.GOMAXPROCS(0), maxShards)
	return &timeWindow{
		width:  int64(window / windowCells),
		shards: make([]shard, 1<<bits.Len(uint(procs-1))),
	}
}

// epochOf numbers the slices of time from 1, so that the zero cell belongs to
// none. The sign bit is flipped because the clock can read less than zero.
func epochOf(now, width int64) uint64 {
	return (uint64(now)^1<<63)/uint64(width) + 1
}

func (t *timeWindow) add(now int64, failed, slow bool) {
	// The low digits of the clock are as good as chance, and are at hand.
	c := t.cell(t.look(now), uint64(now)*0x9e3779b97f4a7c15>>32)
	if c == nil {
		return
	}
	delta := uint64(1 << 32)
	if failed {
		delta++
	}
	c.counts.Add(delta)
	if slow {
		c.slow.Add(1)
	}
}

// succeed is add for a success that was not slow. Once a slice holds many calls
// in a shard, 15 of 16 that come to it do not look at the clock, but count in
// the slice that it last showed.
func (t *timeWindow) succeed(b *Breaker) {
	c := t.cell(t.epoch.Load(), rand.Uint64())
	if c == nil || c.counts.Load()>>32 < busyCalls {
		t.add(b.now(), false, false)
	} else if c.counts.Add(1<<32)>>32%sampled == 0 {
		t.look(b.now())
	}
}

// look returns the epoch of now, and remembers it.
func (t *timeWindow) look(now int64) uint64 {
	epoch := t.epoch.Load()
	if begin := (epoch - 1) * uint64(t.width); uint64(now)^1<<63-begin >= uint64(t.width) {
		epoch = epochOf(now, t.width) // a division, which is not cheap
		t.epoch.Store(epoch)
	}
	return epoch
}

// cell returns the cell of epoch in a shard, or nil if that has passed.
func (t *timeWindow) cell(epoch, shard uint64) *cell {
	c := &t.shards[shard&uint64(len(t.shards)-1)].cells[epoch%windowCells]
	if c.epoch.Load() != epoch && !t.hand(c, epoch) {
		return nil
	}
	return c
}

// hand gives a cell to epoch. It returns false if the cell is a lap ahead: then
// the caller was suspended for a window, and its result has left it already.
func (t *timeWindow) hand(c *cell, epoch uint64) bool {
	t.turn.Lock()
	defer t.turn.Unlock()
	switch c.epoch.Load() {
	case epoch:
	case epoch + windowCells:
		return false
	default:
		c.counts.Store(0)
		c.slow.Store(0)
		c.epoch.Store(epoch)
	}
	return true
}

// sum adds up the cells that are still in the window at now.
func (t *timeWindow) sum(now int64) (calls, failures, slow uint64) {
	epoch := t.look(now)
	for i := range t.shards {
		for j := range t.shards[i].cells {
			c := &t.shards[i].cells[j]
			if age := epoch - c.epoch.Load(); age >= windowCells {
				continue // older, or of a clock that ran ahead
			}
			counts := c.counts.Load()
			calls += counts >> 32
			failures += counts & (1<<32 - 1)
			slow += c.slow.Load()
		}
	}
	return calls, failures, slow
}
