package breaker

import "context"

// Outcome is the verdict on a call.
type Outcome uint8

const (
	// Success means that the dependency is well.
	Success Outcome = iota
	// Failure means that it is not.
	Failure
	// Ignored means that the call says nothing about it.
	Ignored
)

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string { return nameOf(o, "success", "failure", "ignored") }

// DefaultClassify returns Success for no error, Ignored for an error after ctx,
// the caller's, was done, and Failure otherwise. A timeout that the dependency
// reports while the caller still waits is therefore a failure.
func DefaultClassify(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case ctx.Err() != nil:
		return Ignored
	}
	return Failure
}

// judge is Config.Classify, with its default.
func (r *rules) judge(ctx context.Context, err error) Outcome {
	if r.classify == nil || err == nil {
		return DefaultClassify(ctx, err)
	}
	return r.classify(ctx, err)
}

// verdict judges a call that ran to its end in time.
func verdict[T any](ctx context.Context, r *rules, v T, err error, judge func(context.Context, T, error) Outcome) Outcome {
	if judge != nil {
		return judge(ctx, v, err)
	}
	return r.judge(ctx, err)
}
