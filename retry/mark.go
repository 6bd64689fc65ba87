package retry

import "context"

// Info is what fn can learn about the retry it is part of.
type Info struct {
	// Attempt is the number of this attempt, ≥ 2.
	Attempt int
	// Err is the error of the attempt before.
	Err error
}

// FromContext tells fn which retry it is part of, the innermost one if there
// are several. ok is false in a first attempt, in the attempts of a Retrier with
// Config.NoDelay, and outside of any.
func FromContext(ctx context.Context) (info Info, ok bool) {
	if c, ok := ctx.Value(infoKey{}).(*attemptCtx); ok {
		return c.info, true
	}
	return Info{}, false
}

type infoKey struct{}

// attemptCtx is the context of a retry. It is both the carrier of Info and the
// mark by which a Retrier inside knows that an outer one is already retrying.
// First attempts run unmarked, so that nothing is made for a call that
// succeeds; calls nested d deep with n attempts each then cost d·n attempts at
// most where they would cost n to the power of d.
type attemptCtx struct {
	context.Context
	info Info
}

// Value answers the package's own key and leaves all others to the parent.
func (c *attemptCtx) Value(key any) any {
	if key == (infoKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// marked reports whether ctx is that of a retry.
func marked(ctx context.Context) bool {
	return ctx.Value(infoKey{}) != nil
}

// mark returns the context of the attempt that follows.
func (s *run) mark(ctx context.Context, r *Retrier) context.Context {
	if r.cfg.NoDelay {
		return ctx
	}
	return &attemptCtx{ctx, Info{Attempt: s.attempts + 1, Err: s.errs[(s.attempts-1)%keptErrors]}}
}
