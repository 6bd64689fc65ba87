package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream"
)

type byteStream = stream.Stream[[]byte]

// keepers are the ways in which this package holds items of bytes longer than
// their source allows.
var keepers = map[string]func(byteStream) byteStream{
	"Buffer": func(s byteStream) byteStream { return s.Buffer(100) },
	"Merge":  func(s byteStream) byteStream { return stream.Merge(s) },
	"Batch":  func(s byteStream) byteStream { return flatBytes(stream.Batch(s, 7, 0)) },
	"BatchTimed": func(s byteStream) byteStream {
		return flatBytes(stream.Batch(s, 7, time.Hour))
	},
	"BatchBy": func(s byteStream) byteStream {
		return flatBytes(stream.BatchBy(s, 7, 100, func(p []byte) int { return len(p) }, 0))
	},
	"Window": func(s byteStream) byteStream { return flatBytes(stream.Window(s, 1, 1)) },
	"Windows": func(s byteStream) byteStream {
		// Every second of an overlapping window is the next item.
		pad := stream.Concat(stream.Of([]byte("pad")), s)
		return stream.Map(stream.Window(pad, 2, 1), func(w [][]byte) []byte { return w[1] })
	},
	"GroupBy": func(s byteStream) byteStream {
		groups := stream.GroupBy(s, 1000, 1000, func(p []byte) string { return string(p[:1]) })
		return stream.FlatMap(groups, func(g stream.Group[string, []byte]) byteStream { return stream.Of(g.Items...) })
	},
	"ParMap": func(s byteStream) byteStream {
		return stream.ParMap(s, stream.Parallel{Workers: 3}, func(_ context.Context, p []byte) ([]byte, error) { return p, nil })
	},
	"ParMapUnordered": func(s byteStream) byteStream {
		return stream.ParMap(s, stream.Parallel{Workers: 1, Unordered: true}, func(_ context.Context, p []byte) ([]byte, error) { return p, nil })
	},
	"Collect": func(s byteStream) byteStream { return s },
}

func flatBytes(s stream.Stream[[][]byte]) byteStream {
	return stream.FlatMap(s, func(items [][]byte) byteStream { return stream.Of(items...) })
}

// TestItemsOfBytesAreKept spoils every chunk after its emit: whoever has kept
// a part of one without copying shows it.
func TestItemsOfBytesAreKept(t *testing.T) {
	var want []string
	for i := range 300 {
		want = append(want, "a"+strings.Repeat(fmt.Sprint(i), 1+i%50*(i%11)))
	}
	text := strings.Join(want, "\n")
	for name, stage := range keepers {
		for _, chunks := range [][]int{nil, {1000, 1, 17, 5000}, {3, 3, 3}} {
			items, err := stage(stream.Lines(inChunks(text, chunks...))).Collect(t.Context())
			require.NoError(t, err, name)
			got := make([]string, len(items))
			for i, item := range items {
				got[i] = string(item)
				require.Equal(t, len(item), cap(item), "an append to one must not reach the next")
			}
			require.Equal(t, want, got, name)
		}
	}
}

func TestCollectKeepsEmptyAndNilItems(t *testing.T) {
	got, err := stream.Of(nil, []byte{}, []byte("x")).Collect(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Nil(t, got[0])
	require.NotNil(t, got[1])
	require.Empty(t, got[1])
}

func TestCollectPacksShortItemsTogether(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789\n"), 10_000)
	allocs := testing.AllocsPerRun(5, func() {
		lines, err := stream.Lines(stream.Of(text)).Collect(t.Context())
		if err != nil || len(lines) != 10_000 {
			t.Fatal(len(lines), err)
		}
	})
	require.Less(t, allocs, 60.0, "10,000 lines")
}
