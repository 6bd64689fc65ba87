package breaker

import (
	"sync"
	"time"
)

const flightCells = 8

// flight counts the calls in flight that are slow already. It does not list
// them: it counts all, and by slices of an eighth of SlowCall those that began
// within the last SlowCall. The difference is slow.
type flight struct {
	width int64 // of a slice, in nanoseconds

	mu    sync.Mutex // guards the following
	total int
	cells [flightCells + 1]struct {
		epoch uint64
		calls int
	}
}

func newFlight(slowCall time.Duration) *flight {
	return &flight{width: int64(slowCall / flightCells)}
}

// enter counts a call that begins at now, and returns how many others are
// slow.
func (f *flight) enter(now int64) (slow int) {
	epoch := epochOf(now, f.width)
	f.mu.Lock()
	slow = f.slowLocked(epoch)
	c := &f.cells[epoch%uint64(len(f.cells))]
	if c.epoch < epoch || f.total == 0 {
		// What is left of the former slice began a SlowCall ago or earlier.
		c.epoch, c.calls = epoch, 0
	}
	if c.epoch == epoch { // else the caller was suspended for a SlowCall
		c.calls++
	}
	f.total++
	f.mu.Unlock()
	return slow
}

// leave takes back an enter at start.
func (f *flight) leave(start int64) {
	epoch := epochOf(start, f.width)
	f.mu.Lock()
	if c := &f.cells[epoch%uint64(len(f.cells))]; c.epoch == epoch {
		c.calls--
	}
	f.total--
	f.mu.Unlock()
}

func (f *flight) counts(now int64) (total, slow int) {
	f.mu.Lock()
	total, slow = f.total, f.slowLocked(epochOf(now, f.width))
	f.mu.Unlock()
	return total, slow
}

func (f *flight) slowLocked(epoch uint64) int {
	slow := f.total
	for i := range f.cells {
		if c := &f.cells[i]; c.epoch+flightCells >= epoch {
			slow -= c.calls
		}
	}
	return slow
}
