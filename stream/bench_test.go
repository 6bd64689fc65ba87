package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/bedplate/bedplate/stream"
)

var background = context.Background()

func inc(v int) int { return v + 1 }

func incErr(_ context.Context, v int) (int, error) { return v + 1, nil }

// BenchmarkStages is the time of one item through some stages.
func BenchmarkStages(b *testing.B) {
	same := func(s stream.Stream[int]) stream.Stream[int] { return s }
	for _, c := range []struct {
		name string
		add  func(stream.Stream[int]) stream.Stream[int]
	}{
		{"none", same},
		{"Map", func(s stream.Stream[int]) stream.Stream[int] { return stream.Map(s, inc) }},
		{"MapErr", func(s stream.Stream[int]) stream.Stream[int] { return stream.MapErr(s, incErr) }},
		{"Filter", func(s stream.Stream[int]) stream.Stream[int] { return s.Filter(func(v int) bool { return v >= 0 }) }},
		{"Buffer", func(s stream.Stream[int]) stream.Stream[int] { return s.Buffer(256) }},
		{"ParMap", func(s stream.Stream[int]) stream.Stream[int] {
			return stream.ParMap(s, stream.Parallel{Workers: 2}, incErr)
		}},
		{"ParMapUnordered", func(s stream.Stream[int]) stream.Stream[int] {
			return stream.ParMap(s, stream.Parallel{Workers: 2, Unordered: true}, incErr)
		}},
		{"Zip", func(s stream.Stream[int]) stream.Stream[int] {
			return stream.Zip(s, s, func(a, b int) int { return a + b })
		}},
		{"Batch", func(s stream.Stream[int]) stream.Stream[int] {
			return stream.Map(stream.Batch(s, 100, 0), func(v []int) int { return len(v) })
		}},
		{"BatchTimed", func(s stream.Stream[int]) stream.Stream[int] {
			return stream.Map(stream.Batch(s, 100, time.Second), func(v []int) int { return len(v) })
		}},
	} {
		b.Run("stage="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			if err := c.add(stream.Range(0, b.N)).Run(ctx, nil); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkLines is the time of 4 MiB in lines of some mean lengths. So much
// is more than the processor's branch predictor can learn by heart.
func BenchmarkLines(b *testing.B) {
	for _, mean := range []int{8, 40, 120, 500} {
		text := textOf(4<<20, mean)
		b.Run("mean="+strconv.Itoa(mean), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := stream.Lines(stream.Reader(bytes.NewReader(text))).Run(background, func([]byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("scan/mean="+strconv.Itoa(mean), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				sc := bufio.NewScanner(bytes.NewReader(text))
				sc.Buffer(make([]byte, 1<<16), 1<<16)
				for sc.Scan() {
				}
			}
		})
	}
}

// textOf returns size bytes in lines of random lengths.
func textOf(size, mean int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	text := bytes.Repeat([]byte("x"), size)
	for at := rng.IntN(2*mean - 1); at < size; at += 1 + rng.IntN(2*mean-1) {
		text[at] = '\n'
	}
	return text
}
