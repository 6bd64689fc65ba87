package workerpool

import (
	"context"
	"fmt"
	"reflect"
)

// Priority says whose turn comes first among tasks that wait, see
// Config.Ageing. It does not stop tasks that run.
type Priority int8

// The priorities.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

// Target is where Submit, Map and Stream bring their tasks: a *Pool or a *View
// of one.
type Target interface{ target() *View }

// View brings tasks into a pool with a priority or under a sub-limit. It has
// no life of its own: make as many as you like, and forget them.
type View struct {
	pool *Pool
	lane Priority
	gate *gate // nil without a sub-limit
}

func (v *View) target() *View { return v }
func (p *Pool) target() *View { return &p.view }

// WithPriority returns a View like v that brings tasks with priority. It
// panics if there is no such priority.
func (v *View) WithPriority(priority Priority) *View {
	if priority < Low || priority > High {
		panic(fmt.Sprintf("workerpool: priority is %d, want Low, Normal or High", priority))
	}
	if priority != Normal {
		v.pool.addLane(priority)
	}
	return &View{pool: v.pool, lane: priority, gate: v.gate}
}

// Limit returns a View like v of whose tasks at most n run at one time, those
// of its own Views included. It takes the place of another limit that v has.
// Tasks that wait for the limit take room in the queue but no worker. It
// panics if n is below 1.
func (v *View) Limit(n int) *View {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: limit is %d, want ≥ 1", n))
	}
	return &View{pool: v.pool, lane: v.lane, gate: &gate{limit: n}}
}

// Go is Pool.Go.
func (v *View) Go(ctx context.Context, fn func(context.Context)) error {
	return v.pool.submit(ctx, v.entry(ctx, fn), v.pool.cfg.Overflow)
}

// TryGo is Pool.TryGo.
func (v *View) TryGo(ctx context.Context, fn func(context.Context)) bool {
	return v.pool.submit(ctx, v.entry(ctx, fn), Reject) == nil
}

// GoKey is Pool.GoKey. The key takes the place of a sub-limit of the View.
func (v *View) GoKey(ctx context.Context, key any, fn func(context.Context)) error {
	if key == nil || !reflect.ValueOf(key).Comparable() {
		panic(fmt.Sprintf("workerpool: key is of type %T, want a comparable one", key))
	}
	if key != key {
		panic("workerpool: key differs from itself, as NaN does")
	}
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	j := &job{parent: ctx, do: goFunc(fn), pool: v.pool}
	j.x = &extra{lane: v.lane, gate: &gate{limit: 1, keyed: true, key: key}}
	return v.pool.submit(ctx, entryOf(j), v.pool.cfg.Overflow)
}

// Group is Pool.Group.
func (v *View) Group(ctx context.Context) *Group { return newGroup(ctx, v) }

func (v *View) entry(ctx context.Context, fn func(context.Context)) entry {
	if fn == nil {
		panic("workerpool: fn is nil")
	}
	if v.lane == Normal && v.gate == nil {
		return entry{ctx: ctx, fn: fn}
	}
	j := &job{parent: ctx, do: goFunc(fn), pool: v.pool}
	v.mark(j)
	return entryOf(j)
}

// mark gives j what v says of its jobs.
func (v *View) mark(j *job) {
	if v.lane != Normal || v.gate != nil {
		j.x = &extra{lane: v.lane, gate: v.gate}
	}
}
