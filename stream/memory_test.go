package stream_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// endless reads n bytes of CSV without having them.
func endless(n int64) io.Reader {
	return io.LimitReader(repeating(bytes.Repeat([]byte("12345,some text,\"quoted, text\",1.5\n"), 1000)), n)
}

// repeating reads itself again and again.
type repeating []byte

func (r repeating) Read(p []byte) (int, error) { return copy(p, r), nil }

// everything is a pipeline with most of what holds memory: decompression,
// records, parsing on several goroutines, batches with a delay.
func everything(n int64) stream.Stream[[]int] {
	zipped := stream.Through(stream.Reader(endless(n)), func(w io.Writer) (*gzip.Writer, error) {
		return gzip.NewWriterLevel(w, gzip.HuffmanOnly)
	})
	plain := stream.Via(zipped.Buffer(4), gzip.NewReader)
	blocks := stream.Batch(stream.Lines(plain), 100, 0)
	sizes := stream.Map(blocks, func(lines [][]byte) int { return len(lines) })
	return stream.Batch(sizes.Buffer(10), 10, time.Second)
}

// highest is the most heap that a run had in use, looked at after a garbage
// collection now and then.
func highest(t testing.TB, n int64) (most uint64, lines int) {
	t.Helper()
	look := func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	batches := 0
	require.NoError(t, everything(n).Run(t.Context(), func(sizes []int) error {
		for _, size := range sizes {
			lines += size
		}
		if batches++; batches%20 == 0 {
			look()
		}
		return nil
	}))
	look()
	return most, lines
}

// TestMemoryDoesNotGrowWithTheInput compares 1 MiB with eight times as many.
func TestMemoryDoesNotGrowWithTheInput(t *testing.T) {
	few, _ := highest(t, 1<<20)
	many, lines := highest(t, 8<<20)
	require.Greater(t, lines, 200_000)
	require.Less(t, many, few+1<<20)
}

// BenchmarkLines4GiB reads a generated file of 4 GiB and shows the most heap in
// use as peak-B. Run it with -benchtime=1x.
func BenchmarkLines4GiB(b *testing.B) {
	const size = 4 << 30
	b.SetBytes(size)
	for b.Loop() {
		var most uint64
		n := 0
		err := stream.Lines(stream.Reader(endless(size))).Run(b.Context(), func([]byte) error {
			if n++; n%10_000_000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(most), "peak-B")
	}
}
