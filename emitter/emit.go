package emitter

import (
	"context"
	"errors"
	"runtime/debug"
)

// outcome is what came of an emit.
type outcome struct {
	heard     bool    // a listener was called, or has the event in its queue
	stopped   bool    // a listener vetoed, or the ctx is done
	returning bool    // the caller gets errs
	errs      []error // what failed
}

// errCut is what a mailbox says when the ctx of the emit was done first.
var errCut = errors.New("emitter: cut")

// Emit calls the listeners with v, one after the other in this goroutine, and
// hands it to those that are asynchronous. It reports whether there was any.
//
// The listeners are those that are there when it begins, less those that end
// before their turn. A panic does not reach the caller, nor keep the others
// from their event: it is a *PanicError, which goes where the errors of
// listeners go, see Hooks.OnError. If a listener calls runtime.Goexit, the
// others get their event and then this goroutine ends.
//
// Emit allocates nothing. After Close it reports false.
func (t *Topic[T]) Emit(v T) (heard bool) {
	b := t.list.Load()
	if b == nil {
		return false
	}
	size := b.n.Load()
	if size == 1 && b.nodes[0].state.Load() == queued && b.nodes[0].mailbox().offer(v) {
		return true // nothing was called that could panic
	}
	at := 0 // who is being called, or -1
	defer func() {
		if at >= 0 {
			heard = true
			t.rescue(b.nodes[at:size], v, recover())
		}
	}()
	called := false
	for i, n := range b.nodes[:size] {
		at = i
		if n.state.Load() == plain {
			n.fn(v)
			called = true
			continue
		}
		ok, stop := t.special(n, v)
		called = called || ok
		if stop {
			break
		}
	}
	at = -1
	return called
}

// special calls n, which is not plain, for Emit.
func (t *Topic[T]) special(n *node[T], v T) (called, stop bool) {
	var err error
	if n.state.Load() == queued {
		called, err = true, n.mailbox().push(context.Background(), v)
	} else {
		called, err = n.invoke(context.Background(), v)
	}
	if err == nil {
		return called, false
	}
	out := outcome{}
	t.core.note(n.describe, err, &out)
	return called, out.stopped
}

// rescue goes on with an Emit after the first of nodes panicked with r or, if r
// is nil, called Goexit.
func (t *Topic[T]) rescue(nodes []*node[T], v T, r any) {
	out := outcome{}
	defer t.deliver(context.Background(), nodes[1:], v, &out) // also if a hook calls Goexit
	if r != nil {
		t.core.panicked(nodes[0].describe, r, &out)
	}
}

// EmitContext is Emit that gives ctx to the listeners that take one, and returns
// what they returned: nil, the error of one as it is, or the errors of several
// as errors.Join does. Those of asynchronous listeners are not among them, but a
// *FullError is. Hooks.OnError hears of the failures too.
//
// When ctx is done, the remaining listeners do not get the event, and the error
// matches that of ctx and its cause. A ctx that is done before the call is an
// error, and nothing happens. After Close the error is ErrClosed.
func (t *Topic[T]) EmitContext(ctx context.Context, v T) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	b := t.list.Load()
	if b == nil {
		return t.closedError()
	}
	out := outcome{returning: true}
	t.deliver(ctx, b.all(), v, &out)
	return join(out.errs)
}

// deliver calls nodes with v and writes down what comes of it.
func (t *Topic[T]) deliver(ctx context.Context, nodes []*node[T], v T, out *outcome) {
	for next := 0; next < len(nodes) && !out.stopped; {
		next = t.span(ctx, nodes, next, v, out)
	}
}

// span calls nodes from the one at index at on, up to the first that panics, and
// returns the index of the one after it.
func (t *Topic[T]) span(ctx context.Context, nodes []*node[T], at int, v T, out *outcome) (next int) {
	returned := false
	defer func() {
		if returned {
			return
		}
		next = at + 1
		told := false
		defer func() {
			if !told {
				// Goexit, by the listener or by a hook that heard of its panic:
				// nobody will return to the caller, so the rest is done here, and
				// what would have been returned is logged.
				t.core.giveUp(out)
				t.deliver(ctx, nodes[next:], v, out)
			}
		}()
		if r := recover(); r != nil {
			t.core.panicked(nodes[at].describe, r, out)
			told = true
		}
	}()
	done := ctx.Done()
	for ; at < len(nodes) && !out.stopped; at++ {
		n := nodes[at]
		if done != nil && ctx.Err() != nil {
			out.cut(ctx)
			break
		}
		called, err := n.invoke(ctx, v)
		out.heard = out.heard || called
		switch err {
		case nil:
		case errCut:
			out.cut(ctx)
		default:
			t.core.note(n.describe, err, out)
		}
	}
	returned = true
	return len(nodes)
}

// cut takes note that ctx was done.
func (out *outcome) cut(ctx context.Context) {
	out.stopped = true
	out.errs = append(out.errs, ctxError(ctx))
}

// note takes note of the error that the listener who returned.
func (c *core) note(who func() string, err error, out *outcome) {
	if errors.Is(err, ErrStop) {
		out.stopped = true
		if err == ErrStop {
			return
		}
	}
	c.failed(who, err, out)
}

// panicked makes a panic of the listener who an error. It is called while the
// panic is on the stack.
func (c *core) panicked(who func() string, value any, out *outcome) {
	out.heard = true
	c.failed(who, &PanicError{Topic: c.topicName(), Listener: who(), Value: value, Stack: debug.Stack()}, out)
}

// failed tells a failure of the listener who.
func (c *core) failed(who func() string, err error, out *outcome) {
	again := c.tell(who, err, out.returning)
	if !out.returning {
		return
	}
	out.errs = append(out.errs, err)
	if again != nil {
		out.errs = append(out.errs, again)
	}
}

// giveUp logs what an emit cannot return any more.
func (c *core) giveUp(out *outcome) {
	if !out.returning {
		return
	}
	out.returning = false
	for _, err := range out.errs {
		failure{err: err, topic: c.topicName()}.log(c.config(), "emitter: listener failed")
	}
	out.errs = nil
}

// invoke calls n with v if n has not ended.
func (n *node[T]) invoke(ctx context.Context, v T) (called bool, err error) {
	switch {
	case n.track && (n.once || n.more == nil || n.more.box == nil):
		return n.counted(ctx, v)
	case n.once && !n.claim(), n.state.Load() == off:
		return false, nil
	}
	return true, n.call(ctx, v)
}

// counted is invoke for those whose calls Close waits for.
func (n *node[T]) counted(ctx context.Context, v T) (called bool, err error) {
	n.inflight.Add(1) // before the state is looked at: see Sub.returned
	defer n.returned()
	if n.once && !n.claim() || n.state.Load() == off {
		return false, nil
	}
	return true, n.call(ctx, v)
}

func (n *node[T]) call(ctx context.Context, v T) error {
	if n.fnc != nil {
		return n.fnc(ctx, v)
	}
	n.fn(v)
	return nil
}
