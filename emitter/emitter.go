package emitter

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
)

// errorEvent is the name under which an Emitter emits the failures of its
// listeners.
const errorEvent = "error"

// Emitter is a set of topics whose names are found at run time: from a
// configuration, a plugin, the wire. Its values are of type any; Named gives a
// typed view of a name. Where the event is known when the program is written, a
// Topic is faster and says what it carries.
//
// The zero Emitter is ready for use and must not be copied after that. All
// methods may be called by any goroutine, also from inside listeners.
//
// The failures of listeners are emitted as "error", with the error as the
// value. A failure of a listener of "error" is logged and never emitted, and so
// is an "error" for which there is no listener.
type Emitter struct {
	cfg      Config                   // not written after construction
	limit    atomic.Int64             // from SetMaxListeners, plus one; zero before that
	names    sync.Map                 // string → *name
	patterns atomic.Pointer[patterns] // nil means none; written with mu held
	failures failures

	mu     sync.Mutex // guards closed, what is added to names, and the writing of patterns
	closed bool
}

// name is one event of an Emitter. It is there while it has listeners, and for
// ever once it is bound to a type.
type name struct {
	topic Topic[any]
	bound atomic.Pointer[binding] // nil unless Named was called; written once
	cache atomic.Pointer[matches] // the patterns that match; written by whoever finds it out of date
}

// NewEmitter returns an Emitter as described by cfg. It fails if a field of cfg
// has a value that makes no sense, and the error names the field.
func NewEmitter(cfg Config) (*Emitter, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Emitter{cfg: cfg}, nil
}

// MustNewEmitter is NewEmitter for package variables: it panics where that
// returns an error.
func MustNewEmitter(cfg Config) *Emitter {
	e, err := NewEmitter(cfg)
	if err != nil {
		panic(err.Error())
	}
	return e
}

// On adds a listener of event, as Topic.On does.
func (e *Emitter) On(event string, fn func(any)) *Sub {
	return e.plain(event, &node[any]{fn: fn}, fn == nil, false)
}

// Once is On for the next such event alone.
func (e *Emitter) Once(event string, fn func(any)) *Sub {
	return e.plain(event, &node[any]{fn: fn, Sub: Sub{once: true}}, fn == nil, false)
}

// Prepend is On that puts the listener before those that are there.
func (e *Emitter) Prepend(event string, fn func(any)) *Sub {
	return e.plain(event, &node[any]{fn: fn}, fn == nil, true)
}

// OnErr is On for a listener that takes a ctx and may fail, as Topic.OnErr.
func (e *Emitter) OnErr(event string, fn func(context.Context, any) error) *Sub {
	return e.plain(event, &node[any]{fnc: fn}, fn == nil, false)
}

func (e *Emitter) plain(event string, n *node[any], isNil, prepend bool) *Sub {
	if isNil {
		panic("emitter: fn is nil")
	}
	if e.add(event, n, prepend) != nil {
		return dead()
	}
	return &n.Sub
}

// Subscribe adds a listener of event, as Topic.Subscribe does.
func (e *Emitter) Subscribe(event string, cfg SubConfig, fn func(context.Context, any) error) (*Sub, error) {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	return e.subscribe(event, cfg, fn, 0)
}

func (e *Emitter) subscribe(event string, cfg SubConfig, fn func(context.Context, any) error, source uintptr) (*Sub, error) {
	n, err := standIn[any](e, event).prepare(&cfg, fn, source)
	if err != nil {
		return nil, err
	}
	if err := e.add(event, n, cfg.Prepend); err != nil {
		return nil, err
	}
	return &n.Sub, nil
}

// add makes n a listener of event.
func (e *Emitter) add(event string, n *node[any], prepend bool) error {
	for {
		of, err := e.open(event)
		if err != nil {
			return err
		}
		if err := of.topic.add(n, prepend); err != errRetired {
			return err
		}
		// Its last listener has just gone, and it is about to be forgotten.
		e.names.CompareAndDelete(event, of)
	}
}

// find returns the name, or nil.
func (e *Emitter) find(event string) *name {
	if v, ok := e.names.Load(event); ok {
		return v.(*name)
	}
	return nil
}

// open returns the name, which it makes if need be.
func (e *Emitter) open(event string) (*name, error) {
	if n := e.find(event); n != nil {
		return n, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	n := new(name)
	n.topic.core.parent, n.topic.core.name = e, event
	n.topic.core.retire = func() { e.names.CompareAndDelete(event, n) }
	v, _ := e.names.LoadOrStore(event, n)
	return v.(*name), nil
}

// Off ends a subscription, as s.Off does. It is here for those who look for it.
func (e *Emitter) Off(s *Sub) bool { return s.Off() }

// Emit calls the listeners of event with v, then those of patterns that match
// it, as Topic.Emit does, and reports whether there was any. A value of another
// type than that to which Named has bound the name reaches nobody and is a
// *TypeError.
func (e *Emitter) Emit(event string, v any) bool {
	n := e.find(event)
	heard := false
	switch set := e.patterns.Load(); {
	case n == nil && set == nil:
	case set == nil && n.bound.Load() == nil:
		heard = n.topic.Emit(v)
	default:
		out := outcome{}
		e.deliver(context.Background(), event, n, set, v, &out)
		heard = out.heard
	}
	if !heard && event == errorEvent {
		e.cfg.logger().Error("emitter: error event without a listener", "error", v)
	}
	return heard
}

// EmitContext is Emit that gives ctx to the listeners that take one, and returns
// what they returned, as Topic.EmitContext does. An "error" without a listener
// is returned, if it is an error.
func (e *Emitter) EmitContext(ctx context.Context, event string, v any) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	out := outcome{returning: true}
	e.deliver(ctx, event, e.find(event), e.patterns.Load(), v, &out)
	if out.heard || len(out.errs) > 0 {
		return join(out.errs)
	}
	if err := e.closedError(); err != nil {
		return err
	}
	if err, ok := v.(error); ok && event == errorEvent {
		return err
	}
	return nil
}

// deliver calls the listeners of n, which may be nil, and then those of the
// patterns of set that match, also if a listener calls Goexit.
func (e *Emitter) deliver(ctx context.Context, event string, n *name, set *patterns, v any, out *outcome) {
	if n == nil {
		if set != nil {
			deliverAll(ctx, set.list, true, Event{event, v}, out)
		}
		return
	}
	if bound := n.bound.Load(); bound != nil && !bound.takes(v) {
		err := bound.mismatch(event, v)
		_ = e.failed(failure{err: err, topic: event, returned: out.returning})
		if out.returning {
			out.errs = append(out.errs, err)
		}
		return
	}
	if set != nil {
		defer func() { deliverAll(ctx, n.matching(event, set), false, Event{event, v}, out) }()
	}
	n.topic.deliver(ctx, n.topic.list.Load().all(), v, out)
}

// failed tells a failure to the hook and to the listeners of "error".
func (e *Emitter) failed(x failure) error {
	n := e.find(errorEvent)
	if n == nil || x.topic == errorEvent {
		return e.failures.tell(&e.cfg, x, nil)
	}
	return e.failures.tell(&e.cfg, x, func(err error) (bool, error) {
		out := outcome{returning: true}
		n.topic.deliver(context.Background(), n.topic.list.Load().all(), err, &out)
		return out.heard, join(out.errs)
	})
}

// Wait returns the value of the next event of that name for which match holds,
// as Topic.Wait does.
func (e *Emitter) Wait(ctx context.Context, event string, match func(any) bool) (any, error) {
	return wait(ctx, standIn[any](e, event), e.adder(event), match)
}

// Events iterates over the values of the events of that name, as Topic.Events
// does.
func (e *Emitter) Events(ctx context.Context, event string) iter.Seq[any] {
	return events(ctx, standIn[any](e, event), e.adder(event), SubConfig{Async: true, Queue: defaultEvents})
}

func (e *Emitter) adder(event string) func(*node[any], bool) error {
	return func(n *node[any], prepend bool) error { return e.add(event, n, prepend) }
}

// RemoveAllListeners ends the subscriptions of the events, or all there are,
// those of patterns too, if none is given. It reports how many it ended.
func (e *Emitter) RemoveAllListeners(events ...string) int {
	ended := 0
	for _, event := range events {
		if n := e.find(event); n != nil {
			ended += n.topic.Clear()
		}
	}
	if len(events) == 0 {
		for t := range e.topics() {
			ended += t.Clear()
		}
	}
	return ended
}

// ListenerCount is how many listeners event has, those of patterns not counted.
func (e *Emitter) ListenerCount(event string) int {
	if n := e.find(event); n != nil {
		return n.topic.Len()
	}
	return 0
}

// EventNames lists the events that have listeners, in alphabetical order.
func (e *Emitter) EventNames() []string {
	var events []string
	e.names.Range(func(event, v any) bool {
		if v.(*name).topic.Len() > 0 {
			events = append(events, event.(string))
		}
		return true
	})
	slices.Sort(events)
	return events
}

// SetMaxListeners sets Config.MaxListeners anew, with zero for no limit. An
// event that was warned of can be so again after the limit was raised. It panics
// if n is negative.
func (e *Emitter) SetMaxListeners(n int) {
	checkLimit(n)
	e.limit.Store(int64(n) + 1)
}

func (e *Emitter) maxListeners() int {
	if n := e.limit.Load(); n > 0 {
		return int(n - 1)
	}
	if e.cfg.MaxListeners > 0 {
		return e.cfg.MaxListeners
	}
	return defaultMaxListeners
}

// closer is a Topic whatever its type.
type closer interface {
	base() *core
	refuse()
	retreat() []*Sub
	Clear() int
	Close() error
}

// topics iterates over all topics, those of patterns included.
func (e *Emitter) topics() iter.Seq[closer] {
	return func(yield func(closer) bool) {
		more := true
		e.names.Range(func(_, v any) bool {
			more = yield(&v.(*name).topic)
			return more
		})
		if set := e.patterns.Load(); set != nil && more {
			for _, p := range set.list {
				if !yield(&p.topic) {
					return
				}
			}
		}
	}
}

// Stats returns a snapshot.
func (e *Emitter) Stats() Stats {
	s := Stats{Name: e.cfg.Name, Failures: e.failures.count.Load()}
	for t := range e.topics() {
		t.base().addStats(&s)
	}
	s.Names = len(e.EventNames())
	return s
}

// Close closes all topics, as Topic.Close does.
func (e *Emitter) Close() error {
	for _, t := range e.refuse() {
		_ = t.Close() // always nil
	}
	return nil
}

// Drain drains all topics, as Topic.Drain does.
func (e *Emitter) Drain(ctx context.Context) error {
	var busy []*Sub
	for _, t := range e.refuse() {
		busy = append(busy, t.retreat()...)
	}
	return drain(ctx, e.cfg.Name, busy)
}

// refuse lets nobody subscribe from now on, and returns all topics.
func (e *Emitter) refuse() []closer {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	all := slices.Collect(e.topics())
	for _, t := range all {
		t.refuse()
	}
	return all
}

// closedError is ErrClosed after Close, else nil.
func (e *Emitter) closedError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	return nil
}
