package memwatchhttp

import (
	"context"
	"slices"
	"sync"
)

// gate knows the requests that are being served, so that they can be ended.
//
// Invariant: once closed is set nothing is added to inside; left is closed
// when closed is set and inside is empty, whichever comes last.
type gate struct {
	mu     sync.Mutex // guards all below; held for nanoseconds, never over a request or a cancel
	closed bool
	inside map[*visit]struct{}
	left   chan struct{} // made by the first who waits
}

// visit is one request that is being served.
type visit struct {
	name    string // of its endpoint
	endless bool   // it ends only when told to
	cancel  context.CancelCauseFunc
}

// enter lets a request in, under a context that the gate can cancel. It returns
// ErrClosed once the gate is closed, and the error of a ctx that is done.
func (g *gate) enter(ctx context.Context, e endpoint) (context.Context, *visit, error) {
	if ctx.Err() != nil {
		return nil, nil, ctxError(ctx)
	}
	v := &visit{name: e.name, endless: e.endless}
	ctx, v.cancel = context.WithCancelCause(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		v.cancel(ErrClosed)
		return nil, nil, ErrClosed
	}
	g.inside[v] = struct{}{}
	return ctx, v, nil
}

// leave takes note that a request has been served.
func (g *gate) leave(v *visit) {
	v.cancel(nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.inside, v)
	g.tellLocked()
}

// close lets nobody in any more, cancels the visits that are endless, or all of
// them, and returns the names of those inside.
func (g *gate) close(all bool) []string {
	g.mu.Lock()
	g.closed = true
	var names []string
	var end []*visit
	for v := range g.inside {
		names = append(names, v.name)
		if all || v.endless {
			end = append(end, v)
		}
	}
	g.mu.Unlock()
	for _, v := range end {
		v.cancel(ErrClosed)
	}
	slices.Sort(names)
	return names
}

// empty returns a channel that is closed once the gate is closed and nobody is
// inside.
func (g *gate) empty() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == nil {
		g.left = make(chan struct{})
	}
	g.tellLocked()
	return g.left
}

func (g *gate) tellLocked() {
	if !g.closed || len(g.inside) > 0 || g.left == nil {
		return
	}
	select {
	case <-g.left: // told before
	default:
		close(g.left)
	}
}
