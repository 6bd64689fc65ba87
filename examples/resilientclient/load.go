package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tally is what one client's callers got in one phase.
type tally struct {
	ok, failed uint64
	sent       uint64          // requests that left the client
	took       []time.Duration // of every call, whatever came of it
}

func (t *tally) calls() uint64 { return t.ok + t.failed }

// quantile gives the duration that a share q of the calls did not pass.
func (t *tally) quantile(q float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func (t *tally) add(o *tally) {
	t.ok += o.ok
	t.failed += o.failed
	t.sent += o.sent
	t.took = append(t.took, o.took...)
}

// client runs the load through one call and keeps the tallies.
type client struct {
	name   string
	script script

	running atomic.Int64 // calls in flight; written by their goroutines
	calls   sync.WaitGroup

	mu      sync.Mutex // guards begun and tallies
	begun   time.Time
	tallies []tally // a phase each, by the moment a call began
}

func newClient(name string, sc script) *client {
	return &client{name: name, script: sc, tallies: make([]tally, len(sc))}
}

// phase is the one that is on now.
func (c *client) phase() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.script.at(time.Since(c.begun))
}

// sentOne counts a request that leaves the client now.
func (c *client) sentOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallies[c.script.at(time.Since(c.begun))].sent++
}

// load calls at a fixed rate until ctx is done, whatever becomes of the calls:
// users don't stop coming because a dependency is slow. Each call may take up
// to patience. It returns when the last call has ended.
func (c *client) load(ctx context.Context, do call, perSecond int, patience time.Duration) {
	c.mu.Lock()
	c.begun = time.Now()
	c.mu.Unlock()
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			// Calls under way belong to users who are still waiting: they end
			// by themselves or by their own deadline.
			c.calls.Wait()
			return
		case <-ticker.C:
			c.calls.Go(func() { c.one(context.WithoutCancel(ctx), do, patience) })
		}
	}
}

func (c *client) one(ctx context.Context, do call, patience time.Duration) {
	c.running.Add(1)
	defer c.running.Add(-1)
	phase := c.phase()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	_, err := do(ctx)
	took := time.Since(start)

	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.tallies[phase]
	t.took = append(t.took, took)
	if err == nil {
		t.ok++
	} else {
		t.failed++
	}
}

// snapshot copies the tallies.
func (c *client) snapshot() []tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.tallies)
	for i := range out {
		out[i].took = slices.Clone(out[i].took)
	}
	return out
}
