//go:build !race

package stream_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

// perItem is how many allocations an item costs in the long run.
func perItem[T any](t *testing.T, s func(n int) stream.Stream[T]) float64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const few, many = 1000, 11_000
	count := func(n int) float64 {
		return testing.AllocsPerRun(5, func() {
			if err := s(n).Run(ctx, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
	return (count(many) - count(few)) / (many - few)
}

func TestStagesAllocateNothingAnItem(t *testing.T) {
	for name, stage := range stages {
		switch name {
		case "FlatMap", "Distinct", "Window", "Batch", "BatchTimed", "BatchBy", "GroupBy",
			"Reader", "Lines", "Records", "Through", "Via":
			continue // they make slices or streams, or the test's way to bytes does
		}
		got := perItem(t, func(n int) stream.Stream[int] { return stage(stream.Range(0, n)) })
		require.Less(t, got, 0.01, name)
	}
}

func TestLinesAllocateNothing(t *testing.T) {
	text := bytes.Repeat([]byte("a line of text\r\n"), 1000)
	got := perItem(t, func(n int) stream.Stream[[]byte] {
		return stream.Lines(stream.Map(stream.Range(0, n/100), func(int) []byte { return text }))
	})
	require.Less(t, got, 0.01)
}

func TestBatchAllocatesOneSliceABatch(t *testing.T) {
	got := perItem(t, func(n int) stream.Stream[[]int] { return stream.Batch(stream.Range(0, n), 100, 0) })
	require.InDelta(t, 0.01, got, 0.001)
}

func TestCSVAllocatesTwoObjectsARecord(t *testing.T) {
	got := perItem(t, func(n int) stream.Stream[[]string] {
		return stream.CSV(stream.Reader(strings.NewReader(strings.Repeat("some,\"quoted\",text\n", n))), stream.CSVFormat{})
	})
	require.InDelta(t, 2, got, 0.05)
}
