package emitter

import (
	"context"
	"fmt"
	"sync/atomic"
)

// The states of a subscription. Only Off, Close, Drain and the claim of a once
// listener change them, and only upwards.
const (
	plain   uint32 = iota // call node.fn and nothing else
	queued                // offer it to node.mailbox, and if that will not do, push it there
	special               // called by node.invoke
	fired                 // a once listener that has had its event
	off                   // ended
)

// Sub is one subscription. It is made by On, Once, Subscribe and their like. All
// methods may be called by any goroutine, also from inside listeners, and more
// than once.
type Sub struct {
	state    atomic.Uint32 // see the states; written by compare-and-swap
	inflight atomic.Int32  // calls that Close has to wait for; written around each of them if track
	priority int32         // not written after add
	once     bool          // likewise
	track    bool          // likewise
	listed   bool          // in the list of topic; guarded by core.mu
	topic    owner         // nil if it never was in a topic
	more     *more         // nil if there is nothing in it; not written after add
	ending   *ending       // guarded by core.mu
}

// more is what few subscriptions have. It is not written after add.
type more struct {
	name   string
	source uintptr // the user's function, where node's is a wrapper
	box    box     // of an asynchronous one
	pull   bool    // box is read by a goroutine of the user
	onEnd  func()  // called once, when the subscription ends
}

// ending is what is to be done when a subscription ends, guarded by core.mu.
type ending struct {
	stops []func() bool   // from Until
	idle  []chan struct{} // closed when no call is in flight
}

// owner is the Topic of a Sub, whatever its type.
type owner interface {
	unlist(*Sub)
	base() *core
}

// box is the mailbox of a Sub, whatever its type.
type box interface {
	shut()   // refuse events, forget those that wait, free blocked emits
	finish() // refuse events and free blocked emits
	cancel() // end the ctx of the listener
	stats() SubStats
}

// dead returns a subscription that has never begun.
func dead() *Sub {
	s := new(Sub)
	s.state.Store(off)
	return s
}

// Off ends the subscription and reports whether this call did so. No emit that
// begins after Off has returned calls the listener, nor does one that has begun
// and not reached it yet. What waits in its queue is dropped. A call that runs
// goes on: Close waits for it.
func (s *Sub) Off() bool {
	for {
		old := s.state.Load()
		if old == off {
			return false
		}
		if s.state.CompareAndSwap(old, off) {
			s.end(box.shut)
			return old != fired
		}
	}
}

// Active reports whether the listener can still be called by an emit. A once
// listener is not active any more as soon as its event has come.
func (s *Sub) Active() bool { return s.state.Load() < fired }

// Until ends the subscription when ctx is done, soon after it: an emit that
// begins in the same moment may still call the listener. If ctx is done
// already, the subscription has ended when Until returns. Nothing is left with
// ctx when the subscription ends otherwise. Until returns s.
func (s *Sub) Until(ctx context.Context) *Sub {
	if ctx.Err() != nil {
		s.Off()
		return s
	}
	if ctx.Done() == nil || s.topic == nil {
		return s
	}
	stop := context.AfterFunc(ctx, func() { s.Off() })
	c := s.topic.base()
	c.mu.Lock()
	ended := !s.Active()
	if !ended {
		e := s.endingLocked()
		e.stops = append(e.stops, stop)
	}
	c.mu.Unlock()
	if ended {
		stop()
	}
	return s
}

// Close is Off, and then waits for the calls in flight; the ctx of an
// asynchronous listener is cancelled. When it returns nil the listener does not
// run and will not. Where the listener may hang, use Drain with a deadline.
//
// From inside a listener, be it this one or another, Close does not wait and
// returns nil: it would wait for itself, or for a listener that waits for it. Of
// a synchronous subscription that is not tracked it returns ErrUntracked.
func (s *Sub) Close() error {
	s.Off()
	if s.topic == nil {
		return nil
	}
	if !s.track {
		return ErrUntracked
	}
	if s.more != nil && s.more.box != nil {
		s.more.box.cancel()
	}
	if s.more != nil && s.more.pull || s.idle() || insideListener() {
		return nil
	}
	<-s.whenIdle()
	return nil
}

// Drain ends the subscription but for the events that wait in its queue, and
// returns nil when the listener has handled them and no call is in flight. When
// ctx is done first, the rest is dropped, the ctx of an asynchronous listener
// is cancelled, and the error says what was left and matches the error of ctx
// and its cause. Called from inside a listener it changes nothing but that no
// event is added, and returns ErrInside. ErrUntracked is as for Close.
func (s *Sub) Drain(ctx context.Context) error {
	s.retreat()
	switch {
	case s.topic == nil:
		return nil
	case !s.track:
		return ErrUntracked
	case s.idle():
		return nil
	case insideListener():
		return ErrInside
	}
	select {
	case <-s.whenIdle():
		return nil
	case <-ctx.Done():
	}
	if s.idle() {
		return nil
	}
	left := s.Stats().Queued
	s.abandon()
	return fmt.Errorf("emitter: %sdrain left %d events and a call in flight: %w",
		prefix(s.topic.base().topicName()), left, ctxError(ctx))
}

// retreat ends s for emits, and lets it handle what waits.
func (s *Sub) retreat() {
	for old := s.state.Load(); old != off; old = s.state.Load() {
		if s.state.CompareAndSwap(old, off) {
			s.end(box.finish)
		}
	}
}

// abandon drops what a retreat has left.
func (s *Sub) abandon() {
	if s.more != nil && s.more.box != nil {
		s.more.box.shut()
		s.more.box.cancel()
	}
}

// claim makes the event that is being emitted the one of a once listener, and
// reports false if it had another or has ended.
func (s *Sub) claim() bool {
	if !s.state.CompareAndSwap(special, fired) {
		return false
	}
	s.topic.unlist(s)
	s.stop()
	return true
}

// end cleans up after the state has become off. With leave it is told to its
// mailbox.
func (s *Sub) end(leave func(box)) {
	s.topic.unlist(s)
	s.stop()
	if s.more != nil {
		if s.more.box != nil {
			leave(s.more.box)
		}
		if s.more.onEnd != nil {
			s.more.onEnd()
		}
	}
	if s.track {
		s.settle()
	}
}

// stop takes back what Until has left with contexts.
func (s *Sub) stop() {
	c := s.topic.base()
	c.mu.Lock()
	var stops []func() bool
	if s.ending != nil {
		stops, s.ending.stops = s.ending.stops, nil
	}
	c.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

func (s *Sub) endingLocked() *ending {
	if s.ending == nil {
		s.ending = new(ending)
	}
	return s.ending
}

// idle reports whether no call is in flight.
func (s *Sub) idle() bool { return s.inflight.Load() == 0 }

// returned takes note that a call has come back. Whoever ends s changes the
// state and then looks at inflight, and this does the reverse, so that one of
// the two settles.
func (s *Sub) returned() {
	if s.inflight.Add(-1) == 0 && !s.Active() {
		s.settle()
	}
}

// settle tells those who wait that an ended subscription has no call in flight,
// if that is so; else the last call comes here again.
func (s *Sub) settle() {
	c := s.topic.base()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.idle() {
		return
	}
	delete(c.busy, s)
	if s.ending != nil {
		for _, ch := range s.ending.idle {
			close(ch)
		}
		s.ending.idle = nil
	}
}

// whenIdle returns a channel that is closed when no call is in flight. It is one
// for each caller: a channel kept in a Sub could be met from two bubbles.
func (s *Sub) whenIdle() <-chan struct{} {
	ch := make(chan struct{})
	c := s.topic.base()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.idle() {
		close(ch)
	} else {
		e := s.endingLocked()
		e.idle = append(e.idle, ch)
	}
	return ch
}

// name is SubConfig.Name.
func (s *Sub) name() string {
	if s.more == nil {
		return ""
	}
	return s.more.name
}
