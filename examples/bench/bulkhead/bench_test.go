// Package bulkheadbench compares bedplate's bulkhead with its peers and with
// the least that Go can do, on the same work in one process.
package bulkheadbench

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eapache "github.com/eapache/go-resiliency/semaphore"
	failsafe "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/stretchr/testify/require"
	xsync "golang.org/x/sync/semaphore"

	"github.com/bedplate/bedplate/bulkhead"
)

const (
	limit   = 64 // slots where nobody is meant to wait
	callers = 8  // goroutines where everybody is
)

// A loop takes a slot, calls inside if it is not nil, and gives the slot back,
// for as long as next says. It is written out for each peer, so that no peer
// pays for a closure around each call that its users would not pay for.
type loop func(ctx context.Context, next func() bool, inside func())

// loops are the peers in their two-step form.
var loops = []struct {
	peer string
	make func(slots int) loop
}{
	{"bedplate", func(slots int) loop {
		s := bulkhead.MustNew(bulkhead.Config{Limit: slots})
		return func(ctx context.Context, next func() bool, inside func()) {
			for next() {
				p, err := s.Acquire(ctx)
				must(err)
				if inside != nil {
					inside()
				}
				p.Release()
			}
		}
	}},
	{"xsync", func(slots int) loop {
		s := xsync.NewWeighted(int64(slots))
		return func(ctx context.Context, next func() bool, inside func()) {
			for next() {
				must(s.Acquire(ctx, 1))
				if inside != nil {
					inside()
				}
				s.Release(1)
			}
		}
	}},
	{"failsafe", func(slots int) loop {
		s := failsafe.New[any](uint(slots))
		return func(ctx context.Context, next func() bool, inside func()) {
			for next() {
				must(s.AcquirePermit(ctx))
				if inside != nil {
					inside()
				}
				s.ReleasePermit()
			}
		}
	}},
	{"eapache", func(slots int) loop {
		s := eapache.New(slots, time.Minute) // it knows no context
		return func(_ context.Context, next func() bool, inside func()) {
			for next() {
				must(s.Acquire())
				if inside != nil {
					inside()
				}
				s.Release()
			}
		}
	}},
	{"floor-channel", func(slots int) loop {
		s := make(chan struct{}, slots)
		return func(_ context.Context, next func() bool, inside func()) {
			for next() {
				s <- struct{}{}
				if inside != nil {
					inside()
				}
				<-s
			}
		}
	}},
	{"floor-mutex", func(slots int) loop {
		var mu sync.Mutex
		free := sync.NewCond(&mu)
		used := 0
		return func(_ context.Context, next func() bool, inside func()) {
			for next() {
				mu.Lock()
				for used >= slots {
					free.Wait()
				}
				used++
				mu.Unlock()
				if inside != nil {
					inside()
				}
				mu.Lock()
				used--
				mu.Unlock()
				free.Signal()
			}
		}
	}},
	{"floor-cas", func(slots int) loop {
		var used atomic.Int64
		return func(_ context.Context, next func() bool, inside func()) {
			for next() {
				for {
					u := used.Load()
					if u < int64(slots) && used.CompareAndSwap(u, u+1) {
						break
					}
					if u >= int64(slots) {
						runtime.Gosched() // it cannot wait
					}
				}
				if inside != nil {
					inside()
				}
				for {
					u := used.Load()
					if used.CompareAndSwap(u, u-1) {
						break
					}
				}
			}
		}
	}},
}

// A guard runs fn with a slot so that a panic does not lose it.
type guard func(ctx context.Context, fn func(context.Context) error) error

// guards are the peers around a call. Those that leave the panic to the user
// are used with a defer, as their users must.
var guards = []struct {
	peer string
	make func(slots int) guard
}{
	{"bedplate", func(slots int) guard {
		return bulkhead.MustNew(bulkhead.Config{Limit: slots}).Do
	}},
	{"xsync", func(slots int) guard {
		s := xsync.NewWeighted(int64(slots))
		return func(ctx context.Context, fn func(context.Context) error) error {
			if err := s.Acquire(ctx, 1); err != nil {
				return err
			}
			defer s.Release(1)
			return fn(ctx)
		}
	}},
	{"failsafe", func(slots int) guard {
		s := failsafe.New[any](uint(slots))
		return func(ctx context.Context, fn func(context.Context) error) error {
			if err := s.AcquirePermit(ctx); err != nil {
				return err
			}
			defer s.ReleasePermit()
			return fn(ctx)
		}
	}},
	{"eapache", func(slots int) guard {
		s := eapache.New(slots, time.Minute)
		return func(ctx context.Context, fn func(context.Context) error) error {
			if err := s.Acquire(); err != nil {
				return err
			}
			defer s.Release()
			return fn(ctx)
		}
	}},
	{"floor-channel", func(slots int) guard {
		s := make(chan struct{}, slots)
		return func(ctx context.Context, fn func(context.Context) error) error {
			s <- struct{}{}
			defer func() { <-s }()
			return fn(ctx)
		}
	}},
}

// BenchmarkBulkheadAcquire takes a free slot and gives it back.
func BenchmarkBulkheadAcquire(b *testing.B) {
	for _, r := range loops {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			r.make(limit)(context.Background(), b.Loop, nil)
		})
	}
}

// BenchmarkBulkheadAcquireParallel does so from every processor at once.
func BenchmarkBulkheadAcquireParallel(b *testing.B) {
	for _, r := range loops {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			run := r.make(limit)
			b.RunParallel(func(pb *testing.PB) { run(context.Background(), pb.Next, nil) })
		})
	}
}

// BenchmarkBulkheadHandoff passes one slot around eight callers. Whoever has it
// yields the processor, so that the others come and find it taken: every
// operation is a wait and a hand-off. The context can be cancelled, as that of
// a server's request can.
func BenchmarkBulkheadHandoff(b *testing.B) {
	ctx := b.Context()
	for _, r := range loops {
		if r.peer == "floor-cas" {
			continue // it cannot wait
		}
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			run := r.make(1)
			var wg sync.WaitGroup
			for i := range callers {
				n := b.N / callers
				if i < b.N%callers {
					n++
				}
				wg.Go(func() { run(ctx, times(n), runtime.Gosched) })
			}
			wg.Wait()
		})
	}
}

// times returns a next that says yes n times.
func times(n int) func() bool {
	return func() bool {
		n--
		return n >= 0
	}
}

// BenchmarkBulkheadDo guards a call that does nothing.
func BenchmarkBulkheadDo(b *testing.B) {
	for _, r := range guards {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			do := r.make(limit)
			for b.Loop() {
				must(do(context.Background(), nothing))
			}
		})
	}
}

// BenchmarkBulkheadDoParallel does so from every processor at once.
func BenchmarkBulkheadDoParallel(b *testing.B) {
	for _, r := range guards {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			do := r.make(limit)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					must(do(context.Background(), nothing))
				}
			})
		})
	}
}

//go:noinline
func nothing(context.Context) error { return nil }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork runs every row with eight callers on three slots: each
// runs all of the work, never more than three at a time, and three in the end.
func TestRowsDoTheSameWork(t *testing.T) {
	const slots, each = 3, 200
	check := func(t *testing.T, run func(inside func())) {
		var ran, now, most atomic.Int64
		inside := func() {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			runtime.Gosched()
			now.Add(-1)
			ran.Add(1)
		}
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() { run(inside) })
		}
		wg.Wait()
		require.EqualValues(t, callers*each, ran.Load())
		require.LessOrEqual(t, most.Load(), int64(slots))
	}
	for _, r := range loops {
		t.Run("loop="+r.peer, func(t *testing.T) {
			loop := r.make(slots)
			check(t, func(inside func()) {
				loop(context.Background(), times(each), inside)
			})
			require.True(t, fits(loop, slots), "all slots can be held at once")
		})
	}
	for _, r := range guards {
		t.Run("guard="+r.peer, func(t *testing.T) {
			do := r.make(slots)
			check(t, func(inside func()) {
				for range each {
					must(do(context.Background(), func(context.Context) error { inside(); return nil }))
				}
			})
			require.PanicsWithValue(t, "boom", func() {
				_ = do(context.Background(), func(context.Context) error { panic("boom") })
			})
		})
	}
}

// fits reports whether n callers of l can be inside at the same time: each
// waits there for the others, so it hangs if they cannot.
func fits(l loop, n int) bool {
	var wg, inside sync.WaitGroup
	inside.Add(n)
	for range n {
		wg.Go(func() {
			l(context.Background(), times(1), func() {
				inside.Done()
				inside.Wait()
			})
		})
	}
	wg.Wait()
	return true
}
