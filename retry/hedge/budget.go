package hedge

import (
	"math"
	"sync/atomic"
)

// A Budget bounds extra attempts. Both methods may be called by any number of
// goroutines. The methods are those of *retry.Budget.
type Budget interface {
	// Withdraw is called before an extra attempt and reports whether it may
	// be made.
	Withdraw() bool
	// Deposit is called after a call that succeeded.
	Deposit()
}

// maxSaved is how many extra attempts an allowance saves up.
const maxSaved = 10

// allowance is the Budget of Config.Ratio: each success brings a part of an
// extra attempt, each extra attempt takes a whole one.
type allowance struct {
	// saved is in millionths of an extra attempt, from 0 to maxSaved. Each
	// writer moves it by a compare-and-swap of the value it has read.
	saved atomic.Int64
	part  int64 // millionths
}

func newAllowance(ratio float64) *allowance {
	a := &allowance{part: int64(math.Ceil(ratio * 1e6))}
	a.saved.Store(maxSaved * 1e6)
	return a
}

func (a *allowance) Withdraw() bool {
	for {
		old := a.saved.Load()
		if old < 1e6 {
			return false
		}
		if a.saved.CompareAndSwap(old, old-1e6) {
			return true
		}
	}
}

func (a *allowance) Deposit() {
	for {
		old := a.saved.Load()
		if old >= maxSaved*1e6 || a.saved.CompareAndSwap(old, min(old+a.part, maxSaved*1e6)) {
			return
		}
	}
}
