package memwatch

import (
	"iter"
	"time"
)

const ringLen = 128

// blocks are the lengths of the blocks of each ring, in intervals. At the
// default interval of ten seconds they are 10 s, 1 min, 10 min and 2 h, and
// the rings reach back 21 min, 2 h, 21 h and 11 days.
var blocks = [...]int{1, 6, 60, 720}

// ring keeps the newest ringLen values.
type ring[T any] struct {
	values [ringLen]T
	n      int // values ever pushed
}

func (r *ring[T]) push(v T) {
	r.values[r.n%ringLen] = v
	r.n++
}

func (r *ring[T]) len() int { return min(r.n, ringLen) }

// all yields the values, oldest first.
func (r *ring[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for i := r.n - r.len(); i < r.n; i++ {
			if !yield(r.values[i%ringLen]) {
				return
			}
		}
	}
}

// series keeps one quantity at every resolution: in each block of time the
// least value alone, since what is least is what could not be freed.
//
// Invariant: the points of a ring are in the order of time, at most one a
// block, and each is the first least point that its block had.
type series struct {
	rings [len(blocks)]ring[point]
	open  [len(blocks)]block // the blocks that have not ended; not in the rings
}

type block struct {
	index int64 // number of the block since the watcher began
	least point
	used  bool
}

// add takes a point that is not older than the last one.
func (s *series) add(interval time.Duration, p point) {
	for i := range s.rings {
		b := &s.open[i]
		index := int64(p.at / interval / time.Duration(blocks[i]))
		switch {
		case b.used && index != b.index:
			s.rings[i].push(b.least)
			*b = block{index: index, least: p, used: true}
		case !b.used:
			*b = block{index: index, least: p, used: true}
		case p.v < b.least.v:
			b.least = p
		}
	}
}

// spans returns copies of the rings. The block that has not ended is part of
// the first, whose blocks hold one point anyway.
func (s *series) spans() (out [len(blocks)][]point) {
	for i := range out {
		out[i] = make([]point, 0, ringLen+1)
		for p := range s.rings[i].all() {
			out[i] = append(out[i], p)
		}
	}
	if s.open[0].used {
		out[0] = append(out[0], s.open[0].least)
	}
	return out
}
