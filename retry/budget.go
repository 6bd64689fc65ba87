package retry

import (
	"fmt"
	"math"
	"sync/atomic"
)

// BudgetConfig sizes a [Budget].
type BudgetConfig struct {
	// MaxTokens is the size of the bucket, which starts full. Retries are
	// allowed while more than half of it is left: with 10, five failures in a
	// row stop them. At most 1,000,000. 0 means 10.
	MaxTokens int

	// Ratio is how much of a token a success puts back, in steps of 0.001:
	// with 0.1, a lasting share of up to one failed attempt in eleven is
	// retried. At most MaxTokens. 0 means 0.1.
	Ratio float64
}

// A Budget bounds the retries of all the calls that share it, so that a
// dependency that fails altogether is not struck by a multiple of its normal
// load. It never holds back a first attempt. It is the token bucket of gRPC
// proposal A6 (retry throttling): each failed attempt takes a token, each
// success puts a part of one back, and a retry needs more than half a bucket.
//
// Any number of goroutines may share a Budget. A success with a full bucket,
// the healthy case, costs one atomic load. The zero Budget allows no retries.
type Budget struct {
	// tokens is in thousandths of a token, from 0 to size. Each writer moves
	// it by a compare-and-swap of the value it has read, so no deposit or
	// withdrawal is ever lost.
	tokens atomic.Int64

	size    int64 // thousandths
	deposit int64 // thousandths
}

// NewBudget returns a full Budget. On failure it returns an error that names
// the field that is out of its bounds.
func NewBudget(cfg BudgetConfig) (*Budget, error) {
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = 10
	}
	if cfg.Ratio == 0 {
		cfg.Ratio = 0.1
	}
	if cfg.MaxTokens < 0 || cfg.MaxTokens > 1e6 {
		return nil, fmt.Errorf("retry: BudgetConfig.MaxTokens is %d, want 0 to 1000000", cfg.MaxTokens)
	}
	if !(cfg.Ratio >= 0.001 && cfg.Ratio <= float64(cfg.MaxTokens)) {
		return nil, fmt.Errorf("retry: BudgetConfig.Ratio is %v, want 0.001 to MaxTokens", cfg.Ratio)
	}
	b := &Budget{
		size:    int64(cfg.MaxTokens) * 1000,
		deposit: int64(math.Round(cfg.Ratio * 1000)),
	}
	b.tokens.Store(b.size)
	return b, nil
}

// MustNewBudget is [NewBudget] for package variables: it panics where NewBudget
// returns an error.
func MustNewBudget(cfg BudgetConfig) *Budget {
	b, err := NewBudget(cfg)
	if err != nil {
		panic(err.Error())
	}
	return b
}

// Deposit books a success.
func (b *Budget) Deposit() {
	for {
		old := b.tokens.Load()
		if old >= b.size {
			return
		}
		if b.tokens.CompareAndSwap(old, min(old+b.deposit, b.size)) {
			return
		}
	}
}

// Withdraw books a failed attempt, or one that is made in addition to another,
// and reports whether the budget allows it to be followed by another.
func (b *Budget) Withdraw() bool {
	for {
		old := b.tokens.Load()
		left := max(old-1000, 0)
		if old == left || b.tokens.CompareAndSwap(old, left) {
			return left > b.size/2
		}
	}
}

// Tokens returns how many tokens are in the bucket now.
func (b *Budget) Tokens() float64 {
	return float64(b.tokens.Load()) / 1000
}
