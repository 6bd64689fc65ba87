package breaker

import "context"

// quickCall is a call that a healthy breaker admitted at word.
type quickCall struct {
	b    *Breaker // nil once judged
	word word
}

// settle judges and settles a call that did not simply succeed.
func (c *quickCall) settle(ctx context.Context, r *rules, err error) {
	b, o := c.b, r.judge(ctx, err)
	c.b = nil // before what may run a hook, which may panic
	b.settle(grant{word: c.word}, o, err)
}

// unwind counts a panic or Goexit in fn or in its judge.
func (c *quickCall) unwind() {
	if c.b != nil {
		c.b.settle(grant{word: c.word}, Failure, nil)
	}
}

// doSlowly is Do where there is more to do than to look at the word. It gives
// fn a value to return, so that the rest need not be written twice.
func (b *Breaker) doSlowly(ctx context.Context, r *rules, fn func(context.Context) error) error {
	if r.callTimeout > 0 {
		_, err := doTimed(ctx, b, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, nil)
		return err
	}
	_, err := doCounted(ctx, b, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, nil)
	return err
}

// doSlowly is DoValue, likewise.
func doSlowly[T any](ctx context.Context, b *Breaker, r *rules, fn func(context.Context) (T, error),
	judge func(context.Context, T, error) Outcome) (v T, err error) {
	if r.callTimeout > 0 {
		return doTimed(ctx, b, r, fn, judge)
	}
	return doCounted(ctx, b, r, fn, judge)
}

// doCounted admits, calls, judges and settles.
func doCounted[T any](ctx context.Context, b *Breaker, r *rules, fn func(context.Context) (T, error),
	judge func(context.Context, T, error) Outcome) (v T, err error) {
	g, err := b.admit(r)
	if err != nil {
		return v, err
	}
	judged := false
	defer func() {
		if !judged { // a panic or Goexit, in fn or in a verdict
			b.settle(g, Failure, nil)
		}
	}()
	v, err = fn(ctx)
	o := verdict(ctx, r, v, err, judge)
	judged = true // before settle, whose hooks may panic
	b.settle(g, o, err)
	return v, err
}
