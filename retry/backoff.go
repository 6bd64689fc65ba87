package retry

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// A Backoff computes the delay before a retry, which is 1 for the first one,
// from [Config.BaseDelay]. It must be a pure function: any number of calls use
// it at the same time. The result is capped by [Config.MaxDelay] and then
// spread by [Config.Jitter]; a negative result counts as 0.
type Backoff func(retry int, base time.Duration) time.Duration

// Constant is the [Backoff] that never grows: base, base, base, …
func Constant(_ int, base time.Duration) time.Duration {
	return base
}

// Exponential is the [Backoff] that doubles: base, 2·base, 4·base, … It
// saturates at the longest [time.Duration].
func Exponential(retry int, base time.Duration) time.Duration {
	if base <= 0 || retry <= 1 {
		return max(base, 0)
	}
	if retry-1 >= bits.LeadingZeros64(uint64(base)) {
		return math.MaxInt64
	}
	return base << (retry - 1)
}

// Fibonacci is the [Backoff] that grows like the Fibonacci numbers: base,
// 2·base, 3·base, 5·base, … It saturates at the longest [time.Duration].
func Fibonacci(retry int, base time.Duration) time.Duration {
	if base <= 0 {
		return 0
	}
	a, b := base, base
	for range retry - 1 {
		a, b = b, saturatingAdd(a, b)
		if b == math.MaxInt64 {
			break
		}
	}
	return b
}

// Jitter says how delays are spread. All kinds keep [Config.MaxDelay] as their
// bound and go on spreading when the delay has reached it. Their names and the
// comparison that makes FullJitter the default are those of Marc Brooker,
// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Jitter int

const (
	// FullJitter draws from 0 to the delay.
	FullJitter Jitter = iota
	// EqualJitter draws from half the delay to the delay.
	EqualJitter
	// DecorrelatedJitter draws from the base delay to three times the delay
	// drawn before. It replaces the Backoff.
	DecorrelatedJitter
	// NoJitter takes the delay as it is.
	NoJitter
)

// delay returns the delay before a retry; prev is the one drawn before.
func (c *Config) delay(retry int, prev time.Duration) time.Duration {
	if c.Jitter == DecorrelatedJitter {
		high := time.Duration(math.MaxInt64)
		if prev = max(prev, c.BaseDelay); prev <= math.MaxInt64/3 {
			high = 3 * prev
		}
		return between(c.BaseDelay, min(high, c.MaxDelay))
	}
	d := min(max(c.Backoff(retry, c.BaseDelay), 0), c.MaxDelay)
	switch c.Jitter {
	case FullJitter:
		return between(0, d)
	case EqualJitter:
		return between(d/2, d)
	}
	return d
}

// between draws a duration from low to high, both included.
func between(low, high time.Duration) time.Duration {
	return low + time.Duration(rand.Uint64N(uint64(high-low)+1))
}
