package memwatchmetrics

import (
	"slices"
	"sync"
	"sync/atomic"
)

// clock numbers the readings of a plan.
type clock struct {
	now atomic.Uint64 // added to by each reading
}

func (c *clock) tick() uint64 { return c.now.Add(1) }

// mostWords is how many words of a state are remembered. Any further one is
// told as the word other.
const mostWords = 16

// words are those that a state has been.
type words struct {
	mu  sync.Mutex // guards all, but not what it points to, which never changes
	all []string
}

func newWords(known []string) *words {
	return &words{all: slices.Compact(slices.Sorted(slices.Values(known)))}
}

// with returns all words with word among them, and where it is.
func (w *words) with(word string) ([]string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.all, word); i >= 0 {
		return w.all, i
	}
	if len(w.all) >= mostWords {
		word = "other"
		if i := slices.Index(w.all, word); i >= 0 {
			return w.all, i
		}
	}
	w.all = append(slices.Clip(w.all), word)
	return w.all, len(w.all) - 1
}

// crowd remembers which elements of a map or slice have metrics, so that the
// same ones have them in every reading and the number of series is bounded.
type crowd struct {
	limit int

	mu   sync.Mutex        // guards last
	last map[string]uint64 // element → the latest reading that saw it
}

// admit tells for each place in keys whether the element has metrics. It counts
// those that have not.
func (c *crowd) admit(r *reading, keys []string) func(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if _, ok := c.last[key]; ok {
			c.last[key] = r.time
		}
	}
	var out []bool // nil while none is left out
	for i, key := range keys {
		if _, ok := c.last[key]; ok {
			continue
		}
		if len(c.last) >= c.limit {
			c.forgetLocked(r.time)
		}
		if len(c.last) < c.limit {
			c.last[key] = r.time
			continue
		}
		if out == nil {
			out = make([]bool, len(keys))
		}
		out[i] = true
		r.leftOut++
	}
	return func(i int) bool { return out == nil || !out[i] }
}

// forgetLocked drops the elements that neither this reading nor the one before
// it saw. Of the one before some may be yet to come, in a map of maps.
func (c *crowd) forgetLocked(now uint64) {
	for key, seen := range c.last {
		if seen+1 < now {
			delete(c.last, key)
		}
	}
}
