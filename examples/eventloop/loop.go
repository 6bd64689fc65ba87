package main

import (
	"container/heap"
	"os"
	"time"
)

// loop is an event loop: callbacks that run one at a time, in the goroutine of
// run, in phases. All but done belongs to that goroutine, so there is no lock.
//
// A turn has the phases timers, check of what was set before the turn, poll, and
// check again. (Node has one check phase, after poll. The file of the question
// cannot be read before the first one, so there both orders are one.) After each
// callback the queues nextTick and then microtasks are emptied, to the last.
type loop struct {
	ticks, micros, immediates []func()
	timers                    timers
	sequence                  int // of timers, so that equal ones stay in order

	// done brings the callbacks of what other goroutines have finished. Every
	// operation that is pending sends one.
	done    chan func()
	pending int
}

func newLoop() *loop { return &loop{done: make(chan func())} }

func (l *loop) nextTick(fn func())     { l.ticks = append(l.ticks, fn) }
func (l *loop) microtask(fn func())    { l.micros = append(l.micros, fn) }
func (l *loop) setImmediate(fn func()) { l.immediates = append(l.immediates, fn) }

func (l *loop) setTimeout(d time.Duration, fn func()) {
	l.sequence++
	heap.Push(&l.timers, timer{time.Now().Add(d), l.sequence, fn})
}

// readFile reads in another goroutine, as Node does in its pool of threads, and
// calls fn on the loop.
func (l *loop) readFile(name string, fn func([]byte, error)) {
	l.do(func() func() {
		data, err := os.ReadFile(name)
		return func() { fn(data, err) }
	})
}

// do runs work in another goroutine and what it returns on the loop.
func (l *loop) do(work func() func()) {
	l.pending++
	go func() { l.done <- work() }()
}

// run runs program and then the loop, until there is nothing left to wait for.
func (l *loop) run(program func()) {
	l.call(program)
	for len(l.timers)+len(l.immediates)+l.pending > 0 {
		l.runTimers()
		l.check()
		l.poll()
		l.check()
	}
}

// call runs one callback, and then all ticks and microtasks there are. A
// microtask that adds a tick brings ticks back to the front.
func (l *loop) call(fn func()) {
	fn()
	for len(l.ticks)+len(l.micros) > 0 {
		queue := &l.ticks
		if len(l.ticks) == 0 {
			queue = &l.micros
		}
		next := (*queue)[0]
		*queue = (*queue)[1:]
		next()
	}
}

// runTimers calls the timers that are due, the earliest first. One that is set
// meanwhile waits for the next turn, or it could keep the loop here for ever.
func (l *loop) runTimers() {
	now, last := time.Now(), l.sequence
	var later timers
	for len(l.timers) > 0 && !l.timers[0].at.After(now) {
		t := heap.Pop(&l.timers).(timer)
		if t.sequence > last {
			later = append(later, t)
			continue
		}
		l.call(t.fn)
	}
	for _, t := range later {
		heap.Push(&l.timers, t)
	}
}

// check calls the immediates that were set before it began.
func (l *loop) check() {
	now := l.immediates
	l.immediates = nil
	for _, fn := range now {
		l.call(fn)
	}
}

// poll waits for one callback from another goroutine: as long as it takes if
// there is nothing else to do, until the next timer, or not at all if an
// immediate waits.
func (l *loop) poll() {
	if len(l.immediates) > 0 || len(l.timers)+l.pending == 0 {
		return
	}
	var due <-chan time.Time
	if len(l.timers) > 0 {
		t := time.NewTimer(time.Until(l.timers[0].at))
		defer t.Stop()
		due = t.C
	}
	select {
	case fn := <-l.done:
		l.pending--
		l.call(fn)
	case <-due:
	}
}

// timer is a callback and when it is due.
type timer struct {
	at       time.Time
	sequence int
	fn       func()
}

// timers is a heap, the earliest first.
type timers []timer

func (t timers) Len() int      { return len(t) }
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t timers) Less(i, j int) bool {
	if !t[i].at.Equal(t[j].at) {
		return t[i].at.Before(t[j].at)
	}
	return t[i].sequence < t[j].sequence
}
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = timer{}
	*t = (*t)[:last]
	return x
}
