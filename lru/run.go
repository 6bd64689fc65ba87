package lru

import (
	"context"
	"sync"
	"time"
)

// maxRefreshes is how many refreshes Run has under way at one time. What is
// due beyond that is done by later hits.
const maxRefreshes = 64

// runner lets callers of GetOrLoad hand their refreshes to Run.
type runner struct {
	mu     sync.Mutex // guards all that follows
	ended  bool
	active int
	idle   chan struct{}                                   // closed when ended and the last refresh is over
	linked func(context.Context) (context.Context, func()) // ends with Run's ctx
}

// Run removes expired entries every Config.SweepEvery and does the refreshes
// that Config.RefreshAhead asks for, until ctx is done. Then it waits for the
// refreshes under way, whose contexts end with ctx, and returns the error of
// ctx, which also matches context.Cause. A cache works without Run; call it on
// a goroutine of your own, once:
//
//	go cache.Run(ctx)
//
// A second Run beside the first only removes expired entries. A panic of a
// loader in a refresh is not recovered, so it ends the program.
func (c *Cache[K, V]) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	r := &runner{idle: make(chan struct{}), linked: func(values context.Context) (context.Context, func()) {
		linked, cancel := context.WithCancelCause(context.WithoutCancel(values))
		stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		return linked, func() { stop(); cancel(nil) }
	}}
	if c.runner.CompareAndSwap(nil, r) {
		defer func() {
			c.runner.Store(nil)
			r.end()
		}()
	}
	ticker := time.NewTicker(c.cfg.SweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctxError(ctx)
		case <-ticker.C:
			c.RemoveExpired()
		}
	}
}

// end refuses further refreshes and waits for those under way.
func (r *runner) end() {
	r.mu.Lock()
	r.ended = true
	wait := r.active > 0
	r.mu.Unlock()
	if wait {
		<-r.idle
	}
}

// start runs refresh on a goroutine that Run waits for, with the values of ctx
// and the end of Run's. It reports false if there is no Run, or too much to do.
func (r *runner) start(ctx context.Context, refresh func(context.Context)) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.active >= maxRefreshes {
		return false
	}
	r.active++
	go func() {
		linked, unlink := r.linked(ctx)
		defer func() { // also after a Goexit
			unlink()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.active--; r.active == 0 && r.ended {
				close(r.idle)
			}
		}()
		refresh(linked)
	}()
	return true
}
