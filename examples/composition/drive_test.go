package composition_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/bedplate/bedplate/lru"
	"github.com/bedplate/bedplate/stream"
	"github.com/bedplate/bedplate/workerpool"
)

// chunk is how many calls a driver makes in one way before it changes to the
// next.
const chunk = 64

// drive makes n calls by many drivers, which take chunks of the plan.
func (w *world) drive(ctx context.Context, drivers int, n uint64) {
	ways := []func(context.Context, []*call){w.driveDirect, w.driveSubmit, w.driveMap, w.driveStream, w.driveCached, w.driveDirect}
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range drivers {
		wg.Go(func() {
			for {
				first := next.Add(chunk) - chunk
				if first >= n {
					return
				}
				var cs []*call
				for id := first; id < min(first+chunk, n); id++ {
					cs = append(cs, plan(w.seed, id, w.unit))
				}
				number := first / chunk
				ways[number%uint64(len(ways))](ctx, cs)
				switch number % 500 {
				case 250:
					w.pool.Reset() // a failover: all connections are replaced
				case 499:
					w.pool.Evict(func(c *conn) bool { return c.users.Load() == 0 })
				}
			}
		})
	}
	wg.Wait()
}

func (w *world) driveDirect(ctx context.Context, cs []*call) {
	for _, c := range cs {
		w.runDirect(ctx, c)
	}
}

// driveSubmit brings all calls to the workers, and waits for each.
func (w *world) driveSubmit(ctx context.Context, cs []*call) {
	type pending struct {
		call *call
		end  func()
		f    *workerpool.Future[uint64]
	}
	var waits []pending
	for _, c := range cs {
		own, end := c.ends(ctx, w.seed)
		w.tasks.Add(1)
		f, err := workerpool.Submit(own, w.workers, func(ctx context.Context) (uint64, error) {
			w.tasksRan.Add(1)
			return w.ask(ctx, c)
		})
		if err != nil {
			w.tasksRefused.Add(1)
			w.checkGone(own, err)
			w.tell(c, false)
			end()
			continue
		}
		waits = append(waits, pending{c, end, f})
	}
	for _, p := range waits {
		_, err := p.f.Wait(ctx)
		if boom, ok := err.(*workerpool.PanicError); ok {
			w.taskPanics.Add(1)
			w.checkBroken(p.call, boom.Value)
		} else if err == workerpool.ErrGoexit {
			w.checkBroken(p.call, nil)
		} else if p.call.attempts == 0 && err == nil {
			w.wrong("call %d has not run and is well", p.call.id)
		}
		w.tell(p.call, err == nil)
		p.end()
	}
}

// survivors are the calls without those that would end a whole Map or ParMap,
// which are made in the plain way.
func (w *world) survivors(ctx context.Context, cs []*call) []*call {
	var out []*call
	for _, c := range cs {
		if c.kind == panicking || c.kind == exiting {
			w.runDirect(ctx, c)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// answer makes a call whose error is an answer as well.
func (w *world) answer(ctx context.Context, c *call) (uint64, error) {
	ctx, end := c.ends(ctx, w.seed)
	defer end()
	_, err := w.ask(ctx, c)
	w.tell(c, err == nil)
	return c.id, nil
}

func (w *world) driveMap(ctx context.Context, cs []*call) {
	cs = w.survivors(ctx, cs)
	out, err := workerpool.Map(ctx, w.workers, cs, w.answer)
	if err != nil {
		w.wrong("Map: %v", err)
	}
	w.checkOrder("Map", cs, out)
}

func (w *world) driveStream(ctx context.Context, cs []*call) {
	cs = w.survivors(ctx, cs)
	out, err := stream.ParMap(stream.Of(cs...), stream.Parallel{Workers: 4}, w.answer).Collect(ctx)
	if err != nil {
		w.wrong("ParMap: %v", err)
	}
	w.checkOrder("ParMap", cs, out)
}

func (w *world) checkOrder(who string, cs []*call, out []uint64) {
	if len(out) != len(cs) {
		w.wrong("%s: %d results of %d calls", who, len(out), len(cs))
		return
	}
	for i, c := range cs {
		if out[i] != c.id {
			w.wrong("%s: result %d is of call %d, want %d", who, i, out[i], c.id)
		}
	}
}

// driveCached looks up keys that other drivers look up as well. What is missing
// is loaded through the guards, once for all who want it.
func (w *world) driveCached(ctx context.Context, cs []*call) {
	for _, c := range cs {
		if c.kind == exiting {
			c.kind = fine // it would take the driver along
		}
		w.lookUp(ctx, c)
	}
}

func (w *world) lookUp(ctx context.Context, c *call) {
	key := draw(w.seed, c.id, 7) % 256
	ctx, end := c.ends(ctx, w.seed)
	defer end()
	w.lookups.Add(1)
	if ctx.Err() != nil {
		w.lookupsEarly.Add(1)
	}
	loading, returned, ok := false, false, false
	defer func() {
		if !returned {
			w.checkBroken(c, recover())
		}
		w.tell(c, ok)
	}()
	v, err := w.cache.GetOrLoad(ctx, key, func(ctx context.Context, key uint64) (uint64, error) {
		loading = true
		w.loads.Add(1)
		loaded := false
		defer func() {
			if !loaded {
				w.loadsBad.Add(1)
			}
		}()
		_, err := w.ask(ctx, c)
		loaded = err == nil
		return key, err
	})
	returned, ok = true, err == nil
	switch {
	case err == nil && v != key:
		w.wrong("key %d has the value %d", key, v)
	case err == nil || loading:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		w.checkGone(ctx, err)
	case errors.Is(err, lru.ErrAborted):
	default:
		// It is what another's load has returned, and nothing of that one's ctx.
		if errors.Is(err, context.Canceled) {
			w.wrong("call %d: a shared load was cancelled: %v", c.id, err)
		}
	}
}
