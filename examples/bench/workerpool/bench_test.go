// Package workerpoolbench compares bedplate's worker pool with its peers and
// with the least that Go can do, on the same work in one process.
package workerpoolbench

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alitto/pond/v2"
	"github.com/bytedance/gopkg/util/gopool"
	"github.com/panjf2000/ants/v2"
	"github.com/sourcegraph/conc/iter"
	concpool "github.com/sourcegraph/conc/pool"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/workerpool"
)

const (
	producers = 8      // goroutines where many bring tasks
	burst     = 10_000 // tasks that come at once
	items     = 1000   // values of one Map
)

// workers is how many each peer may use.
func workers() int { return runtime.GOMAXPROCS(0) }

// work is a task in the form that the peers want and in ours, so that nobody
// pays for an adapter around each task that its users would not pay for.
type work struct {
	plain func()
	ctx   func(context.Context)
}

func workOf(task func()) work { return work{task, func(context.Context) { task() }} }

// submitter brings a task into a peer's pool, and waits for room if there is
// none. close waits until all tasks have run.
type submitter struct {
	submit func(work)
	close  func()
}

// pools are the peers as fire-and-forget pools. Each is used as its own
// documentation says, with its own default for the length of its queue. Ours
// takes a context with each task, which the others do not know.
var pools = []struct {
	peer string
	make func() submitter
}{
	{"bedplate", func() submitter {
		p := workerpool.MustNew(workerpool.Config{Max: workers()})
		ctx := context.Background()
		return submitter{
			func(w work) { must(p.Go(ctx, w.ctx)) },
			func() { must(p.Drain(ctx)) },
		}
	}},
	{"bedplate-unbounded", func() submitter {
		p := workerpool.MustNew(workerpool.Config{Max: workers(), Queue: workerpool.Unbounded})
		ctx := context.Background()
		return submitter{
			func(w work) { must(p.Go(ctx, w.ctx)) },
			func() { must(p.Drain(ctx)) },
		}
	}},
	{"pond", func() submitter {
		p := pond.NewPool(workers())
		return submitter{func(w work) { must(p.Go(w.plain)) }, p.StopAndWait}
	}},
	{"pond-queue1024", func() submitter {
		p := pond.NewPool(workers(), pond.WithQueueSize(1024))
		return submitter{func(w work) { must(p.Go(w.plain)) }, p.StopAndWait}
	}},
	{"ants", func() submitter {
		p, err := ants.NewPool(workers())
		must(err)
		var wg sync.WaitGroup // ants has no way to wait for tasks
		return submitter{
			func(w work) {
				wg.Add(1)
				must(p.Submit(func() { w.plain(); wg.Done() }))
			},
			func() { wg.Wait(); p.Release() },
		}
	}},
	{"conc", func() submitter {
		p := concpool.New().WithMaxGoroutines(workers())
		return submitter{func(w work) { p.Go(w.plain) }, p.Wait}
	}},
	{"bytedance", func() submitter {
		p := gopool.NewPool("bench", int32(workers()), gopool.NewConfig())
		var wg sync.WaitGroup // it has no way to wait for tasks
		return submitter{
			func(w work) {
				wg.Add(1)
				p.Go(func() { w.plain(); wg.Done() })
			},
			wg.Wait,
		}
	}},
	{"floor-channel", func() submitter {
		tasks := make(chan func(), 1024)
		var wg sync.WaitGroup
		for range workers() {
			wg.Go(func() {
				for task := range tasks {
					task()
				}
			})
		}
		return submitter{func(w work) { tasks <- w.plain }, func() { close(tasks); wg.Wait() }}
	}},
	{"floor-go", func() submitter { // no bound at all
		var wg sync.WaitGroup
		return submitter{func(w work) { wg.Go(w.plain) }, wg.Wait}
	}},
}

//go:noinline
func nothing() {}

//go:noinline
func nothingCtx(context.Context) {}

// BenchmarkWorkerpoolSubmit brings tasks that do nothing from one goroutine. The
// time is that until the last one has run.
func BenchmarkWorkerpoolSubmit(b *testing.B) { run(b, 1, work{nothing, nothingCtx}) }

// BenchmarkWorkerpoolSubmitParallel brings them from eight.
func BenchmarkWorkerpoolSubmitParallel(b *testing.B) { run(b, producers, work{nothing, nothingCtx}) }

// BenchmarkWorkerpoolMicrosecond brings tasks of about a microsecond.
func BenchmarkWorkerpoolMicrosecond(b *testing.B) { run(b, 1, workOf(microsecond)) }

func run(b *testing.B, producers int, task work) {
	for _, r := range pools {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			p := r.make()
			b.ResetTimer()
			produce(p, producers, b.N, task)
			p.close()
		})
	}
}

// produce brings n tasks from so many goroutines.
func produce(p submitter, producers, n int, task work) {
	var wg sync.WaitGroup
	for i := range producers {
		share := n / producers
		if i < n%producers {
			share++
		}
		bring := func() {
			for range share {
				p.submit(task)
			}
		}
		if producers == 1 {
			bring()
		} else {
			wg.Go(bring)
		}
	}
	wg.Wait()
}

var sink atomic.Uint64

// microsecond computes for about a microsecond.
func microsecond() {
	x := uint64(88172645463325252)
	for range 700 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		sink.Add(1)
	}
}

// BenchmarkWorkerpoolBurst brings ten thousand tasks to an idle pool, and waits
// for all. An operation is the whole burst.
func BenchmarkWorkerpoolBurst(b *testing.B) {
	for _, r := range pools {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			p := r.make()
			for b.Loop() {
				burstOn(p, work{nothing, nothingCtx})
			}
			p.close()
		})
	}
}

func burstOn(p submitter, task work) {
	var wg sync.WaitGroup
	wg.Add(burst)
	counted := work{
		func() { task.plain(); wg.Done() },
		func(ctx context.Context) { task.ctx(ctx); wg.Done() },
	}
	for range burst {
		p.submit(counted)
	}
	wg.Wait()
}

// asker runs a task with a result in a pool and waits for the result.
type asker struct {
	ask   func(question) (int, error)
	close func()
}

// question is a task with a result, in both forms.
type question struct {
	plain func() (int, error)
	ctx   func(context.Context) (int, error)
}

func questionOf(task func() (int, error)) question {
	return question{task, func(context.Context) (int, error) { return task() }}
}

type result struct {
	value int
	err   error
}

var askers = []struct {
	peer string
	make func() asker
}{
	{"bedplate", func() asker {
		p := workerpool.MustNew(workerpool.Config{Max: workers()})
		ctx := context.Background()
		return asker{
			func(q question) (int, error) {
				f, err := workerpool.Submit(ctx, p, q.ctx)
				if err != nil {
					return 0, err
				}
				return f.Wait(ctx)
			},
			func() { must(p.Close()) },
		}
	}},
	{"pond", func() asker {
		p := pond.NewResultPool[int](workers())
		return asker{
			func(q question) (int, error) { return p.SubmitErr(q.plain).Wait() },
			p.StopAndWait,
		}
	}},
	{"ants-channel", func() asker {
		p, err := ants.NewPool(workers())
		must(err)
		return asker{
			func(q question) (int, error) {
				c := make(chan result, 1)
				must(p.Submit(func() {
					v, err := q.plain()
					c <- result{v, err}
				}))
				r := <-c
				return r.value, r.err
			},
			p.Release,
		}
	}},
	{"floor-go", func() asker {
		return asker{
			func(q question) (int, error) {
				c := make(chan result, 1)
				go func() {
					v, err := q.plain()
					c <- result{v, err}
				}()
				r := <-c
				return r.value, r.err
			},
			func() {},
		}
	}},
}

// BenchmarkWorkerpoolResult brings one task and waits for its result.
func BenchmarkWorkerpoolResult(b *testing.B) {
	for _, r := range askers {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			a := r.make()
			for b.Loop() {
				v, err := a.ask(question{seven, sevenCtx})
				if v != 7 || err != nil {
					b.Fatal(v, err)
				}
			}
			a.close()
		})
	}
}

//go:noinline
func seven() (int, error) { return 7, nil }

//go:noinline
func sevenCtx(context.Context) (int, error) { return 7, nil }

// mappers apply a function to a thousand values, in order.
var mappers = []struct {
	peer string
	make func() (apply func(in []int, fn func(int) (int, error)) ([]int, error), closing func())
}{
	{"bedplate", func() (func([]int, func(int) (int, error)) ([]int, error), func()) {
		p := workerpool.MustNew(workerpool.Config{Max: workers()})
		return func(in []int, fn func(int) (int, error)) ([]int, error) {
			return workerpool.Map(context.Background(), p, in, func(_ context.Context, v int) (int, error) { return fn(v) })
		}, func() { must(p.Close()) }
	}},
	{"conc", func() (func([]int, func(int) (int, error)) ([]int, error), func()) {
		m := iter.Mapper[int, int]{MaxGoroutines: workers()}
		return func(in []int, fn func(int) (int, error)) ([]int, error) {
			return m.MapErr(in, func(v *int) (int, error) { return fn(*v) })
		}, func() {}
	}},
	{"pond", func() (func([]int, func(int) (int, error)) ([]int, error), func()) {
		p := pond.NewResultPool[int](workers())
		return func(in []int, fn func(int) (int, error)) ([]int, error) {
			g := p.NewGroup()
			for _, v := range in {
				g.SubmitErr(func() (int, error) { return fn(v) })
			}
			return g.Wait()
		}, p.StopAndWait
	}},
	{"floor-loop", func() (func([]int, func(int) (int, error)) ([]int, error), func()) {
		return func(in []int, fn func(int) (int, error)) ([]int, error) {
			out := make([]int, len(in))
			for i, v := range in {
				var err error
				if out[i], err = fn(v); err != nil {
					return nil, err
				}
			}
			return out, nil
		}, func() {}
	}},
}

// BenchmarkWorkerpoolMap maps a thousand values by a function that does next to
// nothing. An operation is the whole Map.
func BenchmarkWorkerpoolMap(b *testing.B) {
	in := numbers()
	for _, r := range mappers {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			apply, closing := r.make()
			for b.Loop() {
				out, err := apply(in, double)
				if err != nil || out[items-1] != 2*(items-1) {
					b.Fatal(out, err)
				}
			}
			closing()
		})
	}
}

//go:noinline
func double(v int) (int, error) { return 2 * v, nil }

func numbers() []int {
	in := make([]int, items)
	for i := range in {
		in[i] = i
	}
	return in
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork shows that every row runs each task once and no more at
// a time than it may, returns results and errors, and keeps the order.
func TestRowsDoTheSameWork(t *testing.T) {
	for _, r := range pools {
		t.Run("pool="+r.peer, func(t *testing.T) {
			var ran, now, most atomic.Int64
			task := func() {
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				runtime.Gosched()
				now.Add(-1)
				ran.Add(1)
			}
			p := r.make()
			produce(p, producers, 5001, workOf(task))
			burstOn(p, workOf(task))
			p.close()
			require.EqualValues(t, 5001+burst, ran.Load())
			if r.peer != "floor-go" {
				require.LessOrEqual(t, most.Load(), int64(workers()))
			}
		})
	}
	failure := errors.New("failure")
	for _, r := range askers {
		t.Run("asker="+r.peer, func(t *testing.T) {
			a := r.make()
			for i := range 100 {
				v, err := a.ask(questionOf(func() (int, error) { return i, nil }))
				require.NoError(t, err)
				require.Equal(t, i, v)
			}
			_, err := a.ask(questionOf(func() (int, error) { return 0, failure }))
			require.ErrorIs(t, err, failure)
			a.close()
		})
	}
	for _, r := range mappers {
		t.Run("mapper="+r.peer, func(t *testing.T) {
			apply, closing := r.make()
			in := numbers()
			out, err := apply(in, double)
			require.NoError(t, err)
			require.Len(t, out, items)
			for i, v := range out {
				require.Equal(t, 2*i, v)
			}
			_, err = apply(in, func(v int) (int, error) {
				if v == 500 {
					return 0, failure
				}
				return v, nil
			})
			require.ErrorIs(t, err, failure)
			closing()
		})
	}
}
