// Package poolbench compares bedplate's pool with its peers and with the least
// that Go can do, on the same work in one process.
package poolbench

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	limit   = 64 // resources where nobody is meant to wait
	callers = 8  // goroutines where everybody is
	few     = 2  // resources for those
)

// BenchmarkPoolAcquire takes an idle resource and gives it back.
func BenchmarkPoolAcquire(b *testing.B) {
	for _, p := range peers {
		b.Run("peer="+p.name, func(b *testing.B) {
			pool := p.make(limit, dial(0))
			defer pool.close()
			pool.loop(context.Background(), times(1), nil)
			b.ReportAllocs()
			pool.loop(context.Background(), b.Loop, nil)
		})
	}
}

// BenchmarkPoolAcquireParallel does so from every processor at once.
func BenchmarkPoolAcquireParallel(b *testing.B) {
	for _, p := range peers {
		b.Run("peer="+p.name, func(b *testing.B) {
			pool := p.make(limit, dial(0))
			defer pool.close()
			pool.loop(context.Background(), times(1), nil)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) { pool.loop(context.Background(), pb.Next, nil) })
		})
	}
}

// BenchmarkPoolContended passes two resources around eight callers. Whoever has
// one yields the processor, so that the others come and find it taken. The
// context can be cancelled, as that of a server's request can.
func BenchmarkPoolContended(b *testing.B) {
	for _, p := range peers {
		b.Run("peer="+p.name, func(b *testing.B) {
			pool := p.make(few, dial(0))
			defer pool.close()
			b.ReportAllocs()
			var wg sync.WaitGroup
			for i := range callers {
				n := b.N / callers
				if i < b.N%callers {
					n++
				}
				wg.Go(func() { pool.loop(b.Context(), times(n), runtime.Gosched) })
			}
			wg.Wait()
		})
	}
}

// The spike: fifty callers at once on a pool that may grow to a hundred and has
// five idle, each for as long as a short query; a dial takes 15 ms.
const (
	spikeCallers = 50
	spikeIdle    = 5
	spikeMax     = 100
	spikeDial    = 15 * time.Millisecond
	spikeUse     = 200 * time.Microsecond
)

// spike runs one, and returns how long each caller took and how many resources
// were made for it.
func spike(p peer) (took []time.Duration, surplus int) {
	var made, slow atomic.Int64
	pool := p.make(spikeMax, func() {
		made.Add(1)
		time.Sleep(time.Duration(slow.Load()))
	})
	defer pool.close()
	together(pool, spikeIdle)
	slow.Store(int64(spikeDial))
	made.Store(0)
	took = make([]time.Duration, spikeCallers)
	var wg sync.WaitGroup
	for i := range took {
		start := time.Now()
		wg.Go(func() {
			pool.loop(context.Background(), times(1), func() { time.Sleep(spikeUse) })
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	return took, int(made.Load())
}

// together has n callers hold a resource at the same time.
func together(pool instance, n int) {
	var wg, inside sync.WaitGroup
	inside.Add(n)
	for range n {
		wg.Go(func() {
			pool.loop(context.Background(), times(1), func() {
				inside.Done()
				inside.Wait()
			})
		})
	}
	wg.Wait()
}

// BenchmarkPoolSpike reports the median of what the callers took as ns/op.
func BenchmarkPoolSpike(b *testing.B) {
	for _, p := range peers {
		if p.static {
			continue // it cannot grow
		}
		b.Run("peer="+p.name, func(b *testing.B) {
			var all []time.Duration
			surplus := 0
			for range b.N {
				took, made := spike(p)
				all = append(all, took...)
				surplus += made
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2]), "ns/op")
			b.ReportMetric(float64(surplus)/float64(b.N), "made/op")
		})
	}
}

// The storm: ten thousand callers that wait for a limited time, and come again,
// for ten resources that are used for a millisecond. What counts is how often
// one is used, by whomever.
const (
	stormCallers = 10000
	stormCalm    = 20 // as many as keep all of them in use
	stormMax     = 10
	stormUse     = time.Millisecond
)

// BenchmarkPoolStorm is the time for each use: of the storm; calm, of those few
// alone; and elsewhere, of the few while ten thousand goroutines time out that
// have nothing to do with the pool, which is what the machine takes.
func BenchmarkPoolStorm(b *testing.B) {
	for _, wait := range []time.Duration{500 * time.Millisecond, 100 * time.Millisecond} {
		for _, p := range peers {
			if p.patient || p.name == "floor-mutex" {
				continue // its callers cannot give up
			}
			name := "wait=" + wait.String() + "/peer="
			b.Run(name+p.name, func(b *testing.B) { storm(b, p, wait, stormCallers, 0) })
			if p.name == "bedplate" {
				b.Run(name+"floor-calm", func(b *testing.B) { storm(b, p, wait, stormCalm, 0) })
				b.Run(name+"floor-elsewhere", func(b *testing.B) { storm(b, p, wait, stormCalm, stormCallers) })
			}
		}
	}
}

// storm has n callers use a pool, and as many as elsewhere time out without it.
func storm(b *testing.B, p peer, wait time.Duration, n, elsewhere int) {
	pool := p.make(stormMax, dial(0))
	defer pool.close()
	done := make(chan struct{})
	uses := make(chan struct{})
	use := func() {
		time.Sleep(stormUse)
		select {
		case uses <- struct{}{}:
		case <-done:
		}
	}
	var wg sync.WaitGroup
	again := func(i, of int, call func(ctx context.Context)) {
		wg.Go(func() {
			own := wait/2 + wait/2*time.Duration(i)/time.Duration(of)
			for {
				select {
				case <-done:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), own)
				call(ctx)
				cancel()
			}
		})
	}
	for i := range n {
		again(i, n, func(ctx context.Context) { pool.try(ctx, use) })
	}
	for i := range elsewhere {
		again(i, elsewhere, func(ctx context.Context) { <-ctx.Done() })
	}
	for swing := time.After(3 * wait / 2); swing != nil; {
		select {
		case <-uses:
		case <-swing:
			swing = nil // it is in full swing
		}
	}
	for b.Loop() {
		<-uses
	}
	close(done)
	wg.Wait()
}

// times returns a next that says yes n times.
func times(n int) func() bool {
	return func() bool {
		n--
		return n >= 0
	}
}

// dial returns one that takes d.
func dial(d time.Duration) func() { return func() { time.Sleep(d) } }

// TestRowsDoTheSameWork runs every peer with eight callers on three resources:
// each runs all of the work, nobody shares a resource, never more than three
// exist, and three can be held at once.
func TestRowsDoTheSameWork(t *testing.T) {
	const slots, each = 3, 200
	for _, p := range peers {
		t.Run("peer="+p.name, func(t *testing.T) {
			var made, ran, now, most atomic.Int64
			pool := p.make(slots, func() { made.Add(1) })
			defer pool.close()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					pool.loop(context.Background(), times(each), func() {
						n := now.Add(1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						runtime.Gosched()
						now.Add(-1)
						ran.Add(1)
					})
				})
			}
			wg.Wait()
			require.EqualValues(t, callers*each, ran.Load())
			require.LessOrEqual(t, most.Load(), int64(slots))
			together(pool, slots)
			require.EqualValues(t, slots, made.Load())

			if p.patient || p.static {
				return
			}
			// One that cannot be had in time is an error, and nothing is lost.
			hold := make(chan struct{})
			wg.Go(func() { // all of them
				var inside sync.WaitGroup
				for range slots {
					inside.Go(func() { pool.loop(context.Background(), times(1), func() { <-hold }) })
				}
				inside.Wait()
			})
			for pool.inUse() < slots {
				runtime.Gosched()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			require.False(t, pool.try(ctx, func() { t.Error("acquired what was in use") }))
			close(hold)
			wg.Wait()
			require.True(t, pool.try(t.Context(), func() {}))
		})
	}
}
