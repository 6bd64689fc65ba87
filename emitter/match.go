package emitter

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Event is an event with its name, for listeners of patterns.
type Event struct {
	Name  string // of the event
	Value any    // what was emitted
}

// patterns is the set of patterns that have listeners, in the order in which
// they got the first. It is never changed, but replaced.
type patterns struct {
	list []*pattern
}

// pattern is one pattern with its listeners.
type pattern struct {
	text  string
	topic Topic[Event]
}

// matches are the patterns of set that match a name.
type matches struct {
	set  *patterns
	list []*pattern
}

// OnAny adds a listener of all events, which is called after those of their
// names. It does not hear of the failures that are emitted as "error"; there is
// Hooks.OnError for that.
func (e *Emitter) OnAny(fn func(event string, v any)) *Sub {
	s, err := e.OnMatch("**", fn)
	if err != nil {
		return dead()
	}
	return s
}

// OnMatch adds a listener of all events whose name matches pattern, as OnAny for
// some. Both are split at dots. In a pattern "*" stands for any one part, and
// "**", which must be the last, for what remains, be it nothing: "order.*"
// matches "order.created", and "order.**" also "order" and "order.item.added".
// All else stands for itself. It fails with an error that names the part if the
// pattern is none, and with ErrClosed after Close.
func (e *Emitter) OnMatch(pattern string, fn func(event string, v any)) (*Sub, error) {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	call := func(_ context.Context, ev Event) error {
		fn(ev.Name, ev.Value)
		return nil
	}
	return e.subscribeMatch(pattern, SubConfig{}, call, reflect.ValueOf(fn).Pointer())
}

// SubscribeMatch is OnMatch with a SubConfig, as Topic.Subscribe. Priority
// orders the listeners of the same pattern.
func (e *Emitter) SubscribeMatch(pattern string, cfg SubConfig, fn func(context.Context, Event) error) (*Sub, error) {
	if fn == nil {
		panic("emitter: fn is nil")
	}
	return e.subscribeMatch(pattern, cfg, fn, 0)
}

func (e *Emitter) subscribeMatch(text string, cfg SubConfig, fn func(context.Context, Event) error, source uintptr) (*Sub, error) {
	if err := checkPattern(text); err != nil {
		return nil, err
	}
	n, err := standIn[Event](e, text).prepare(&cfg, fn, source)
	if err != nil {
		return nil, err
	}
	for {
		p, err := e.openPattern(text)
		if err != nil {
			return nil, err
		}
		if err := p.topic.add(n, cfg.Prepend); err == nil {
			return &n.Sub, nil
		} else if err != errRetired {
			return nil, err
		}
		e.forget(p)
	}
}

// checkPattern reports what makes text no pattern.
func checkPattern(text string) error {
	parts := strings.Split(text, ".")
	for i, part := range parts {
		switch {
		case part == "**" && i < len(parts)-1:
			return fmt.Errorf("emitter: pattern %q has ** in part %d, want it last", text, i+1)
		case part != "*" && part != "**" && strings.Contains(part, "*"):
			return fmt.Errorf("emitter: pattern %q has %q in part %d, want * or ** alone", text, part, i+1)
		}
	}
	return nil
}

// openPattern returns the pattern, which it makes if need be. It is in no set
// before it has a listener.
func (e *Emitter) openPattern(text string) (*pattern, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	var list []*pattern
	if set := e.patterns.Load(); set != nil {
		for _, p := range set.list {
			if p.text == text {
				return p, nil
			}
		}
		list = set.list
	}
	p := &pattern{text: text}
	p.topic.core.parent, p.topic.core.name = e, text
	p.topic.core.retire = func() { e.forget(p) }
	e.patterns.Store(&patterns{append(slices.Clip(list), p)})
	return p, nil
}

// forget takes p, whose last listener has gone, out of the set.
func (e *Emitter) forget(p *pattern) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set := e.patterns.Load()
	if set == nil {
		return
	}
	list := slices.DeleteFunc(slices.Clone(set.list), func(other *pattern) bool { return other == p })
	if len(list) == 0 {
		e.patterns.Store(nil)
	} else if len(list) < len(set.list) {
		e.patterns.Store(&patterns{list})
	}
}

// match reports whether p matches event.
func (p *pattern) match(event string) bool {
	text, more := p.text, true
	for more {
		var part, have string
		part, text, more = strings.Cut(text, ".")
		if part == "**" {
			return true
		}
		var rest bool
		have, event, rest = strings.Cut(event, ".")
		if part != "*" && part != have {
			return false
		}
		if more != rest {
			return more && text == "**"
		}
	}
	return true
}

// matching lists the patterns of set that match the name. It remembers them: an
// Emit costs the same however many patterns there are that do not match.
func (n *name) matching(event string, set *patterns) []*pattern {
	m := n.cache.Load()
	if m == nil || m.set != set {
		m = &matches{set: set}
		for _, p := range set.list {
			if p.match(event) {
				m.list = append(m.list, p)
			}
		}
		n.cache.Store(m)
	}
	return m.list
}

// deliverAll gives ev to list, or with filter to those in it that match: nothing
// is remembered for names without listeners, of which there may be any number.
func deliverAll(ctx context.Context, list []*pattern, filter bool, ev Event, out *outcome) {
	for filter && len(list) > 0 && !list[0].match(ev.Name) {
		list = list[1:]
	}
	if len(list) == 0 || out.stopped {
		return
	}
	defer deliverAll(ctx, list[1:], filter, ev, out) // also if a listener calls Goexit
	t := &list[0].topic
	t.deliver(ctx, t.list.Load().all(), ev, out)
}
