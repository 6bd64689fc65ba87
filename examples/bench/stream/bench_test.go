// Package streambench compares bedplate's stream with its peers and with the
// least that Go can do, on the same work in one process.
package streambench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/destel/rill"
	gostreams "github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/samber/lo/it"
	"github.com/samber/ro"
	conc "github.com/sourcegraph/conc/stream"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

const (
	items     = 20_000  // in one operation
	text      = 4 << 20 // bytes in one operation of lines
	batchSize = 100
)

// A run sends the integers from 0 to before n through its pipeline and returns
// how many came out and their sum.
type run func(ctx context.Context, n int) (count, sum int)

type row struct {
	peer string
	run  run
}

//go:noinline
func add(v int) int { return v + 1 }

// tally counts and sums up; it is the end of each pipeline.
type tally struct{ count, sum int }

func (t *tally) add(v int) { t.count++; t.sum += v }

func (t *tally) result() (int, int) { return t.count, t.sum }

// maps are pipelines of some stages that add one each.
func maps(stages int) []row {
	return []row{
		{"bedplate", func(ctx context.Context, n int) (int, int) {
			s := stream.Range(0, n)
			for range stages {
				s = stream.Map(s, add)
			}
			var t tally
			must(s.Run(ctx, func(v int) error { t.add(v); return nil }))
			return t.result()
		}},
		{"ro", func(ctx context.Context, n int) (int, int) {
			s := ro.Map(func(v int64) int { return int(v) + 1 })(ro.Range(0, int64(n)))
			for range stages - 1 {
				s = ro.Map(add)(s)
			}
			var t tally
			s.SubscribeWithContext(ctx, ro.OnNext(t.add)).Wait()
			return t.result()
		}},
		{"rill", func(_ context.Context, n int) (int, int) {
			s := rill.Generate(func(send func(int), _ func(error)) {
				for v := range n {
					send(v)
				}
			})
			for range stages {
				s = rill.Map(s, 1, func(v int) (int, error) { return add(v), nil })
			}
			var t tally
			must(rill.ForEach(s, 1, func(v int) error { t.add(v); return nil }))
			return t.result()
		}},
		{"lo-it", func(_ context.Context, n int) (int, int) {
			s := upTo(n)
			for range stages {
				s = it.Map(s, add)
			}
			var t tally
			for v := range s {
				t.add(v)
			}
			return t.result()
		}},
		{"go-streams", func(_ context.Context, n int) (int, int) {
			in, out := make(chan any), make(chan any)
			go func() {
				defer close(in)
				for v := range n {
					in <- v
				}
			}()
			s := gostreams.NewChanSource(in).Via(flow.NewMap(add, 1))
			for range stages - 1 {
				s = s.Via(flow.NewMap(add, 1))
			}
			go s.To(gostreams.NewChanSink(out))
			var t tally
			for v := range out {
				t.add(v.(int))
			}
			return t.result()
		}},
		{"floor-seq2", func(_ context.Context, n int) (int, int) {
			s := func(yield func(int, error) bool) {
				for v := range n {
					if !yield(v, nil) {
						return
					}
				}
			}
			for range stages {
				s = mapSeq2(s, add)
			}
			var t tally
			for v, err := range s {
				must(err)
				t.add(v)
			}
			return t.result()
		}},
		{"floor-loop", func(_ context.Context, n int) (int, int) {
			var t tally
			for v := range n {
				for range stages {
					v = add(v)
				}
				t.add(v)
			}
			return t.result()
		}},
	}
}

func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for v := range n {
			if !yield(v) {
				return
			}
		}
	}
}

// mapSeq2 is the stage that one writes oneself over iter.Seq2.
func mapSeq2(s func(func(int, error) bool), f func(int) int) func(func(int, error) bool) {
	return func(yield func(int, error) bool) {
		for v, err := range s {
			if err != nil {
				yield(0, err)
				return
			}
			if !yield(f(v), nil) {
				return
			}
		}
	}
}

// light is work of some 20 ns, so that what is measured is the way around it.
//
//go:noinline
func light(v int) int {
	x := uint64(v)
	for range 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return int(x & 0xff)
}

const workers = 2

var ordered = []row{
	{"bedplate", func(ctx context.Context, n int) (int, int) {
		return parMap(ctx, n, stream.Parallel{Workers: workers})
	}},
	{"rill", func(_ context.Context, n int) (int, int) {
		var t tally
		in := rill.Generate(func(send func(int), _ func(error)) {
			for v := range n {
				send(v)
			}
		})
		out := rill.OrderedMap(in, workers, func(v int) (int, error) { return light(v), nil })
		must(rill.ForEach(out, 1, func(v int) error { t.add(v); return nil }))
		return t.result()
	}},
	{"conc", func(_ context.Context, n int) (int, int) {
		var t tally
		s := conc.New().WithMaxGoroutines(workers)
		for v := range n {
			s.Go(func() conc.Callback {
				out := light(v)
				return func() { t.add(out) }
			})
		}
		s.Wait()
		return t.result()
	}},
	{"floor-serial", serial},
}

var unordered = []row{
	{"bedplate", func(ctx context.Context, n int) (int, int) {
		return parMap(ctx, n, stream.Parallel{Workers: workers, Unordered: true})
	}},
	{"rill", func(_ context.Context, n int) (int, int) {
		var t tally
		in := rill.Generate(func(send func(int), _ func(error)) {
			for v := range n {
				send(v)
			}
		})
		out := rill.Map(in, workers, func(v int) (int, error) { return light(v), nil })
		must(rill.ForEach(out, 1, func(v int) error { t.add(v); return nil }))
		return t.result()
	}},
	{"go-streams", func(_ context.Context, n int) (int, int) {
		in, out := make(chan any), make(chan any)
		go func() {
			defer close(in)
			for v := range n {
				in <- v
			}
		}()
		go gostreams.NewChanSource(in).Via(flow.NewMap(light, workers)).To(gostreams.NewChanSink(out))
		var t tally
		for v := range out {
			t.add(v.(int))
		}
		return t.result()
	}},
	{"floor-serial", serial},
}

func serial(_ context.Context, n int) (int, int) {
	var t tally
	for v := range n {
		t.add(light(v))
	}
	return t.result()
}

func parMap(ctx context.Context, n int, p stream.Parallel) (int, int) {
	var t tally
	s := stream.ParMap(stream.Range(0, n), p, func(_ context.Context, v int) (int, error) { return light(v), nil })
	must(s.Run(ctx, func(v int) error { t.add(v); return nil }))
	return t.result()
}

// batches count a batch by its items, so that all rows see all of them.
var batches = []row{
	{"bedplate", func(ctx context.Context, n int) (int, int) {
		return batch(ctx, n, 0)
	}},
	{"ro", func(ctx context.Context, n int) (int, int) {
		var t tally
		ro.BufferWithCount[int64](batchSize)(ro.Range(0, int64(n))).SubscribeWithContext(ctx, ro.OnNext(func(b []int64) {
			for _, v := range b {
				t.add(int(v))
			}
		})).Wait()
		return t.result()
	}},
	{"lo-it", func(_ context.Context, n int) (int, int) {
		var t tally
		for b := range it.Chunk(upTo(n), batchSize) {
			t.addAll(b)
		}
		return t.result()
	}},
	{"rill", func(_ context.Context, n int) (int, int) { return rillBatch(n, -1) }},
	{"floor-append", func(_ context.Context, n int) (int, int) {
		var t tally
		b := make([]int, 0, batchSize)
		for v := range n {
			if b = append(b, v); len(b) == batchSize {
				t.addAll(b)
				b = make([]int, 0, batchSize)
			}
		}
		t.addAll(b)
		return t.result()
	}},
}

// timed are batches that would also be emitted after a second.
var timed = []row{
	{"bedplate", func(ctx context.Context, n int) (int, int) {
		return batch(ctx, n, time.Second)
	}},
	{"ro", func(ctx context.Context, n int) (int, int) {
		var t tally
		ro.BufferWithTimeOrCount[int64](batchSize, time.Second)(ro.Range(0, int64(n))).SubscribeWithContext(ctx, ro.OnNext(func(b []int64) {
			for _, v := range b {
				t.add(int(v))
			}
		})).Wait()
		return t.result()
	}},
	{"rill", func(_ context.Context, n int) (int, int) { return rillBatch(n, time.Second) }},
	{"go-streams", func(_ context.Context, n int) (int, int) {
		in, out := make(chan any), make(chan any)
		go func() {
			defer close(in)
			for v := range n {
				in <- v
			}
		}()
		go gostreams.NewChanSource(in).Via(flow.NewBatch[int](batchSize, time.Second)).To(gostreams.NewChanSink(out))
		var t tally
		for b := range out {
			t.addAll(b.([]int))
		}
		return t.result()
	}},
}

func (t *tally) addAll(batch []int) {
	for _, v := range batch {
		t.add(v)
	}
}

func batch(ctx context.Context, n int, delay time.Duration) (int, int) {
	var t tally
	must(stream.Batch(stream.Range(0, n), batchSize, delay).Run(ctx, func(b []int) error { t.addAll(b); return nil }))
	return t.result()
}

func rillBatch(n int, timeout time.Duration) (int, int) {
	var t tally
	in := rill.Generate(func(send func(int), _ func(error)) {
		for v := range n {
			send(v)
		}
	})
	must(rill.ForEach(rill.Batch(in, batchSize, timeout), 1, func(b []int) error { t.addAll(b); return nil }))
	return t.result()
}

// scans read lines and return how many there are and their bytes.
var scans = []struct {
	peer string
	run  func(ctx context.Context, r io.Reader) (count, sum int)
}{
	{"bedplate", func(ctx context.Context, r io.Reader) (int, int) {
		var t tally
		must(stream.Lines(stream.Reader(r)).Run(ctx, func(line []byte) error { t.add(len(line)); return nil }))
		return t.result()
	}},
	{"bufio", func(_ context.Context, r io.Reader) (int, int) {
		var t tally
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 64<<10), 1<<20)
		for s.Scan() {
			t.add(len(s.Bytes()))
		}
		must(s.Err())
		return t.result()
	}},
	{"floor-readslice", func(_ context.Context, r io.Reader) (int, int) {
		var t tally
		b := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := b.ReadSlice('\n')
			if len(line) > 0 {
				t.add(len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))))
			}
			if errors.Is(err, io.EOF) {
				return t.result()
			}
			must(err)
		}
	}},
}

// lines returns text in lines of random lengths around mean.
func lines(mean int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	p := bytes.Repeat([]byte("x"), text)
	for at := rng.IntN(2*mean - 1); at < len(p); at += 1 + rng.IntN(2*mean-1) {
		p[at] = '\n'
	}
	return p
}

func BenchmarkStreamMap(b *testing.B) {
	for _, stages := range []int{1, 4} {
		b.Run("stages="+strconv.Itoa(stages), func(b *testing.B) { bench(b, maps(stages)) })
	}
}

func BenchmarkStreamParMap(b *testing.B)          { bench(b, ordered) }
func BenchmarkStreamParMapUnordered(b *testing.B) { bench(b, unordered) }
func BenchmarkStreamBatch(b *testing.B)           { bench(b, batches) }
func BenchmarkStreamBatchTimed(b *testing.B)      { bench(b, timed) }

// bench runs each row with a context that can be cancelled, as that of a
// request can. An operation is all items.
func bench(b *testing.B, rows []row) {
	ctx := b.Context()
	for _, r := range rows {
		b.Run("peer="+r.peer, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.run(ctx, items)
			}
		})
	}
}

func BenchmarkStreamLines(b *testing.B) {
	ctx := b.Context()
	for _, mean := range []int{40, 500} {
		p := lines(mean)
		for _, r := range scans {
			b.Run("mean="+strconv.Itoa(mean)+"/peer="+r.peer, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					r.run(ctx, bytes.NewReader(p))
				}
			})
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestRowsDoTheSameWork runs every row of a table on the same items: as many
// come out of each, with the same sum.
func TestRowsDoTheSameWork(t *testing.T) {
	for name, rows := range map[string][]row{
		"map 1": maps(1), "map 4": maps(4), "ordered": ordered, "unordered": unordered, "batch": batches, "timed": timed,
	} {
		for _, n := range []int{0, 1, 1234} {
			wantCount, wantSum := rows[len(rows)-1].run(t.Context(), n)
			require.Equal(t, wantCount, n, name)
			for _, r := range rows {
				count, sum := r.run(t.Context(), n)
				require.Equal(t, wantCount, count, "%s: %s", name, r.peer)
				require.Equal(t, wantSum, sum, "%s: %s", name, r.peer)
			}
		}
	}
	for _, mean := range []int{1, 40, 500} {
		p := lines(mean)
		wantCount, wantSum := 0, 0
		for line := range bytes.Lines(p) {
			wantCount++
			wantSum += len(bytes.TrimSuffix(line, []byte("\n")))
		}
		for _, r := range scans {
			count, sum := r.run(t.Context(), bytes.NewReader(p))
			require.Equal(t, wantCount, count, r.peer)
			require.Equal(t, wantSum, sum, r.peer)
		}
	}
}
