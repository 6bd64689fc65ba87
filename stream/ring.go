package stream

import (
	"context"
	"sync/atomic"
)

// A ring is the window of a ParMap. Its slots go round from the source, which
// fills them in order, over the workers, who claim filled ones in order, to
// the runner, who empties them in order. A slot belongs to one goroutine at a
// time, which its state names: to the source while it is free, to whoever
// claimed it while it is filled, to the runner once it is done. If unordered,
// results take the way of a queue, and the worker frees the slot itself.
//
// Whoever finds nothing to do spins for a moment and then sleeps at a gate;
// whoever has done what another may wait for looks at that gate after. A slot
// that the runner waits for is always finished by somebody: claims are in
// order, so the first failure is at a position below every unclaimed one.
type ring[A, B any] struct {
	slots   []slot[A, B]
	results *queue[B] // set if unordered

	tail    atomic.Int64 // how many slots were filled so far; by the source
	_       [56]byte
	claimed atomic.Int64 // how many were claimed so far; by workers, who compare and swap
	_       [56]byte

	sleepers atomic.Int32 // how many workers are at their gates; by them
	halted   atomic.Bool  // nobody is to claim any more; by whoever fails, and the runner when it leaves
	stopped  atomic.Bool  // the runner has left; by the runner
	closed   atomic.Bool  // the source has ended, tail and err are final; by the source
	err      error        // why; written before closed

	workers []gate
	source  gate
	runner  gate
}

type slot[A, B any] struct {
	state atomic.Uint32 // free, filled or done; by whoever the slot belongs to
	in    A
	out   B
	err   error
}

const (
	free uint32 = iota
	filled
	done
)

func newRing[A, B any](p Parallel) *ring[A, B] {
	r := &ring[A, B]{
		slots:   make([]slot[A, B], p.window()),
		workers: make([]gate, p.Workers),
	}
	r.source.open()
	r.runner.open()
	for i := range r.workers {
		r.workers[i].open()
	}
	return r
}

// feed fills slots with the items of s.
func (r *ring[A, B]) feed(ctx context.Context, s Stream[A]) error {
	at := 0 // the next slot
	return s(ctx, func(v A) error {
		slot := &r.slots[at]
		if slot.state.Load() != free {
			r.awaitRoom(at)
		}
		if r.stopped.Load() {
			return errGone
		}
		slot.in = v
		slot.state.Store(filled)
		r.tail.Add(1)
		if r.sleepers.Load() > 0 {
			r.wakeWorker()
		}
		if at++; at == len(r.slots) {
			at = 0
		}
		return nil
	})
}

// awaitRoom waits until slot at is free. To be woken for each slot would cost
// more than to fill it; so when the ring is full and becomes free in order, the
// source waits until half of it is. Unordered, the slot that it waits for is
// the oldest, and others have become free before.
func (r *ring[A, B]) awaitRoom(at int) {
	if r.results == nil {
		at = (at + len(r.slots)/2) % len(r.slots)
	}
	r.source.wait(at, func() bool { return r.slots[at].state.Load() == free || r.stopped.Load() })
}

// sourceEnded tells all who may wait for the source.
func (r *ring[A, B]) sourceEnded(err error) {
	r.err = err
	r.closed.Store(true)
	r.wakeAll()
}

// claim takes a filled slot for a worker and returns its position, or -1 if
// there is none or nobody is to claim. To claim several at a time is not
// faster, and would keep items waiting behind a slow one.
func (r *ring[A, B]) claim() int64 {
	for !r.halted.Load() {
		first := r.claimed.Load()
		if first >= r.tail.Load() {
			break
		}
		if r.claimed.CompareAndSwap(first, first+1) {
			return first
		}
	}
	return -1
}

// work is what worker i does: it calls f for one filled slot after another.
func (r *ring[A, B]) work(ctx context.Context, i int, f func(context.Context, A) (B, error)) error {
	at, calling := 0, false
	defer func() {
		if calling { // f has panicked or called Goexit
			_ = r.finish(at, errDied)
		}
	}()
	ready := func() bool {
		return r.claimed.Load() < r.tail.Load() || r.closed.Load() || r.halted.Load()
	}
	for {
		position := r.claim()
		if position < 0 {
			if r.halted.Load() || r.closed.Load() && r.claimed.Load() == r.tail.Load() {
				return nil
			}
			if !spin(ready) {
				r.sleepers.Add(1)
				r.workers[i].sleep(0, ready)
				r.sleepers.Add(-1)
			}
			continue
		}
		at = int(position % int64(len(r.slots)))
		slot := &r.slots[at]
		err := ended(ctx)
		if err == nil {
			calling = true
			slot.out, err = f(ctx, slot.in)
			calling = false
		}
		if err := r.finish(at, err); err != nil {
			return err
		}
	}
}

// finish passes on the slot for which f was called. Its error is for the
// worker, which is to end with it.
func (r *ring[A, B]) finish(at int, err error) error {
	slot := &r.slots[at]
	if err != nil {
		r.halted.Store(true)
	}
	if r.results == nil {
		slot.err = err
		slot.state.Store(done)
		r.runner.wake(at)
		return err
	}
	out := r.clear(at)
	if err != nil {
		return err
	}
	return r.results.put(out)
}

// clear frees a slot and returns its result.
func (r *ring[A, B]) clear(at int) B {
	var in A
	var none B
	slot := &r.slots[at]
	out := slot.out
	slot.in, slot.out = in, none
	slot.state.Store(free)
	r.source.wake(at)
	return out
}

// workerEnded tells the runner that there is one fewer, and why.
func (r *ring[A, B]) workerEnded(err error) {
	if r.results != nil {
		r.results.end(err)
	}
}

// emit gives the results to emit in order, until the source has ended and all
// are out, or one has failed.
func (r *ring[A, B]) emit(emit func(B) error) error {
	at, count := 0, int64(0)
	ready := func() bool { // Whoever sees closed sees the last tail.
		return r.slots[at].state.Load() == done || r.closed.Load() && count == r.tail.Load()
	}
	for {
		slot := &r.slots[at]
		if slot.state.Load() != done {
			r.runner.wait(at, ready)
			if slot.state.Load() != done {
				return r.err
			}
		}
		if slot.err != nil {
			return slot.err
		}
		count++
		if err := emit(r.clear(at)); err != nil {
			return err
		}
		if at++; at == len(r.slots) {
			at = 0
		}
	}
}

// stop makes everybody else end.
func (r *ring[A, B]) stop() {
	r.stopped.Store(true)
	r.halted.Store(true)
	if r.results != nil {
		r.results.leave()
	}
	r.wakeAll()
}

// wakeWorker wakes one worker that sleeps, if any does.
func (r *ring[A, B]) wakeWorker() {
	for i := range r.workers {
		if r.workers[i].wake(0) {
			return
		}
	}
}

func (r *ring[A, B]) wakeAll() {
	r.source.wakeAnyway()
	r.runner.wakeAnyway()
	for i := range r.workers {
		r.workers[i].wake(0)
	}
}

// A gate is where one goroutine sleeps until something that it waits for has
// happened. It says what that is in awaited and looks once more before it
// sleeps; others make it happen and look at awaited after. So at least one of
// the two sees the other.
type gate struct {
	awaited atomic.Int64  // what is waited for, awake if nothing; by the sleeper and, to awake, by who wakes it
	ch      chan struct{} // has room for the one who took awaited to awake
}

const awake = -1

func (g *gate) open() {
	g.awaited.Store(awake)
	g.ch = make(chan struct{}, 1)
}

// wait spins and then sleeps until ready.
func (g *gate) wait(what int, ready func() bool) {
	if !spin(ready) {
		g.sleep(what, ready)
	}
}

// sleep sleeps until ready, which wake(what) may make so.
func (g *gate) sleep(what int, ready func() bool) {
	for {
		g.awaited.Store(int64(what))
		if ready() {
			if !g.awaited.CompareAndSwap(int64(what), awake) {
				<-g.ch
			}
			return
		}
		<-g.ch
		if ready() {
			return
		}
	}
}

// wake wakes who sleeps for what, and reports whether somebody did.
func (g *gate) wake(what int) bool {
	if g.awaited.Load() != int64(what) || !g.awaited.CompareAndSwap(int64(what), awake) {
		return false
	}
	g.ch <- struct{}{}
	return true
}

// wakeAnyway wakes who sleeps, whatever for.
func (g *gate) wakeAnyway() {
	if what := g.awaited.Load(); what != awake {
		g.wake(int(what))
	}
}

// spins is how often spin looks: for about as long as it takes to sleep and be
// woken.
const spins = 30

func spin(ready func() bool) bool {
	for range spins {
		if ready() {
			return true
		}
	}
	return false
}
