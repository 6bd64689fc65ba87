package ratelimit

import "context"

// Store is where the events of string keys are kept and the limits on them
// are known: in this process, which is Memory, or in a server that many
// processes share, as package ratelimitredis has it. It is safe for use by many
// goroutines. Package ratelimittest holds what an implementation must fulfil.
//
// Take takes n permits for key, all or none, and says how the key stands. A
// refusal is no error and takes nothing. With n zero it only looks; a negative
// n panics. On failure the Decision is not Allowed, unless the Store decides
// without what it could not reach: then there is no error and the Decision is
// Degraded.
//
// Refund gives back the n newest permits of key, as far as they still count.
// Reset forgets all events of key.
//
// All three fail with the error of ctx, which also matches context.Cause, if
// ctx is done before the answer is there; if it was done before the call, they
// do nothing. Otherwise an error matches ErrStore: what it was meant for may or
// may not have been done.
type Store interface {
	Take(ctx context.Context, key string, n int) (Decision, error)
	Refund(ctx context.Context, key string, n int) error
	Reset(ctx context.Context, key string) error
}

// Memory is a Limiter as a Store. It never waits, and fails only if ctx is
// done.
type Memory struct {
	// Limiter keeps the events. It is required.
	Limiter *Limiter[string]
}

// Take is Limiter.Take.
func (m Memory) Take(ctx context.Context, key string, n int) (Decision, error) {
	notNegative(n)
	if ctx.Err() != nil {
		return Decision{}, ctxError(ctx)
	}
	return m.Limiter.Take(key, n), nil
}

// Refund is Limiter.Refund.
func (m Memory) Refund(ctx context.Context, key string, n int) error {
	notNegative(n)
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	m.Limiter.Refund(key, n)
	return nil
}

// Reset is Limiter.Reset.
func (m Memory) Reset(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	m.Limiter.Reset(key)
	return nil
}
